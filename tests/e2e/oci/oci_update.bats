#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: events, and the update of a container that lives.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# events

@test "events come at each interval until the container ends, as what it takes grows" {
  small_bundle
  args sh -c 'sleep 1.5; x=$(head -c 9000000 /dev/zero | tr "\0" x); sleep 100'
  tools tr
  detached
  timeout -s KILL 20 "$OCI" --root "$world/state" events --interval 1s c1 3>&- | while read -r line; do
    echo "${EPOCHREALTIME/./} $line"
  done >events 2>&1 3>&- &
  local watching=$!
  sleep 3.6
  oci kill c1 KILL
  local killed=${EPOCHREALTIME/./}
  wait "$watching"
  ((${EPOCHREALTIME/./} - killed < 1500000))
  cut -d' ' -f2- events >lines
  (($(wc -l <lines) >= 3))
  [ "$(jq -r '.type + " " + .id' lines | sort -u)" = "stats c1" ]
  # of which each comes a second after the one before, as far as a busy machine lets it
  awk 'NR > 1 && ($1 - last < 700000 || $1 - last > 1400000) {bad = 1} {last = $1} END {exit bad}' events || { cut -c1-40 events; false; }
  (($(tail -n 1 lines | jq .data.memory.usage.max) > $(head -n 1 lines | jq .data.memory.usage.max) + 8000000))
}

@test "events --interval takes times as runc does, and refuses what is none" {
  small_bundle
  args sleep 100
  detached
  for interval in 0 x -1s; do
    run briefly events --interval="$interval" c1
    [ "$status" -ne 0 ]
    has "$output" "no interval"
  done
  (timeout -s KILL 1.3 "$OCI" --root "$world/state" events --interval 400ms c1 >events 2>&1 3>&-) || true
  (($(grep -c '"stats"' events) >= 3)) || { cat events; false; }
}

@test "events --stats tells once of limits and use as engines read them" {
  small_bundle
  args sh -c 'sleep 100 & sleep 200; true'
  resources '{"pids": {"limit": 33}, "memory": {"limit": 67108864}, "cpu": {"quota": 50000, "period": 100000},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}'
  detached
  wait_until 5 eval '[ "$(value pids pids.current)" = 3 ]'
  briefly events --stats c1 >stats
  [ "$(wc -l <stats)" = 1 ]
  [ "$(jq -c '.data | [.pids.current, .pids.limit, .memory.usage.limit, .memory.usage.failcnt]' stats)" = "[3,33,67108864,0]" ]
  [ "$(jq '.data.cpu.throttling | has("periods") and has("throttledPeriods") and has("throttledTime")' stats)" = true ]
  [ "$(jq '.data.cpu.usage.percpu | length' stats)" = "$(nproc --all)" ]
  [ "$(jq -c '.data.hugetlb["2MB"].usage' stats)" = 0 ]
  run briefly events --stats nobody
  [ "$status" -eq 1 ]
  has "$output" "does not exist"
}

@test "events tell of processes that were killed for want of memory" {
  small_bundle
  tools tail
  args sh -c 'sleep 1; tail -c 64000000 /dev/zero; sleep 100'
  resources '{"memory": {"limit": 16777216, "swap": 16777216}}'
  detached
  timeout -s KILL 20 "$OCI" --root "$world/state" events --interval 60s c1 >events 2>&1 3>&- &
  others+=($!)
  wait_until 10 grep -q '"oom"' events
  [ "$(grep '"oom"' events | jq -r .id)" = c1 ]
}

@test "a process that the limit of memory kills while it is made is told with that reason" {
  small_bundle
  resources '{"memory": {"limit": 65536}}'
  run "$OCI" --root "$world/state" run -b bundle c1
  [ "$status" -eq 1 ]
  has "$output" "limit of memory is too low"
}

# update

@test "update --resources: each limit of memory, processors and processes changes on a live container" {
  v1_of memory
  v1_of cpuset
  small_bundle
  args sleep 100
  detached
  update '{"memory": {"limit": 104857600, "swap": 209715200, "reservation": 52428800, "swappiness": 7, "disableOOMKiller": true},
    "cpu": {"shares": 333, "quota": 40000, "period": 80000, "burst": 10000, "cpus": "0", "mems": "0"}, "pids": {"limit": 55}}'
  [ "$(value memory memory.limit_in_bytes)" = 104857600 ]
  [ "$(value memory memory.memsw.limit_in_bytes)" = 209715200 ]
  [ "$(value memory memory.soft_limit_in_bytes)" = 52428800 ]
  [ "$(value memory memory.swappiness)" = 7 ]
  value memory memory.oom_control | grep -qx 'oom_kill_disable 1'
  [ "$(value cpu cpu.shares)" = 333 ]
  [ "$(cfs)" = "40000 80000 10000" ]
  [ "$(value cpuset cpuset.cpus) $(value cpuset cpuset.mems)" = "0 0" ]
  [ "$(cpus_of "$(pid_of c1)")" = 0 ]
  [ "$(value pids pids.max)" = 55 ]
  [ "$(briefly exec c1 cat /sys/fs/cgroup/pids/pids.max)" = 55 ]
  # What is not named stays; -1 lifts
  update '{"memory": {"swap": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}'
  (($(value memory memory.memsw.limit_in_bytes) > 1 << 50))
  [ "$(value memory memory.limit_in_bytes)" = 104857600 ]
  [ "$(value pids pids.max)" = max ]
  [ "$(cfs)" = "-1 80000 10000" ]
  [ "$(value cpu cpu.shares)" = 333 ]
}

