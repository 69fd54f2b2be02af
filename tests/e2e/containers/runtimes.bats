#!/usr/bin/env bats
# `lay run --runtime`: containers that another OCI runtime runs, with everything around them as always.

bats_require_minimum_version 1.5.0
load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

# needs RUNTIME: skips when it is not installed. with RUNTIME COMMAND...: `lay run` with it, on no network.
needs() { command -v "$1" >/dev/null || skip "$1 is not installed"; }
with() { "$LAY" run --runtime "$1" --network none "${@:2}"; }

# exchanges RUNTIME: a container's life, from its start in the background to its removal.
exchanges() {
  needs "$1"
  with "$1" -d --name c -e WORD=told small sh -c \
    'echo out; echo err >&2; trap "echo bye; exit 3" TERM; while :; do sleep 0.1; done' >/dev/null
  wait_until 5 said out
  run -0 "$LAY" exec c sh -c 'echo "$WORD $(id -u) $(hostname)"'
  [ "$output" = "told 0 $("$LAY" ps -q | cut -c1-12)" ]
  [ "$(printf 'through' | "$LAY" exec -i c cat)" = through ]
  [ "$("$LAY" exec -u user c id -u)" = 1000 ]
  [ "$("$LAY" exec -u 7:8 c id -g)" = 8 ]
  [ "$("$LAY" exec -w /tmp c sh -c pwd)" = /tmp ]
  [ "$("$LAY" inspect -f '{{.HostConfig.Runtime}}' c)" = "$(command -v "$1")" ]
  run -5 "$LAY" exec c sh -c 'exit 5'
  run -127 "$LAY" exec c nothing
  run -126 "$LAY" exec c /etc/passwd
  run -0 "$LAY" exec -d -e LATER=on c sh -c 'sleep 0.3; echo $LATER $(id -u) >/done'
  [ "$output" = "" ]
  wait_until 5 "$LAY" exec c test -s /done
  [ "$("$LAY" exec c cat /done)" = "on 0" ]
  [ "$(stat -c '%u:%g %a %F' /dev/null)" = "0:0 666 character special file" ]
  "$LAY" exec c rm /done
  run -127 "$LAY" exec -d c nothing
  [ "$("$LAY" stats --no-stream --format json c | jq -r '.[0].Name // .Name')" = c ]
  [ "$("$LAY" top c | wc -l)" -gt 1 ]
  "$LAY" pause c
  has "$("$LAY" ps)" Paused
  "$LAY" unpause c
  "$LAY" exec c touch /new
  "$LAY" stop c
  [ "$("$LAY" wait c)" = 3 ]
  has "$("$LAY" logs c 2>&1)" bye
  has "$("$LAY" logs c 2>&1 >/dev/null)" err
  [ "$("$LAY" diff c)" = "A /new" ]
  "$LAY" commit c with-new >/dev/null
  "$LAY" run --rm --network none with-new ls /new
  "$LAY" start c
  wait_until 5 "$LAY" exec c ls /new
  "$LAY" rm -f c
  [ -z "$(ls "$LAY_RUN/delegated")" ]
}
said() { "$LAY" logs c | grep -q "$1"; }

@test "runc runs a container from start to removal" { exchanges runc; }
@test "crun runs a container from start to removal, also on a machine with both versions of cgroups" { exchanges crun; }
@test "gVisor's runsc runs a container from start to removal" { exchanges runsc; }

# ends RUNTIME: how attached containers end.
ends() {
  needs "$1"
  run -7 with "$1" --rm small sh -c 'exit 7'
  run -143 with "$1" --rm small sh -c '(sleep 0.3; kill -TERM $$) & trap "exit 143" TERM; wait'
  [ "$(printf 'in' | with "$1" --rm -i small cat)" = in ]
  run -127 with "$1" --rm small nothing
  has "$output" "nothing"
  run -126 with "$1" --rm small /etc/passwd
  run -0 with "$1" --rm --read-only -v "$world/small:/there:ro" small sh -c 'ls /there; ! touch /x 2>/dev/null; ! touch /there/x 2>/dev/null'
  has "$output" bin
  [ -z "$("$LAY" ps -aq)" ]
  [ -z "$(ls "$LAY_RUN/delegated")" ]
}
@test "runc: exit codes, signals, input, commands that are not there" { ends runc; }
@test "crun: exit codes, signals, input, commands that are not there" { ends crun; }
@test "runsc: exit codes, signals, input, commands that are not there" { ends runsc; }

