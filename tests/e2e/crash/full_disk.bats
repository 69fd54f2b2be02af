#!/usr/bin/env bats
# lay's root on a file system that becomes full: what fails says so and leaves nothing, and works when there is space.

load ../support/world
load short_of_room

setup() { open_world; }
teardown() {
  close_disk
  close_world
}

# leave BYTES: a file on the disk takes the rest. What was removed is free a little later: xfs frees in the background,
# and so does a process of lay.
leave() {
  local free=0 before=
  rm -f disk/ballast
  until [[ $free == "$before" ]]; do
    before=$free
    sync -f disk
    sleep 0.1
    free=$(($(stat -f -c '%a * %S' disk)))
  done
  fallocate -l $((free - $1)) disk/ballast
}

# fill_up: not one small file more has room, wherever the file system keeps some back.
fill_up() {
  local i
  cat /dev/zero >disk/rest/large 2>/dev/null || true
  sync -f disk
  for ((i = 0; i < 20000; i++)); do
    echo x >"disk/rest/$i" || return 0
  done 2>/dev/null
  return 1
}

# fills IMAGE COMMAND...: the command, which would make IMAGE, fails for want of space and then succeeds.
fills() {
  leave 5000000
  fails_whole "No space left" "rm disk/ballast" "$@"
}

# fill_with KIND SIZE: every command that brings something in, on a disk of that kind.
fill_with() {
  make_sources
  open_disk "$@"
  export LAY_ROOT=$world/disk/root
  each_source fills
  "$LAY" run --rm --network none small true

  mkdir disk/rest
  leave 5000000
  run "$LAY" run --rm --network none small dd if=/dev/zero of=/large bs=64k count=200
  [[ $status == 1 || $status == 125 ]] # xfs may have room for data, and none for another file's inode
  has "$output" "No space left"
  fill_up
  refused 125 "No space left" "$LAY" run --rm --network none small true
  [ "$("$LAY" ps -aq)" = "" ]
  rm -r disk/rest disk/ballast
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  "$LAY" fsck -q
}

@test "a full ext4 loses nothing" { fill_with ext4 32m; }
@test "a full xfs loses nothing" { fill_with xfs 300m; }

# prunes_when_full KIND SIZE: of a disk on which no file has room any more.
prunes_when_full() {
  local names
  open_disk "$@"
  export LAY_ROOT=$world/disk/root
  small_image
  add_garbage 8000000
  mkdir disk/rest
  fill_up
  names=$("$LAY" images)
  "$LAY" rmi small >/dev/null 2>said || { has "$(<said)" "No space left" && [ "$("$LAY" images)" = "$names" ]; }
  "$LAY" fsck -q
  "$LAY" prune -f >/dev/null
  (($(stat -f -c '%f * %S' disk) > 7000000))
  "$LAY" fsck -q
}

# removes_when_full KIND SIZE: an image of a disk on which nothing could be pruned.
removes_when_full() {
  open_disk "$@"
  export LAY_ROOT=$world/disk/root
  small_image
  "$LAY" tag small other:1 >/dev/null
  mkdir upper disk/rest
  head -c 8000000 /dev/urandom >upper/large
  "$LAY" commit -q ./upper large:1 --base small >/dev/null
  "$LAY" run --rm --network none large:1 true  # so that there is a layer in the form of folders, too
  wait_until 10 nothing_mounted
  rm "$LAY_ROOT/ingest/.spare-index" # as in the store of an older lay
  fill_up
  "$LAY" rmi large:1 >/dev/null
  ! "$LAY" inspect large:1 >/dev/null 2>&1 || return 1
  rm -r disk/rest
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none other:1 echo hello)" = hello ]
  "$LAY" prune -f >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

@test "on a full ext4 an image can be removed, in either form" {
  removes_when_full ext4 64m
  close_disk
  rm -r disk.img upper
  LAY_LAYER_FORM=tree removes_when_full ext4 64m
}
@test "on a full xfs an image can be removed" { removes_when_full xfs 300m; }

