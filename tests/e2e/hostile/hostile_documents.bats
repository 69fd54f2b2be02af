#!/usr/bin/env bats
# Images of strangers, as archives, as layouts and from a registry: what their documents say is checked before anything
# is done with it, and by every way alike. hostile_documents.py holds the cases; gzip, zstd, podman and umoci judge.

load ../support/world
load ../support/served

setup() { open_world; }
teardown() {
  stop_served
  close_world
}

# judged GROUP: every case of hostile_documents.py's, in memory: nothing is lost here, and a disk would take its time.
judged() {
  local status=0
  mkdir memory
  mount -t tmpfs lay-test memory
  (cd memory && LAY_ROOT=$PWD/root "$BATS_TEST_DIRNAME/hostile_documents.py" "$1") >judged || status=1
  umount memory
  ((status == 0)) || { head -n 30 judged; return 1; }
  has "$(tail -n 1 judged)" ", 0 wrong"
}

@test "J01: a digest that is none is refused wherever it stands" { judged j01; }
@test "J03: bytes that are not those of the digest are refused, in every document and by every way" { judged j03; }
@test "J04: what a registry says of a manifest is not believed" { judged j04; }
@test "J05: a document that can be read in two ways is refused" { judged j05; }
@test "J07: layers that are not those of the config are refused, stored or not" { judged j07; }
@test "J08: what is no JSON of a sane shape is refused, in every document" { judged j08; }
@test "J08: the file that makes a folder a layout has to be one, in an archive and in a folder" { judged layout_files; }
@test "J10: an index leads to this machine's image or to none" { judged j10; }
@test "J10: an index within an index is followed by every way alike" { judged nested; }
@test "J11: names, titles and labels are no paths, no options and no control characters" { judged j11; }
@test "J12: members of the wrong type are refused" { judged j12; }
@test "S02, J08: documents of docker's archives are checked as those of layouts" { judged docker_archives; }
@test "Z04: a layer's bytes are what its media type says, or it is refused" { judged z04; }
@test "gzip and zstd streams are taken and refused as gzip and zstd do" { judged z_streams; }

# layout_of FOLDER ALGORITHM: an image of busybox.
layout_of() {
  make_small_root
  tar -C "$world/small" -cf "$world/small.tar" .
  "$BATS_TEST_DIRNAME/hostile_documents.py" "$1" "$2" "$world/small.tar"
}

# sha512_images: x:1 in the roots `root` and `root2`, by an archive and by a layout; sets digest.
sha512_images() {
  layout_of layout sha512
  digest=$(jq -r '.manifests[0].digest' layout/index.json)
  [[ $digest == sha512:* ]]
  tar -C layout -cf archive oci-layout index.json blobs
  "$LAY" load -q -i archive >/dev/null
  [ "$("$LAY" --root "$world/root2" copy -q oci:layout:x:1 x:1)" = "$digest" ]
}

# runs ROOT NAME: and its store is good.
runs() {
  [ "$("$LAY" --root "$world/$1" run --rm --network none "$2" /bin/echo ran)" = ran ]
  "$LAY" --root "$world/$1" fsck -q >/dev/null
}

@test "J02: an image of sha512 is loaded, run, saved, served and pulled back" {
  sha512_images
  LAY_ROOT=$world/served serve --access-log none
  local root id
  id=$("$LAY" inspect -f '{{.Id}}' x:1)
  for root in root root2; do
    runs $root x:1
    [ "$("$LAY" --root "$world/$root" inspect -f '{{.Digest}}' x:1)" = "$digest" ]
    "$LAY" --root "$world/$root" push -q x:1 "$served/$root:1" >/dev/null
    "$LAY" --root "$world/back-$root" pull -q "$served/$root:1" >/dev/null
    runs back-$root "$served/$root:1"
    [ "$("$LAY" --root "$world/back-$root" inspect -f '{{.Id}}' "$served/$root:1")" = "$id" ]
    "$LAY" --root "$world/$root" save -q --format oci-archive -o $root.oci x:1
    "$LAY" --root "$world/saved-$root" load -q -i $root.oci >/dev/null
    [ "$("$LAY" --root "$world/saved-$root" inspect -f '{{.Digest}}' x:1)" = "$digest" ]
  done
  "$LAY" --root "$world/served" fsck -q
}

