#!/usr/bin/env bats
# Devices, processes and memory: what a container cannot get at or run out of; guest.bats has the same of cgroup v2.

load world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

# group_of NAME CONTROLLER: the folder of its cgroup in a hierarchy of v1.
group_of() { echo "/sys/fs/cgroup/$2/lay/$("$LAY" inspect -f '{{.Id}}' "$1")"; }
# v1_of CONTROLLER: skips where that is not in a hierarchy of v1.
v1_of() { [[ -d /sys/fs/cgroup/$1 ]] || skip "the controller $1 is not v1's here"; }

# None of these may be made or opened, whatever capabilities there are; /dev/zero may.
closed='for each in b:8:0 c:1:1 c:10:200 c:10:229; do
  rest=${each#*:}
  mknod /dev/x ${each%%:*} ${rest%:*} ${rest#*:} 2>/dev/null && echo made $each
done; mknod /dev/zero2 c 1 5 && head -c 2 /dev/zero2 | wc -c; rm -f /dev/zero2'

@test "K10: no device but the ordinary ones is made or opened, for exec and after update too" {
  ln -sf busybox small/bin/mknod
  ln -sf busybox small/bin/wc
  "$LAY" import small tools >/dev/null
  [ "$("$LAY" run --rm --network none --cap-add MKNOD tools sh -c "$closed")" = 2 ]
  [ "$("$LAY" run --rm --network none --cap-add ALL tools sh -c "$closed")" = 2 ]
  "$LAY" run -d --name shut --network none --cap-add MKNOD tools sleep 1000 >/dev/null
  [ "$("$LAY" exec shut sh -c "$closed")" = 2 ]
  "$LAY" update --pids-limit 100 -m 64m shut >/dev/null
  [ "$("$LAY" exec shut sh -c "$closed")" = 2 ]
  [ "$("$LAY" exec --privileged shut sh -c "$closed")" = 2 ]
  mkdir nodes
  mknod nodes/mem c 1 1
  mknod nodes/fuse c 10 229
  ! "$LAY" run --rm --network none -v "$world/nodes:/nodes" --cap-add ALL tools head -c 1 /nodes/mem
  ! "$LAY" run --rm --network none -v "$world/nodes:/nodes" --cap-add ALL tools sh -c ': </nodes/fuse'
}

@test "K10: a device rule that cannot be read opens nothing" {
  v1_of devices
  "$LAY" run -d --name ruled --network none small sleep 1000 >/dev/null
  "$LAY" stop -t 0 ruled >/dev/null
  local config
  config=$LAY_ROOT/containers/$("$LAY" ps -aq --no-trunc)/config.json
  cp "$config" kept.json
  local change
  for change in '.linux.resources.devices[0].type = "x"' '.linux.resources.devices[1].access = ""' \
    '.linux.resources.devices[1].access = "rwx"' '.linux.resources.devices[1].access = "rwm\na"' \
    '.linux.resources.devices[1].major = -7' '.linux.resources.devices[1].major = "1"'; do
    jq "$change" kept.json >"$config"
    if "$LAY" start ruled >/dev/null 2>&1; then
      ! grep -qxF 'a *:* rwm' "$(group_of ruled devices)/devices.list" || { echo "all allowed after $change"; return 1; }
      "$LAY" stop -t 0 ruled >/dev/null
    fi
  done
  cp kept.json "$config"
  "$LAY" start ruled >/dev/null
}

@test "K11: a fork bomb stays inside, and the machine goes on" {
  v1_of pids
  "$LAY" run -d --name bomb --network none --pids-limit 50 small sh -c 'b() { b | b & }; b; sleep 1000' >/dev/null
  wait_until 20 bomb_is_full
  [ "$(echo alive)" = alive ]
  (($("$LAY" stats --no-stream --format '{{.PIDs}}' bomb) <= 50))
  "$LAY" rm -f bomb >/dev/null
  "$LAY" run -d --name plain --network none small sleep 1000 >/dev/null
  [ "$(cat "$(group_of plain pids)/pids.max")" = 2048 ]
}
bomb_is_full() { grep -qE '^max [1-9]' "$(group_of bomb pids)/pids.events"; }

@test "K11: memory ends with the container; its supervisor lives, and tells" {
  v1_of memory
  "$LAY" run -d --name greedy --network none -m 16m --memory-swap 16m small sh -c 'while :; do tail -c 64000000 /dev/zero; done' >/dev/null
  local supervisor
  supervisor=$(ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' greedy)" | tr -d ' ')
  wait_until 20 greedy_was_hit
  [ -d "/proc/$supervisor" ]
  ! grep -q "/lay/" "/proc/$supervisor/cgroup"
  "$LAY" stop -t 0 greedy >/dev/null
  [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' greedy)" = true ]
}
greedy_was_hit() { grep -qE '^oom_kill [3-9]' "$(group_of greedy memory)/memory.oom_control"; }

@test "K11: shared memory, files in tmpfs and descriptors have an end" {
  [ "$(inside -- 'dd if=/dev/zero of=/dev/shm/x bs=1024k count=70 2>/dev/null; stat -c %s /dev/shm/x')" = $((64 << 20)) ]
  [ "$(inside --shm-size 1m -- 'dd if=/dev/zero of=/dev/shm/x bs=64k count=70 2>/dev/null; stat -c %s /dev/shm/x')" = $((1 << 20)) ]
  [ "$(inside --ulimit nofile=64 -- 'ulimit -n; ulimit -n 65 2>/dev/null || echo shut' | tr '\n' ' ')" = "64 shut " ]
  run inside --tmpfs /small:nr_inodes=10 -- 'i=0; while (echo >/small/$i) 2>/dev/null; do i=$((i + 1)); done; echo $i'
  ((output < 10))
}