# removes_names_when_full KIND SIZE: where the image has no layer that could make room first: since nobody has
# unpacked it, since another name needs all of it, or since its blob was left where it came from.
removes_names_when_full() {
  local name reader
  make_small_root
  start_registry "$world/registry"
  for name in gzip zstd; do
    "$LAY" import -q --compression "$name" small "small:$name" >/dev/null
    "$LAY" push -q "small:$name" "$registry/small:$name" >/dev/null
  done
  open_disk "$@"
  export LAY_ROOT=$world/disk/root
  "$LAY" pull -q "$registry/small:gzip" >/dev/null
  "$LAY" pull -q "$registry/small:zstd" >/dev/null
  "$LAY" tag "$registry/small:gzip" alias:1
  mkdir upper disk/rest
  head -c 100000 /dev/urandom >upper/file
  LAY_LAYER_FORM=tree "$LAY" commit -q ./upper never-ran:1 --base alias:1 >/dev/null
  fill_up
  exec {reader}<"$LAY_ROOT/index.json"
  "$LAY" rmi alias:1 {reader}<&- >/dev/null
  fill_up
  refused 1 "No space left" "$LAY" rmi never-ran:1 {reader}<&- # what is still read is not written over
  jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' <&"$reader" | grep -qx alias:1
  exec {reader}<&-
  for name in never-ran:1 "$registry/small:zstd"; do
    fill_up
    "$LAY" rmi "$name" >/dev/null || { echo "$name stays"; return 1; }
    ! "$LAY" inspect "$name" >/dev/null 2>&1 || return 1
    "$LAY" fsck -q
  done
  [ "$("$LAY" images -q | wc -l)" = 1 ]
  fill_up
  "$LAY" prune -af --images >/dev/null
  [ -z "$("$LAY" images -q)" ]
  rm -r disk/rest
  "$LAY" fsck -q
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

@test "on a full ext4 a name can be removed though no layer can go first" { removes_names_when_full ext4 64m; }
@test "on a full xfs a name can be removed though no layer can go first" { removes_names_when_full xfs 300m; }
@test "on a full btrfs a name can be removed though no layer can go first" {
  command -v mkfs.btrfs >/dev/null || skip "btrfs-progs is not installed"
  removes_names_when_full btrfs 300m
}
@test "on a full btrfs an image can be removed" {
  command -v mkfs.btrfs >/dev/null || skip "btrfs-progs is not installed"
  removes_when_full btrfs 300m
}

@test "on a full ext4 prune makes room" { prunes_when_full ext4 64m; }
@test "on a full xfs prune makes room" { prunes_when_full xfs 300m; }
@test "on a full btrfs prune makes room" {
  command -v mkfs.btrfs >/dev/null || skip "btrfs-progs is not installed"
  prunes_when_full btrfs 300m
}

@test "a container that fills the disk leaves its own exit code, and when and why it ended" {
  make_small_root
  open_disk ext4 32m
  export LAY_ROOT=$world/disk/root
  "$LAY" import small small >/dev/null
  local fill='cat /dev/zero >/fill 2>/dev/null; i=0; while echo >/small$i; do i=$((i + 1)); done 2>/dev/null; exit 3'
  "$LAY" run -d --name full --network none small sh -c "$fill" >/dev/null
  [ "$("$LAY" wait full)" = 3 ]
  has "$("$LAY" ps -a)" "Exited (3)"
  has "$("$LAY" inspect -f '{{.State.Error}}' full)" "the disk may be full"
  [ -n "$("$LAY" inspect -f '{{.State.FinishedAt}}' full)" ]
  "$LAY" rm full
}

@test "a layer of others does not take the last of the disk" {
  make_sources
  (
    export LAY_ROOT=$world/root2
    mkdir big
    yes 'many small words' | head -c 140000000 >big/words
    "$LAY" import --compression zstd ./big big:1 >/dev/null
    "$LAY" save -q --format oci-archive -o big.oci big:1
  )
  open_disk ext4 600m
  export LAY_ROOT=$world/disk/root
  "$LAY" load -q -i small.docker
  leave 145000000
  refused 1 "would stay free" "$LAY" load -q -i big.oci
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  leave 190000000
  "$LAY" load -q -i big.oci
}