@test "J02: the digest that a push of sha512 prints can be pulled" {
  sha512_images
  LAY_ROOT=$world/served serve --access-log none
  local pushed
  pushed=$("$LAY" push -q x:1 "$served/app:1@$digest")
  "$LAY" --root "$world/back" pull -q "$served/app@$pushed" >/dev/null
  runs back "$served/app@$pushed"
  pushed=$("$LAY" push -q x:1 "$served/tagged:1")
  "$LAY" --root "$world/back" pull -q "$served/tagged@$pushed"
}

# damaged_512 FILE: a byte of it is changed.
damaged_512() { printf X | dd of="$1" bs=1 seek=100 conv=notrunc status=none; }

@test "J02: a wrong byte of an image of sha512 is seen by every way" {
  layout_of layout sha512
  local file
  for file in layout/blobs/sha512/*; do
    cp "$file" whole
    damaged_512 "$file"
    tar -C layout -cf archive oci-layout index.json blobs
    refused 1 "expected sha512:${file##*/}" "$LAY" load -q -i archive
    run "$LAY" copy -q oci:layout:x:1 x:1
    [ "$status" -eq 1 ]
    has "$output" "sha512:${file##*/}"
    cp whole "$file"
  done
  "$LAY" copy -q oci:layout:x:1 x:1
  for file in "$LAY_ROOT"/blobs/sha512/*; do
    cp -p "$file" whole
    chmod u+w "$file"
    damaged_512 "$file"
    run "$LAY" fsck -q
    [ "$status" -eq 1 ]
    has "$output" "${file##*/}"
    mv whole "$file"
  done
  "$LAY" fsck -q
}

@test "J02: a digest of another algorithm is refused by its name" {
  layout_of layout sha256
  sed -i 's/sha256:/blake3:/' layout/index.json
  run "$LAY" copy -q oci:layout:x:1 x:1
  [ "$status" -eq 1 ]
  has "$output" blake3
}

# names_pinned NAME COMMAND...: the command is refused, or no image is called NAME afterwards.
names_pinned() {
  local name=$1
  shift
  "$@" >/dev/null 2>&1 || true
  ! "$LAY" inspect "$name" >/dev/null 2>&1 || { echo "an image is called $name after: $*"; return 1; }
}

@test "J04: a name with a digest stands for no other image" {
  small_image
  local digest failed=
  digest=sha256:$(printf '0%.0s' {1..64})
  "$LAY" save -q -o docker.tar small
  mkdir docker layout
  tar -C docker -xf docker.tar
  jq -c --arg name "pinned@$digest" '.[0].RepoTags = [$name]' docker/manifest.json >manifest.json
  mv manifest.json docker/manifest.json
  tar -C docker -cf docker.tar .
  "$LAY" save -q --format oci-archive -o oci.tar small
  tar -C layout -xf oci.tar
  jq -c --arg name "pinned@$digest" '.manifests[0].annotations = {"org.opencontainers.image.ref.name": $name}' layout/index.json >index.json
  mv index.json layout/index.json
  tar -C layout -cf oci.tar oci-layout index.json blobs
  names_pinned "pinned@$digest" "$LAY" load -q -i docker.tar || failed=1
  "$LAY" rmi "pinned@$digest" >/dev/null 2>&1 || true
  names_pinned "pinned@$digest" "$LAY" load -q -i oci.tar || failed=1
  names_pinned "copied@$digest" "$LAY" copy -q small "copied@$digest" || failed=1
  names_pinned "tagged@$digest" "$LAY" tag small "tagged@$digest" || failed=1
  names_pinned "imported@$digest" "$LAY" import "$world/small" "imported@$digest" || failed=1
  [ -z "$failed" ]
}

