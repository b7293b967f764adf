import java.time.Instant;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/** What is exported. */
enum IngestionMode { BULK, PUT, ALL }

/** The structures of the service's model that an export needs, named as the SDK's generated classes are. */
final class S3DataConfig extends Structure<S3DataConfig> {
    S3DataConfig() {
        text("path", "kmsKeyArn");
    }

    static S3DataConfig builder() {
        return new S3DataConfig();
    }

    S3DataConfig path(String path) {
        return with("path", path);
    }

    S3DataConfig kmsKeyArn(String kmsKeyArn) {
        return with("kmsKeyArn", kmsKeyArn);
    }

    String path() {
        return textOf("path");
    }
}

final class DatasetExportJobOutput extends Structure<DatasetExportJobOutput> {
    DatasetExportJobOutput() {
        structure("s3DataDestination", S3DataConfig::new);
    }

    static DatasetExportJobOutput builder() {
        return new DatasetExportJobOutput();
    }

    DatasetExportJobOutput s3DataDestination(S3DataConfig destination) {
        return with("s3DataDestination", destination);
    }

    S3DataConfig s3DataDestination() {
        return (S3DataConfig) structureOf("s3DataDestination");
    }
}

final class CreateDatasetExportJobRequest extends Structure<CreateDatasetExportJobRequest> {
    CreateDatasetExportJobRequest() {
        text("jobName", "datasetArn", "ingestionMode", "roleArn");
        structure("jobOutput", DatasetExportJobOutput::new);
    }

    static CreateDatasetExportJobRequest builder() {
        return new CreateDatasetExportJobRequest();
    }

    CreateDatasetExportJobRequest jobName(String jobName) {
        return with("jobName", jobName);
    }

    CreateDatasetExportJobRequest datasetArn(String datasetArn) {
        return with("datasetArn", datasetArn);
    }

    CreateDatasetExportJobRequest ingestionMode(IngestionMode mode) {
        return with("ingestionMode", mode.toString());
    }

    CreateDatasetExportJobRequest jobOutput(DatasetExportJobOutput output) {
        return with("jobOutput", output);
    }

    CreateDatasetExportJobRequest roleArn(String roleArn) {
        return with("roleArn", roleArn);
    }
}

final class CreateDatasetExportJobResponse extends Structure<CreateDatasetExportJobResponse> {
    CreateDatasetExportJobResponse() {
        text("datasetExportJobArn");
    }

    String datasetExportJobArn() {
        return textOf("datasetExportJobArn");
    }
}

final class DescribeDatasetExportJobRequest extends Structure<DescribeDatasetExportJobRequest> {
    DescribeDatasetExportJobRequest() {
        text("datasetExportJobArn");
    }

    static DescribeDatasetExportJobRequest builder() {
        return new DescribeDatasetExportJobRequest();
    }

    DescribeDatasetExportJobRequest datasetExportJobArn(String arn) {
        return with("datasetExportJobArn", arn);
    }
}

final class DescribeDatasetExportJobResponse extends Structure<DescribeDatasetExportJobResponse> {
    DescribeDatasetExportJobResponse() {
        structure("datasetExportJob", DatasetExportJob::new);
    }

    DatasetExportJob datasetExportJob() {
        return (DatasetExportJob) structureOf("datasetExportJob");
    }
}

final class DatasetExportJob extends Structure<DatasetExportJob> {
    DatasetExportJob() {
        text("jobName", "datasetExportJobArn", "datasetArn", "ingestionMode", "roleArn", "status", "failureReason");
        structure("jobOutput", DatasetExportJobOutput::new);
        times("creationDateTime", "lastUpdatedDateTime");
    }

    String status() {
        return textOf("status");
    }

    String ingestionMode() {
        return textOf("ingestionMode");
    }

    String failureReason() {
        return textOf("failureReason");
    }

    DatasetExportJobOutput jobOutput() {
        return (DatasetExportJobOutput) structureOf("jobOutput");
    }

    Instant creationDateTime() {
        return timeOf("creationDateTime");
    }

    Instant lastUpdatedDateTime() {
        return timeOf("lastUpdatedDateTime");
    }
}

/** Any error that the service answers with. */
class PersonalizeException extends AwsServiceException {
    private PersonalizeException(Builder builder) {
        super(builder);
    }

    public static Builder builder() {
        return new BuilderImpl();
    }

    @Override
    public Builder toBuilder() {
        return new BuilderImpl(this);
    }

    private static final class BuilderImpl extends AwsServiceException.BuilderImpl {
        private BuilderImpl() {}

        private BuilderImpl(PersonalizeException exception) {
            super(exception);
        }

        @Override
        public AwsServiceException build() {
            return new PersonalizeException(this);
        }
    }
}
