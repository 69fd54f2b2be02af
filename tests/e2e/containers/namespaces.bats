#!/usr/bin/env bats
# Namespaces that a container shares with the host or with another container, and clocks of its own.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

pid_of() { "$LAY" inspect "$1" | grep -m1 '"Pid":' | tr -dc 0-9; }
no_such_process() { ! pgrep -f "$1" >/dev/null; }

@test "namespaces of the host: pid, ipc with its /dev/shm, uts, cgroup" {
  [ "$(inside --pid host -- 'readlink /proc/self/ns/pid')" = "$(readlink /proc/self/ns/pid)" ]
  local shared
  shared=$(mktemp /dev/shm/lay-e2e.XXXXXX)
  run inside --ipc host -- "readlink /proc/self/ns/ipc; ls $shared"
  rm "$shared"
  has "$output" "$(readlink /proc/self/ns/ipc)"
  has "$output" "$shared"
  [ "$(inside --uts host -- 'hostname; echo $HOSTNAME' | sort -u)" = "$(hostname)" ]
  run inside --cgroupns host -- 'cat /proc/self/cgroup; ls /sys/fs/cgroup; touch /sys/fs/cgroup/*/x || echo kept'
  has "$output" ":/lay/"
  has "$output" kept
  refused 125 "needs a UTS namespace" "$LAY" run --rm --uts host -h x small true
  refused 125 "would change the host" "$LAY" run --rm --network none --ipc host --sysctl kernel.shmmax=1 small true
}

@test "with the host's processes a container still ends as a whole" {
  "$LAY" run -d --name h --pid host --network none small sh -c 'sleep 98761 & sleep 98762' >/dev/null
  wait_until 10 pgrep -f 'sleep 98761'
  "$LAY" stop -t 1 h
  wait_until 10 no_such_process 'sleep 9876[12]'
}

@test "--init without a pid namespace of its own waits for what the command leaves behind, and ends with the command" {
  local mode
  "$LAY" run -d --name other --network none small sleep 1000 >/dev/null
  for mode in host container:other; do
    "$LAY" run -d --name i --pid $mode --init --network none small \
      sh -c 'echo $PPID; sh -c "sleep 98764 & exec true"; sleep 0.5; exec sleep 98765' >/dev/null
    wait_until 10 pgrep -xf 'sleep 98765'
    local init orphan
    init=$(awk '/^PPid/ {print $2}' "/proc/$(pgrep -xf 'sleep 98765')/status")
    orphan=$(pgrep -xf 'sleep 98764')
    [ "$(cat "/proc/$init/comm")" = lay-init ]
    [ "$(awk '/^PPid/ {print $2}' "/proc/$orphan/status")" = "$init" ]
    kill -9 "$orphan"
    wait_until 10 test ! -e "/proc/$orphan" # no zombie stays
    "$LAY" stop -t 1 i >/dev/null
    wait_until 10 no_such_process 'sleep 9876[45]'
    "$LAY" rm -f i >/dev/null
  done
}

@test "namespaces of another container: its processes, its shared memory, its host name" {
  "$LAY" run -d --name a -h box --network none small sh -c 'echo shared >/dev/shm/f; sleep 98763' >/dev/null
  wait_until 10 "$LAY" exec a cat /dev/shm/f
  run inside --pid container:a --ipc container:a --uts container:a -- 'ps; cat /dev/shm/f; hostname; echo "<$HOSTNAME>"'
  for word in "sleep 98763" shared box "<box>"; do has "$output" "$word"; done
  refused 125 "would change the host" "$LAY" run --rm --network none --ipc container:a --sysctl kernel.shmmax=1 small true
  "$LAY" run -d --name p --ipc private --network none small sleep 100 >/dev/null
  refused 125 "keeps its ipc namespace to itself" "$LAY" run --rm --network none --ipc container:p small true
  "$LAY" run -d --name u --userns auto --network none small sleep 100 >/dev/null
  refused 125 "another user namespace" "$LAY" run --rm --network none --pid container:u small true
  refused 125 "another user namespace" "$LAY" run --rm --network none --userns auto --pid container:a small true
  "$LAY" stop -t 0 a
  refused 125 "is not running" "$LAY" run --rm --network none --pid container:a small true
  refused 125 "no container has the name" "$LAY" run --rm --network none --pid container:nobody small true
}

