# Sourced by what needs an OCI registry: Debian's docker-registry on a free port of loopback.
source "$(dirname "${BASH_SOURCE[0]}")/wait.bash"

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_registry FOLDER: keeps its blobs and its log in FOLDER; sets registry (host:port) and registry_pid. With the
# files registry_certificate and registry_key it speaks TLS, with registry_users (made by htpasswd -B) it has users.
start_registry() {
  local folder=$1 port scheme=http tls= auth=
  [[ -z ${registry_certificate-} ]] || {
    scheme=https
    tls=", tls: {certificate: '$registry_certificate', key: '$registry_key'}"
  }
  [[ -z ${registry_users-} ]] || auth="auth: {htpasswd: {realm: registry, path: '$registry_users'}}"
  port=$(free_port)
  mkdir -p "$folder/data"
  cat >"$folder/config.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $folder/data}, delete: {enabled: true}}
http: {addr: 127.0.0.1:$port$tls}
$auth
YAML
  OTEL_TRACES_EXPORTER=none docker-registry serve "$folder/config.yml" >"$folder/log" 2>&1 &
  registry_pid=$!
  registry=localhost:$port
  wait_until 10 curl -sSk "$scheme://127.0.0.1:$port/v2/" || { tail -n 5 "$folder/log" >&2; return 1; }
}

stop_registry() {
  [[ -n ${registry_pid-} ]] || return 0
  kill "$registry_pid" 2>/dev/null || true
  wait "$registry_pid" 2>/dev/null || true
  registry_pid=
}
