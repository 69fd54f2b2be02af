#!/usr/bin/env bats
# Each process of a container's life is killed at each of its system calls; crash_each.py says what has to hold then.
# Every call is tried with tests/run.sh --long, a sample of them otherwise.

load ../support/world

setup() {
  open_world
  make_small_root
}
teardown() { leave_world; }

# crash SCENARIO SAMPLE
crash() {
  [[ -z ${LAY_TESTS_LONG-} ]] || set -- "$1" 1
  "$BATS_TEST_DIRNAME/crash_each.py" "$@"
}

@test "run: whoever is killed at any call, lay, supervisor, first process or another, the next command clears it" {
  crash run 601
  crash run-detached 457
}
@test "run with a user namespace on a network of the user's, and start: whoever is killed, the next command clears it" {
  crash run-mapped 601
  crash start 457
}
@test "stop and rm -f: whoever is killed at any call, they can be given again" {
  crash stop 151
  crash rm 151
}
@test "network connect and disconnect: whoever is killed at any call, they can be given again" {
  crash connect 179
  crash disconnect 103
}
@test "pause and update: whoever is killed at any call, the container goes on and they can be given again" {
  crash pause 79
  crash update 79
}