@test "N08: a namespace by path is a file of nsfs of the right type" {
  "$LAY" run -d --name a --network none small sleep 100 >/dev/null
  local ns
  ns=/proc/$(pid_of a)/ns
  run inside --pid "ns:$ns/pid" --ipc "ns:$ns/ipc" --uts "ns:$ns/uts" -- 'for n in pid ipc uts; do readlink /proc/self/ns/$n; done'
  [ "$output" = "$(readlink "$ns/pid" "$ns/ipc" "$ns/uts")" ]
  mkfifo "$world/fifo"
  refused 125 "is no pid namespace" "$LAY" run --rm --network none --pid "ns:$ns/net" small true
  refused 125 "is no namespace" "$LAY" run --rm --network none --pid ns:/etc/passwd small true
  refused 125 "is no namespace" "$LAY" run --rm --network none --pid "ns:$world/fifo" small true
  refused 125 "No such file" "$LAY" run --rm --network none --pid ns:/nowhere small true
  refused 125 "is not understood" "$LAY" run --rm --network none --pid everything small true
}

@test "a cgroup namespace is another container's, or one by its path" {
  "$LAY" run -d --name a --network none small sleep 100 >/dev/null
  local ns
  ns=$(readlink "/proc/$(pid_of a)/ns/cgroup")
  [ "$("$LAY" run --rm --network none --cgroupns container:a small readlink /proc/self/ns/cgroup)" = "$ns" ]
  [ "$("$LAY" run --rm --network none --cgroupns "ns:/proc/$(pid_of a)/ns/cgroup" small readlink /proc/self/ns/cgroup)" = "$ns" ]
  refused 125 "is not understood" "$LAY" run --rm --network none --cgroupns everything small true
}

@test "a time namespace is another container's, or one by its path, in exec too" {
  "$LAY" run -d --name a --network none --time boottime=100d small sleep 100 >/dev/null
  local ns
  ns=$(readlink "/proc/$(pid_of a)/ns/time")
  [ "$ns" != "$(readlink /proc/self/ns/time)" ]
  for mode in container:a "ns:/proc/$(pid_of a)/ns/time"; do
    run inside --time "$mode" -- 'readlink /proc/self/ns/time; cat /proc/uptime'
    has "$output" "$ns"
    ((${lines[1]%%.*} >= 8640000))
  done
  [ "$(inside --userns auto --time container:a -- 'readlink /proc/self/ns/time')" = "$ns" ]
  "$LAY" run -d --name b --network none --time container:a small sleep 100 >/dev/null
  [ "$("$LAY" exec b readlink /proc/self/ns/time)" = "$ns" ]
  [ "$(inside --time host -- 'readlink /proc/self/ns/time')" = "$(readlink /proc/self/ns/time)" ]
  [ "$(inside --time private -- 'readlink /proc/self/ns/time')" != "$(readlink /proc/self/ns/time)" ]
  refused 125 "is no time namespace" "$LAY" run --rm --network none --time "ns:/proc/$(pid_of a)/ns/net" small true
  refused 125 "'nobody'" "$LAY" run --rm --network none --time container:nobody small true
}

@test "--ipc none has no shared memory" {
  run inside --ipc none -- 'ls -d /dev/shm'
  [ "$status" -ne 0 ]
}

@test "K13: a time namespace shows other clocks, in exec and with a user namespace too" {
  local now
  now=$(cut -d. -f1 /proc/uptime)
  up() { local shown; shown=$("$@" | cut -d. -f1) && ((shown >= now + 8640000 && shown < now + 8640000 + 600)); }
  up inside --time monotonic=+3600s,boottime=100d -- 'cat /proc/uptime'
  up inside --userns auto --time boottime=100d -- 'cat /proc/uptime'
  "$LAY" run -d --name t --network none --time boottime=100d small sleep 100 >/dev/null
  up "$LAY" exec t cat /proc/uptime
  refused 125 "set the clock boottime" "$LAY" run --rm --network none --time boottime=-10000d small true
  refused 125 "is not understood" "$LAY" run --rm --network none --time realtime=1s small true
  [ "$(inside -- 'readlink /proc/self/ns/time')" = "$(readlink /proc/self/ns/time)" ]
}
