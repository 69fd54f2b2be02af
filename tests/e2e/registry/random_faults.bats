#!/usr/bin/env bats
# Push and pull through several faults at once, chosen at random: each ends well or with a reason, nothing that is not whole is
# ever published, no credential goes astray, and without the faults it works when it is given again. FAULT_SEED tries one.

load ../support/world
load ../support/served

setup() {
  open_world
  mkdir -p tree/etc
  head -c 3000000 /dev/urandom >tree/etc/big
  "$LAY" import tree app:1 >/dev/null
  mkdir upper
  head -c 2500000 /dev/urandom >upper/more
  "$LAY" commit -q ./upper app:1 --base app:1 --compression gzip >/dev/null 2>&1
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  export LAY_UPLOAD_CHUNK=1m
  begun=$((FAULT_SEED + 0))
  count=3
  [[ -z ${LAY_TESTS_LONG-} ]] || count=60
  [[ -n ${FAULT_SEED-} ]] && count=1 || begun=$RANDOM
}
teardown() {
  stop_proxy
  stop_served
  close_world
}

# start_proxy SEED VERB UPSTREAM_PORT
start_proxy() {
  local port=$(free_port)
  other_port=$(free_port)
  rules=$("$BATS_TEST_DIRNAME/random_faults.py" "$1" "$2")
  rm -f requests
  python3 "$here/../../support/fault_proxy.py" "$port" "$other_port" "$3" "$world/requests" "$rules" >proxy.log 2>&1 3>&- &
  proxy_pid=$!
  proxy=localhost:$port
  wait_until 10 eval "exec 8<>/dev/tcp/127.0.0.1/$port"
}

stop_proxy() {
  [[ -z ${proxy_pid-} ]] || { kill "$proxy_pid" && wait "$proxy_pid" || true; }
  proxy_pid=
}

# tried COMMAND...: it ends within a minute, well or with 1 and a reason in one line.
tried() {
  local status=0
  timeout -s KILL 60 "$LAY" "$@" >out 2>said || status=$?
  ((status == 0)) && return
  ((status == 1)) || { echo "exit $status"; cat said; return 1; }
  grep -q '^lay: ' said && (($(grep -cv '^hint: ' said) == 1)) || { cat said; return 1; }
}

no_secret_astray() {
  [ -z "$(jq -r "select(.port == $other_port) | .authorization + .cookie" requests | tr -d '\n')" ]
}

# survives PORT ROOT: ROOT is that of the registry when it is lay's.
survives() {
  local seed flags=(--retry 3 --retry-delay 0.01 --creds ann:s3cret:pw)
  for ((seed = begun; seed < begun + count; ++seed)); do
    echo "seed $seed"
    start_proxy "$seed" push "$1"
    echo "push: $rules"
    rm -rf --one-file-system "$LAY_ROOT/transfers"
    tried push -q "${flags[@]}" app:1 "$proxy/r$seed/app:1" || return 1
    no_secret_astray || return 1
    stop_proxy
    "$LAY" push -q app:1 "localhost:$1/r$seed/app:1" >/dev/null || return 1
    [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://localhost:$1/r$seed/app:1")" = "$digest" ] || return 1
    start_proxy "$seed" pull "$1"
    echo "pull: $rules"
    tried --root "$world/to" pull -q "${flags[@]}" "$proxy/r$seed/app:1" || return 1
    no_secret_astray || return 1
    stop_proxy
    "$LAY" --root "$world/to" fsck -q || return 1
    "$LAY" --root "$world/to" pull -q "localhost:$1/r$seed/app:1" >/dev/null || return 1
    [ "$("$LAY" --root "$world/to" inspect -f '{{.Digest}}' "localhost:$1/r$seed/app:1")" = "$digest" ] || return 1
    "$LAY" --root "$world/to" fsck -q || return 1
    [ -z "$(ls to/ingest)" ] || { ls to/ingest; return 1; }
    rm -rf --one-file-system to
    [[ -z ${2-} ]] || "$LAY" --root "$2" fsck -q || return 1
  done
}

@test "docker-registry: several faults at random, nothing lost, no credential astray" {
  start_registry "$world/registry"
  survives "${registry#*:}"
}

@test "lay serve: several faults at random, nothing lost, no credential astray" {
  LAY_ROOT=$world/served serve --access-log none
  survives "${url##*:}" "$world/served"
}
