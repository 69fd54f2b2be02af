#!/usr/bin/env bats
# What is on disk when: sync_order.py reads it from the trace of each command. Too few syncs lose something, too many
# cost time, so their number is pinned from both sides.

load ../support/world

setup() { open_world; }
teardown() { close_world; }

# in_order SCENARIO LEAST MOST, fails_once SCENARIO
in_order() { in_memory "$BATS_TEST_DIRNAME/sync_order.py" order "$@"; }
fails_once() { in_memory "$BATS_TEST_DIRNAME/sync_order.py" failing "$@"; }

with_registry() {
  start_registry "$world/registry"
  export REGISTRY=$registry
}

@test "C2.2, C2.4: a commit names only what is on disk, and is on disk when it tells so" {
  in_order commit 8 8
  in_order commit-none 8 8
  in_order commit-gzip 8 8
  in_order commit-container 8 8
}
@test "C2.2, C2.4: the first commit has the store itself on disk when it tells so" { in_order commit-first 13 17; }
@test "C2.2, C2.4: an import names only what is on disk, and is on disk when it tells so" {
  in_order import 8 8
  in_order import-tree 10 10
}
@test "C2.2, C2.4: a load names only what is on disk, and is on disk when it tells so" {
  in_order load 8 8
  in_order load-oci 10 10
}
@test "C2.2 to C2.4: a pull names only what is on disk, and is on disk when it tells so" {
  with_registry
  in_order pull 8 10
  in_order pull-tree 10 12
}
@test "C2.1: what a killed command left is named only when it is on disk" {
  local command
  for command in commit import load load-oci; do in_order "$command-again" 3 10; done
  with_registry
  in_order pull-again 3 10
}
@test "C2.4: a tag is on disk when it tells so" { in_order tag 2 2; }
@test "C2.5: nothing is removed before it is on disk that no name needs it" {
  in_order rmi 2 2
  in_order prune 0 0
  in_order prune-around 0 0
}
@test "C2.3: a layer of another boot is called synced when it is" {
  in_order recover 4 4
  in_order recover-torn 4 4
  in_order recover-tree 2 2
}
@test "C2.2, C2.3: what fsck --repair makes again is on disk when it tells so" {
  in_order repair-blob 3 3
  in_order repair-erofs 3 3
  in_order repair-tree 3 3
  with_registry
  in_order repair-fetched 4 16
}
@test "save and export leave it to their caller when their file goes to disk" {
  in_order save 0 0
  in_order export 0 0
}

@test "C2.6: a sync that fails within a commit is final: nothing is synced again, published or left" {
  local scenario
  for scenario in commit commit-none commit-container; do fails_once "$scenario"; done
}
@test "C2.6: a sync that fails within import, load, tag or rmi is final" {
  local scenario
  for scenario in import import-tree load load-oci tag rmi; do fails_once "$scenario"; done
}
@test "C2.6: a sync that fails within a pull is final" {
  with_registry
  fails_once pull
  fails_once pull-tree
}
@test "C2.6: a sync that fails while a layer of another boot is made good is final" {
  local scenario
  for scenario in recover recover-torn recover-tree; do fails_once "$scenario"; done
}
@test "C2.6: a sync that fails within fsck --repair is told" {
  local scenario
  for scenario in repair-erofs repair-blob repair-tree; do fails_once "$scenario"; done
}

@test "C2.9: --no-sync syncs nothing and says what that can cost" {
  small_image
  strace -f -qq -e trace=fsync,fdatasync,syncfs -o calls "$LAY" --no-sync commit -q ./small app:1 --base small 2>said >/dev/null
  [ ! -s calls ]
  has "$(cat said)" "a power cut can take what this command does"
}
