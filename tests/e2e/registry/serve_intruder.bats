#!/usr/bin/env bats
# lay serve against those who may write to it: intruder.py says what they try.

load ../support/world
load ../support/served

setup() { open_world; }
teardown() {
  stop_served
  close_world
}

# intrude ATTACK FLAGS...
intrude() {
  local attack=$1
  shift
  htpasswd -Bbn -C 4 alice s3cret:pw >"$world/users"
  htpasswd -Bbn -C 4 bob s3cret:pw >>"$world/users"
  serve --access-log none --htpasswd "$world/users" --allow 'alice:alice/*:write' --allow 'bob:bob/*:write' "$@"
  "$BATS_TEST_DIRNAME/intruder.py" "$url" "$attack"
  "$LAY" fsck -q
}

# With the one that asks.
two_in_flight() { curl -s "$url/metrics" | grep -q 'in_flight [2-9]'; }

@test "G01: no name in from= leads to a blob of a repository that may not be read" { intrude mount; }
@test "G03: saying that a layer is elsewhere shows nobody's blob" { intrude foreign; }
@test "G05: nothing is added to an upload that has become a blob" { intrude append; }
@test "indexes that name each other many times keep nobody waiting" { intrude maze; }
@test "G05: uploads that are only begun have a limit" { intrude starve --max-uploads 8; }

@test "durations that no clock can count, and limits of nothing, are refused" {
  for flags in "--keep-untagged 99999d" "--keep-uploads 99999999999999999999s" "--collect-every 0" \
    "--max-uploads 0" "--max-connections 0"; do
    run timeout 10 "$LAY" serve --listen 127.0.0.1:0 $flags
    [ "$status" -ne 0 ] && [ "$status" -ne 124 ] || { echo "$flags: $status"; return 1; }
  done
}

@test "SIGTERM ends it in time though a request waits for the store" {
  serve --stop-timeout 1s
  exec 9<"$LAY_ROOT/lock"
  flock -x 9
  curl -s -o /dev/null -X POST --data-binary x \
    "$url/v2/a/blobs/uploads/?digest=sha256:$(printf x | sha256sum | cut -d' ' -f1)" &
  wait_until 10 two_in_flight
  kill "$serve_pid"
  local status=0
  wait "$serve_pid" || status=$?
  exec 9<&-
  wait
  serve_pid=
  [ "$status" -eq 0 ]
  has "$(<"$world/serve.log")" 'cut off'
}
