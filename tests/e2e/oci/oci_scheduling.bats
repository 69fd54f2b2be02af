#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: scheduler and ioPriority.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# scheduler

# The first process as the host sees it.
chrt_of() { chrt -p "$(pid_of "$1")" | sed "s/^pid [0-9]*'s current //; s/^scheduling //"; }

# scheduled JSON: c1 sleeps by that scheduler.
scheduled() {
  edit "c['process']['scheduler'] = $1"
  detached
}

@test "scheduler: SCHED_OTHER and SCHED_BATCH with their nice values, and SCHED_IDLE, are in force" {
  small_bundle
  args sleep 100
  for pair in SCHED_OTHER:7 SCHED_OTHER:-7 SCHED_BATCH:-20 SCHED_BATCH:19 SCHED_IDLE:0; do
    scheduled "{'policy': '${pair%:*}', 'nice': ${pair#*:}}"
    grep -qx "policy: ${pair%:*}" <(chrt_of c1)
    [ "$(cut -d' ' -f19 "/proc/$(pid_of c1)/stat")" = "${pair#*:}" ]
    oci delete --force c1
  done
}

@test "scheduler: SCHED_FIFO and SCHED_RR with their priorities are in force where the group has time for them" {
  small_bundle
  args sleep 100
  grant_realtime
  resources '{"cpu": {"realtimeRuntime": 100000, "realtimePeriod": 1000000}}'
  for pair in SCHED_FIFO:1 SCHED_FIFO:99 SCHED_RR:42; do
    scheduled "{'policy': '${pair%:*}', 'priority': ${pair#*:}}"
    [ "$(chrt_of c1)" = "policy: ${pair%:*}"$'\n'"priority: ${pair#*:}" ]
    oci delete --force c1
  done
}

@test "scheduler: SCHED_FIFO in a group without time for it is told, and how to come by it" {
  v1_of cpu cpu.rt_runtime_us
  small_bundle
  args true
  edit "c['process']['scheduler'] = {'policy': 'SCHED_FIFO', 'priority': 10}"
  fails SCHED_FIFO "Operation not permitted" "hint: " cgroup
}

@test "scheduler: SCHED_DEADLINE is in force with its three times" {
  small_bundle
  args sleep 100
  scheduled "{'policy': 'SCHED_DEADLINE', 'runtime': 1000000, 'deadline': 50000000, 'period': 100000000}"
  grep -qx "policy: SCHED_DEADLINE" <(chrt_of c1)
  grep -qx "runtime/deadline/period parameters: 1000000/50000000/100000000" <(chrt_of c1)
}

@test "scheduler: times that cannot be are refused by the name of the policy" {
  small_bundle
  args true
  edit "c['process']['scheduler'] = {'policy': 'SCHED_DEADLINE', 'runtime': 90000000, 'deadline': 50000000, 'period': 100000000}"
  fails SCHED_DEADLINE "Invalid argument"
  edit "c['process']['scheduler'] = {'policy': 'SCHED_ISO'}" # which no kernel has
  fails SCHED_ISO "Invalid argument"
}

@test "scheduler: SCHED_FLAG_RESET_ON_FORK is for the first process alone" {
  small_bundle
  args sh -c 'sleep 100 & exec sleep 200'
  deadline="'SCHED_DEADLINE', 'runtime': 1000000, 'deadline': 50000000, 'period': 100000000"
  for policy in "'SCHED_BATCH', 'nice': -5" "$deadline"; do
    scheduled "{'policy': $policy, 'flags': ['SCHED_FLAG_RESET_ON_FORK']}"
    first=$(pid_of c1)
    wait_until 5 pgrep -P "$first"
    child=$(pgrep -P "$first")
    has "$(chrt -p "$first")" "|SCHED_RESET_ON_FORK"
    [[ $(chrt -p "$child") != *"|"* ]]
    [ "$policy" != "$deadline" ] || has "$(chrt -p "$child")" "policy: SCHED_OTHER"
    [ "$(cut -d' ' -f19 "/proc/$child/stat")" = 0 ]
    oci delete --force c1
  done
}

@test "scheduler: a command of exec has the container's, or that of its own process" {
  small_bundle
  args sleep 100
  scheduled "{'policy': 'SCHED_BATCH', 'nice': 4}"
  scheduling='cut -d" " -f19,41 /proc/self/stat'
  tools cut
  [ "$(briefly exec c1 sh -c "$scheduling")" = "4 3" ]
  jq -c --arg script "$scheduling" '.process | .args = ["sh", "-c", $script] | .scheduler = {policy: "SCHED_OTHER", nice: 9}' bundle/config.json >process.json
  [ "$(briefly exec --process process.json c1)" = "9 0" ]
}

# ioPriority

@test "ioPriority: each class and its priorities are in force, of the first process and of those of exec" {
  small_bundle
  tools ionice
  args sleep 100
  for triple in RT:0:realtime:\ prio\ 0 RT:7:realtime:\ prio\ 7 BE:0:best-effort:\ prio\ 0 BE:7:best-effort:\ prio\ 7 IDLE:0:idle; do
    IFS=: read -r class priority expected <<<"$triple"
    edit "c['process']['ioPriority'] = {'class': 'IOPRIO_CLASS_$class', 'priority': $priority}"
    detached
    [ "$(ionice -p "$(pid_of c1)")" = "$expected" ]
    has "$(briefly exec c1 ionice)" "${expected%:*}"
    oci delete --force c1
  done
}

@test "ioPriority: a command of exec may have its own" {
  small_bundle
  tools ionice
  args sleep 100
  detached
  jq -c '.process | .args = ["ionice"] | .ioPriority = {class: "IOPRIO_CLASS_BE", priority: 3}' bundle/config.json >process.json
  [ "$(briefly exec --process process.json c1)" = "best-effort: prio 3" ]
}

@test "ioPriority: a priority beyond 7 is refused" {
  small_bundle
  args true
  edit 'c["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 8}'
  fails "'priority' is 8"
}

@test "scheduler and ioPriority are had in a user namespace, too, whose root could not take them" {
  small_bundle
  args sleep 100
  own_users
  edit "c['process']['scheduler'] = {'policy': 'SCHED_BATCH', 'nice': -5}"
  detached
  [ "$(cut -d' ' -f19 "/proc/$(pid_of c1)/stat")" = -5 ]
  oci delete --force c1
  edit "del c['process']['scheduler']
c['process']['ioPriority'] = {'class': 'IOPRIO_CLASS_RT', 'priority': 1}"
  detached
  [ "$(ionice -p "$(pid_of c1)")" = "realtime: prio 1" ]
}

@test "the domain name can be a sysctl in a user namespace, too, whose root may not write the file" {
  small_bundle
  own_users
  edit "c['linux']['sysctl'] = {'kernel.domainname': 'by.sysctl'}"
  args cat /proc/sys/kernel/domainname
  [ "$(oci run --bundle bundle c1 </dev/null)" = by.sysctl ]
}
