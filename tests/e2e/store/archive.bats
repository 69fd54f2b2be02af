#!/usr/bin/env bats
# save, load and export: podman, docker, skopeo and the kernel judge what is written, and write what is read.

load ../support/world

setup() {
  open_world
  lay() { "$LAY" "$@"; }
  podman_() {
    podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs --runtime runc --cgroup-manager cgroupfs \
      --events-backend file "$@"
  }
}

teardown() {
  [[ -z ${docker_pid-} ]] || { kill "$docker_pid" && wait "$docker_pid" || true; }
  close_world
}

# two_images: said:1 and, on top of it, said:2, which prints what the first one wrote.
two_images() {
  small_image
  "$LAY" run --name c --network none small sh -c 'echo from lay >/said'
  "$LAY" commit -q c said:1 --cmd '["/bin/cat","/said"]' >/dev/null
  "$LAY" run --name d --network none said:1 sh -c 'rm /etc/group; echo more >>/said'
  "$LAY" commit -q d said:2 >/dev/null
}

id_of() { "$LAY" inspect -f '{{.Id}}' "$1"; }
digest_of() { "$LAY" inspect -f '{{.Digest}}' "$1"; }

@test "podman loads both images of a docker archive, with their ids, and runs them" {
  two_images
  "$LAY" save -q -o both.tar said:2 said:1
  run podman_ load -q -i both.tar
  has "$output" "localhost/said:1"
  has "$output" "localhost/said:2"
  for tag in 1 2; do
    [ "sha256:$(podman_ image inspect -f '{{.Id}}' said:$tag)" = "$(id_of said:$tag)" ]
  done
  run podman_ run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 said:2
  has "$output" $'from lay\nmore'
}

@test "skopeo copies out of both kinds of archive, and an OCI archive keeps every digest" {
  two_images
  "$LAY" save -q said:1 said:2 >docker.tar
  "$LAY" save -q --format oci-archive said:1 said:2 >oci.tar
  for tag in 1 2; do
    skopeo copy -q "docker-archive:docker.tar:said:$tag" "oci:layout:d$tag"
    [ "$(skopeo inspect --config "oci:layout:d$tag" | jq -c .rootfs.diff_ids)" = "$("$LAY" inspect said:$tag | jq -c '.[0].RootFS.Layers')" ]
    [ "$(skopeo inspect --format '{{.Digest}}' "oci-archive:oci.tar:said:$tag")" = "$(digest_of said:$tag)" ]
    skopeo copy -q "oci-archive:oci.tar:said:$tag" "oci:layout:o$tag"
  done
  "$LAY" save -q --format oci-archive -o one.tar said:2
  run podman_ load -q -i one.tar
  has "$output" said:2
}

@test "docker loads a docker archive, and lay what docker saves" {
  two_images
  start_docker
  "$LAY" save -q said:1 said:2 | docker_ load -q
  [ "$(docker_ image inspect -f '{{.Id}}' said:2)" = "$(id_of said:2)" ]
  docker_ save said:1 said:2 | "$LAY" --root "$world/root2" load -q
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Id}}' said:2)" = "$(id_of said:2)" ]
  run "$LAY" --root "$world/root2" run --rm --network none said:2
  [ "$output" = $'from lay\nmore' ]
}

# start_docker: a daemon of the test's own, or skip.
start_docker() {
  [[ -x /usr/sbin/dockerd && -x /usr/bin/docker ]] || skip "dockerd is not installed"
  echo '{}' >docker.json
  /usr/sbin/dockerd --host "unix://$world/docker.sock" --data-root "$world/docker" --exec-root "$world/docker-run" \
    --pidfile "$world/docker.pid" --config-file docker.json --iptables=false --bridge=none --storage-driver vfs >docker.log 2>&1 &
  docker_pid=$!
  docker_() { /usr/bin/docker --host "unix://$world/docker.sock" "$@"; }
  wait_until 30 docker_ version || { docker_pid=; skip "dockerd does not start: $(tail -n 1 docker.log)"; }
}

