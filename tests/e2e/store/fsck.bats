#!/usr/bin/env bats
# lay fsck that is interrupted, or cannot read: it stops at once, calls nothing damaged that is not, and takes nothing away.

load ../support/world

setup() { open_world; }
teardown() {
  [[ -z ${slow_pid-} ]] || kill -KILL "$slow_pid" 2>/dev/null || true
  close_world
}

# layer_folder NAME: of the topmost layer.
layer_folder() { echo "$LAY_ROOT/layers/$("$LAY" inspect "$1" | jq -r '.[0].RootFS.Layers[-1][7:]')"; }
# layer_blob NAME: of the topmost layer.
layer_blob() { echo "$LAY_ROOT/blobs/$("$LAY" inspect "$1" | jq -r '.[0].Layers[-1].digest' | tr : /)"; }

# spoil FILE [PLACE]: turns over the bits of one byte.
spoil() {
  chmod u+w "$1"
  python3 -c 'import sys; file, place = open(sys.argv[1], "r+b"), int(sys.argv[2]); file.seek(place); byte = file.read(1)[0]; file.seek(place); file.write(bytes([byte ^ 255]))' "$1" "${2-5000}"
}

# --- interrupted ---

# large_image FLAGS...: one file of 16 MB, which is read in 60 steps at least.
large_image() {
  mkdir upper
  head -c 16000000 /dev/urandom >upper/file
  "$LAY" commit -q ./upper large:1 "$@" >/dev/null 2>&1
}

# slowly FILE READS WORDS...: begins lay WORDS, for which every read of FILE takes 50 ms; it has made READS when this
# returns. What is read in a mount of its own, as a tree is, has its name right below that mount's root.
slowly() {
  rm -f reads
  strace -D -f -qq -o reads -P "$1" -P "/${1##*/}" -e trace=read,pread64 -e inject=read,pread64:delay_enter=50000 "$LAY" "${@:3}" >said 2>&1 3>&- &
  slow_pid=$!
  wait_until 20 has_read "$2" || { cat said; return 1; }
}
has_read() { (($(wc -l <reads) >= $1)); }
is_over() { ! kill -0 "$slow_pid" || grep -q '^State:\sZ' "/proc/$slow_pid/status"; }

