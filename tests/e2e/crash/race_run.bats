#!/usr/bin/env bats
# Several lays on one container at the same time; see race_run.py.

load ../support/world

setup() {
  open_world
  make_small_root
}
teardown() { close_world; }

@test "E09: run, stop, kill, exec, start and rm of one name at once neither hang nor leave anything" {
  local rounds=400
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=2000
  "$BATS_TEST_DIRNAME/race_run.py" "$rounds"
}
