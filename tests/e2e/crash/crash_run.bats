#!/usr/bin/env bats
# lay, its supervisor and the container's first process are killed at the steps of a container's life; crash_run.py says
# what has to hold then. Every step is tried with tests/run.sh --long, a sample of them otherwise.

load ../support/world

setup() {
  open_world
  make_small_root
}
teardown() { close_world; }

# crash SCENARIO SAMPLE
crash() {
  [[ -z ${LAY_TESTS_LONG-} ]] || set -- "$1" 1
  "$BATS_TEST_DIRNAME/crash_run.py" "$@"
  wait_until 20 nothing_mounted_below "$world"
}
nothing_mounted_below() { ! grep -qF " $1/" /proc/self/mountinfo; }

@test "run killed at any step leaves nothing that the next command does not clear" { crash run 29; }
@test "run -d killed at any step leaves nothing that the next command does not clear" { crash run-detached 23; }
@test "start killed at any step leaves nothing that the next command does not clear" { crash start 23; }
@test "exec killed at any step leaves nothing, and the container as it was" { crash exec 7; }
@test "stop killed at any step can be given again" { crash stop 7; }
@test "rm -f killed at any step can be given again" { crash rm 13; }

@test "who starts a process in the background does not wait for ever when the one between them is killed" {
  small_image
  local status=0
  # In a network namespace of its own, where every link is lay's; its threads make malloc and stdio lock
  timeout -s KILL 20 unshare --net strace -f -qq -o /dev/null -e trace=clone -e inject=clone:signal=KILL:when=1 \
    "$LAY" run --rm small true >said 2>&1 || status=$?
  ((status != 137))  # what timeout(1) says
  "$LAY" run --rm --network none small true
}
