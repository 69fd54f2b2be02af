#!/usr/bin/env bats
# What crosses the wire of a zstd:chunked layer of which the store has most: counted by the registry, lay serve.

load ../support/world
load ../support/served

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
  stop_registry
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
  rm -f tree/data/f00003
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

# What the layers of the store have in another form is used as well: then the exact tar is put together, and the blob stays.

# left TAG: the image is here, all of it but the blob of its layer, of which it is noted where it is.
left() {
  local digest
  digest=$(blob_of "$1")
  [ ! -e "$to/blobs/${digest/://}" ] || { echo "the blob of $1 is here"; return 1; }
  grep -q "$served/team/app" "$to/absent/${digest/:/.}"
  [ -z "$(find "$to/ingest" -mindepth 1 ! -name .gate ! -name .spare-index)" ] || { find "$to/ingest"; return 1; }
  "$LAY" --root "$to" fsck -q
}
blob_of() { skopeo inspect --tls-verify=false --raw "docker://$served/team/app:$1" | jq -r '.layers[0].digest'; }
layer_of() { "$LAY" --root "$1" inspect "$served/team/app:$2" | jq -r '.[0].RootFS.Layers[0][7:]'; }

# as_whole TAG: the layer is, byte for byte, what a pull of the whole makes in another store, and what skopeo finds.
as_whole() {
  local other=$world/root3 layer
  rm -rf --one-file-system "$other" judged
  "$LAY" --root "$other" pull -q --all-blobs "$served/team/app:$1" >/dev/null
  layer=$(layer_of "$other" "$1")
  [ "$(layer_of "$to" "$1")" = "$layer" ]
  cmp "$to/layers/$layer/layer.tar" "$other/layers/$layer/layer.tar"
  cmp "$to/layers/$layer/layer.erofs" "$other/layers/$layer/layer.erofs"
  skopeo copy -q --src-tls-verify=false "docker://$served/team/app:$1" dir:judged
  [ "$(zstd -dcq "judged/$(blob_of "$1" | cut -d: -f2)" | sha256sum | cut -d' ' -f1)" = "$layer" ]
}

pulls() { "$LAY" --root "$to" pull -q "$served/team/app:$1" >/dev/null; }

# costs_little TAG: pulled, for at most three hundredths of the layer, and right.
costs_little() {
  few "$(sent pulls "$1")"
  left "$1"
  as_whole "$1"
}

@test "files of a layer that came compressed otherwise, or not at all, are not fetched again" {
  local compression
  for compression in gzip none; do
    to=$world/root.$compression
    ship 1 --compression "$compression"
    pulls 1
    change
    ship 2
    costs_little 2
  done
}

