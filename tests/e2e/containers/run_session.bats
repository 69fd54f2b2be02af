#!/usr/bin/env bats
# How lay stands beside the command that run starts: time limit, pid file, descriptors, streams, signals; and what
# becomes of an earlier container, of the image, and of words about pulling.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

@test "--pidfile has the first process's number at each start, and stays when it ends, as podman's" {
  "$LAY" run -d --name c --network none --pidfile pid small sleep 1000 >/dev/null
  [ "$(<pid)" = "$("$LAY" inspect -f '{{.State.Pid}}' c)" ]
  [ "$("$LAY" inspect -f '{{.PidFile}}' c)" = "$world/pid" ]
  local before
  before=$(<pid)
  "$LAY" stop -t 0 c >/dev/null
  [ "$(<pid)" = "$before" ]
  "$LAY" start c >/dev/null
  [ "$(<pid)" = "$("$LAY" inspect -f '{{.State.Pid}}' c)" ]
  [ "$(<pid)" != "$before" ]
  "$LAY" run --rm --network none --pidfile front small true
  [ -s front ]
  refused 125 "no such folder" "$LAY" run --rm --pidfile nowhere/pid small true
  mkdir folder
  local place
  for place in folder folder/ .; do
    refused 125 "is a folder" "$LAY" run --name new --network none --pidfile "$place" small true
  done
  run "$LAY" exists new
  [ "$status" = 1 ]
}

@test "--timeout kills it when the time is over, in front, detached and paused; the code is podman's 255" {
  local begin=$SECONDS
  run "$LAY" run --rm --network none --timeout 1 small sleep 100
  [ "$status" = 255 ]
  ((SECONDS - begin < 20))
  run "$LAY" run --rm --network none --timeout 100 small sh -c 'exit 7'
  [ "$status" = 7 ]
  "$LAY" run -d --name c --network none --timeout 2 small sleep 100 >/dev/null
  "$LAY" run -d --name still --network none --timeout 2 small sleep 100 >/dev/null
  "$LAY" pause still >/dev/null
  [ "$(timeout 30 "$LAY" wait c)" = 255 ]
  [ "$(timeout 30 "$LAY" wait still)" = 255 ]
  [ "$("$LAY" inspect -f '{{.Config.Timeout}}' c)" = 2 ]
  "$LAY" start c >/dev/null
  [ "$(timeout 30 "$LAY" wait c)" = 255 ]
  "$LAY" generate quadlet c | grep -q -- --timeout=2
}

@test "--timeout leaves the code of a command that has ended by itself in time" {
  "$LAY" run --name c --network none --timeout 2 --pidfile begun small sh -c 'sleep 1; exit 7' 3>&- &
  local pid=$!
  wait_until 10 test -s begun
  kill -STOP "$pid"  # it looks again only when both have happened
  sleep 3
  kill -CONT "$pid"
  local status=0
  wait "$pid" || status=$?
  [ "$status" = 7 ]
}

@test "--preserve-fds: run and exec hand descriptors on, and no others" {
  "$LAY" run --rm --network none --preserve-fds 1 small sh -c 'echo hi >&3' 3>out
  [ "$(<out)" = hi ]
  "$LAY" run --rm --network none --init --preserve-fds 2 small sh -c 'echo three >&3; echo four >&4' 3>out 4>out4
  [ "$(<out)$(<out4)" = threefour ]
  [ "$("$LAY" run --rm --network none small sh -c 'ls /proc/self/fd | grep -cx 4; true' 3>out 4>out4)" = 0 ]
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null 3>&-
  "$LAY" exec --preserve-fds 1 c sh -c 'echo exec >&3' 3>out
  [ "$(<out)" = exec ]
  run "$LAY" run --rm --network none --preserve-fds 200 small true 3>out
  [ "$status" = 125 ]
  has "$output" "is not open"
  # Nothing is made then, and nothing replaced
  run "$LAY" run --name new --network none --preserve-fds 200 small true
  [ "$status" = 125 ]
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
  run "$LAY" run -d --replace --name c --network none --preserve-fds 200 small true
  [ "$status" = 125 ]
  has "$output" "is not open"
  [ "$("$LAY" inspect -f '{{.State.Running}}' c)" = true ]
}

@test "--attach shows the streams that are named, and logs have all" {
  [ "$("$LAY" run --name c --network none -a stdout small sh -c 'echo out; echo err >&2' 2>&1)" = out ]
  has "$("$LAY" logs c 2>&1)" err
  [ "$("$LAY" run --rm --network none -a stderr small sh -c 'echo out; echo err >&2' 2>&1)" = err ]
  [ "$(echo in | "$LAY" run --rm --network none -a stdin,stdout small cat)" = in ]
  refused 125 "none of stdin" "$LAY" run --rm -a stdwhat small true
  run "$LAY" run -d -a stdout small true
  [ "$status" = 125 ]
}

has_file() { "$LAY" exec c ls /ready; }

@test "all signals are handed on but those that are about lay itself" {
  command -v gcc >/dev/null || skip "gcc is not installed"
  gcc -static -O1 -o small/bin/await-signal -x c - <<'C'
#include <signal.h>
#include <unistd.h>
int main(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, 0);
  write(1, "ready\n", 6);
  return sigwaitinfo(&all, 0);
}
C
  "$LAY" import small waits >/dev/null
  local signal pid status
  for signal in ABRT ALRM CONT HUP INT IO PROF PWR QUIT RTMIN+3 RTMAX TERM TSTP USR1 USR2 VTALRM; do
    "$LAY" run --rm --name c --network none waits await-signal >ready 3>&- &
    pid=$!
    wait_until 10 test -s ready
    kill -s "$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" = "$(kill -l "$signal")" ] || { echo "$signal: $status"; return 1; }
    rm ready
  done
}

