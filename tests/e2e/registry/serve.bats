#!/usr/bin/env bats
# lay serve: the checks of conformance.py, other tools as its clients, logins and TLS, and that nothing is lost.

load ../support/world
load ../support/served

setup() { open_world; }
teardown() {
  stop_served
  close_disk
  close_world
}

# layout: the small image as the OCI layout $world/layout:x.
layout() {
  small_image
  skopeo copy -q "oci:$LAY_ROOT:small:latest" "oci:$world/layout:x"
}

@test "every check of the conformance suite passes" {
  serve --access-log none
  "$BATS_TEST_DIRNAME/conformance.py" "$url"
  "$LAY" fsck -q
}

@test "docker-registry passes the checks that it supports" {
  start_registry "$world/registry"
  "$BATS_TEST_DIRNAME/conformance.py" "http://127.0.0.1:${registry##*:}" --lenient "$(paste -sd, <<'LACKING'
ranges_of_a_blob
tags_are_listed_in_pages
tags_are_in_lexical_order_whatever_their_case
what_is_known_already_has_the_length_of_what_is_not
a_mount_without_from_looks_everywhere
an_empty_page_of_tags
referrers_are_listed_and_filtered
a_subject_need_not_be_there
sha512_blobs
sha512_manifests
a_wrong_digest_publishes_nothing
a_tag_is_deleted_and_its_manifest_stays
a_blob_of_another_repository_cannot_be_referred_to
hostile_chunks_are_refused
hostile_paths_are_refused
several_ranges_come_as_parts
a_blob_is_pushed_in_chunks_and_gaps_are_refused
broken_manifests_are_refused
LACKING
)"
}

@test "what is pushed runs here at once, what is made here is pulled at once" {
  layout
  serve
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  has "$("$LAY" images)" "$served/team/app"
  [ "$("$LAY" run --rm --network none "$served/team/app:1" echo pushed)" = pushed ]
  skopeo copy -q --src-tls-verify=false "docker://$served/small:latest" "oci:$world/pulled:x"
  diff -r "$world/layout/blobs" "$world/pulled/blobs"
  "$LAY" tag small "$served/team/other:2"
  [ "$(curl -s "$url/v2/team/other/tags/list")" = '{"name":"team/other","tags":["2"]}' ]
  "$LAY" rmi "$served/team/app:1"
  [ "$(status_of "$url/v2/team/app/manifests/1")" = 404 ]
}

@test "what is pushed over a local name of the server's store stays when that name goes" {
  small_image myapp:1
  serve
  "$LAY" push -q myapp:1 "$served/myapp:1"
  "$LAY" rmi myapp:1
  [ "$(status_of "$url/v2/myapp/manifests/1")" = 200 ]
  small_image relayed:1
  "$LAY" copy -q "docker://$served/relayed:1" "docker://$served/relayed:1"
  "$LAY" rmi relayed:1
  [ "$(status_of "$url/v2/relayed/manifests/1")" = 200 ]
}

@test "read-only, a push over a local name of the server's store is refused, and what has it is still given" {
  small_image myapp:1
  local before
  before=$("$LAY" inspect -f '{{.Digest}}' myapp:1)
  "$LAY" import -q small other:1 --cmd '["/bin/ls"]' >/dev/null
  serve --read-only
  ! "$LAY" push -q other:1 "$served/myapp:1" 2>said || return 1
  has "$(cat said)" "this registry is read-only"
  ! skopeo copy -q --dest-tls-verify=false "oci:$LAY_ROOT:other:1" "docker://$served/myapp:1" 2>/dev/null || return 1
  [ "$(status_of -X POST "$url/v2/myapp/blobs/uploads/")" = 405 ]
  [ "$(status_of -X DELETE "$url/v2/myapp/manifests/1")" = 405 ]
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$served/myapp:1")" = "$before" ]
}

@test "podman and buildah push and pull" {
  layout
  serve
  local flags=(--root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs)
  podman "${flags[@]}" pull -q --tls-verify=false "$served/small:latest"
  podman "${flags[@]}" push -q --tls-verify=false "$served/small:latest" "$served/by/podman:1"
  buildah "${flags[@]}" push -q --tls-verify=false "$served/small:latest" "docker://$served/by/buildah:1"
  for tool in podman buildah; do
    [ "$("$LAY" run --rm --network none "$served/by/$tool:1" echo good)" = good ]
  done
}

