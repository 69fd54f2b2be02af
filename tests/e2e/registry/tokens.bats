#!/usr/bin/env bats
# Tokens: how many are asked for, with what, and what a challenge may look like. The proxy gives them and notes everything.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc
  head -c 3000000 /dev/urandom >tree/etc/big
  "$LAY" import tree app:1 >/dev/null
  local number
  for number in 2 3 4 5; do
    mkdir upper
    echo "$number" >"upper/$number"
    printed=$("$LAY" commit -q ./upper "app:$number" --base "app:$((number - 1))" 2>/dev/null | tail -n 1)
    rm -r upper
  done
  digest=$("$LAY" inspect -f '{{.Digest}}' app:5)
  start_registry "$world/registry"
  "$LAY" push -q app:5 "$registry/team/app:1" >/dev/null
  rm -r "$LAY_ROOT/transfers"
  export REGISTRY_AUTH_FILE=$world/auth.json
}
teardown() {
  stop_proxy
  close_world
}

# start_proxy [RULE...]: gives tokens of USES requests each; PORT in a rule is its own port. Sets proxy.
start_proxy() {
  local rules="{\"tokens\": {\"uses\": ${uses:-1000}, \"user\": \"ann:s3cret:pw\"}}" rule port
  port=$(free_port)
  for rule; do rules+=", ${rule//PORT/$port}"; done
  python3 "$here/../../support/fault_proxy.py" "$port" "$(free_port)" "${registry#*:}" "$world/requests" "[$rules]" \
    >"$world/proxy.log" 2>&1 3>&- &
  proxy_pid=$!
  proxy=localhost:$port
  wait_until 10 curl -sS "http://127.0.0.1:$port/ready"
  rm -f requests
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$proxy" "$(printf ann:s3cret:pw | base64)" >auth.json
}

stop_proxy() {
  [[ -z ${proxy_pid-} ]] || { kill "$proxy_pid" && wait "$proxy_pid" || true; }
  proxy_pid=
}

asked_for() { jq -r 'select(.path | startswith("/token")) | .method + " " + .path' requests; }
pulls() {
  rm -rf --one-file-system root2
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$proxy/team/app:1")" = "$digest" ]
}

@test "a pull of five layers asks for one token, a push for one, and one more where it mounts" {
  start_proxy
  pulls
  [ "$(asked_for | wc -l)" = 1 ]
  has "$(asked_for)" 'scope=repository%3Ateam%2Fapp%3Apull'
  rm requests
  "$LAY" push -q app:5 "$proxy/first/app:1" >/dev/null
  [ "$(asked_for | wc -l)" = 1 ]
  rm requests
  "$LAY" push -q app:5 "$proxy/second/app:1" >/dev/null
  [ "$(asked_for | wc -l)" = 2 ]
  # One token for both repositories, and none that may write where is only read
  asked_for | grep 'second' | grep -q 'first%2Fapp%3Apull\(&\|$\|%20\|+\| \)'
  ! asked_for | grep -q 'first%2Fapp%3Apull%2Cpush' || return 1
}

@test "the password goes to the token server alone, tokens to the registry alone" {
  start_proxy
  pulls
  "$LAY" push -q app:5 "$proxy/first/app:1" >/dev/null
  [ "$(jq -r 'select(.path | startswith("/token")) | .authorization | split(" ")[0]' requests | sort -u)" = Basic ]
  [ "$(jq -r 'select(.path | startswith("/token") | not) | .authorization | split(" ")[0] // ""' requests | sort -u | tr '\n' ,)" = ,Bearer, ]
}

@test "tokens that are good for one request only do not end a pull or a push in chunks" {
  "$LAY" push -q app:1 "$registry/single/app:1" >/dev/null
  uses=1 start_proxy
  local single
  single=$("$LAY" inspect -f '{{.Digest}}' app:1)
  "$LAY" --root "$world/root2" pull -q "$proxy/single/app:1" >/dev/null
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$proxy/single/app:1")" = "$single" ]
  rm -r "$LAY_ROOT/transfers"
  LAY_UPLOAD_CHUNK=1m "$LAY" push -q app:1 "$proxy/first/app:1" >/dev/null
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/first/app:1")" = "$single" ]
  (($(asked_for | wc -l) >= 7))
}

@test "an identity token of an auth file or a helper is exchanged by POST, and shown to nobody else" {
  start_proxy
  printf '{"auths": {"%s": {"auth": "%s", "identitytoken": "refresh-of-ann"}}}' "$proxy" "$(printf '<token>:' | base64)" >auth.json
  pulls
  [ "$(asked_for)" = 'POST /token' ]
  rm requests
  mkdir bin
  printf '#!/bin/sh\ncat >/dev/null\necho '\''{"Username": "<token>", "Secret": "refresh-of-ann"}'\' >bin/docker-credential-box
  chmod +x bin/docker-credential-box
  printf '{"credHelpers": {"%s": "box"}}' "$proxy" >auth.json
  PATH=$world/bin:$PATH pulls
  [ "$(asked_for)" = 'POST /token' ]
  ! grep -q refresh-of-ann requests || return 1
}

@test "a helper need not read what it is asked" {
  start_proxy
  mkdir bin
  # It has ended its side when it is written to
  printf '#!/bin/sh\nexec <&-\necho '\''{"Username": "ann", "Secret": "s3cret:pw"}'\' >bin/docker-credential-box
  chmod +x bin/docker-credential-box
  printf '{"credHelpers": {"%s": "box"}}' "$proxy" >auth.json
  export PATH=$world/bin:$PATH
  local status
  for _ in {1..20}; do
    skopeo inspect --raw --tls-verify=false "docker://$proxy/team/app:1" >/dev/null
    status=0
    "$LAY" inspect "docker://$proxy/team/app:1" >/dev/null || status=$?
    [ "$status" = 0 ] || { echo "exit $status"; return 1; }
  done
}

# challenged HEADERS: the first answer has them; lay and skopeo pull all the same, and the token is asked for its service.
challenged() {
  start_proxy '{"path": "/v2/$", "do": "status", "before-auth": true, "status": 401, "times": 9, "headers": '"$1"'}'
  skopeo inspect --raw --tls-verify=false "docker://$proxy/team/app:1" >/dev/null
  rm requests
  pulls
  has "$(asked_for)" service=proxy
  stop_proxy
}

@test "a challenge is understood with other schemes before it, other parameters, and in whatever case" {
  challenged '{"WWW-Authenticate": "Bearer realm=\"http://127.0.0.1:PORT/token\",service=\"proxy\""}'
  challenged '{"WWW-Authenticate": "bearer service=proxy, error=\"invalid_token\", REALM=\"http://127.0.0.1:PORT/token\""}'
  challenged '{"WWW-Authenticate": "Bearer realm=\"http://127.0.0.1:PORT/token\",service=\"proxy\"", "www-authenticate": "Negotiate"}'
}

@test "a challenge in a folded header is one challenge" {
  challenged '{"WWW-Authenticate": "Bearer realm=\"http://127.0.0.1:PORT/token\",\r\n service=\"proxy\""}'
}

@test "what commit printed is what the registry has" {
  start_proxy
  [ "$("$LAY" push -q app:5 "$proxy/printed/app:1" | tail -n 1)" = "$digest" ]
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/printed/app:1")" = "$digest" ]
  [ "sha256:$(curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/printed/app/manifests/1" |
    sha256sum | cut -d' ' -f1)" = "$digest" ]
  [ "$printed" = "$digest" ] || [ "$printed" = "$("$LAY" inspect -f '{{.Id}}' app:5)" ] || { echo "commit printed $printed"; return 1; }
}
