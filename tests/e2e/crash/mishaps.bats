#!/usr/bin/env bats
# What befalls a store from outside: processes that died, debris of other boots, clocks that jump, a disk that becomes
# read-only, a folder that goes away while lay works in it.

load ../support/world

setup() {
  open_world
  small_image
  mkdir upper
  echo more >upper/more
  head -c 300000 /dev/urandom >upper/large
  holders=()
}
teardown() {
  local pid
  for pid in "${holders[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  close_disk
  leave_world
}

# hold FLOCK-FLAG PATH: another process holds its lock until let_go.
hold() {
  flock "$@" sleep 100 3>&- &
  holders+=($!)
  wait_until 5 is_held "$2"
}
is_held() { ! flock -n -x "$1" true; }

# let_go: as by SIGKILL. flock(1) waits for its command, which has the lock too.
let_go() {
  pkill -KILL -P "${holders[-1]}"
  kill -KILL "${holders[-1]}" 2>/dev/null || true
  wait "${holders[-1]}" 2>/dev/null || true
  unset 'holders[-1]'
}

# debris NAME AGE: half a blob in ingest/, as a killed process leaves it; AGE as touch(1) reads it.
debris() {
  mkdir "$LAY_ROOT/ingest/$1"
  head -c 100000 /dev/urandom >"$LAY_ROOT/ingest/$1/blob"
  touch -d "$2" "$LAY_ROOT/ingest/$1/blob" "$LAY_ROOT/ingest/$1"
}

# stop_at CALL NUMBER COMMAND...: begins COMMAND, which stands still at that system call until go_on.
stop_at() {
  rm -f trace
  strace -D -f -qq -o trace -e "trace=$1" -e "inject=$1:signal=STOP:when=$2" "${@:3}" >said 2>told 3>&- &
  stopped=$!
  holders+=("$stopped")
  wait_until 10 grep -q 'stopped by SIGSTOP' trace
}

# go_on: its exit code, which is not that of a signal, and not that of one who hangs. strace counts the calls of each
# thread, so that another thread may stop it once more.
go_on() {
  wait_until 20 has_gone_on "$stopped"
  status=0
  wait "$stopped" || status=$?
  unset 'holders[-1]'
  ((status < 124))
}
has_gone_on() {
  kill -CONT "$1" 2>/dev/null || true
  is_over "$1"
}
is_over() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:\sZ' "/proc/$1/status"; }

# failed_cleanly WORDS: what went on ended with 1, and one line that says so.
failed_cleanly() {
  [ "$status" = 1 ] || { echo "exit $status"; cat told; return 1; }
  grep -q '^lay: ' told || { cat told; return 1; }
  grep -qiE "$1" told || { cat told; return 1; }
}

@test "C2.7: the lock of the store holds off a collector as long as its holder lives, and no longer" {
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  hold -s "$LAY_ROOT/lock"
  "$LAY" rmi new:1 2>told >/dev/null
  has "$(<told)" "goes with the next prune"
  run "$LAY" prune -f --images
  [ "$status" = 0 ]
  has "$output" "somebody adds to the store"
  let_go
  run "$LAY" prune -f --images
  [ "$status" = 0 ]
  [[ $output == "Reclaimed "* && $output != "Reclaimed 0 B" ]] || { echo "$output"; return 1; }
}

@test "C2.7: names are waited for as long as the holder of their lock lives, and no longer" {
  hold -x "$LAY_ROOT/index.lock"
  timeout 1 "$LAY" tag small other:1 && return 1
  ! "$LAY" inspect other:1 || return 1
  let_go
  timeout 10 "$LAY" tag small other:1
  "$LAY" inspect other:1 >/dev/null
}

@test "C2.7: debris goes when its lock is free, whatever its age" {
  local age
  for age in 'now' '-1 year' '+1 year' '1970-01-02'; do
    debris 0123456789abcdef "$age"
    hold -x "$LAY_ROOT/ingest/0123456789abcdef"
    "$LAY" commit -q ./upper new:1 --base small >/dev/null
    "$LAY" prune -f --images >/dev/null
    [ -e "$LAY_ROOT/ingest/0123456789abcdef/blob" ]
    let_go
    "$LAY" commit -q ./upper new:1 --base small >/dev/null
    [ ! -e "$LAY_ROOT/ingest/0123456789abcdef" ]
  done
}

