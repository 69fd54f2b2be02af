#!/usr/bin/env bats
# What lay may cost: system calls for each file, syncs for each command, memory whatever the size.

load world

setup() { open_world; }
teardown() { close_world; }

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
  between 12 "$syncs" 15
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

@test "150,000 files are committed, checked and loaded in less than 64 MiB" {
  upper_of 150000
  local compression peak
  for compression in zstd gzip none; do
    peak=$(command time -f %M "$LAY" commit -q --compression "$compression" ./upper-150000 many 2>&1 >/dev/null)
    between 1 "$peak" 65536
  done
  peak=$(command time -f %M "$LAY" fsck 2>&1 >/dev/null | tail -n 1)
  between 1 "$peak" 65536
  "$LAY" save -q many -o many.tar
  peak=$(command time -f %M "$LAY" --root "$world/root2" load -q -i many.tar 2>&1 >/dev/null)
  between 1 "$peak" 65536
}

@test "a container is durable before its command begins; one that goes with its end is never synced" {
  small_image
  strace -f -qq -o trace -e trace=fsync,execve,mount "$LAY" run --network none --name kept small true
  local synced began
  synced=$(grep -n 'fsync(' trace | cut -d: -f1)
  began=$(grep -n 'execve("/bin/true"' trace | cut -d: -f1)
  # config.json, container.json, the container's folder, the folder of names and that of containers.
  [ "$(awk -v began="$began" '$1 < began' <<<"$synced" | wc -l)" = 5 ]
  strace -f -qq -o trace -e trace=fsync "$LAY" run --rm --network none small true
  ! grep 'fsync(' trace || return 1
}
