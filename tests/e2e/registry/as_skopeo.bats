#!/usr/bin/env bats
# Where a name leads and which login it takes there, judged by skopeo: both are run with the same settings in front of one
# proxy, whose list says which hosts were asked, for what and with which header.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc home
  : >conf
  echo small >tree/etc/small
  "$LAY" import tree app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  start_registry "$world/registry"
  local repository
  for repository in team/app first/app second/app library/app; do
    "$LAY" push -q app:1 "$registry/$repository:1" >/dev/null
  done
  export HOME=$world/home XDG_CONFIG_HOME= XDG_RUNTIME_DIR=$world/none
  unset REGISTRY_AUTH_FILE DOCKER_CONFIG
}
teardown() {
  stop_proxy
  close_world
}

# start_proxy RULES: sets proxy (its address) and proxy_port.
start_proxy() {
  proxy_port=$(free_port)
  proxy=http://127.0.0.1:$proxy_port
  python3 "$here/../../support/fault_proxy.py" "$proxy_port" "$(free_port)" "${registry#*:}" "$world/requests" "$1" \
    >"$world/proxy.log" 2>&1 3>&- &
  proxy_pid=$!
  wait_until 10 env -u http_proxy curl -sS "$proxy/v2/"
}

stop_proxy() {
  [[ -z ${proxy_pid-} ]] || { kill "$proxy_pid" && wait "$proxy_pid" || true; }
  proxy_pid=
}

lay_looks() { timeout -s KILL 20 "$LAY" inspect --retry 0 "$@"; }
skopeo_looks() { timeout -s KILL 20 skopeo --registries-conf "$world/conf" inspect --raw "$@"; }

# asked SHOWN COMMAND...: what the proxy was asked of that, in order; SHOWN is a jq filter.
asked() {
  local shown=$1
  shift
  rm -f requests
  "$@" >/dev/null 2>"$world/said" || true
  [[ ! -e requests ]] || jq -r "$shown" requests | uniq
}

# alike SHOWN EXPECTED NAME: skopeo and lay ask the same for NAME, and that is EXPECTED.
alike() {
  local theirs ours
  theirs=$(asked "$1" skopeo_looks --tls-verify=false "docker://$3" | paste -sd' ')
  ours=$(asked "$1" lay_looks --tls-verify=false "docker://$3" | paste -sd' ')
  [ "$theirs" = "$2" ] || { echo "$3: skopeo asked '$theirs', expected '$2'"; return 1; }
  [ "$ours" = "$2" ] || { echo "$3: lay asked '$ours', skopeo '$theirs'"; return 1; }
}

manifests_asked='select(.path | contains("/manifests/")) | .proxied + .path'
hosts_asked='select(.proxied != "") | .proxied'

@test "a proxy is taken from HTTP_PROXY as from http_proxy" {
  start_proxy '[]'
  http_proxy=$proxy alike "$hosts_asked" reg.invalid reg.invalid/team/app:1
  HTTP_PROXY=$proxy alike "$hosts_asked" reg.invalid reg.invalid/team/app:1
}

@test "a plain http registry with a port is reached through a proxy too" {
  start_proxy '[]'
  http_proxy=$proxy alike "$hosts_asked" reg.invalid:5000 reg.invalid:5000/team/app:1
}

@test "no_proxy excepts hosts, domains, ports and nets as it does elsewhere" {
  start_proxy '[]'
  export http_proxy=$proxy
  local except
  for except in reg.invalid .invalid invalid REG.invalid 'x, reg.invalid' '*'; do
    no_proxy=$except alike "$hosts_asked" '' reg.invalid/team/app:1
    NO_PROXY=$except alike "$hosts_asked" '' reg.invalid/team/app:1
  done
  for except in g.invalid eg.invalid 'reg.invalid.com' '198.51.100.0/24'; do
    no_proxy=$except alike "$hosts_asked" reg.invalid reg.invalid/team/app:1
  done
  for except in 198.51.100.0/24 198.51.100.7; do no_proxy=$except alike "$hosts_asked" '' 198.51.100.7/team/app:1; done
  no_proxy=198.51.99.0/24 alike "$hosts_asked" 198.51.100.7 198.51.100.7/team/app:1
}

@test "no_proxy excepts what a star stands for" {
  start_proxy '[]'
  http_proxy=$proxy no_proxy='*.invalid' alike "$hosts_asked" '' reg.invalid/team/app:1
}

@test "no_proxy excepts one port of a host" {
  start_proxy '[]'
  http_proxy=$proxy no_proxy=reg.invalid:81 alike "$hosts_asked" reg.invalid reg.invalid/team/app:1
  http_proxy=$proxy no_proxy=reg.invalid:80 alike "$hosts_asked" '' reg.invalid/team/app:1
}

