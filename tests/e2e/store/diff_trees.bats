#!/usr/bin/env bats
# diff between images, containers and uppers against a comparison of our own, on random trees; see diff_trees.py.

load ../support/world

setup() {
  open_world
  make_small_root
}
teardown() {
  ! mountpoint -q "$world/merged" || umount "$world/merged"
  close_world
}

rounds() { if [[ -n ${LAY_TESTS_LONG-} ]]; then echo 200; else echo "$1"; fi; }

@test "diff of random trees tells what a comparison file by file does" {
  python3 "$BATS_TEST_DIRNAME/diff_trees.py" "$(rounds 5)"
}

@test "diff of random trees in the form of folders tells what a comparison file by file does" {
  LAY_LAYER_FORM=tree python3 "$BATS_TEST_DIRNAME/diff_trees.py" "$(rounds 2)"
}
