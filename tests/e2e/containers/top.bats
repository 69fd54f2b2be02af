#!/usr/bin/env bats
# The processes of a container, as the host's kernel lists them.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

@test "top lists a container's processes with its own numbers, those of exec too" {
  "$LAY" run -d --name kept --network none small sh -c 'sleep 1000 & wait' >/dev/null
  "$LAY" exec -u user kept sleep 2000 &
  wait_until 20 both_there
  run "$LAY" top kept
  has "${lines[0]}" "USER   PID   PPID   %CPU   ELAPSED   TTY   TIME       COMMAND"
  has "$output" "root   1     0"
  has "$output" "sleep 1000"
  [ "$("$LAY" top kept -eo pid,ppid,args | grep 'sleep 1000$' | tr -s ' ')" = \
    "$("$LAY" exec kept ps -o pid,ppid,args | grep ' sleep 1000$' | tr -s ' ' | sed 's/^ //')" ]
  [ "$("$LAY" top kept user args | grep 'sleep 2000' | tr -s ' ')" = "1000 sleep 2000" ]
  [ "$("$LAY" --root "$LAY_ROOT" inspect -f '{{.State.Pid}}' kept)" = "$("$LAY" top kept hpid | sed -n 2p)" ]
  [ "$("$LAY" top --format '{{.SECCOMP}}' kept seccomp | sort -u)" = filter ]
  "$LAY" top kept -ef >/dev/null
  "$LAY" top kept aux >/dev/null
  refused 1 "nosuch" "$LAY" top kept nosuch
  "$LAY" stop -t 0 kept >/dev/null
  refused 1 "is not running" "$LAY" top kept
  wait || true
}
both_there() { "$LAY" top kept args | grep -q 'sleep 1000' && "$LAY" top kept args | grep -q 'sleep 2000'; }

@test "top shows ids of a user namespace inside and on the host" {
  "$LAY" run -d --name mapped --userns auto --network none small sleep 1000 >/dev/null
  run "$LAY" top --format '{{.UID}} {{.HUSER}}' mapped uid huser
  [[ $output =~ ^0\ [1-9][0-9]{4,}$ ]]
}

@test "E04: neither top nor stats opens a file of the container or executes anything" {
  "$LAY" run -d --name kept --network none small sleep 1000 >/dev/null
  strace -f -o "$world/calls" "$LAY" top kept -ef >/dev/null
  strace -f -o "$world/calls2" "$LAY" stats --no-stream kept >/dev/null
  [ "$(cat "$world"/calls* | grep -c execve)" = 2 ]
  ! grep -hE 'open.*/proc/[0-9]+/(root|cwd|exe)|setns|/etc/(passwd|group|nsswitch)' "$world"/calls* || return 1
}

@test "top prints what a process calls itself without its control bytes" {
  "$LAY" run -d --name odd --network none small sh -c 'sh -c "sleep 1000; :" "$(printf "\033]0;evil\007")"' >/dev/null
  wait_until 20 odd_there
  ! "$LAY" top odd args | grep -q $'\033' || return 1
}
odd_there() { "$LAY" top odd args | grep -q evil; }
