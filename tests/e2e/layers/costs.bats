#!/usr/bin/env bats
# What lay may cost: system calls for each file, syncs for each command, memory whatever the size.

load ../support/world

setup() { open_world; }
teardown() {
  ! mountpoint -q "$world/memory" || umount "$world/memory"
  close_world
}

# upper_of COUNT: a folder ./upper-COUNT with that many small files.
upper_of() {
  python3 - "$1" <<'PY'
import os, sys
count = int(sys.argv[1])
for number in range(count):
    folder = f"upper-{count}/{number // 100:04}"
    if number % 100 == 0:
        os.makedirs(folder)
    with open(f"{folder}/file-{number}", "w") as file:
        file.write(f"{number}\n" * 300)
PY
}

# calls_of NAMES COMMAND...: how often the system calls of these names, separated by commas, are made by COMMAND.
calls_of() {
  local names=$1
  shift
  strace -f -qq -c -e "trace=$names" -o "$world/calls" "$@" >/dev/null 2>&1 || { cat "$world/calls"; return 1; }
  awk '$4 ~ /^[0-9]+$/ && $NF != "total" {sum += $4} END {print sum + 0}' "$world/calls"
}

# between LEAST VALUE MOST
between() { (($1 <= $2 && $2 <= $3)) || { echo "$2 is not between $1 and $3"; return 1; }; }

@test "commit makes five system calls for each file" {
  upper_of 500
  upper_of 2500
  # All but those by which threads wait for each other and write what has become of the files.
  local all='!futex,write,pwrite64,sync_file_range,clone,clone3,mmap,munmap,mprotect,madvise,brk' few many
  few=$(calls_of "$all" "$LAY" commit -q ./upper-500 few)
  many=$(calls_of "$all" "$LAY" commit -q ./upper-2500 many)
  # 2,000 files more, and 20 folders with some ten calls each.
  between $((2000 * 5 - 100)) $((many - few)) $((2000 * 5 + 400))
}

@test "a commit syncs blobs, folders and names, whatever the number of files" {
  upper_of 100
  upper_of 1000
  small_image
  # Layer, configuration, manifest and index.json, and the folders in which they have got a name.
  local few many
  few=$(calls_of fsync,fdatasync,syncfs "$LAY" commit -q ./upper-100 few --base small)
  many=$(calls_of fsync,fdatasync,syncfs "$LAY" commit -q ./upper-1000 many --base small)
  between 8 "$few" 8
  between 8 "$many" 8
}

@test "a pull syncs what it has fetched, and no layer that can be made of it" {
  small_image
  upper_of 1000
  "$LAY" commit -q ./upper-1000 many --base small >/dev/null
  start_registry "$world/registry"
  "$LAY" push -q many "$registry/many:1" >/dev/null
  local syncs
  syncs=$(calls_of fsync,fdatasync,syncfs "$LAY" --root "$world/root2" pull -q "$registry/many:1")
  between 14 "$syncs" 17
}

@test "sixteen layers come at once in less than 64 MiB" {
  start_registry "$world/registry"
  local compression number peak
  for compression in zstd gzip; do
    for ((number = 0; number < 16; number++)); do
      rm -rf --one-file-system upper
      mkdir upper
      head -c 9M /dev/urandom | base64 >"upper/file-$number"
      if ((number == 0)); then
        "$LAY" import upper "$compression" --compression "$compression" >/dev/null
      else
        "$LAY" commit -q ./upper "$compression" --base "$compression" --compression "$compression" >/dev/null
      fi
    done
    "$LAY" push -q "$compression" "$registry/$compression:1" >/dev/null
    peak=$(command time -f %M "$LAY" --root "$world/root2" pull -q "$registry/$compression:1" 2>&1 >/dev/null)
    between 1 "$peak" 65536
  done
  # As others compress with zstd: for each layer a window of 8 MiB.
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --dest-compress-format zstd \
    "docker://$registry/gzip:1" "docker://$registry/windows:1"
  peak=$(command time -f %M "$LAY" --root "$world/root3" pull -q "$registry/windows:1" 2>&1 >/dev/null)
  between 1 "$peak" 65536
}

