#!/usr/bin/env bats
# lay's root on a file system that is shut down without flushing anything, as by a power cut, and mounted again. What
# lay said is done is there; what it had not said yet is whole or not there; no fsck --repair is needed for either.

load ../support/world

setup() {
  open_world
  mount -t tmpfs lay "$world"  # so that no sync waits for what others write to the machine's disk
  cd "$world"
  mkdir upper
  echo more >upper/more
  head -c 2000000 /dev/urandom >upper/large
}
teardown() {
  close_disk
  stop_registry
  cd /
  wait_until 10 umount "$world"
  close_world
}

# cut_power: nothing reaches the disk any more. EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number, and so are
# their flags for "do not flush the log". btrfs has none: there the disk is copied as it is, with nothing under way.
cut_power() {
  [[ $kind != btrfs ]] || { cp --sparse=always disk.img disk.cut; return; }
  python3 -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$world/disk"
}

# next_boot COMMAND...: runs it on the disk as it is now, with a boot id that no layer knows; what it mounts or leaves
# running goes with it.
next_boot() {
  cat /proc/sys/kernel/random/uuid >"$world/boot_id"
  unshare --mount --propagation private --pid --fork --kill-child --mount-proc bash -ec '
    mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; "$@"; exit $?' next_boot "$world/boot_id" "$@"
}

reboot() {
  close_disk
  [[ ! -e disk.cut ]] || mv disk.cut disk.img
  open_disk "$kind"
}

# a_store_on KIND: with one image, of which nothing is synced but by lay.
a_store_on() {
  kind=$1
  [[ $kind != btrfs ]] || command -v mkfs.btrfs >/dev/null || skip "btrfs-progs is not installed"
  open_disk "$kind" 300m
  export LAY_ROOT=$world/disk/root
  small_image
}

# tree IMAGE: what stands for each byte of its files.
tree() { next_boot "$LAY" export "$1" | sha256sum; }

# unharmed: nothing is damaged, and small is what it was.
unharmed() {
  next_boot "$LAY" fsck -q || return 1
  [ "$(tree small)" = "$small_tree" ]
}

# survives IMAGE COMMAND...: IMAGE is there, and runs, when the power is cut as soon as COMMAND has ended.
survives() {
  "${@:2}" || return 1
  cut_power
  reboot
  echo "after ${*:2}"
  unharmed || return 1
  [ "$(next_boot "$LAY" run --rm --network none "$1" cat /more)" = more ] || return 1
  next_boot "$LAY" fsck -q
}

# everything_survives KIND: a boot for each command.
everything_survives() {
  local small_tree
  push_image
  a_store_on "$1"
  small_tree=$(tree small)
  cp -r small more
  echo more >more/more
  survives new:1 "$LAY" commit -q ./upper new:1 --base small
  survives gzip:1 "$LAY" commit -q ./upper gzip:1 --base small --compression gzip
  survives none:1 "$LAY" commit -q ./upper none:1 --base new:1 --compression none
  survives more:1 "$LAY" import ./more more:1
  survives "$registry/new:1" "$LAY" pull -q "$registry/new:1"
  survives loaded:1 "$LAY" load -q -i loaded.tar
  survives tagged:1 "$LAY" tag gzip:1 tagged:1
  survives new:1 "$LAY" rmi tagged:1
  ! "$LAY" inspect tagged:1 || return 1
  spoil_blob gzip:1
  ! "$LAY" fsck -q || return 1
  survives gzip:1 "$LAY" fsck -q --repair
}

push_image() {
  start_registry "$world/registry"
  (export LAY_ROOT=$world/root2 && small_image && "$LAY" commit -q ./upper new:1 --base small &&
    "$LAY" push -q new:1 "$registry/new:1" && "$LAY" tag new:1 loaded:1 && "$LAY" save -q -o loaded.tar loaded:1) >/dev/null
}

# cut_at_random KIND COMMAND...: at moments within the command, again and again. image is what it adds or removes;
# before_round gets the store ready for it.
cut_at_random() {
  local rounds=3 round small_tree image_tree
  a_store_on "$1"
  shift
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=60
  small_tree=$(tree small)
  before_round
  [[ $1 == adds ]] || image_tree=$(tree "$image")
  next_boot "${@:2}" >/dev/null
  [[ $1 == removes ]] || image_tree=$(tree "$image")
  for ((round = 0; round < rounds; round++)); do
    one_round "$@" || { echo "in round $round"; return 1; }
  done
}
one_round() {
  "$LAY" rmi -f "$image" >/dev/null
  before_round
  "${@:2}" >/dev/null 2>&1 &
  sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
  cut_power
  wait $! || true
  reboot
  unharmed || return 1
  ! "$LAY" inspect "$image" >/dev/null 2>&1 || [ "$(tree "$image")" = "$image_tree" ] || return 1
  next_boot "${@:2}" >/dev/null || [[ $1 == removes ]] || return 1
  [[ $1 == removes ]] || [ "$(tree "$image")" = "$image_tree" ]
}
before_round() { :; }