# stops_at SIGNAL FILE READS WORDS...: lay WORDS, stopped while it reads FILE, ends at once, says that, and changes nothing.
stops_at() {
  local signal=$1 file=$2 reads=$3 before status=0
  shift 3
  before=$(store_state)
  slowly "$file" "$reads" "$@" || return 1
  kill -"$signal" "$slow_pid"
  wait_until 2 is_over || { echo "SIG$signal: still reads $file after 2 s: $*"; kill -KILL "$slow_pid"; return 1; }
  wait "$slow_pid" || status=$?
  slow_pid=
  ((status == 128 + $(kill -l "$signal"))) || { echo "SIG$signal: exit $status: $*: $(<said)"; return 1; }
  has "$(<said)" interrupted || return 1
  ! grep -E 'damaged|mended' said || return 1
  diff <(echo "$before") <(store_state) || return 1
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

# stops FILE WORDS...: at either signal.
stops() {
  local failed=
  stops_at INT "$1" 5 "${@:2}" || failed=1
  stops_at TERM "$1" 5 "${@:2}" || failed=1
  [ -z "$failed" ]
}

@test "fsck that is interrupted within a blob stops at once and calls nothing damaged" {
  local failed=
  large_image --compression none
  stops "$(layer_blob large:1)" fsck -q || failed=1
  stops "$(layer_blob large:1)" fsck --repair || failed=1
  "$LAY" fsck -q
  [ -z "$failed" ]
}

@test "fsck that is interrupted within the last blob of a store without layers calls nothing damaged" {
  local failed=
  LAY_LAYER_FORM=tree large_image --compression none
  [ -z "$(ls "$LAY_ROOT/layers")" ]
  stops "$(layer_blob large:1)" fsck -q || failed=1
  stops "$(layer_blob large:1)" fsck -q --repair || failed=1
  "$LAY" fsck -q
  [ -z "$failed" ]
}

@test "fsck that is interrupted within the tar of a mounted layer stops at once and calls nothing damaged" {
  local failed=
  large_image
  stops "$(layer_folder large:1)/layer.tar" fsck -q || failed=1
  stops "$(layer_folder large:1)/layer.tar" fsck -q --repair || failed=1
  "$LAY" fsck -q
  [ -z "$failed" ]
}

@test "fsck that is interrupted within an unpacked layer stops at once and calls nothing damaged" {
  local failed=
  export LAY_LAYER_FORM=tree
  large_image
  "$LAY" export -o exported large:1  # unpacks it
  stops "$(layer_folder large:1)/tree/file" fsck -q || failed=1
  "$LAY" fsck -q
  [ -z "$failed" ]
}

@test "fsck --repair that is interrupted while it makes a blob again leaves the store as it was" {
  local failed= tar checked
  large_image --compression gzip
  tar=$(layer_folder large:1)/layer.tar
  strace -f -qq -o all-reads -P "$tar" -e trace=read,pread64 "$LAY" fsck -q >/dev/null
  checked=$(wc -l <all-reads)  # what comes after these reads belongs to the repair
  spoil "$(layer_blob large:1)"
  stops_mending INT || failed=1
  stops_mending TERM || failed=1
  "$LAY" fsck -q --repair >/dev/null
  "$LAY" fsck -q
  [ -z "$failed" ]
}

# stops_mending SIGNAL: as stops_at, but that what is damaged is told before.
stops_mending() {
  local before status=0
  before=$(store_state)
  rm -f reads
  strace -D -f -qq -o reads -P "$tar" -e trace=read,pread64 -e "inject=read,pread64:delay_enter=50000:when=$((checked + 1))+" \
    "$LAY" fsck -q --repair >said 2>&1 3>&- &
  slow_pid=$!
  wait_until 20 has_read $((checked + 5))
  kill -"$1" "$slow_pid"
  wait_until 2 is_over || { echo "SIG$1: goes on for 2 s"; kill -KILL "$slow_pid"; return 1; }
  wait "$slow_pid" || status=$?
  slow_pid=
  ((status == 128 + $(kill -l "$1"))) || { echo "SIG$1: exit $status: $(<said)"; return 1; }
  has "$(<said)" interrupted || return 1
  diff <(echo "$before") <(store_state) || return 1
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

# --- unreadable ---

# bad_sectors: makes what `unreadable` preloads.
bad_sectors() {
  command -v cc >/dev/null || skip "cc is not installed"
  cc -shared -fPIC -O1 -o "$world/bad_sector.so" "$BATS_TEST_DIRNAME/bad_sector.c" -ldl
}

# make_image NAME: small and a layer on top.
make_image() {
  small_image
  mkdir upper
  echo said >upper/said
  "$LAY" commit -q ./upper "$1" --base small --compression gzip >/dev/null 2>&1
}

# parts_of NAME: sets the paths of its files in the store.
parts_of() {
  local json
  json=$("$LAY" inspect "$1")
  kBlob=$(layer_blob "$1")
  kConfig=$LAY_ROOT/blobs/$(jq -r '.[0].Id' <<<"$json" | tr : /)
  kManifest=$LAY_ROOT/blobs/$(jq -r '.[0].Digest' <<<"$json" | tr : /)
  kTar=$(layer_folder "$1")/layer.tar
  kErofs=$(layer_folder "$1")/layer.erofs
}

# pulled_image: top:1 of a registry as $image, in a store where nothing else is.
pulled_image() {
  make_image top:1
  start_registry "$world/registry"
  image=$registry/top:1
  "$LAY" push -q top:1 "$image" >/dev/null
  rm -rf --one-file-system "$LAY_ROOT"
  "$LAY" pull -q "$image" >/dev/null
}

# unreadable FILES WORDS...: lay WORDS, where no byte of these files, separated by newlines, can be read. Each is held
# open, so that no other gets its inode.
unreadable() {
  local file inodes= held=() handle status=0
  while read -r file; do
    exec {handle}<"$file"
    held+=("$handle")
    inodes+="$(stat -c %i "$file") "
  done <<<"$1"
  rm -f told
  BAD_SECTOR=$inodes BAD_SECTOR_TOLD=$world/told LD_PRELOAD=$world/bad_sector.so timeout -s KILL 30 "$LAY" "${@:2}" || status=$?
  for handle in "${held[@]}"; do exec {handle}<&-; done
  [ -e told ] || { echo "nothing was read: $*"; return 99; }
  return "$status"
}

# hex_of FILE: what fsck calls it by.
hex_of() { case $1 in */layer.*) basename "$(dirname "$1")" ;; *) basename "$1" ;; esac; }

