import java.net.URI;
import java.time.Instant;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;

/** The method of the page "Exporting a dataset" for the SDK for Java 2.x; only its pauses are shorter. */
public final class ExportFlow {
    /** Takes the job's name, the dataset, the mode, the role, the path and, if any, the key. */
    public static void main(String[] arguments) {
        URI endpoint = URI.create(System.getenv("AWS_ENDPOINT_URL"));
        AwsBasicCredentials credentials = AwsBasicCredentials.create(
            System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY"));
        String key = arguments.length > 5 ? arguments[5] : null;
        try (PersonalizeClient client =
                new PersonalizeClient(endpoint, System.getenv("AWS_DEFAULT_REGION"), credentials)) {
            createDatasetExportJob(client, arguments[0], arguments[1], IngestionMode.valueOf(arguments[2]),
                arguments[3], arguments[4], key);
        }
    }

    public static void createDatasetExportJob(PersonalizeClient personalizeClient,
                                            String jobName,
                                            String datasetArn,
                                            IngestionMode ingestionMode,
                                            String roleArn,
                                            String s3BucketPath,
                                            String kmsKeyArn) {

        long waitInMilliseconds = 50;
        String status = null;

        try {
            S3DataConfig exportS3DataConfig = S3DataConfig.builder()
                .path(s3BucketPath)
                .kmsKeyArn(kmsKeyArn)
                .build();

            DatasetExportJobOutput jobOutput = DatasetExportJobOutput.builder()
                .s3DataDestination(exportS3DataConfig)
                .build();

            CreateDatasetExportJobRequest createRequest = CreateDatasetExportJobRequest.builder()
                .jobName(jobName)
                .datasetArn(datasetArn)
                .ingestionMode(ingestionMode)
                .jobOutput(jobOutput)
                .roleArn(roleArn)
                .build();

            String datasetExportJobArn = personalizeClient.createDatasetExportJob(createRequest).datasetExportJobArn();

            DescribeDatasetExportJobRequest describeDatasetExportJobRequest = DescribeDatasetExportJobRequest.builder()
                .datasetExportJobArn(datasetExportJobArn)
                .build();

            long maxTime = Instant.now().getEpochSecond() + 60;

            while (Instant.now().getEpochSecond() < maxTime) {

                DatasetExportJob datasetExportJob = personalizeClient.describeDatasetExportJob(describeDatasetExportJobRequest)
                    .datasetExportJob();

                status = datasetExportJob.status();
                System.out.println("Export job status: " + status);

                if (status.equals("ACTIVE") || status.equals("CREATE FAILED")) {
                    show(datasetExportJob);
                    break;
                }
                try {
                    Thread.sleep(waitInMilliseconds);
                } catch (InterruptedException e) {
                    System.out.println(e.getMessage());
                }
            }
        } catch (PersonalizeException e) {
            System.out.println(e.awsErrorDetails().errorMessage());
            System.out.println("Error: " + e.awsErrorDetails().errorCode() + " " + e.statusCode() + " " + e.requestId());
        }
    }

    private static void show(DatasetExportJob job) {
        System.out.println("Mode: " + job.ingestionMode());
        System.out.println("Path: " + job.jobOutput().s3DataDestination().path());
        System.out.println("Created: " + job.creationDateTime() + " " + job.lastUpdatedDateTime());
        if (job.failureReason() != null) {
            System.out.println("Failure reason: " + job.failureReason());
        }
    }
}