# mirrors: registries.conf with two mirrors before reg.invalid, which is team/ of reality; $1 goes into each mirror's table,
# $2 into the registry's.
mirrors() {
  cat >conf <<TOML
[[registry]]
prefix = "reg.invalid/shop"
location = "own.invalid/team"
insecure = true
${2-}
[[registry.mirror]]
location = "one.invalid/first"
insecure = true
${1-}
[[registry.mirror]]
location = "two.invalid/second"
insecure = true
${1-}
TOML
  export CONTAINERS_REGISTRIES_CONF=$world/conf
}

@test "mirrors are asked in their order and the registry last, whatever a mirror answers" {
  export http_proxy
  local one=one.invalid/v2/first/app/manifests/1 two=two.invalid/v2/second/app/manifests/1
  mirrors
  start_proxy '[]'
  http_proxy=$proxy
  alike "$manifests_asked" "$one" reg.invalid/shop/app:1
  stop_proxy
  local status
  for status in 401 404 503 ${LAY_TESTS_LONG:+400 403 500}; do
    start_proxy '[{"path": "/v2/first/", "do": "status", "times": 99, "status": '$status'},
                  {"path": "/v2/second/", "do": "status", "times": 99, "status": '$status'}]'
    http_proxy=$proxy
    alike "$manifests_asked" "$one $two own.invalid/v2/team/app/manifests/1" reg.invalid/shop/app:1
    stop_proxy
  done
}

@test "mirrors by digest only are not asked for a tag" {
  local use by_tag=own.invalid/v2/team/app/manifests/1 by_digest=one.invalid/v2/first/app/manifests/$digest
  start_proxy '[]'
  export http_proxy=$proxy
  mirrors 'pull-from-mirror = "digest-only"'
  alike "$manifests_asked" "$by_tag" reg.invalid/shop/app:1
  alike "$manifests_asked" "$by_digest" "reg.invalid/shop/app@$digest"
  mirrors '' 'mirror-by-digest-only = true'
  alike "$manifests_asked" "$by_tag" reg.invalid/shop/app:1
  alike "$manifests_asked" "$by_digest" "reg.invalid/shop/app@$digest"
  mirrors 'pull-from-mirror = "tag-only"'
  alike "$manifests_asked" one.invalid/v2/first/app/manifests/1 reg.invalid/shop/app:1
  alike "$manifests_asked" "own.invalid/v2/team/app/manifests/$digest" "reg.invalid/shop/app@$digest"
}

@test "the longest prefix of a name decides, stars stand for subdomains, and what is blocked is not asked" {
  start_proxy '[]'
  export http_proxy=$proxy CONTAINERS_REGISTRIES_CONF=$world/conf
  cat >conf <<'TOML'
[[registry]]
prefix = "reg.invalid"
location = "short.invalid"
insecure = true
[[registry]]
prefix = "reg.invalid/team"
location = "long.invalid/first"
insecure = true
[[registry]]
prefix = "*.wild.invalid"
location = "tame.invalid"
insecure = true
[[registry]]
prefix = "reg.invalid/closed"
location = "reg.invalid/closed"
blocked = true
[[registry]]
location = "shut.invalid"
blocked = true
TOML
  alike "$manifests_asked" long.invalid/v2/first/app/manifests/1 reg.invalid/team/app:1
  alike "$manifests_asked" short.invalid/v2/teams/app/manifests/1 reg.invalid/teams/app:1
  alike "$manifests_asked" tame.invalid/v2/team/app/manifests/1 a.b.wild.invalid/team/app:1
  alike "$manifests_asked" wild.invalid/v2/team/app/manifests/1 wild.invalid/team/app:1
  alike "$manifests_asked" '' reg.invalid/closed/app:1
  alike "$manifests_asked" '' shut.invalid/team/app:1
  refused 1 "is blocked" "$LAY" push -q app:1 shut.invalid/team/app:1
  [ -z "$(asked . "$LAY" push -q app:1 shut.invalid/team/app:1)" ]
}

@test "a star stands for subdomains with a port too, which stays" {
  cat >conf <<'TOML'
[[registry]]
prefix = "*.wild.invalid"
location = "tame.invalid"
TOML
  export CONTAINERS_REGISTRIES_CONF=$world/conf
  ! skopeo_looks docker://a.wild.invalid:5000/team/app:1 2>said || return 1
  has "$(<said)" tame.invalid:5000
  ! lay_looks docker://a.wild.invalid:5000/team/app:1 2>said || return 1
  has "$(<said)" tame.invalid:5000
}

