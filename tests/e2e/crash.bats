#!/usr/bin/env bats
# Nothing is ever lost: lay is killed at its steps, and its steps fail; crash.py says what has to hold then.
# Every step is tried with tests/run.sh --long, a sample of them otherwise.

load world

setup() { open_world; }
teardown() { close_world; }

# crash MODE SCENARIO SAMPLE
crash() {
  [[ -z ${LAY_TESTS_LONG-} ]] || set -- "$1" "$2" 1
  "$here/crash.py" "$@"
}

# crash_pull MODE SCENARIO SAMPLE
crash_pull() {
  start_registry "$world/registry"
  REGISTRY=$registry crash "$@"
}

@test "commit killed at any step loses nothing" { crash kill commit 5; }
@test "an uncompressed commit killed at any step loses nothing" { crash kill commit-none 7; }
@test "import killed at any step loses nothing" { crash kill import 7; }
@test "unpacking a layer, killed at any step, loses nothing" { crash kill import-tree 7; }
@test "load killed at any step loses nothing" { crash kill load 11; }
@test "load of a layout killed at any step loses nothing" { crash kill load-oci 11; }
@test "pull killed at any step loses nothing" { crash_pull kill pull 11; }
@test "pull and unpacking killed at any step lose nothing" { crash_pull kill pull-tree 11; }
@test "tag killed at any step loses nothing" { crash kill tag 4; }
@test "rmi killed at any step loses nothing else" { crash kill rmi 6; }
@test "prune killed at any step loses nothing that is needed" { crash kill prune 6; }

@test "a failing step of commit is told, and loses nothing" { crash fail commit 23; }
@test "a failing step of an uncompressed commit is told, and loses nothing" { crash fail commit-none 31; }
@test "a failing step of import is told, and loses nothing" { crash fail import 31; }
@test "a failing step while a layer is unpacked is told, and loses nothing" { crash fail import-tree 29; }
@test "a failing step of load is told, and loses nothing" { crash fail load 41; }
@test "a failing step of load of a layout is told, and loses nothing" { crash fail load-oci 41; }
@test "a failing step of pull is told, and loses nothing" { crash_pull fail pull 41; }
@test "a failing step of pull and unpacking is told, and loses nothing" { crash_pull fail pull-tree 41; }
@test "a failing step of tag is told, and loses nothing" { crash fail tag 11; }
@test "a failing step of rmi is told, and loses nothing else" { crash fail rmi 19; }
@test "a failing step of prune is told, and loses nothing that is needed" { crash fail prune 29; }

@test "a full stderr or stdout ends nothing that is under way" {
  small_image
  "$LAY" tag small other 2>/dev/full
  "$LAY" import "$world/small" again:1 2>/dev/full
  "$LAY" inspect again:1 >/dev/null
  run bash -c '"$LAY" images 2>&1 >/dev/full'
  [ "$status" -eq 1 ]
  [ "$output" = "lay: write the output: No space left on device" ]
}
