#!/usr/bin/env bats
# Images between registries, layouts, archives and the store, and transfers that are killed.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc
  head -c 20000000 /dev/urandom >tree/etc/big
  echo small >tree/etc/small
  "$LAY" import tree app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  start_registry "$world/registry"
  "$LAY" push -q app:1 "$registry/team/app:1"
}
teardown() {
  local pid
  for pid in ${proxy_pid-} ${served_pid-}; do kill "$pid" 2>/dev/null || true; done
  close_world
}

# start_proxy RULES [UPSTREAM_PORT]: the fault proxy in front of the registry; sets proxy (host:port).
start_proxy() {
  local port
  port=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$port" "$(free_port)" "${2:-${registry#*:}}" "$world/requests" "$1" \
    >"$world/proxy.log" 2>&1 3>&- &
  proxy_pid=$!
  proxy=localhost:$port
  wait_until 20 curl -fsS "http://127.0.0.1:$port/v2/"
}

@test "a registry that takes connections and is silent is told of after a while, once, and not with --quiet" {
  local port name pid pids=()
  port=$(free_port)
  python3 -c 'import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
kept = []
while True: kept.append(listener.accept())' "$port" 3>&- &
  served_pid=$!
  wait_until 20 bash -c ": </dev/tcp/127.0.0.1/$port"
  silent() { # NAME COMMAND...
    name=$1
    shift
    "$LAY" "$@" >"$name.out" 2>"$name.err" 3>&- &
    pids+=($!)
  }
  silent quiet pull -q "127.0.0.1:$port/app:1"
  silent pull pull "127.0.0.1:$port/app:1"
  silent push push app:1 "127.0.0.1:$port/app:1"
  silent inspect inspect "docker://127.0.0.1:$port/app:1"
  silent copy copy "docker://127.0.0.1:$port/app:1" oci:there:1
  for name in pull push inspect copy; do
    wait_until 20 grep -qx "lay: waiting for '127.0.0.1:$port', which does not answer yet" "$name.err" || { cat "$name.err"; return 1; }
  done
  [ ! -s quiet.err ]
  for pid in "${pids[@]}"; do kill "$pid"; done # a job of a shell like this one ignores SIGINT
  for pid in "${pids[@]}"; do wait "$pid" || true; done
  for name in pull push inspect copy; do [ "$(grep -c waiting "$name.err")" = 1 ]; done
}

@test "an image keeps its digest on every way that copy knows" {
  [ "$("$LAY" copy -q "docker://$registry/team/app:1" "docker://$registry/other/app:1")" = "$digest" ]
  [ "$("$LAY" copy -q "docker://$registry/other/app:1" oci:layout:one)" = "$digest" ]
  [ "$(skopeo inspect --format '{{.Digest}}' oci:layout:one)" = "$digest" ]
  [ "$("$LAY" copy -q oci:layout:one oci-archive:archive.tar:x)" = "$digest" ]
  [ "$("$LAY" --root "$world/root2" copy -q oci-archive:archive.tar second:1)" = "$digest" ]
  "$LAY" copy -q app:1 docker-archive:docker.tar:y:1
  has "$(tar -xOf docker.tar manifest.json)" '"y:1"'
  skopeo copy -q oci:layout:one oci:theirs:one
  [ "$("$LAY" copy -q oci:theirs "docker://$registry/theirs:1")" = "$digest" ]
  refused 1 "does not know this transport" "$LAY" copy dir:x "docker://$registry/x"
}

# put_manifest TAG TYPE FILE: at the registry, in team/app.
put_manifest() {
  curl -fsS -X PUT -H "Content-Type: application/vnd.oci.image.$2.v1+json" --data-binary "@$3" \
    "http://$registry/v2/team/app/manifests/$1"
}
# entry TYPE FILE PLATFORM: what an index says of it.
entry() {
  jq -n --arg type "application/vnd.oci.image.$1.v1+json" --arg digest "sha256:$(sha256sum <"$2" | cut -d' ' -f1)" \
    --argjson size "$(stat -c %s "$2")" --arg machine "$3" \
    '{mediaType: $type, digest: $digest, size: $size, platform: {os: "linux", architecture: $machine}}'
}

@test "a copy from registry to registry fetches no layer that the target has" {
  local layer
  layer=$(skopeo inspect --raw --tls-verify=false "docker://$registry/team/app:1" | jq -r '.layers[0].digest')
  start_proxy '[]'
  local before after
  [ "$("$LAY" --root "$world/root2" copy -q "docker://$proxy/team/app:1" "docker://$registry/mirrored:1")" = "$digest" ]
  before=$(grep -c "/blobs/$layer" requests)
  [ "$("$LAY" --root "$world/root2" copy -q "docker://$proxy/team/app:1" "docker://$registry/mirrored:1")" = "$digest" ]
  after=$(grep -c "/blobs/$layer" requests)
  [ "$before" -ge 1 ]
  [ "$after" = "$before" ]
  skopeo copy -q --src-tls-verify=false "docker://$registry/mirrored:1" dir:judged
  refused 1 "expected linux/riscv64" "$LAY" copy -q --platform linux/riscv64 "docker://$proxy/team/app:1" "docker://$registry/mirrored:2"
}

@test "a copy between registries looks at digests alone, as skopeo does, and a pull at the layers as well" {
  local config document=application/vnd.oci.image.manifest.v1+json
  curl -fsS -H "Accept: $document" "http://$registry/v2/team/app/manifests/1" >image
  config=$(curl -fsS "http://$registry/v2/team/app/blobs/$(jq -r .config.digest image)" |
    jq -c '.rootfs.diff_ids[0] = "sha256:" + ("0" * 64)' | tee wrong | sha256sum | cut -d' ' -f1)
  local location
  location=$(curl -fsS -X POST -D - "http://$registry/v2/team/app/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //Ip')
  curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary @wrong "$location&digest=sha256:$config"
  jq --arg digest "sha256:$config" --argjson size "$(stat -c %s wrong)" '.config.digest = $digest | .config.size = $size' image >lying
  put_manifest lying manifest lying
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$registry/team/app:lying" "docker://$registry/theirs:lying"
  "$LAY" copy -q "docker://$registry/team/app:lying" "docker://$registry/ours:lying" >/dev/null
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/ours:lying")" = "sha256:$(sha256sum <lying | cut -d' ' -f1)" ]
  export LAY_ROOT=$world/root2
  fails_with "diff_id" "$LAY" pull -q "$registry/ours:lying"
  fails_with "diff_id" "$LAY" copy -q "docker://$registry/ours:lying" oci:layout:1
}

@test "copy --all takes all that a name leads to, whatever it is and for whatever platform" {
  local empty=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a served location
  "$LAY" --root "$world/served" serve --listen 127.0.0.1:0 --access-log none >url 2>serve.log 3>&- &
  served_pid=$!
  wait_until 10 test -s url
  served=localhost:$(sed 's/.*://' url)
  location=$(curl -fsS -X POST -D - "http://$registry/v2/team/app/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //Ip')
  curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary '{}' "$location&digest=$empty"
  jq -n --arg empty "$empty" '{mediaType: "application/vnd.oci.empty.v1+json", digest: $empty, size: 2} |
    {schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: "a/b", config: ., layers: [.]}' >artifact
  put_manifest artifact manifest artifact
  curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/team/app/manifests/1" >image
  { entry manifest image arm64; } | jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' >inner
  put_manifest inner index inner
  { entry manifest image amd64; entry manifest artifact unknown; entry index inner s390x; } |
    jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: ., annotations: {a: "b"}}' >all
  put_manifest all index all
  local from to repository document
  from=docker://$registry/team/app:all
  for to in "$served/copied:all" "$served/copied:again" "$served/other:all" "$registry/other:all"; do
    [ "$("$LAY" copy -q --all "$from" "docker://$to")" = "sha256:$(sha256sum <all | cut -d' ' -f1)" ]
    repository=${to#*/}
    for document in image artifact inner all; do
      curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' \
        "http://${to%%/*}/v2/${repository%:*}/manifests/sha256:$(sha256sum <"$document" | cut -d' ' -f1)" | cmp - "$document"
    done
    rm -rf judged
    skopeo copy -q --src-tls-verify=false --override-arch amd64 "docker://$to" dir:judged
    skopeo copy -q --src-tls-verify=false "docker://${to%:*}@sha256:$(sha256sum <artifact | cut -d' ' -f1)" dir:judged-artifact
    from=docker://$to
  done
  "$LAY" copy -q --all "docker://$registry/team/app:artifact" "docker://$served/artifact:1" >/dev/null
  "$LAY" --root "$world/root2" pull -q "$served/other:all" >/dev/null
  sed 's/layer.v1.tar/layer.nondistributable.v1.tar/' image >outside
  put_manifest outside manifest outside
  "$LAY" copy -q --all "docker://$registry/team/app:outside" "docker://$served/outside:1" >/dev/null
  "$LAY" copy -q --all "docker://$served/outside:1" "docker://$registry/outside:1" >/dev/null
  # a layer beside it that no registry has
  jq --arg nobody "sha256:$(printf nobody | sha256sum | cut -d' ' -f1)" '.layers[0].mediaType |= sub("layer.v1"; "layer.nondistributable.v1") |
    .layers += [.layers[0] + {digest: $nobody, size: 6, urls: ["http://registry.invalid/nobody"]}]' image >outside
  curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @outside "http://$served/v2/other/manifests/outside"
  [ "$("$LAY" copy -q --all "docker://$served/other:outside" "docker://$served/outside:2")" = "sha256:$(sha256sum <outside | cut -d' ' -f1)" ]
  curl -fsSI "http://$served/v2/outside/blobs/$(jq -r '.layers[0].digest' image)" >/dev/null
  refused 1 "--all copies from and to docker://" "$LAY" copy --all "$from" docker-archive:file.tar
  refused 1 "--platform one of them" "$LAY" copy --all --platform linux/arm64 "$from" "docker://$served/copied:all"
}

# manifest_link FILE REPOSITORY: what docker-registry has of such a document there.
manifest_link() {
  echo "$world/registry/data/docker/registry/v2/repositories/$2/_manifests/revisions/sha256/$(sha256sum <"$1" | cut -d' ' -f1)"
}
# index TYPE:FILE:PLATFORM...: an index of these documents.
index() {
  local part
  for part; do IFS=: read -r -a part <<<"$part"; entry "${part[@]}"; done |
    jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}'
}
# nested: an index `outer` of `image` and an index `inner` of `image2`, in team/app.
nested() {
  echo other >tree/etc/small
  "$LAY" import tree app:2 >/dev/null
  "$LAY" push -q app:2 "$registry/team/app:2"
  curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/team/app/manifests/1" >image
  curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/team/app/manifests/2" >image2
  index manifest:image2:arm64 >inner
  put_manifest inner index inner
  index manifest:image:amd64 index:inner:s390x >outer
  put_manifest outer index outer
}
# is_whole REPOSITORY: all that nested() made is there.
is_whole() {
  local document
  for document in image image2 inner outer; do
    curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' \
      "http://$registry/v2/$1/manifests/sha256:$(sha256sum <"$document" | cut -d' ' -f1)" | cmp - "$document" || return 1
  done
}

@test "copy --all completes a target that has an index, but not all that it lists" {
  local missing
  nested
  "$LAY" copy -q --all "docker://$registry/team/app:outer" "docker://$registry/sparse:outer" >/dev/null
  for missing in image inner image2; do
    rm -r "$(manifest_link "$missing" sparse)"
    ! is_whole sparse || return 1
    "$LAY" copy -q --all "docker://$registry/team/app:outer" "docker://$registry/sparse:outer" >/dev/null
    is_whole sparse
  done
}

@test "copy --all takes from the registry what its mirror has not, or answers nonsense for" {
  local mirror missing
  nested
  "$LAY" copy -q --all "docker://$registry/team/app:outer" "docker://$registry/mirror/team/app:outer" >/dev/null
  mirror=$registry/mirror
  conf_for() {
    cat >conf <<TOML
[[registry]]
prefix = "origin.test"
location = "$registry"
insecure = true
[[registry.mirror]]
location = "$1"
insecure = true
TOML
  }
  export CONTAINERS_REGISTRIES_CONF=$world/conf
  conf_for "$mirror"
  for missing in image image2; do
    rm -r "$(manifest_link "$missing" mirror/team/app)"
    "$LAY" copy -q --all "docker://origin.test/team/app:outer" "docker://$registry/got/$missing:outer" >/dev/null
    is_whole "got/$missing"
  done
  start_proxy '[{"path": "/manifests/", "do": "status", "status": 200, "headers": {"Content-Type": "application/json"}, "body": "{\"errors\": []}", "times": 1000}]'
  conf_for "$proxy"
  "$LAY" copy -q --all "docker://origin.test/team/app:outer" "docker://$registry/got/json:outer" >/dev/null
  is_whole got/json
}

# fails_with WORDS COMMAND...: it must fail, and say WORDS.
fails_with() {
  local words=$1
  shift
  ! "$@" >said 2>&1 || { echo "it succeeded: $*"; return 1; }
  has "$(<said)" "$words"
}

@test "copy --all puts nothing under a name when a document is not what the index says of it" {
  local child
  nested
  child=sha256:$(sha256sum <image2 | cut -d' ' -f1)
  jq '.manifests[0].size += 1' inner >wrong
  put_manifest wrong index wrong
  index index:wrong:s390x >around
  put_manifest around index around
  fails_with "expected $(($(stat -c %s image2) + 1))" "$LAY" copy -q --all "docker://$registry/team/app:around" "docker://$registry/wrong:1"
  start_proxy "$(jq -n --arg child "$child" '[{method: "GET", path: "/manifests/\($child)", do: "flip", times: 100}]')"
  fails_with "expected $child" "$LAY" copy -q --all "docker://$proxy/team/app:outer" "docker://$registry/wrong:1"
  ! "$LAY" tags "$registry/wrong" >tags 2>/dev/null || [ ! -s tags ] || { cat tags; return 1; }
}

@test "copy --all follows indexes seven deep, and refuses more" {
  local depth
  nested
  cp inner deep1
  for depth in 2 3 4 5 6 7 8; do
    index "index:deep$((depth - 1)):s390x" >"deep$depth"
    put_manifest "deep$depth" index "deep$depth"
  done
  "$LAY" copy -q --all "docker://$registry/team/app:deep7" "docker://$registry/deep:7" >/dev/null
  curl -fsS -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://$registry/v2/deep/manifests/sha256:$(sha256sum <image2 | cut -d' ' -f1)"
  fails_with "indexes stand in one another" "$LAY" copy -q --all "docker://$registry/team/app:deep8" "docker://$registry/deeper:8"
}

# without_platforms FILE...: an index that tells no platform of these manifests.
without_platforms() {
  local file
  for file; do entry manifest "$file" unknown; done |
    jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: map(del(.platform))}'
}

@test "of an index that tells no platforms the image's config has to fit the one that is wanted" {
  local machine other=s390x
  curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/team/app/manifests/1" >image
  without_platforms image >bare
  put_manifest bare index bare
  machine=$("$LAY" inspect -f '{{.Architecture}}' "docker://$registry/team/app:bare")
  [ "$("$LAY" inspect -f '{{.Digest}}' --platform "linux/$machine" "docker://$registry/team/app:bare")" = "$digest" ]
  fails_with "the image is for linux/$machine, expected linux/$other" \
    "$LAY" inspect --platform "linux/$other" "docker://$registry/team/app:bare"
  "$LAY" copy -q app:1 oci:bare-layout:one >/dev/null
  cp bare "bare-layout/blobs/sha256/$(sha256sum <bare | cut -d' ' -f1)"
  entry index bare "$machine" | jq '{schemaVersion: 2, manifests: [del(.platform)]}' >bare-layout/index.json
  export LAY_ROOT=$world/root2
  refused 1 "the image is for linux/$machine, expected linux/$other" \
    "$LAY" copy -q --platform "linux/$other" oci:bare-layout bare:1
  [ "$("$LAY" copy -q oci:bare-layout bare:1)" = "$digest" ]
  # what load makes of the same, and of one for another machine
  entry index bare "$machine" | jq '{schemaVersion: 2, manifests: [del(.platform)]}' >bare-layout/index.json
  tar -C bare-layout -cf bare.tar .
  "$LAY" --root "$world/root3" load -q -i bare.tar
}

@test "two copies into one layout at once are both whole, and one image there has both names" {
  local round pid
  for round in 1 2 3 4 5; do
    rm -rf --one-file-system both
    "$LAY" copy -q app:1 oci:both:one >/dev/null 3>&- &
    pid=$!
    "$LAY" copy -q app:1 oci:both:two >/dev/null
    wait "$pid"
    [ "$(skopeo inspect --format '{{.Digest}}' oci:both:one)" = "$digest" ]
    [ "$(skopeo inspect --format '{{.Digest}}' oci:both:two)" = "$digest" ]
    [ "$(ls both/blobs/sha256 | wc -l)" = 3 ]
  done
}

@test "a new layout of umoci's, whose list of images is null, takes an image" {
  umoci init --layout made
  has "$(<made/index.json)" '"manifests":null'
  ! "$LAY" copy -q oci:made:1 x:1 2>err || return 1
  has "$(<err)" "no image '1' is in it"
  "$LAY" copy -q app:1 oci:made:1 >/dev/null
  umoci stat --image made:1 >/dev/null
  "$LAY" copy -q oci:made:1 back:1 >/dev/null
}

@test "a layout is on its disk before its index names the image" {
  strace -f -y -qq -e trace=fsync,renameat,renameat2 -o calls "$LAY" copy -q app:1 oci:synced:one >/dev/null
  local folder index
  folder=$(grep -n 'fsync([0-9]*<.*/synced/blobs/sha256>)' calls | tail -n 1 | cut -d: -f1)
  index=$(grep -n '"index.json"' calls | tail -n 1 | cut -d: -f1)
  [ -n "$folder" ]
  ((folder < index))
}

@test "a short name behind docker:// is one of docker.io, and a plain one what registries.conf says" {
  local other
  echo other >tree/etc/small
  "$LAY" import tree other:1 >/dev/null
  other=$("$LAY" inspect -f '{{.Digest}}' other:1)
  "$LAY" push -q other:1 "$registry/library/short:1"
  cat >conf <<TOML
unqualified-search-registries = ["nowhere.invalid"]
[aliases]
short = "$registry/team/app"
[[registry]]
prefix = "docker.io"
location = "$registry"
insecure = true
TOML
  export CONTAINERS_REGISTRIES_CONF=$world/conf
  [ "$("$LAY" inspect -f '{{.Digest}}' docker://short:1)" = "$other" ]
  [ "$("$LAY" copy -q docker://short:1 oci:copied:x)" = "$other" ]
  # what does not only read asks docker.io itself, which this proxy plays
  start_proxy '[]'
  export http_proxy=http://127.0.0.1:${proxy#*:}
  [ "$("$LAY" tags docker://short)" = 1 ]
  has "$("$LAY" rmi docker://short:1)" "docker.io/library/short@$other"
  "$LAY" push -q other:1 docker://short:2
  [ "$(jq -r 'select(.proxied != "") | .proxied' requests | sort -u)" = registry-1.docker.io ]
  unset http_proxy
  "$LAY" --root "$world/root2" pull -q docker://short:2
  "$LAY" --root "$world/root2" pull -q short:1
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$registry/team/app:1")" = "$digest" ]
}

@test "J04: of a tag and a digest the digest decides, and a tag that has moved is told" {
  echo other >tree/etc/small
  "$LAY" import tree app:2 >/dev/null
  "$LAY" --root "$world/root2" pull -q "$registry/team/app:1@$digest" 2>err
  [ ! -s err ]
  "$LAY" push -q app:2 "$registry/team/app:1"
  "$LAY" --root "$world/root3" pull -q "$registry/team/app:1@$digest" 2>err
  has "$(<err)" "tag '1' leads to $("$LAY" inspect -f '{{.Digest}}' app:2) now"
  [ "$("$LAY" --root "$world/root3" inspect -f '{{.Digest}}' "$registry/team/app:1@$digest")" = "$digest" ]
  # a tag of several platforms leads to each of them
  local manifests=http://$registry/v2/team/app/manifests type=application/vnd.oci.image
  size=$(curl -sS --fail -H "Accept: $type.manifest.v1+json" "$manifests/$digest" | wc -c)
  printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[{"mediaType":"%s.manifest.v1+json","digest":"%s","size":%d}]}' \
    "$type" "$type" "$digest" "$size" | curl -sS --fail -X PUT -H "Content-Type: $type.index.v1+json" --data-binary @- "$manifests/many"
  "$LAY" --root "$world/root4" pull -q "$registry/team/app:many@$digest" 2>err
  [ ! -s err ]
}

@test "what was pulled by digest is the repository's, without the tag, and is found by either name" {
  local name=$registry/team/app
  export LAY_ROOT=$world/root2
  "$LAY" pull -q "$name:1@$digest"
  [ "$("$LAY" images --format '{{.Repository}} {{.Tag}}')" = "$name <none>" ]
  [ "$("$LAY" inspect -f '{{.Digest}}' "$name@$digest")" = "$digest" ]
  [ "$("$LAY" inspect -f '{{.Digest}}' "$name:1@$digest")" = "$digest" ]
  ! "$LAY" inspect "$registry/other/app@$digest" 2>/dev/null || return 1
  "$LAY" tag "$name@$digest" tagged:1 # beside which it says nothing more, as podman has it
  [ "$("$LAY" images --format '{{.Repository}} {{.Tag}}')" = "tagged 1" ]
  [ "$("$LAY" images "$name" --format '{{.Repository}} {{.Tag}}')" = "$name <none>" ]
  [ "$("$LAY" images -a --format '{{.Repository}} {{.Tag}}' | sort | xargs)" = "$name <none> tagged 1" ]
  "$LAY" untag tagged:1
  "$LAY" rmi "$name:1@$digest"
  [ -z "$("$LAY" images -q)" ]
  "$LAY" pull -q "$name:1"
  [ "$("$LAY" inspect -f '{{.Digest}}' "$name@$digest")" = "$digest" ]
}

@test "several images are pulled at once, and one that is not there leaves out none of the others" {
  export LAY_ROOT=$world/root2
  "$LAY" --root "$world/root" push -q app:1 "$registry/team/app:2"
  [ "$("$LAY" pull -q "$registry/team/app:1" "$registry/team/app:2" | uniq | wc -l)" = 1 ]
  [ "$("$LAY" images -q | wc -l)" = 2 ]
  "$LAY" rmi "$registry/team/app:1" "$registry/team/app:2"
  ! "$LAY" pull -q "$registry/team/nosuch:1" "$registry/team/app:2" 2>said || return 1
  has "$(<said)" nosuch
  "$LAY" inspect "$registry/team/app:2" >/dev/null
  refused 1 "--creds are for one registry" "$LAY" pull -q --creds a:b "$registry/team/app:1" other.invalid/x:1
}

@test "all tags of a repository are pushed by one command" {
  echo other >tree/etc/small
  "$LAY" tag app:1 "$registry/many/app:1"
  "$LAY" import tree "$registry/many/app:2"
  "$LAY" tag app:1 "$registry/many/apple:3"
  "$LAY" push -q --all-tags "$registry/many/app"
  [ "$("$LAY" tags "$registry/many/app" | sort | paste -sd' ')" = '1 2' ]
  refused 1 "has a tag" "$LAY" push -q --all-tags "$registry/many/app:1"
  refused 1 "no image" "$LAY" push -q --all-tags "$registry/none/app"
  refused 1 "neither" "$LAY" push -q --all-tags "$registry/many/app" other:1
}

@test "flags of podman and skopeo that ask for what is so in any case are taken" {
  local flags=(--remove-signatures)
  [ "$("$LAY" push -q "${flags[@]}" app:1 "$registry/flags/app:1")" = "$digest" ]
  skopeo copy -q "${flags[@]}" --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
    "docker://$registry/flags/app:1" "docker://$registry/flags/app:2"
  [ "$("$LAY" copy -q "${flags[@]}" --preserve-digests "docker://$registry/flags/app:1" "docker://$registry/flags/app:3")" = "$digest" ]
  refused 1 "another digest" "$LAY" copy -q --preserve-digests app:1 docker-archive:a.tar
}

@test "copy --all takes an index that lists blobs, as builders keep their caches" {
  local data=$world/cached repositories=http://$registry/v2/team layer
  head -c 100000 /dev/urandom >"$data"
  layer=sha256:$(sha256sum <"$data" | cut -d' ' -f1)
  location=$(curl -fsS -D - -o /dev/null -X POST "$repositories/app/blobs/uploads/" | tr -d '\r' | awk '/^Location:/ {print $2}')
  curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$data" "$location&digest=$layer"
  jq -n --argjson entry "$(entry manifest "$data" x)" \
    '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [$entry | del(.platform) | .mediaType = "application/vnd.oci.image.layer.v1.tar+gzip"]}' >index.json
  put_manifest cache index index.json
  "$LAY" --root "$world/served" serve --listen 127.0.0.1:0 --access-log none >url 2>serve.log 3>&- &
  served_pid=$!
  wait_until 10 test -s url
  local served=localhost:$(grep -o '[0-9]*$' url)
  "$LAY" copy -q --all "docker://$registry/team/app:cache" "docker://$served/kept/app:cache"
  "$LAY" copy -q --all "docker://$served/kept/app:cache" "docker://$registry/team/back:cache"
  cmp <(curl -fsS "$repositories/back/blobs/$layer") "$data"
  cmp <(curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json' "$repositories/back/manifests/cache") index.json
}

@test "pull and push of what is in no registry ask none, and say what does" {
  local place
  for place in oci:layout oci-archive:file:x docker-archive:file:@0 containers-storage:small:latest; do
    refused 1 "lay copy" "$LAY" pull -q "$place"
    refused 1 "lay copy" "$LAY" push -q small:latest "$place"
  done
  refused 1 "does not know this transport" "$LAY" pull -q dir:folder
  refused 1 "does not know this transport" "$LAY" push -q small:latest docker-daemon:small:1
}

@test "tags, inspect and rmi look at a registry and pull nothing" {
  "$LAY" push -q app:1 "$registry/team/app:2"
  "$LAY" rmi app:1 >/dev/null
  before=$(store_state)
  [ "$("$LAY" tags "$registry/team/app" | sort)" = $'1\n2' ]
  [ "$("$LAY" inspect -f '{{.Digest}}' "docker://$registry/team/app:1")" = "$digest" ]
  "$LAY" rmi "docker://$registry/team/app:1"
  [ "$(store_state)" = "$before" ]
  ! "$LAY" inspect "docker://$registry/team/app:2" 2>/dev/null || return 1
}

@test "a pull that is killed again and again ends, and fetches nothing twice" {
  start_proxy '[{"method": "GET", "path": "/blobs/", "do": "slow", "bytes": 200000, "times": 1000}]'
  export LAY_ROOT=$world/root2
  local tries=0
  while ((tries < 4)); do
    timeout -s KILL "0.$((3 + tries * 2))" "$LAY" pull -q "$proxy/team/app:1" >/dev/null 2>&1 || true
    tries=$((tries + 1))
    [ -z "$("$LAY" images -q)" ]
  done
  "$LAY" pull -q "$proxy/team/app:1" >/dev/null
  "$LAY" fsck >/dev/null
  [ "$("$LAY" inspect -f '{{.Digest}}' "$proxy/team/app:1")" = "$digest" ]
  jq -r .range requests | grep -q '^bytes=[1-9]'
}

@test "a copy --all that is killed goes on where it was" {
  start_proxy '[{"method": "GET", "path": "/blobs/", "do": "slow", "bytes": 200000, "times": 1000}]'
  local copy=(copy -q --all "docker://$proxy/team/app:1" "docker://$registry/copied/app:1")
  export LAY_ROOT=$world/root2
  "$LAY" "${copy[@]}" >/dev/null 2>&1 3>&- &
  local pid=$!
  wait_until 20 eval '(($(cat "$LAY_ROOT"/ingest/*/* 2>/dev/null | wc -c) > 2000000))'
  kill -KILL "$pid"
  wait "$pid" || true
  [ "$("$LAY" "${copy[@]}")" = "$digest" ]
  jq -r .range requests | grep -q '^bytes=[1-9]'
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/copied/app:1")" = "$digest" ]
}

@test "a push that is killed leaves the registry usable and ends the next time" {
  start_proxy '[]'
  local delay
  for delay in 0.05 0.1 0.15; do
    timeout -s KILL "$delay" "$LAY" push -q app:1 "$proxy/killed/app:1" >/dev/null 2>&1 || true
  done
  "$LAY" push -q app:1 "$proxy/killed/app:1"
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/killed/app:1")" = "$digest" ]
  "$LAY" fsck >/dev/null
}

# sent_bytes: of blobs, by the proxy's list.
sent_bytes() { jq -s '[.[] | select(.path | contains("/uploads/")) | .length | tonumber? // 0] | add' requests; }

# push_killed REPOSITORY: a push that ends in its third chunk with kill -9; 8 MiB are confirmed then.
push_killed() {
  local pid
  "$LAY" push -q app:1 "$proxy/$1" >/dev/null 2>&1 3>&- &
  pid=$!
  wait_until 20 eval '[ "$(grep -c PATCH requests)" = 3 ]'
  kill -KILL "$pid"
  wait "$pid" || true
  rm requests
}

# swallow BYTES: rules with which so much of the third chunk arrives, and the client waits.
swallow() { printf '[{"method": "PATCH", "after": 2, "do": "swallow-request", "bytes": %s}]' "$1"; }

# resumes UPSTREAM_PORT BYTES: what a killed push had sent in whole chunks is not sent again.
resumes() {
  start_proxy "$(swallow "$2")" "$1"
  export LAY_UPLOAD_CHUNK=4m
  push_killed killed/app:1
  "$LAY" push -q app:1 "$proxy/killed/app:1" >/dev/null
  echo "sent $(sent_bytes) of 20000000"
  (($(sent_bytes) < 20100000 - 8388608)) || return 1
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://localhost:$1/killed/app:1")" = "$digest" ]
  "$LAY" --root "$world/root2" pull -q "localhost:$1/killed/app:1" >/dev/null
}

@test "a push that is killed in the middle of a chunk sends docker-registry only the rest" {
  resumes "${registry#*:}" 0
}

@test "docker-registry, which gives up an upload that broke within a chunk, gets all of it anew" {
  start_proxy "$(swallow 1000000)"
  export LAY_UPLOAD_CHUNK=4m
  push_killed broken/app:1
  "$LAY" push -q app:1 "$proxy/broken/app:1" >/dev/null
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/broken/app:1")" = "$digest" ]
}

# serve_other PORT: lay serve on a root of its own; sets served_pid and served_port.
serve_other() {
  : >url
  "$LAY" --root "$world/served" serve --listen "127.0.0.1:$1" --access-log none >url 2>serve.log 3>&- &
  served_pid=$!
  wait_until 10 test -s url
  served_port=$(grep -o '[0-9]*$' url)
}

@test "a push that is killed in the middle of a chunk sends lay serve only the rest" {
  serve_other 0
  resumes "$served_port" 1000000
}

@test "a push whose lay serve is killed sends the next one only the rest" {
  serve_other 0
  start_proxy "$(swallow 1000000)" "$served_port"
  export LAY_UPLOAD_CHUNK=4m
  "$LAY" push -q --retry 0 app:1 "$proxy/killed/app:1" >/dev/null 2>&1 3>&- &
  local push=$!
  wait_until 20 eval '[ "$(grep -c PATCH requests)" = 3 ]'
  kill -KILL "$served_pid"
  wait "$served_pid" || true
  kill -KILL "$push"  # it waits for the answer that the proxy withholds
  wait "$push" || true
  rm requests
  serve_other "$served_port"
  "$LAY" push -q app:1 "$proxy/killed/app:1" >/dev/null
  echo "sent $(sent_bytes) of 20000000"
  (($(sent_bytes) < 20100000 - 8388608))
  "$LAY" --root "$world/served" fsck -q
  [ -z "$(ls "$world/served/registry/uploads")" ]
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://localhost:$served_port/killed/app:1")" = "$digest" ]
}

@test "an upload that the registry has lost meanwhile is begun anew" {
  start_proxy "$(swallow 0)"
  export LAY_UPLOAD_CHUNK=4m
  push_killed lost/app:1
  rm -rf --one-file-system "$world"/registry/data/docker/registry/v2/repositories/lost/app/_uploads
  "$LAY" push -q app:1 "$proxy/lost/app:1" >/dev/null
  (($(sent_bytes) > 20000000))
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/lost/app:1")" = "$digest" ]
}

@test "a client certificate of certs.d is shown to its registry, whose authority is trusted" {
  local certs=$world/certs port
  mkdir -p "$certs" "$world/tls"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout tls/key -out tls/cert 2>/dev/null
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ann \
    -keyout "$certs/client.key" -out "$certs/client.cert" 2>/dev/null
  port=$(free_port)
  cat >tls/config.yml <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $world/tls/data}}
http: {addr: 127.0.0.1:$port, tls: {certificate: $world/tls/cert, key: $world/tls/key, clientcas: [$certs/client.cert]}}
YAML
  OTEL_TRACES_EXPORTER=none docker-registry serve tls/config.yml >tls/log 2>&1 3>&- &
  proxy_pid=$!
  cp tls/cert "$certs/ca.crt"
  wait_until 10 curl -fsS --cacert tls/cert --cert "$certs/client.cert" --key "$certs/client.key" "https://localhost:$port/v2/"
  "$LAY" push -q --cert-dir "$certs" app:1 "localhost:$port/app:1"
  [ "$("$LAY" tags --cert-dir "$certs" "localhost:$port/app")" = 1 ]
  rm "$certs"/client.*
  ! "$LAY" tags --retry 0 --cert-dir "$certs" "localhost:$port/app" 2>/dev/null || return 1
}