@test "memory does not grow with the size of files" {
  mkdir large
  head -c 400M /dev/urandom >large/file
  local compression peak
  for compression in zstd gzip none; do
    peak=$(command time -f %M "$LAY" commit -q --compression "$compression" ./large large 2>&1 >/dev/null)
    between 1 "$peak" 65536
  done
  rm large/file
  "$LAY" save -q large -o large.tar
  "$LAY" rmi large >/dev/null
  peak=$(command time -f %M "$LAY" load -q -i large.tar 2>&1 >/dev/null)
  between 1 "$peak" 65536
}

# peak_of COMMAND...: peak memory, KiB.
peak_of() {
  command time -o peak -f %M "$@" >/dev/null 2>&1 && tail -n 1 peak
}

# many_of COUNT: makes upper-COUNT with so many small files, in memory.
many_of() {
  mkdir "upper-$1"
  mount -t tmpfs -o size=6g,nr_inodes=0 lay-test "upper-$1"
  python3 - "$1" <<'PY'
import os, sys
for number in range(int(sys.argv[1])):
    if number % 1000 == 0:
        os.mkdir(f"upper-{sys.argv[1]}/{number // 1000:04}")
    os.close(os.open(f"upper-{sys.argv[1]}/{number // 1000:04}/file-{number}", os.O_CREAT | os.O_WRONLY, 0o644))
    if number % 4 == 0:
        with open(f"upper-{sys.argv[1]}/{number // 1000:04}/file-{number}", "w") as file:
            file.write(f"{number}\n")
PY
}

kMostMemory=62500 # KiB: 64 MB

@test "400,000 files are committed, checked and loaded in less than 64 MB; so are a million" {
  local count=400000 compressions=zstd compression
  [[ -z ${LAY_TESTS_LONG-} ]] || count=1000000 compressions="gzip none zstd"
  many_of "$count"
  for compression in $compressions; do
    between 1 "$(peak_of "$LAY" commit -q --compression "$compression" "./upper-$count" many)" "$kMostMemory"
  done
  between 1 "$(peak_of "$LAY" fsck)" "$kMostMemory"
  "$LAY" save -q many -o many.tar
  between 1 "$(peak_of "$LAY" --root "$world/root2" load -q -i many.tar)" "$kMostMemory"
  if [[ -z ${LAY_TESTS_LONG-} ]]; then
    umount "upper-$count"
    return
  fi
  start_registry "$world/registry"
  "$LAY" push -q many "$registry/many:1" >/dev/null
  between 1 "$(peak_of "$LAY" --root "$world/root3" pull -q "$registry/many:1")" "$kMostMemory"
  small_image
  between 1 "$(peak_of "$LAY" diff many small)" "$kMostMemory"
  "$LAY" commit -q "./upper-$count" both --base small >/dev/null
  "$LAY" run --name c --network none both true
  between 1 "$(peak_of "$LAY" export c)" "$kMostMemory"
  umount "upper-$count"
}

@test "a container is durable before its command begins; one that goes with its end is never synced" {
  small_image
  local synced began detached
  for detached in "" -d; do
    timeout -s KILL 30 strace -f -qq -o trace -e trace=fsync,execve,mount "$LAY" run $detached --network none small true
    synced=$(grep -n 'fsync(' trace | cut -d: -f1)
    began=$(grep -n 'execve("/bin/true"' trace | cut -d: -f1)
    # config.json, container.json, the container's folder, the folder of names and that of containers.
    [ "$(awk -v began="$began" '$1 < began' <<<"$synced" | wc -l)" = 5 ]
    # Behind it state.json and the folder.
    [ "$(awk -v began="$began" '$1 > began' <<<"$synced" | wc -l)" = 2 ]
  done
  strace -f -qq -o trace -e trace=fsync "$LAY" run --rm --network none small true
  ! grep 'fsync(' trace || return 1
}

@test "of settings whose sync failed, a later one is believed only when they were written anew" {
  small_image
  # As the kernel says it: once, of what it could not write and will not write again.
  run strace -f -y -qq -o trace -e trace=fsync,renameat,pwrite64 -e inject=fsync:error=EIO:when=1 \
    "$LAY" run --name once --network none small true
  [ "$status" -eq 125 ]
  sed '1,/INJECTED/d' trace >behind
  local name
  for name in config.json container.json; do grep -q "pwrite64([0-9]*<.*/$name>" behind; done
  grep -q 'renameat.*"state.json"' behind
  # Where nothing could be synced, nothing says that it was, and the next start begins with that.
  run strace -f -qq -o trace -e trace=fsync -e inject=fsync:error=EIO "$LAY" run --name never --network none small true
  [ "$status" -eq 125 ]
  local folder before
  folder=$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' never)
  [ ! -e "$folder/state.json" ]
  before=$(stat -c %.Y "$folder/config.json")
  "$LAY" start -a never
  [ "$before" != "$(stat -c %.Y "$folder/config.json")" ]
}