# has_terminal RUNTIME
has_terminal() {
  needs "$1"
  run -4 script -qec "'$LAY' run --rm -t --network none --runtime $1 small sh -c 'test -t 0 && echo seen; exit 4'" /dev/null </dev/null
  has "$output" seen
}
@test "runc has a terminal" { has_terminal runc; }
@test "crun has a terminal" { has_terminal crun; }
@test "runsc has a terminal" { has_terminal runsc; }

# on_bridge RUNTIME [FLAGS...]: a published port is reached, limits are lay's.
on_bridge() {
  needs "$1"
  "$LAY" run -d --name web --runtime "$@" -m 64m -p 127.0.0.1:0:80 small nc -ll -p 80 -e echo hello >/dev/null
  local port
  port=$("$LAY" port web 80 | sed 's/.*://')
  wait_until 10 answers "$port"
  [ "$(limit_of web)" = $((64 * 1024 * 1024)) ]
  "$LAY" update -m 48m web
  [ "$(limit_of web)" = $((48 * 1024 * 1024)) ]
  "$LAY" run --rm --network container:web small sh -c 'ip addr' | grep -q eth0
}
limit_of() {
  local group
  group=$(cut -d: -f2,3 "/proc/$("$LAY" inspect -f '{{.State.Pid}}' "$1")/cgroup" | sed -n 's/^memory://p')
  cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes"
}
answers() { [ "$(timeout 3 bash -c "exec 9<>/dev/tcp/127.0.0.1/$1 || exit; head -n 1 <&9" 2>/dev/null)" = hello ]; }
@test "runc: a published port is reached, and another container joins the network" { on_bridge runc; }
@test "crun: a published port is reached, and another container joins the network" { on_bridge crun; }
@test "runsc: a published port is reached through the container's own network" { on_bridge runsc --runtime-flag network=host; }

