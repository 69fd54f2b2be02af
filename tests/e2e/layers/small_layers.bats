#!/usr/bin/env bats
# Layers of some KB that imply much: folders nested deep, removals everywhere, symlinks of lower layers that multiply. They
# are shown, or refused in words, soon and in little memory; see small_layers.py.

load ../support/world

# The store lies on an ext4, where there is room in memory: unpacked, the cases are 300,000 folders, for whose blocks a
# disk takes minutes.
setup() {
  open_world
  mkdir memory
  if (($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) > 4000000)); then
    mount -t tmpfs -o size=3g lay-test memory
  fi
  ln -s memory/disk.img disk.img
  open_disk ext4 8g
}
teardown() {
  [[ -n ${world-} ]] || return 0
  umount --lazy --recursive "$LAY_RUN/layers" 2>/dev/null || true
  close_disk
  ! mountpoint -q "$world/memory" || umount "$world/memory"
  close_world
}

kLongest=20              # seconds
kMost=$((200 * 1024))    # KiB of memory
kLargest=$((200 * 1024))  # bytes of all layers

# bounded WORDS...: lay WORDS ends in time and memory; prints its exit code. Neither a signal nor a crash ends it.
bounded() {
  local code=0 peak
  command time -q -f %M -o peak timeout -s KILL "$kLongest" "$LAY" "$@" >out 2>said || code=$?
  peak=$(tail -n 1 peak)
  ((code <= 125)) || { echo "$1: exit $code after at most $kLongest s: $(<said)"; return 1; }
  ((peak < kMost)) || { echo "$1: $peak KiB"; return 1; }
  ((code == 0)) || grep -q '^lay: .' said || { echo "$1: exit $code, and nothing is said"; return 1; }
}

# cheap_steps IMAGE: to load, to run for the first time, to run when all is known, and to check.
cheap_steps() {
  bounded copy -q "oci:$1:1" x:1 || return 1
  ! "$LAY" inspect x:1 >/dev/null 2>&1 || {
    bounded run --rm --network none x:1 true || return 1
    bounded run --rm --network none x:1 true || { echo "the second time"; return 1; }
    # Unpacked layers are unpacked once more, file by file
    [[ $LAY_LAYER_FORM == tree ]] || bounded fsck -q || return 1
  }
  # Unpacked, each folder takes a block
  local most=200
  [[ $LAY_LAYER_FORM == erofs ]] || most=600
  (($(du -sm "$LAY_ROOT" | cut -f1) < most)) || { echo "$(du -sm "$LAY_ROOT" | cut -f1) MB on disk"; return 1; }
}

# cheap CASE: in either form.
cheap() {
  local form failed= sizes
  sizes=$(python3 "$BATS_TEST_DIRNAME/small_layers.py" "$1" images)
  ((${sizes// /+} < kLargest))
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/disk/root-$form
    cheap_steps "images/$1" || { echo "$1 as $form"; failed=1; }
    umount --lazy --recursive "$LAY_RUN/layers" 2>/dev/null || true
  done
  [ -z "$failed" ]
}

@test "folders nested deep, which no layer has entries for, take little to load and to run" { cheap deep; }
@test "removals deep in folders that no layer has entries for take little to load and to run" { cheap deep-whiteouts; }
@test "folders nested deep in many branches take little to load and to run" {
  [[ -n ${LAY_TESTS_LONG-} ]] || skip "takes minutes when it goes wrong: only in the long form"
  cheap deeper
}
@test "removals at many places take little to load and to run" {
  cheap whiteouts
  cheap whiteouts-of-nothing
}
@test "what lies behind many symlinks of lower layers takes little to load and to run" {
  cheap implied-over-links
  cheap many-links
  cheap links-to-a-deep-file
}
@test "folders nested deep behind a symlink of a lower layer take little to load and to run" { cheap landed-deep; }
@test "folders nested deep that something else takes the place of take little to load and to run" { cheap replaced; }
@test "symlinks that multiply or lead in circles end soon" {
  cheap doubling
  cheap doubling-to-itself
  cheap up-and-down
  cheap circle-of-layers
  cheap chains-in-turn
}
@test "the longest targets, for ten thousand symlinks, take little to load and to run" { cheap long-links; }