@test "a command loads libmnl and libc, and no other library" {
  strace -qq -o trace -e trace=openat "$LAY" --version >/dev/null
  [ "$(grep -v ' = -1' trace | grep -o 'lib[^/"]*\.so' | sort -u | xargs)" = "libc.so libmnl.so" ]
}

# layer_bytes_read COMMAND...: how much COMMAND reads of stored layers, be it of blobs or of what lies ready to mount.
layer_bytes_read() {
  strace -f -y -qq -e trace=read,pread64,readv,preadv,preadv2,sendfile,copy_file_range,splice,mmap -o reads "$@" \
    >/dev/null 2>&1 || return 1
  python3 - "$LAY_ROOT" $(find "$LAY_ROOT/blobs" "$LAY_ROOT/layers" -type f -size +100k -printf '%P ') <<'PY'
import re, sys
names, total = sys.argv[2:], 0
with open("reads", errors="replace") as lines:
    for line in lines:
        call = re.match(r"\d+ +(\w+)\((.*)\) = (\w+)$", line)
        if call and sys.argv[1] in call[2] and any(f"/{name}>" in call[2] for name in names):
            total += int(call[2].split(", ")[1]) if call[1] == "mmap" else int(call[3])
print(total)
PY
}

@test "what was just committed runs without being read or unpacked again" {
  small_image
  mkdir upper
  head -c 9M /dev/urandom | base64 >upper/file
  "$LAY" commit -q ./upper fresh --base small >/dev/null
  grep -q 'layers: *erofs' <("$LAY" info) || skip "layers are unpacked here"
  local read
  read=$(layer_bytes_read "$LAY" run --rm --network none fresh true)
  between 0 "$read" 4096
  [ "$(find "$LAY_ROOT/layers" -name tree)" = "" ]
  read=$(layer_bytes_read "$LAY" fsck -q) # that it would be seen
  between 20000000 "$read" 100000000
}

