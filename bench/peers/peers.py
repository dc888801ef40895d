"""The load generators: how each is started, what it can measure, what it needs."""
import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ALL = frozenset(["throughput", "latency", "paced"])


@dataclass(frozen=True)
class Peer:
    name: str
    # Program and first arguments; a name without a slash is one of Cargo's binaries.
    command: list
    # Which part of build.sh makes it.
    part: str
    measures: frozenset = ALL
    is_idempotent: bool = True
    # Whether it finds the leaders of partitions.
    is_routing: bool = True
    # A virtual machine: the compiler wants about 10 s before the numbers are stable.
    is_jitted: bool = False
    # May stall for 40 ms at a time, see the README.
    may_stall: bool = False


def without(*measures):
    return ALL.difference(measures)


def ours(name, runtime=None, *options, measures=ALL):
    command = ["producer", "perf", "--runtime", runtime or name, *options]
    return Peer("ours-" + name, command, "ours", measures)


def limit(batches, measures):
    command = ["limit", "--batches", str(batches)]
    return Peer("limit-%d" % batches, command, "rust", measures, is_idempotent=False, is_routing=False)


def rskafka(mode, measures):
    command = ["rskafka-peer", "--mode", mode]
    return Peer("rskafka-" + mode, command, "rust", measures, is_idempotent=False, may_stall=True)


JAVA = ["java", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-cp", "java/lib/*:java/classes", "bench.JavaPeer"]

PEERS = {
    peer.name: peer
    for peer in [
        limit(1, without("paced")),
        limit(4, frozenset(["throughput"])),
        ours("tokio"),
        ours("tokio-workers", "tokio", "--workers", measures=without("paced")),
        ours("mio"),
        ours("smol"),
        Peer("ours-mio-loop", ["mio-loop"], "rust", frozenset(["latency"])),
        Peer("java", JAVA, "java", is_jitted=True),
        Peer("rdkafka", ["rdkafka-peer"], "rust"),
        Peer("franz", ["go/bin/franz"], "go"),
        Peer("sarama", ["go/bin/sarama"], "go"),
        rskafka("direct", without("paced")),
        rskafka("batch", without("latency")),
    ]
}


def target_dirs(given):
    """Where Cargo may have put its binaries: as it was told, else in the two workspaces."""
    if given or os.environ.get("CARGO_TARGET_DIR"):
        return [Path(given or os.environ["CARGO_TARGET_DIR"])]
    return [HERE / "target", HERE.parent.parent / "target"]


def binary(name, part, directories):
    """The path of one of Cargo's binaries; ends the program when it is not there."""
    for directory in directories:
        path = directory.resolve() / "release" / name
        if path.exists():
            return str(path)
    places = " or ".join(str(directory / "release") for directory in directories)
    raise SystemExit("there is no %s in %s: run ./build.sh %s" % (name, places, part))


def argv(peer, directories):
    """The command line of a peer; ends the program when it is not built."""
    program, *rest = peer.command
    if peer.part in ("ours", "rust"):
        return [binary(program, peer.part, directories)] + rest
    needed = HERE / ("java/classes/bench" if peer.part == "java" else program)
    if not needed.exists():
        raise SystemExit("there is no %s: run ./build.sh %s" % (needed, peer.part))
    return [program] + rest


def chosen(names, measure):
    """The peers to measure: all that can, or those that are named."""
    if not names:
        return [peer for peer in PEERS.values() if measure in peer.measures]
    peers = []
    for name in names.split(","):
        if name not in PEERS:
            raise SystemExit("no peer %s; there are %s" % (name, ", ".join(PEERS)))
        if measure not in PEERS[name].measures:
            raise SystemExit("%s does not measure %s" % (name, measure))
        peers.append(PEERS[name])
    return peers
