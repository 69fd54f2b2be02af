#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: limits of blockIO, huge pages and processors, and
# the groups beside the process that is made.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# blockIO

# throttles RATE OF EACH LIST: blockIO of $device with the four lists in their order.
throttles() {
  jq -cn --arg device "$device" '
    ($device | split(":") | map(tonumber)) as [$major, $minor]
    | [["throttleReadBpsDevice", $ARGS.positional[0]], ["throttleWriteBpsDevice", $ARGS.positional[1]],
       ["throttleReadIOPSDevice", $ARGS.positional[2]], ["throttleWriteIOPSDevice", $ARGS.positional[3]]]
    | map({(.[0]): [{major: $major, minor: $minor, rate: (.[1] | tonumber)}]}) | {blockIO: add}' --args "$@"
}

throttles_now() {
  local file
  for file in read_bps write_bps read_iops write_iops; do value blkio "blkio.throttle.${file}_device"; done | xargs
}

@test "blockIO: each of the four throttles reaches its own file, and update changes and lifts it" {
  v1_of blkio
  open_loop
  small_bundle
  args sleep 100
  resources "$(throttles 1048576 2097152 300 400)"
  detached
  [ "$(throttles_now)" = "$device 1048576 $device 2097152 $device 300 $device 400" ]
  update "$(throttles 3145728 4194304 500 600)"
  [ "$(throttles_now)" = "$device 3145728 $device 4194304 $device 500 $device 600" ]
  update '{"blockIO": {"throttleWriteIOPSDevice": [{"major": '"${device%:*}"', "minor": '"${device#*:}"', "rate": 0}]}}'
  [ "$(throttles_now)" = "$device 3145728 $device 4194304 $device 500" ]
}

