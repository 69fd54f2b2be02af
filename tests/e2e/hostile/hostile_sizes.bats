#!/usr/bin/env bats
# Images that are small to send and large to take; see hostile_sizes.py.

load ../support/world

setup() { open_world; }
teardown() {
  [[ -z ${server_pid-} ]] || kill "$server_pid" || true
  close_world
}

kLongest=20 # seconds

# most_memory NAME: in KiB; a document of 4 MiB, and entries without data, take more than the data of layers do.
most_memory() {
  case $1 in
    z06* | j*) echo $((256 * 1024)) ;;
    *) echo $((64 * 1024)) ;;
  esac
}

# bounded NAME WORDS COMMAND...: refused, soon, with little memory, and nothing of it stays.
bounded() {
  local name=$1 words=$2 before peak status=0
  shift 2
  before=$(store_state)
  command time -q -f %M -o peak timeout "$kLongest" "$@" >said 2>&1 || status=$?
  [[ $status == 1 ]] || { echo "exit $status: $*: $(<said)"; return 1; }
  has "$(<said)" "$words" || return 1
  peak=$(<peak)
  ((peak < $(most_memory "$name"))) || { echo "took $peak KiB: $*"; return 1; }
  [ "$(store_state)" = "$before" ] || { echo "left something: $*"; return 1; }
  [ -z "$(ls "$LAY_ROOT/ingest")" ] || { echo "left in ingest: $*"; return 1; }
}

serve_archives() {
  local port
  port=$(free_port)
  python3 "$BATS_TEST_DIRNAME/hostile_sizes.py" serve "$port" "$world/archives" >server.log 2>&1 3>&- &
  server_pid=$!
  server=localhost:$port
  wait_until 10 curl -fsS "http://127.0.0.1:$port/v2/"
}

@test "Z01, Z06, J08, J12: bombs and lists of a million are refused soon, in little memory, by load and by pull" {
  python3 "$BATS_TEST_DIRNAME/hostile_sizes.py" make archives
  serve_archives
  small_image
  local words name failed=
  for words in archives/*.words; do
    name=$(basename "${words%.words}")
    [[ $name != z01-gzip-members || -n ${LAY_TESTS_LONG-} ]] || continue
    bounded "$name" "$(<"$words")" "$LAY" load -q -i "archives/$name" || failed=1
    [[ $name == z01-gzip && -z ${LAY_TESTS_LONG-} ]] || # slow; z01-zstd takes the same way
      bounded "$name" "$(<"$words")" "$LAY" pull -q "$server/$name:1" || failed=1
  done
  for name in z01-gzip z01-zstd; do
    bounded "$name" "more than 105 MB" "$LAY" --max-unpacked 100m load -q -i "archives/$name" || failed=1
    bounded "$name" "more than 105 MB" "$LAY" --max-unpacked 100m pull -q "$server/$name:1" || failed=1
    [[ -n ${LAY_TESTS_LONG-} ]] || continue
    export LAY_LAYER_FORM=tree
    bounded "$name" "decompression bomb" "$LAY" load -q -i "archives/$name" || failed=1
    bounded "$name" "decompression bomb" "$LAY" pull -q "$server/$name:1" || failed=1
    unset LAY_LAYER_FORM
  done
  "$LAY" fsck -q
  [ -z "$failed" ]
}

@test "Z01: an archive that is compressed as a whole is no way around the limits of layers" {
  python3 "$BATS_TEST_DIRNAME/hostile_sizes.py" packed archives
  small_image
  local name failed=
  for name in zstd gzip; do
    [[ $name == zstd || -n ${LAY_TESTS_LONG-} ]] || continue
    bounded "$name" "decompression bomb" "$LAY" load -q -i "archives/$name" || failed=1
    bounded "$name" "more than 105 MB" "$LAY" --max-unpacked 100m load -q -i "archives/$name" || failed=1
  done
  [ -z "$failed" ]
}

@test "Z01: 10 GiB of zeros that are allowed take little memory and little disk" {
  [[ -n ${LAY_TESTS_LONG-} ]] || skip "hashes 10 GiB: only in the long form"
  truncate -s 10G zeros
  tar -cf - zeros | gzip >zeros.tar.gz
  (($(stat -c %s zeros.tar.gz) < 11000000))
  command time -f %M -o peak "$LAY" --max-unpacked 11g import -q zeros.tar.gz zeros:1 >/dev/null
  (($(<peak) < 65536)) || { cat peak; return 1; }
  (($(du -sm "$LAY_ROOT" | cut -f1) < 100))
  "$LAY" fsck -q
}

@test "Z06: a million empty files take some 160 bytes of memory each, and time in proportion" {
  local count=100000
  [[ -z ${LAY_TESTS_LONG-} ]] || count=1000000
  python3 "$BATS_TEST_DIRNAME/hostile_sizes.py" files "$count" | zstd -q -o files.tar.zst
  command time -f %M -o peak timeout $((count / 5000)) "$LAY" import -q files.tar.zst many:1 >/dev/null
  (($(<peak) < 40960 + count * 160 / 1024)) || { cat peak; return 1; }
}

# traps: programs that lay must not run, before all others in PATH; they say so in a file.
traps() {
  mkdir traps
  local name
  for name in gzip gunzip unpigz pigz zstd unzstd xz unxz bzip2 bunzip2 lbzip2 igzip tar bsdtar; do
    printf '#!/bin/sh\necho "$0" >>%s/trapped\nexec false\n' "$world" >"traps/$name"
    chmod +x "traps/$name"
  done
}

# runs_nothing COMMAND...: no program but COMMAND itself is executed.
runs_nothing() {
  PATH=$world/traps:$PATH strace -f -qq -e trace=execve,execveat -o executed "$@" >/dev/null || return 1
  [ "$(grep -c 'exec' executed)" = 1 ] || { cat executed; return 1; }
}

@test "Z05: no program is run to decompress, from PATH or elsewhere" {
  make_small_root
  tar -C small -cf small.tar .
  gzip -k small.tar
  zstd -qk small.tar
  xz -k small.tar
  bzip2 -k small.tar
  local kind form
  for kind in gzip zstd; do
    "$LAY" --root "$world/root2" import -q small "$kind:1" --compression "$kind" >/dev/null
    "$LAY" --root "$world/root2" save -q --format oci-archive -o "$kind.oci" "$kind:1"
  done
  "$LAY" --root "$world/root2" save -q -o docker zstd:1
  gzip -k docker
  zstd -qk docker
  start_registry "$world/registry"
  "$LAY" --root "$world/root2" push -q gzip:1 "$registry/gzip:1"
  "$LAY" --root "$world/root2" push -q zstd:1 "$registry/zstd:1"
  traps
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    for kind in tar tar.gz tar.zst tar.xz tar.bz2; do
      runs_nothing "$LAY" import -q "small.$kind" "${kind//./-}:1"
    done
    for kind in docker docker.gz docker.zst gzip.oci zstd.oci; do
      runs_nothing "$LAY" load -q -i "$kind"
    done
    rm -rf --one-file-system "$LAY_ROOT"
    for kind in gzip zstd; do
      runs_nothing "$LAY" pull -q "$registry/$kind:1"
    done
    runs_nothing "$LAY" fsck -q
    runs_nothing "$LAY" export -o out "$registry/gzip:1"
    runs_nothing "$LAY" save -q -o out "$registry/gzip:1"
  done
  [ ! -e trapped ]
}
