#!/usr/bin/env bats
# Other tools to and from lay serve, and lay to and from docker-registry: plain, with TLS, with passwords, with both.
# Every manifest and blob is compared byte by byte, and the tar of every layer that a tool unpacked and put together.

load ../support/world
load ../support/served

setup() {
  open_world
  # gzip: docker 20 does not know zstd
  make_small_root
  "$LAY" import "$world/small" small --compression gzip --cmd '["/bin/sh"]' >/dev/null
  skopeo copy -q "oci:$LAY_ROOT:small:latest" "oci:$world/layout:x"
  diff_ids=$(jq -c .rootfs.diff_ids "$(layout_blob config)")
}
teardown() {
  stop_docker
  stop_served
  [[ -z ${network_pid-} ]] || kill "$network_pid" 2>/dev/null || true
  [[ -z ${containerd_pid-} ]] || { kill "$containerd_pid" 2>/dev/null; wait "$containerd_pid"; } || true
  close_world
}

# layout_blob manifest|config: its path in the layout.
layout_blob() {
  local digest
  digest=$(jq -r '.manifests[0].digest' "$world/layout/index.json")
  [[ $1 == manifest ]] || digest=$(jq -r .config.digest "$world/layout/blobs/${digest/://}")
  echo "$world/layout/blobs/${digest/://}"
}

# choose SETUP: plain, tls, htpasswd or tls+htpasswd. Sets what each side is told: certificate and users of the server,
# the flags of curl, of the tools, of skopeo for either end, and of lay.
choose() {
  curl_flags=() tool_flags=() source_flags=() target_flags=() lay_flags=() serve_flags=()
  registry_certificate='' registry_key='' registry_users='' scheme=http
  if [[ $1 == *tls* ]]; then
    certificate
    mkdir -p "$world/trusted"
    cp "$world/cert" "$world/trusted/ca.crt"
    scheme=https registry_certificate=$world/cert registry_key=$world/key
    serve_flags+=(--tls-cert "$world/cert" --tls-key "$world/key")
    curl_flags+=(--cacert "$world/cert")
    tool_flags+=(--cert-dir "$world/trusted")
    source_flags+=(--src-cert-dir "$world/trusted")
    target_flags+=(--dest-cert-dir "$world/trusted")
    lay_flags+=(--cert-dir "$world/trusted")
  else
    tool_flags+=(--tls-verify=false)
    source_flags+=(--src-tls-verify=false)
    target_flags+=(--dest-tls-verify=false)
  fi
  if [[ $1 == *htpasswd* ]]; then
    users
    registry_users=$world/users
    serve_flags+=(--htpasswd "$world/users")
    curl_flags+=(-u ann:s3cret:pw)
    tool_flags+=(--creds ann:s3cret:pw)
    source_flags+=(--src-creds ann:s3cret:pw)
    target_flags+=(--dest-creds ann:s3cret:pw)
    lay_flags+=(--creds ann:s3cret:pw)
  fi
}

# get HOST REPOSITORY PATH: what the registry has there.
get() {
  curl -sf "${curl_flags[@]}" -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "$scheme://$1/v2/$2/$3"
}

# holds HOST REPOSITORY DIGEST: tag 1 is that manifest, every blob of it has the bytes of its digest, and the config
# the layers of the image.
holds() {
  get "$1" "$2" manifests/1 >"$world/manifest"
  [ "sha256:$(sha256sum "$world/manifest" | cut -d' ' -f1)" = "$3" ]
  local digest
  for digest in $(jq -r '.config.digest, .layers[].digest' "$world/manifest"); do
    [ "sha256:$(get "$1" "$2" "blobs/$digest" | sha256sum | cut -d' ' -f1)" = "$digest" ]
  done
  [ "$(get "$1" "$2" "blobs/$(jq -r .config.digest "$world/manifest")" | jq -c .rootfs.diff_ids)" = "$diff_ids" ]
}

