package bench;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The options of a load generator, the same in every language. */
final class Options {
    private static final Set<String> KNOWN = Set.of(
        "--bootstrap", "--topic", "--records", "--warmup", "--size", "--keyed", "--linger-ms",
        "--batch-bytes", "--buffer-bytes", "--compression", "--acks", "--idempotent",
        "--partitions", "--latency", "--rate", "--data");

    private final Map<String, String> given = new HashMap<>();

    final String bootstrap;
    final String topic;
    final int records;
    final int warmup;
    final int size;
    final boolean keyed;
    final String lingerMs;
    final String batchBytes;
    final String bufferBytes;
    final String compression;
    final String acks;
    final boolean idempotent;
    /** One record in flight. */
    final boolean latency;
    /** Records per second; 0 when records are not paced. */
    final int rate;
    final Path data;

    Options(String[] words) {
        for (int i = 0; i < words.length; i += 2) {
            if (!KNOWN.contains(words[i])) {
                throw new IllegalArgumentException("unknown option " + words[i]);
            }
            if (i + 1 == words.length) {
                throw new IllegalArgumentException(words[i] + " has no value");
            }
            given.put(words[i], words[i + 1]);
        }
        bootstrap = text("--bootstrap", "127.0.0.1:29092");
        topic = text("--topic", "bench");
        records = number("--records", 1_000_000, 1);
        warmup = number("--warmup", 3_000_000, 0);
        size = number("--size", 100, 1);
        keyed = number("--keyed", 0, 0) == 1;
        latency = number("--latency", 0, 0) == 1;
        rate = number("--rate", 0, 0);
        // A lone record does not linger.
        lingerMs = latency ? "0" : text("--linger-ms", "5");
        batchBytes = text("--batch-bytes", "16384");
        bufferBytes = text("--buffer-bytes", "33554432");
        compression = text("--compression", "none");
        acks = text("--acks", "-1");
        idempotent = number("--idempotent", 1, 0) == 1;
        data = Path.of(text("--data", "data"));
        if (latency && rate > 0) {
            throw new IllegalArgumentException("--rate and --latency exclude each other");
        }
    }

    private String text(String name, String preset) {
        return given.getOrDefault(name, preset);
    }

    private int number(String name, int preset, int least) {
        String text = text(name, Integer.toString(preset));
        try {
            int number = Integer.parseInt(text);
            if (number >= least) {
                return number;
            }
        } catch (NumberFormatException e) {
            // Told below.
        }
        throw new IllegalArgumentException(
            name + " " + text + ": must be a number from " + least + " on");
    }
}