@test "what podman, buildah and skopeo save loads, in every form, with the ids it had" {
  small_image
  buildah_() { buildah --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs "$@"; }
  container=$(buildah_ from scratch)
  buildah_ copy -q "$container" "$world/small" / >/dev/null
  buildah_ config --cmd '["/bin/cat","/etc/group"]' "$container"
  buildah_ commit -q "$container" localhost/made:1 >/dev/null
  buildah_ config --env MADE=2 "$container"
  buildah_ commit -q --format docker "$container" localhost/made:2 >/dev/null
  podman_ save -q -m -o docker.tar localhost/made:1 localhost/made:2
  podman_ save -q --format oci-archive -o oci.tar localhost/made:1
  skopeo copy -q docker-archive:docker.tar:localhost/made:2 docker-archive:skopeo.tar:localhost/made:2
  skopeo copy -q docker-archive:docker.tar:localhost/made:2 oci-archive:skopeo-oci.tar:localhost/made:2
  zstd -q docker.tar -o docker.tar.zst
  gzip -k oci.tar
  local n=0 file image
  for file in docker.tar:2 docker.tar.zst:1 oci.tar:1 oci.tar.gz:1 skopeo.tar:2 skopeo-oci.tar:2; do
    n=$((n + 1))
    image=localhost/made:${file##*:}
    cat "${file%:*}" | "$LAY" --root "$world/root-$n" load -q >loaded
    has "$(cat loaded)" "Loaded image: $image"
    case $file in  # into an OCI layout skopeo writes another config
      skopeo-oci*) id=$(skopeo inspect --raw oci-archive:skopeo-oci.tar | jq -r .config.digest) ;;
      *) id=sha256:$(podman_ image inspect -f '{{.Id}}' "$image") ;;
    esac
    [ "$("$LAY" --root "$world/root-$n" inspect -f '{{.Id}}' "$image")" = "$id" ]
    run "$LAY" --root "$world/root-$n" run --rm --network none "$image"
    has "$output" extra
    "$LAY" --root "$world/root-$n" fsck -q
  done
}

@test "the same images give the same bytes from two roots, and come back with the digests they had" {
  two_images
  "$LAY" save -q -o first said:1 said:2
  "$LAY" save -q --format oci-archive -o first-oci said:1 said:2
  "$LAY" --root "$world/root2" load -q -i first
  "$LAY" --root "$world/root3" load -q <first-oci
  export LAY_LAYER_FORM=tree
  "$LAY" --root "$world/root4" load -q -i first
  unset LAY_LAYER_FORM
  local root
  for root in root2 root3 root4; do
    (TZ=Asia/Kolkata LC_ALL=C umask 077; "$LAY" --root "$world/$root" save -q said:2 said:1 said:1 >again)
    cmp first again
    "$LAY" --root "$world/$root" save -q --format oci-archive said:2 said:1 >again
    cmp first-oci again
    [ "$("$LAY" --root "$world/$root" inspect -f '{{.Digest}}' said:2)" = "$(digest_of said:2)" ]
  done
}

