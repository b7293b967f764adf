import java.net.URI;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.ClientEndpointProvider;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.client.config.SdkClientConfiguration;
import software.amazon.awssdk.core.client.config.SdkClientOption;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.SdkExecutionAttribute;
import software.amazon.awssdk.http.ContentStreamProvider;
import software.amazon.awssdk.http.HttpExecuteRequest;
import software.amazon.awssdk.http.HttpExecuteResponse;
import software.amazon.awssdk.http.SdkHttpClient;
import software.amazon.awssdk.http.SdkHttpFullRequest;
import software.amazon.awssdk.http.SdkHttpFullResponse;
import software.amazon.awssdk.http.SdkHttpMethod;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.http.auth.aws.signer.AwsV4HttpSigner;
import software.amazon.awssdk.http.auth.spi.signer.SignedRequest;
import software.amazon.awssdk.protocols.core.OperationInfo;
import software.amazon.awssdk.protocols.json.AwsJsonProtocol;
import software.amazon.awssdk.protocols.json.AwsJsonProtocolFactory;
import software.amazon.awssdk.protocols.json.JsonOperationMetadata;

/** A client as the SDK generates it, of its parts: its JSON protocol, its signer, its HTTP client, its errors. */
final class PersonalizeClient implements AutoCloseable {
    private static final JsonOperationMetadata JSON =
        JsonOperationMetadata.builder().hasStreamingSuccessResponse(false).isPayloadJson(true).build();

    private final AwsBasicCredentials credentials;
    private final String region;
    private final AwsJsonProtocolFactory protocol;
    private final AwsV4HttpSigner signer = AwsV4HttpSigner.create();
    private final SdkHttpClient http = ApacheHttpClient.create();

    PersonalizeClient(URI endpoint, String region, AwsBasicCredentials credentials) {
        this.credentials = credentials;
        this.region = region;
        SdkClientConfiguration configuration = SdkClientConfiguration.builder()
            .option(SdkClientOption.CLIENT_ENDPOINT_PROVIDER, ClientEndpointProvider.forEndpointOverride(endpoint))
            .build();
        protocol = AwsJsonProtocolFactory.builder()
            .clientConfiguration(configuration)
            .defaultServiceExceptionSupplier(PersonalizeException::builder)
            .protocol(AwsJsonProtocol.AWS_JSON)
            .protocolVersion("1.1")
            .build();
    }

    CreateDatasetExportJobResponse createDatasetExportJob(CreateDatasetExportJobRequest request) {
        return call("CreateDatasetExportJob", request, CreateDatasetExportJobResponse::new);
    }

    DescribeDatasetExportJobResponse describeDatasetExportJob(DescribeDatasetExportJobRequest request) {
        return call("DescribeDatasetExportJob", request, DescribeDatasetExportJobResponse::new);
    }

    private <T extends SdkPojo> T call(String operation, SdkPojo input, Supplier<SdkPojo> output) {
        OperationInfo info = OperationInfo.builder()
            .requestUri("/")
            .httpMethod(SdkHttpMethod.POST)
            .hasExplicitPayloadMember(false)
            .hasImplicitPayloadMembers(true)
            .hasPayloadMembers(true)
            .operationIdentifier("AmazonPersonalize." + operation)
            .build();
        SdkHttpFullRequest request = protocol.createProtocolMarshaller(info).marshall(input);
        ExecutionAttributes attributes = new ExecutionAttributes()
            .putAttribute(SdkExecutionAttribute.SERVICE_NAME, "Personalize")
            .putAttribute(SdkExecutionAttribute.OPERATION_NAME, operation);
        try {
            SdkHttpFullResponse response = send(request);
            if (response.isSuccessful()) {
                return protocol.<T>createResponseHandler(JSON, output).handle(response, attributes);
            }
            // All errors become the one class; the generated client has more of them.
            throw protocol.createErrorResponseHandler(JSON, code -> Optional.empty()).handle(response, attributes);
        } catch (AwsServiceException error) {
            throw error;
        } catch (Exception error) {
            throw new IllegalStateException(operation + " had no readable answer", error);
        }
    }

    private SdkHttpFullResponse send(SdkHttpFullRequest request) throws Exception {
        ContentStreamProvider body = request.contentStreamProvider().orElseThrow();
        SignedRequest signed = signer.sign(sign -> sign
            .identity(credentials)
            .request(request)
            .payload(body)
            .putProperty(AwsV4HttpSigner.SERVICE_SIGNING_NAME, "personalize")
            .putProperty(AwsV4HttpSigner.REGION_NAME, region));
        HttpExecuteRequest execute = HttpExecuteRequest.builder()
            .request(signed.request())
            .contentStreamProvider(signed.payload().orElse(null))
            .build();
        HttpExecuteResponse answer = http.prepareRequest(execute).call();
        SdkHttpFullResponse.Builder response = SdkHttpFullResponse.builder()
            .statusCode(answer.httpResponse().statusCode())
            .statusText(answer.httpResponse().statusText().orElse(null))
            .headers(answer.httpResponse().headers());
        answer.responseBody().ifPresent(response::content);
        return response.build();
    }

    @Override
    public void close() {
        http.close();
    }
}
