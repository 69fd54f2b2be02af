#!/usr/bin/env bats
# Several lays on one store at the same time.

load world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

adding() { ! flock -n -x "$LAY_ROOT/lock" true; }

@test "removing and pruning neither wait for what is being added nor take what it needs" {
  "$LAY" save small -o small.tar
  "$LAY" run --name ended --network none small true
  mkfifo archive tar
  "$LAY" load -q -i archive >loaded &
  local loading=$!
  exec {archive}>archive
  head -c 1000000 small.tar >&"$archive"
  "$LAY" import - imported:1 <tar >imported {archive}>&- &
  local importing=$!
  exec {tar}>tar
  tar -C small -cf small-root.tar .
  head -c 1000000 small-root.tar >&"$tar"
  wait_until 5 adding

  timeout 5 "$LAY" rm ended
  timeout 5 "$LAY" rmi small
  timeout 5 "$LAY" prune -a -f
  timeout 5 "$LAY" df >/dev/null

  tail -c +1000001 small.tar >&"$archive"
  tail -c +1000001 small-root.tar >&"$tar"
  exec {archive}>&- {tar}>&-
  wait "$loading"
  wait "$importing"
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  [ "$("$LAY" run --rm --network none imported:1 /bin/sh -c 'echo hello')" = hello ]
}

@test "eight lays that add, use and remove at once get along, and leave nothing behind" {
  local seconds=8 name
  [[ -z ${LAY_TESTS_LONG-} ]] || seconds=300
  "$LAY" tag small keep:1
  start_registry "$world/registry"
  mkdir upper
  echo pulled >upper/pulled
  "$LAY" commit -q ./upper pulled:1 --base small >/dev/null
  "$LAY" push -q pulled:1 "$registry/pulled:1" >/dev/null
  "$LAY" rmi small pulled:1 >/dev/null
  REGISTRY=$registry python3 "$here/race.py" "$seconds"

  "$LAY" fsck -q
  [ "$("$LAY" ps -aq)" = "" ]
  "$LAY" inspect keep:1 >/dev/null
  while read -r name; do
    [ "$("$LAY" run --rm --network none "$name" echo hello)" = hello ]
  done < <("$LAY" images --format '{{.Repository}}:{{.Tag}}')
  "$LAY" prune -f >/dev/null
  [ "$("$LAY" df --format json | jq -c '[.[] | select(.Name == "reclaimable").Bytes]')" = '[0]' ]
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  [ -z "$(find "$LAY_ROOT/containers" -mindepth 1 -maxdepth 1 ! -name '.lock' ! -name .names)" ]
  [ -z "$(ls "$LAY_ROOT/containers/.names")" ]
}