@test "several images and names go through pipes to podman and back, each layer once, with the ids they had" {
  two_images
  "$LAY" tag said:2 quay.example/team/said:2
  "$LAY" save -q said:1 said:2 quay.example/team/said:2 | tee both.tar | podman_ load -q >loaded
  [ "$(sort loaded)" = $'Loaded image: localhost/said:1\nLoaded image: localhost/said:2\nLoaded image: quay.example/team/said:2' ]
  [ "$(tar -tf both.tar | sort | uniq -d)" = "" ]
  [ "$(tar -xOf both.tar manifest.json | jq -c '[.[].Layers | length] | sort')" = '[2,3]' ]
  [ "$(tar -xOf both.tar manifest.json | jq '[.[].Layers[]] | unique | length')" = 3 ]
  (($(stat -c %s both.tar) < 2 * $(stat -c %s small/bin/busybox)))
  podman_ save -q -m localhost/said:1 localhost/said:2 quay.example/team/said:2 | "$LAY" --root "$world/root2" load -q >loaded
  [ "$(sort loaded)" = $'Loaded image: localhost/said:1\nLoaded image: localhost/said:2\nLoaded image: quay.example/team/said:2' ]
  local name
  for name in localhost/said:1 localhost/said:2 quay.example/team/said:2; do
    [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$name")" = "$(digest_of "${name#localhost/}")" ]
  done
  "$LAY" --root "$world/root2" fsck -q
  "$LAY" --root "$world/root2" save -q localhost/said:1 localhost/said:2 | podman_ load -q >/dev/null
}

@test "podman's own layouts and skopeo's copies of ours come back with the ids they had" {
  two_images
  "$LAY" save -q -o docker.tar said:1 said:2
  "$LAY" save -q --format oci-archive -o oci.tar said:1 said:2
  local tag
  for tag in 1 2; do
    skopeo copy -q "docker-archive:docker.tar:said:$tag" "docker-archive:theirs-$tag.tar:copied:$tag"
    "$LAY" --root "$world/root2" load -q -i "theirs-$tag.tar" >/dev/null
    [ "$("$LAY" --root "$world/root2" inspect copied:$tag | jq -c '.[0].RootFS')" = "$("$LAY" inspect said:$tag | jq -c '.[0].RootFS')" ]
    skopeo copy -q "oci-archive:oci.tar:said:$tag" "oci-archive:their-oci-$tag.tar:copied:$tag"
    "$LAY" --root "$world/root3" load -q -i "their-oci-$tag.tar" >/dev/null
    [ "$("$LAY" --root "$world/root3" inspect -f '{{.Digest}}' "copied:$tag")" = "$(digest_of said:$tag)" ]
    skopeo copy -q "oci-archive:oci.tar:said:$tag" "oci:theirs:$tag"
  done
  "$LAY" --root "$world/root3" fsck -q
  "$LAY" save -q said:2 | podman_ load -q >/dev/null
  # From docker's form podman makes an OCI image with another config.
  podman_ save -q --format oci-dir -o their-dir localhost/said:2 2>/dev/null
  podman_ save -q --format oci-archive localhost/said:2 2>/dev/null | tee their-archive.tar |
    "$LAY" --root "$world/root4" load -q >/dev/null
  tar -C their-dir -cf - . | "$LAY" --root "$world/root5" load -q >/dev/null
  local root
  for root in root4 root5; do
    [ "$("$LAY" --root "$world/$root" inspect -f '{{.Id}}' localhost/said:2)" = \
      "$(skopeo inspect --raw oci-archive:their-archive.tar | jq -r .config.digest)" ]
    [ "$("$LAY" --root "$world/$root" inspect localhost/said:2 | jq -c '.[0].RootFS')" = "$("$LAY" inspect said:2 | jq -c '.[0].RootFS')" ]
  done
  tar -C theirs -cf theirs.tar .
  "$LAY" --root "$world/root6" load -q -i theirs.tar >loaded
  [ "$(sort loaded | wc -l)" = 2 ]
}

@test "two saves at once, to a file and to a pipe, are the same bytes" {
  two_images
  local format
  for format in docker-archive oci-archive; do
    "$LAY" save -q --format "$format" said:2 said:1 | sha256sum >piped 3>&- &
    "$LAY" save -q --format "$format" -o file said:1 said:2
    wait $!
    [ "$(sha256sum <file)" = "$(<piped)" ]
    rm file
  done
}

@test "a layer that is here already is not stored once more, in whatever compression it is here" {
  small_image
  "$LAY" tag small other
  "$LAY" save -q -o a.tar small
  "$LAY" rmi small >/dev/null
  before=$(find "$LAY_ROOT/blobs" "$LAY_ROOT/layers" -type f -size +100k | sort)
  "$LAY" load -q -i a.tar
  [ "$(find "$LAY_ROOT/blobs" "$LAY_ROOT/layers" -type f -size +100k | sort)" = "$before" ]
}

@test "an image saved by its id has no name in the archive and is called by its id here" {
  small_image
  id=$(id_of small)
  "$LAY" save -q -o nameless "${id:7:12}"
  [ "$(tar xOf nameless manifest.json | jq -c '.[0].RepoTags')" = '[]' ]
  [ "$("$LAY" --root "$world/root2" load -q -i nameless)" = "Loaded image: loaded:${id:7:12}" ]
  [ "$("$LAY" --root "$world/root3" load -q -i - <nameless)" = "Loaded image: loaded:${id:7:12}" ]
}

@test "an image without layers loads, however its manifest says that" {
  local layers id
  printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]},"history":[]}' >config
  id=$(sha256sum <config | cut -c1-64)
  for layers in ',"Layers":null' ',"Layers":[]'; do
    mkdir empty
    cp config "empty/$id.json"
    echo "[{\"Config\":\"$id.json\",\"RepoTags\":[\"s:1\"]$layers}]" >empty/manifest.json
    tar -C empty -cf empty.tar .
    podman_ load -q -i empty.tar >/dev/null
    "$LAY" --root "$world/root2" load -q -i empty.tar >/dev/null
    [ "$("$LAY" --root "$world/root2" inspect s:1 | jq -c '.[0].RootFS.Layers')" = '[]' ]
    rm -r empty
  done
  refused 125 "layer" "$LAY" --root "$world/root2" run --rm --network none s:1 true
}

