#!/usr/bin/env bats
# What lay serve answers on the wire (wire.py), what it tells of itself, and how it ends.

load ../support/world
load ../support/served
load ../support/uplink

setup() { open_world; }
teardown() {
  stop_served
  close_world
}

wire() { timeout -s KILL 60 "$BATS_TEST_DIRNAME/wire.py" "$url" "$@"; }

@test "each refusal is an error document with the code of the specification" {
  serve --access-log none
  wire errors
  "$LAY" fsck -q
}

@test "ranges: the first, the last, a suffix, several, beyond the end, and none that can be read" {
  serve --access-log none
  wire ranges
  wire many_ranges
}

@test "referrers come in pages, filtered too, each of them once" {
  serve --access-log none
  wire referrers
}

@test "J02: sha512 is served in sessions, ranges, mounts, indexes, referrers and deletions" {
  serve --access-log none
  wire sha512
  "$LAY" fsck -q
}

@test "a cancelled upload is gone with its bytes" {
  serve --access-log none
  wire cancel
  [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
}

@test "metrics are text of Prometheus' form, and grow by what was done" {
  serve --access-log none
  wire metrics
}

@test "G08: each kind of request is allowed to whom the rules say, and to nobody else" {
  local user
  : >users
  for user in root ci ann bob; do htpasswd -Bb -C 4 users "$user" s3cret:pw 2>/dev/null; done
  serve --access-log none --htpasswd users --allow 'root:*:delete' --allow 'ci:team/*:write' --allow 'ann:team/*:read' \
    --allow 'anonymous:public/*:read'
  wire rights
}

@test "tokens stand for a login or for nobody, and end when the passwords change" {
  users
  serve --access-log none --htpasswd "$world/users" --allow 'ci:team/*:write' --allow 'anonymous:public/*:read'
  wire tokens
  local token
  token=$(curl -s -u ann:s3cret:pw "$url/token" | jq -r .token)
  [ "$(status_of -H "Authorization: Bearer $token" "$url/v2/")" = 200 ]
  htpasswd -Bb -C 5 "$world/users" bob other
  wire revoked "$token"
  stop_served
  serve --access-log none --htpasswd "$world/users"
  has "$(curl -si "$url/v2/")" 'WWW-Authenticate: Basic '
  [ "$(status_of "$url/token")" = 401 ]
  stop_served
  serve --access-log none
  [ "$(status_of "$url/token")" = 404 ]
}

@test "2,000 idle and 500 active connections take less than 100 MB, and no request of them fails" {
  ulimit -n 8192
  serve --access-log none
  wire crowd "$serve_pid"
}

@test "G06: hundreds of connections whose header trickles in keep nobody waiting, and are cut" {
  serve --access-log none --idle-timeout 1s
  wire trickling 12
}

@test "G06: who asks for much and reads nothing is cut" {
  serve --access-log "$world/access" --idle-timeout 1s
  wire readers
  wait_until 5 eval '[ "$(jq -s "[.[] | select(.cut)] | length" access)" = 20 ]'
}

@test "who reads slowly, but does, gets all of a blob" {
  serve --access-log none --idle-timeout 1s
  wire slow_reader
}

@test "who reads slowly and steadily is not cut while the server waits for room" {
  serve --access-log none --idle-timeout 2s
  wire steady_readers 8 60000 100000 250000
  [[ -n ${LAY_TESTS_LONG-} ]] || return 0
  stop_served
  serve --access-log none
  timeout -s KILL 180 "$BATS_TEST_DIRNAME/wire.py" "$url" steady_readers 130 20000
}

@test "read-only: each request that would change something is refused" {
  small_image
  serve --access-log none --read-only
  local before
  before=$(store_state)
  wire read_only
  [ "$(store_state)" = "$before" ]
}

@test "--only-pushed shows what was pushed, and no name that was given on the server" {
  small_image
  skopeo copy -q "oci:$LAY_ROOT:small:latest" oci:layout:x
  serve --access-log none --only-pushed
  skopeo copy -q --dest-tls-verify=false oci:layout:x "docker://$served/pushed/app:1"
  [ "$(status_of "$url/v2/small/manifests/latest")" = 404 ]
  [ "$(status_of "$url/v2/small/tags/list")" = 404 ]
  local blob
  blob=$(skopeo inspect --raw oci:layout:x | jq -r '.layers[0].digest')
  [ "$(status_of "$url/v2/small/blobs/$blob")" = 404 ]
  [ "$(status_of -X POST "$url/v2/thief/blobs/uploads/?mount=$blob&from=small")" = 202 ]
  [ "$(curl -s "$url/v2/_catalog")" = '{"repositories":["pushed/app"]}' ]
  [ "$(status_of "$url/v2/pushed/app/blobs/$blob")" = 200 ]
  stop_served
  serve --access-log none
  [ "$(status_of "$url/v2/small/manifests/latest")" = 200 ]
}

@test "G06: a huge header over TLS ends its connection alone" {
  certificate
  serve --access-log none --tls-cert "$world/cert" --tls-key "$world/key"
  wire large_header "$world/cert"
}

@test "what was pushed in pieces outlives a collection by another process between them" {
  serve --access-log none
  wire pushed_in_pieces "$LAY prune -af --images >/dev/null"
  "$LAY" fsck -q
}

@test "who pushes, reads, mounts and deletes at once while it collects finds what was confirmed" {
  serve --access-log none --collect-every 1s --keep-untagged 0s
  local pid
  wire together "${LAY_TESTS_LONG:+2}2" 3>&- &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do "$LAY" prune -af --images >/dev/null; done
  wait "$pid"
  "$LAY" fsck -q
}

@test "each request is a line of JSON with time, client, user, target, status, bytes and duration" {
  users
  serve --access-log "$world/access" --htpasswd "$world/users"
  head -c 70000 /dev/urandom >blob
  local digest=sha256:$(sha256sum blob | cut -d' ' -f1)
  curl -sf -u ann:s3cret:pw -A "agent \"quoted\"" -X POST --data-binary @blob "$url/v2/a/blobs/uploads/?digest=$digest"
  curl -sf -u ann:s3cret:pw "$url/v2/a/blobs/$digest" -o got
  [ "$(status_of "$url/v2/a/blobs/$digest")" = 401 ]
  [ "$(status_of -u ann:wrong "$url/v2/")" = 401 ]
  timeout 0.3 curl -s -u ann:s3cret:pw --limit-rate 1k "$url/v2/a/blobs/$digest" -o /dev/null || true
  printf 'GET /v2/\x1b[31m"x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' | timeout 5 busybox nc 127.0.0.1 "${url##*:}" >/dev/null
  wait_until 10 eval '[ "$(wc -l <access)" -ge 5 ]'
  jq -es 'all(.[]; (.time | sub("\\.[0-9]+"; "") | fromdateiso8601 > 1e9) and (.remote | startswith("127.0.0.1:")) and (.ms >= 0)
    and (.agent | type == "string") and (.status | type == "number"))' access
  jq -es '.[0] | .user == "ann" and .method == "POST" and (.target | startswith("/v2/a/blobs/uploads/?digest=")) and .status == 201
    and .received == 70000 and (.agent == "agent \"quoted\"")' access
  jq -es '.[1] | .user == "ann" and .method == "GET" and .status == 200 and .sent == 70000 and .received == 0' access
  jq -es '.[2] | .user == null and .status == 401' access
  jq -es '.[3] | .user == null and .status == 401' access
  ! grep -q $'\x1b' access || return 1
  ! grep -qE 's3cret|wrong|YW5u' access serve.log || return 1
}

