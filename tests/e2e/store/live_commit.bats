#!/usr/bin/env bats
# Commits of what is at work: of a service that writes, of the same upper twice at once, of a container beside others.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

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

# of_one_moment IMAGE: what the service had written to one file and to the other belongs together.
of_one_moment() {
  # The shell may stand between the two lines, or in the midst of one
  "$LAY" run --rm --network none "$1" sh -c 'cat /first; echo; echo --; cat /second; echo; echo --; cat /last 2>/dev/null' >seen
  python3 - <<'PY'
first, second, last = (part.split() for part in open("seen").read().split("--"))
numbers = [str(i + 1) for i in range(len(first))]
assert first == numbers, first[-3:]
assert second in (first, first[:-1]), (first[-3:], second[-3:])
assert last and int(last[0]) in (len(first) - 1, len(first)), (first[-1], last)
PY
}
# service MEGABYTES: a container that writes, with a file of that size whose reading takes a moment.
service() {
  "$LAY" run -d --name c --network none --stop-timeout 1 "${@:2}" small sh -c "head -c ${1}000000 /dev/urandom >/large; ($writes) & wait" >/dev/null
  wait_until 30 grows
}

@test "a service that writes all the time is committed as of one moment, and goes on" {
  local round
  service 60
  for round in 1 2 3; do
    "$LAY" commit -q --compression none c "now:$round" >/dev/null
    ! frozen c || return 1
    of_one_moment "now:$round"
  done
  grows
}

@test "commits of one service at once are each of one moment" {
  local first second
  service 300
  "$LAY" commit -q --compression none c now:1 >/dev/null 3>&- & first=$!
  wait_until 10 frozen c
  "$LAY" commit -q c now:2 >/dev/null 3>&- & second=$!
  wait "$first"
  wait "$second"
  of_one_moment now:1
  of_one_moment now:2
  ! frozen c || return 1
  grows
}

@test "pause, unpause, kill and stop wait for a commit, which stays of one moment" {
  local committing command
  service 300
  for command in "unpause c" "kill -s USR1 c" "stop c"; do
    "$LAY" commit -q c now:1 >/dev/null 3>&- & committing=$!
    wait_until 10 frozen c
    "$LAY" $command >/dev/null 2>&1 || true
    wait "$committing"
    of_one_moment now:1
    ! frozen c || return 1
  done
  "$LAY" rm c >/dev/null
  service 300
  "$LAY" commit -q c now:1 >/dev/null 3>&- & committing=$!
  wait_until 10 frozen c
  "$LAY" pause c >/dev/null
  wait "$committing"
  of_one_moment now:1
  frozen c
}

@test "a container that is being committed is started when that is done" {
  local committing
  "$LAY" run --name c --network none small sh -c '[ -e /large ] || head -c 300000000 /dev/urandom >/large; echo x >>/starts' >/dev/null
  "$LAY" commit -q c now:1 >/dev/null 3>&- & committing=$!
  wait_until 5 eval '[ -n "$(ls "$LAY_ROOT/ingest" 2>/dev/null)" ]'
  "$LAY" start c >/dev/null
  wait "$committing"
  "$LAY" wait c >/dev/null
  [ "$("$LAY" run --rm --network none now:1 cat /starts | wc -l)" = 1 ]
  "$LAY" commit -q c now:2 >/dev/null
  [ "$("$LAY" run --rm --network none now:2 cat /starts | wc -l)" = 2 ]
}

@test "commits and a start that wait for a commit do not keep each other" {
  local first second starting
  "$LAY" run --name c --network none small sh -c 'head -c 100000000 /dev/urandom >/large; echo x >>/starts' >/dev/null
  "$LAY" commit -q c now:1 >/dev/null 3>&- & first=$!
  wait_until 5 eval '[ -n "$(ls "$LAY_ROOT/ingest" 2>/dev/null)" ]'
  kill -STOP "$first"
  "$LAY" commit -q c now:2 >/dev/null 3>&- & second=$!
  sleep 0.2
  "$LAY" start c >/dev/null 3>&- & starting=$!
  sleep 6  # longer than a start waits for one that has begun
  kill -CONT "$first"
  wait "$first"
  wait "$second"
  wait "$starting"
  "$LAY" wait c >/dev/null
  [ "$("$LAY" run --rm --network none now:1 cat /starts | wc -l)" = 1 ]
}