@test "SIGWINCH that somebody sends reaches a command without a terminal" {
  "$LAY" run --name c --network none small sh -c 'trap "exit 9" WINCH; touch /ready; while :; do sleep 0.1; done' 3>&- &
  local pid=$! status=0
  wait_until 10 has_file
  kill -WINCH "$pid"
  wait "$pid" || status=$?
  [ "$status" = 9 ]
}

@test "--sig-proxy=false keeps signals from the command" {
  "$LAY" run --name c --network none --sig-proxy=false small sh -c 'trap "exit 9" TERM; touch /ready; while :; do sleep 0.1; done' 3>&- &
  local pid=$!
  wait_until 10 has_file
  kill -TERM "$pid"
  sleep 0.5
  [ "$("$LAY" inspect -f '{{.State.Status}}' c)" = running ]
  "$LAY" kill -s TERM c >/dev/null
  local status=0
  wait "$pid" || status=$?
  [ "$status" = 9 ]
}

@test "--replace takes the place of the container of that name, running or not, and of no other" {
  "$LAY" run -d --name c --network none small sleep 1000 >id1
  refused 125 "already in use" "$LAY" run -d --name c --network none small sleep 1000
  "$LAY" run -d --name c --replace --network none small sleep 1000 >id2
  [ "$("$LAY" inspect -f '{{.Id}}' c)" = "$(<id2)" ]
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
  "$LAY" stop -t 0 c >/dev/null
  [ "$("$LAY" run --rm --name c --replace --network none small echo hi)" = hi ]
  "$LAY" run --rm --name new --replace --network none small true
  # An id is no name
  "$LAY" run -d --name other --network none small sleep 1000 >id
  "$LAY" run --rm --replace --name "$(head -c 12 id)" --network none small true
  [ "$("$LAY" inspect -f '{{.State.Running}}' other)" = true ]
  run "$LAY" run --replace small true
  [ "$status" = 125 ]
  has "$output" "goes with --name"
}

@test "several that replace one another at once all run, and the last of them stays" {
  local pids=() pid
  for _ in 1 2 3 4; do
    "$LAY" run -d --name c --replace --network none small sleep 1000 >/dev/null 2>>told 3>&- &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || { cat told; return 1; }; done
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
  [ "$("$LAY" inspect -f '{{.State.Running}}' c)" = true ]
}

@test "--replace takes no container away whose namespaces the new one would join" {
  "$LAY" run -d --name c --network none --ipc shareable small sleep 1000 >/dev/null
  local joined
  for joined in "--network container:c" "--network none --pid container:c" "--network none --ipc container:c"; do
    # shellcheck disable=SC2086
    refused 125 "namespaces are to be joined" "$LAY" run -d --replace --name c $joined small sleep 1000
    [ "$("$LAY" inspect -f '{{.State.Running}}' c)" = true ]
  done
}

@test "--rmi leaves the name alone when it means another image by then" {
  "$LAY" run --rmi --name c --network none small sh -c 'touch /ready; sleep 1000' 2>told 3>&- &
  local pid=$!
  wait_until 10 has_file
  head -c 20000 /dev/urandom >small/more
  "$LAY" import -q ./small other:1 >/dev/null
  "$LAY" rmi -f small >/dev/null
  "$LAY" tag other:1 small
  "$LAY" kill c >/dev/null
  wait "$pid" || true
  has "$(<told)" "is another image by now"
  "$LAY" exists --type image small
}

@test "--rmi removes the image with the container, unless another needs it" {
  "$LAY" run --name other --network none small true
  [ "$("$LAY" run --rmi --network none small echo hi 2>told)" = hi ]
  grep -q "is used by other" told
  "$LAY" exists --type image small
  "$LAY" rm other >/dev/null
  run "$LAY" run --rmi --network none small sh -c 'exit 3'
  [ "$status" = 3 ]
  run "$LAY" exists --type image small
  [ "$status" = 1 ]
  [ -z "$("$LAY" ps -aq)" ]
  run "$LAY" run -d --rmi --network none small true
  [ "$status" = 125 ]
}

@test "run pulls as it is told: quietly, for another machine, over TLS alone, with credentials of a file" {
  start_registry "$world/registry"
  "$LAY" push -q small "$registry/small:1" 2>/dev/null || "$LAY" push small "$registry/small:1"
  "$LAY" run --rm -q --network none "$registry/small:1" echo hi >said 2>&1
  cat said
  [ "$(<said)" = hi ]
  "$LAY" rmi "$registry/small:1" >/dev/null
  run "$LAY" run --rm --network none --tls-verify "$registry/small:1" true
  [ "$status" = 125 ]
  "$LAY" run --rm --network none --tls-verify=false --os linux --arch amd64 "$registry/small:1" true
  run "$LAY" run --rm --network none --pull always --authfile nowhere "$registry/small:1" true
  [ "$status" = 125 ]
  has "$output" "auth file 'nowhere'"
  run "$LAY" run --rm --network none --platform linux/amd64 --arch arm64 small true
  [ "$status" = 125 ]
  has "$output" "--platform goes without"
  run "$LAY" pull --arch no/such "$registry/small:1"
  [ "$status" = 1 ]
  "$LAY" pull --os linux --arch amd64 "$registry/small:1" >/dev/null
}
