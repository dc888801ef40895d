#!/usr/bin/env bash
# Runs the real-Kafka tests on every runtime, against brokers that it starts on loopback and stops
# again.
#
#   real-kafka-tests.sh [one] [three] [legacy]      default: all of them, one after the other
#
# Needs Java 17 and Maven, which fetches Kafka once (see kafka.sh). KAFKA_TEST_RECORDS sets the
# number of records per codec and runtime, KAFKA_TEST_CHAOS_RECORDS that of the test that kills
# brokers, KAFKA_TEST_LEGACY_RECORDS that for the old broker; full runs use 1000000, 200000 and
# 10000. KAFKA_TEST_FILTER runs only the tests whose names contain one of its words, such as mio.
#
# Against a cluster of your own, without this script:
#   KAFKA_BOOTSTRAP=host:9092 cargo test --release -p real-kafka-tests
set -euo pipefail
cd "$(dirname "$0")/.."

kafka() { scripts/kafka.sh "$@"; }
tests() { # module...
  cargo test --release -p real-kafka-tests -- \
    --test-threads=1 --nocapture ${KAFKA_TEST_FILTER:-"$@"}
}
running=
trap '[ -z "$running" ] || kafka stop "$running"' EXIT

[ $# -gt 0 ] || set -- one three legacy
for cluster in "$@"; do
  case $cluster in one | three | legacy) ;; *) echo "no such cluster: $cluster" >&2; exit 2 ;; esac
  echo "--- real Kafka: $cluster"
  running=$cluster
  bootstrap=$(kafka start "$cluster")
  case $cluster in
    one)
      KAFKA_BOOTSTRAP=$bootstrap tests roundtrip:: refusal:: describing:: checker::
      # What the simulated broker says, held against this one.
      KAFKA_BOOTSTRAP=$bootstrap cargo test --release -p producer-sim --test broker fidelity:: -- --nocapture
      ;;
    # What does not depend on the number of brokers is not done again, but for one codec.
    three) KAFKA_BOOTSTRAP=$bootstrap KAFKA_BOOTSTRAP_THREE=$bootstrap KAFKA_TEST_REPLICATION=3 tests chaos:: zstd ;;
    legacy) KAFKA_BOOTSTRAP_LEGACY=$bootstrap tests legacy:: ;;
  esac
  kafka stop "$cluster"
  running=
done
