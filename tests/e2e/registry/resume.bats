#!/usr/bin/env bats
# Transfers that are interrupted by a reboot, a registry's restart or its refusals, and what they cost: counted in requests
# and bytes by a proxy between lay and the registry.

load ../support/world
load ../support/served

setup() {
  open_world
  mkdir -p tree/etc
  head -c 12000000 /dev/urandom >tree/etc/big
  "$LAY" import tree app:1 --compression gzip >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  layer=$("$LAY" inspect app:1 | jq -r '.[0].Layers[0].digest')
  start_registry "$world/registry"
  pids=()
}
teardown() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  stop_served
  close_world
}

# start_proxy RULES [UPSTREAM_PORT]: sets proxy (host:port), other_port and proxy_pid.
start_proxy() {
  local port
  port=$(free_port)
  other_port=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$port" "$other_port" "${2:-${registry#*:}}" "$world/requests" "$1" \
    >"$world/proxy.log" 2>&1 3>&- &
  pids+=($!)
  proxy=localhost:$port
  wait_until 10 curl -sS "http://127.0.0.1:$port/ready"
  rm -f requests
}

# next_boot COMMAND...: runs it with a boot id that nothing here knows, and nothing under RUN.
next_boot() {
  cat /proc/sys/kernel/random/uuid >"$world/boot_id"
  LAY_RUN=$world/run2 unshare --mount --propagation private --pid --fork --kill-child --mount-proc bash -ec '
    mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; "$@"; exit $?' next_boot "$world/boot_id" "$@"
}

# count FILTER: how many of the requests fit.
count() { jq -s "[.[] | select($1)] | length" requests; }
sent_bytes() { jq -s '[.[] | select(.path | contains("/uploads/")) | .length | tonumber? // 0] | add' requests; }

# is_whole HOST REPOSITORY: the registry has the image, each blob with the bytes of its digest.
is_whole() {
  local blob
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1/$2:1")" = "$digest" ]
  for blob in $(skopeo inspect --tls-verify=false --raw "docker://$1/$2:1" | jq -r '.config.digest, .layers[].digest'); do
    [ "sha256:$(curl -sSf "http://$1/v2/$2/blobs/$blob" | sha256sum | cut -d' ' -f1)" = "$blob" ]
  done
}

pulled() { [ "$("$LAY" --root "$world/root2" inspect -f '{{.Digest}}' "$1")" = "$digest" ]; }

# part_of ROOT: the bytes of a layer that is not there in whole.
part_of() { stat -c %s "$1"/ingest/part.*/blob 2>/dev/null || echo 0; }

@test "after a reboot a pull fetches what its part lacks, and nothing of it twice" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "stall", "bytes": 7000000}]'
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null 2>&1 3>&- &
  local pull=$! had
  wait_until 20 eval '(($(part_of "$world/root2") > 6000000))'
  kill -KILL "$pull"
  wait "$pull" || true
  rm -f requests
  had=$(part_of "$world/root2")
  next_boot "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
  [ "$(jq -r "select(.path | contains(\"$layer\")) | .range" requests)" = "bytes=$had-" ]
  pulled "$proxy/team/app:1"
  next_boot "$LAY" --root "$world/root2" fsck -q
}

@test "a pull waits for a layer that another one fetches, and goes on with it when that one is killed" {
  local first second had
  mkdir upper
  echo more >upper/more
  "$LAY" commit -q ./upper top:1 --base app:1 >/dev/null
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  "$LAY" push -q top:1 "$registry/team/top:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "stall", "bytes": 7000000}]'
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null 2>&1 3>&- &
  first=$!
  wait_until 20 eval '(($(part_of "$world/root2") > 6000000))'
  had=$(part_of "$world/root2")
  "$LAY" --root "$world/root2" pull -q "$proxy/team/top:1" >/dev/null 3>&- &
  second=$!
  wait_until 10 grep -q '/team/top/blobs/' requests
  sleep 0.5 # that it comes to the layer
  kill -KILL "$first"
  wait "$first" || true
  wait "$second"
  [ "$(jq -r "select(.path | contains(\"$layer\")) | .range" requests)" = $'\n'"bytes=$had-" ]
  "$LAY" --root "$world/root2" fsck -q
}

@test "a part that was damaged while it waited is found out by its hash, and fetched anew" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "stall", "bytes": 7000000}]'
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null 2>&1 3>&- &
  local pull=$!
  wait_until 20 eval '(($(part_of "$world/root2") > 6000000))'
  kill -KILL "$pull"
  wait "$pull" || true
  rm -f requests
  printf XXXX | dd of="$(echo root2/ingest/part.*/blob)" bs=1 seek=3000000 conv=notrunc status=none
  next_boot "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
  [ "$(jq -r "select(.path | contains(\"$layer\")) | .range" requests | tail -n 1)" = '' ]
  pulled "$proxy/team/app:1"
  "$LAY" --root "$world/root2" fsck -q
}

@test "after a reboot a push sends what the registry lacks" {
  start_proxy '[{"method": "PATCH", "after": 2, "do": "swallow-request", "bytes": 0}]'
  export LAY_UPLOAD_CHUNK=3m
  "$LAY" push -q app:1 "$proxy/team/app:1" >/dev/null 2>&1 3>&- &
  local push=$!
  wait_until 20 eval '[ "$(grep -c PATCH requests)" = 3 ]'
  kill -KILL "$push"
  wait "$push" || true
  rm requests
  next_boot "$LAY" push -q app:1 "$proxy/team/app:1" >/dev/null
  (($(sent_bytes) < 12100000 - 6291456)) || { echo "sent $(sent_bytes)"; return 1; }
  is_whole "$registry" team/app
}

# restart_registry: docker-registry on the port and the files it had.
restart_registry() {
  kill -KILL "$registry_pid"
  wait "$registry_pid" 2>/dev/null || true
  OTEL_TRACES_EXPORTER=none docker-registry serve "$world/registry/config.yml" >>"$world/registry/log" 2>&1 3>&- &
  registry_pid=$!
}

@test "a pull goes on by itself when its registry is killed and comes back" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "slow", "bytes": 200000, "times": 9}]'
  "$LAY" --root "$world/root2" pull -q --retry 8 "$proxy/team/app:1" >/dev/null 2>pull.err 3>&- &
  local pull=$!
  wait_until 10 eval '(($(part_of "$world/root2") > 3000000))'
  restart_registry
  wait "$pull" || { cat pull.err; return 1; }
  pulled "$proxy/team/app:1"
  jq -r "select(.path | contains(\"$layer\")) | .range" requests | grep -q 'bytes=[1-9]'
}

