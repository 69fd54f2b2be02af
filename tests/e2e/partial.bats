#!/usr/bin/env bats
# What crosses the wire of a zstd:chunked layer of which the store has most: counted by the registry, lay serve.

load world
load served

setup() {
  open_world
  files=100
  [[ -z ${LAY_TESTS_LONG-} ]] || files=9000  # 900 MB
  mkdir -p tree/data
  head -c $((files * 100000)) /dev/urandom | split -b 100000 -a 5 -d - tree/data/f
  LAY_ROOT=$world/served serve --access-log "$world/access"
  to=$world/root2
}
teardown() {
  local folder
  while umount storage/overlay storage 2>/dev/null; do :; done
  stop_served
  close_world
}

# ship TAG [FLAGS...]: what the tree holds now, as an image of one layer.
ship() {
  local tag=$1
  shift
  "$LAY" import tree "app:$tag" "$@" >/dev/null
  "$LAY" push -q "app:$tag" "$served/team/app:$tag" >/dev/null
}

# change: one file in a hundred has other bytes, one is new and one is gone.
change() {
  local file
  for file in $(seq 7 100 $((files - 1))); do
    head -c 100000 /dev/urandom >"tree/data/f$(printf '%05d' "$file")"
  done
  rm tree/data/f00003
  echo new >tree/data/new
}

# sent COMMAND...: bytes that the registry sent meanwhile.
sent() {
  local before
  before=$(metric lay_sent_bytes_total)
  "$@" >/dev/null
  echo $(($(metric lay_sent_bytes_total) - before))
}
metric() { curl -sS "$url/metrics" | awk -v name="$1" '$1 == name {print $2}'; }

# few BYTES: at most three hundredths of the layer.
few() { (($1 <= files * 3000)) || { echo "$1 bytes of $((files * 100000))"; return 1; }; }

# same TAG: the image is the one that was shipped, all of it.
same() {
  [ "$("$LAY" --root "$to" inspect -f '{{.Digest}}' "$served/team/app:$1")" = "$("$LAY" inspect -f '{{.Digest}}' "app:$1")" ]
  "$LAY" --root "$to" fsck -q
}

@test "after a change of one hundredth at most three hundredths of a layer cross the wire" {
  ship 1
  "$LAY" --root "$to" pull -q "$served/team/app:1" >/dev/null
  change
  ship 2
  few "$(sent "$LAY" --root "$to" pull -q "$served/team/app:2")"
  same 2
}

@test "of a layer that came in parts from one with fewer files, only what is new is fetched too" {
  mkdir aside
  mv tree/data/f0000* aside
  ship 1
  "$LAY" --root "$to" pull -q "$served/team/app:1" >/dev/null
  mv aside/* tree/data
  ship 2
  local bytes
  bytes=$(sent "$LAY" --root "$to" pull -q "$served/team/app:2")
  ((bytes < 10 * 100000 + files * 3000)) || { echo "$bytes bytes"; return 1; }
  same 2
}

@test "files of several layers of the store are put together to one" {
  mkdir -p half/data upper/data
  local all=(tree/data/*)
  cp "${all[@]:0:files/2}" half/data
  cp "${all[@]:files/2}" upper/data
  "$LAY" --root "$to" import half half:1 >/dev/null
  "$LAY" --root "$to" commit -q ./upper half:2 --base half:1 >/dev/null
  ship 1
  few "$(sent "$LAY" --root "$to" pull -q "$served/team/app:1")"
  same 1
}

@test "a pull in parts that is killed costs little the next time too" {
  ship 1
  "$LAY" --root "$to" pull -q "$served/team/app:1" >/dev/null
  change
  ship 2
  local before after delay
  before=$(metric lay_sent_bytes_total)
  for delay in 0.02 0.05 0.1 0.2; do
    timeout -s KILL "$delay" "$LAY" --root "$to" pull -q "$served/team/app:2" >/dev/null 2>&1 || true
  done
  "$LAY" --root "$to" pull -q "$served/team/app:2" >/dev/null
  after=$(metric lay_sent_bytes_total)
  few $(((after - before) / 5))
  same 2
}

# podman_ships TAG: the tree as podman imports it and pushes it in its own zstd:chunked. Its tar has no blocks behind its end
# mark (-b 1): podman 4.3 leaves them out of the blob, which then is not what its diff_id says.
podman_ships() {
  local podman=(podman --root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs) image
  tar -b 1 -C tree -cf tree.tar .
  image=$("${podman[@]}" import -q tree.tar 2>/dev/null)
  "${podman[@]}" push -q --tls-verify=false --compression-format zstd:chunked "$image" "docker://$served/team/app:$1" 2>/dev/null
  "${podman[@]}" rmi -af >/dev/null 2>&1
}

@test "of a layer that podman pushed as zstd:chunked only what changed is fetched" {
  podman_ships 1
  "$LAY" --root "$to" pull -q "$served/team/app:1" >/dev/null
  change
  podman_ships 2
  few "$(sent "$LAY" --root "$to" pull -q "$served/team/app:2")"
  "$LAY" --root "$to" fsck -q
  "$LAY" --root "$to" export "$served/team/app:2" >out.tar
  mkdir out
  tar -C out -xf out.tar ./data 2>/dev/null || tar -C out -xf out.tar data
  diff -r tree/data out/data
}
