package bench;

import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Load through Kafka's own producer. The warm-up, in the same process, is not measured. */
public final class JavaPeer {
    /**
     * The shortest sleep, in nanoseconds: then everything is sent that has become due. The same in
     * every load generator.
     */
    private static final long STEP = 1_000_000;

    private final Options options;
    private final Payload payload;
    private final KafkaProducer<byte[], byte[]> producer;
    private final AtomicLong errors = new AtomicLong();

    private JavaPeer(Options options) throws Exception {
        this.options = options;
        payload = new Payload(options);
        producer = new KafkaProducer<>(settings(options), new ByteArraySerializer(),
            new ByteArraySerializer());
    }

    public static void main(String[] words) {
        int status = 0;
        try {
            JavaPeer peer = new JavaPeer(new Options(words));
            if (peer.options.latency) {
                peer.measureLone();
            } else if (peer.options.rate > 0) {
                peer.measurePaced();
            } else {
                peer.measureThroughput();
            }
        } catch (Exception e) {
            System.err.println("java peer: " + e.getMessage());
            status = 1;
        }
        // Without a close, which would take its time.
        Runtime.getRuntime().halt(status);
    }

    private static Properties settings(Options options) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.bootstrap);
        settings.put("acks", options.acks);
        settings.put("enable.idempotence", Boolean.toString(options.idempotent));
        settings.put("linger.ms", options.lingerMs);
        settings.put("batch.size", options.batchBytes);
        settings.put("buffer.memory", options.bufferBytes);
        settings.put("max.request.size", "16777216");
        settings.put("compression.type", options.compression);
        settings.put("max.in.flight.requests.per.connection", "5");
        settings.put("enable.metrics.push", "false");
        return settings;
    }

    private void measureThroughput() throws Exception {
        fill(options.warmup);
        errors.set(0);
        Usage from = Usage.now();
        fill(options.records);
        Report.throughput(options, from, Usage.now(), errors.get());
    }

    private void fill(int records) throws InterruptedException {
        CountDownLatch left = new CountDownLatch(records);
        Callback callback = (metadata, error) -> {
            count(error);
            left.countDown();
        };
        for (int i = 0; i < records; i++) {
            producer.send(record(i), callback);
        }
        left.await();
    }

    private void measureLone() throws Exception {
        lone(new long[options.warmup]);
        errors.set(0);
        long[] latencies = new long[options.records];
        Usage from = Usage.now();
        lone(latencies);
        Report.latency(from, Usage.now(), latencies, errors.get());
    }

    private void lone(long[] latencies) throws InterruptedException {
        for (int i = 0; i < latencies.length; i++) {
            long begin = System.nanoTime();
            try {
                producer.send(record(i)).get();
            } catch (ExecutionException e) {
                count(e);
            }
            latencies[i] = System.nanoTime() - begin;
        }
    }

    private void measurePaced() throws Exception {
        paced(new long[options.warmup], new long[options.warmup]);
        errors.set(0);
        long[] latencies = new long[options.records];
        long[] lateness = new long[options.records];
        Usage from = Usage.now();
        paced(latencies, lateness);
        Report.paced(options, from, Usage.now(), latencies, lateness, errors.get());
    }

    /** Sends each record at its time, whatever became of those before, and waits for all. */
    private void paced(long[] latencies, long[] lateness) throws InterruptedException {
        CountDownLatch left = new CountDownLatch(latencies.length);
        long begin = System.nanoTime();
        for (int i = 0; i < latencies.length; i++) {
            int number = i;
            long due = begin + i * 1_000_000_000L / options.rate;
            for (long early; (early = due - System.nanoTime()) > 0; ) {
                LockSupport.parkNanos(Math.max(early, STEP));
            }
            lateness[i] = System.nanoTime() - due;
            producer.send(record(i), (metadata, error) -> {
                latencies[number] = System.nanoTime() - due;
                count(error);
                left.countDown();
            });
        }
        left.await();
    }

    private ProducerRecord<byte[], byte[]> record(int i) {
        return new ProducerRecord<>(options.topic, payload.key(i), payload.value(i));
    }

    private void count(Exception error) {
        if (error != null && errors.getAndIncrement() == 0) {
            System.err.println("java peer: the first error: " + error);
        }
    }
}