@test "C2.10: what a transfer may go on with stays for a week, by whatever clock, and goes with prune" {
  local part=part.sha256.$(printf '0%.0s' {1..64})
  debris "$part" '-6 days'
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  [ -e "$LAY_ROOT/ingest/$part" ]
  touch -d '-8 days' "$LAY_ROOT/ingest/$part/blob"
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  [ ! -e "$LAY_ROOT/ingest/$part" ]
  debris "$part" '+1 year'
  "$LAY" prune -f --images >/dev/null
  [ ! -e "$LAY_ROOT/ingest/$part" ]
}

@test "C2.7: debris that is no folder, or a symlink that leads away, harms nothing" {
  mkdir elsewhere
  echo kept >elsewhere/blob
  ln -s "$world/elsewhere" "$LAY_ROOT/ingest/aaaa"
  mkdir "$LAY_ROOT/ingest/bbbb"
  ln -s "$world/elsewhere" "$LAY_ROOT/ingest/bbbb/layer"
  echo x >"$LAY_ROOT/ingest/cccc"
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  "$LAY" prune -f --images >/dev/null
  [ "$(cat elsewhere/blob)" = kept ]
  [ ! -e "$LAY_ROOT/ingest/bbbb" ]
  "$LAY" fsck -q
}

@test "clocks that jump by a year neither lose nor change anything" {
  local digest age tree
  digest=$("$LAY" commit -q ./upper new:1 --base small)
  tree=$("$LAY" export new:1 | sha256sum)
  for age in '-1 year' '+1 year' '1970-01-02' '2100-01-01'; do
    find "$LAY_ROOT" -print0 | xargs -0 touch -h -d "$age"
    "$LAY" prune -f --images >/dev/null
    "$LAY" fsck -q
    [ "$("$LAY" export new:1 | sha256sum)" = "$tree" ]
    [ "$("$LAY" commit -q ./upper again:1 --base small)" = "$digest" ]
    "$LAY" rmi again:1 >/dev/null
  done
}

@test "C2.8: what a killed boot left in RUN hinders nothing" {
  "$LAY" run --network none --name c small true
  mkdir -p "$LAY_RUN/layers/$(printf 'a%.0s' {1..64})-1-1"
  echo junk >"$LAY_RUN/layers/linger"
  touch -d '+1 year' "$LAY_RUN/layers/linger"
  [ "$("$LAY" run --rm --network none small echo hello)" = hello ]
  "$LAY" start c
  "$LAY" rm -f c
}

# passing COMMAND...: what it mounts or leaves running goes with it.
passing() {
  unshare --mount --propagation private --pid --fork --kill-child --mount-proc bash -c '"$@"; exit $?' passing "$@"
}

# on_a_disk: the store on a file system of its own, with the same image.
on_a_disk() {
  open_disk ext4 64m
  export LAY_ROOT=$world/disk/root
  small_image
}

# read_only: the disk as it is now.
read_only() {
  close_disk
  mount -o loop,ro disk.img disk
}

@test "what would change a read-only store is refused, and the reason told" {
  on_a_disk
  read_only
  refused_read_only "$LAY" commit -q ./upper new:1 --base small
  refused_read_only "$LAY" import ./upper new:1
  refused_read_only "$LAY" tag small other:1
  refused_read_only "$LAY" rmi small
  refused_read_only "$LAY" prune -f
  "$LAY" images | grep -q '^small'
  "$LAY" inspect small >/dev/null
}

@test "a read-only store can be read, so that what it holds can be saved" {
  on_a_disk
  local tree
  tree=$(passing "$LAY" export small | sha256sum)
  read_only
  [ "$(passing "$LAY" export small | sha256sum)" = "$tree" ]
  "$LAY" save -q -o small.tar small
  "$LAY" fsck -q
}

refused_read_only() {
  "$@" >said 2>told && return 1
  grep -q '^lay: .*Read-only file system' told || { cat told; return 1; }
}

