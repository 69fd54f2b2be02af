#!/usr/bin/env bats
# lay's root on a file system with a quota that is reached: what fails says so and leaves nothing, and works when the quota
# is raised. btrfs counts by itself; the others need a kernel with CONFIG_QFMT_V2 or CONFIG_XFS_QUOTA.

load ../support/world
load short_of_room

setup() { open_world; }
teardown() {
  close_disk
  close_world
}

# open_limited_disk: with $LAY_ROOT on it.
open_limited_disk() {
  command -v btrfs >/dev/null || skip "btrfs-progs is not installed"
  grep -qw btrfs /proc/filesystems || skip "this kernel has no btrfs"
  open_disk btrfs 300m >/dev/null
  btrfs quota enable disk || skip "this btrfs has no quotas"
  export LAY_ROOT=$world/disk/root
}

# allow BYTES: so many more than there are.
allow() {
  sync -f disk
  btrfs quota rescan -w disk >/dev/null 2>&1 || true
  btrfs qgroup limit "$(($(btrfs qgroup show --raw disk | awk '$1 == "0/5" {print $2}') + $1))" disk
}
allow_all() { btrfs qgroup limit none disk; }

# exceeds IMAGE COMMAND...: the command, which would make IMAGE, fails for the quota and succeeds when it is raised.
exceeds() {
  allow 4000000
  fails_whole "Disk quota exceeded" allow_all "$@"
}

@test "who exceeds a quota is told so, the store stays as it was, and it works when the quota is raised" {
  make_sources
  open_limited_disk
  each_source exceeds
}

# fill_by_container FLAGS...: as much as the quota takes.
fill_by_container() {
  sync -f disk # what is not written yet counts for more than it is, and might keep it from starting
  allow 4000000
  run "$LAY" run "$@" --network none small dd if=/dev/zero of=/large bs=64k count=200
  has "$output" "/large': Disk quota exceeded"
  [ "$status" = 1 ]
}

@test "a container that exceeds a quota ends, and goes then or when the quota is raised" {
  open_limited_disk
  small_image
  "$LAY" run --rm --network none small true
  fill_by_container --rm --name c
  [ -z "$("$LAY" ps -aq)" ] || has "$output" "the end of container 'c'"
  allow_all
  "$LAY" prune -f >/dev/null
  [ -z "$("$LAY" ps -aq)" ]
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  "$LAY" fsck -q
}

@test "a container that has filled a quota can be removed, and makes room" {
  open_limited_disk
  small_image
  fill_by_container --name c
  "$LAY" rm -f c >/dev/null
  [ -z "$("$LAY" ps -aq)" ]
  sync -f disk
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
}

@test "an image that has filled a quota can be removed though nothing could be pruned" {
  open_limited_disk
  small_image
  mkdir upper
  head -c 8000000 /dev/urandom >upper/large
  "$LAY" commit -q ./upper large:1 --base small >/dev/null
  allow -1000000
  ! echo x >disk/probe || skip "this btrfs does not keep to its quota"
  "$LAY" rmi large:1 >/dev/null
  sync -f disk
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  "$LAY" fsck -q
}

@test "what nothing needs and has filled a quota can be pruned, and makes room" {
  open_limited_disk
  small_image
  add_garbage 8000000
  allow -1000000
  ! echo x >disk/probe || skip "this btrfs does not keep to its quota"
  refused 125 "Disk quota exceeded" "$LAY" run --rm --network none small true
  [ -z "$("$LAY" ps -aq)" ]
  "$LAY" prune -f >/dev/null
  sync -f disk
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  "$LAY" fsck -q
}