# reaches HOSTS COMMAND...: it succeeds, and all its requests go there.
reaches() {
  local hosts=$1 got
  shift
  got=$(asked .proxied "$@" | sort -u | paste -sd' ')
  [ "$got" = "$hosts" ] || { echo "$*: asked '$got'"; cat said; return 1; }
}

@test "what pushes, deletes and lists tags goes to the registry that the name says, to no mirror and no location" {
  start_proxy '[]'
  export http_proxy=$proxy
  mirrors
  "$LAY" copy -q app:1 oci:layout:1 >/dev/null
  local theirs=(skopeo --registries-conf "$world/conf") name=reg.invalid/shop/new
  reaches reg.invalid "${theirs[@]}" copy -q oci:layout:1 "docker://$name:1"
  reaches reg.invalid "${theirs[@]}" list-tags "docker://$name"
  reaches reg.invalid "${theirs[@]}" delete "docker://$name:1"
  reaches reg.invalid "$LAY" push -q app:1 "$name:2"
  reaches reg.invalid "$LAY" copy -q app:1 "docker://$name:3"
  reaches reg.invalid "$LAY" tags "$name"
  [ "$("$LAY" tags "$name" | sort | paste -sd' ')" = '2 3' ]
  reaches reg.invalid "$LAY" rmi "docker://$name:2"
}

# refused_by_both WORDS NAME FLAGS...: neither skopeo nor lay gets an answer; lay says WORDS.
refused_by_both() {
  local words=$1 name=$2
  shift 2
  ! skopeo_looks "$@" "docker://$name" >/dev/null 2>said || { echo "skopeo takes $name"; return 1; }
  ! lay_looks "$@" "docker://$name" >/dev/null 2>said || { echo "lay takes $name"; return 1; }
  has "$(<said)" "$words"
}

@test "TLS that is asked for is demanded of a registry on this machine too" {
  export CONTAINERS_REGISTRIES_CONF=$world/conf
  local name=$registry/team/app:1 setting
  lay_looks "docker://$name" >/dev/null
  refused_by_both "cannot reach" "$name" --tls-verify=true
  for setting in true false; do
    printf '[[registry]]\nlocation = "%s"\ninsecure = %s\n' "$registry" "$setting" >conf
    refused_by_both "cannot reach" "$name" --tls-verify=true
    lay_looks --tls-verify=false "docker://$name" >/dev/null
  done
  refused_by_both "cannot reach" "$name"
  ! "$LAY" push -q --retry 0 app:1 "$registry/team/app:2" 2>/dev/null || return 1
  "$LAY" push -q --tls-verify=false app:1 "$registry/team/app:2" >/dev/null
  : >conf
  ! "$LAY" copy -q --retry 0 --dest-tls-verify=true app:1 "docker://$name" 2>/dev/null || return 1
  ! "$LAY" copy -q --retry 0 --tls-verify=false --dest-tls-verify=true app:1 "docker://$name" 2>/dev/null || return 1
  "$LAY" copy -q --tls-verify=true --dest-tls-verify=false app:1 "docker://$name" >/dev/null
  start_proxy "$wants_login"
  refused 1 "cannot reach" "$LAY" login --tls-verify=true -u ann -p s3cret "localhost:$proxy_port"
  printf '[[registry]]\nlocation = "localhost:%s"\ninsecure = false\n' "$proxy_port" >conf
  refused 1 "cannot reach" "$LAY" login -u ann -p s3cret "localhost:$proxy_port"
  [ -z "$(jq -r .authorization requests 2>/dev/null)" ]
}

@test "the lists of the older form say what is searched, insecure and blocked" {
  start_proxy '[]'
  export http_proxy=$proxy CONTAINERS_REGISTRIES_CONF=$world/conf
  cat >conf <<'TOML'
[registries.search]
registries = ["one.invalid", "two.invalid"]
[registries.insecure]
registries = ["one.invalid", "two.invalid", "reg.invalid/"]
[registries.block]
registries = ["shut.invalid"]
TOML
  short_alike 'one.invalid/v2/app/manifests/1 two.invalid/v2/app/manifests/1' app:1
  [ "$(asked "$manifests_asked" skopeo_looks docker://reg.invalid/team/app:1)" = reg.invalid/v2/team/app/manifests/1 ]
  [ "$(asked "$manifests_asked" lay_looks docker://reg.invalid/team/app:1)" = reg.invalid/v2/team/app/manifests/1 ]
  refused_by_both "is blocked" shut.invalid/team/app:1 --tls-verify=false
  refused 1 "is blocked" "$LAY" push -q app:1 shut.invalid/team/app:1
  printf 'short-name-mode = "disabled"\n%s' "$(<conf)" >mixed
  mv mixed conf
  refused_by_both "of the older form" reg.invalid/team/app:1
}

