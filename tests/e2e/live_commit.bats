#!/usr/bin/env bats
# Commits of what is at work: of a service that writes, of the same upper twice at once, of a container beside others.

load world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

# writes: in a container, one line after the other into two files, the same ones, and a file that is made anew each time.
writes='i=0; while :; do i=$((i+1)); echo $i >>/first; echo $i >>/second; echo $i >/new; mv /new /last; done'

frozen() { [ "$("$LAY" ps -a --format '{{.Names}} {{.Status}}' | grep -c "^$1 .*[Pp]aused")" = 1 ]; }
# size_of_first: of what the container writes.
size_of_first() { stat -c %s "/proc/$("$LAY" inspect -f '{{.State.Pid}}' c)/root/first" 2>/dev/null || echo 0; }
grows() {
  local size
  size=$(size_of_first)
  wait_until 5 eval "[ \$(size_of_first) -gt $size ]"
}

@test "a service that writes all the time is committed as of one moment, and goes on" {
  local round
  # What is read between the two takes a moment
  "$LAY" run -d --name c --network none small sh -c "head -c 60000000 /dev/urandom >/large; $writes" >/dev/null
  wait_until 20 grows
  for round in 1 2 3; do
    "$LAY" commit -q --compression none c "now:$round" >/dev/null
    ! frozen c || return 1
    # The shell may stand between the two lines, or in the midst of one
    "$LAY" run --rm --network none "now:$round" sh -c 'cat /first; echo; echo --; cat /second; echo; echo --; cat /last 2>/dev/null' >seen
    python3 - <<'PY'
first, second, last = (part.split() for part in open("seen").read().split("--"))
numbers = [str(i + 1) for i in range(len(first))]
assert first == numbers, first[-3:]
assert second in (first, first[:-1]), (first[-3:], second[-3:])
assert last and int(last[0]) in (len(first) - 1, len(first)), (first[-1], last)
PY
  done
  grows
}

@test "a paused container stays paused when it is committed" {
  "$LAY" run -d --name c --network none small sh -c "$writes" >/dev/null
  wait_until 10 grows
  "$LAY" pause c >/dev/null
  "$LAY" commit -q c now:1 >/dev/null
  frozen c
  "$LAY" unpause c >/dev/null
  grows
}

@test "--no-pause lets a container go on, and what changes meanwhile is an error that leaves nothing, or whole" {
  local round status
  "$LAY" run -d --name c --network none small sh -c "$writes" >/dev/null
  wait_until 10 grows
  for round in 1 2 3 4 5; do
    status=0
    "$LAY" commit -q --no-pause c "now:$round" >/dev/null 2>err || status=$?
    ((status == 0)) || { grep -qE 'while it was read|replaced|No such file' err && ! "$LAY" inspect "now:$round" >/dev/null 2>&1; } || { cat err; return 1; }
  done
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  "$LAY" fsck -q
}

@test "a container goes on when the commit of it is killed or interrupted" {
  local signal committing
  "$LAY" run -d --name c --network none small sh -c "head -c 200000000 /dev/urandom >/large; $writes" >/dev/null
  wait_until 30 grows
  for signal in KILL INT TERM; do
    "$LAY" commit -q c now:1 >/dev/null 2>&1 3>&- &
    committing=$!
    wait_until 10 frozen c
    kill -"$signal" "$committing"
    wait "$committing" || true
    wait_until 5 grows
    ! frozen c || return 1
  done
  "$LAY" prune -f >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  "$LAY" fsck -q
}

@test "a container can be stopped and removed while it is committed" {
  "$LAY" run -d --name c --network none small sh -c "head -c 200000000 /dev/urandom >/large; $writes" >/dev/null
  wait_until 30 grows
  "$LAY" commit -q c now:1 >out 2>err 3>&- &
  local committing=$! status=0
  wait_until 10 frozen c
  timeout 20 "$LAY" rm -f c >/dev/null 2>removal || has "$(<removal)" commit
  wait "$committing" || status=$?
  ((status == 0)) || { grep -q . err && ! "$LAY" inspect now:1 >/dev/null 2>&1; }
  "$LAY" rm -f c >/dev/null 2>&1 || true
  "$LAY" fsck -q
}

@test "commits of one upper, and of two into one name, at once are all whole" {
  local i pids=() names
  mkdir upper other
  head -c 20000000 /dev/urandom >upper/large
  head -c 20000000 /dev/urandom >other/large
  for i in 1 2 3; do
    "$LAY" commit -q ./upper "same:$i" --base small >"same.$i" 3>&- & pids+=($!)
    "$LAY" commit -q ./other one:1 --base small >"one.$i" 3>&- & pids+=($!)
    "$LAY" commit -q ./upper one:1 --base small >"two.$i" 3>&- & pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  [ "$(cat same.* two.* | sort -u | wc -l)" = 1 ]
  [ "$(cat one.* | sort -u | wc -l)" = 1 ]
  grep -qxFf <(cat one.* two.*) <("$LAY" inspect -f '{{.Id}}' one:1 | sed 's/^\(sha256:\)\?/sha256:/') ||
    { "$LAY" inspect -f '{{.Id}}' one:1; cat one.1 two.1; return 1; }
  for i in 1 2 3; do
    [ "$("$LAY" run --rm --network none "same:$i" sh -c 'cat /large' | sha256sum)" = "$(sha256sum <upper/large)" ]
  done
  "$LAY" fsck -q
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}
