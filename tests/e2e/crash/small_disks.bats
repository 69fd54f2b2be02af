#!/usr/bin/env bats
# Too little room at every step of every command; small_disks.py says what has to hold then.

load ../support/world

setup() { open_world; }
teardown() {
  local disk
  for disk in "$world"/disk "$world"/*/disk; do
    ! mountpoint -q "$disk" || wait_until 10 umount "$disk"
  done
  close_world
}

# scarce KIND[:SIZE[:FLAGS]] [COMMAND...]
scarce() {
  start_registry "$world/registry"
  REGISTRY=$registry python3 "$BATS_TEST_DIRNAME/small_disks.py" "$@"
}

# sizes KIND SIZE...: all of them in the long form, the first otherwise.
sizes() {
  local kind=$1 size
  shift
  start_registry "$world/registry"
  for size in "$1" ${LAY_TESTS_LONG:+"${@:2}"}; do
    mkdir "$size"
    (cd "$size" && REGISTRY=$registry python3 "$BATS_TEST_DIRNAME/small_disks.py" "$kind:$size") || return 1
  done
}

@test "what meets a full ext4 says so, leaves the store good, and works with more room" { sizes ext4 32m 24m 48m 64m 96m 128m 192m 256m; }
@test "what meets a full tmpfs says so, leaves the store good, and works with more room" {
  [[ -z ${LAY_TESTS_LONG-} ]] || set -- commit import load load-oci pull save save-oci export copy-layout bundle
  scarce tmpfs:32m import-tree load-oci-tree pull-tree repair serve "$@"
}
@test "what meets an ext4 without inodes says so, leaves the store good, and works with more" { scarce "inodes-ext4:48m:-N 1200" import-tree pull-tree pull; }
@test "what meets a tmpfs without inodes says so, leaves the store good, and works with more" { scarce inodes-tmpfs:48m:nr_inodes=1200 import-tree pull-tree commit load; }
@test "what meets the limit of the size of files says so, and leaves the store good" { scarce fsize commit import import-tree load pull save export; }

# fsck_on_full_disk: on $world/disk there is no room for one small file more; a good layer is good there, too.
fsck_on_full_disk() {
  export LAY_ROOT=$world/disk/root
  mkdir tree
  echo content >tree/file
  tar -C tree -cf tree.tar .
  "$LAY" import -q tree.tar app:1
  [ -n "$(ls "$LAY_ROOT/layers")" ]
  mkdir disk/ballast
  local i=0
  while : >"disk/ballast/$i"; do i=$((i + 1)); done 2>/dev/null
  run "$LAY" fsck -q
  [[ $output != *damaged\ layer* ]] || { echo "$output"; return 1; }
  rm -r disk/ballast
  "$LAY" fsck -q
}

@test "fsck of mounted layers calls nothing damaged because the disk is full" {
  open_disk ext4 8m
  fsck_on_full_disk
}

@test "fsck of unpacked layers calls nothing damaged because the disk is full" {
  export LAY_LAYER_FORM=tree
  open_disk ext4 8m
  fsck_on_full_disk
}