# index_of PLATFORM...: an index under team/app:all of $registry with an image for each, whose label p says which.
index_of() {
  python3 - "http://$registry/v2/team/app" "$@" <<'PY'
import hashlib, json, sys, urllib.request
base, *platforms = sys.argv[1:]
oci = "application/vnd.oci.image."
def put(path, data, kind):
    request = urllib.request.Request(path, data=data, method="PUT", headers={"Content-Type": kind})
    urllib.request.urlopen(request).read()
    return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
def put_blob(data, kind):
    start = urllib.request.Request(base + "/blobs/uploads/", data=b"", method="POST")
    place = urllib.request.urlopen(start).headers["Location"]
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return put(place + ("&" if "?" in place else "?") + "digest=" + digest, data, "application/octet-stream") | {"mediaType": kind}
entries = []
for platform in platforms:
    os, machine, *variant = platform.split("/")
    about = {"os": os, "architecture": machine} | ({"variant": variant[0]} if variant else {})
    config = about | {"rootfs": {"type": "layers", "diff_ids": []}, "config": {"Labels": {"p": platform}}}
    manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "layers": [],
                "config": put_blob(json.dumps(config).encode(), oci + "config.v1+json")}
    data = json.dumps(manifest).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    entries.append(put(base + "/manifests/" + digest, data, oci + "manifest.v1+json") | {"platform": about})
index = {"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": entries}
put(base + "/manifests/all", json.dumps(index).encode(), oci + "index.v1+json")
PY
}

# chosen_alike PLATFORM EXPECTED: skopeo and lay take that image of the index for a machine of that platform.
chosen_alike() {
  local os machine variant theirs ours
  IFS=/ read -r os machine variant <<<"$1"
  theirs=$(skopeo --override-arch "$machine" ${variant:+--override-variant "$variant"} inspect --config --tls-verify=false \
    "docker://$registry/team/app:all" | jq -r .config.Labels.p)
  ours=$("$LAY" inspect --platform "$1" -f '{{.Config.Labels.p}}' "docker://$registry/team/app:all")
  [ "$theirs" = "$2" ] || { echo "for $1 skopeo takes '$theirs', expected '$2'"; return 1; }
  [ "$ours" = "$2" ] || { echo "for $1 lay takes '$ours', skopeo '$theirs'"; return 1; }
}

@test "of several variants of a machine the best that it runs is taken" {
  index_of linux/arm/v6 linux/arm/v7 linux/arm64/v8 linux/amd64
  local wanted
  chosen_alike linux/arm linux/arm/v7
  chosen_alike linux/arm/v6 linux/arm/v6
  chosen_alike linux/arm/v8 linux/arm/v7
  chosen_alike linux/arm64 linux/arm64/v8
  for wanted in amd64 amd64/v1 amd64/v2 amd64/v3; do chosen_alike "linux/$wanted" linux/amd64; done
  index_of linux/arm/v5 linux/arm/v8 linux/arm linux/arm64 linux/amd64/v3 linux/amd64/v2
  chosen_alike linux/arm linux/arm
  chosen_alike linux/arm/v7 linux/arm/v5
  chosen_alike linux/arm/v8 linux/arm/v8
  chosen_alike linux/arm64/v8 linux/arm64
  chosen_alike linux/amd64/v2 linux/amd64/v2
}