@test "fsck names what cannot be read and why, and changes nothing" {
  local file failed= before status
  bad_sectors
  make_image top:1
  parts_of top:1
  before=$(store_state)
  for file in "$kBlob" "$kConfig" "$kManifest" "$kTar" "$kErofs" "$LAY_ROOT/index.json"; do
    status=0
    unreadable "$file" fsck -q >said 2>&1 || status=$?
    [ "$status" = 1 ] || { echo "exit $status: $file: $(<said)"; failed=1; }
    grep -F "$(hex_of "$file")" said | grep -q "Input/output error" || { echo "$file: $(<said)"; failed=1; }
    [ "$(store_state)" = "$before" ] || { echo "$file: the store is not as it was"; failed=1; }
  done
  "$LAY" fsck -q
  [ -z "$failed" ]
}

# mended_of FILE: a repair replaces what cannot be read, in a copy of the store.
mended_of() {
  local status=0
  rm -rf --one-file-system "$LAY_ROOT"
  cp -a kept "$LAY_ROOT"
  unreadable "$1" fsck -q --repair >said 2>&1 || status=$?
  [ "$status" = 0 ] || { echo "exit $status: ${1#"$LAY_ROOT"/}: $(<said)"; return 1; }
  "$LAY" fsck -q || return 1
  [ "$("$LAY" run --rm --network none "$image" cat /said)" = said ]
}

@test "fsck --repair takes what cannot be read from where it can: the layer, the blob or the registry" {
  local file failed=
  bad_sectors
  pulled_image
  parts_of "$image"
  cp -a "$LAY_ROOT" kept
  for file in "$kBlob" "$kErofs" "$kTar" "$kConfig" "$kManifest"; do mended_of "$file" || failed=1; done
  [ -z "$failed" ]
}

@test "fsck --repair makes a layer whose tar cannot be read again of its blob, without a registry" {
  bad_sectors
  make_image top:1
  image=top:1
  parts_of "$image"
  cp -a "$LAY_ROOT" kept
  mended_of "$kTar"
}

# other_image NAME: prints its layer's blob, which is lost and can be made again of the layer.
other_image() {
  echo "$1" >upper/said
  "$LAY" commit -q ./upper "$1" --base small --compression gzip >/dev/null 2>&1
  layer_blob "$1"
  rm "$(layer_blob "$1")"
}

@test "what cannot be read of one image hinders no repair of others" {
  local status=0 before after
  bad_sectors
  make_image middle:1
  parts_of middle:1
  before=$(other_image before:1)
  after=$(other_image now:1)
  unreadable "$kConfig" fsck -q --repair >said 2>&1 || status=$?
  [ "$status" = 1 ]
  grep -F "$(hex_of "$kConfig")" said | grep -q "Input/output error"
  [ -e "$before" ]
  [ -e "$after" ] || { cat said; return 1; }
  "$LAY" fsck -q
}

# only_copy FILES...: a repair that can read none of them tells that, and leaves each as it is.
only_copy() {
  local status=0 file
  sha256sum "$@" >sums
  unreadable "$(printf '%s\n' "$@")" fsck -q --repair >said 2>&1 || status=$?
  [ "$status" = 1 ] || { echo "exit $status: $(<said)"; return 1; }
  has "$(<said)" "Input/output error" || return 1
  sha256sum --quiet -c sums
}