# own_labels: plain:1, and labelled:1 with words of lay's own and of others.
own_labels() {
  make_small_root
  "$LAY" import "$world/small" plain:1 --cmd '["/bin/sh"]' >/dev/null
  "$LAY" copy -q plain:1 oci:layout >/dev/null
  relabelled layout '{"dev.lay.seccomp": "unconfined", "dev.lay.init": "true", "dev.lay.landlock": "ro=/bin", "dev.lay.userns": "auto:65536",
    "io.podman.annotations.privileged": "TRUE", "run.oci.hooks": "/bin/sh"}'
  "$LAY" copy -q oci:layout labelled:1 >/dev/null
  has "$("$LAY" inspect labelled:1)" '"dev.lay.seccomp": "unconfined"'
}

@test "J11: labels and annotations in lay's own namespace change nothing of how an image is run" {
  own_labels
  local image
  for image in plain labelled; do
    "$LAY" run --rm --network none $image:1 /bin/sh -c 'cat /proc/self/status /proc/self/uid_map; tr "\0" " " </proc/1/cmdline; touch /x; ls /' |
      grep -aE '^(Seccomp|NoNewPrivs|Cap|Uid|x$|/bin/sh)|^ ' >$image.seen
  done
  [ "$(wc -l <plain.seen)" -gt 10 ]
  diff plain.seen labelled.seen
}

@test "J11: labels in lay's own namespace change nothing of an image's bundle but its annotations" {
  own_labels
  local image
  for image in plain labelled; do
    "$LAY" bundle $image:1 $image.bundle >/dev/null
    jq -S 'del(.annotations, .hostname)' $image.bundle/config.json | sed "s/$image//g" | grep -v HOSTNAME= >$image.spec
  done
  diff plain.spec labelled.spec
  [ "$(jq '[.annotations | keys[] | select(startswith("dev.lay."))] | length' labelled.bundle/config.json)" = 0 ]
}

# relabelled LAYOUT LABELS: puts them into config, manifest and index of its image.
relabelled() {
  local blobs=$1/blobs/sha256 manifest config
  manifest=$(jq -r '.manifests[0].digest[7:]' "$1/index.json")
  config=$(jq -r '.config.digest[7:]' "$blobs/$manifest")
  jq -c --argjson own "$2" '.config.Labels = $own' "$blobs/$config" >config.json
  jq -c --argjson own "$2" --arg digest "sha256:$(sha256sum <config.json | cut -d' ' -f1)" --argjson size "$(stat -c %s config.json)" \
    '.config.digest = $digest | .config.size = $size | .annotations = $own | .layers[].annotations = $own' "$blobs/$manifest" >manifest.json
  jq -c --argjson own "$2" --arg digest "sha256:$(sha256sum <manifest.json | cut -d' ' -f1)" --argjson size "$(stat -c %s manifest.json)" \
    '.manifests[0] |= (.digest = $digest | .size = $size | .annotations = $own)' "$1/index.json" >index.json
  mv index.json "$1/index.json"
  mv config.json "$blobs/$(sha256sum <config.json | cut -d' ' -f1)"
  mv manifest.json "$blobs/$(sha256sum <manifest.json | cut -d' ' -f1)"
}

# canary: what is not to be read and not to be written.
canary() {
  mkdir -p canary/folder
  echo CANARY-MARKER >canary/file
  mkfifo canary/fifo
  ln -s file canary/link
}
canary_state() { (cd canary && find . -printf '%y %m %n %s %T@ %p %l\n' | sort && cat file); }

# put_in_place KIND FILE: what stands for FILE of a layout then.
put_in_place() {
  rm -f "$2"
  case $1 in
    link) ln -s "$world/canary/file" "$2" ;;
    same) cp "$2.kept" "$world/elsewhere" && ln -s "$world/elsewhere" "$2" ;;
    relative) ln -s ../../../canary/file "$2" ;;
    dangling) ln -s nowhere "$2" ;;
    hard) ln "$world/canary/file" "$2" ;;
    fifo) mkfifo "$2" ;;
    device) mknod "$2" c 1 5 ;;
    block) mknod "$2" b 7 200 ;;
    socket) python3 -c 'import os, socket, sys; os.chdir(os.path.dirname(sys.argv[1])); socket.socket(socket.AF_UNIX).bind(os.path.basename(sys.argv[1]))' "$2" ;;
    folder) mkdir "$2" ;;
    proc) ln -s /proc/self/environ "$2" ;;
  esac
}