# read_only_at CALL NUMBER COMMAND... IMAGE: the disk has an error while COMMAND stands at that call, IMAGE is its result.
read_only_at() {
  local call=$1 number=$2
  shift 2
  on_a_disk
  stop_at "$call" "$number" "$@"
  mount -o remount,abort disk
  go_on
  failed_cleanly 'read-only|input/output|aborted'
  close_disk
  e2fsck -fy disk.img >/dev/null 2>&1 || (($? < 4))
  open_disk ext4
  "$LAY" fsck -q
  "$@" >/dev/null
  [ "$(passing "$LAY" run --rm --network none "${!#}" cat /more)" = more ]
  close_disk
  rm disk.img
}

@test "a disk that becomes read-only within a commit or a pull ends it cleanly, and it works when given again" {
  start_registry "$world/registry"
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  "$LAY" push -q new:1 "$registry/new:1" >/dev/null
  read_only_at fsync 1 "$LAY" commit -q ./upper --base small new:1
  read_only_at renameat2 1 "$LAY" commit -q ./upper --base small new:1
  read_only_at fsync 1 "$LAY" pull -q "$registry/new:1"
  read_only_at fsync 4 "$LAY" pull -q "$registry/new:1"
}

@test "a store that is removed within a commit or a pull ends it cleanly, and it is made anew" {
  start_registry "$world/registry"
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  "$LAY" push -q new:1 "$registry/new:1" >/dev/null
  local number
  for number in 1 3 5; do
    export LAY_ROOT=$world/root$number
    small_image
    removed_at fsync "$number" "$LAY" commit -q ./upper new:1 --base small
    removed_at fsync "$number" "$LAY" pull -q "$registry/new:1"
    "$LAY" pull -q "$registry/new:1" >/dev/null
    [ "$("$LAY" run --rm --network none "$registry/new:1" cat /more)" = more ]
  done
}
removed_at() {
  stop_at "$@"
  rm -rf --one-file-system "$LAY_ROOT"
  go_on
  failed_cleanly 'no such file|not found|missing'
  small_image
}

@test "a store that is moved within a commit is whole in its new place" {
  stop_at fsync 1 "$LAY" commit -q ./upper new:1 --base small
  mv "$LAY_ROOT" "$world/moved"
  go_on
  export LAY_ROOT=$world/moved
  "$LAY" fsck -q
  ((status != 0)) || [ "$("$LAY" run --rm --network none new:1 cat /more)" = more ]
  "$LAY" commit -q ./upper new:1 --base small >/dev/null
  [ "$("$LAY" run --rm --network none new:1 cat /more)" = more ]
}

@test "a container whose settings cannot be read for a moment keeps what it needs" {
  local tree folder when
  "$LAY" run --network none --name c small sh -c 'echo more >/more'
  "$LAY" rmi -f small >/dev/null
  tree=$(passing "$LAY" export c | sha256sum)
  folder=$(echo "$LAY_ROOT"/containers/[0-9a-f]*)
  for when in 1 2 3 4 5 6; do
    strace -f -qq -o trace -P "$folder" -e trace=openat -e "inject=openat:error=EIO:when=$when" \
      "$LAY" prune -f --images >/dev/null 2>&1 || true
    grep -q INJECTED trace || break
    [ "$(passing "$LAY" export c | sha256sum)" = "$tree" ] || { cat trace; return 1; }
  done
  ((when > 2))
}

@test "a container whose settings cannot be synced does not start, in front and detached, and says why" {
  command -v strace >/dev/null || skip "needs strace"
  local step detached
  for detached in "" -d; do
    for step in 1 3 5; do
      run timeout -s KILL 30 strace -f -qq -o trace -e trace=fsync -e inject=fsync:error=EIO:when=$step \
        "$LAY" run $detached --name c --network none -v "$world:/w" small touch /w/started
      [ "$status" = 125 ]
      has "$output" "Input/output error"
      [ ! -e started ]
      "$LAY" rm c
    done
  done
  "$LAY" run --rm --network none small true
}

@test "a detached start whose caller is killed while it syncs comes to an end" {
  command -v strace >/dev/null || skip "needs strace"
  local step
  for step in 1 2 3; do
    timeout -s KILL 30 strace -qq -o trace -e trace=fsync -e inject=fsync:signal=KILL:when=$step \
      "$LAY" run -d --name c --network none small sleep 100 >/dev/null 2>&1 || true
    timeout 20 "$LAY" rm -f c >/dev/null
  done
  "$LAY" run --rm --network none small true
}

@test "C2.7: debris of more folders than a process may open files is swept all the same" {
  mkdir $(printf "$LAY_ROOT/ingest/%032d " {1..1100}) # as a killed load of many members leaves them
  (ulimit -n 1024 && "$LAY" commit -q ./upper new:1 --base small) >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  mkdir $(printf "$LAY_ROOT/ingest/%032d " {1..1100})
  (ulimit -n 1024 && "$LAY" prune -f) >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}