@test "the memory limit bites under runc and crun" {
  for runtime in runc crun; do
    needs "$runtime"
    run -137 with "$runtime" --name big -m 16m --memory-swap 16m small sh -c 'exec dd if=/dev/zero of=/dev/null bs=64M count=1'
    [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' big)" = true ]
    "$LAY" rm big
  done
}

@test "a container that joins others' namespaces does so under runc and crun" {
  "$LAY" run -d --name first --network none small sleep 100 >/dev/null
  for runtime in runc crun; do
    needs "$runtime"
    has "$(with "$runtime" --rm --pid container:first small ps)" "sleep 100"
    refused 125 "--ipc container" with "$runtime" --rm --ipc container:first small true
  done
}

@test "what another runtime cannot do is refused before anything is made" {
  needs runc
  refused 125 "no runtime 'nothing'" "$LAY" run --rm --runtime nothing small true
  refused 125 "--runtime-flag" "$LAY" run --rm --runtime-flag debug small true
  refused 125 "--init is lay's own" with runc --rm --init small true
  refused 125 "--landlock is lay's own" with runc --rm --landlock ro=/bin small true
  refused 125 "--userns" with runc --rm --userns auto small true
  run -125 with runc --rm --runtime-flag no-such-flag small true
  has "$output" "no-such-flag"
  [ -z "$("$LAY" ps -aq)" ]
  [ -z "$(ls "$LAY_RUN/delegated")" ]
}

# left_by_killed RUNTIME: rm and start clear what a killed supervisor left.
left_by_killed() {
  needs "$1"
  with "$1" -d --name c small sleep 100 >/dev/null
  local first supervisor
  first=$("$LAY" inspect -f '{{.State.Pid}}' c)
  supervisor=$(ps -o ppid= -p "$first")
  kill -9 "$supervisor"
  wait_until 5 ended "$supervisor"
  "$LAY" start c
  [ "$("$LAY" exec c echo alive)" = alive ]
  ended "$first"
  first=$("$LAY" inspect -f '{{.State.Pid}}' c)
  supervisor=$(ps -o ppid= -p "$first")
  kill -9 "$supervisor"
  wait_until 5 ended "$supervisor"
  "$LAY" rm -f c
  ended "$first"
  "$LAY" run --rm --network none small true  # whose end lets go of the layers
  [ -z "$(ls "$LAY_RUN/delegated")" ]
}
ended() { [[ ! -e /proc/$1/status ]] || grep -q '^State:.Z' "/proc/$1/status"; }
@test "what a killed supervisor left of a container of runc is cleared" { left_by_killed runc; }
@test "what a killed supervisor left of a container of crun is cleared" { left_by_killed crun; }
@test "what a killed supervisor left of a container of runsc is cleared" { left_by_killed runsc; }

# stops_paused RUNTIME
stops_paused() {
  needs "$1"
  with "$1" -d --name c small sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
  wait_until 5 said ready
  "$LAY" pause c
  timeout 20 "$LAY" stop c
  [ "$("$LAY" wait c)" = 3 ]
}
@test "stop lets a paused container go on: runc" { stops_paused runc; }
@test "stop lets a paused container go on: crun" { stops_paused crun; }
@test "stop lets a paused container go on: runsc" { stops_paused runsc; }

@test "stop ends a container whose runtime is gone, and rm clears it" {
  needs runc
  cp "$(command -v runc)" own-runtime
  with ./own-runtime -d --name c small sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
  rm own-runtime
  run "$LAY" exec -t c true
  [ "$status" -eq 125 ]
  has "$output" "own-runtime': No such file"
  timeout 20 "$LAY" stop -t 1 c
  [ "$("$LAY" wait c)" = 137 ]
  "$LAY" rm c
}

@test "a runtime that writes much before it creates the container does not stand in its own way" {
  needs runc
  printf '#!/bin/sh\nhead -c 300000 /dev/zero | tr "\\0" x >&2\nexec runc "$@"\n' >wordy
  chmod +x wordy
  [ "$(with ./wordy --rm small echo fine)" = fine ]
}

# exec_terminal RUNTIME: `exec -t` of somebody who has none has one inside, as under lay itself.
exec_terminal() {
  needs "$1"
  with "$1" -d --name c small sleep 100 >/dev/null
  run -0 eval '"$LAY" exec -t c sh -c "test -t 0 && echo told" </dev/null'
  has "$output" told
  run -9 eval '"$LAY" exec -t c sh -c "exit 9" </dev/null'
  run -127 eval '"$LAY" exec -t c nothing </dev/null'
  [ "$(echo typed | "$LAY" exec -it c sh -c 'read word; echo "<$word>"' | tr -d '\r' | grep -c '<typed>')" = 1 ]
}
@test "a privileged container runs under runsc, and so does exec --privileged" {
  needs runsc
  [ "$(with runsc --rm --privileged small echo fine)" = fine ]
  with runsc -d --name c small sleep 100 >/dev/null
  [ "$("$LAY" exec --privileged c echo fine)" = fine ]
}

@test "exec has a terminal though its caller has none: runc" { exec_terminal runc; }
@test "exec has a terminal though its caller has none: crun" { exec_terminal crun; }
@test "exec has a terminal though its caller has none: runsc" { exec_terminal runsc; }

@test "runsc gives its streams to nobody, and does not get the host's /dev/null for that" {
  needs runsc
  mknod null c 1 3
  export -f with
  unshare --mount bash -ec '
    mount --bind null /dev/null
    with runsc --rm small true </dev/null >/dev/null
    with runsc --rm -t small true </dev/null >/dev/null
    with runsc -d --name c small sleep 100 >/dev/null
    "$LAY" exec c true </dev/null >/dev/null
    "$LAY" exec -t c true </dev/null >/dev/null
    "$LAY" rm -f c >/dev/null'
  [ "$(stat -c %U null)" = root ]
}

@test "a container that its runtime cannot delete stays known" {
  needs crun
  real=$(command -v crun)
  printf '%s\n' '#!/bin/sh' "[ ! -e $world/stuck ] || case \" \$* \" in *' delete '*) exit 1 ;; esac" "exec $real \"\$@\"" >crun
  chmod +x crun
  with "$world/crun" -d --name c small sleep 100 >/dev/null
  touch stuck
  supervisor=$(ps -o ppid= "$("$LAY" inspect -f '{{.State.Pid}}' c)")
  kill -9 "$supervisor"
  run "$LAY" rm -f c
  [ "$status" != 0 ]
  [ -n "$(ls "$LAY_RUN/delegated")" ]
  rm stuck
  "$LAY" rm -f c
  "$LAY" run --rm --network none small true  # whose end lets go of the layers
  [ -z "$(ls "$LAY_RUN/delegated")" ]
}

@test "exec --privileged has every capability under another runtime too" {
  needs runc
  with runc -d --name c small sleep 100 >/dev/null
  has "$("$LAY" exec c cat /proc/self/status)" $'CapEff:\t00000000800405fb'
  has "$("$LAY" exec --privileged c cat /proc/self/status)" "$(grep '^CapEff:' /proc/self/status)"
}

@test "a supervisor that is killed before its container starts leaves nothing that runs on" {
  needs runc
  printf '#!/bin/sh\ncase " $* " in *" start "*) sleep 3 ;; esac\nexec runc "$@"\n' >slow
  chmod +x slow
  with ./slow --name c small sleep 777 >/dev/null 2>&1 3>&- &
  local supervisor=$!
  wait_until 10 is_running c
  local first
  first=$("$LAY" inspect -f '{{.State.Pid}}' c)
  kill -9 "$supervisor"
  "$LAY" stop -t 1 c
  ended "$first"
  "$LAY" rm c
  "$LAY" run --rm --network none small true
}
is_running() { [ "$("$LAY" inspect -f '{{.State.Status}}' "$1" 2>/dev/null)" = running ]; }

@test "a runtime whose create hangs is not waited for when lay is asked to end, and leaves nothing" {
  needs runc
  printf '#!/bin/sh\ncase " $* " in *" create "*) echo begun >>%s/begun; exec sleep 300 ;; esac\nexec runc "$@"\n' "$world" >hangs
  chmod +x hangs
  local signal
  for signal in TERM INT; do
    rm -f begun
    # A shell's children in the background ignore INT
    python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
      "$LAY" run --rm --network none --runtime ./hangs --name c small true >said 2>&1 3>&- &
    local running=$!
    wait_until 10 test -s begun
    kill -$signal "$running"
    wait_until 10 eval '[ ! -e /proc/'"$running"'/fd/1 ]'
    [ -z "$("$LAY" ps -aq)" ]
    [ -z "$(ls "$LAY_RUN/delegated")" ]
    [ -z "$(pgrep -f "^sleep 300$")" ]
  done
}

@test "a runtime whose create never ends but always says something is given up after a minute" {
  needs runc
  printf '#!/bin/sh\ncase " $* " in *" create "*) while :; do echo still here; sleep 0.2; done ;; esac\nexec runc "$@"\n' >talks
  chmod +x talks
  local begun=$SECONDS
  refused 125 "took longer than a minute" timeout -s KILL 90 "$LAY" run --rm --network none --runtime ./talks small true
  [ $((SECONDS - begun)) -ge 59 ]
  [ -z "$("$LAY" ps -aq)" ]
}

@test "a runtime that the limit of memory kills while it creates is told with that reason" {
  printf '#!/bin/sh\ncase " $* " in *" create "*) busybox tail -c 90000000 /dev/zero >/dev/null; kill -9 $$ ;; esac\nexit 1\n' >runsc
  chmod +x runsc
  run with ./runsc --rm -m 16m --memory-swap 16m small true
  [ "$status" -eq 125 ]
  has "$output" "limit of memory is too low"
}

# view RUNTIME|"": what probe.sh sees.
view() {
  "$LAY" run --rm ${1:+--runtime "$1"} --network none -h probe -e WORD=told -m 64m --ulimit nofile=100:200 \
    -v "$here/probe.sh:/probe.sh:ro" debian:12 sh /probe.sh 2>/dev/null | grep .
}

# How the hierarchies are put together, what covers a masked file, and a link to what is not there is each one's own.
common() { grep -vE '^(mount:(/sys/fs/cgroup(/|=)|/proc/(interrupts|keys|timer_list)=)|(dev|kind):/dev/core=)'; }

@test "a container sees the same under lay, runc and crun, field by field" {
  debian_image
  view "" >lay.txt
  [ "$(wc -l <lay.txt)" -gt 70 ]
  for runtime in runc crun; do
    needs "$runtime"
    view "$runtime" >"$runtime.txt"
    diff <(common <lay.txt) <(common <"$runtime.txt")
    for controller in memory pids cpu devices; do
      grep -q "^mount:/sys/fs/cgroup/$controller=cgroup ro" "$runtime.txt"
    done
  done
}

# What the kernel of gVisor does not show at all (fields of /proc/self/status, limits, domain, namespaces, statx of devices,
# writable parts of /proc) or has its own way (the file systems, what lies in /dev besides the standard nodes).
of_gvisor_too() {
  grep -vE '^((CapAmb|NoNewPrivs|Seccomp|SigBlk|SigIgn|domainname|ns:(mnt|uts|ipc|cgroup))=|limit:|mount:|dev:|path:/proc/)' |
    grep -vE '^kind:/dev/(core|fuse|mqueue|net)='
}

@test "a container of runsc sees what it sees under lay, field by field, but what gVisor's kernel does not have" {
  needs runsc
  debian_image
  view "" | of_gvisor_too >lay.txt
  [ "$(wc -l <lay.txt)" -gt 40 ]
  diff lay.txt <(view runsc | of_gvisor_too)
}