@test "fsck --repair leaves the only copy where it is, when it cannot be read" {
  local failed=
  bad_sectors
  make_image top:1
  parts_of top:1
  cp -a "$LAY_ROOT" kept
  again() {
    rm -rf --one-file-system "$LAY_ROOT"
    cp -a kept "$LAY_ROOT"
  }
  rm "$kBlob"
  only_copy "$kTar" || { echo "a tar without its blob"; failed=1; }
  "$LAY" fsck -q --repair >/dev/null
  "$LAY" fsck -q
  again
  only_copy "$kTar" "$kBlob" || { echo "both"; failed=1; }
  "$LAY" fsck -q
  rm -r "$(dirname "$kTar")"
  only_copy "$kBlob" || { echo "a blob without its layer"; failed=1; }
  "$LAY" fsck -q
  again
  only_copy "$kConfig" "$kManifest" || { echo "what tells of the image"; failed=1; }
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none top:1 cat /said)" = said ]
  [ -z "$failed" ]
}

@test "a layer whose image cannot be read is made again when it is mounted, or named with what to do" {
  local status=0
  bad_sectors
  make_image top:1
  parts_of top:1
  [ "$(unreadable "$kErofs" run --rm --network none top:1 cat /said)" = said ]
  wait_until 10 nothing_mounted
  parts_of top:1
  unreadable "$kErofs"$'\n'"$kTar" run --rm --network none top:1 cat /said >out 2>said || status=$?
  [ "$status" = 125 ]
  has "$(<said)" "layer sha256:$(hex_of "$kTar") is damaged: its 'layer.erofs': "
  has "$(<said)" "Input/output error"
  has "$(<said)" "hint: 'lay fsck --repair' makes it again"
}

@test "a pull that cannot write to the disk tries once, and does not fetch all of a layer that it fetched in parts" {
  local part status=0 before
  mkdir upper
  head -c 3000000 /dev/urandom >upper/large
  "$LAY" commit -q ./upper old:1 >/dev/null 2>&1
  start_registry "$world/registry"
  "$LAY" push -q old:1 "$registry/x:1" >/dev/null
  head -c 300000 /dev/urandom >upper/more
  LAY_ROOT=$world/root2 "$LAY" commit -q ./upper new:1 >/dev/null 2>&1
  part=$world/root/ingest/part.sha256.$(LAY_ROOT=$world/root2 "$LAY" inspect new:1 | jq -r '.[0].Layers[-1].digest[7:]')/blob
  LAY_ROOT=$world/root2 "$LAY" push -q new:1 "$registry/x:2" >/dev/null
  strace -f -qq -o calls -P "$part" -e trace=write,pwrite64 -e inject=write,pwrite64:error=EIO "$LAY" pull -q "$registry/x:2" >out 2>said || status=$?
  [ "$status" = 1 ]
  has "$(<said)" "Input/output error"
  [ "$(grep -c INJECTED calls)" -le 2 ] || { cat calls; return 1; }  # once more to keep what came
  "$LAY" pull "$registry/x:2" 2>said
  grep -q "of it fetched" said
}

# --- killed ---

# killed_while_fetching: the registry has stopped answering, and so has lay.
killed_while_fetching() {
  local seen=
  kill -STOP "$registry_pid"
  "$LAY" fsck -q --repair >said 2>&1 3>&- &
  slow_pid=$!
  ! wait_until 20 grep -q "lay: pulling " said || seen=1
  kill -KILL "$slow_pid"
  wait "$slow_pid" 2>/dev/null || true
  slow_pid=
  kill -CONT "$registry_pid"
  [ -n "$seen" ]
}

