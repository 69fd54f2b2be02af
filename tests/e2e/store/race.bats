#!/usr/bin/env bats
# Several lays on one store at the same time.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() {
  [[ -z ${stopped-} ]] || kill -CONT "$stopped" || true
  [[ -z ${proxy_pid-} ]] || kill "$proxy_pid" || true
  close_world
}

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
  local seconds=8 name id
  [[ -z ${LAY_TESTS_LONG-} ]] || seconds=300
  "$LAY" tag small keep:1
  start_registry "$world/registry"
  mkdir upper
  echo pulled >upper/pulled
  "$LAY" commit -q ./upper pulled:1 --base small >/dev/null
  "$LAY" push -q pulled:1 "$registry/pulled:1" >/dev/null
  "$LAY" rmi small pulled:1 >/dev/null
  REGISTRY=$registry python3 "$BATS_TEST_DIRNAME/race.py" "$seconds"

  "$LAY" fsck -q
  [ "$("$LAY" ps -aq)" = "" ]
  "$LAY" inspect keep:1 >/dev/null
  while read -r name id; do
    [[ $name != *'<none>' ]] || name=$id # what untag has left without one
    [ "$("$LAY" run --rm --network none "$name" echo hello)" = hello ]
  done < <("$LAY" images --format '{{.Repository}}:{{.Tag}} {{.ID}}')
  "$LAY" prune -f >/dev/null
  [ "$("$LAY" df --format json | jq -c '[.[] | select(.Name == "reclaimable").Bytes]')" = '[0]' ]
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  [ -z "$(find "$LAY_ROOT/containers" -mindepth 1 -maxdepth 1 ! -name '.lock' ! -name .names)" ]
  [ -z "$(ls "$LAY_ROOT/containers/.names")" ]
}