@test "S01: a file of a layout that is none is refused at once, and nothing behind it is read" {
  layout_of layout sha256
  canary
  local before file kind failed= manifest state
  before=$(canary_state)
  small_image
  state=$(store_state)
  manifest=layout/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' layout/index.json)
  for file in layout/index.json "$manifest" "layout/blobs/sha256/$(jq -r '.config.digest[7:]' "$manifest")" \
    "layout/blobs/sha256/$(jq -r '.layers[0].digest[7:]' "$manifest")"; do
    cp "$file" "$file.kept"
    for kind in link same relative dangling hard fifo device block socket folder proc; do
      put_in_place $kind "$file"
      run timeout -s KILL 5 "$LAY" copy -q oci:layout:x:1 x:1
      [ "$status" -eq 1 ] || { echo "$kind for $file: $status $output"; failed=1; }
      [[ $output != *CANARY* ]] || { echo "$kind for $file: read"; failed=1; }
      [ "$(store_state)" = "$state" ] || { echo "$kind for $file: left something"; failed=1; state=$(store_state); }
      rm -r --one-file-system "$file"
      [ "$(canary_state)" = "$before" ] || { echo "$kind for $file: touched"; failed=1; }
    done
    mv "$file.kept" "$file"
  done
  [ -z "$failed" ]
  ! grep -rqaF CANARY-MARKER "$LAY_ROOT" || return 1
  "$LAY" copy -q oci:layout:x:1 x:1
}

@test "S01: writing into a layout of a stranger leaves alone what its links lead to" {
  small_image
  canary
  local before failed= place layer
  before=$(canary_state)
  layer=$("$LAY" inspect small | jq -r '.[0].Layers[0].digest[7:]')
  for place in index.json oci-layout blobs blobs/sha256 "blobs/sha256/$layer" "blobs/sha256/$layer.part" index.lock .lock; do
    rm -rf --one-file-system evil
    "$LAY" copy -q small oci:evil:first >/dev/null
    rm -rf --one-file-system "evil/$place"
    case $place in
      blobs | blobs/sha256) ln -s "$world/canary/folder" "evil/$place" ;;
      *) ln -s "$world/canary/file" "evil/$place" ;;
    esac
    timeout -s KILL 10 "$LAY" copy -q small oci:evil:second >/dev/null 2>err || [ $? -eq 1 ] || { cat err; failed=1; }
    [ "$(canary_state)" = "$before" ] || { echo "through $place:"; diff <(echo "$before") <(canary_state); failed=1; }
    rm -rf --one-file-system canary
    canary
    before=$(canary_state)
  done
  [ -z "$failed" ]
}

# Debian's podman overlooks flags that RFC 1952 reserves, knows no zstd blob by a skippable frame, and takes any window.
@test "podman takes and refuses the same streams, but for what it is known to see otherwise" {
  "$BATS_TEST_DIRNAME/hostile_documents.py" streams-to "$world/streams"
  local archive name lay_says podman_says failed=
  for archive in streams/*; do
    name=${archive##*/}
    case $name in reserved-flag.gz | skippable-15-first.zst | skippable-empty.zst | skippable-first.zst | window-28.zst) continue ;; esac
    lay_says=0 podman_says=0
    "$LAY" --root "$world/root-$name" load -q -i "$archive" >/dev/null 2>&1 || lay_says=1
    podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs load -q -i "$archive" >/dev/null 2>&1 || podman_says=1
    [ $lay_says = $podman_says ] || { echo "$name: lay $lay_says, podman $podman_says"; failed=1; }
    podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs rmi -af >/dev/null 2>&1 || true
  done
  [ -z "$failed" ]
}
