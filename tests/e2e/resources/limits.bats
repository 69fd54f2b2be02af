#!/usr/bin/env bats
# Limits that few containers have, on this machine's cgroups; guest.bats has those of cgroup v2.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() {
  close_disk
  leave_world
}

# group_of NAME CONTROLLER: the folder of its cgroup in a hierarchy of v1.
group_of() { echo "/sys/fs/cgroup/$2/lay/$("$LAY" inspect -f '{{.Id}}' "$1")"; }
# v1_of CONTROLLER: skips where that is not in a hierarchy of v1.
v1_of() { [[ -d /sys/fs/cgroup/$1 ]] || skip "the controller $1 is not v1's here"; }
milliseconds() { echo $((10#$(date +%s%N) / 1000000)); }

@test "v1: --device-write-bps and --device-read-bps slow direct access down, update changes it" {
  v1_of blkio
  open_disk ext4 64M
  local disk start
  disk=$(findmnt -no SOURCE "$world/disk")
  start=$(milliseconds)
  "$LAY" run -d --name slow --network none -v "$world/disk:/disk" --device-write-bps "$disk:1m" small sleep 1000 >/dev/null
  "$LAY" exec slow dd if=/dev/zero of=/disk/out bs=64k count=32 oflag=direct
  (($(milliseconds) - start > 1500))
  "$LAY" update --device-write-bps "$disk:0" --device-read-bps "$disk:1m" slow >/dev/null
  start=$(milliseconds)
  "$LAY" exec slow dd if=/dev/zero of=/disk/out bs=64k count=32 oflag=direct
  (($(milliseconds) - start < 1500))
  start=$(milliseconds)
  "$LAY" exec slow dd if=/disk/out of=/dev/null bs=64k iflag=direct
  (($(milliseconds) - start > 1500))
  [[ $("$LAY" stats --no-stream --format '{{.BlockIO}}' slow) == *MB\ /\ *MB ]]
  "$LAY" rm -f slow >/dev/null
}

@test "v1: --device-read-iops counts operations" {
  v1_of blkio
  open_disk ext4 64M
  local disk start
  disk=$(findmnt -no SOURCE "$world/disk")
  start=$(milliseconds)
  inside -v "$world/disk:/disk" --device-write-iops "$disk:10" -- 'dd if=/dev/zero of=/disk/out bs=4k count=20 oflag=direct'
  (($(milliseconds) - start > 1000))
}

@test "v1: --blkio-weight reaches BFQ, and is refused where no disk heeds it" {
  v1_of blkio
  grep -q '\[bfq\]' /sys/block/*/queue/scheduler && skip "a disk of this machine has BFQ already"
  refused 125 "heeds weights" "$LAY" run --rm --network none --blkio-weight 200 small true
  open_disk ext4 64M
  local disk
  disk=$(basename "$(findmnt -no SOURCE "$world/disk")")
  echo bfq >"/sys/block/$disk/queue/scheduler" || skip "this kernel has no BFQ"
  run inside --blkio-weight 200 --blkio-weight-device "/dev/$disk:300" -- 'cat /sys/fs/cgroup/blkio/blkio.bfq.weight /sys/fs/cgroup/blkio/blkio.bfq.weight_device'
  echo none >"/sys/block/$disk/queue/scheduler"
  has "$output" 200
  has "$output" "$(cat "/sys/block/$disk/dev") 300"
}

# Touches it in user space: a fault in the kernel, as of read(2), fails with EFAULT and waits for nobody.
takes_64_mb='BEGIN { s = "x"; while (length(s) < 64000000) s = s s }'

@test "v1: --memory-swappiness and --oom-kill-disable" {
  v1_of memory
  [ "$(inside --memory-swappiness 7 -- 'cat /sys/fs/cgroup/memory/memory.swappiness')" = 7 ]
  refused 125 "without --memory" "$LAY" run --rm --network none --oom-kill-disable small true
  "$LAY" run -d --name waits --network none -m 16m --memory-swap 16m --oom-kill-disable small \
    busybox awk "$takes_64_mb" >/dev/null
  wait_until 20 under_oom
  [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' waits)" = false ]
  "$LAY" stop -t 0 waits >/dev/null
}
under_oom() { grep -q "under_oom 1" "$(group_of waits memory)/memory.oom_control"; }

@test "K09: --cgroup-conf writes files of controllers only, and none that are lay's own" {
  v1_of memory
  [ "$(inside --cgroup-conf memory.soft_limit_in_bytes=8388608 -- 'cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes')" = 8388608 ]
  local file
  for file in memory.high=1m nosuch.file=1; do
    refused 125 "no cgroup of this machine" "$LAY" run --rm --network none --cgroup-conf "$file" small true
  done
  for file in devices.allow=a cgroup.procs=1 freezer.state=FROZEN cgroup.clone_children=1; do
    refused 125 "lay's own" "$LAY" run --rm --network none --cgroup-conf "$file" small true
  done
  for file in tasks=1 ../memory.max=1 memory/x.y=1 .x=1; do
    refused 125 "names no file" "$LAY" run --rm --network none --cgroup-conf "$file" small true
  done
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "v1: an update that is refused leaves every limit as it was, those too that the container never had" {
  v1_of blkio
  open_disk ext4 64M
  local disk before
  disk=$(findmnt -no SOURCE "$world/disk")
  "$LAY" run -d --name kept --network none --device-read-bps "$disk:3m" small sleep 1000 >/dev/null
  before=$(limits_of kept)
  refused 1 "memory.swappiness" "$LAY" update -m 32m --memory-swap 64m --memory-reservation 16m --cpus 0.5 \
    --cpu-shares 77 --cpuset-cpus 0 --pids-limit 5 --memory-swappiness 9 --oom-kill-disable \
    --device-read-bps "$disk:1m" --device-write-iops "$disk:10" --cgroup-conf cpu.cfs_burst_us=1000 \
    --cgroup-conf memory.swappiness=999 kept
  diff <(echo "$before") <(limits_of kept)
  # the same without what was refused is had
  "$LAY" update -m 32m --memory-swap 64m --memory-reservation 16m --cpus 0.5 --cpu-shares 77 --cpuset-cpus 0 \
    --pids-limit 5 --memory-swappiness 9 --oom-kill-disable --device-read-bps "$disk:1m" \
    --device-write-iops "$disk:10" --cgroup-conf cpu.cfs_burst_us=1000 kept >/dev/null
  [ "$(diff <(echo "$before") <(limits_of kept) | grep -c '^>')" -ge 11 ]
  before=$(limits_of kept)
  refused 1 "memory.swappiness" "$LAY" update --memory-swap -1 --cpus 1.5 --pids-limit -1 --device-read-bps "$disk:0" \
    --cgroup-conf memory.swappiness=999 kept
  diff <(echo "$before") <(limits_of kept)
}
limits_of() {
  local id
  id=$("$LAY" inspect -f '{{.Id}}' "$1")
  (cd /sys/fs/cgroup && grep -r '' */lay/"$id"/{cpu.*,cpuset.cpus,pids.max,memory.*limit*,memory.swappiness,memory.oom_control,blkio.throttle.*device} |
    grep -v 'cpu.stat' | sort)
}

@test "--hugetlb-limit reaches the cgroup, and a size that there is not is refused" {
  local file
  file=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.controllers -exec grep -l hugetlb {} + | head -n 1)
  [[ -n $file || -d /sys/fs/cgroup/hugetlb ]] || skip "this kernel has no hugetlb controller"
  "$LAY" run -d --name huge --network none --hugetlb-limit 2MB=64m small sleep 1000 >/dev/null
  grep -qxF 67108864 $(find /sys/fs/cgroup -path "*/lay/$("$LAY" ps -q --no-trunc)/hugetlb.2MB.*" \( -name '*.max' -o -name '*.limit_in_bytes' \))
  "$LAY" update --hugetlb-limit 2MB=32m huge >/dev/null
  grep -qxF 33554432 $(find /sys/fs/cgroup -path "*/lay/$("$LAY" ps -q --no-trunc)/hugetlb.2MB.*" \( -name '*.max' -o -name '*.limit_in_bytes' \))
  refused 125 "hugetlb" "$LAY" run --rm --network none --hugetlb-limit 3MB=64m small true
}

@test "K09: --cgroup-parent puts a container beneath a cgroup of yours, and takes away what it made" {
  local hierarchy=/sys/fs/cgroup parent=lay-test-$$ id
  [[ ! -d /sys/fs/cgroup/memory ]] || hierarchy=/sys/fs/cgroup/memory
  mkdir "$hierarchy/$parent"
  "$LAY" run -d --name placed --network none --cgroup-parent "/$parent/deep" -m 64m small sleep 1000 >/dev/null
  id=$("$LAY" ps -q --no-trunc)
  [ -d "$hierarchy/$parent/deep/$id" ]
  [ ! -d "$hierarchy/lay/$id" ]
  grep -qxF "$("$LAY" inspect -f '{{.State.Pid}}' placed)" "$hierarchy/$parent/deep/$id/cgroup.procs"
  # Everything finds it there.
  [ "$("$LAY" exec placed echo in)" = in ]
  [ "$("$LAY" top placed args | sed -n 2p)" = "sleep 1000" ]
  [ "$("$LAY" stats --no-stream --format '{{.PIDs}}' placed)" = 1 ]
  "$LAY" update --pids-limit 9 placed >/dev/null
  "$LAY" pause placed >/dev/null && "$LAY" unpause placed >/dev/null
  "$LAY" stop -t 0 placed >/dev/null
  [ ! -d "$hierarchy/$parent/deep" ]
  "$LAY" start placed >/dev/null
  [ -d "$hierarchy/$parent/deep/$id" ]
  "$LAY" rm -f placed >/dev/null
  [ -d "$hierarchy/$parent" ]
  rmdir "$hierarchy/$parent"
  [ -z "$(find /sys/fs/cgroup -name "$parent*")" ]
}

@test "K09: a parent that leads out of the hierarchy, or is none, is refused" {
  local path
  for path in .. ../x /x/../../y / // . $'a\nb'; do
    refused 125 "is no path of a cgroup" "$LAY" run --rm --network none --cgroup-parent "$path" small true
  done
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "kill -9 of the supervisor leaves nothing beneath a parent of the user's" {
  local parent=lay-test-$$
  "$LAY" run -d --name placed --network none --cgroup-parent "$parent" small sleep 1000 >/dev/null
  kill -9 "$(ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' placed)")"
  wait_until 20 ended
  "$LAY" start placed >/dev/null
  "$LAY" rm -f placed >/dev/null
  [ -z "$(find /sys/fs/cgroup -name "$parent")" ]
}
ended() { [ "$("$LAY" ps -q)" = "" ]; }

@test "--oom-score-adj is the command's own, for exec too and after a start, and not the supervisor's" {
  "$LAY" run -d --name first --network none --oom-score-adj 700 small sleep 1000 >/dev/null
  [ "$("$LAY" exec first cat /proc/1/oom_score_adj)" = 700 ]
  [ "$("$LAY" exec first cat /proc/self/oom_score_adj)" = 700 ]
  local pid
  pid=$("$LAY" inspect -f '{{.State.Pid}}' first)
  [ "$(cat "/proc/$(ps -o ppid= -p "$pid" | tr -d ' ')/oom_score_adj")" = "$(cat /proc/self/oom_score_adj)" ]
  "$LAY" stop -t 0 first >/dev/null
  "$LAY" start first >/dev/null
  [ "$("$LAY" exec first cat /proc/1/oom_score_adj)" = 700 ]
  "$LAY" rm -f first >/dev/null
  [ "$(inside --oom-score-adj 500 --userns auto -- 'cat /proc/self/oom_score_adj')" = 500 ]
  if (echo -500 >/proc/self/oom_score_adj) 2>/dev/null; then
    [ "$(inside --oom-score-adj -500 -- 'cat /proc/self/oom_score_adj')" = -500 ]
  else
    refused 125 "Permission denied" "$LAY" run --rm --network none --oom-score-adj -500 small true
  fi
  refused 125 "is not between" "$LAY" run --rm --network none --oom-score-adj 1001 small true
}

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
  ! "$LAY" run --rm --network none -v "$world/nodes:/nodes" --cap-add ALL tools head -c 1 /nodes/mem || return 1
  ! "$LAY" run --rm --network none -v "$world/nodes:/nodes" --cap-add ALL tools sh -c ': </nodes/fuse' || return 1
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
  ! grep -q "/lay/" "/proc/$supervisor/cgroup" || return 1
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
