#!/usr/bin/env python3
"""Measure producers beside each other; see README.md.

  ./run.py sink      throughput and CPU time, records go to the sink, which is started
  ./run.py kafka     the same, records go to a real Kafka: scripts/kafka.sh start one
  ./run.py latency   one record in flight, no linger
  ./run.py paced     the same rate for all, latencies from when each record was due

Every invocation makes a file in results/, which report.py reads: a line about the machine, then
one for each run. Within a repetition the peers take turns: A B C, A B C.
"""
import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass

from brokers import PARTITIONS, Kafka, Sink
from peers import HERE, argv, binary, chosen, target_dirs

TIMEOUT_S = 180
SETTINGS = {
    "default": {"linger-ms": 5, "batch-bytes": 16384, "buffer-bytes": 32 << 20},
    "tuned": {"linger-ms": 50, "batch-bytes": 1000000, "buffer-bytes": 128 << 20},
}
# Throughput runs are about so long, by a number of records that a first run suggests.
RUN_S = 1.3
MOST_RECORDS, MOST_BYTES = 20_000_000, 2_500_000_000
# Seconds of load for a real broker before it is measured with.
BROKER_WARMUP_S = 20
# Records of a virtual machine: warm-up and run, by size of the values.
JITTED = {100: (10_000_000, 2_000_000), 1000: (6_000_000, 500_000)}
# Lone records: warm-up, that of a virtual machine, and how many are measured.
LONE_WARMUP, LONE_WARMUP_JITTED, LONE_RECORDS = 2_000, 30_000, 20_000
# From this mean on, a peer that may stall gets fewer lone records.
STALL_US, STALLED_RECORDS = 5_000, 500
# Seconds of warm-up of paced load, and that of a virtual machine.
PACED_WARMUP_S, PACED_WARMUP_JITTED_S = 2, 10


@dataclass(frozen=True)
class Combo:
    """A row of the throughput tables."""

    size: int
    settings: str
    compression: str
    keyed: bool

    @property
    def name(self):
        keyed = "keyed" if self.keyed else "unkeyed"
        return "%dB/%s/%s/%s" % (self.size, self.settings, self.compression, keyed)

    def options(self):
        options = {"size": self.size, "compression": self.compression, "keyed": int(self.keyed)}
        return {**options, **SETTINGS[self.settings]}


def combos(only):
    """The rows whose names have `only` in them. Keys are not combined with codecs."""
    every = itertools.product((100, 1000), SETTINGS, ("none", "lz4", "zstd"), (False, True))
    rows = [Combo(*values) for values in every]
    rows = [row for row in rows if not (row.keyed and row.compression != "none") and only in row.name]
    if not rows:
        raise SystemExit("no row has %r in its name, which is like 100B/default/none/unkeyed" % only)
    return rows


class Bench:
    """The runs of one invocation: where they go, and what they found."""

    def __init__(self, arguments, broker, prefix):
        self.arguments = arguments
        self.broker = broker
        self.prefix = prefix
        self.directories = target_dirs(arguments.target_dir)
        self.number = 0
        self.problems = []

    def measure(self, peer, options, row):
        """One run: its line, with what arrived at the broker. It goes to the results if it has a row."""
        self.number += 1
        topic = "bench-%d-%d" % (os.getpid(), self.number)
        self.broker.begin(topic)
        options = {"bootstrap": self.broker.bootstrap, "topic": topic, "acks": -1, "data": HERE / "data",
                   "partitions": self.broker.partitions, "idempotent": int(peer.is_idempotent), **options}
        line = self.start(peer, options)
        stored = self.broker.end(topic)
        line["stored"] = stored
        line["missing"] = options["records"] + options["warmup"] - stored["records"]
        if row is not None:
            line.update(name=peer.name, target=self.broker.name, **row)
            self.note(peer, line)
        return line

    def start(self, peer, options):
        words = [str(word) for name, value in options.items() for word in ("--" + name, value)]
        command = self.prefix + argv(peer, self.directories) + words
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=HERE)
        except subprocess.TimeoutExpired:
            return {"failed": "it took more than %d s" % TIMEOUT_S}
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                return json.loads(line)
        return {"failed": done.stderr[-300:].strip() or "exit status %d" % done.returncode}

    def note(self, peer, line):
        """Keeps and shows a line."""
        faults = faults_of(line)
        if faults:
            self.problems.append("%s %s: %s" % (peer.name, line["combo"], ", ".join(faults)))
        with open(self.arguments.out, "a") as out:
            out.write(json.dumps(line) + "\n")
        if "p50_us" in line:
            numbers = "p50 %(p50_us).1f  p99 %(p99_us).1f  p99.9 %(p999_us).1f us  cpu %(cpu_us_per_send).2f us" % line
        elif "records_per_s" in line:
            numbers = "%(records_per_s)10.0f/s  cpu %(cpu_ns_per_record)8.1f ns" % line
        else:
            numbers = ""
        print("%-30s %-15s %s %s" % (line["combo"], peer.name, numbers, " ".join(faults)), flush=True)


