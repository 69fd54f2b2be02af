#!/usr/bin/env bats
# How a registry is reached: through proxies, under the names that registries.conf gives it, for another platform, and
# behind a token server.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc
  head -c 4000000 /dev/urandom >tree/etc/big
  "$LAY" import tree app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  pids=()
}
teardown() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  close_world
}

# start_proxy UPSTREAM_PORT RULES: the fault proxy; sets proxy_port.
start_proxy() {
  proxy_port=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$proxy_port" "$(free_port)" "$1" "$world/requests" "$2" \
    >"$world/proxy.log" 2>&1 3>&- &
  pids+=($!)
  wait_until 10 curl -sS "http://127.0.0.1:$proxy_port/v2/"
  rm -f requests
}

# fails COMMAND...: it must not succeed ("!" alone is not seen by bats).
fails() { ! "$@" 2>/dev/null; }

proxied() { jq -r .proxied requests | sort -u; }

@test "the proxy of the environment is used for hosts elsewhere, but for those it excepts and never for this machine" {
  start_registry "$world/registry"
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy "${registry#*:}" '[]'
  local address=http://127.0.0.1:$proxy_port name=reg.invalid/team/app:1
  local inspect=("$LAY" inspect --tls-verify=false -f '{{.Digest}}')
  [ "$(http_proxy=$address "${inspect[@]}" "docker://$name")" = "$digest" ]
  [ "$(proxied)" = reg.invalid ]
  rm requests
  http_proxy=$address no_proxy=.invalid fails "${inspect[@]}" --retry 0 "docker://$name"
  # A CGI program has that from a header of the request it answers
  REQUEST_METHOD=GET HTTP_PROXY=$address fails "${inspect[@]}" --retry 0 "docker://$name"
  [ ! -e requests ]
  [ "$(HTTP_PROXY=$address "${inspect[@]}" "docker://$name")" = "$digest" ]
  [ "$(proxied)" = reg.invalid ]
  rm requests
  # https goes by CONNECT, which this proxy refuses: nothing of the request gets to it.
  HTTPS_PROXY=$address fails "$LAY" inspect --retry 0 --creds ann:s3cret:pw "docker://$name"
  [ "$(jq -r '.method + .authorization' requests | sort -u)" = CONNECT ]
  rm requests
  [ "$(http_proxy=$address "${inspect[@]}" "docker://$registry/team/app:1")" = "$digest" ]
  [ ! -e requests ]
}

@test "what lies in registries.conf.d goes over registries.conf, a later name over an earlier" {
  start_registry "$world/registry"
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  export HOME=$world/home XDG_CONFIG_HOME=
  local conf=$HOME/.config/containers
  mkdir -p "$conf/registries.conf.d"
  location() { printf '[[registry]]\nprefix = "shop.invalid"\nlocation = "%s"\n' "$1"; }
  location "$registry/nowhere" >"$conf/registries.conf"
  fails "$LAY" inspect docker://shop.invalid/app:1
  location "$registry/team" >"$conf/registries.conf.d/20.conf"
  location "$registry/neither" >"$conf/registries.conf.d/10.conf"
  location "$registry/nowhere" >"$conf/registries.conf.d/30.disabled"
  [ "$("$LAY" inspect -f '{{.Digest}}' docker://shop.invalid/app:1)" = "$digest" ]
  printf '[[registry]]\nprefix = "shop.invalid"\nblocked = true\n' >"$conf/registries.conf.d/30.conf"
  refused 1 "is blocked" "$LAY" pull -q shop.invalid/app:1
}

# other_default: DOCKER_DEFAULT_PLATFORM stands in for --platform, which goes before it.
other_default() {
  local arch other=(arm64 amd64) at=docker://$registry/team/multi:all
  for arch in amd64 arm64; do
    export DOCKER_DEFAULT_PLATFORM=linux/$arch
    "$LAY" copy -q "$at" "oci:default-$arch:x" >/dev/null
    [ "$(skopeo inspect --raw "oci:default-$arch:x" | jq -r .config.digest)" = "$(jq -r .config.digest "dir-$arch/manifest.json")" ]
    "$LAY" --root "$world/root-default" pull -q "$registry/team/multi:all" >/dev/null
    [ "$("$LAY" --root "$world/root-default" inspect -f '{{.Architecture}}' "$registry/team/multi:all")" = "$arch" ]
    [ "$("$LAY" inspect -f '{{.Architecture}}' "$at")" = "$arch" ]
    [ "$("$LAY" inspect --platform "linux/${other[0]}" -f '{{.Architecture}}' "$at")" = "${other[0]}" ]
    other=(amd64)
  done
  # The bytes that the name leads to are the index all the same.
  [ "$("$LAY" inspect --raw "$at" | jq '.manifests | length')" = 2 ]
  DOCKER_DEFAULT_PLATFORM=nonsense/../x refused 1 DOCKER_DEFAULT_PLATFORM "$LAY" inspect -f "{{.Architecture}}" "$at"
  other_default_elsewhere
  unset DOCKER_DEFAULT_PLATFORM
}

# other_default_elsewhere: docker's short form is taken; what chooses no platform does not ask for the variable.
other_default_elsewhere() {
  [ "$(DOCKER_DEFAULT_PLATFORM=arm64 "$LAY" inspect -f '{{.Architecture}}' "$at")" = arm64 ]
  export DOCKER_DEFAULT_PLATFORM=nonsense/../x
  "$LAY" inspect --raw "$at" >/dev/null
  "$LAY" --root "$world/root-default" inspect "$registry/team/multi:all" >/dev/null
  "$LAY" copy -q --all "$at" oci:default-all:x >/dev/null
  refused 1 "no container" "$LAY" inspect --type container -f "{{.Id}}" NAME
}

@test "copy, pull and run take the platform that is asked for" {
  start_registry "$world/registry"
  local arch
  for arch in amd64 arm64; do
    jq -n --arg arch "$arch" '{architecture: $arch, os: "linux"}' >base.json
    tar -C tree -cf "$arch.tar" .
    python3 "$here/../../support/chunked_image.py" "$arch.tar" "layout-$arch" x
    # The writer says amd64: the other's config is another document.
    skopeo copy -q "oci:layout-$arch:x" "dir:dir-$arch"
    local config
    config=$(jq -r .config.digest "dir-$arch/manifest.json")
    sed "s/amd64/$arch/" "dir-$arch/${config#*:}" >config.json
    local new
    new=$(sha256sum config.json | cut -d' ' -f1)
    sed -i "s/${config#*:}/$new/; s/\"size\": *$(stat -c %s "dir-$arch/${config#*:}")\b/\"size\": $(stat -c %s config.json)/" \
      "dir-$arch/manifest.json"
    mv config.json "dir-$arch/$new"
    skopeo copy -q --dest-tls-verify=false "dir:dir-$arch" "docker://$registry/team/multi:$arch"
  done
  local manifests=() index
  for arch in amd64 arm64; do
    local type='application/vnd.oci.image.manifest.v1+json'
    curl -fsS -H "Accept: $type" "http://$registry/v2/team/multi/manifests/$arch" >manifest.json
    manifests+=("$(jq -n --arg d "sha256:$(sha256sum manifest.json | cut -d' ' -f1)" --arg a "$arch" --arg t "$type" \
      --argjson s "$(stat -c %s manifest.json)" '{mediaType: $t, digest: $d, size: $s, platform: {os: "linux", architecture: $a}}')")
  done
  index='application/vnd.oci.image.index.v1+json'
  printf '%s\n' "${manifests[@]}" | jq -s --arg t "$index" '{schemaVersion: 2, mediaType: $t, manifests: .}' |
    curl -fsS -X PUT -H "Content-Type: $index" --data-binary @- "http://$registry/v2/team/multi/manifests/all"
  for arch in amd64 arm64; do
    "$LAY" copy -q --platform "linux/$arch" "docker://$registry/team/multi:all" "oci:copied-$arch:x" >/dev/null
    [ "$(skopeo inspect --raw "oci:copied-$arch:x" | jq -r .config.digest)" = \
      "$(jq -r .config.digest "dir-$arch/manifest.json")" ]
    "$LAY" --root "$world/root-$arch" pull -q --platform "linux/$arch" "$registry/team/multi:all" >/dev/null
    [ "$("$LAY" --root "$world/root-$arch" inspect -f '{{.Architecture}}' "$registry/team/multi:all")" = "$arch" ]
  done
  fails "$LAY" pull -q --platform linux/s390x "$registry/team/multi:all"
  other_default
  # There is no such program in it: the image was found, and its layers were mounted.
  local status=0
  "$LAY" run --platform linux/arm64 --network none --rm "$registry/team/multi:all" true 2>/dev/null || status=$?
  [ "$status" = 127 ]
}

@test "run takes an image that is here for a lower variant of the platform" {
  make_small_root
  "$LAY" import -q "$world/small" here:1 --cmd '["/bin/sh"]' >/dev/null
  local platform=linux/amd64/v2
  [ "$(uname -m)" = x86_64 ] || platform=linux/arm64/v9
  "$LAY" run --platform "$platform" --network none --rm here:1 /bin/true
}

@test "behind a token server whose tokens expire on their way, push and pull go on with new ones" {
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout key -out cert 2>/dev/null
  local port=$(free_port) tokens
  tokens=$(free_port)
  python3 "$here/../../support/token_server.py" "$tokens" "$world" >tokens.log 2>&1 3>&- &
  pids+=($!)
  cat >registry.yml <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $world/data}}
http: {addr: 127.0.0.1:$port}
auth: {token: {realm: "http://localhost:$tokens/token", service: registry, issuer: lay-tests, rootcertbundle: $world/cert}}
YAML
  OTEL_TRACES_EXPORTER=none docker-registry serve registry.yml >registry.log 2>&1 3>&- &
  pids+=($!)
  wait_until 10 curl -sS "http://127.0.0.1:$port/v2/"
  # The token that such a request brings has expired when it arrives.
  start_proxy "$port" '[{"method": "PATCH|PUT", "do": "pass", "after": 1, "pause": 3.1},
                        {"method": "GET", "path": "/blobs/sha256", "do": "pass", "pause": 3.1}]'
  export LAY_UPLOAD_CHUNK=2m
  local place=localhost:$proxy_port/team/app:1
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$place" >/dev/null
  (($(wc -l <tokens) >= 2))
  : >tokens
  "$LAY" --root "$world/root2" pull -q --creds ann:s3cret:pw "$place" >/dev/null
  (($(wc -l <tokens) >= 2))
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$place")" = "$digest" ]
  refused 1 "" "$LAY" --root "$world/root3" pull -q --retry 0 --creds ann:wrong "$place"
  fails grep -q Basic requests
}