@test "J01, J11: hostile archives are refused, and nothing of them stays" {
  python3 "$here/../hostile/hostile_archives.py" "$world/archives"
  small_image
  before=$(store_state)
  local file failed=
  for file in "$world"/archives/*.words; do
    refused 1 "$(cat "$file")" "$LAY" load -q -i "${file%.words}" || { echo "^ $file"; failed=1; }
    [ "$(store_state)" = "$before" ] || { echo "left something: $file"; failed=1; before=$(store_state); }
    [ "$(ls "$LAY_ROOT/ingest" | wc -l)" = 0 ] || { echo "ingest: $file"; failed=1; }
  done
  [ -z "$failed" ]
}

# add_blob FOLDER FILE: into a layout; prints its digest.
add_blob() {
  local hex
  hex=$(sha256sum <"$2" | cut -d' ' -f1)
  cp "$2" "$1/blobs/sha256/$hex"
  echo "sha256:$hex"
}

@test "J07: an archive cannot pass a stored blob off as another stored layer" {
  small_image
  mkdir upper layout
  echo more >upper/more
  "$LAY" commit ./upper two:1 --base small >/dev/null
  "$LAY" save -q --format oci-archive -o archive two:1
  tar -C layout -xf archive
  local blobs=layout/blobs/sha256 manifest config
  manifest=$blobs/$(jq -r '.manifests[0].digest[7:]' layout/index.json)
  config=$blobs/$(jq -r '.config.digest[7:]' "$manifest")
  jq -c '.rootfs.diff_ids |= reverse' "$config" >config
  jq -c --arg digest "$(add_blob layout config)" --argjson size "$(stat -c %s config)" \
    '.config.digest = $digest | .config.size = $size' "$manifest" >manifest
  jq -c --arg digest "$(add_blob layout manifest)" --argjson size "$(stat -c %s manifest)" \
    '.manifests[0].digest = $digest | .manifests[0].size = $size' layout/index.json >index
  mv index layout/index.json
  jq -r '.layers[].digest[7:]' "$manifest" | while read -r hex; do rm "$blobs/$hex"; done
  tar -C layout -cf forged oci-layout index.json blobs
  refused 1 "got diff_id" "$LAY" load -q -i forged

  # As somebody who may push to this store's registry leaves it.
  cp -n "$blobs"/* "$LAY_ROOT/blobs/sha256/"
  jq -c --slurpfile forged layout/index.json '.manifests += [$forged[0].manifests[0] |
    .annotations = {"org.opencontainers.image.ref.name": "forged:1"}]' "$LAY_ROOT/index.json" >index
  cat index >"$LAY_ROOT/index.json"
  run "$LAY" run --rm --network none forged:1 true
  [ "$status" -eq 125 ]
  has "$output" "got diff_id"
  [ "$("$LAY" run --rm --network none two:1 cat /more)" = more ]
}

@test "members may come in any order, and as docker wrote them then and now" {
  python3 "$here/../hostile/hostile_archives.py" "$world/archives"
  local file
  for file in "$world"/archives/good/*; do
    "$LAY" --root "$world/root-${file##*/}" load -q -i "$file" >loaded || { echo "$file"; return 1; }
    has "$(cat loaded)" "x:1"
    "$LAY" --root "$world/root-${file##*/}" fsck -q
  done
}