@test "a push goes on by itself when lay serve ends by SIGTERM in the midst of it and comes back" {
  export LAY_UPLOAD_CHUNK=2m
  local push port
  mkdir served
  port=$(free_port)
  LAY_ROOT=$world/served serve --access-log none --stop-timeout 1s
  port=${url##*:}
  start_proxy '[{"method": "PATCH", "after": 1, "do": "pass", "pause": 1}, {"method": "PATCH", "do": "pass", "pause": 1, "times": 9}]' "$port"
  "$LAY" push -q --retry 8 app:1 "$proxy/team/app:1" >/dev/null 2>push.err 3>&- &
  push=$!
  wait_until 10 eval '[ "$(grep -c PATCH requests)" = 2 ]'
  kill -TERM "$serve_pid"
  wait "$serve_pid"
  LAY_ROOT=$world/served serve --access-log none
  wait "$push" || { cat push.err; return 1; }
  is_whole "$served" team/app
  (($(sent_bytes) < 12100000 + 2 * 2097152)) || { echo "sent $(sent_bytes)"; return 1; }
  [ -z "$(ls served/registry/uploads)" ]
}

@test "429 is obeyed wherever it comes" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  export LAY_UPLOAD_CHUNK=8m
  local place begun method path
  local places=('GET /v2/$' 'GET /manifests/' 'PATCH /uploads/' 'PUT /manifests/')
  [[ -z ${LAY_TESTS_LONG-} ]] || places+=('GET /blobs/' 'HEAD /manifests/' 'HEAD /blobs/' 'POST /uploads/' 'PUT /uploads/')
  for place in "${places[@]}"; do
    read -r method path <<<"$place"
    start_proxy '[{"method": "'$method'", "path": "'"$path"'", "do": "status", "status": 429, "headers": {"Retry-After": "1"}}]'
    rm -rf --one-file-system root2 root/transfers
    begun=$(date +%s%N)
    if [[ $method == GET ]]; then
      "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
    else
      "$LAY" push -q app:1 "$proxy/new$RANDOM/app:1" >/dev/null
    fi
    (($(date +%s%N) - begun > 950000000)) || { echo "$place: nobody waited"; return 1; }
    kill "${pids[-1]}"
  done
}

