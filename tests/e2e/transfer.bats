#!/usr/bin/env bats
# Images between registries, layouts, archives and the store, and transfers that are killed.

load world

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
  [[ -z ${proxy_pid-} ]] || kill "$proxy_pid" 2>/dev/null || true
  close_world
}

# start_proxy RULES: the fault proxy in front of the registry; sets proxy (host:port).
start_proxy() {
  local port
  port=$(free_port)
  python3 "$here/../support/fault_proxy.py" "$port" "$(free_port)" "${registry#*:}" "$world/requests" "$1" \
    >"$world/proxy.log" 2>&1 3>&- &
  proxy_pid=$!
  proxy=localhost:$port
  wait_until 10 curl -fsS "http://127.0.0.1:$port/v2/"
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

@test "tags, inspect and rmi look at a registry and pull nothing" {
  "$LAY" push -q app:1 "$registry/team/app:2"
  "$LAY" rmi app:1 >/dev/null
  before=$(store_state)
  [ "$("$LAY" tags "$registry/team/app" | sort)" = $'1\n2' ]
  [ "$("$LAY" inspect -f '{{.Digest}}' "docker://$registry/team/app:1")" = "$digest" ]
  "$LAY" rmi "docker://$registry/team/app:1"
  [ "$(store_state)" = "$before" ]
  ! "$LAY" inspect "docker://$registry/team/app:2" 2>/dev/null
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
  ! "$LAY" tags --retry 0 --cert-dir "$certs" "localhost:$port/app" 2>/dev/null
}