@test "G07: the flag that lets everybody in is the only way to listen beyond this machine without TLS and login" {
  users
  certificate
  local address
  for address in 0.0.0.0:0 '[::]:0' :0; do
    refused 1 "other machines reach that" "$LAY" serve --listen "$address"
    refused 1 "other machines reach that" "$LAY" serve --listen "$address" --tls-cert cert --tls-key key
    refused 1 "other machines reach that" "$LAY" serve --listen "$address" --anonymous-pull --htpasswd users
  done
  "$LAY" serve --listen 0.0.0.0:0 --insecure-listen --access-log none >"$world/url" 2>>serve.log 3>&- &
  serve_pid=$!
  wait_until 10 test -s "$world/url"
  stop_served
  "$LAY" serve --listen 0.0.0.0:0 --tls-cert cert --tls-key key --htpasswd users --access-log none >"$world/url" 2>>serve.log 3>&- &
  serve_pid=$!
  wait_until 10 test -s "$world/url"
}

# held_by ADDRESS: what the connections of clients at ADDRESS are sent by.
held_by() { ss -Htin state established "sport = :5000 and dst $1" | grep -owE "reno|$systems" | sort -u; }

@test "connections of clients on this machine are not paced, whatever is listened on; others are the system's" {
  systems=$(</proc/sys/net/ipv4/tcp_congestion_control)
  [ "$systems" != reno ] || skip "it is reno for all of them here"
  export -f held_by
  export systems
  on_host_with_other '
    "$LAY" serve --listen 0.0.0.0:5000 --insecure-listen --access-log none >"$world/url" 2>>serve.log 3>&- &
    server=$!
    wait_until 10 test -s "$world/url"
    exec 5<>/dev/tcp/127.0.0.1/5000 6<>/dev/tcp/198.51.100.1/5000
    there bash -c "exec 5<>/dev/tcp/198.51.100.1/5000; sleep 20" 3>&- 5>&- 6>&- & far=$!
    wait_until 10 eval "[ -n \"\$(held_by 198.51.100.2)\" ]"
    [ "$(held_by 127.0.0.1)" = reno ]
    [ "$(held_by 198.51.100.1)" = reno ]
    wait_until 10 eval "[ \"\$(held_by 198.51.100.2)\" = $systems ]"
    kill $far'
}