# has_layers ARCHIVE: the tars in a docker archive are those of the image, byte by byte.
has_layers() {
  rm -rf --one-file-system "$world/archive"
  mkdir "$world/archive"
  tar -C "$world/archive" -xf "$1"
  local layer found=()
  for layer in $(jq -r '.[0].Layers[]' "$world/archive/manifest.json"); do
    found+=("sha256:$(sha256sum "$world/archive/$layer" | cut -d' ' -f1)")
  done
  [ "$(printf '%s\n' "${found[@]}" | jq -Rc . | jq -sc .)" = "$diff_ids" ]
  rm -f "$1"
}

# clients_ship SETUP: skopeo, podman and buildah push to lay serve, and pull into storage that has nothing.
clients_ship() {
  choose "$1"
  serve --access-log none "${serve_flags[@]}"
  local manifest from=(--root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs)
  local to=(--root "$world/empty" --runroot "$world/empty-run" --storage-driver vfs)
  manifest=$(layout_blob manifest)
  skopeo copy -q "${target_flags[@]}" "oci:$world/layout:x" "docker://$served/by/skopeo:1"
  holds "$served" by/skopeo "sha256:${manifest##*/}"
  skopeo copy -q "${source_flags[@]}" "docker://$served/by/skopeo:1" "oci:$world/pulled:x"
  diff -r "$world/layout/blobs" "$world/pulled/blobs"
  local tool
  for tool in podman buildah; do
    "$tool" "${from[@]}" pull -q "${tool_flags[@]}" "$served/by/skopeo:1"
    "$tool" "${from[@]}" push -q "${tool_flags[@]}" --digestfile "$world/digest" "$served/by/skopeo:1" \
      "docker://$served/by/$tool:1"
    holds "$served" "by/$tool" "$(<"$world/digest")"
    "$tool" "${to[@]}" pull -q "${tool_flags[@]}" "$served/by/$tool:1"
    "$tool" "${to[@]}" push -q "$served/by/$tool:1" "docker-archive:$world/archive.tar:x:1"
    has_layers "$world/archive.tar"
    [ "$("$LAY" run --rm --network none "$served/by/$tool:1" echo good)" = good ]
    "$tool" "${from[@]}" rmi -af >/dev/null
    "$tool" "${to[@]}" rmi -af >/dev/null
  done
}

