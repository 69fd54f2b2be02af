#!/usr/bin/env bats
# lay's root on a file system that is shut down without flushing anything, as by a power cut, and mounted again.

load world

setup() {
  open_world
  mkdir upper
  echo more >upper/more
  head -c 2000000 /dev/urandom >upper/large
}
teardown() {
  close_disk
  close_world
}

# cut_power: nothing reaches the disk any more. EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number, and so are
# their flags for "do not flush the log".
cut_power() {
  python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$world/disk"
}

# next_boot COMMAND...: runs it on the disk as it is now, with a boot id that no layer knows.
next_boot() {
  cat /proc/sys/kernel/random/uuid >"$world/boot_id"
  unshare --mount --propagation private bash -ec '
    mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; exec "$@"' next_boot "$world/boot_id" "$@"
}

reboot() {
  close_disk
  open_disk
}

# a_store_on KIND: with one image that is on disk.
a_store_on() {
  open_disk "$1" 300m
  export LAY_ROOT=$world/disk/root
  small_image
  sync -f disk
}

# kept IMAGE: is whole, and runs.
kept() {
  next_boot "$LAY" fsck -q
  [ "$(next_boot "$LAY" run --rm --network none "$1" cat /more)" = more ]
  next_boot "$LAY" fsck -q
}

commit_survives() {
  a_store_on "$1"
  "$LAY" commit -q ./upper new:1 --base small
  cut_power
  reboot
  kept new:1
}

import_survives() {
  a_store_on "$1"
  echo more >small/more
  "$LAY" import ./small new:1
  cut_power
  reboot
  kept new:1
}

push_image() {
  start_registry "$world/registry"
  (export LAY_ROOT=$world/root2 && small_image && "$LAY" commit -q ./upper new:1 --base small &&
    "$LAY" push -q new:1 "$registry/new:1") >/dev/null
}

pull_survives() {
  push_image
  a_store_on "$1"
  "$LAY" pull -q "$registry/new:1"
  cut_power
  reboot
  kept "$registry/new:1"
}

# cut_at_random KIND COMMAND...: at moments within the command, again and again.
cut_at_random() {
  local kind=$1 rounds=4 round digest
  shift
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=60
  a_store_on "$kind"
  digest=$("$LAY" inspect -f '{{.Digest}}' small)
  for ((round = 0; round < rounds; round++)); do
    "$@" >/dev/null 2>&1 &
    sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
    cut_power
    wait $! || true
    reboot
    [ "$("$LAY" inspect -f '{{.Digest}}' small)" = "$digest" ]
    next_boot "$LAY" fsck -q --repair || { echo "in round $round"; return 1; }
    [ "$(next_boot "$LAY" run --rm --network none small echo hello)" = hello ]
    next_boot "$@" >/dev/null
    "$LAY" rmi "$image" >/dev/null
    sync -f disk
  done
}

@test "a commit that returned outlives a power cut: ext4" { commit_survives ext4; }
@test "a commit that returned outlives a power cut: xfs" { commit_survives xfs; }
@test "an import that returned outlives a power cut: ext4" { import_survives ext4; }
@test "an import that returned outlives a power cut: xfs" { import_survives xfs; }
@test "a pull that returned outlives a power cut: ext4" { pull_survives ext4; }
@test "a pull that returned outlives a power cut: xfs" { pull_survives xfs; }

@test "a power cut within a commit loses nothing else: ext4" {
  image=new:1 cut_at_random ext4 "$LAY" commit -q ./upper new:1 --base small
}
@test "a power cut within a commit loses nothing else: xfs" {
  image=new:1 cut_at_random xfs "$LAY" commit -q ./upper new:1 --base small
}
@test "a power cut within a pull loses nothing else: ext4" {
  push_image
  image=$registry/new:1 cut_at_random ext4 "$LAY" pull -q "$registry/new:1"
}
@test "a power cut within a pull loses nothing else: xfs" {
  push_image
  image=$registry/new:1 cut_at_random xfs "$LAY" pull -q "$registry/new:1"
}

@test "containers that start all at once after a reboot get whole layers" {
  small_image
  yes large | head -c 60000000 >upper/large
  "$LAY" commit -q ./upper app:1 --base small >/dev/null
  local round pids pid
  for round in 1 2 3; do
    wait_until 10 nothing_mounted
    rm -f "$LAY_ROOT"/layers/*/synced
    for boot in "$LAY_ROOT"/layers/*/boot; do cat /proc/sys/kernel/random/uuid >"$boot"; done
    [[ $round != 3 ]] || for image in "$LAY_ROOT"/layers/*/layer.erofs; do truncate -s 100 "$image"; done
    pids=()
    for number in 1 2 3 4 5 6 7 8; do
      "$LAY" run --rm --network none app:1 cat /more >"said.$number" 2>"told.$number" & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || { cat told.*; return 1; }; done
    [ "$(cat said.* | sort -u)" = more ]
  done
  "$LAY" fsck -q
}