@test "inspect --raw and --config show the documents of a registry as skopeo does" {
  index_of linux/amd64 linux/arm64
  local name flags
  for name in all 1; do
    for flags in --raw --config "--raw --config"; do
      # shellcheck disable=SC2086
      skopeo --override-arch amd64 inspect $flags --tls-verify=false "docker://$registry/team/app:$name" >theirs
      # shellcheck disable=SC2086
      "$LAY" inspect $flags "docker://$registry/team/app:$name" >ours
      # skopeo's config without --raw leaves out members that are no OCI image's: what it shows is in ours
      [[ $flags == --config ]] || cmp theirs ours
      [[ $flags != --config ]] || jq -e --slurpfile theirs theirs 'contains($theirs[0])' ours
    done
  done
  [ "$("$LAY" inspect --raw --platform linux/arm64 "docker://$registry/team/app:all" | sha256sum | cut -d' ' -f1)" = \
    "$("$LAY" inspect --platform linux/arm64 -f '{{.Digest}}' "docker://$registry/team/app:all" | cut -d: -f2)" ]
  [ "$("$LAY" inspect --config --platform linux/arm64 -f '{{.config.Labels.p}}' "docker://$registry/team/app:all")" = linux/arm64 ]
  [ "$("$LAY" inspect --raw app:1 | sha256sum | cut -d' ' -f1)" = "${digest#sha256:}" ]
  [ "sha256:$("$LAY" inspect --raw --config app:1 | sha256sum | cut -d' ' -f1)" = "$("$LAY" inspect -f '{{.Id}}' app:1)" ]
  refused 1 "one image" "$LAY" inspect --raw app:1 app:1
  refused 1 "--format" "$LAY" inspect --raw -f '{{.x}}' app:1
}

# alike_all PLACE: what is there is the index of team/app:all with all its images, as skopeo reads it.
alike_all() {
  skopeo inspect --raw --tls-verify=false "docker://$registry/team/app:all" >expected
  skopeo inspect --raw --tls-verify=false "$1" >got
  cmp expected got
  rm -rf --one-file-system all
  skopeo copy -q --all --src-tls-verify=false "$1" dir:all
  [ "$(find all -type f ! -name manifest.json ! -name version ! -name '*.manifest.json' | wc -l)" = "$2" ]
}

@test "copy --all takes whole indexes from and to layouts and archives, as skopeo does" {
  index_of linux/amd64 linux/arm64 linux/arm/v7
  local all=docker://$registry/team/app:all wanted
  wanted=$(skopeo inspect --raw --tls-verify=false "$all" | sha256sum | cut -d' ' -f1)
  [ "$("$LAY" copy -q --all "$all" oci:layout:all)" = "sha256:$wanted" ]
  alike_all oci:layout:all 3
  "$LAY" copy -q --all "$all" oci-archive:file.tar:all >/dev/null
  alike_all oci-archive:file.tar:all 3
  LAY_ROOT=$world/root5 "$LAY" copy --all "$all" oci:told:all 2>said >/dev/null
  [ "$(grep -c '^blob .*copied' said)" = 3 ] || { cat said; return 1; }
  [ "$("$LAY" copy -q --all oci:layout:all "docker://$registry/from-layout/app:all")" = "sha256:$wanted" ]
  alike_all "docker://$registry/from-layout/app:all" 3
  # into a store that has nothing of it
  LAY_ROOT=$world/root2 "$LAY" copy -q --all oci-archive:file.tar "docker://$registry/from-archive/app:all" >/dev/null
  alike_all "docker://$registry/from-archive/app:all" 3
  skopeo copy -q --all --src-tls-verify=false "$all" oci-archive:theirs.tar:all
  skopeo copy -q --all --src-tls-verify=false "$all" oci:theirs:all
  LAY_ROOT=$world/root3 "$LAY" copy -q --all oci-archive:theirs.tar:all oci:of-theirs:x >/dev/null
  alike_all oci:of-theirs:x 3
  LAY_ROOT=$world/root4 "$LAY" copy -q --all oci:theirs oci-archive:of-theirs.tar >/dev/null
  alike_all oci-archive:of-theirs.tar 3
  # one image alone is all that its name leads to
  [ "$("$LAY" copy -q --all "docker://$registry/team/app:1" oci:layout:one)" = "$digest" ]
  [ "$("$LAY" copy -q oci:layout:one again:1)" = "$digest" ]
  refused 1 "--all copies" "$LAY" copy --all "$all" name:1
  refused 1 "none was chosen" "$LAY" copy --all oci:layout oci:other
  refused 1 "no image" "$LAY" copy -q --all oci-archive:file.tar:none oci:other
  "$LAY" fsck
}

@test "copy --all of a layout that lacks a part, or has a wrong one, writes no name" {
  index_of linux/amd64 linux/arm64
  "$LAY" copy -q --all "docker://$registry/team/app:all" oci:layout:all >/dev/null
  local arm blob
  arm=$(jq -r '.manifests[0].digest' "layout/blobs/sha256/$(jq -r '.manifests[0].digest' layout/index.json | cut -d: -f2)")
  blob=$(jq -r .config.digest "layout/blobs/sha256/${arm#*:}")
  cp "layout/blobs/sha256/${blob#*:}" kept
  export LAY_ROOT=$world/root2
  printf X | dd of="layout/blobs/sha256/${blob#*:}" bs=1 seek=5 conv=notrunc status=none
  ! "$LAY" copy -q --all oci:layout:all "docker://$registry/broken/app:all" 2>said || return 1
  grep -q "$blob" said
  # no more of it is taken than it should have
  truncate -s 1T "layout/blobs/sha256/${blob#*:}"
  (ulimit -f 100000; ! timeout 60 "$LAY" copy -q --all oci:layout:all oci:other:all 2>said) || return 1
  grep -q "$blob: got more than the expected" said || { cat said; return 1; }
  rm "layout/blobs/sha256/${blob#*:}"
  ! "$LAY" copy -q --all oci:layout:all oci:other:all 2>said || return 1
  grep -q "$blob is missing" said
  [ ! -e other ]
  ! skopeo inspect --raw --tls-verify=false "docker://$registry/broken/app:all" || return 1
  mv kept "layout/blobs/sha256/${blob#*:}"
  "$LAY" copy -q --all oci:layout:all "docker://$registry/mended/app:all" >/dev/null
}

@test "inspect tells of an image every name, its digests in their repositories, and a size" {
  "$LAY" tag app:1 "$registry/team/app:1"
  "$LAY" tag app:1 app:again
  "$LAY" tag app:1 "docker.io/library/other@$digest"
  [ "$("$LAY" inspect -f '{{json .RepoTags}}' app:1 | jq -c sort)" = "$(jq -cn '[$ARGS.positional[]] | sort' --args app:1 app:again "$registry/team/app:1")" ]
  [ "$("$LAY" inspect -f '{{json .RepoDigests}}' app:1 | jq -c sort)" = \
    "$(jq -cn '[$ARGS.positional[]] | sort' --args "app@$digest" "docker.io/library/other@$digest" "$registry/team/app@$digest")" ]
  [ "$("$LAY" inspect -f '{{index .RepoDigests 0}}' "docker://$registry/team/app:1")" = "$registry/team/app@$digest" ]
  [ "$("$LAY" inspect -f '{{.Size}}' app:1)" = "$("$LAY" images --format '{{.Bytes}}' app:1)" ]
  [ "$("$LAY" inspect -f '{{index .RepoDigests 0}}' "docker://$registry/team/app:1@$digest")" = "$registry/team/app@$digest" ]
  [ "$("$LAY" inspect -f '{{.VirtualSize}}' app:1)" = "$("$LAY" inspect -f '{{.Size}}' app:1)" ]
}

# Each into a store that has nothing: podman takes a name that it has for the one that is meant.
podman_pulls() {
  rm -rf --one-file-system "$world/storage"
  timeout -s KILL 30 podman --root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs pull -q --tls-verify=false "$1"
}
lay_pulls() {
  rm -rf --one-file-system "$world/root2"
  timeout -s KILL 20 "$LAY" --root "$world/root2" pull -q --retry 0 --tls-verify=false "$1"
}

# short_alike EXPECTED NAME: podman and lay look for that short name in the same places.
short_alike() {
  local theirs ours
  theirs=$(asked "$manifests_asked" podman_pulls "$2" | uniq | paste -sd' ')
  ours=$(asked "$manifests_asked" lay_pulls "$2" | uniq | paste -sd' ')
  [ "$theirs" = "$1" ] || { echo "$2: podman asked '$theirs', expected '$1'"; cat said; return 1; }
  [ "$ours" = "$1" ] || { echo "$2: lay asked '$ours', podman '$theirs'"; cat said; return 1; }
}

# searched MODE: two registries to search, of which the first has nothing, and an alias.
searched() {
  cat >conf <<TOML
unqualified-search-registries = ["one.invalid", "two.invalid"]
short-name-mode = "$1"
[aliases]
"known" = "two.invalid/app"
"ns/known" = "two.invalid/app"
[[registry]]
prefix = "one.invalid"
location = "one.invalid/nowhere"
insecure = true
[[registry]]
prefix = "two.invalid"
location = "two.invalid/team"
insecure = true
TOML
  export CONTAINERS_REGISTRIES_CONF=$world/conf
}

@test "a short name is looked for where podman looks for it: alias, search registries in order, or nowhere" {
  start_proxy '[]'
  export http_proxy=$proxy
  local mode one=one.invalid/v2/nowhere/app/manifests/1 two=two.invalid/v2/team/app/manifests/1
  for mode in permissive disabled; do
    searched "$mode"
    short_alike "$one $two" app:1
  done
  searched permissive
  short_alike "$two" known:1
  short_alike "$two" ns/known:1
  searched enforcing
  short_alike '' app:1
  short_alike "$two" known:1
}

@test "an alias that podman has recorded for root is root's" {
  start_proxy '[]'
  export http_proxy=$proxy
  cat >conf <<TOML
unqualified-search-registries = []
[[registry]]
location = "two.invalid"
insecure = true
TOML
  printf '[aliases]\n"recorded" = "two.invalid/team/app"\n' >aliases.conf
  export -f podman_pulls lay_pulls
  export world
  local tool
  # CONTAINERS_REGISTRIES_CONF would mean that file alone
  for tool in podman lay; do
    asked "$manifests_asked" unshare --mount --propagation private bash -ec '
      mount -t tmpfs lay /var/cache; mkdir /var/cache/containers; cp aliases.conf /var/cache/containers/short-name-aliases.conf
      mkdir -p "$HOME/.config/containers"; cp conf "$HOME/.config/containers/registries.conf"
      "$1_pulls" recorded:1' aliases "$tool" >"asked.$tool"
    cat said
    [ "$(<"asked.$tool")" = two.invalid/v2/team/app/manifests/1 ] || { echo "$tool asked '$(<"asked.$tool")'"; return 1; }
  done
}

# Who logs in where. skopeo sends an empty login where it has none.
who='select(.authorization != "" and .authorization != "Basic Og==") | .proxied + " " + (.authorization | ltrimstr("Basic ") | @base64d)'
wants_login='[{"path": ".*", "do": "status", "status": 401, "times": 99999, "headers": {"WWW-Authenticate": "Basic realm=\"x\""}}]'

# login_file FILE KEY USER...: pairs of a key and who logs in there.
login_file() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  printf '%s %s\n' "$@" | while read -r key user; do
    jq -n --arg key "$key" --arg auth "$(printf '%s:pw' "$user" | base64 -w0)" '{($key): {auth: $auth}}'
  done | jq -s '{auths: add}' >"$file"
}

@test "auth files are looked through in podman's order, and one that lacks the host is passed over" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE DOCKER_CONFIG
  local name=reg.invalid/team/app:1
  alike "$who" '' "$name"
  printf '{"reg.invalid": {"auth": "%s"}}' "$(printf cfg:pw | base64)" >"$HOME/.dockercfg"
  alike "$who" 'reg.invalid cfg:pw' "$name"
  login_file "$HOME/.docker/config.json" reg.invalid docker
  alike "$who" 'reg.invalid docker:pw' "$name"
  login_file "$HOME/.config/containers/auth.json" other.invalid other
  alike "$who" 'reg.invalid docker:pw' "$name"
  login_file "$HOME/.config/containers/auth.json" reg.invalid config
  alike "$who" 'reg.invalid config:pw' "$name"
  XDG_CONFIG_HOME=$world/xdg
  export XDG_CONFIG_HOME
  alike "$who" 'reg.invalid docker:pw' "$name"
  login_file "$XDG_CONFIG_HOME/containers/auth.json" reg.invalid xdg
  alike "$who" 'reg.invalid xdg:pw' "$name"
  login_file "$XDG_RUNTIME_DIR/containers/auth.json" reg.invalid run
  alike "$who" 'reg.invalid run:pw' "$name"
  login_file "$world/chosen" reg.invalid chosen
  REGISTRY_AUTH_FILE=$world/chosen
  alike "$who" 'reg.invalid chosen:pw' "$name"
  login_file "$world/flag" reg.invalid flag
  [ "$(asked "$who" lay_looks --tls-verify=false --authfile "$world/flag" "docker://$name")" = 'reg.invalid flag:pw' ]
  [ "$(asked "$who" lay_looks --tls-verify=false --authfile "$world/flag" --creds said:pw "docker://$name")" = 'reg.invalid said:pw' ]
}

@test "the most specific key of a host is taken, and none of a host with a name like it" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json
  login_file auth.json reg.invalid/team/app app reg.invalid/team team reg.invalid host \
    reg.invalid.com longer eg.invalid shorter reg.invalid:80 port
  alike "$who" 'reg.invalid app:pw' reg.invalid/team/app:1
  alike "$who" 'reg.invalid team:pw' reg.invalid/team/other:1
  alike "$who" 'reg.invalid app:pw' reg.invalid/team/app/deeper/not:1
  alike "$who" 'reg.invalid host:pw' reg.invalid/teams/app:1
  login_file auth.json reg.invalid.com longer eg.invalid shorter evil-reg.invalid dash reg.invalid:81 port
  alike "$who" '' reg.invalid/team/app:1
}

@test "a key is that of its host in whichever form a tool has written it" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json
  local key
  for key in https://reg.invalid http://reg.invalid https://reg.invalid/ https://reg.invalid/v1/ https://reg.invalid/v2/; do
    login_file auth.json "$key" old
    alike "$who" 'reg.invalid old:pw' reg.invalid/team/app:1
  done
}

@test "a key that is the host goes before one that docker has written as an address" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json
  login_file auth.json https://reg.invalid old reg.invalid new
  alike "$who" 'reg.invalid new:pw' reg.invalid/team/app:1
}

@test "a mirror gets the login of its own host, never that of the name or the one that was given" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json
  mirrors
  login_file auth.json reg.invalid name two.invalid two own.invalid own
  alike "$who" 'two.invalid two:pw own.invalid own:pw' reg.invalid/shop/app:1
  [ -z "$(asked "$who" lay_looks --creds said:pw docker://reg.invalid/shop/app:1 | grep said)" ]
}

# helper NAME USER SECRET: a credential helper that says so, and notes what it was asked.
helper() {
  mkdir -p bin
  cat >"bin/docker-credential-$1" <<SH
#!/bin/sh
printf '$1 %s %s\n' "\$1" "\$(cat)" >>"$world/helped"
printf '{"ServerURL":"x","Username":"$2","Secret":"$3"}'
SH
  chmod +x "bin/docker-credential-$1"
  export PATH=$world/bin:$PATH
}

@test "a helper of the host goes before its entry, the helper of all hosts behind it" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json
  helper one one pw
  helper all all pw
  local entry
  entry=$(printf file:pw | base64)
  echo "{\"auths\": {\"reg.invalid\": {\"auth\": \"$entry\"}}, \"credHelpers\": {\"reg.invalid\": \"one\"}}" >auth.json
  alike "$who" 'reg.invalid one:pw' reg.invalid/team/app:1
  [ "$(sort -u helped)" = 'one get reg.invalid' ]
  echo "{\"auths\": {\"reg.invalid\": {}}, \"credsStore\": \"all\"}" >auth.json
  [ "$(asked "$who" lay_looks --tls-verify=false docker://reg.invalid/team/app:1)" = 'reg.invalid all:pw' ]
}

@test "credential helpers that registries.conf names are asked" {
  start_proxy "$wants_login"
  export http_proxy=$proxy REGISTRY_AUTH_FILE=$world/auth.json CONTAINERS_REGISTRIES_CONF=$world/conf
  helper one one pw
  echo '{}' >auth.json
  echo 'credential-helpers = ["containers-auth.json", "one"]' >conf
  alike "$who" 'reg.invalid one:pw' reg.invalid/team/app:1
  login_file auth.json reg.invalid file
  alike "$who" 'reg.invalid file:pw' reg.invalid/team/app:1
  echo 'credential-helpers = ["one", "containers-auth.json"]' >conf
  alike "$who" 'reg.invalid one:pw' reg.invalid/team/app:1
  echo 'credential-helpers = []' >conf
  alike "$who" 'reg.invalid file:pw' reg.invalid/team/app:1
}

@test "an auth file that was named and is not there ends it before any request, as with podman" {
  start_proxy '[]'
  export http_proxy=$proxy
  local podman=(podman --root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs)
  [ -n "$(asked . "${podman[@]}" pull -q --tls-verify=false reg.invalid/team/app:1)" ]
  [ -z "$(asked . "${podman[@]}" pull -q --tls-verify=false --authfile "$world/absent" reg.invalid/team/app:1)" ]
  [ -z "$(asked . "$LAY" pull -q --tls-verify=false --authfile "$world/absent" reg.invalid/team/app:1)" ]
}

# policy DEFAULT SCOPES: writes the user's policy.json; SCOPES are those of docker.
policy() { printf '{"default": [%s], "transports": {"docker": {%s}}}' "$1" "$2" >"$HOME/.config/containers/policy.json"; }

# ends STATUS NAME: skopeo copies, and lay pulls and copies NAME with that status. What they say is in `said`.
ends() {
  local status command
  for command in "skopeo copy -q --src-tls-verify=false docker://$2 dir:theirs" "$LAY pull -q $2" \
    "$LAY copy -q docker://$2 oci:ours:x" "$LAY copy -q --all docker://$2 oci:all:x" \
    "$LAY copy -q --all docker://$2 docker://$registry/copied/app:1"; do
    status=0
    $command >/dev/null 2>said || status=$?
    [ "$status" = "$1" ] || { echo "$command: status $status"; cat said; return 1; }
  done
}

@test "policy.json decides which images of registries are taken" {
  local accept='{"type": "insecureAcceptAnything"}' reject='{"type": "reject"}' name=$registry/team/app:1
  mkdir -p "$HOME/.config/containers"
  policy "$accept" ''
  ends 0 "$name"
  policy "$reject" ''
  ends 1 "$name"
  has "$(<said)" "images of any registry are rejected"
  "$LAY" inspect "docker://$name" >/dev/null
  policy "$reject" "\"$registry/team\": [$accept], \"localhost:1\": [$accept]"
  ends 0 "$name"
  ends 1 "$registry/first/app:1"
  policy "$accept" "\"$name\": [$reject], \"\": [$reject], \"$registry/first\": [$accept]"
  ends 1 "$name"
  has "$(<said)" "images of $name are rejected"
  ends 0 "$registry/first/app:1"
  ends 1 "$registry/second/app:1"
  policy '{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/dev/null"}' ''
  ends 1 "$name"
  has "$(<said)" "signed"
  echo '{"default": []}' >"$HOME/.config/containers/policy.json"
  ends 1 "$name"
}
