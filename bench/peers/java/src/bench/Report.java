package bench;

import java.util.Arrays;
import java.util.Locale;

/** The line of numbers that a load generator prints: a JSON object, the same in every language. */
final class Report {
    private Report() {
    }

    static void throughput(Options options, Usage from, Usage to, long errors) {
        double seconds = from.secondsTo(to);
        double records = options.records;
        double bytes = records * (options.size + (options.keyed ? 8 : 0));
        print("{\"peer\":\"java\",\"records\":%d,\"seconds\":%.4f,\"records_per_s\":%.0f,"
                + "\"MB_per_s\":%.1f,\"user_cpu_s\":%.4f,\"sys_cpu_s\":%.4f,"
                + "\"cpu_ns_per_record\":%.1f,\"max_rss_kb\":%d,\"errors\":%d}",
            options.records, seconds, records / seconds, bytes / seconds / 1e6,
            to.user() - from.user(), to.system() - from.system(),
            from.cpuSecondsTo(to) * 1e9 / records, to.maxRssKb(), errors);
    }

    /** Latencies in nanoseconds; they are sorted. */
    static void latency(Usage from, Usage to, long[] latencies, long errors) {
        print("{%s}", latencyKeys(from, to, latencies, errors));
    }

    /** Lateness: how long after its time each record was handed over, in nanoseconds. */
    static void paced(Options options, Usage from, Usage to, long[] latencies, long[] lateness,
            long errors) {
        Arrays.sort(lateness);
        print("{%s,\"rate\":%d,\"late_p50_us\":%.1f,\"late_p99_us\":%.1f}",
            latencyKeys(from, to, latencies, errors), options.rate, microsAt(lateness, 0.5),
            microsAt(lateness, 0.99));
    }

    private static String latencyKeys(Usage from, Usage to, long[] latencies, long errors) {
        Arrays.sort(latencies);
        int records = latencies.length;
        double mean = Arrays.stream(latencies).asDoubleStream().sum() / records / 1e3;
        return String.format(Locale.ROOT,
            "\"peer\":\"java\",\"latency\":true,\"records\":%d,\"seconds\":%.4f,\"mean_us\":%.1f,"
                + "\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"min_us\":%.1f,"
                + "\"max_us\":%.1f,\"cpu_us_per_send\":%.2f,\"max_rss_kb\":%d,\"errors\":%d",
            records, from.secondsTo(to), mean, microsAt(latencies, 0.5),
            microsAt(latencies, 0.99), microsAt(latencies, 0.999), microsAt(latencies, 0),
            microsAt(latencies, 1), from.cpuSecondsTo(to) * 1e6 / records, to.maxRssKb(), errors);
    }

    private static double microsAt(long[] sorted, double quantile) {
        return sorted[(int) ((sorted.length - 1) * quantile)] / 1e3;
    }

    private static void print(String format, Object... values) {
        System.out.println(String.format(Locale.ROOT, format, values));
        System.out.flush();
    }
}