@test "blockIO: a throttle slows the container's reads down" {
  v1_of blkio
  open_loop
  small_bundle
  tools dd
  edit "c['linux']['devices'].append({'path': '/dev/box', 'type': 'b', 'major': ${device%:*}, 'minor': ${device#*:}})
c['linux']['resources']['devices'].append({'allow': True, 'type': 'b', 'major': ${device%:*}, 'minor': ${device#*:}, 'access': 'r'})"
  args dd if=/dev/box of=/dev/null bs=64k count=16 iflag=direct
  local start=${EPOCHREALTIME/./} free
  once
  free=$((${EPOCHREALTIME/./} - start))
  resources "$(throttles 524288 0 0 0)"
  start=${EPOCHREALTIME/./}
  once
  ((${EPOCHREALTIME/./} - start > 1500000 && free < 1500000))
}

@test "blockIO: a device that is not there is told" {
  v1_of blkio
  small_bundle
  args true
  device=250:77
  resources "$(throttles 1048576 0 0 0)"
  fails 250:77
}

@test "blockIO: weight and weightDevice reach BFQ, and are refused where no disk heeds them" {
  v1_of blkio
  grep -q '\[bfq\]' /sys/block/*/queue/scheduler && skip "a disk of this machine has BFQ already"
  open_loop
  small_bundle
  args sleep 100
  weights='{"blockIO": {"weight": 200, "weightDevice": [{"major": '"${device%:*}"', "minor": '"${device#*:}"', "weight": 300}]}}'
  resources "$weights"
  fails "heeds weights"
  detached_without_limits
  run update "$weights"
  [ "$status" -eq 1 ]
  has "$output" "heeds weights"
  echo bfq >"/sys/block/${loop#/dev/}/queue/scheduler" || skip "this kernel has no BFQ"
  update "$weights"
  [ "$(value blkio blkio.bfq.weight)" = 200 ]
  value blkio blkio.bfq.weight_device | grep -qx "$device 300"
  oci delete --force c1
  resources "$weights"
  detached
  [ "$(value blkio blkio.bfq.weight)" = 200 ]
  value blkio blkio.bfq.weight_device | grep -qx "$device 300"
}
detached_without_limits() {
  resources '{}'
  detached
}

@test "memory: what kernels have given up is refused by its name, and kernelTCP is v1's" {
  v1_of memory memory.kmem.tcp.limit_in_bytes
  small_bundle
  args true
  resources '{"memory": {"kernel": 33554432}}'
  fails memory.kernel
  resources '{"memory": {"useHierarchy": false}}'
  fails memory.useHierarchy
  args sleep 100
  resources '{"memory": {"kernel": -1, "kernelTCP": 33554432, "useHierarchy": true}}'
  detached
  [ "$(value memory memory.kmem.tcp.limit_in_bytes)" = 33554432 ]
}

@test "blockIO: a leaf weight, which kernels have had none of since 5.0, is refused by its name" {
  small_bundle
  args true
  resources '{"blockIO": {"leafWeight": 200}}'
  fails leafWeight
  resources '{"blockIO": {"weightDevice": [{"major": 7, "minor": 0, "leafWeight": 200}]}}'
  fails leafWeight
}

# hugepageLimits

@test "hugepageLimits are the group's, for pages and for reservations, and update changes them" {
  [[ -e /sys/kernel/mm/hugepages/hugepages-2048kB ]] || skip "this machine has no pages of 2 MB"
  small_bundle
  args sleep 100
  resources '{"hugepageLimits": [{"pageSize": "2MB", "limit": 67108864}, {"pageSize": "1GB", "limit": 1073741824}]}'
  detached
  huge() { cat $(find /sys/fs/cgroup -path "*/c1/hugetlb.$1*" \( -name '*.max' -o -name '*.limit_in_bytes' \)) | sort -u; }
  [ "$(huge 2MB)" = 67108864 ] # of both files, the reservations' too
  [ "$(huge 1GB)" = 1073741824 ]
  update '{"hugepageLimits": [{"pageSize": "2MB", "limit": 33554432}]}'
  [ "$(huge 2MB)" = 33554432 ]
  [ "$(huge 1GB)" = 1073741824 ]
}

# wants_huge_page: a program that asks for one page of 2 MB. Where the machine has none to give it is refused, too, but
# not by its group, which is asked first.
wants_huge_page() {
  cat >huge.c <<'C'
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
  mmap(0, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  return pause();
}
C
  gcc -static -o bundle/rootfs/bin/huge huge.c
  args huge
}

# asked_for_huge_page LIMIT: c1 runs with that limit, and has asked.
asked_for_huge_page() {
  resources '{"hugepageLimits": [{"pageSize": "2MB", "limit": '"$1"'}]}'
  detached
  wait_until 5 grep -q '^34 ' "/proc/$(pid_of c1)/syscall" # in pause(2)
}

@test "hugepageLimits are what the kernel refuses pages by" {
  grep -q hugetlb /sys/fs/cgroup/unified/cgroup.controllers || skip "the controller hugetlb is not v2's here"
  small_bundle
  wants_huge_page
  asked_for_huge_page 67108864
  [ "$(value unified hugetlb.2MB.events)" = "max 0" ]
  oci delete --force c1
  asked_for_huge_page 1048576
  [ "$(value unified hugetlb.2MB.events)" = "max 1" ]
}

@test "events --stats counts the huge pages that were refused, as runc does" {
  grep -q hugetlb /sys/fs/cgroup/unified/cgroup.controllers || skip "the controller hugetlb is not v2's here"
  small_bundle
  wants_huge_page
  asked_for_huge_page 1048576
  briefly events --stats c1 >stats
  [ "$(jq '.data.hugetlb["2MB"].failcnt' stats)" = 1 ] || { jq -c .data.hugetlb stats; false; }
}

@test "hugepageLimits of a size that the machine lacks are refused" {
  small_bundle
  args true
  resources '{"hugepageLimits": [{"pageSize": "3MB", "limit": 67108864}]}'
  fails 3MB
}

# cpu

@test "cpu: realtimeRuntime and realtimePeriod are in force, and update changes each and both" {
  small_bundle
  args sleep 100
  grant_realtime
  realtime() { echo "$(value cpu cpu.rt_runtime_us) $(value cpu cpu.rt_period_us)"; }
  resources '{"cpu": {"realtimeRuntime": 50000, "realtimePeriod": 500000}}'
  detached
  [ "$(realtime)" = "50000 500000" ]
  update '{"cpu": {"realtimeRuntime": 100000}}'
  [ "$(realtime)" = "100000 500000" ]
  update '{"cpu": {"realtimePeriod": 1000000}}'
  [ "$(realtime)" = "100000 1000000" ]
  briefly update --cpu-rt-runtime 40000 --cpu-rt-period 800000 c1
  [ "$(realtime)" = "40000 800000" ]
}

@test "cpu: realtimeRuntime and realtimePeriod become smaller together than one of them could alone" {
  small_bundle
  args sleep 100
  grant_realtime
  resources '{"cpu": {"realtimeRuntime": 300000, "realtimePeriod": 1000000}}'
  detached
  update '{"cpu": {"realtimeRuntime": 20000, "realtimePeriod": 200000}}'
  [ "$(value cpu cpu.rt_runtime_us) $(value cpu cpu.rt_period_us)" = "20000 200000" ]
}

@test "cpu: more realtime than the parent has is refused by its name" {
  small_bundle
  args true
  grant_realtime
  resources '{"cpu": {"realtimeRuntime": 990000, "realtimePeriod": 1000000}}'
  fails cpu.realtimeRuntime
}

@test "cpu: idle is in force, and update takes it back beside new shares" {
  v1_of cpu cpu.idle
  small_bundle
  args sleep 100
  resources '{"cpu": {"idle": 1}}'
  detached
  [ "$(value cpu cpu.idle)" = 1 ]
  update '{"cpu": {"idle": 0, "shares": 512}}'
  [ "$(value cpu cpu.idle) $(value cpu cpu.shares)" = "0 512" ]
  resources '{"cpu": {"idle": 2}}'
  oci delete --force c1
  fails "'idle' is 2"
}

@test "cpu: idle may stand beside shares from the first, as with runc" {
  v1_of cpu cpu.idle
  small_bundle
  args sleep 100
  resources '{"cpu": {"idle": 1, "shares": 512}}'
  detached
  [ "$(value cpu cpu.idle)" = 1 ]
}

@test "cpu: quota, period and burst are in force, and update changes each" {
  v1_of cpu cpu.cfs_burst_us
  small_bundle
  args sleep 100
  resources '{"cpu": {"quota": 50000, "period": 100000, "burst": 40000}}'
  detached
  [ "$(cfs)" = "50000 100000 40000" ]
  update '{"cpu": {"burst": 10000}}'
  [ "$(cfs)" = "50000 100000 10000" ]
  update '{"cpu": {"quota": 20000}}'
  [ "$(cfs)" = "20000 100000 10000" ]
  update '{"cpu": {"quota": 70000, "period": 200000, "burst": 60000}}'
  [ "$(cfs)" = "70000 200000 60000" ]
  briefly update --cpu-burst 0 c1
  [ "$(cfs)" = "70000 200000 0" ]
}

@test "cpu: a burst above the quota is refused, and the limits stay" {
  v1_of cpu cpu.cfs_burst_us
  small_bundle
  args sleep 100
  resources '{"cpu": {"quota": 50000, "burst": 60000}}'
  fails cpu.burst
  resources '{"cpu": {"quota": 50000, "burst": 30000}}'
  detached
  run update '{"cpu": {"quota": 60000, "burst": 70000}}'
  [ "$status" -eq 1 ]
  has "$output" cpu.burst
  [ "$(cfs)" = "50000 100000 30000" ]
}

@test "cpu: quota and burst become smaller together, though the old burst is above the new quota" {
  v1_of cpu cpu.cfs_burst_us
  small_bundle
  args sleep 100
  resources '{"cpu": {"quota": 50000, "period": 100000, "burst": 40000}}'
  detached
  update '{"cpu": {"quota": 20000, "burst": 5000}}'
  [ "$(cfs)" = "20000 100000 5000" ]
}

@test "cpu: quota and period become smaller together beneath a parent that has a limit" {
  v1_of cpu
  small_bundle
  args sleep 100
  mkdir /sys/fs/cgroup/cpu/lay-oci-parent
  echo 50000 >/sys/fs/cgroup/cpu/lay-oci-parent/cpu.cfs_quota_us
  edit 'c["linux"]["cgroupsPath"] = "/lay-oci-parent/c1"'
  resources '{"cpu": {"quota": 50000, "period": 100000}}'
  detached
  run update '{"cpu": {"quota": 25000, "period": 50000}}'
  now=$(cfs)
  oci delete --force c1
  rmdir /sys/fs/cgroup/*/lay-oci-parent 2>/dev/null || true
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  [ "$now" = "25000 50000 0" ]
}

# The groups beside the process that is made

@test "a limit that the kernel refuses is refused before anything has happened" {
  small_bundle
  rmdir bundle/rootfs/{proc,dev,sys}
  local hook='[{"path": "/bin/sh", "args": ["sh", "-c", "echo >>'"$world"'/of-hook"]}]'
  edit "c['hooks'] = {name: $hook for name in ('prestart', 'createRuntime', 'poststop')}"
  for limits in '{"cpu": {"cpus": "4000"}}' '{"unified": {"memory.nosuch": "1"}}' '{"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}' \
    '{"cpu": {"quota": 10000, "period": 100000, "burst": 20000}}' '{"pids": {"limit": 99999999}}' '{"devices": [{"allow": true, "type": "x"}]}'; do
    edit "c['linux']['resources'] = $(jq -c . <<<"$limits" | sed 's/true/True/g')"
    fails create || { echo "$limits"; return 1; }
    [ -z "$(cd bundle/rootfs && find proc dev sys 2>/dev/null)" ]
    [ ! -e of-hook ]
  done
}

@test "without cgroups none are made, whatever limits the bundle has" {
  small_bundle
  args true
  edit "c['linux']['resources']['memory'] = {'limit': 64000000}"
  strace -f -qq -o calls -e trace=mkdir,mkdirat "$OCI" --root "$world/state" --cgroup-manager disabled run --bundle bundle c1 </dev/null
  run grep -E 'cgroup|"lay/?"' calls
  [ "$status" -eq 1 ] || { echo "$output"; return 1; }
}

@test "what is copied into the container while it is made counts against its limit" {
  v1_of memory memory.limit_in_bytes
  small_bundle
  mkdir bundle/rootfs/data
  head -c 60M /dev/zero >bundle/rootfs/data/file
  edit "c['mounts'].append({'destination': '/data', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['tmpcopyup']})
c['linux']['resources']['memory'] = {'limit': 20000000, 'swap': 20000000}"
  args true
  fails create
}

@test "of two that make a container in one group, the one that fails leaves the other one alone" {
  small_bundle
  args sleep 100
  edit 'c["linux"]["cgroupsPath"] = "/lay-oci-test/shared"'
  for round in 1 2 3 4 5 6; do
    for id in c1 c2; do
      { briefly create --bundle bundle "$id" </dev/null >"$id.out" 2>&1 && echo 0 >"$id.exit" || echo 1 >"$id.exit"; } 3>&- &
    done
    wait
    for id in c1 c2; do
      [ "$(cat "$id.exit")" = 1 ] || [ "$(oci state "$id" | jq -r .status)" = created ]
      oci delete --force "$id"
    done
  done
  [ -z "$(find /sys/fs/cgroup -type d -path '*/lay-oci-test/shared')" ]
}

@test "a group that was there without processors gets those of the group above" {
  v1_of cpuset cpuset.cpus
  small_bundle
  local group="/sys/fs/cgroup/cpuset/lay-bats-$$"
  mkdir "$group"
  edit "c['linux']['cgroupsPath'] = '/lay-bats-$$'"
  args grep Cpus_allowed_list /proc/self/status
  run once
  rmdir "$group" 2>/dev/null || true
  [ "$status" -eq 0 ]
  [ "$(cut -f 2 <<<"$output")" = "$(cat /sys/fs/cgroup/cpuset/cpuset.cpus)" ]
}
