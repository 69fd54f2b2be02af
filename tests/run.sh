#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every test through ctest: the release build with all of them, the
# sanitizer build without the end-to-end ones, whose limits and times a sanitizer changes.
#   tests/run.sh [--long] [--tidy] [-- CTEST-ARGUMENTS...]
#     --long   also the cases that take minutes (LAY_TESTS_LONG=1), and libFuzzer with every fuzz target
#     --tidy   also clang-tidy over every source (slow)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '== %s\n' "$*"; }

check_format() {
  say "clang-format"
  git ls-files -z '*.cpp' '*.h' | xargs -0 -r clang-format --dry-run -Werror
}

check_tidy() {
  say "clang-tidy"
  run-clang-tidy -quiet -p build/release "^$PWD/(base|layerstore|registry|runner|src)/" >build/tidy.log 2>&1 ||
    { grep -E '(error|warning):' build/tidy.log | sort -u; return 1; }
}

# What many tests need; and what one needs that holds up others: made here if it can be, else that test tries again and
# says why not.
make_inputs() {
  tests/inputs/debian-base.sh && { tests/inputs/services-upper.sh || true; } && { tests/inputs/guest-kernel.sh || true; }
}

build() {
  local preset=$1
  say "build $preset"
  cmake --preset "$preset" >"build/$preset.log" || { cat "build/$preset.log"; return 1; }
  cmake --build --preset "$preset" >"build/$preset.log" || { tail -n 100 "build/$preset.log"; return 1; }
}

# Runs the tests of one preset; the rest of the arguments go to ctest. Tests that change the machine have one of their own
# or hold a common lock (tests/CMakeLists.txt), so parallel is safe.
run_tests() {
  local preset=$1
  shift
  say "test $preset"
  ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error "$@"
}

# Counts test cases in ctest's logs: Catch2's closing lines, TAP lines of bats, and SKIP_TEST lines of either.
summarize() {
  say "summary"
  local log logs=()
  for log in build/{release,asan}/Testing/Temporary/LastTest.log; do
    [[ ! -e $log ]] || logs+=("$log")
  done
  cat /dev/null "${logs[@]}" | awk '
    function skip(what) { skipped++; print "skipped: " what }
    /^SKIPPED: /              { passed--; skip(substr($0, 10)) }
    /^ok [0-9]+ .*# skip/     { skip($0); next }
    /^ok [0-9]+ /             { passed++ }
    /^not ok [0-9]+ /         { failed++; print "failed: " $0 }
    /^All tests passed \(/    { passed += $(NF - 2) }
    /^test cases: /           { for (i = 1; i <= NF; i++) { if ($i == "passed") passed += $(i - 1)
                                                            if ($i == "failed") failed += $(i - 1) } }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }'
}

main() {
  local tidy=no failed=()
  while (($# > 0)); do
    case $1 in
      --long) export LAY_TESTS_LONG=1 ;;
      --tidy) tidy=yes ;;
      --) shift && break ;;
      *) echo "run.sh: unknown argument '$1'" >&2; sed -n '4,6s/^# *//p' "$0" >&2; exit 2 ;;
    esac
    shift
  done
  ((EUID == 0)) || { echo "run.sh: the tests make mounts, cgroups and links: run this as root" >&2; exit 1; }

  mkdir -p build
  rm -f build/{release,asan}/Testing/Temporary/LastTest.log
  tests/install-packages.sh build test
  # The inputs come over the network while the compiler has the cores.
  make_inputs >build/inputs.log 2>&1 &
  local inputs=$!
  check_format || failed+=(clang-format)
  build release
  build asan
  [[ $tidy == no ]] || check_tidy || failed+=(clang-tidy)
  say "inputs"
  wait "$inputs" || { cat build/inputs.log; exit 1; }
  run_tests release "$@" || failed+=("tests release")
  run_tests asan --label-exclude e2e "$@" || failed+=("tests asan")
  [[ -z ${LAY_TESTS_LONG-} ]] || { say "fuzz" && tests/fuzz/run.sh; } || failed+=(fuzz)
  summarize
  ((${#failed[@]} == 0)) || { printf 'failed: %s\n' "${failed[@]}"; exit 1; }
}

main "$@"
