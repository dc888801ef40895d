#!/usr/bin/env bash
# Runs the fuzz targets, each for so many seconds, on top of the committed corpora:
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]     default: 60 seconds of each target
#   scripts/fuzz.sh minimise [TARGET...]      merges what was found into the committed corpora
#
# Works with a stable toolchain; where there is a nightly one, its address sanitizer is used too.
# Installs cargo-fuzz when it is missing. A finding stays in fuzz/artifacts/TARGET, and
# `cargo fuzz run TARGET FILE` repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo_fuzz_version=0.13.2
# The largest corpus that a target commits, in files.
kept=400
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz

if ! cargo fuzz --version >/dev/null 2>&1; then
  CARGO_TARGET_DIR=$CARGO_TARGET_DIR/tools \
    cargo install cargo-fuzz --version "$cargo_fuzz_version" --locked
fi

toolchain=
sanitizer=none
if [ -z "${FUZZ_STABLE:-}" ] && cargo +nightly --version >/dev/null 2>&1; then
  toolchain=+nightly
  sanitizer=address
fi
options=(--sanitizer "$sanitizer" --codegen-units 16)

first=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(cargo fuzz list)
fi

fuzz() { # command, options of cargo-fuzz...
  local command=$1; shift
  cargo ${toolchain:+"$toolchain"} fuzz "$command" "${options[@]}" "$@"
}

found() { # target: where new inputs go
  mkdir -p "$CARGO_TARGET_DIR/corpus/$1" "fuzz/corpus/$1"
  echo "$CARGO_TARGET_DIR/corpus/$1"
}

minimise() { # target
  local merged smallest
  merged=$(mktemp -d)
  fuzz run "$1" "$merged" "fuzz/corpus/$1" "$(found "$1")" -- -merge=1 -rss_limit_mb=4096
  rm -rf "fuzz/corpus/$1"
  mkdir -p "fuzz/corpus/$1"
  # The smallest inputs, named by what they hold.
  mapfile -t smallest < <(find "$merged" -type f -printf '%s %p\n' | sort -n | head -n "$kept" |
    cut -d' ' -f2)
  for input in ${smallest[@]+"${smallest[@]}"}; do
    cp "$input" "fuzz/corpus/$1/$(sha256sum "$input" | cut -c1-16)"
  done
  rm -rf "$merged"
  echo "$1: $(find "fuzz/corpus/$1" -type f | wc -l) inputs, $(du -sh "fuzz/corpus/$1" | cut -f1)"
}

if [ "$first" = minimise ]; then
  for target in "${targets[@]}"; do minimise "$target"; done
  exit
fi

fuzz build
for target in "${targets[@]}"; do
  echo "--- $target, $first s, sanitizer $sanitizer"
  fuzz run "$target" "$(found "$target")" "fuzz/corpus/$target" -- \
    -max_total_time="$first" -timeout=20 -rss_limit_mb=4096 -max_len=2048 -print_final_stats=1 \
    2>&1 | grep -vE '^#[0-9]+.*(NEW|REDUCE|RELOAD|pulse)|NEW_FUNC|^INFO:'
done
echo "${#targets[@]} fuzz targets, nothing found"