@test "a truncated archive is refused, and a damaged layer is not saved" {
  two_images
  "$LAY" save -q -o whole said:2
  head -c 1500000 whole >part
  before=$(store_state)
  refused 1 "" "$LAY" load -q -i part
  [ "$(store_state)" = "$before" ]
  layer=$(find "$LAY_ROOT/layers" -name layer.tar -size +1M | head -n 1)
  printf X | dd of="$layer" bs=1 seek=100000 conv=notrunc status=none
  refused 1 "diff_id" "$LAY" save -q -o damaged said:2
  [ ! -e damaged ]
  [ -z "$(find . -maxdepth 1 -name '.damaged*')" ]
}

@test "an archive is not written to a terminal" {
  small_image
  run script -qec "'$LAY' save small" /dev/null
  has "$output" "-o FILE"
  [ "$status" -eq 1 ]
}

@test "an image in docker's own format goes through an OCI archive with its id and its blobs" {
  small_image
  start_registry "$world/registry"
  "$LAY" save -q -o small.tar small
  skopeo copy -q --dest-tls-verify=false --format v2s2 docker-archive:small.tar "docker://$registry/small:1"
  image=$registry/small:1
  "$LAY" pull -q "$image" >/dev/null
  has "$("$LAY" inspect -f '{{.MediaType}}' "$image")" docker
  "$LAY" save -q --format oci-archive -o oci.tar "$image"
  [ "$(skopeo inspect --raw "oci-archive:oci.tar:$image" | jq -r .config.digest)" = "$(id_of "$image")" ]
  skopeo copy -q "oci-archive:oci.tar:$image" oci:layout:1
  run podman_ load -q -i oci.tar
  has "$output" "$image"
  "$LAY" --root "$world/root2" load -q -i oci.tar
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Id}}' "$image")" = "$(id_of "$image")" ]
}

@test "a full disk and a killed load leave the store as it was" {
  small_image
  "$LAY" run --name c --network none small sh -c 'dd if=/dev/urandom of=/big bs=64k count=128 2>/dev/null'
  "$LAY" commit -q c big:1 >/dev/null
  "$LAY" save -q -o docker.tar big:1
  "$LAY" save -q --format oci-archive -o oci.tar big:1
  mkdir disk
  mount -t tmpfs -o size=6m lay-test disk
  export LAY_ROOT=$world/disk/root LAY_LAYER_FORM=tree
  small_image
  before=$(store_state)
  local file
  for file in docker.tar oci.tar; do
    refused 1 "No space left" "$LAY" load -q -i $file || failed=1
    [ "$(store_state)" = "$before" ] || failed=1
    [ -z "$(ls "$LAY_ROOT/ingest")" ] || failed=1
  done
  umount disk
  [ -z "${failed-}" ]
  export LAY_ROOT=$world/root LAY_LAYER_FORM=erofs
  "$LAY" rm c >/dev/null
  "$LAY" rmi big:1 >/dev/null
  before=$(store_state)
  mkfifo pipe
  "$LAY" load -q <pipe &
  loader=$!
  exec {hold}>pipe
  head -c 5000000 docker.tar >&"$hold"
  wait_until 10 test -n "$(ls "$LAY_ROOT/ingest")"
  kill -KILL "$loader"
  wait "$loader" || true
  exec {hold}>&-
  [ "$(store_state)" = "$before" ]
  "$LAY" prune -f >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  "$LAY" load -q -i docker.tar
  "$LAY" fsck -q
}

@test "an archive is copied out of a pipe" {
  mkdir base && echo content >base/file
  "$LAY" import -q base small >/dev/null
  "$LAY" save --quiet -o image.tar small
  mkfifo pipe
  timeout 20 python3 -c 'open("pipe", "wb", 0).write(open("image.tar", "rb").read())' 3>&- &  # at once when it is opened
  timeout 20 "$LAY" copy oci-archive:pipe piped:1
  wait $!
  [ "$("$LAY" export piped:1 | tar -xO file)" = content ]
}
