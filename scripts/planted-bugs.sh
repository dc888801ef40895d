#!/usr/bin/env bash
# A test of the tests: plants one bug after the other into the producer and counts the simulated
# runs until an oracle notices what it does not see without the bug.
#
#   scripts/planted-bugs.sh [SEEDS] [BUG...]     default: up to 20000 short honest runs, all bugs
#
# The bugs exist only with `--cfg planted_bugs`, in a target folder of their own. Exit status 1 when
# fewer than seven of eight are found.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=${1:-20000}
[ $# -eq 0 ] || shift
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/planted
RUSTFLAGS="--cfg planted_bugs" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
  cargo build --release --locked --quiet -p producer-cli
producer=$CARGO_TARGET_DIR/release/producer

bugs=("$@")
[ ${#bugs[@]} -gt 0 ] || mapfile -t bugs < <("$producer" simulate --plant list)

# The first seed from $2 on that fails with bug $1 and would not without it.
find_seed() { # bug, first
  local first=$2 out line status seed
  while [ "$first" -lt "$seeds" ]; do
    status=0
    out=$("$producer" simulate --plant "$1" --profile honest --first "$first" \
      --seeds $((seeds - first)) --jobs 1 2>&1) || status=$?
    [ "$status" -ne 0 ] || return 1
    line=$(grep -m1 '^FAIL' <<<"$out") || { printf '%s\n' "$out" >&2; exit 2; }
    seed=$(sed -n 's/.*--seed \([0-9]*\).*/\1/p' <<<"$line")
    if "$producer" simulate --seed "$seed" --profile honest >/dev/null 2>&1; then
      printf '%6s runs  %s\n' $((seed + 1)) "$(cut -c6-110 <<<"$line")"
      return 0
    fi
    first=$((seed + 1))
  done
  return 1
}

found=0
for bug in "${bugs[@]}"; do
  if line=$(find_seed "$bug" 0); then
    found=$((found + 1))
    printf '%-28s %s\n' "$bug" "$line"
  else
    printf '%-28s not found in %s runs\n' "$bug" "$seeds"
  fi
done
echo "$found of ${#bugs[@]} planted bugs found"
[ $((found * 8)) -ge $((${#bugs[@]} * 7)) ]
