#!/usr/bin/env bats
# Peak memory stays under 64 MB whatever a layer is like: few large files, many small ones, one folder that has them all,
# many names of one file, high levels of compression. What does not stay in memory lies in a file of the store: a disk
# that is full or broken is then an error as anywhere else.

load ../support/world
load ../support/served

kMostMemory=62500 # KiB: 64 MB

setup() { open_world; }
teardown() {
  stop_served
  [[ -z ${server_pid-} ]] || { kill "$server_pid"; wait "$server_pid" || true; }
  [[ -z ${group-} ]] || wait_until 10 rmdir "$group"
  ! mountpoint -q "$world/upper" || umount "$world/upper"
  close_disk
  close_world
}

# many KIND COUNT: makes ./upper, in memory, with so many files. Of KIND
#   flat      all in one folder
#   folders   folders instead, all in one
#   linked    each with two names, in two folders, for each thousand
many() {
  mkdir -p upper
  mount -t tmpfs -o size=6g,nr_inodes=0 lay-test upper
  python3 - "$@" <<'PY'
import os, sys
kind, count = sys.argv[1], int(sys.argv[2])
os.chdir("upper")
os.mkdir("all")
for number in range(count):
    if kind == "folders":
        os.mkdir(f"all/folder-{number}")
        continue
    if kind == "linked" and number % 1000 == 0:
        os.makedirs(f"all/{number // 1000}/again")
    path = f"all/file-{number}" if kind == "flat" else f"all/{number // 1000}/file-{number}"
    with open(path, "w") as file:
        if number % 4 == 0:
            file.write(f"{number}\n")
    if kind == "linked":
        os.link(path, f"all/{number // 1000}/again/{number}")
PY
}

# little COMMAND...: it succeeds, in less than 64 MB.
little() {
  local peak
  command time -o peak -f %M "$@" >/dev/null 2>said || { echo "failed: $*"; cat said; return 1; }
  peak=$(tail -n 1 peak)
  ((peak < kMostMemory)) || { echo "$peak KiB: $*"; return 1; }
}

# little_on CORES COMMAND...: as `little`, on a machine that seems to have these cores, as 0-7.
little_on() {
  echo "$1" >online
  little unshare --mount --propagation private bash -ec '
    mount --bind online /sys/devices/system/cpu/online
    exec "$@"' online "${@:2}"
}

# journey COMPRESSION...: ./upper goes through every command that has to do with all files of a layer.
journey() {
  local compression
  small_image
  for compression; do little "$LAY" commit -q --compression "$compression" ./upper many --base small; done
  little "$LAY" fsck -q
  [[ -n ${LAY_TESTS_LONG-} ]] || return 0
  little "$LAY" diff many small
  for compression in json jsonl '{{.Path}}' table; do little "$LAY" diff --format "$compression" many small; done
  little "$LAY" export many
  little "$LAY" save -q -o many.tar many
  little "$LAY" --root "$world/root2" load -q -i many.tar
  export LAY_LAYER_FORM=tree
  little "$LAY" --root "$world/root3" load -q -i many.tar
  little "$LAY" --root "$world/root3" fsck -q
  little "$LAY" --root "$world/root3" export many
}

@test "400,000 files in one folder take less than 64 MB" {
  many flat 400000
  journey zstd ${LAY_TESTS_LONG:+gzip none}
  little_on 0-7 "$LAY" commit -q ./upper many --base small
}

@test "200,000 folders in one folder take less than 64 MB" {
  [[ -n ${LAY_TESTS_LONG-} ]] || skip "takes minutes: only in the long form"
  many folders 200000
  journey none gzip zstd
}

@test "a million files with two names each take less than 64 MB" {
  local count=250000
  [[ -z ${LAY_TESTS_LONG-} ]] || count=1000000
  many linked "$count"
  journey none ${LAY_TESTS_LONG:+gzip zstd}
}

@test "differences of many files are listed in less than 64 MB" {
  many flat 100000
  small_image
  "$LAY" commit -q --compression none ./upper many --base small >/dev/null
  local format
  for format in json '{{.Path}}' table; do little "$LAY" diff --format "$format" many small; done
  "$LAY" diff --format json many small | jq -e 'length == 100001 and .[0].Path == "/all" and .[-1].Kind == "A"' >/dev/null
  [ "$("$LAY" diff --format json small small)" = "[]" ]
}

