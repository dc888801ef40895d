#!/usr/bin/env bash
# Builds everything that run.py starts, or the parts that are named: data ours rust go java
set -euo pipefail
cd "$(dirname "$0")"

build() {
  case $1 in
    data) ./gen_payload.py ;;
    ours) (cd ../.. && cargo build --release -p producer-cli) ;;
    rust) cargo build --release ;;
    go) (cd go && go build -o bin/franz ./franz && go build -o bin/sarama ./sarama) ;;
    java) (cd java && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib \
      && javac -cp 'lib/*' -d classes src/bench/*.java) ;;
    *) echo "build.sh: no part $1; there are data, ours, rust, go and java" >&2; exit 2 ;;
  esac
}

[ $# -gt 0 ] || set -- data ours rust go java
for part in "$@"; do build "$part"; done