@test "update --resources: the out-of-memory killer comes back where disableOOMKiller is false" {
  v1_of memory
  small_bundle
  args sleep 100
  resources '{"memory": {"limit": 104857600, "disableOOMKiller": true}}'
  detached
  value memory memory.oom_control | grep -qx 'oom_kill_disable 1'
  update '{"memory": {"disableOOMKiller": false}}'
  value memory memory.oom_control | grep -qx 'oom_kill_disable 0'
}

@test "update --resources: files of the groups by their names, in unified" {
  small_bundle
  args sleep 100
  detached
  update '{"unified": {"pids.max": "66", "memory.soft_limit_in_bytes": "4194304", "cgroup.max.descendants": "9"}}'
  [ "$(value pids pids.max)" = 66 ]
  [ "$(value memory memory.soft_limit_in_bytes)" = 4194304 ]
  [ "$(value unified cgroup.max.descendants)" = 9 ]
  run update '{"pids": {"limit": 5}, "unified": {"no.such": "1"}}'
  [ "$status" -eq 1 ]
  has "$output" no.such
  [ "$(value pids pids.max)" = 66 ]
}

@test "unified: the group's own files are written that move and stop nobody, and the others refused by their names" {
  small_bundle
  args sleep 100
  resources '{"unified": {"cgroup.max.depth": "4"}}'
  detached
  [ "$(value unified cgroup.max.depth)" = 4 ]
  local key
  for key in cgroup.freeze cgroup.kill cgroup.procs cgroup.threads cgroup.type cgroup.subtree_control; do
    run update "{\"unified\": {\"$key\": \"1\"}}"
    [ "$status" -eq 1 ]
    has "$output" "$key"
    [ "$(status_of c1)" = running ]
  done
  [ -e "$(find /sys/fs/cgroup/unified -type d -name c1)/cgroup.pressure" ] || skip "this kernel has no cgroup.pressure"
  update '{"unified": {"cgroup.pressure": "0"}}'
  [ "$(value unified cgroup.pressure)" = 0 ]
}

@test "update --resources: a limit that the container uses more than already is refused where that is asked for" {
  v1_of memory
  small_bundle
  tools tr
  args sh -c 'x=$(head -c 9000000 /dev/zero | tr "\0" x); echo >/tmp/full; sleep 100; echo $x'
  resources '{"memory": {"limit": 104857600}}'
  detached
  wait_until 10 test -e bundle/rootfs/tmp/full
  run update '{"memory": {"limit": 4194304, "checkBeforeUpdate": true}}'
  [ "$status" -eq 1 ]
  has "$output" "more than the new limit"
  [ "$(value memory memory.limit_in_bytes)" = 104857600 ]
}

@test "update --resources changes a container that is created or paused, and none that has ended" {
  small_bundle
  args sh -c 'sleep 100; true'
  briefly create --bundle bundle c1 </dev/null >out 2>&1
  update '{"pids": {"limit": 12}}'
  [ "$(value pids pids.max)" = 12 ]
  briefly start c1
  [ "$(value pids pids.max)" = 12 ]
  briefly pause c1
  update '{"pids": {"limit": 13}}'
  [ "$(value pids pids.max)" = 13 ]
  [ "$(status_of c1)" = paused ]
  briefly resume c1
  oci kill c1 KILL
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  run update '{"pids": {"limit": 14}}'
  [ "$status" -eq 1 ]
  has "$output" "not running"
}

@test "update --resources: a document that is none, or has a value that cannot be, changes nothing" {
  small_bundle
  args sleep 100
  resources '{"pids": {"limit": 21}}'
  detached
  for document in '{' '[]' '{"pids": {"limit": "x"}}' '{"pids": {"limit": 5}, "cpu": {"period": 1}}' '{"pids": {"limit": 5}, "cpu": {"mems": "77"}}'; do
    run update "$document"
    [ "$status" -ne 0 ] || { echo "accepted: $document"; return 1; }
    [ "$(value pids pids.max)" = 21 ]
  done
}

@test "update --resources: a limit of 0, which engines write for what nobody asked for, leaves the one that is there" {
  small_bundle
  args sleep 100
  resources '{"pids": {"limit": 44}, "memory": {"limit": 104857600}, "cpu": {"shares": 333, "quota": 40000, "period": 80000}}'
  detached
  update '{"pids": {"limit": 0}, "memory": {"limit": 0, "swap": 0, "reservation": 0}, "cpu": {"shares": 0, "quota": 0, "period": 0}}'
  [ "$(value memory memory.limit_in_bytes)" = 104857600 ]
  [ "$(value cpu cpu.shares) $(cfs)" = "333 40000 80000 0" ]
  [ "$(value pids pids.max)" = 44 ]
}
