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