@test "fsck --repair that is killed while it fetches leaves a damaged mounted layer, which fsck names and mends" {
  local hex status=0
  pulled_image
  parts_of "$image"
  hex=$(hex_of "$kTar")
  spoil "$kBlob" 30
  spoil "$kTar" 30
  killed_while_fetching || return 1
  "$LAY" prune -f >/dev/null
  "$LAY" fsck -q >said 2>&1 || status=$?
  [ "$status" = 1 ]
  has "$(<said)" "damaged layer sha256:$hex" || return 1
  "$LAY" fsck -q --repair >/dev/null
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none "$image" cat /said)" = said ]
}

@test "fsck --repair that is killed while it fetches leaves a damaged unpacked layer" {
  LAY_LAYER_FORM=tree pulled_image
  export LAY_LAYER_FORM=tree
  local tree
  "$LAY" run --rm --network none "$image" true
  tree=$(layer_folder "$image")
  echo more >>"$tree/tree/said"
  spoil "$(layer_blob "$image")" 30
  killed_while_fetching
  "$LAY" prune -f >/dev/null
  [ "$(<"$tree/tree/said")" = $'said\nmore' ]
  "$LAY" fsck -q --repair >/dev/null
  [ "$("$LAY" run --rm --network none "$image" cat /said)" = said ]
}

# --- fsck's own disk ---

@test "what fsck cannot write while it unpacks a layer once more is its own failure, and no damage" {
  local failed= error words
  export LAY_LAYER_FORM=tree
  make_image top:1
  "$LAY" run --rm --network none top:1 true
  for error in EIO ENOSPC; do
    words=$(python3 -c 'import errno, os, sys; print(os.strerror(getattr(errno, sys.argv[1])))' "$error")
    for call in mkdirat,mkdir pwrite64; do
      status=0
      strace -f -qq -o calls -e "trace=$call" -e "inject=$call:error=$error:when=1" "$LAY" fsck -q >out 2>said || status=$?
      [ "$status" = 1 ] || { echo "$call $error: exit $status"; failed=1; }
      ! grep damaged out said || { echo "$call $error"; failed=1; }
      grep "$words" said | grep -q "^lay: .*unpack it once more under '$LAY_ROOT/ingest'" || { echo "$call $error: $(<said)"; failed=1; }
      grep -q "^hint: " said || { echo "$call $error: no hint"; failed=1; }
    done
  done
  [ -z "$failed" ]
}

# --- what is in use, and what nobody needs ---

@test "fsck --repair leaves an unpacked layer to the containers that run on it, and says that" {
  export LAY_LAYER_FORM=tree
  local tree status=0
  small_image
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  tree=$(layer_folder small)/tree
  echo more >>"$tree/etc/passwd"
  "$LAY" fsck -q --repair >out 2>said || status=$?
  [ "$status" = 1 ]
  has "$(<said)" "containers run on its files: c"
  has "$(<said)" "stop them"
  [ "$("$LAY" exec c /bin/echo here)" = here ]
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" fsck -q --repair
  "$LAY" start c >/dev/null
  "$LAY" exec c /bin/true
}

@test "fsck --repair makes a lost tar again beneath a container that runs on the mounted layer" {
  small_image
  [[ -e $(layer_folder small)/layer.erofs ]] || skip "layers are not mounted here"
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  rm "$(layer_folder small)/layer.tar"
  "$LAY" fsck -q --repair >out 2>said
  "$LAY" fsck -q
  "$LAY" exec c /bin/true
  "$LAY" run --rm --network none small /bin/true
}

@test "of a damaged blob that no image needs fsck --repair says what removes it" {
  small_image
  local other status=0
  "$LAY" import -q small other:1 --label a=b >/dev/null
  other=$LAY_ROOT/blobs/$("$LAY" inspect -f '{{.Id}}' other:1 | sed 's|^sha256:|sha256/|; /\//!s|^|sha256/|')
  flock -s "$LAY_ROOT/lock" "$LAY" rmi other:1 >/dev/null
  spoil "$other" 3
  "$LAY" fsck -q --repair >out 2>said || status=$?
  [ "$status" = 1 ]
  has "$(<said)" "'lay prune' removes it"
  "$LAY" prune -f >/dev/null
  "$LAY" fsck -q
}
