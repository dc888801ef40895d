#!/usr/bin/env python3
"""Markdown tables of what run.py has found, median and [least-most] of the repetitions.

    ./report.py [--reference ours-tokio] [FILE ...]

Without a file: the last one of each mode in results/. Files of `limit --mode floors` are told apart
by themselves. The tables of ratios have the reference's median divided by the peer's.
"""
import argparse
import json
import statistics
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODES = ["sink", "kafka", "latency", "paced", "floors"]
ORDER = ["limit-1", "limit-4", "ours-tokio", "ours-tokio-workers", "ours-mio", "ours-smol", "ours-mio-loop", "java", "rdkafka", "franz",
         "sarama", "rskafka-direct", "rskafka-batch"]
NONE = "–"


def last_files():
    """The newest file of each mode; their names sort by time."""
    files = [sorted((HERE / "results").glob(mode + "-*.jsonl")) for mode in MODES]
    return [of_mode[-1] for of_mode in files if of_mode]


def load(path):
    """What the file says about its invocation, and its lines."""
    with open(path) as file:
        lines = [json.loads(line) for line in file if line.strip()]
    about = lines.pop(0)["about"] if lines and "about" in lines[0] else None
    return about, lines


def in_order(names):
    known = {name: place for place, name in enumerate(ORDER)}
    return sorted(set(names), key=lambda name: (known.get(name, len(ORDER)), name))


def seen(lines, key):
    """The values of a key, in the order of their first appearance."""
    return list(dict.fromkeys(line[key] for line in lines))


def of(lines, combo, name):
    return [line for line in lines if line["combo"] == combo and line["name"] == name]


def spread(values, digits):
    """Median and range."""
    if not values:
        return NONE
    numbers = statistics.median(values), min(values), max(values)
    return "%.*f [%.*f–%.*f]" % tuple(part for number in numbers for part in (digits, number))


def median(values, digits):
    return "%.*f" % (digits, statistics.median(values)) if values else NONE


def print_table(title, head, rows):
    print("\n**%s**\n" % title)
    print("| %s |" % " | ".join(head))
    print("|---|" + "---:|" * (len(head) - 1))
    for row in rows:
        print("| %s |" % " | ".join(row))


def print_grid(title, lines, cell):
    """A row for each combination, a column for each peer."""
    names = in_order(line["name"] for line in lines)
    rows = [[combo] + [cell(of(lines, combo, name)) for name in names] for combo in seen(lines, "combo")]
    print_table(title, [""] + names, rows)


def print_ratios(title, lines, key, reference):
    """The reference's median divided by each peer's."""
    names = [name for name in in_order(line["name"] for line in lines) if name != reference]
    rows = []
    for combo in seen(lines, "combo"):
        medians = {name: [line[key] for line in of(lines, combo, name)] for name in names + [reference]}
        medians = {name: statistics.median(values) for name, values in medians.items() if values}
        ratios = [medians[reference] / medians[name] if medians.get(name) and reference in medians else None
                  for name in names]
        rows.append([combo] + [NONE if ratio is None else "%.2f" % ratio for ratio in ratios])
    print_table("%s, %s / peer" % (title, reference), [""] + names, rows)


def print_about(mode, about, lines):
    print("\n### %s" % mode)
    if about:
        print("\n%(time)s, commit %(commit)s. %(cpu)s, %(memory)s, %(system)s. " % about + "; ".join(about["versions"])
              + ".\nOptions: " + ", ".join("%s=%s" % option for option in about["options"].items()) + ".")
    if lines and "name" in lines[0]:
        print("\n" + summary(lines))


def summary(lines):
    good = [line for line in lines if "failed" not in line]

    def count(has_fault):
        return sum(1 for line in good if has_fault(line))

    return "%d runs: %d failed, %d with errors, %d with records missing or repeated, %d with gaps in sequences." % (
        len(lines), len(lines) - len(good), count(lambda line: line["errors"]), count(lambda line: line["missing"]),
        count(lambda line: line["stored"].get("sequence_errors")))


def kernel_share(lines):
    cpu = [(line["sys_cpu_s"], line["user_cpu_s"] + line["sys_cpu_s"]) for line in lines]
    return median([100 * kernel / total for kernel, total in cpu if total], 0)