@test "an answer that will not change is asked for once, wherever it comes" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  local place method path status verb
  for place in 'GET /manifests/ 403' 'GET /manifests/ 404' 'GET /blobs/ 404' 'GET /blobs/ 410' 'POST /uploads/ 400' 'POST /uploads/ 403' \
    'POST /uploads/ 405' 'PUT /uploads/ 413' 'PUT /manifests/ 400' 'PUT /manifests/ 413' 'HEAD /manifests/ 403' 'GET /tags/ 404' \
    'DELETE /manifests/ 405'; do
    read -r method path status <<<"$place"
    start_proxy '[{"method": "'$method'", "path": "'"$path"'", "do": "status", "times": 99, "status": '$status'}]'
    rm -rf --one-file-system root2 root/transfers
    case $method$path in
      GET/tags/) verb=(tags "$proxy/team/app") ;;
      GET*) verb=(--root "$world/root2" pull -q "$proxy/team/app:1") ;;
      DELETE*) verb=(rmi "docker://$proxy/team/app:1") ;;
      *) verb=(push -q app:1 "$proxy/new$RANDOM/app:1") ;;
    esac
    ! timeout -s KILL 20 "$LAY" "${verb[@]}" >/dev/null 2>said || { echo "$place: it succeeded"; return 1; }
    [[ $method == DELETE ]] || has "$(<said)" "$status"
    jq -r "select(.method == \"$method\" and (.path | contains(\"$path\"))) | .method + .path" requests | sort | uniq -d >twice
    [[ $method == POST ]] || [ ! -s twice ] || { echo "$place: asked again"; cat twice; return 1; }
    [[ $method != POST ]] || (($(count '.method == "POST"') <= 2)) || { echo "$place: asked again"; return 1; }
    kill "${pids[-1]}"
  done
}

@test "nothing new costs two round trips, with a password too, and by digest" {
  local name
  start_proxy '[]'
  "$LAY" push -q app:1 "$proxy/team/app:1" >/dev/null
  rm requests
  "$LAY" push -q app:1 "$proxy/team/app:1" >/dev/null
  (($(count true) <= 2))
  rm requests
  "$LAY" push -q app:1 "$proxy/team/app@$digest" >/dev/null
  (($(count true) <= 2))
  [ "$(jq -s 'map(select(.method | IN("POST", "PUT", "PATCH"))) | length' requests)" = 0 ]
  users
  registry_users=$world/users
  stop_registry
  start_registry "$world/registry2"
  start_proxy '[]'
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/team/app:1" >/dev/null
  rm requests
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/team/app:1" >/dev/null
  (($(count true) <= 2)) || { jq -r '.method + .path' requests; return 1; }
}

@test "a mount is asked for where the blob was seen, and of no other registry" {
  start_proxy '[]'
  local first=$proxy
  "$LAY" push -q app:1 "$first/team/app:1" >/dev/null
  rm requests
  "$LAY" push -q app:1 "$first/other/app:1" >/dev/null
  (($(count '.path | contains("from=team%2Fapp") or contains("from=team/app")') >= 2))
  [ "$(count '.method == "PUT" and (.path | contains("/uploads/"))')" = 0 ]
  is_whole "$registry" other/app
  stop_registry
  start_registry "$world/registry2"
  start_proxy '[]'
  "$LAY" push -q app:1 "$proxy/third/app:1" >/dev/null
  [ "$(count '.path | contains("mount=")')" = 0 ]
  is_whole "$registry" third/app
  # Another image of the same layer: who pulled it knows where it is
  rm requests
  "$LAY" --root "$world/root2" pull -q "$proxy/third/app:1" >/dev/null
  "$LAY" --root "$world/root2" push -q "$proxy/third/app:1" "$proxy/fourth/app:1" >/dev/null
  (($(count '.path | contains("from=third")') >= 2))
}

@test "layers go out side by side, and the manifest when all of them are there" {
  mkdir upper
  head -c 3000000 /dev/urandom >upper/more
  "$LAY" commit -q ./upper app:2 --base app:1 >/dev/null
  start_proxy '[{"method": "PUT", "path": "/uploads/", "do": "pass", "pause": 1, "times": 9}]'
  local begun=$(date +%s%N)
  "$LAY" push -q app:2 "$proxy/team/app:2" >/dev/null
  # Three blobs, each of which waits for a second
  (($(date +%s%N) - begun < 2900000000))
  [ "$(jq -r '.method + " " + .path' requests | tail -n 1)" = "PUT /v2/team/app/manifests/2" ]
  [ "$(count '.method == "PUT" and (.path | contains("/manifests/"))')" = 1 ]
}

