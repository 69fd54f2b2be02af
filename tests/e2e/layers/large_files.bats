#!/usr/bin/env bats
# Files of more than 8 GiB, beyond what a ustar header can say: with holes they cost their data and not their length.

load ../support/world

setup() { open_world; }
teardown() { close_world; }

size=$((9 << 30))

# sparse_file FILE: 9 GiB with 3 MiB of data at the beginning, around the middle and at the end.
sparse_file() {
  truncate -s "$size" "$1"
  local at
  for at in 0 $(((5 << 30) - 70000)) $((size - 1048576)); do
    head -c 1048576 /dev/urandom | dd of="$1" bs=64k iflag=fullblock oflag=seek_bytes seek="$at" conv=notrunc status=none
  done
}

# data_of FILE: its size, and offset and hash of each 4 KiB that are not zeros.
data_of() {
  python3 - "$1" <<'PY'
import hashlib, os, sys
kBlock = 4096
with open(sys.argv[1], "rb") as file:
    end, at, found = os.fstat(file.fileno()).st_size, 0, hashlib.sha256()
    while at < end:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA) // kBlock * kBlock
        except OSError:
            break
        stop = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        for at in range(at, stop, kBlock):
            block = os.pread(file.fileno(), kBlock, at)
            if block.strip(b"\0"):
                found.update(b"%d:" % at + block)
        at = stop
print(end, found.hexdigest())
PY
}

# taking_less SECONDS COMMAND...
taking_less() { timeout "$@" || { echo "exit $?: $*"; return 1; }; }

# layer_file NAME FILE: of the topmost layer.
layer_file() { echo "$LAY_ROOT/layers/$("$LAY" inspect "$1" | jq -r '.[0].RootFS.Layers[-1][7:]')/$2"; }

# seen_inside: what a container sees of the parts that have data.
seen_inside() {
  "$LAY" run --rm --network none "$1" sh -c "stat -c %s /large; head -c 1048576 /large
    dd if=/large bs=65536 skip=81918 count=18; tail -c 1048576 /large" 2>/dev/null | sha256sum
}

expected_inside() {
  (stat -c %s upper/large; head -c 1048576 upper/large
    dd if=upper/large bs=65536 skip=81918 count=18; tail -c 1048576 upper/large) 2>/dev/null | sha256sum
}

@test "9 GiB with 3 MiB of data are committed, shown, loaded and checked at the cost of the data" {
  small_image
  mkdir upper unpacked
  sparse_file upper/large
  local compression expected form
  expected=$(data_of upper/large)
  for compression in zstd gzip none; do
    taking_less 5 "$LAY" commit -q ./upper "$compression" --base small --compression "$compression" >/dev/null
    [ "$("$LAY" inspect zstd | jq -c '.[0].RootFS.Layers')" = "$("$LAY" inspect "$compression" | jq -c '.[0].RootFS.Layers')" ]
  done
  (($(du -sm "$LAY_ROOT" | cut -f1) < 40)) # three blobs and a tar, and small
  [ "$(bsdtar -tvf "$(layer_file zstd layer.tar)" | awk '$NF ~ /large$/ {print $5}')" = "$size" ]
  bsdtar -xf "$(layer_file zstd layer.tar)" -C unpacked
  [ "$(data_of unpacked/large)" = "$expected" ]
  taking_less 5 "$LAY" save -q -o archive zstd
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    taking_less 5 "$LAY" load -q -i archive
    [ "$(seen_inside zstd)" = "$(expected_inside)" ]
    taking_less 10 "$LAY" fsck -q
    (($(du -sm "$LAY_ROOT" | cut -f1) < 25))
  done
  [ "$(data_of "$(layer_file zstd tree/large)")" = "$expected" ]
}

@test "9 GiB with 3 MiB of data are exported at the cost of the data, in either form" {
  mkdir upper unpacked
  sparse_file upper/large
  "$LAY" commit -q ./upper large >/dev/null
  "$LAY" save -q -o archive large
  local form
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    "$LAY" load -q -i archive
    taking_less 5 "$LAY" export -o tar large
    [ "$(bsdtar -tvf tar | awk '$NF ~ /large$/ {print $5}')" = "$size" ]
    bsdtar -xf tar -C unpacked
    [ "$(data_of unpacked/large)" = "$(data_of upper/large)" ]
    (($(du -m tar | cut -f1) < 10))
  done
}

# noise BYTES: that nobody can compress, faster than /dev/urandom.
noise() { openssl enc -aes-128-ctr -K 01020304050607080910111213141516 -iv 0 </dev/zero 2>/dev/null | head -c "$1" || true; }

@test "8 GiB and more of data go through commit, both forms and export, in less than 64 MiB" {
  [[ -n ${LAY_TESTS_LONG-} ]] || skip "writes 60 GB: only in the long form"
  local large=$(((8 << 30) + 12345)) expected form peak
  mkdir upper
  noise "$large" >upper/large
  [ "$(stat -c %s upper/large)" = "$large" ]
  expected=$(sha256sum <upper/large)
  peak=$(command time -f %M "$LAY" commit -q ./upper large 2>&1 >/dev/null)
  ((peak < 65536))
  "$LAY" save -q -o archive large
  "$LAY" rmi large >/dev/null
  rm -r upper
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form
    peak=$(command time -f %M "$LAY" load -q -i archive 2>&1 >/dev/null)
    ((peak < 65536))
    "$LAY" fsck -q
    [ "$("$LAY" export large | bsdtar -tvf - | awk '$NF ~ /large$/ {print $5}')" = "$large" ]
    [ "$("$LAY" export large | bsdtar -xOf - large | sha256sum)" = "$expected" ]
    "$LAY" rmi large >/dev/null
  done
}