@test "files of a layer that was compressed at another level are not fetched again" {
  local file
  for file in tree/data/*; do
    od -An -tu1 <"$file" | head -c 100000 >text
    mv text "$file"
  done
  ship 1 --compression-level 9
  pulls 1
  change
  ship 2
  costs_little 2
}

@test "files of a layer of podman's are not fetched again for one of lay's" {
  podman_ships 1
  pulls 1
  change
  ship 2
  costs_little 2
}

@test "files of a layer of lay's are not fetched again for one of podman's" {
  ship 1
  pulls 1
  change
  podman_ships 2
  costs_little 2
}

@test "files of a layer that was unpacked are not fetched again" {
  ship 1 --compression gzip
  LAY_LAYER_FORM=tree pulls 1
  [ -d "$to/layers/$(layer_of "$to" 1)/tree" ]
  change
  ship 2
  costs_little 2
}

@test "files that go while a layer is put together of them are fetched, with the rest of the blob" {
  local port proxy pull status=0
  ship 1 --compression gzip
  LAY_LAYER_FORM=tree pulls 1
  change
  ship 2
  port=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$port" "$(free_port)" "${served#*:}" "$world/requests" \
    '[{"method": "GET", "path": "/blobs/", "range": true, "do": "pass", "pause": 2, "times": 1000}]' >proxy.log 2>&1 3>&- &
  proxy=$!
  wait_until 10 curl -fsS "http://127.0.0.1:$port/v2/"
  "$LAY" --root "$to" pull -q "localhost:$port/team/app:2" >/dev/null 2>said 3>&- &
  pull=$!
  wait_until 20 grep -q '"range": "bytes=[^"]*,' requests  # what is missing: where all else is has been found
  rm "$to/layers/$(layer_of "$to" 1)"/tree/data/*
  wait "$pull" || status=$?
  kill "$proxy"
  ((status == 0)) || { cat said; return 1; }
  [ "$("$LAY" --root "$to" inspect -f '{{.Digest}}' "localhost:$port/team/app:2")" = "$("$LAY" inspect -f '{{.Digest}}' app:2)" ]
  [ -e "$to/blobs/$(blob_of 2 | tr : /)" ]
}

@test "where layers are unpacked the blob comes, however much of it is here" {
  export LAY_LAYER_FORM=tree
  ship 1 --compression gzip
  pulls 1
  change
  ship 2
  pulls 2
  same 2
}

@test "of a large file in which little changed, only that is fetched, and files may have moved" {
  head -c 9000000 /dev/urandom >tree/large
  ship 1 --compression gzip
  pulls 1
  printf X | dd of=tree/large bs=1 seek=4000000 conv=notrunc status=none
  echo more >>tree/large
  mkdir -p tree/moved/to
  mv tree/data/f0001* tree/moved/to
  ship 2
  local bytes
  bytes=$(sent pulls 2)
  ((bytes < 2 * 1048576 + files * 2000)) || { echo "$bytes bytes"; return 1; }
  left 2
  as_whole 2
}

@test "a pull of all blobs fetches what is missing of the blob, and a later one too" {
  ship 1 --compression gzip
  pulls 1
  change
  ship 2
  "$LAY" --root "$to" pull -q --all-blobs "$served/team/app:2" >/dev/null
  same 2
  to=$world/root4
  pulls 1
  pulls 2
  left 2
  "$LAY" --root "$to" pull -q --all-blobs "$served/team/app:2" >/dev/null
  same 2
  [ -z "$(ls "$to/absent")" ]
}

@test "what a pull says about its parts is what crossed the wire" {
  ship 1 --compression gzip
  pulls 1
  change
  ship 2
  "$LAY" --root "$to" pull "$served/team/app:2" >/dev/null 2>said
  grep -E 'pulled, [12] % of it fetched' said || { cat said; return 1; }
}

@test "an image whose layer was put together runs, is saved, and is pushed with its blob from where it was left" {
  make_small_root
  cp -a small/. tree
  ship 1 --compression gzip --cmd '["/bin/sh"]'
  pulls 1
  change
  ship 2 --cmd '["/bin/sh"]'
  costs_little 2
  [ "$("$LAY" --root "$to" run --rm --network none "$served/team/app:2" cat /data/new)" = new ]
  "$LAY" --root "$to" save -q -o docker.tar "$served/team/app:2"
  skopeo copy -q docker-archive:docker.tar oci:saved:1
  umoci unpack --image saved:1 bundle >/dev/null 2>&1
  diff -r --no-dereference tree bundle/rootfs
  start_registry "$world/registry"
  "$LAY" --root "$to" push -q "$served/team/app:2" "$registry/other:1" >/dev/null
  rm -rf judged
  skopeo copy -q --src-tls-verify=false "docker://$registry/other:1" dir:judged
  [ "$(jq -r '.layers[0].digest' judged/manifest.json)" = "$(blob_of 2)" ]
  same 2
}

@test "a pull that is killed while it puts a layer together leaves nothing and loses nothing" {
  ship 1 --compression gzip
  pulls 1
  change
  ship 2
  local before after delay
  before=$(metric lay_sent_bytes_total)
  for delay in 0.01 0.02 0.03 0.05 0.08 0.15; do
    timeout -s KILL "$delay" "$LAY" --root "$to" pull -q "$served/team/app:2" >/dev/null 2>&1 || true
    "$LAY" --root "$to" fsck -q
  done
  pulls 2
  after=$(metric lay_sent_bytes_total)
  few $(((after - before) / 7))
  left 2
  as_whole 2
}

# hostile LIE: the tree as zstd:chunked of another maker, whose table lies about one file.
hostile() {
  rm -rf oci
  tar --sort=name -b 1 -C tree -cf tree.tar .
  python3 "$here/../../support/chunked_image.py" tree.tar oci x "$1"
  skopeo copy -q --dest-tls-verify=false oci:oci:x "docker://$served/team/app:2"
}

@test "a table that lies about a digest, a size or the order of the tar gets nothing wrong into a layer" {
  local lie
  ship 1 --compression gzip
  for lie in digest size split; do
    rm -rf --one-file-system "$to"
    pulls 1
    hostile "$lie"
    pulls 2
    "$LAY" --root "$to" fsck -q
    as_whole 2
    [ -z "$(ls "$to/ingest")" ]
  done
}

@test "frames that unpack to more than the table says are given up, and so is the layer" {
  ship 1 --compression gzip
  pulls 1
  echo other >tree/data/f00001
  hostile frames
  run "$LAY" --root "$to" pull -q "$served/team/app:2"
  [ "$status" = 1 ]
  has "$output" "got diff_id"
  "$LAY" --root "$to" fsck -q
  ! "$LAY" --root "$to" inspect "$served/team/app:2" >/dev/null 2>&1 || return 1
}