def faults_of(line):
    """What must not be in a run."""
    if "failed" in line:
        return [line["failed"]]
    faults = {"errors": line["errors"], "missing": line["missing"]}
    names = ("crc_errors", "record_errors", "sequence_errors", "misrouted", "malformed")
    faults.update({name: line["stored"].get(name, 0) for name in names})
    return ["%s=%d" % fault for fault in faults.items() if fault[1]]


def warm_up(bench, peer, combo):
    """Lets a real broker compile what it runs: a fresh one was up to twice as slow."""
    until = time.monotonic() + BROKER_WARMUP_S
    while time.monotonic() < until:
        bench.measure(peer, {**combo.options(), "records": 200_000, "warmup": 2_000}, None)


def measure_throughput(bench, peers):
    if bench.broker.name == "kafka" and not bench.arguments.records:
        warm_up(bench, peers[0], combos(bench.arguments.only)[0])
    counts = {}
    for combo in combos(bench.arguments.only):
        for repetition, peer in itertools.product(range(bench.arguments.reps), peers):
            key = (combo, peer.name)
            if key not in counts:
                counts[key] = throughput_counts(bench, peer, combo)
            bench.measure(peer, {**combo.options(), **counts[key]}, {
                "combo": combo.name, "rep": repetition, "size": combo.size,
            })


