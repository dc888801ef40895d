package bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the process has used up to a moment, from /proc: in steps of 10 ms. */
record Usage(double user, double system, long maxRssKb, long nanos) {
    /** Clock ticks per second, which Linux shows to programs as 100. */
    private static final double TICKS = 100;

    /** Fields of /proc/self/stat, counted from the one after the name. */
    private static final int USER = 11;
    private static final int SYSTEM = 12;

    static Usage now() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        long maxRssKb = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                maxRssKb = Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return new Usage(Long.parseLong(fields[USER]) / TICKS,
            Long.parseLong(fields[SYSTEM]) / TICKS, maxRssKb, System.nanoTime());
    }

    double secondsTo(Usage later) {
        return (later.nanos - nanos) / 1e9;
    }

    double cpuSecondsTo(Usage later) {
        return later.user - user + later.system - system;
    }
}
