#!/usr/bin/env bats
# What `exec` has beside the life of a container, and where run and exec take variables from.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

bats_require_minimum_version 1.5.0
container() { "$LAY" run -d --name c --network none "$@" small sleep 1000 >/dev/null; }

# holds FILE WORD: of the container.
holds() { "$LAY" exec c cat "$1" | grep -q "$2"; }
# null_is_whole: the host's /dev/null belongs to root, who alone may change it, and all may write.
null_is_whole() { [ "$(stat -c '%u:%g %a %F' /dev/null)" = "0:0 666 character special file" ]; }

@test "exec -d leaves the command running in the container, without input and output" {
  container
  run -0 timeout 5 "$LAY" exec -d c sh -c 'cat; echo lost; echo lost >&2; echo "$PPID $(id -u)" >/said; exec sleep 77'
  [ "$output" = "" ]
  wait_until 5 "$LAY" exec c test -s /said
  [ "$("$LAY" exec c cat /said)" = "0 0" ]
  [ "$("$LAY" logs c)" = "" ]
  has "$("$LAY" top c)" "sleep 77"
  local process
  process=$(pgrep -xf 'sleep 77')
  [ "$(readlink "/proc/$process/fd/"{0,1,2} | sort -u)" = /dev/null ]
  "$LAY" stop -t 0 c >/dev/null
  ! pgrep -xf 'sleep 77' || return 1
  null_is_whole
}

@test "exec -d outlives who asked for it, its terminal and its signals" {
  container
  setsid --wait timeout -s KILL 20 "$LAY" exec -d c sh -c 'sleep 0.5; touch /survived' 3>&-
  wait_until 5 "$LAY" exec c test -e /survived
}

@test "exec -d takes user, folder, variables and rights as exec does" {
  container --cap-drop NET_RAW
  "$LAY" exec c chmod 1777 /tmp
  "$LAY" exec -d -u 7:8 -w /tmp -e WORD=told c sh -c 'echo "$(id -u):$(id -g) $PWD $WORD" >/tmp/mine; grep CapEff /proc/self/status >>/tmp/mine'
  wait_until 5 holds /tmp/mine CapEff
  [ "$("$LAY" exec c head -n 1 /tmp/mine)" = "7:8 /tmp told" ]
  [ "$("$LAY" exec c tail -n 1 /tmp/mine | cut -f2)" = 0000000000000000 ]
}

@test "exec -d says what cannot be executed, with exec's exit codes" {
  container
  run -127 "$LAY" exec -d c nothing
  has "$output" "not found"
  run -126 "$LAY" exec -d c /etc/passwd
  run -127 "$LAY" exec -d -t c nothing
  has "$output" "not found"
  "$LAY" stop -t 0 c >/dev/null
  refused 125 "not running" "$LAY" exec -d c true
}

@test "exec -d -i is exec -d: there is no input" {
  container
  run -0 timeout 5 "$LAY" exec -di c sh -c 'cat; echo "end of $(readlink /proc/self/fd/0)" >/said; exec sleep 77' <<<word
  [ "$output" = "" ]
  wait_until 5 holds /said 'end of /dev/null'
}

@test "exec -d -t gives the command a terminal whose output is thrown away, and that does not hang up" {
  container
  run -0 timeout 5 "$LAY" exec -dit c sh -c 'tty >/said; yes | head -c 1000000; stty -a >/dev/null && echo $? $TERM >>/said; exec sleep 77'
  [ "$output" = "" ]
  wait_until 5 holds /said '0 xterm'
  holds /said /dev/pts/
  "$LAY" stop -t 0 c >/dev/null
  ! pgrep -xf 'sleep 77' || return 1
  holder_gone() { ! pgrep -f 'lay: terminal of a command in c'; }
  wait_until 5 holder_gone
}

