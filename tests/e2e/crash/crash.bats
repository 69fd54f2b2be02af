#!/usr/bin/env bats
# Nothing is ever lost: lay is killed at its steps; crash.py says what has to hold then. Every step is tried with
# tests/run.sh --long, a sample of them otherwise.

load ../support/world
load crash

setup() { open_world; }
teardown() { close_world; }

@test "commit killed at any step loses nothing" { crash kill commit 13; }
@test "the first commit killed at any step is as if it had not been" { crash kill commit-first 17; }
@test "an uncompressed commit killed at any step loses nothing" { crash kill commit-none 17; }
@test "a commit of a container killed at any step loses nothing" { crash kill commit-container 43; }
@test "import killed at any step loses nothing" { crash kill import 19; }
@test "unpacking a layer, killed at any step, loses nothing" { crash kill import-tree 19; }
@test "load killed at any step loses nothing" { crash kill load 31; }
@test "load of a layout killed at any step loses nothing" { crash kill load-oci 31; }
@test "pull killed at any step loses nothing" { crash_pull kill pull 31; }
@test "pull of layers that are here, killed at any step, loses nothing" { crash_pull kill pull-known 17; }
@test "pull and unpacking killed at any step lose nothing" { crash_pull kill pull-tree 37; }
@test "tag killed at any step loses nothing" { crash kill tag 7; }
@test "rmi killed at any step loses nothing else" { crash kill rmi 11; }
@test "prune killed at any step loses nothing that is needed" { crash kill prune 11; }
@test "prune killed at any step loses nothing that a container needs" { crash kill prune-around 31; }
@test "prune of a container killed at any step loses nothing else" { crash kill prune-container 47; }
@test "rm killed at any step loses nothing else" { crash kill rm 19; }
@test "save killed at any step writes all or nothing" { crash kill save 9; }
@test "export killed at any step writes all or nothing" { crash kill export 9; }
@test "the first use after a reboot, killed at any step, loses nothing" { crash kill recover 13; }
@test "the first use of torn layers, killed at any step, loses nothing" {
  crash kill recover-torn 17
  crash kill recover-lost 31
}
@test "the first use of layers without their tar, killed at any step, loses nothing" {
  crash kill recover-tar 29
  crash kill recover-tar-tree 31
}
@test "the first use of a layer that is unpacked for it, killed at any step, loses nothing" {
  crash kill recover-tree 13
}
@test "fsck --repair of a blob killed at any step loses nothing" { crash kill repair-blob 19; }
@test "fsck --repair of a layer killed at any step loses nothing" {
  crash kill repair-tar 31
  crash kill repair-erofs 31
  crash kill repair-torn 37
}
@test "fsck --repair of an unpacked layer killed at any step loses nothing" { crash kill repair-tree 29; }
@test "fsck --repair that fetches a blob, killed at any step, loses nothing" { crash_pull kill repair-fetched 59; }
@test "fsck --repair that fetches an absent blob, killed at any step, loses nothing" { crash_pull kill repair-absent 61; }