def throughput_counts(bench, peer, combo):
    """How many records to send, and to send before."""
    if bench.arguments.records:
        return {"records": bench.arguments.records, "warmup": bench.arguments.records // 8}
    if peer.is_jitted:
        warmup, records = JITTED[combo.size]
        # A run that is slow for other reasons gets there with fewer.
        is_slow = bench.broker.name == "kafka" or (combo.size == 1000 and combo.compression != "none")
        return {"records": records, "warmup": warmup // 2 if is_slow else warmup}
    line = bench.measure(peer, {**combo.options(), "records": 20_000, "warmup": 2_000}, None)
    if line.get("seconds", RUN_S) < 1:
        records = max(20_000, int(line["records_per_s"] * 0.4))
        line = bench.measure(peer, {**combo.options(), "records": records, "warmup": 2_000}, None)
    records = int(line.get("records_per_s", 10_000) * RUN_S)
    records = max(10_000, min(records, MOST_RECORDS, MOST_BYTES // combo.size))
    return {"records": records, "warmup": records // 8}


def measure_latency(bench, peers):
    combo = "lone 100B" + (" pinned" if bench.prefix else "")
    for repetition, peer in itertools.product(range(bench.arguments.reps), peers):
        records = bench.arguments.records or LONE_RECORDS
        warmup = LONE_WARMUP_JITTED if peer.is_jitted else LONE_WARMUP
        options = {"size": 100, "latency": 1, "records": records, "warmup": warmup}
        if peer.may_stall:
            probe = bench.measure(peer, {**options, "records": 50, "warmup": 10}, None)
            if probe.get("mean_us", 0) > STALL_US:
                options.update(records=STALLED_RECORDS, warmup=20)
        bench.measure(peer, options, {"combo": combo, "rep": repetition, "size": 100})


def measure_paced(bench, peers):
    rate = bench.arguments.rate
    combo = "paced %d/s 100B" % rate
    for repetition, peer in itertools.product(range(bench.arguments.reps), peers):
        warmup = rate * (PACED_WARMUP_JITTED_S if peer.is_jitted else PACED_WARMUP_S)
        records = rate * bench.arguments.seconds
        if bench.arguments.records:
            records, warmup = bench.arguments.records, bench.arguments.records // 8
        options = {"size": 100, "rate": rate, "records": records, "warmup": warmup, **SETTINGS["default"]}
        bench.measure(peer, options, {"combo": combo, "rep": repetition, "size": 100})


def about(arguments):
    """The machine, the versions and the options: what a table needs beside it."""
    def first_line(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
        except OSError:
            return "not installed"
        return ((done.stdout or done.stderr).splitlines() or ["unknown"])[0]

    def fields(path):
        with open(path) as file:
            pairs = (line.split(":", 1) for line in file if ":" in line)
            return {name.strip(): value.strip() for name, value in pairs}

    memory_kb = int(fields("/proc/meminfo")["MemTotal"].split()[0])
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "cpu": "%d x %s" % (os.cpu_count(), fields("/proc/cpuinfo").get("model name", platform.machine())),
        "memory": "%.0f GiB" % (memory_kb / (1 << 20)),
        "system": "%s %s" % (platform.system(), platform.release()),
        "versions": [first_line("rustc", "--version"), first_line("go", "version"), first_line("java", "-version")],
        "commit": first_line("git", "rev-parse", "--short", "HEAD"),
        "options": {name: value for name, value in vars(arguments).items()
                    if value is not None and name not in ("out", "target_dir", "rows")},
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["sink", "kafka", "latency", "paced"])
    parser.add_argument("--peers", metavar="A,B", help="only these, in this order")
    parser.add_argument("--reps", type=positive, default=5, metavar="N", help="repetitions, 5 by default")
    parser.add_argument("--only", default="", metavar="TEXT", help="sink, kafka: rows with this in their name")
    parser.add_argument("--records", type=positive, metavar="N",
                        help="so many for each peer, and an eighth before; for a check, not for figures")
    parser.add_argument("--target", choices=["sink", "kafka"], default="sink", help="latency, paced: where to")
    parser.add_argument("--pin", metavar="CPU", help="latency: sink and client on this CPU, so that it is repeatable")
    parser.add_argument("--rate", type=positive, default=150_000, metavar="N", help="paced: records per second")
    parser.add_argument("--seconds", type=positive, default=5, metavar="N", help="paced: length of a run")
    parser.add_argument("--brokers", type=positive, default=1, metavar="N", help="brokers of the sink")
    parser.add_argument("--partitions", type=positive, default=PARTITIONS, metavar="N", help="partitions of a topic")
    parser.add_argument("--crc", action="store_true", help="the sink checks CRCs and records; slow")
    parser.add_argument("--kafka", default="127.0.0.1:27092", metavar="HOST:PORT", help="address of the real Kafka")
    parser.add_argument("--target-dir", metavar="DIR", help="of Cargo; CARGO_TARGET_DIR, or those of the workspaces")
    parser.add_argument("--out", metavar="FILE", help="results; results/MODE-TIME.jsonl by default")
    arguments = parser.parse_args()
    if arguments.pin is not None and arguments.mode != "latency":
        parser.error("--pin is for latency")
    if arguments.out is None:
        (HERE / "results").mkdir(exist_ok=True)
        name = "%s-%s.jsonl" % (arguments.mode, time.strftime("%Y%m%dT%H%M%S", time.gmtime()))
        arguments.out = str(HERE / "results" / name)
    return arguments


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def broker_of(arguments, prefix):
    target = arguments.mode if arguments.mode in ("sink", "kafka") else arguments.target
    if target == "kafka":
        return Kafka(arguments.kafka, arguments.partitions)
    path = binary("sink", "rust", target_dirs(arguments.target_dir))
    return Sink(path, prefix, arguments.brokers, arguments.partitions, arguments.crc)


def main():
    arguments = parse()
    measures = {"latency": measure_latency, "paced": measure_paced}
    measure = measures.get(arguments.mode, measure_throughput)
    peers = chosen(arguments.peers, arguments.mode if arguments.mode in measures else "throughput")
    if arguments.brokers > 1:
        peers = [peer for peer in peers if peer.is_routing]
    for peer in peers:
        argv(peer, target_dirs(arguments.target_dir))  # all are there, before the first is run
    prefix = ["taskset", "-c", arguments.pin] if arguments.pin is not None else []
    with open(arguments.out, "w") as out:
        out.write(json.dumps({"about": about(arguments)}) + "\n")
    with broker_of(arguments, prefix) as broker:
        bench = Bench(arguments, broker, prefix)
        measure(bench, peers)
    print("results: " + os.path.relpath(arguments.out))
    if bench.problems:
        sys.exit("\n".join(["", "faults:"] + bench.problems))


if __name__ == "__main__":
    main()