# spoil_blob IMAGE: changes a byte of its uppermost layer's blob.
spoil_blob() {
  local manifest blob
  manifest=$LAY_ROOT/blobs/sha256/$("$LAY" inspect -f '{{.Digest}}' "$1" | cut -d: -f2)
  blob=$LAY_ROOT/blobs/sha256/$(jq -r '.layers[-1].digest' "$manifest" | cut -d: -f2)
  chmod 600 "$blob"
  printf '\x55' | dd of="$blob" bs=1 seek=1000 conv=notrunc,fsync status=none
}

# repair_at_random KIND: until fsck --repair has ended nobody is told that all is good, and nothing else is harmed.
repair_at_random() {
  local rounds=3 round image_tree
  a_store_on "$1"
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=60
  "$LAY" import ./upper spoilt:1 >/dev/null
  image_tree=$(tree spoilt:1)
  for ((round = 0; round < rounds; round++)); do
    spoil_blob spoilt:1
    "$LAY" fsck -q --repair >/dev/null 2>&1 &
    sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
    cut_power
    wait $! || true
    reboot
    next_boot "$LAY" fsck -q >fsck.out || ! grep -w small fsck.out || return 1
    next_boot "$LAY" fsck -q --repair || return 1
    [ "$(tree spoilt:1)" = "$image_tree" ] || { echo "in round $round"; return 1; }
  done
}

@test "what a command said is done outlives a power cut: ext4" { everything_survives ext4; }
@test "what a command said is done outlives a power cut: xfs" { everything_survives xfs; }
@test "what a command said is done outlives a power cut: btrfs" { everything_survives btrfs; }

commit_at_random() { image=new:1 cut_at_random "$1" adds "$LAY" commit -q ./upper new:1 --base small "${@:2}"; }
@test "a power cut within a commit loses nothing else: ext4" { commit_at_random ext4; }
@test "a power cut within a commit loses nothing else: xfs" { commit_at_random xfs; }
@test "a power cut within a commit of gzip loses nothing else: ext4" { commit_at_random ext4 --compression gzip; }
@test "a power cut within an uncompressed commit loses nothing else: ext4" { commit_at_random ext4 --compression none; }
@test "a power cut within an uncompressed commit loses nothing else: xfs" { commit_at_random xfs --compression none; }

pull_at_random() {
  push_image
  image=$registry/new:1 cut_at_random "$1" adds "$LAY" pull -q "$registry/new:1"
}
@test "a power cut within a pull loses nothing else: ext4" { pull_at_random ext4; }
@test "a power cut within a pull loses nothing else: xfs" { pull_at_random xfs; }

@test "a power cut within a load loses nothing else" {
  push_image
  image=loaded:1 cut_at_random ext4 adds "$LAY" load -q -i loaded.tar
}
@test "a power cut within a tag loses nothing else" { image=tagged:1 cut_at_random xfs adds "$LAY" tag small tagged:1; }
@test "a power cut within rmi loses nothing else" {
  before_round() { "$LAY" commit -q ./upper old:1 --base small >/dev/null; }
  image=old:1 cut_at_random ext4 removes "$LAY" rmi old:1
}
@test "a power cut within fsck --repair harms nothing" { repair_at_random ext4; }

# torn STATE FOLDER: the layer in FOLDER as a power cut may leave what was not synced: names without bytes, bytes
# without names.
torn() {
  local file
  case $1 in
    empty-*) truncate -s 0 "$2/${1#empty-}" ;;
    lost-*) rm -f "$2/${1#lost-}" ;;
    short-*) truncate -s 700 "$2/${1#short-}" ;;
    zeros-*)
      file=$2/${1#zeros-}
      truncate -s "$(stat -c %s "$file")" "$file.zeros"
      mv "$file.zeros" "$file"
      ;;
    long-*) head -c 5000 /dev/urandom >>"$2/${1#long-}" ;;
    nothing) find "$2" -type f -delete ;;
    half) touch "$2/layer.erofs.new" && rm "$2/layer.erofs" ;;
    gone) rm -r "$2" ;;
  esac
}

@test "whatever a power cut has left of a layer that was not synced, its first use is right" {
  a_store_on ext4
  mkdir -p upper/etc
  echo x >upper/etc/x
  "$LAY" commit -q ./upper app:1 --base small >/dev/null
  tar -C upper -cf app.tar more etc/x  # says nothing of etc
  "$LAY" import app.tar implying:1
  local image folder state tree template=$LAY_ROOT
  for image in app:1 implying:1; do
    folder=$("$LAY" inspect -f '{{json .RootFS.Layers}}' "$image" | jq -r '.[-1]' | cut -d: -f2)
    tree=$(tree "$image")
    rm -f "$template"/layers/*/synced
    for state in {empty,lost,short,zeros,long}-layer.{erofs,tar} {empty,lost}-boot {empty,lost}-implied nothing half gone; do
      cp -a "$template" disk/torn
      torn "$state" "disk/torn/layers/$folder"
      export LAY_ROOT=$world/disk/torn
      next_boot "$LAY" fsck -q || { echo "$image, $state"; return 1; }
      [ "$(tree "$image")" = "$tree" ] || { echo "$image, $state"; return 1; }
      next_boot "$LAY" fsck -q || { echo "$image, $state"; return 1; }
      export LAY_ROOT=$template
      rm -rf disk/torn
    done
  done
}

@test "containers that start all at once after a reboot get whole layers" {
  a_store_on ext4
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
