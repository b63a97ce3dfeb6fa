// Make S3 and DynamoDB calls with the Java SDK v1. What it takes and prints is said in ../../sdks.py.

import com.amazonaws.ClientConfiguration;
import com.amazonaws.SdkClientException;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDB;
import com.amazonaws.services.dynamodbv2.AmazonDynamoDBClientBuilder;
import com.amazonaws.services.dynamodbv2.model.AttributeValue;
import com.amazonaws.services.s3.AmazonS3;
import com.amazonaws.services.s3.AmazonS3ClientBuilder;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public final class Sender {
    private static final String BUCKET = "interop";
    private static final String TABLE = "interop";
    // The SDK reports from a thread that nothing can wait for; what is still queued when the JVM ends is lost.
    private static final long REPORTING_MS = 500;

    private final AmazonS3 s3;
    private final AmazonDynamoDB dynamodb;

    private Sender(String endpoint, int attempts, int timeoutMs, int workers) {
        ClientConfiguration configuration = new ClientConfiguration()
            .withMaxErrorRetry(attempts - 1)
            .withSocketTimeout(timeoutMs)
            .withMaxConnections(workers);
        EndpointConfiguration where = new EndpointConfiguration(endpoint, System.getenv("AWS_DEFAULT_REGION"));
        s3 = AmazonS3ClientBuilder.standard()
            .withClientConfiguration(configuration)
            .withEndpointConfiguration(where)
            .withPathStyleAccessEnabled(true)
            .build();
        dynamodb = AmazonDynamoDBClientBuilder.standard()
            .withClientConfiguration(configuration)
            .withEndpointConfiguration(where)
            .build();
    }

    private void call(String api, String label) {
        if (api.equals("PutObject")) {
            s3.putObject(BUCKET, label, "x");
        } else {
            dynamodb.getItem(TABLE, Collections.singletonMap("id", new AttributeValue(label)));
        }
    }

    private void report(String named) {
        String api = named.substring(0, named.indexOf('/'));
        String label = named.substring(named.indexOf('/') + 1);
        String error = "null";
        double began = now();
        try {
            call(api, label);
        } catch (SdkClientException raised) { // service errors too
            error = '"' + raised.getClass().getSimpleName() + '"';
        }
        System.out.println(String.format(
            Locale.ROOT,
            "{\"api\": \"%s\", \"label\": \"%s\", \"began\": %.6f, \"ended\": %.6f, \"error\": %s}",
            api, label, began, now(), error));
    }

    private static double now() {
        Instant instant = Instant.now();
        return instant.getEpochSecond() + instant.getNano() / 1e9;
    }

    public static void main(String[] args) throws InterruptedException {
        int workers = Integer.parseInt(args[3]);
        Sender sender = new Sender(args[0], Integer.parseInt(args[1]), Integer.parseInt(args[2]), workers);
        ExecutorService pool = Executors.newFixedThreadPool(workers);
        for (String named : Arrays.copyOfRange(args, 4, args.length)) {
            pool.submit(() -> sender.report(named));
        }
        pool.shutdown();
        pool.awaitTermination(10, TimeUnit.MINUTES);
        Thread.sleep(REPORTING_MS);
        System.exit(0); // the writer and the idle connection reaper are left to it
    }
}