@test "R10: TLS before 1.2 is not spoken" {
  certificate
  serve --access-log none --tls-cert cert --tls-key key
  local version
  for version in 1.0 1.1; do
    ! curl -sf --cacert cert --tls-max "$version" --tlsv1.0 --ciphers DEFAULT@SECLEVEL=0 "https://$served/v2/" || return 1
  done
  for version in 1.2 1.3; do curl -sf --cacert cert --tls-max "$version" "--tlsv$version" "https://$served/v2/"; done
}

# unserved WORDS FLAGS...: it does not even begin.
unserved() {
  local words=$1 status=0
  shift
  timeout -s KILL 10 "$LAY" serve --listen 127.0.0.1:0 "$@" >"$world/url" 2>said || status=$?
  [ "$status" = 1 ] || { echo "exit $status: $*"; cat said; return 1; }
  [ ! -s "$world/url" ]
  has "$(<said)" "$words"
}

@test "what it cannot serve with is told at its start" {
  certificate
  users
  cp key first
  certificate
  echo nonsense >nonsense
  unserved 'go together' --tls-cert cert
  unserved 'go together' --tls-key key
  unserved absent --tls-cert absent --tls-key key
  unserved absent --htpasswd absent
  unserved lay: --tls-cert cert --tls-key first
  unserved lay: --tls-cert key --tls-key cert
  unserved lay: --tls-cert nonsense --tls-key key
  unserved own --htpasswd users --allow 'ann:team/*:own'
  unserved ann --htpasswd users --allow ann
  unserved absent --access-log absent/log
}

