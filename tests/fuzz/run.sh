#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer (clang 14) and searches with each for a while, beginning at its corpus. What is
# found lies in build/fuzz/findings; put the smallest such input into fuzz/corpus/<name>/ when it is mended.
#   tests/fuzz/run.sh [SECONDS [NAME...]]    60 seconds each, all of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# A target's inputs as they grow; the project's corpus is only read.
search() {
  local name=$1 seconds=$2 grown=build/fuzz/corpus/$1
  mkdir -p "$grown" build/fuzz/findings
  "build/fuzz/tests/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$grown" "tests/fuzz/corpus/$name" >"build/fuzz/$name.log" 2>&1 ||
    { tail -n 40 "build/fuzz/$name.log"; return 1; }
  awk -v name="$name" '/number_of_executed_units/ { runs = $2 } / cov: / { coverage = $4 }
    END { printf "%-12s %9d inputs, %5d edges\n", name, runs, coverage }' "build/fuzz/$name.log"
}

main() {
  local seconds=${1:-60} names=("${@:2}") name failed=0
  ((${#names[@]} > 0)) || mapfile -t names < <(ls tests/fuzz/corpus)
  mkdir -p build
  tests/install-packages.sh build fuzz
  { cmake --preset fuzz && cmake --build --preset fuzz; } >build/fuzz.log 2>&1 || { tail -n 40 build/fuzz.log; exit 1; }
  for name in "${names[@]}"; do
    search "$name" "$seconds" || failed=1
  done
  return "$failed"
}

main "$@"