# slow_registry: has layered:1, small and a layer that takes some seconds; sets slow (host:port) and proxy_pid.
slow_registry() {
  local port
  start_registry "$world/registry"
  mkdir upper
  head -c 4000000 /dev/urandom >upper/large
  "$LAY" commit -q ./upper layered:1 --base small >/dev/null
  "$LAY" push -q layered:1 "$registry/layered:1"
  "$LAY" rmi layered:1 >/dev/null
  port=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$port" "$(free_port)" "${registry#*:}" "$world/requests" \
    '[{"method": "GET", "path": "/blobs/", "do": "slow", "bytes": 100000, "times": 1000}]' >proxy.log 2>&1 3>&- &
  proxy_pid=$!
  slow=localhost:$port
  wait_until 20 curl -fsS "http://127.0.0.1:$port/v2/"
}

# at_once COMMAND...: must not take as long as the pull that is under way.
at_once() { timeout 2 "$@"; }

@test "removing and pruning neither wait for a slow pull nor take what it needs" {
  slow_registry
  "$LAY" run --name ended --network none small true
  "$LAY" pull -q "$slow/layered:1" >pulled 3>&- &
  local pulling=$!
  wait_until 10 eval '[ "$(du -s --bytes "$LAY_ROOT/ingest" | cut -f1)" -gt 1000000 ]'
  at_once "$LAY" rm ended
  at_once "$LAY" rmi small
  at_once "$LAY" prune -f --images
  at_once "$LAY" prune -f -a
  at_once "$LAY" df >/dev/null
  [ -z "$("$LAY" images -q)" ]
  kill -0 "$pulling"
  wait "$pulling"
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none "$slow/layered:1" sh -c 'head -c 9 /large | wc -c')" = 9 ]
  "$LAY" prune -f >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

# They have the large file of the pulled layer, and so are where a pull takes it from while they are there.
@test "images that come and go beside a slow pull do not disturb it" {
  slow_registry
  "$LAY" pull -q "$slow/layered:1" >pulled 3>&- &
  local pulling=$! rounds=0
  while kill -0 "$pulling" 2>/dev/null; do
    echo "$rounds" >upper/small
    at_once "$LAY" commit -q ./upper/ other:1 --base small >/dev/null
    at_once "$LAY" rmi other:1 >/dev/null
    at_once "$LAY" prune -f --images >/dev/null 2>&1
    rounds=$((rounds + 1))
  done
  ((rounds > 0))
  wait "$pulling"
  "$LAY" fsck -q
  "$LAY" run --rm --network none "$slow/layered:1" true
  "$LAY" prune -f >/dev/null
  wait_until 10 nothing_reclaimable # what rmi frees is gone a little later
}
nothing_reclaimable() { [ "$("$LAY" df --format jsonl | jq 'select(.Name == "reclaimable").Bytes')" = 0 ]; }

# stop_at CALL COMMAND...: COMMAND is stopped by SIGSTOP when it makes that system call; sets stopped, its pid.
stop_at() {
  local call=$1
  shift
  strace -f -qq -o trace -e "trace=$call" -e "inject=$call:signal=STOP:when=1" "$@" >held 2>&1 3>&- &
  tracer=$!
  wait_until 10 grep -q 'stopped by SIGSTOP' trace
  stopped=$(pgrep -P "$tracer")
}

# ends_by_interrupt COMMAND...: while it waits; a second Ctrl-C must not be needed.
ends_by_interrupt() {
  local status=0
  timeout -s INT -k 3 1 "$@" >interrupted 2>&1 || status=$?
  [[ $status == 124 ]] || { echo "exit $status instead of the end by SIGINT: $*"; cat interrupted; return 1; }
}

@test "S08: what waits for a stopped lay ends with Ctrl-C, and what need not wait does not" {
  local failed=
  "$LAY" save -q -o small.tar small
  start_registry "$world/registry"
  "$LAY" push -q small "$registry/small:1" >/dev/null
  stop_at renameat "$LAY" tag small new:1
  at_once "$LAY" images >/dev/null
  at_once "$LAY" df >/dev/null
  at_once "$LAY" fsck -q
  at_once "$LAY" prune -f
  at_once "$LAY" run --rm --network none small true
  ends_by_interrupt "$LAY" tag small more:1 || failed=1
  ends_by_interrupt "$LAY" rmi small || failed=1
  ends_by_interrupt "$LAY" import -q ./small more:1 || failed=1
  ends_by_interrupt "$LAY" commit -q ./small more:1 || failed=1
  ends_by_interrupt "$LAY" load -q -i small.tar || failed=1
  ends_by_interrupt "$LAY" pull -q "$registry/small:1" || failed=1
  kill -CONT "$stopped"
  stopped=
  wait "$tracer"
  [ "$("$LAY" images --format '{{.Repository}}' | sort | xargs)" = "new small" ]
  "$LAY" prune -f >/dev/null
  "$LAY" fsck -q
  [ -z "$failed" ]
}

# moved_before COMMAND...: the name c:1 of an old image is given to a new one when COMMAND, which is to take it from the
# old one, has looked up what leads where.
moved_before() {
  local id
  "$LAY" import -q small a:1 --label kind=old >/dev/null
  "$LAY" tag a:1 c:1
  id=$("$LAY" inspect -f '{{.Id}}' a:1)
  rm -f trace
  strace -f -qq -o trace -P "$LAY_ROOT/index.lock" -P index.lock -e trace=openat -e inject=openat:signal=STOP:when=1 \
    "${@/ID/$id}" >held 2>&1 3>&- &
  tracer=$!
  wait_until 10 grep -q 'stopped by SIGSTOP' trace
  stopped=$(pgrep -P "$tracer")
  "$LAY" commit -q ./upper c:1 --base small --label kind=new >/dev/null
  kill -CONT "$stopped"
  stopped=
  wait "$tracer"
  ! grep -q 'Untagged: c:1' held || { cat held; return 1; }
  [ "$("$LAY" inspect -f '{{.Config.Labels.kind}}' c:1)" = new ] || { cat held; return 1; }
  "$LAY" prune -f --images >/dev/null
  [ "$("$LAY" run --rm --network none c:1 cat /more)" = more ]
}

@test "a name that leads to another image by now is neither pruned, nor removed, nor untagged" {
  local failed=
  mkdir upper
  echo more >upper/more
  moved_before "$LAY" prune -af --images --filter label=kind=old || failed=1
  moved_before "$LAY" rmi -f ID || failed=1
  grep "given to another image" held || failed=1
  moved_before "$LAY" untag a:1 c:1 || failed=1
  grep "given to another image" held || failed=1
  moved_before "$LAY" rmi c:1 || failed=1
  grep "^lay: rmi: .*given to another image" held || failed=1
  "$LAY" fsck -q
  [ -z "$failed" ]
}

has_read() { (($(wc -l <reads) >= $1)); }

@test "a start that makes a damaged layer again keeps nobody else from starting" {
  local layer starting
  mkdir upper
  head -c 16000000 /dev/urandom >upper/file
  "$LAY" commit -q ./upper large:1 --base small >/dev/null
  layer=$LAY_ROOT/layers/$("$LAY" inspect large:1 | jq -r '.[0].RootFS.Layers[-1][7:]')
  [[ -e $layer/layer.erofs ]] || skip "layers are not mounted here"
  printf x | dd of="$layer/layer.erofs" bs=1 seek=5000 conv=notrunc status=none
  strace -D -f -qq -o reads -P "$layer/layer.tar" -e trace=read,pread64 -e inject=read,pread64:delay_enter=100000 \
    "$LAY" run --rm --network none large:1 true >said 2>&1 3>&- & starting=$!
  wait_until 20 has_read 5
  at_once "$LAY" run --rm --network none small true
  kill -0 "$starting"
  ! has_read 60 || return 1 # it still reads
  wait "$starting"
  "$LAY" fsck -q
}