@test "the unit of the examples starts it with flags that it knows" {
  users
  certificate
  local line kind
  line=$(sed -n '/^ExecStart=/,/[^\\]$/p' "$here/../../../examples/lay-serve.service" | tr -d '\\\n' | sed 's/^ExecStart=//')
  has "$line" 'lay serve '
  line=${line#* }
  line=${line//\/etc\/lay\/cert.pem/cert}
  line=${line//\/etc\/lay\/key.pem/key}
  line=${line//\/etc\/lay\/users/users}
  for kind in State Runtime; do grep -qx "${kind}DirectoryMode=0700" "$here/../../../examples/lay-serve.service"; done
  "$LAY" ${line/0.0.0.0:5000/0.0.0.0:0} >"$world/url" 2>>serve.log 3>&- &
  serve_pid=$!
  wait_until 10 test -s "$world/url" || { cat serve.log; return 1; }
  [ "$(status_of -u ann:s3cret:pw "https://127.0.0.1:$(grep -o '[0-9]*$' url)/v2/")" = 200 ]
}

shut() { ! curl -sf "$url/healthz"; }
@test "SIGTERM: what ends within the time ends, what does not can be gone on with, and nobody new comes in" {
  serve --access-log none --stop-timeout 2s
  port=${url##*:}
  head -c 3000000 /dev/urandom >blob
  local digest=sha256:$(sha256sum blob | cut -d' ' -f1) place quick status had
  place=$(curl -si -X POST "$url/v2/a/blobs/uploads/" | sed -n 's/\r$//; s/^Location: //p')
  curl -s --limit-rate 300k -X PATCH -T blob "$url$place" -o /dev/null 3>&- &
  local slow=$!
  curl -sf --limit-rate 3M -X POST --data-binary @blob "$url/v2/b/blobs/uploads/?digest=$digest" 3>&- &
  quick=$!
  wait_until 10 eval 'curl -s "$url/metrics" | grep -q "in_flight [3-9]"'
  kill -TERM "$serve_pid"
  wait_until 1 shut
  wait "$quick"
  status=0
  wait "$serve_pid" || status=$?
  [ "$status" = 0 ]
  wait "$slow" || true
  serve --access-log none
  [ "$(status_of "$url/v2/b/blobs/$digest")" = 200 ]
  had=$(curl -si "$url$place" | sed -n 's/\r$//; s/^Range: 0-//p')
  ((had > 0 && had < 2999999))
  tail -c +$((had + 2)) blob | curl -sf -X PUT -H "Content-Range: $((had + 1))-2999999" --data-binary @- "$url$place?digest=$digest"
  curl -s "$url/v2/a/blobs/$digest" | cmp - blob
  [ -z "$(ls "$LAY_ROOT/registry/uploads")" ]
}

# shown_certificate: of a new connection.
shown_certificate() {
  openssl s_client -connect "127.0.0.1:${url##*:}" -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -fingerprint
}
@test "SIGHUP has it take a renewed certificate and open its log again, and cuts nobody" {
  certificate
  serve --access-log "$world/access" --tls-cert "$world/cert" --tls-key "$world/key" </dev/null
  local digest=sha256:$(head -c 3000000 /dev/zero | sha256sum | cut -d' ' -f1) first before client
  before=$(shown_certificate)
  [ "$before" = "$(openssl x509 -noout -fingerprint -in cert)" ]
  cp cert trusted
  head -c 3000000 /dev/zero | curl -sf --cacert trusted --limit-rate 1M -X POST --data-binary @- \
    "https://localhost:${url##*:}/v2/a/blobs/uploads/?digest=$digest" 3>&- &
  client=$!
  wait_until 10 eval 'curl -sk "$url/metrics" | grep -q "in_flight 2"'
  mv access access.1
  certificate
  kill -HUP "$serve_pid"
  wait_until 10 eval '[ "$(shown_certificate)" != "$before" ]'
  [ "$(shown_certificate)" = "$(openssl x509 -noout -fingerprint -in cert)" ]
  curl -sf --cacert cert "https://localhost:${url##*:}/v2/" >/dev/null
  wait "$client"
  wait_until 10 grep -q '"target":"/v2/"' access
  ! grep -q '"target":"/v2/"' access.1 || return 1
  # What cannot be used is told, and the old one serves on
  cp cert renewed
  openssl genpkey -algorithm ed25519 -out key
  kill -HUP "$serve_pid"
  wait_until 10 grep -q 'SIGHUP: the certificate or its key cannot be used' "$world/serve.log"
  curl -sf --cacert renewed "https://localhost:${url##*:}/v2/" >/dev/null
  rm -f cert
  kill -HUP "$serve_pid"
  wait_until 10 grep -q "SIGHUP: '.*/cert'" "$world/serve.log"
  curl -sf --cacert renewed "https://localhost:${url##*:}/v2/" >/dev/null
  kill "$serve_pid"
  wait "$serve_pid"
  serve_pid=
}

@test "SIGHUP of the terminal that it was started on ends it as SIGTERM does" {
  local status=0
  timeout -s KILL 30 python3 - "$LAY" <<'PYTHON' || status=$?
import os, pty, signal, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "serve", "--listen", "127.0.0.1:0", "--access-log", "none"])
told = b""
while b"REPOSITORY:TAG" not in told:
    told += os.read(terminal, 1000)
os.close(terminal)  # the kernel sends SIGHUP
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
  [ "$status" = 0 ]
}

@test "SIGTERM ends it well however many requests its clients go on with" {
  local status
  for _ in {1..6}; do
    serve --access-log none
    wire restless "$serve_pid"
    status=0
    wait "$serve_pid" || status=$?
    [ "$status" = 0 ] || { echo "ended with $status"; return 1; }
  done
  serve_pid=
}

@test "whoever sends a body with a wrong password can read that it is wrong" {
  users
  serve --access-log none --htpasswd "$world/users"
  wire refused_in_time
}

@test "what a client took of an answer that was cut is counted" {
  serve --access-log "$world/access"
  wire cut_short
  jq -es 'map(select(.cut and .sent > 20000000)) | length == 1' access
}

@test "one slow sync at the end of a chunk keeps no other connection waiting" {
  serve --access-log none
  strace -f -qq -o trace -e trace=fdatasync -e inject=fdatasync:delay_enter=3s -p "$serve_pid" 3>&- &
  local tracer=$!
  wait_until 10 grep -q 'TracerPid:.[1-9]' "/proc/$serve_pid/status"
  wire slow_sync trace
  stop_served
  wait "$tracer" || true
}

@test "SIGINT ends it as SIGTERM does, and a second start finds its port and store free" {
  local signal
  for signal in INT TERM INT; do
    serve --access-log none
    port=${url##*:}
    kill "-$signal" "$serve_pid"
    wait "$serve_pid"
  done
  serve_pid=
}

@test "an index of indexes is pulled by skopeo and lay to the same image" {
  small_image
  skopeo copy -q "oci:$LAY_ROOT:small:latest" oci:layout:x
  serve --access-log none
  skopeo copy -q --dest-tls-verify=false oci:layout:x "docker://$served/deep/app:1"
  local type=application/vnd.oci.image manifest size name inner platform='"platform":{"os":"linux","architecture":"amd64"}'
  manifest=$(curl -s -H "Accept: $type.manifest.v1+json" "$url/v2/deep/app/manifests/1" | sha256sum | cut -d' ' -f1)
  size=$(curl -s "$url/v2/deep/app/manifests/1" | wc -c)
  inner=$type.manifest.v1+json
  for name in in out; do
    printf '{"schemaVersion":2,"mediaType":"%s.index.v1+json","manifests":[{"mediaType":"%s","digest":"sha256:%s","size":%d,%s}]}' \
      "$type" "$inner" "$manifest" "$size" "$platform" >index
    [ "$(status_of -X PUT -H "Content-Type: $type.index.v1+json" --data-binary @index "$url/v2/deep/app/manifests/$name")" = 201 ]
    manifest=$(sha256sum index | cut -d' ' -f1) size=$(stat -c %s index) inner=$type.index.v1+json
  done
  skopeo copy -q --src-tls-verify=false "docker://$served/deep/app:in" oci:theirs:x
  "$LAY" --root "$world/root2" pull -q "$served/deep/app:out"
  [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$served/deep/app:out")" = "$(skopeo inspect --format '{{.Digest}}' oci:theirs:x)" ]
  [ "$("$LAY" run --rm --network none "$served/deep/app:out" echo deep)" = deep ]
}