@test "exec -t tells of a terminal that the seccomp profile denies" {
  local call
  for call in setsid ioctl; do
    jq -n --arg call $call '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: [$call], action: "SCMP_ACT_ERRNO"}]}' >profile.json
    container --security-opt seccomp=profile.json
    "$LAY" exec -t c echo here >said 2>told
    has "$(cat said)" here
    has "$(cat told)" "the seccomp profile denies $call"
    "$LAY" exec -dt c true 2>told
    has "$(cat told)" "the seccomp profile denies $call"
    "$LAY" exec c true 2>told
    [ ! -s told ]
    "$LAY" rm -f c >/dev/null
  done
}

@test "exec as a user who has room for one process, or none, executes the command, which then has its limit" {
  container --ulimit nproc=1:1 -u 54321
  [ "$("$LAY" exec -u 54322 c sh -c 'ulimit -u; exec id -u')" = $'1\n54322' ]
  [ "$("$LAY" exec c id -u)" = 54321 ]
  run -2 "$LAY" exec -u 54322 c sh -c 'id; id'
  has "$output" "can't fork"
  "$LAY" rm -f c >/dev/null
  container --ulimit nproc=1:1 -u 54321 --userns auto
  [ "$("$LAY" exec -u 54322 c sh -c 'ulimit -u; exec id -u')" = $'1\n54322' ]
}

@test "a command whose process between was killed does not run on behind the caller's back" {
  container
  local step count status tried=0
  python3 "$here/kill_at.py" counts.json 1 -1 0 "$LAY" exec -d c true
  count=$(jq '.counts[1]' counts.json)
  for ((step = count - 6; step <= count; step++)); do
    status=0
    timeout -s KILL 60 python3 "$here/kill_at.py" killed.json 1 1 "$step" "$LAY" exec -d c sleep "770$step" 2>told || status=$?
    ((status != 0)) || continue # it had told of the command already
    tried=1
    none_left() { ! pgrep -xf "sleep 770$step"; }
    wait_until 5 none_left
  done
  [ "$tried" = 1 ]
}

@test "exec -d in a container with a user namespace leaves the host's /dev/null alone" {
  container --userns auto
  "$LAY" exec -d c sh -c 'id -u >/said; chown 5:5 /proc/self/fd/1; chmod 600 /proc/self/fd/2; sleep 1000'
  wait_until 5 holds /said 0
  null_is_whole
}

@test "what fails before the command runs ends no process that whoever called lay has left it as child" {
  container
  run -125 bash -c 'exec "$LAY" exec -w /nope c true 2> >(sleep 0.3; exec cat >"$0/told")' "$world"
  wait_until 10 grep -q /nope "$world/told"
}

@test "--env-file of run and exec: a variable in each line, which --env wins over" {
  printf '\xef\xbb\xbf# a comment\n\nA=1\n  B=two words \nC="kept"\nEMPTY=\nHERE\nABSENT\nD=x=y\r\nE=no end' >"$world/variables"
  printf 'A=other\n' >"$world/more"
  HERE=host "$LAY" run --name c -d --network none --env-file "$world/variables" -e D=flag small sleep 1000 >/dev/null
  run -0 "$LAY" exec c env
  local line
  for line in A=1 'B=two words ' 'C="kept"' EMPTY= HERE=host D=flag 'E=no end'; do
    grep -qxF "$line" <<<"$output"
  done
  ! grep -q ABSENT <<<"$output" || return 1
  [ "$("$LAY" exec --env-file "$world/variables" --env-file "$world/more" c sh -c 'echo $A $D')" = $'other x=y' ]
  [ "$("$LAY" exec --env-file <(echo P=pipe) c sh -c 'echo $P')" = pipe ]
}

# wrong FILE WORDS: run and exec refuse it with these words.
wrong() {
  refused 125 "$2" "$LAY" run --rm --network none --env-file "$1" small true
  refused 125 "$2" "$LAY" exec --env-file "$1" c true
}
@test "--env-file says in which file and line it fails" {
  container
  printf 'A=1\nB C=2\n' >"$world/blank"
  printf 'A=1\n\n=2\n' >"$world/nameless"
  printf 'A=1\nB=2\0003\n' >"$world/nul"
  wrong "$world/blank" "blank, line 2"
  wrong "$world/nameless" "nameless, line 3"
  wrong "$world/nul" "nul, line 2"
  wrong "$world/nothing" "no file"
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
}