@test "lay pushes and pulls with TLS and a password" {
  small_image
  users
  certificate
  serve --tls-cert "$world/cert" --tls-key "$world/key" --htpasswd "$world/users"
  export REGISTRY_AUTH_FILE=$world/auth.json
  [ "$(status_of "$url/v2/")" = 401 ]
  [ "$(status_of -u ann:wrong "$url/v2/")" = 401 ]
  "$LAY" login -u ann --password-stdin --tls-verify=false "$served" <<<s3cret:pw
  "$LAY" push --tls-verify=false small "$served/team/app:1"
  "$LAY" --root "$world/root2" pull --tls-verify=false "$served/team/app:1"
  ! "$LAY" inspect --retry 0 "docker://$served/team/app:1" 2>/dev/null || return 1
  mkdir authorities
  cp cert authorities/lay.pem
  openssl rehash authorities
  SSL_CERT_FILE=$world/cert "$LAY" inspect "docker://$served/team/app:1" >/dev/null
  SSL_CERT_DIR=$world/authorities "$LAY" inspect "docker://$served/team/app:1" >/dev/null
  skopeo copy -q --src-tls-verify=false --src-creds ann:s3cret:pw "docker://$served/team/app:1" "oci:$world/pulled:x"
}

@test "a password file that breaks is told once, and who could log in still can" {
  users
  serve --htpasswd "$world/users" --access-log none
  echo bob >>"$world/users"
  for _ in 1 2 3; do [ "$(status_of -u ann:s3cret:pw "$url/v2/")" = 200 ]; done
  [ "$(grep -c "password file '$world/users': line [0-9]*: expected USER:HASH" "$world/serve.log")" = 1 ]
  sed -i '$d' "$world/users"
  htpasswd -Bb -C 5 "$world/users" bob other
  [ "$(status_of -u bob:other "$url/v2/")" = 200 ]
}