# sent_bytes: what the registry has sent.
sent_bytes() { curl -sS "$url/metrics" | awk '$1 == "lay_sent_bytes_total" {print $2}'; }

# many_pulled COUNT SIZE: pulls two versions of a layer of so many files of that size; sets `sent`, the bytes that the
# registry sent for the second, and `size`, those of its blob.
many_pulled() {
  local version before
  LAY_ROOT=$world/served serve --access-log none 3>&-
  for version in 1 2; do
    python3 "$here/../../support/many_chunked_files.py" "$1" layout x "$version" "$2"
    "$LAY" --root "$world/copied" copy -q oci:layout:x "docker://$served/many:$version" >/dev/null
    size=$(du -b layout/blobs/sha256/* | sort -n | tail -n 1 | cut -f1)
    rm -r layout
    wait_until 10 rm -rf "$world/copied" # what has passed through goes in the background
    before=$(sent_bytes)
    little "$LAY" pull -q "$served/many:$version"
    sent=$(($(sent_bytes) - before))
  done
  "$LAY" fsck -q
}

@test "a pull that looks for many files of a layer among those that are here takes less than 64 MB" {
  local count=250000
  [[ -z ${LAY_TESTS_LONG-} ]] || count=600000
  many_pulled "$count" 40
}

@test "a pull that fetches many stretches of a layer around what is here takes less than 64 MB" {
  local count=100000
  [[ -z ${LAY_TESTS_LONG-} ]] || count=400000
  many_pulled "$count" 2100 # less would be fetched along
  ((sent * 5 < size)) || { echo "$sent bytes of $size were fetched"; return 1; }
}

@test "no level of compression, on however many cores, takes 64 MB" {
  mkdir upper
  head -c 12M /dev/urandom | base64 >upper/file
  local level cores
  for level in 1 9 ${LAY_TESTS_LONG:+15} 19; do
    for cores in 0-1 0-7; do
      little_on "$cores" "$LAY" commit -q --compression zstd --compression-level "$level" ./upper "level:$level"
    done
  done
  for level in 1 9; do little_on 0-7 "$LAY" commit -q --compression gzip --compression-level "$level" ./upper gzip; done
}

# archive_of FLAGS...: ./archive, an OCI archive of an image whose layer is compressed by zstd with these flags.
archive_of() {
  rm -rf layout archive
  "$LAY" save -q --format oci-archive -o plain.oci plain
  mkdir layout
  tar -xf plain.oci -C layout
  python3 - "$@" <<'PY'
import hashlib, json, os, subprocess, sys
def path(digest): return "layout/blobs/sha256/" + digest.split(":")[1]
def put(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    open(path(digest), "wb").write(data)
    return {"digest": digest, "size": len(data)}
index = json.load(open("layout/index.json"))
manifest = json.load(open(path(index["manifests"][0]["digest"])))
tar = open(path(manifest["layers"][0]["digest"]), "rb").read()
packed = subprocess.run(["zstd", "-q", "-c", *sys.argv[1:]], input=tar, stdout=subprocess.PIPE, check=True).stdout
manifest["layers"] = [{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", **put(packed)}]
index["manifests"][0].update(put(json.dumps(manifest).encode()))
json.dump(index, open("layout/index.json", "w"))
PY
  tar -C layout -cf archive .
}

@test "a zstd window of 8 MiB fits into 64 MB; larger ones are taken as they are up to 128 MiB, and no further" {
  mkdir upper
  head -c 200M /dev/urandom >upper/file
  "$LAY" import -q --compression none upper plain >/dev/null
  archive_of -3 --long=23
  little "$LAY" --root "$world/root2" load -q -i archive
  archive_of -3 --long=27
  local peak
  peak=$(command time -f %M "$LAY" --root "$world/root3" load -q -i archive 2>&1 >/dev/null)
  ((peak < kMostMemory + 128 * 1024)) || { echo "$peak KiB"; return 1; }
  archive_of -3 --long=28
  refused 1 "zstd data needs a window of more than 128 MiB" "$LAY" --root "$world/root4" load -q -i archive
  "$LAY" --root "$world/root4" fsck -q
}

# limit_memory: what is then started by `limited` has 64 MB together, the kernel's cache of files included.
limit_memory() {
  local hierarchy=/sys/fs/cgroup limit=memory.max
  [[ ! -d /sys/fs/cgroup/memory ]] || hierarchy=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
  [[ -e $hierarchy/memory.limit_in_bytes || -e $hierarchy/cgroup.controllers ]] || skip "needs the memory controller"
  group=$hierarchy/test-memory-$$
  mkdir "$group"
  [[ -e $group/$limit ]] || skip "the memory controller is not given to this group"
  echo 64000000 >"$group/$limit"
}
# limited COMMAND...: it succeeds in that group.
limited() {
  local status=0
  bash -c 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"' limited "$group" "$@" >/dev/null 2>said || status=$?
  ((status == 0)) || { echo "exit $status: $*"; cat said; return 1; }
}

# limited_journey: ./upper goes there and back again.
limited_journey() {
  limit_memory
  mkdir folder
  limited "$LAY" import -q --compression none folder small
  limited "$LAY" commit -q ./upper layer:1 --base small
  limited "$LAY" fsck -q
  limited "$LAY" diff layer:1 small
  limited "$LAY" export -o exported layer:1
  rm exported
  limited "$LAY" save -q -o saved layer:1
  limited "$LAY" --root "$world/root2" load -q -i saved
  rm saved
  local port
  port=$(free_port)
  "$LAY" --root "$world/root4" serve --listen "127.0.0.1:$port" >serve.log 2>&1 3>&- &
  server_pid=$!
  wait_until 10 curl -sS "http://127.0.0.1:$port/v2/"
  limited "$LAY" push -q layer:1 "127.0.0.1:$port/layer:1"
  limited "$LAY" --root "$world/root3" pull -q "127.0.0.1:$port/layer:1"
}

@test "64 MB of memory with all caches are enough for large files" {
  mkdir upper
  local size=150M
  [[ -z ${LAY_TESTS_LONG-} ]] || size=4G
  openssl enc -aes-128-ctr -K 01020304050607080910111213141516 -iv 0 </dev/zero 2>/dev/null | head -c "$size" >upper/file || true
  limited_journey
}

@test "64 MB of memory with all caches are enough for many files" {
  local count=40000
  [[ -z ${LAY_TESTS_LONG-} ]] || count=400000
  many flat "$count"
  limited_journey
}

# spills SIZE: ./upper has more names than stay in memory; $world/disk, of that size, has the store.
spills() {
  many flat 150000
  open_disk ext4 "$1"
  export LAY_ROOT=$world/disk/root
  small_image
}

# is_as_it_was IMAGES: what failed has changed nothing.
is_as_it_was() {
  [ "$("$LAY" images -q)" = "$1" ] && "$LAY" fsck -q >checked || { "$LAY" images; cat checked; return 1; }
}
nothing_left() { [ -z "$(ls "$LAY_ROOT/ingest")" ] || { ls -R "$LAY_ROOT/ingest"; return 1; }; }

@test "a disk that is full while names are put there is an error in words" {
  spills 600m
  local images free status=0
  images=$("$LAY" images -q)
  for free in 1 3 5 7 9 12 15 20 30; do  # MB
    fallocate -l "$(($(df --output=avail -B1 disk | tail -n 1) - free * 1000000))" disk/ballast
    status=0
    "$LAY" commit -q --compression none ./upper many >/dev/null 2>said || status=$?
    [[ $status == 1 ]] && grep -q "No space left" said && grep -q "^hint: " said || { echo "$free MB: $status"; cat said; return 1; }
    nothing_left
    is_as_it_was "$images"
    rm disk/ballast
  done
  "$LAY" commit -q --compression none ./upper many >/dev/null
  "$LAY" fsck -q
}

@test "a disk that cannot read back what was put there is an error in words" {
  cc -shared -fPIC -O1 -o "$world/lost_pages.so" "$BATS_TEST_DIRNAME/lost_pages.c" -ldl
  spills 600m
  local images status=0
  images=$("$LAY" images -q)
  for command in "commit -q ./upper many" "import -q --compression none ./upper many"; do
    status=0
    LOST_PAGES_TOLD=$world/told LD_PRELOAD=$world/lost_pages.so "$LAY" $command >/dev/null 2>said || status=$?
    [ -e told ]
    rm told
    [[ $status == 1 ]] && grep -q "cannot be read back: Input/output error" said && grep -q "^hint: " said ||
      { echo "exit $status"; cat said; return 1; }
    is_as_it_was "$images"
  done
  "$LAY" commit -q ./upper many >/dev/null
  nothing_left # the next command clears away what was under way
  "$LAY" fsck -q
}