# share_taken COMMAND...: which part of the time of all cores that others leave COMMAND takes, in hundredths; the best of
# three.
share_taken() {
  python3 - "$@" <<'PY'
import os, resource, subprocess, sys, time

def used():
    """Seconds of all cores in which something ran, and what this process's children took of them."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    mine = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), mine.ru_utime + mine.ru_stime

def share():
    began, (all_before, mine_before) = time.monotonic(), used()
    subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elapsed, (all_after, mine_after) = time.monotonic() - began, used()
    mine = mine_after - mine_before
    return mine / max(elapsed * os.cpu_count() - (all_after - all_before - mine), mine)

print(int(100 * max(share() for _ in range(3))))
PY
}

@test "compression keeps every core busy, and one makes the same bytes of a layer" {
  mkdir upper memory
  mount -t tmpfs -o size=1g lay-test memory # so that nobody waits for a disk
  head -c 8M /dev/urandom | base64 >upper/file
  cp upper/file upper/again
  local compression level busy failed=
  for compression in zstd gzip; do
    for level in 0 9; do
      taskset -c 0 "$LAY" --root "$world/memory/one" import -q upper app --compression "$compression" --compression-level "$level" >/dev/null
      "$LAY" --root "$world/memory/all" import -q upper app --compression "$compression" --compression-level "$level" >/dev/null
      [ "$("$LAY" --root "$world/memory/one" inspect -f '{{.Digest}}' app)" = "$("$LAY" --root "$world/memory/all" inspect -f '{{.Digest}}' app)" ]
    done
    (($(nproc) > 1)) || continue
    busy=$(share_taken "$LAY" --root "$world/memory/all" commit -q ./upper app --compression "$compression" --compression-level 9)
    ((busy > 65)) || { echo "$compression takes $busy hundredths of the cores"; failed=1; }
  done
  [ -z "$failed" ]
}

# online CORES COMMAND...: runs COMMAND on a machine that seems to have these cores, as 0-7. It is this file that the C
# library counts; taskset changes nothing of the number.
online() {
  echo "$1" >online
  unshare --mount --propagation private bash -ec 'mount --bind online /sys/devices/system/cpu/online; shift; "$@"' online "$@"
}

# threads_on CORES FLAGS...: how many threads an import of ./upper with these flags starts; its layer's digest goes to ./digest.
threads_on() {
  local root=$world/root-cores
  rm -rf --one-file-system "$root"
  online "$1" strace -f -qq -o clones -e trace=clone,clone3 "$LAY" --root "$root" import -q upper app:1 "${@:2}" >/dev/null 2>&1
  "$LAY" --root "$root" inspect app:1 | jq -r '.[0].Layers[0].digest' >digest
  grep -cE '^[0-9]+ +clone3?\(.*= [0-9]+' clones
}

@test "the more cores there are, the more threads compress, up to eight, and to the same bytes" {
  mkdir upper
  head -c 8M /dev/urandom | base64 >upper/file
  cp upper/file upper/again
  local compression level one eight many expected
  for compression in zstd gzip; do
    for level in 1 9; do
      one=$(threads_on 0 --compression "$compression" --compression-level "$level")
      expected=$(<digest)
      [[ $expected == sha256:* ]]
      eight=$(threads_on 0-7 --compression "$compression" --compression-level "$level")
      [ "$(<digest)" = "$expected" ]
      ((eight >= one + 5)) || { echo "$compression: $eight threads on eight cores, $one on one"; return 1; }
      many=$(threads_on 0-63 --compression "$compression" --compression-level "$level")
      [ "$(<digest)" = "$expected" ]
      ((many <= eight + 2)) || { echo "$compression: $many threads on 64 cores, $eight on eight"; return 1; }
      threads_on 0-2 --compression "$compression" --compression-level "$level" >/dev/null
      [ "$(<digest)" = "$expected" ]
    done
  done
}

# taken_by COMMAND...: prints the milliseconds of processor time that it takes and its peak of memory in KiB.
taken_by() {
  command time -q -f '%U %S %M' -o taken "$@" >/dev/null 2>&1 || { echo "failed: $*"; return 1; }
  awk '{printf "%d %d\n", ($1 + $2) * 1000, $3}' taken
}

# scales FEW MANY WORDS COMMAND-OF-COUNT: ten times the files take no more than twice that in time, as caches are cold and
# others work, and 400 bytes of memory for each more file.
scales() {
  local few=$1 many=$2 words=$3 time_few time_many time_again peak_few peak_many
  read -r time_few peak_few <<<"$($4 "$few")"
  read -r time_again peak_few <<<"$($4 "$few")"
  ((time_again >= time_few)) || time_few=$time_again
  read -r time_many peak_many <<<"$($4 "$many")"
  echo "$words: $time_few ms and $peak_few KiB for $few files, $time_many ms and $peak_many KiB for $many"
  ((time_many <= 20 * (time_few + 10) && peak_many - peak_few <= (many - few) * 400 / 1024 + 2048))
}
commit_of() { taken_by "$LAY" --root "$world/root-$1" commit -q "memory/upper-$1" many; }
check_of() { taken_by "$LAY" --root "$world/root-$1" fsck -q; }
load_of() {
  rm -rf --one-file-system "$world/root-loaded"
  taken_by "$LAY" --root "$world/root-loaded" load -q -i "$1.tar"
}
export_of() { taken_by "$LAY" --root "$world/root-$1" export -o exported "many"; }

@test "ten times the files take ten times the time" {
  local few=4000 count failed=
  [[ -z ${LAY_TESTS_LONG-} ]] || few=100000  # to a million
  mkdir memory
  mount -t tmpfs lay-test memory  # these files are not what is measured
  for count in $few $((few * 10)); do (cd memory && upper_of "$count"); done
  scales "$few" $((few * 10)) commit commit_of || failed=1
  for count in $few $((few * 10)); do "$LAY" --root "$world/root-$count" save -q -o "$count.tar" many; done
  scales "$few" $((few * 10)) fsck check_of || failed=1
  scales "$few" $((few * 10)) load load_of || failed=1
  scales "$few" $((few * 10)) export export_of || failed=1
  [ -z "$failed" ]
}