@test "G08: rules say who may do what" {
  layout
  users
  serve --htpasswd "$world/users" --allow 'ci:team/*:write' --allow '*:team/*:read' --allow 'anonymous:public/*:read'
  local push=(skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x")
  "${push[@]}" --dest-creds ci:s3cret:pw "docker://$served/team/app:1"
  run "${push[@]}" --dest-creds ann:s3cret:pw "docker://$served/team/app:2"
  [ "$status" -ne 0 ]
  [ "$(status_of -u ann:s3cret:pw "$url/v2/team/app/manifests/1")" = 200 ]
  [ "$(status_of -u ci:s3cret:pw -X DELETE "$url/v2/team/app/manifests/1")" = 403 ]
  [ "$(status_of "$url/v2/team/app/manifests/1")" = 401 ]
  [ "$(status_of "$url/v2/public/x/manifests/1")" = 404 ]
  [ "$(curl -s -u ci:s3cret:pw "$url/v2/_catalog")" = '{"repositories":["team/app"]}' ]
}

@test "G08: anonymous pull and read-only" {
  layout
  users
  serve --htpasswd "$world/users" --anonymous-pull
  skopeo copy -q --src-tls-verify=false "docker://$served/small:latest" "oci:$world/pulled:x"
  [ "$(status_of -X POST "$url/v2/x/blobs/uploads/")" = 401 ]
  [ "$(status_of -u ann:s3cret:pw -X POST "$url/v2/x/blobs/uploads/")" = 202 ]
  stop_served
  serve --read-only
  [ "$(status_of -X POST "$url/v2/x/blobs/uploads/")" = 405 ]
}

@test "G07: other machines are let in only with TLS and login, or when that is said" {
  users
  refused 1 "other machines reach that" "$LAY" serve --listen 0.0.0.0:0
  refused 1 "other machines reach that" "$LAY" serve --listen 0.0.0.0:0 --htpasswd "$world/users"
  refused 1 "needs --htpasswd" "$LAY" serve --listen 127.0.0.1:0 --allow 'a:b:read'
  refused 1 "is no address" "$LAY" serve --listen nowhere
  serve
  refused 1 "serves this store already" "$LAY" serve --listen 127.0.0.1:0
}

@test "G07: a web page cannot talk to it by another name" {
  serve
  [ "$(status_of -H 'Host: evil.example' "$url/v2/")" = 403 ]
  [ "$(status_of -H 'Origin: http://evil.example' "$url/v2/")" = 403 ]
  [ "$(status_of -H 'Host: localhost' "$url/v2/")" = 200 ]
}

@test "G07: passwords for some do not open to a web page what everybody on this machine may do" {
  small_image
  users
  serve --htpasswd "$world/users" --anonymous-pull --allow 'anonymous:w/*:write'
  local header
  for header in 'Host: evil.example' 'Origin: http://evil.example'; do
    [ "$(status_of -H "$header" "$url/v2/small/tags/list")" = 401 ]
    [ "$(status_of -H "$header" -H 'Authorization: Bearer anonymous' "$url/v2/small/tags/list")" = 401 ]
    [ "$(status_of -H "$header" -X POST "$url/v2/w/x/blobs/uploads/")" = 401 ]
  done
  [ "$(status_of -H 'Host: evil.example' -u ann:s3cret:pw "$url/v2/small/tags/list")" = 200 ]
  [ "$(status_of "$url/v2/small/tags/list")" = 200 ]
  [ "$(status_of -X POST "$url/v2/w/x/blobs/uploads/")" = 202 ]
  stop_served
  serve --htpasswd "$world/users" --anonymous-pull --name registry.example
  [ "$(status_of -H 'Host: registry.example' "$url/v2/small/tags/list")" = 200 ]
}

@test "G06: a request that two readers see differently is refused, and its connection closed" {
  serve --access-log none
  "$BATS_TEST_DIRNAME/malformed.py" "${url##*:}"
  [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
}

@test "G06: requests that come at once are answered in their order, an upload waits to be let in" {
  serve --access-log none
  local request='HTTP/1.1\r\nHost: localhost\r\n'
  printf "GET /v2/ $request\r\nGET /v2/x/tags/list $request\r\nGET /healthz ${request}Connection: close\r\n\r\n" |
    timeout 5 busybox nc 127.0.0.1 "${url##*:}" >"$world/answers"
  [ "$(grep -ao 'HTTP/1.1 [0-9]*' "$world/answers" | cut -d' ' -f2 | paste -sd' ')" = '200 404 200' ]
  [ "$(status_of -H 'Expect: 100-continue' -X POST --data-binary x "$url/v2/a/blobs/uploads/?digest=sha256:$(printf x |
    sha256sum | cut -d' ' -f1)")" = 201 ]
}

@test "G06: more connections than there may be are turned away, and the others served" {
  serve --access-log none --max-connections 8
  local fd descriptors=()
  for _ in {1..20}; do
    exec {fd}<>"/dev/tcp/127.0.0.1/${url##*:}" && descriptors+=("$fd")
  done
  ! curl -sf -m 2 "$url/healthz" || return 1
  for fd in "${descriptors[@]}"; do exec {fd}>&-; done
  wait_until 10 curl -sf -m 2 "$url/healthz"
}

@test "G07: it listens on this machine alone unless it is told otherwise" {
  has "$("$LAY" serve --help)" '127.0.0.1:5000'
  serve --access-log none
  curl -si "$url/v2/" | grep -qi '^X-Content-Type-Options: nosniff'
  ! curl -si -X OPTIONS -H 'Access-Control-Request-Method: PUT' "$url/v2/" | grep -qi '^Access-Control-Allow' || return 1
}

@test "G05: an upload goes on after the server was killed" {
  serve
  head -c 3000000 /dev/urandom >"$world/blob"
  local digest place
  digest=sha256:$(sha256sum "$world/blob" | cut -d' ' -f1)
  place=$(curl -si -X POST "$url/v2/a/blobs/uploads/" | sed -n 's/\r$//; s/^Location: //p')
  head -c 1000000 "$world/blob" | curl -sf -X PATCH --data-binary @- "$url$place"
  kill -9 "$serve_pid"
  wait "$serve_pid" || true
  serve
  curl -si "$url$place" | grep -q '^Range: 0-999999'
  tail -c +1000001 "$world/blob" | curl -sf -X PATCH -H 'Content-Range: 1000000-2999999' --data-binary @- "$url$place"
  curl -sf -X PUT "$url$place?digest=$digest"
  curl -s "$url/v2/a/blobs/$digest" | cmp - "$world/blob"
  [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
}

@test "killed at random during pushes, it loses nothing and the push can be given again" {
  small_image
  head -c 20000000 /dev/urandom >"$world/small/large"
  "$LAY" import "$world/small" large:1 --cmd '["/bin/sh"]' >/dev/null
  skopeo copy -q "oci:$LAY_ROOT:large:1" "oci:$world/layout:x"
  serve --access-log none
  port=${url##*:}
  local rounds=8
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=100
  for ((round = 0; round < rounds; ++round)); do
    skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/push/r$round:1" 2>/dev/null &
    local client=$!
    sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
    kill -9 "$serve_pid"
    wait "$serve_pid" || true
    wait "$client" || true
    "$LAY" fsck -q
    serve --access-log none
    skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/push/r$round:1"
  done
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none "$served/push/r0:1" echo good)" = good ]
}

@test "what nobody needs is collected while it serves, what the registry needs is not" {
  layout
  serve --collect-every 1s --keep-untagged 0s --access-log none
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  "$LAY" rmi small
  "$LAY" prune -f --images
  sleep 2.5
  skopeo copy -q --src-tls-verify=false "docker://$served/team/app:1" "oci:$world/again:x"
  curl -sf -X DELETE "$url/v2/team/app/manifests/1"
  wait_until 10 bash -c '[ -z "$(ls "$LAY_ROOT/registry/repositories/team+app/manifests")" ]'
}

@test "names follow when the server gets another one" {
  layout
  serve --name one.example
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  has "$("$LAY" images)" one.example/team/app
  stop_served
  serve --name two.example
  has "$("$LAY" images)" two.example/team/app
  [ "$(status_of "$url/v2/team/app/manifests/1")" = 200 ]
}

@test "a new name that would take another image's is refused, and nothing is changed" {
  small_image
  serve --access-log none
  "$LAY" push -q small "$served/a/b:1"
  stop_served
  mkdir -p upper
  echo other >upper/other
  "$LAY" commit -q --base small ./upper reg.example/a/b:1
  local pushed other
  pushed=$("$LAY" inspect -f '{{.Digest}}' "$served/a/b:1")
  other=$("$LAY" inspect -f '{{.Digest}}' reg.example/a/b:1)
  [ "$pushed" != "$other" ]
  refused 1 "which is another image already" timeout -s KILL 20 "$LAY" serve --listen 127.0.0.1:0 --name reg.example
  [ "$("$LAY" inspect -f '{{.Digest}}' "$served/a/b:1")" = "$pushed" ]
  [ "$("$LAY" inspect -f '{{.Digest}}' reg.example/a/b:1)" = "$other" ]
  "$LAY" untag reg.example/a/b:1
  serve --access-log none --name reg.example
  [ "$("$LAY" inspect -f '{{.Digest}}' reg.example/a/b:1)" = "$pushed" ]
}

@test "read-only, nothing that was pushed goes, however long it has no tag" {
  layout
  serve --access-log none
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  local digest
  digest=$(curl -sI "$url/v2/team/app/manifests/1" | sed -n 's/\r$//; s/^Docker-Content-Digest: //p')
  curl -sf -X DELETE "$url/v2/team/app/manifests/1"
  "$LAY" rmi small
  stop_served
  find "$LAY_ROOT/registry" -exec touch -d '30 days ago' {} +
  serve --access-log none --read-only --collect-every 1s
  wait_until 10 eval 'curl -s "$url/metrics" | grep -q "^lay_collections_total [2-9]"'
  [ "$(status_of "$url/v2/team/app/manifests/$digest")" = 200 ]
  stop_served
  serve --access-log none --collect-every 1s
  wait_until 10 eval '[ "$(status_of "$url/v2/team/app/manifests/$digest")" = 404 ]'
}

@test "SIGTERM lets a request end" {
  serve
  head -c 2000000 /dev/urandom >"$world/blob"
  local digest
  digest=sha256:$(sha256sum "$world/blob" | cut -d' ' -f1)
  curl -sf --limit-rate 1M -X POST --data-binary "@$world/blob" "$url/v2/a/blobs/uploads/?digest=$digest" &
  local client=$!
  sleep 0.5
  kill "$serve_pid"
  wait "$client"
  wait "$serve_pid"
  serve_pid=
  [ -e "$LAY_ROOT/blobs/sha256/${digest#sha256:}" ]
}

@test "it tells what it does: access log, metrics, health" {
  serve --access-log "$world/access"
  curl -sf "$url/v2/" >/dev/null
  jq -e 'select(.target == "/v2/") | .status == 200' "$world/access"
  has "$(curl -s "$url/metrics")" 'lay_requests_total{method="GET",status="2xx"}'
  [ "$(curl -s "$url/healthz")" = '{"status":"ok"}' ]
}

@test "running a container does not load what only serving needs" {
  small_image
  strace -f -e trace=openat -o "$world/trace" "$LAY" run --rm --network none small true
  ! grep -E 'libmicrohttpd|libgnutls|libcrypt\.so' "$world/trace" || return 1
}

@test "G06: a header or a body that trickles in is cut off, a slow one is not" {
  serve --idle-timeout 2s --access-log none
  local host='Host: localhost\r\n' place
  place=$(curl -si -X POST "$url/v2/a/blobs/uploads/" | sed -n 's/\r$//; s/^Location: //p')
  [ "$("$BATS_TEST_DIRNAME/trickle.py" "${url##*:}" 'GET /v2/ HTTP/1.1\r\nX-Long: ' 1 75)" = cut ]
  [ "$("$BATS_TEST_DIRNAME/trickle.py" "${url##*:}" 'GE' 1 75)" = cut ]
  [ "$("$BATS_TEST_DIRNAME/trickle.py" "${url##*:}" "PATCH $place HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\n" 1 75)" = cut ]
  # The upload is free again, and where it was
  [ "$(status_of "$url$place")" = 204 ]
  place=$(curl -si -X POST "$url/v2/a/blobs/uploads/" | sed -n 's/\r$//; s/^Location: //p')
  [ "$("$BATS_TEST_DIRNAME/trickle.py" "${url##*:}" "PATCH $place HTTP/1.1\r\n${host}Content-Length: 3000\r\n\r\n" 100 30)" = 202 ]
}

@test "G06: a client that ends its side is answered what it has asked for, and let go" {
  serve
  local place
  place=$(curl -sS -D - -o /dev/null -X POST "$url/v2/team/app/blobs/uploads/" | awk 'tolower($1) == "location:" {print $2}' | tr -d '\r')
  head -c 3000000 /dev/urandom >blob
  curl -fsS -o /dev/null -X POST -H 'Content-Type: application/octet-stream' --data-binary @blob \
    "$url/v2/team/app/blobs/uploads/?digest=sha256:$(sha256sum <blob | cut -d' ' -f1)"
  timeout 60 python3 - "${url##*:}" "$place" "$(sha256sum <blob | cut -d' ' -f1)" <<'PY'
import socket, sys, time
port, place, blob = int(sys.argv[1]), sys.argv[2], sys.argv[3]
head = "Host: localhost\r\n"
def ask(request, pause=0):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(10)
    connection.sendall(request.encode())
    connection.shutdown(socket.SHUT_WR)
    time.sleep(pause)
    got = b""
    while part := connection.recv(65536):  # throws when the connection stays
        got += part
    return got
assert ask(f"GET /v2/ HTTP/1.1\r\n{head}\r\n").startswith(b"HTTP/1.1 200 ")
assert ask(f"GET /v2/ HTTP/1.1\r\n{head}\r\n" * 3).count(b"HTTP/1.1 200 ") == 3
# who reads late gets all of it
assert len(ask(f"GET /v2/team/app/blobs/sha256:{blob} HTTP/1.1\r\n{head}\r\n", pause=4)) > 3000000
assert ask("GET /v2/ HTTP/1.1\r\n") == b""
assert ask(f"PATCH {place} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhel") == b""
# what came of it stays, and nobody holds the upload
status = ask(f"GET {place} HTTP/1.1\r\n{head}\r\n")
assert b"\r\nRange: 0-2\r\n" in status, status
assert ask(f"PATCH {place} HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\nlo").startswith(b"HTTP/1.1 202 ")
PY
}

@test "G06: a connection that waits for its next request is not taken for a slow one" {
  serve --idle-timeout 20s --access-log none
  {
    printf 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n'
    sleep 12
    printf 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  } | timeout 30 busybox nc 127.0.0.1 "${url##*:}" >"$world/answers"
  [ "$(grep -o 'HTTP/1.1 200' "$world/answers" | wc -l)" = 2 ]
}

@test "G05: a full disk is told to the client, and takes nothing" {
  open_disk ext4 64M
  export LAY_ROOT=$world/disk/root
  serve --access-log none
  head -c 90000000 /dev/urandom >"$world/large"
  head -c 1000000 /dev/urandom >"$world/blob"
  local digest place answer
  digest=sha256:$(sha256sum "$world/large" | cut -d' ' -f1)
  # With one request, in a session, in chunks
  answer=$(curl -s -w '\n%{http_code}' -X POST --data-binary "@$world/large" "$url/v2/a/blobs/uploads/?digest=$digest")
  [ "${answer##*$'\n'}" = 507 ]
  has "$answer" "disk is full"
  [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
  local flags
  for flags in '-X PUT' '-X PATCH' '-X PUT -H Transfer-Encoding:chunked' '-X PATCH -H Transfer-Encoding:chunked'; do
    place=$(curl -si -X POST "$url/v2/a/blobs/uploads/" | sed -n 's/\r$//; s/^Location: //p')
    [ "$(status_of $flags -T "$world/large" "$url$place?digest=$digest")" = 507 ]
    [ "$(status_of "$url$place")" = 404 ]
    [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
  done
  [ "$(status_of -I "$url/v2/a/blobs/$digest")" = 404 ]
  digest=sha256:$(sha256sum "$world/blob" | cut -d' ' -f1)
  [ "$(status_of -X POST --data-binary "@$world/blob" "$url/v2/a/blobs/uploads/?digest=$digest")" = 201 ]
  "$LAY" fsck -q
}

@test "G05: an upload of one request whose client went away leaves nothing" {
  serve --access-log none --idle-timeout 2s
  printf 'POST /v2/a/blobs/uploads/?digest=sha256:%064d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\nabc' 0 |
    timeout 1 busybox nc 127.0.0.1 "${url##*:}" || [ $? = 124 ]
  wait_until 10 bash -c '[ -z "$(ls "$LAY_ROOT/registry/uploads")" ]'
}

@test "tags for which the store has no names left are served all the same" {
  layout
  serve --access-log none
  jq -c '.manifests as [$first] | .manifests += [range(2000) | . as $number | $first |
    .annotations["org.opencontainers.image.ref.name"] = "many:\($number)"]' "$LAY_ROOT/index.json" >"$world/index"
  mv "$world/index" "$LAY_ROOT/index.json"
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  skopeo copy -q --src-tls-verify=false "docker://$served/team/app:1" "oci:$world/pulled:x"
  diff -r "$world/layout/blobs" "$world/pulled/blobs"
  [ "$(curl -s "$url/v2/team/app/tags/list")" = '{"name":"team/app","tags":["1"]}' ]
  ! has "$("$LAY" images)" "$served/team/app" || return 1
  [ "$("$LAY" run --rm --network none "$served/team/app:1" echo pulled)" = pulled ]
  has "$("$LAY" images)" "$served/team/app"
  "$LAY" fsck -q
  [ "$(status_of -X DELETE "$url/v2/team/app/manifests/1")" = 202 ]
  [ "$(status_of "$url/v2/team/app/manifests/1")" = 404 ]
}

@test "fsck finds damaged records of the registry" {
  layout
  serve --access-log none
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  "$LAY" fsck -q
  local record
  for record in "$LAY_ROOT/registry/repositories/team+app/manifests/"*; do echo '{' >"$record"; done
  touch "$LAY_ROOT/registry/repositories/team+app/blobs/sha256:$(printf '%064d' 1)"
  run "$LAY" fsck -q
  [ "$status" = 1 ]
  has "$output" "2 records of the registry damaged"
  has "$output" "blob sha256:$(printf '%064d' 1) is not in the store"
}

@test "what only the registry keeps is told, and freed by prune --registry when no server runs" {
  layout
  "$LAY" rmi small >/dev/null
  serve
  skopeo copy -q --dest-tls-verify=false "oci:$world/layout:x" "docker://$served/team/app:1"
  "$LAY" rmi "$served/team/app:1" 2>told
  has "$(<told)" "lay prune --registry"
  held() { "$LAY" df --format jsonl | jq -r "select(.Name == \"$1\").Bytes"; }
  (($(held registry) > 300000))
  [ "$(held images)" = 0 ]
  "$LAY" prune -f --registry >out 2>told
  has "$(<told)" "runs just now"
  (($(held registry) > 300000))
  stop_served
  "$LAY" prune -af >out 2>told
  has "$(<told)" "while none serves"
  (($(held registry) > 300000))
  refused 1 "no terminal" "$LAY" prune --registry </dev/null
  refused 1 "a filter says nothing" "$LAY" prune --registry --filter until=1h
  "$LAY" prune -f --registry >out 2>told
  [ ! -s told ]
  [ -z "$(held registry)" ]
  [ -z "$(ls "$LAY_ROOT"/blobs/sha256)" ]
  serve
  [ "$(curl -s "$url/v2/_catalog")" = '{"repositories":[]}' ]
}