# lay_ships SETUP: lay pushes to docker-registry, and pulls into a root that has nothing.
lay_ships() {
  choose "$1"
  start_registry "$world/registry"
  local manifest
  manifest=$(layout_blob manifest)
  [[ ${#lay_flags[@]} == 0 ]] || refused_without_flags
  "$LAY" push "${lay_flags[@]}" small "$registry/by/lay:1"
  holds "$registry" by/lay "sha256:${manifest##*/}"
  "$LAY" --root "$world/root2" pull "${lay_flags[@]}" "$registry/by/lay:1"
  diff -r "$LAY_ROOT/blobs" "$world/root2/blobs"
  "$LAY" --root "$world/root2" save -o "$world/archive.tar" "$registry/by/lay:1"
  has_layers "$world/archive.tar"
}

# refused_without_flags: neither a certificate of nobody's nor a registry with users is passed by accident.
refused_without_flags() {
  local status=0
  "$LAY" push small "$registry/by/lay:1" 2>"$world/refused.err" || status=$?
  [ "$status" = 1 ]
}

# start_docker [PREFIX...]: a daemon of the test's own, without a bridge or rules, that sees no other settings than
# those of $world/docker/etc; run by PREFIX.
start_docker() {
  mkdir -p "$world/docker/etc"
  echo '{}' >"$world/docker/daemon.json"
  docker=(docker --config "$world/docker/client" --host "unix://$world/docker/socket")
  "$@" unshare --mount --pid --fork --kill-child --mount-proc sh -ec '
    mount -t tmpfs tmpfs /run
    mkdir -p /etc/docker
    mount --bind "$1/etc" /etc/docker
    exec dockerd --host "unix://$1/socket" --data-root "$1/data" --exec-root /run/docker --pidfile "$1/pid" \
      --config-file "$1/daemon.json" --bridge none --iptables=false --ip6tables=false --storage-driver vfs' \
    sh "$world/docker" >"$world/docker/log" 2>&1 &
  docker_pid=$!
  wait_until 30 "${docker[@]}" version || { tail -n 5 "$world/docker/log"; return 1; }
}

stop_docker() {
  [[ -n ${docker_pid-} ]] || return 0
  kill "$(pgrep -P "$docker_pid")" 2>/dev/null || true
  wait "$docker_pid" || true
  docker_pid=
}

# docker_ships SETUP: docker pushes what it loaded, forgets it, and pulls it.
docker_ships() {
  choose "$1"
  serve --access-log none "${serve_flags[@]}"
  [[ $1 != *htpasswd* ]] || "${docker[@]}" login -u ann --password-stdin "$served" <<<s3cret:pw
  local digest
  "${docker[@]}" load -qi "$world/small.tar"
  "${docker[@]}" tag small:latest "$served/by/docker:1"
  digest=$("${docker[@]}" push "$served/by/docker:1" | sed -n 's/.* digest: \(sha256:[0-9a-f]*\) .*/\1/p')
  holds "$served" by/docker "$digest"
  "${docker[@]}" rmi -f small:latest "$served/by/docker:1"
  "${docker[@]}" pull -q "$served/by/docker:1"
  "${docker[@]}" save -o "$world/archive.tar" "$served/by/docker:1"
  has_layers "$world/archive.tar"
  "${docker[@]}" rmi -f "$served/by/docker:1"
  [ "$("$LAY" run --rm --network none "$served/by/docker:1" echo good)" = good ]
  stop_served
}

@test "skopeo, podman and buildah push to lay serve and pull from it" { clients_ship plain; }
@test "skopeo, podman and buildah push to lay serve and pull from it, with TLS" { clients_ship tls; }
@test "skopeo, podman and buildah push to lay serve and pull from it, with passwords" { clients_ship htpasswd; }
@test "skopeo, podman and buildah push to lay serve and pull from it, with TLS and passwords" { clients_ship tls+htpasswd; }

@test "docker pushes to lay serve and pulls from it: plain, with TLS, with passwords" {
  "$LAY" save -o "$world/small.tar" small:latest
  start_docker
  docker_ships plain
  docker_ships tls
  docker_ships htpasswd
}

# open_to_all SETUP...: lay serve with passwords, where everybody may read.
open_to_all() {
  choose "$1"
  users
  serve --access-log none "${serve_flags[@]}" --anonymous-pull
}

# shuts_out COMMAND...: it fails for want of a login.
shuts_out() {
  run "$@"
  [ "$status" -ne 0 ]
  grep -qiE 'unauthorized|authentication required|denied|log in|credentials were refused|invalid username/password' <<<"$output"
}

@test "where everybody may read, skopeo, podman, buildah and lay pull without a login and push with one" {
  local setup tool to=(--root "$world/empty" --runroot "$world/empty-run" --storage-driver vfs)
  export REGISTRY_AUTH_FILE=$world/auth.json
  for setup in htpasswd tls+htpasswd; do
    echo "{}" >"$REGISTRY_AUTH_FILE"
    clients_ship "$setup"
    stop_served
    open_to_all "$setup"
    local new=${scheme}
    holds "$served" by/skopeo "$(get "$served" by/skopeo manifests/1 | sha256sum | sed 's/^/sha256:/; s/ .*//')"
    local plain=() from=() into=() lay=()
    [[ $setup == tls* ]] || plain=(--tls-verify=false) from=(--src-tls-verify=false) into=(--dest-tls-verify=false)
    [[ $setup != tls* ]] || plain=(--cert-dir "$world/trusted") from=(--src-cert-dir "$world/trusted") \
      into=(--dest-cert-dir "$world/trusted") lay=(--cert-dir "$world/trusted")
    for tool in podman buildah; do
      "$tool" "${to[@]}" pull -q "${plain[@]}" "$served/by/$tool:1"
      shuts_out "$tool" "${to[@]}" push -q "${plain[@]}" "$served/by/$tool:1" "docker://$served/$new/$tool:1"
      "$tool" "${to[@]}" push -q "${tool_flags[@]}" "$served/by/$tool:1" "docker://$served/$new/$tool:1"
      "$tool" "${to[@]}" login -u ann --password-stdin "${plain[@]}" "$served" <<<s3cret:pw
      "$tool" "${to[@]}" push -q "${plain[@]}" "$served/by/$tool:1" "docker://$served/$new/later/$tool:1"
      shuts_out "$tool" "${to[@]}" login -u ann --password-stdin "${plain[@]}" "$served" <<<wrong
      "$tool" "${to[@]}" logout "$served"
      "$tool" "${to[@]}" rmi -af >/dev/null
    done
    skopeo copy -q "${from[@]}" "docker://$served/by/skopeo:1" "oci:$world/pulled:x"
    shuts_out skopeo copy -q "${into[@]}" "oci:$world/layout:x" "docker://$served/$new/skopeo:1"
    skopeo copy -q "${target_flags[@]}" "oci:$world/layout:x" "docker://$served/$new/skopeo:1"
    "$LAY" --root "$world/root-$setup" pull -q "${lay[@]}" "$served/by/skopeo:1"
    shuts_out "$LAY" push -q "${lay[@]}" small "$served/$new/lay:1"
    "$LAY" push -q "${lay_flags[@]}" small "$served/$new/lay:1"
    "$LAY" login -u ann --password-stdin "${lay[@]}" "$served" <<<s3cret:pw
    "$LAY" push -q "${lay[@]}" small "$served/$new/later/lay:1"
    shuts_out "$LAY" login -u ann --password-stdin "${lay[@]}" "$served" <<<wrong
    stop_served
  done
}

@test "where everybody may read, docker pulls without a login and pushes with one" {
  "$LAY" save -o "$world/small.tar" small:latest
  start_docker
  open_to_all htpasswd
  "$LAY" push -q "${lay_flags[@]}" small "$served/by/lay:1"
  "${docker[@]}" pull -q "$served/by/lay:1"
  "${docker[@]}" tag "$served/by/lay:1" "$served/by/docker:1"
  shuts_out "${docker[@]}" push -q "$served/by/docker:1"
  shuts_out "${docker[@]}" login -u ann --password-stdin "$served" <<<wrong
  stop_served
  port=${served##*:} serve --access-log none --htpasswd "$world/users" --allow 'ann:*:delete' --allow 'anonymous:by/*:read'
  "${docker[@]}" login -u ann --password-stdin "$served" <<<s3cret:pw
  "${docker[@]}" push -q "$served/by/docker:1"
  "${docker[@]}" tag "$served/by/lay:1" "$served/private/docker:1"
  "${docker[@]}" push -q "$served/private/docker:1"
  "${docker[@]}" logout "$served"
  "${docker[@]}" rmi -f "$served/by/docker:1" "$served/by/lay:1" "$served/private/docker:1"
  "${docker[@]}" pull -q "$served/by/docker:1"
  shuts_out "${docker[@]}" pull -q "$served/private/docker:1"
  stop_served
}

@test "where everybody may read, containerd fetches without a login and pushes with one" {
  printf '%s\n' 'version = 2' "root = '$world/containerd'" "state = '$world/containerd-run'" \
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]' '[grpc]' "address = '$world/containerd.sock'" >containerd.toml
  containerd -c containerd.toml >containerd.log 2>&1 3>&- &
  containerd_pid=$!
  ctr_() { command ctr -a "$world/containerd.sock" "$@"; }
  wait_until 20 ctr_ version
  open_to_all htpasswd
  "$LAY" push -q "${lay_flags[@]}" small "$served/by/lay:1"
  ctr_ content fetch --plain-http "$served/by/lay:1" >/dev/null
  shuts_out ctr_ images push --plain-http "$served/by/containerd:1" "$served/by/lay:1"
  ctr_ images push --plain-http --user ann:s3cret:pw "$served/by/containerd:1" "$served/by/lay:1" >/dev/null
  holds "$served" by/containerd "$(get "$served" by/lay manifests/1 | sha256sum | sed 's/^/sha256:/; s/ .*//')"
  kill "$containerd_pid"
  wait "$containerd_pid" || true
  containerd_pid=
  stop_served
}

@test "lay pushes to docker-registry and pulls from it" { lay_ships plain; }
@test "lay pushes to docker-registry and pulls from it, with TLS" { lay_ships tls; }
@test "lay pushes to docker-registry and pulls from it, with passwords" { lay_ships htpasswd; }
@test "lay pushes to docker-registry and pulls from it, with TLS and passwords" { lay_ships tls+htpasswd; }

# trusts_nobody COMMAND...: it fails, and the reason is the certificate.
trusts_nobody() {
  local status=0
  "$@" >"$world/untrusted" 2>&1 || status=$?
  [ "$status" != 0 ]
  grep -qi 'certificate' "$world/untrusted" || { cat "$world/untrusted"; return 1; }
}

@test "R10: a certificate of an authority that a client does not trust ends every push and pull of it" {
  choose tls
  serve --access-log none "${serve_flags[@]}"
  skopeo copy -q "${target_flags[@]}" "oci:$world/layout:x" "docker://$served/by/skopeo:1"
  certificate  # another one, for the same names
  mkdir "$world/wrong"
  mv "$world/cert" "$world/wrong/ca.crt"
  local tool wrong=(--cert-dir "$world/wrong")
  local storage=(--root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs)
  for tool in podman buildah; do
    trusts_nobody "$tool" "${storage[@]}" pull -q "${wrong[@]}" "$served/by/skopeo:1"
    "$tool" "${storage[@]}" pull -q "${tool_flags[@]}" "$served/by/skopeo:1"
    trusts_nobody "$tool" "${storage[@]}" push -q "${wrong[@]}" "$served/by/skopeo:1" "docker://$served/by/$tool:1"
    "$tool" "${storage[@]}" rmi -af >/dev/null
  done
  trusts_nobody skopeo copy -q --dest-cert-dir "$world/wrong" "oci:$world/layout:x" "docker://$served/by/wrong:1"
  trusts_nobody skopeo copy -q --src-cert-dir "$world/wrong" "docker://$served/by/skopeo:1" "oci:$world/pulled:x"
  trusts_nobody "$LAY" push -q --retry 0 "${wrong[@]}" small "$served/by/lay:1"
  trusts_nobody "$LAY" --root "$world/root2" pull -q --retry 0 "${wrong[@]}" "$served/by/skopeo:1"
  [ "$(curl -sf "${curl_flags[@]/#"$world/cert"/"$world/trusted/ca.crt"}" "https://$served/v2/_catalog" |
    jq -c '[.repositories[] | select(startswith("by/"))]')" = '["by/skopeo"]' ]
}

@test "R10: docker pushes only where its certs.d trusts the authority" {
  # In a network of its own: docker checks no certificate of a loopback address.
  unshare --net sleep 600 3>&- &
  network_pid=$!
  local there=(nsenter "--net=/proc/$network_pid/ns/net") address=10.99.0.1
  wait_until 10 eval '[ "$(readlink /proc/$network_pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
  "${there[@]}" ip link set lo up
  "${there[@]}" ip address add "$address/32" dev lo
  certificate "IP:$address"
  "${there[@]}" "$LAY" serve --listen "$address:5000" --insecure-listen --access-log none \
    --tls-cert "$world/cert" --tls-key "$world/key" >"$world/url" 2>>"$world/serve.log" 3>&- &
  serve_pid=$!
  wait_until 10 test -s "$world/url" || { cat "$world/serve.log"; return 1; }
  mkdir -p "$world/docker/etc/certs.d/$address:5000"
  start_docker "${there[@]}"
  "$LAY" save -o "$world/small.tar" small:latest
  "${docker[@]}" load -qi "$world/small.tar"
  "${docker[@]}" tag small:latest "$address:5000/by/docker:1"
  trusts_nobody "${docker[@]}" push "$address:5000/by/docker:1"
  cp "$world/cert" "$world/docker/etc/certs.d/$address:5000/ca.crt"
  "${docker[@]}" push -q "$address:5000/by/docker:1"
  certificate "IP:$address"
  mv "$world/cert" "$world/docker/etc/certs.d/$address:5000/ca.crt"
  trusts_nobody "${docker[@]}" pull -q "$address:5000/by/docker:1"
}
