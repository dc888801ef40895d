#!/usr/bin/env bash
# Runs the real-Kafka tests against brokers that it starts on loopback and stops again.
#
#   real-kafka-tests.sh [one] [three] [legacy]      default: all of them, one after the other
#
# Needs Java 17 and Maven, which fetches Kafka once (see kafka.sh). KAFKA_TEST_RECORDS sets the
# number of records per codec, KAFKA_TEST_CHAOS_RECORDS that of the test that kills brokers;
# full runs use 1000000 and 200000.
#
# Against a cluster of your own, without this script:
#   KAFKA_BOOTSTRAP=host:9092 cargo test --release -p producer-tokio --test real_kafka
set -euo pipefail
cd "$(dirname "$0")/.."

kafka() { scripts/kafka.sh "$@"; }
tests() { cargo test --release -p producer-tokio --test real_kafka -- --test-threads=1 --nocapture; }
running=
trap '[ -z "$running" ] || kafka stop "$running"' EXIT

[ $# -gt 0 ] || set -- one three legacy
for cluster in "$@"; do
  echo "--- real Kafka: $cluster"
  running=$cluster
  bootstrap=$(kafka start "$cluster")
  case $cluster in
    one) KAFKA_BOOTSTRAP=$bootstrap tests ;;
    three) KAFKA_BOOTSTRAP=$bootstrap KAFKA_BOOTSTRAP_THREE=$bootstrap KAFKA_TEST_REPLICATION=3 tests ;;
    legacy) KAFKA_BOOTSTRAP_LEGACY=$bootstrap tests ;;
    *) echo "no such cluster: $cluster" >&2; exit 2 ;;
  esac
  kafka stop "$cluster"
  running=
done
