package bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;

/** What to send, from files: every load generator sends the very same bytes. */
final class Payload {
    private static final int KEY_SIZE = 8;

    private final byte[][] values;
    private final byte[][] keys;
    private final boolean keyed;

    Payload(Options options) throws IOException {
        values = pieces(options.data.resolve("payload-" + options.size + ".bin"), options.size);
        keys = pieces(options.data.resolve("keys-" + KEY_SIZE + ".bin"), KEY_SIZE);
        keyed = options.keyed;
        if (Integer.bitCount(values.length) != 1 || keys.length != values.length) {
            throw new IOException(values.length + " values and " + keys.length
                + " keys: must be as many, and a power of two");
        }
    }

    /** The value of record i. */
    byte[] value(int i) {
        return values[i & (values.length - 1)];
    }

    /** The key of record i, null when there are none. */
    byte[] key(int i) {
        return keyed ? keys[i & (keys.length - 1)] : null;
    }

    private static byte[][] pieces(Path file, int size) throws IOException {
        byte[] all;
        try {
            all = Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new IOException(file + " is not there: make it with gen_payload.py");
        }
        byte[][] pieces = new byte[all.length / size][];
        for (int i = 0; i < pieces.length; i++) {
            pieces[i] = Arrays.copyOfRange(all, i * size, (i + 1) * size);
        }
        return pieces;
    }
}