# written COMMAND...: bytes that its processes wrote.
written() {
  bash -c '"$@" >/dev/null 2>&1 && awk "/^wchar/ {print \$2}" /proc/$$/io' written "$@"
}

@test "a pull writes each byte of the blob and of the layer once" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  local bytes blob tar
  blob=$(stat -c %s "$LAY_ROOT/blobs/${layer/://}")
  tar=$(stat -c %s "$LAY_ROOT"/layers/*/layer.tar) || skip "layers are unpacked here"
  bytes=$(written "$LAY" --root "$world/root2" pull -q "$registry/team/app:1")
  pulled "$registry/team/app:1"
  ((bytes >= tar && bytes < blob + tar + 500000)) || { echo "$bytes written, blob $blob, tar $tar"; return 1; }
}

@test "a layer is made while it comes in" {
  local tar
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "stall", "bytes": 9000000}]'
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null 2>&1 3>&- &
  pids+=($!)
  # What comes of 9 of 12 MB that do not compress
  made_so_far() { (($(find root2/ingest -type f -not -name blob -printf '%s\n' | sort -n | tail -n 1) > 6000000)); }
  wait_until 10 made_so_far
  [ "$("$LAY" --root "$world/root2" images -q | wc -l)" = 0 ]
}

# astray PORT: the secrets that reached it.
astray() { jq -r "select(.port == $1) | .authorization + .cookie" requests | grep -v '^$' || true; }

@test "an upload that is led to another origin goes there without login or token" {
  local rules
  for rules in '{"tokens": {"uses": 1000, "user": "ann:s3cret:pw"}}' \
    '{"path": "/v2/$", "do": "status", "status": 401, "times": 9, "headers": {"WWW-Authenticate": "Basic realm=\"x\""}}'; do
    start_proxy '['"$rules"', {"method": "POST", "path": "/uploads/", "do": "location", "to": "{other}", "times": 99}]'
    "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/astray$RANDOM/app:1" >/dev/null
    (($(count ".port == $other_port") >= 2))
    [ -z "$(astray "$other_port")" ]
    # In chunks; nothing is remembered of where the blobs are
    rm -r --one-file-system requests "$LAY_ROOT/transfers"
    LAY_UPLOAD_CHUNK=4m "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/astray$RANDOM/app:1" >/dev/null
    (($(count ".port == $other_port and .method == \"PATCH\"") >= 2))
    [ -z "$(astray "$other_port")" ]
    (($(count ".port != $other_port and .authorization != \"\"") >= 2))
    kill "${pids[-1]}"
  done
}

@test "a killed upload that another origin holds is begun anew, and its address gets no login either" {
  start_proxy '[{"tokens": {"uses": 1000, "user": "ann:s3cret:pw"}},
    {"method": "POST", "path": "/uploads/", "do": "location", "to": "{other}", "times": 99}]'
  export LAY_UPLOAD_CHUNK=4m
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/killed/app:1" >/dev/null 2>&1 3>&- &
  local push=$!
  wait_until 10 grep -q PATCH requests
  kill -KILL "$push"
  wait "$push" || true
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$proxy/killed/app:1" >/dev/null
  [ -z "$(astray "$other_port")" ]
  is_whole "$registry" killed/app
}

@test "credentials do not follow a token server elsewhere, from whichever place they come" {
  start_proxy '[{"path": "/v2/", "do": "status", "times": 999, "status": 401, "headers":
    {"WWW-Authenticate": "Bearer realm=\"https://tokens.invalid/token\",service=\"x\""}}]'
  local auth=$world/auth.json host=reg.invalid
  export http_proxy=http://127.0.0.1:${proxy#*:}
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$host" "$(printf ann:s3cret:pw | base64)" >"$auth"
  refused 1 "tokens.invalid" "$LAY" pull -q --retry 0 --tls-verify=false --authfile "$auth" "$host/team/app:1"
  [ "$(count '.proxied | contains("tokens")')" = 0 ]
  refused 1 "tokens.invalid" "$LAY" pull -q --retry 0 --tls-verify=false --creds ann:s3cret:pw "$host/team/app:1"
  printf '{"auths": {"%s": {"auth": "%s", "identitytoken": "refresh-of-ann"}}}' "$host" "$(printf '<token>:' | base64)" >"$auth"
  refused 1 "tokens.invalid" "$LAY" pull -q --retry 0 --tls-verify=false --authfile "$auth" "$host/team/app:1"
  ! grep -qE "$(printf ann:s3cret:pw | base64)|refresh-of-ann" requests || return 1
}

# interrupted SIGNAL FROM COMMAND...: the command is sent the signal once FROM is true; it must end by itself, in one line.
interrupted() {
  local signal=$1 from=$2 status=0 pid
  shift 2
  "$@" >/dev/null 2>said 3>&- &
  pid=$!
  wait_until 20 eval "$from"
  kill "-$signal" "$pid"
  wait "$pid" || status=$?
  ((status == 128 + signal)) || { echo "exit $status: $(<said)"; return 1; }
  (($(grep -cv '^hint: ' said) <= 1)) || { cat said; return 1; }
}

@test "what SIGINT or SIGTERM interrupts goes on where it was the next time" {
  local signal offset
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  for signal in 15 ${LAY_TESTS_LONG:+2}; do
    start_proxy '[{"method": "GET", "path": "'$layer'", "do": "stall", "bytes": 7000000},
                  {"method": "PATCH", "after": 2, "do": "swallow-request", "bytes": 0}]'
    rm -rf --one-file-system root2
    interrupted "$signal" '(($(part_of "$world/root2") > 6000000))' "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1"
    offset=$(part_of "$world/root2")
    ((offset > 6000000))
    rm requests
    "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
    [ "$(jq -r "select(.path | contains(\"$layer\")) | .range" requests)" = "bytes=$offset-" ]
    LAY_UPLOAD_CHUNK=3m interrupted "$signal" '[ "$(grep -c PATCH requests)" = 3 ]' "$LAY" push -q app:1 "$proxy/cut$signal/app:1"
    rm requests
    rm -f "$LAY_ROOT"/transfers/places.*
    LAY_UPLOAD_CHUNK=3m "$LAY" push -q app:1 "$proxy/cut$signal/app:1" >/dev/null
    (($(sent_bytes) < 12100000 - 6291456)) || { echo "sent $(sent_bytes)"; return 1; }
    is_whole "$registry" "cut$signal/app"
  done
}

# pushed_twice UPSTREAM_PORT: the second push begins while the first is in the midst of its layer.
pushed_twice() {
  local first status=0
  export LAY_UPLOAD_CHUNK=2m
  start_proxy '[{"method": "PATCH", "do": "pass", "pause": 0.4, "times": 99}]' "$1"
  "$LAY" push -q app:1 "$proxy/both/app:1" >/dev/null 2>first.err 3>&- &
  first=$!
  wait_until 20 eval '[ "$(grep -c PATCH requests)" -ge 2 ]'
  "$LAY" push -q app:1 "$proxy/both/app:1" >/dev/null 2>second.err || { echo "the second:"; cat second.err; status=1; }
  wait "$first" || { echo "the first:"; cat first.err; status=1; }
  [ "$status" = 0 ]
  is_whole "localhost:$1" both/app
}

@test "two pushes of one image to docker-registry at once both end, and it is whole" { pushed_twice "${registry#*:}"; }

@test "two pushes of one image to lay serve at once both end, and it is whole" {
  LAY_ROOT=$world/served serve --access-log none
  pushed_twice "${url##*:}"
  "$LAY" --root "$world/served" fsck -q
  [ -z "$(ls "$world/served/registry/uploads")" ]
}

# docker-registry drops an upload whose connection broke.
@test "a push to lay serve goes on where its connection broke, more often than it is tried again" {
  LAY_ROOT=$world/served serve --access-log none
  start_proxy '[{"method": "PUT", "path": "'${layer#*:}'", "do": "cut-request", "bytes": 1500000, "times": 7}]' "${url##*:}"
  "$LAY" push -q --retry 3 --retry-delay 0.01 app:1 "$proxy/line/app:1" >/dev/null
  [ "$(count '.method == "PUT" and .fault == "cut-request"')" = 7 ]
  is_whole "localhost:${url##*:}" line/app
}

@test "two pulls of one image at once both end, and fetch little more than one" {
  "$LAY" push -q app:1 "$registry/team/app:1" >/dev/null
  start_proxy '[{"method": "GET", "path": "'$layer'", "do": "slow", "bytes": 500000, "times": 9}]'
  local first
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null 3>&- &
  first=$!
  wait_until 10 eval '(($(part_of "$world/root2") > 1000000))'
  "$LAY" --root "$world/root2" pull -q "$proxy/team/app:1" >/dev/null
  wait "$first"
  pulled "$proxy/team/app:1"
  "$LAY" --root "$world/root2" fsck -q
  [ -z "$(ls root2/ingest)" ]
  jq -r "select(.path | contains(\"$layer\")) | \"asked for \" + .range" requests
}