def batches(lines):
    stored = [line["stored"] for line in lines if line["stored"].get("batches")]
    size = median([each["batch_bytes"] / each["batches"] / 1024 for each in stored], 1)
    return NONE if not stored else "%s / %s" % (size, median([each["batches"] / each["requests"] for each in stored], 1))


def print_throughput(lines, reference):
    print_grid("Client CPU, ns per record", lines,
               lambda runs: spread([run["cpu_ns_per_record"] for run in runs], 0))
    print_ratios("Client CPU per record", lines, "cpu_ns_per_record", reference)
    print_grid("Thousand records per second", lines,
               lambda runs: spread([run["records_per_s"] / 1e3 for run in runs], 0))
    print_ratios("Records per second", lines, "records_per_s", reference)
    print_grid("Share of the CPU time in the kernel, %", lines, kernel_share)
    if any("batches" in line["stored"] for line in lines):
        print_grid("Mean batch, KiB / batches per request", lines, batches)
    print_grid("Peak memory, MiB", lines, lambda runs: median([run["max_rss_kb"] / 1024 for run in runs], 0))
    print_noise(lines)


def print_noise(lines):
    """How far the repetitions of a cell are apart."""
    noise = []
    for combo in seen(lines, "combo"):
        for name in seen(lines, "name"):
            values = [line["cpu_ns_per_record"] for line in of(lines, combo, name)]
            if len(values) > 1 and min(values) > 0:
                noise.append(100 * (max(values) - min(values)) / statistics.median(values))
    if noise:
        noise.sort()
        print("\n(most − least) / median of CPU per record over the cells: median %.0f %%, 90th percentile %.0f %%, "
              "worst %.0f %%." % (statistics.median(noise), noise[int(len(noise) * 0.9)], noise[-1]))


def print_latencies(lines, reference):
    keys = [("p50_us", "p50", 1), ("p99_us", "p99", 1), ("p999_us", "p99.9", 1), ("mean_us", "mean", 1),
            ("cpu_us_per_send", "CPU per record", 2)]
    if any("late_p99_us" in line for line in lines):
        keys.append(("late_p99_us", "p99 of lateness", 1))
    for combo in seen(lines, "combo"):
        rows = []
        for name in in_order(line["name"] for line in lines):
            runs = of(lines, combo, name)
            rows.append([name] + [spread([run[key] for run in runs], digits) for key, _, digits in keys])
        target = lines[0]["target"]
        print_table("%s, %s, µs" % (combo, target), [""] + [head for _, head, _ in keys], rows)
    print_ratios("p50", lines, "p50_us", reference)
    print_ratios("p99", lines, "p99_us", reference)


def print_floors(lines):
    columns = list(dict.fromkeys((line["size"], line["keyed"], line["batch"]) for line in lines))
    columns.sort()
    head = [""] + ["%d B%s, %d KiB" % (size, " keyed" if keyed else "", batch // 1024)
                   for size, keyed, batch in columns]
    rows = []
    for floor in seen(lines, "floor"):
        row = [floor]
        for column in columns:
            cell = [line for line in lines if line["floor"] == floor
                    and (line["size"], line["keyed"], line["batch"]) == column]
            row.append("%(ns_per_record).1f [%(min).1f–%(max).1f]" % cell[-1] if cell else NONE)
        rows.append(row)
    print_table("Floors in memory, one thread, ns per record", head, rows)


def print_file(path, reference):
    about, lines = load(path)
    mode = about["options"]["mode"] if about else "floors"
    print_about(mode, about, lines)
    good = [line for line in lines if "failed" not in line]
    if not good:
        print("\nNothing was measured.")
    elif "floor" in good[0]:
        print_floors(good)
    elif "p50_us" in good[0]:
        print_latencies(good, reference)
    else:
        print_throughput(good, reference)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", default="ours-tokio", metavar="PEER", help="ours-tokio by default")
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    files = arguments.files or last_files()
    if not files:
        raise SystemExit("nothing in results/: run ./run.py first")
    for path in files:
        print_file(path, arguments.reference)


if __name__ == "__main__":
    main()