@test "rm -f does not wait for a commit that hangs" {
  local committing
  service 200
  "$LAY" commit -q c now:1 >/dev/null 2>&1 3>&- & committing=$!
  wait_until 10 frozen c
  kill -STOP "$committing"
  timeout 20 "$LAY" rm -f c >/dev/null
  kill -CONT "$committing"
  wait "$committing" || true
  ! "$LAY" inspect c >/dev/null 2>&1 || return 1
  "$LAY" fsck -q
}

@test "what is killed during a commit writes nothing any more, whoever is its first process" {
  local committing
  service 300 --pid host
  "$LAY" commit -q c now:1 >/dev/null 3>&- & committing=$!
  wait_until 10 frozen c
  "$LAY" kill c >/dev/null
  wait "$committing"
  of_one_moment now:1
}

@test "a commit from within the container's own cgroup is refused, not stuck" {
  local group status=0 entered=
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  for group in $(find /sys/fs/cgroup -maxdepth 4 -type d -name "$("$LAY" inspect -f '{{.Id}}' c)"); do
    [[ -e $group/freezer.state || -e $group/cgroup.freeze ]] || continue
    mkdir "$group/beneath"
    entered+=" $group/beneath/cgroup.procs"
  done
  [ -n "$entered" ]
  timeout -s KILL 20 sh -c 'for procs in $1; do echo $$ >"$procs"; done; exec "$LAY" commit -q c now:1' sh "$entered" >out 2>err || status=$?
  [ "$status" = 1 ] || { echo "exit $status: $(<err)"; return 1; }
  has "$(<err)" "own cgroup"
  ! frozen c || return 1
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

@test "a file that is written in place while it is read is an error" {
  mkdir upper
  head -c 48M /dev/zero >upper/file
  touch writing
  (while [[ -e writing ]]; do dd if=/dev/zero of=upper/file bs=1M count=48 conv=notrunc status=none; done) 3>&- &
  local writer=$!
  refused 1 "changed while it was read" "$LAY" commit -q ./upper now:1
  rm writing
  wait "$writer"
  "$LAY" commit -q ./upper now:1 >/dev/null
}

@test "a container goes on when the commit of it is killed or interrupted" {
  local signal committing
  service 200
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
  service 200
  "$LAY" commit -q c now:1 >out 2>err 3>&- &
  local committing=$! status=0
  wait_until 10 frozen c
  timeout 20 "$LAY" stop c >/dev/null
  "$LAY" rm c >/dev/null
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

@test "what a container writes under user.overlay hides nothing of its commit" {
  mkdir -p small/var/dpkg small/etc
  echo kept >small/var/dpkg/kept
  echo motd >small/etc/motd
  "$LAY" import small marked >/dev/null
  "$LAY" run -d --name c --network none --stop-timeout 1 marked sleep 100 >/dev/null
  python3 - "/proc/$("$LAY" inspect -f '{{.State.Pid}}' c)/root" <<'PY'
import os, sys
root = sys.argv[1]
os.setxattr(root + "/var/dpkg", "user.overlay.opaque", b"y")
open(root + "/var/dpkg/mine", "w").write("mine\n")
os.setxattr(root + "/etc", "user.overlay.opaque", b"x")
open(root + "/etc/motd", "w").close()
os.setxattr(root + "/etc/motd", "user.overlay.whiteout", b"y")
open(root + "/pointer", "w").write("data\n")
os.setxattr(root + "/pointer", "user.overlay.metacopy", b"")
os.setxattr(root + "/pointer", "user.overlay.redirect", b"/etc/motd")
PY
  "$LAY" commit -q c now:1 >/dev/null
  [ "$("$LAY" run --rm --network none now:1 sh -c 'ls /var/dpkg; ls /etc/motd; cat /pointer')" = $'kept\nmine\n/etc/motd\ndata' ]
  [ "$("$LAY" run --rm --network none now:1 stat -c %s /etc/motd)" = 0 ]
}

@test "what killed ones left is swept before a service that is committed stands still" {
  local left=$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef
  service 1
  mkdir "$left"
  touch "$left"/left-{1..50}
  strace -f -y -qq -o calls -e trace=unlinkat,write "$LAY" commit -q c now:1 >/dev/null
  [ ! -e "$left" ]
  [ "$(grep -c 'unlinkat(.*"left-' calls)" = 50 ]
  grep -qE 'write\(.*(freezer.state|cgroup.freeze)>' calls
  ! awk '/(freezer.state|cgroup.freeze)>/ {stands = 1} stands' calls | grep 'unlinkat(.*"left-' || return 1
}
