#!/usr/bin/env bats
# A registry with TLS behind a proxy that makes tunnels, by a name that nobody else knows, and one at an address of IPv6.

load ../support/world
load ../support/served

setup() {
  open_world
  mkdir -p tree home trusted
  echo x >tree/x
  "$LAY" import tree app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  export HOME=$world/home
  users
  tunnel_pid=
}
teardown() {
  [[ -z $tunnel_pid ]] || kill "$tunnel_pid"
  stop_served
  close_world
}

# start_tunnel [USER:PASSWORD]: serves with TLS as reg.invalid behind it; sets tunnel (its host:port).
start_tunnel() {
  tunnel=127.0.0.1:$(free_port)
  certificate DNS:reg.invalid
  cp cert trusted/ca.crt
  serve --access-log "$world/access" --htpasswd "$world/users" --tls-cert cert --tls-key key
  python3 "$here/../../support/tunnel.py" "${tunnel#*:}" "${url##*:}" "$world/tunnelled" "$@" >tunnel.log 2>&1 3>&- &
  tunnel_pid=$!
  wait_until 10 curl -sS -o /dev/null "http://$tunnel/"
  rm -f tunnelled
}

# ships: lay pushes and pulls, and skopeo finds the same.
ships() {
  "$LAY" push -q --cert-dir trusted --creds ann:s3cret:pw app:1 reg.invalid/team/app:1 >/dev/null
  "$LAY" --root "$world/root2" pull -q --cert-dir trusted --creds ann:s3cret:pw reg.invalid/team/app:1 >/dev/null
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' reg.invalid/team/app:1)" = "$digest" ]
  [ "$(skopeo inspect --cert-dir trusted --creds ann:s3cret:pw --format '{{.Digest}}' docker://reg.invalid/team/app:1)" = "$digest" ]
}

@test "through a tunnel the proxy sees the registry's name and nothing else" {
  start_tunnel
  local name
  for name in https_proxy HTTPS_PROXY; do
    rm -rf --one-file-system root2
    export "$name=http://$tunnel"
    ships
    unset "$name"
  done
  [ "$(jq -r '.method + " " + .target' tunnelled | sort -u)" = 'CONNECT reg.invalid:443' ]
  ! grep -qi 'authorization' tunnelled || return 1
  grep -q '"user":"ann"' access
}

@test "the proxy's own login goes to the proxy and not into the tunnel" {
  start_tunnel up:pr0xy
  export https_proxy=http://up:pr0xy@$tunnel
  ships
  [ "$(jq -r '.headers["Proxy-Authorization"] // empty' tunnelled | sort -u)" = "Basic $(printf up:pr0xy | base64)" ]
  [ "$(jq -r '.headers | keys[] | ascii_downcase' tunnelled | grep -c '^authorization$')" = 0 ]
  export https_proxy=http://up:wrong@$tunnel
  ! "$LAY" tags --retry 0 --cert-dir trusted --creds ann:s3cret:pw reg.invalid/team/app >said 2>&1 || return 1
  has "$(<said)" 407
  ! grep -qE 'pr0xy|wrong|s3cret' said || return 1
}

@test "R10: a certificate of another name ends it in the tunnel, before any login" {
  start_tunnel
  export https_proxy=http://$tunnel
  : >access
  ! "$LAY" tags --retry 0 --cert-dir trusted --creds ann:s3cret:pw other.invalid/team/app >said 2>&1 || return 1
  has "$(<said)" certificate
  [ ! -s access ]
  [ "$(jq -r .target tunnelled | sort -u)" = other.invalid:443 ]
}

@test "a registry at an address of IPv6 is pushed to and pulled from" {
  ip addr show dev lo | grep -q 'inet6 ::1' || skip "no IPv6 here"
  : >"$world/url"
  "$LAY" serve --listen '[::1]:0' --access-log none >"$world/url" 2>>serve.log 3>&- &
  serve_pid=$!
  wait_until 10 test -s "$world/url"
  local host
  host=$(sed 's,.*//,,' "$world/url")
  [ "$(status_of -g "http://$host/v2/")" = 200 ]
  "$LAY" push -q app:1 "$host/team/app:1" >/dev/null
  "$LAY" --root "$world/root2" pull -q "$host/team/app:1" >/dev/null
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$host/team/app:1")" = "$digest" ]
  [ "sha256:$(curl -sg "http://$host/v2/team/app/manifests/1" | sha256sum | cut -d' ' -f1)" = "$digest" ]
}
