# Loaded after world.bash by the stories of crash.py.

# crash MODE SCENARIO SAMPLE: each SAMPLE-th step; with tests/run.sh --long all, or of what takes too long ten times as many.
crash() {
  local every=$3
  if [[ -n ${LAY_TESTS_LONG-} ]]; then
    [[ $1 == kill ]] && every=1 || every=$(((every + 9) / 10))
  fi
  in_memory "$BATS_TEST_DIRNAME/crash.py" "$1" "$2" "$every"
}

# crash_pull MODE SCENARIO SAMPLE
crash_pull() {
  [[ -n ${registry_pid-} ]] || start_registry "$world/registry"
  REGISTRY=$registry crash "$@"
}
