#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# Properties of the runtime-spec that few bundles have, by lay-oci: each is seen in force, from inside the container, in
# /proc or in the files of its cgroups.

load world
load oci

setup() {
  open_oci_world
  others=()
  loop=
}

teardown() {
  ((${#others[@]} == 0)) || kill -9 "${others[@]}" 2>/dev/null || true
  local status=0
  close_oci_containers
  [[ -z $loop ]] || close_loop
  close_oci_world || status=$?
  return "$status"
}

# Before the loop device that their limits name.
close_oci_containers() {
  local id
  for id in $(oci list -q 2>/dev/null); do oci delete --force "$id" || true; done
}

# tools NAMES...: more of busybox for the bundle.
tools() {
  local name
  for name; do ln -sf busybox "bundle/rootfs/bin/$name"; done
}

# As `oci`, but what should have been refused and runs instead does not run for long.
briefly() { timeout -s KILL 20 "$OCI" --root "$world/state" "$@" 3>&-; }

# The bundle's container c1 runs in the background; what it says is in `out`.
detached() { briefly run --detach "$@" --bundle bundle c1 </dev/null >out 2>&1 || { cat out; return 1; }; }

# The bundle is run to its end.
once() { briefly run "$@" --bundle bundle c1 </dev/null; }

# fails WORDS...: the bundle's container is not to be had, and all of these are said; nothing is left of it.
fails() {
  run once
  [ "$status" -eq 1 ] || { echo "exit $status: $output"; return 1; }
  local word
  for word; do has "$output" "$word"; done
  [ -z "$(oci list -q)" ]
  [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
}

pid_of() { oci state "$1" | jq .pid; }

# value CONTROLLER FILE: what the container's group says there; of the hierarchy of v2 the controller is `unified`.
value() { cat "$(find "/sys/fs/cgroup/$1" -type d -name c1 | head -n 1)/$2"; }

# v1_of CONTROLLER [FILE]: skips where that is not in a hierarchy of v1, or its groups have no such file.
v1_of() {
  [[ -d /sys/fs/cgroup/$1 ]] || skip "the controller $1 is not v1's here"
  [[ -z ${2-} || -e /sys/fs/cgroup/$1/$2 ]] || skip "this kernel has no $2"
}

# open_loop: a block device of this test's own, whose number is then in $device.
open_loop() {
  truncate -s 1M loop.img
  loop=$(losetup --find --show "$world/loop.img")
  device=$(cat "/sys/block/${loop#/dev/}/dev")
}

# resources JSON: all that linux.resources has beside its devices.
resources() {
  edit "
import json
r = c['linux']['resources']
c['linux']['resources'] = {'devices': r['devices'], **json.loads('''$1''')}"
}

# The device is used again, and keeps the scheduler that it has.
close_loop() {
  echo none >"/sys/block/${loop#/dev/}/queue/scheduler"
  losetup --detach "$loop"
}

# update JSON: changes the limits of c1.
update() {
  echo "$1" >update.json
  briefly update --resources update.json c1
}

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

# grant_realtime: a group may have what its parent has, and the machine that the test sees has none at first.
grant_realtime() {
  v1_of cpu cpu.rt_runtime_us
  edit 'c["linux"]["cgroupsPath"] = "/c1"'
  [ "$(cat /sys/fs/cgroup/cpu/cpu.rt_runtime_us)" -gt 0 ] || echo 400000 >/sys/fs/cgroup/cpu/cpu.rt_runtime_us
}

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

# cfs: quota, period and burst of c1.
cfs() { echo "$(value cpu cpu.cfs_quota_us) $(value cpu cpu.cfs_period_us) $(value cpu cpu.cfs_burst_us)"; }

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

# seccomp

# answers ACTION [MORE]: what the profile answers to mkdir; MORE is further members of the profile.
answers() {
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': '$1'}], ${2-}}"
}

@test "seccomp: SCMP_ACT_TRAP and SCMP_ACT_KILL_PROCESS end the process by SIGSYS, the first one too" {
  small_bundle
  tools mkdir
  for action in SCMP_ACT_TRAP SCMP_ACT_KILL_PROCESS; do
    answers "$action"
    args sh -c 'mkdir /tmp/a; echo $?; exec mkdir /tmp/b'
    run once
    [ "$status" -eq 159 ]
    [ "${lines[-1]}" = 159 ]
    [ -z "$(ls bundle/rootfs/tmp)" ]
  done
}

@test "seccomp: a program can catch the signal of SCMP_ACT_TRAP" {
  small_bundle
  tools mkdir
  answers SCMP_ACT_TRAP
  cat >caught.c <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdio.h>
static void caught(int number, siginfo_t *info, void *context) {
  printf("%d %d\n", number == SIGSYS, info->si_syscall == SYS_mkdir);
  fflush(stdout);
}
int main(void) {
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, 0);
  syscall(SYS_mkdir, "/tmp/a", 0755);
  return 0;
}
C
  gcc -static -o bundle/rootfs/bin/caught caught.c
  args caught
  [ "$(once)" = "1 1" ]
}

# two_threads: a program one of whose threads calls mkdir; then the other one says that it is there.
two_threads() {
  cat >threads.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
static void *call(void *unused) {
  mkdir("/tmp/a", 0755);
  puts("the thread lives");
  return unused;
}
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, call, 0);
  pthread_join(thread, 0);
  puts("the process lives");
  return 3;
}
C
  gcc -static -pthread -o bundle/rootfs/bin/threads threads.c
  args threads
}

@test "seccomp: SCMP_ACT_KILL_THREAD and SCMP_ACT_KILL end the thread alone, SCMP_ACT_KILL_PROCESS all of them" {
  small_bundle
  two_threads
  for action in SCMP_ACT_KILL_THREAD SCMP_ACT_KILL; do
    answers "$action"
    run once
    [ "$status" -eq 3 ]
    [ "$output" = "the process lives" ]
  done
  answers SCMP_ACT_KILL_PROCESS
  run once
  [ "$status" -eq 159 ]
  [ -z "$output" ]
}

@test "seccomp: SCMP_ACT_TRACE answers ENOSYS where nobody traces" {
  small_bundle
  tools mkdir
  answers SCMP_ACT_TRACE
  args mkdir /tmp/a
  run once
  [ "$status" -eq 1 ]
  has "$output" "Function not implemented"
}

keeps_log() {
  dmesg | grep -q . || skip "this machine's kernel log cannot be read"
  grep -qw log /proc/sys/kernel/seccomp/actions_logged || skip "this machine logs no seccomp"
}

@test "seccomp: SCMP_ACT_LOG lets a call pass and the kernel tells of it" {
  keeps_log
  small_bundle
  tools mkdir
  answers SCMP_ACT_LOG
  args mkdir /tmp/a
  dmesg >before
  once
  [ -d bundle/rootfs/tmp/a ]
  wait_until 5 eval 'dmesg | diff before - | grep "type=1326.*comm=\"mkdir\".*syscall=83 .*code=0x7ffc0000"'
}

@test "seccomp: SECCOMP_FILTER_FLAG_LOG tells of calls that are refused, and without it nobody does" {
  keeps_log
  small_bundle
  tools mkdir
  args mkdir /tmp/a
  told() { dmesg | diff before - | grep -c 'type=1326.*comm="mkdir".*code=0x5'; }
  refused_call() {
    dmesg >before
    run once
    [ "$status" -eq 1 ]
    has "$output" "Operation not permitted"
  }
  answers SCMP_ACT_ERRNO
  refused_call
  sleep 0.5
  [ "$(told)" = 0 ]
  answers SCMP_ACT_ERRNO '"flags": ["SECCOMP_FILTER_FLAG_LOG"]'
  refused_call
  wait_until 5 eval '[ "$(told)" = 1 ]'
}

@test "seccomp: the kernel is given the flags that the profile has" {
  small_bundle
  args true
  for flags in TSYNC LOG SPEC_ALLOW TSYNC,LOG,SPEC_ALLOW; do
    answers SCMP_ACT_ERRNO "'flags': ['SECCOMP_FILTER_FLAG_' + name for name in '$flags'.split(',')]"
    timeout -s KILL 20 strace -f -qq -o calls -e trace=seccomp "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null 3>&-
    given=$(sed -n 's/.*seccomp(SECCOMP_SET_MODE_FILTER, \([^,]*\),.* = 0$/\1/p' calls)
    [ "$given" = "SECCOMP_FILTER_FLAG_${flags//,/|SECCOMP_FILTER_FLAG_}" ]
  done
}

@test "seccomp: SECCOMP_FILTER_FLAG_SPEC_ALLOW leaves speculation as it is on the host" {
  grep -q 'Speculation_Store_Bypass:.thread vulnerable' /proc/self/status || skip "no thread of this machine can change it"
  small_bundle
  args grep Speculation_Store_Bypass /proc/self/status
  answers SCMP_ACT_ERRNO '"flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]'
  [ "$(once)" = "$(grep Speculation_Store_Bypass /proc/self/status)" ]
}

# refused_signals CONDITIONS: those of five harmless signals that a shell cannot send itself where kill(2) is refused
# with these conditions on its arguments, of which the second is the signal.
refused_signals() {
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': ['kill'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38, 'args': [$1]}]}"
  once | xargs
}

@test "seccomp: each comparison is made as the spec names it" {
  small_bundle
  args sh -c 'for s in 0 17 18 23 28; do kill -$s $$ 2>/dev/null || echo $s; done'
  signal() { echo '{"index": 1, "op": "SCMP_CMP_'"$1"'", "value": '"$2"', "valueTwo": '"${3:-0}"'}'; }
  [ "$(refused_signals "$(signal NE 18)")" = "0 17 23 28" ]
  [ "$(refused_signals "$(signal LT 18)")" = "0 17" ]
  [ "$(refused_signals "$(signal LE 18)")" = "0 17 18" ]
  [ "$(refused_signals "$(signal EQ 18)")" = 18 ]
  [ "$(refused_signals "$(signal GE 18)")" = "18 23 28" ]
  [ "$(refused_signals "$(signal GT 18)")" = "23 28" ]
  # the value is the mask, valueTwo what shall be left
  [ "$(refused_signals "$(signal MASKED_EQ 3 1)")" = 17 ]
  [ "$(refused_signals "$(signal MASKED_EQ 20 20)")" = "23 28" ]
  # of several arguments all must hold, of one argument any
  [ "$(refused_signals "$(signal GE 18), {'index': 0, 'op': 'SCMP_CMP_EQ', 'value': 1}")" = "18 23 28" ]
  [ -z "$(refused_signals "$(signal GE 18), {'index': 0, 'op': 'SCMP_CMP_EQ', 'value': 7}")" ]
  [ "$(refused_signals "$(signal EQ 17), $(signal EQ 23)")" = "17 23" ]
}

@test "seccomp: an action for all calls but those that are named is that of each call, with its own error" {
  small_bundle
  tools mkdir
  calls=$(timeout -s KILL 20 strace -f -qq -e trace=all bundle/rootfs/bin/busybox true 2>&1 | grep -o '^[a-z_0-9]*' | sort -u | grep -v execve | sed 's/.*/"&"/' | paste -sd,)
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 122, 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': [$calls, 'execve', 'exit', 'exit_group', 'write', 'capset', 'capget', 'prctl', 'close_range', 'setgroups', 'setresgid', 'setresuid', 'getuid', 'fcntl', 'close', 'seccomp'], 'action': 'SCMP_ACT_ALLOW'}]}"
  args mkdir /tmp/a
  run once
  [ "$status" -eq 1 ]
  has "$output" "Disk quota exceeded" # which is what EDQUOT says
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

# own_users: a user namespace of the container's own.
own_users() {
  edit 'c["linux"]["namespaces"].append({"type": "user"})
c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 1000}]'
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

# devices

@test "devices of each type have their numbers, mode and owner, whatever umask lay was started under" {
  small_bundle
  edit "c['linux']['devices'] += [
  {'path': '/dev/zero2', 'type': 'c', 'major': 1, 'minor': 5, 'fileMode': 0o640, 'uid': 5, 'gid': 6},
  {'path': '/dev/zero3', 'type': 'u', 'major': 1, 'minor': 5, 'fileMode': 0o777, 'uid': 7, 'gid': 8},
  {'path': '/dev/deep/box', 'type': 'b', 'major': 4095, 'minor': 1048575, 'fileMode': 0o600, 'uid': 9, 'gid': 10},
  {'path': '/dev/pipe', 'type': 'p', 'fileMode': 0o622, 'uid': 11, 'gid': 12},
  {'path': '/dev/usual', 'type': 'c', 'major': 1, 'minor': 3}]"
  args stat -c '%n %F %t:%T %a %u:%g' /dev/zero2 /dev/zero3 /dev/deep/box /dev/pipe /dev/usual
  umask 077
  run once
  umask 022
  [ "$output" = "/dev/zero2 character special file 1:5 640 5:6
/dev/zero3 character special file 1:5 777 7:8
/dev/deep/box block special file fff:fffff 600 9:10
/dev/pipe fifo 0:0 622 11:12
/dev/usual character special file 1:3 666 0:0" ]
}

@test "devices work as what they are, as far as the rules of the group let them" {
  small_bundle
  edit "c['linux']['devices'] += [
  {'path': '/dev/zero2', 'type': 'u', 'major': 1, 'minor': 5},
  {'path': '/dev/kmsg2', 'type': 'c', 'major': 1, 'minor': 11},
  {'path': '/dev/box', 'type': 'b', 'major': 254, 'minor': 0},
  {'path': '/dev/pipe', 'type': 'p'}]"
  args sh -c 'head -c 3 /dev/zero2 | cat -v; echo; echo through >/dev/pipe & cat /dev/pipe; head -c 1 /dev/kmsg2; head -c 1 /dev/box'
  run once
  [ "${lines[0]}" = '^@^@^@' ]
  [ "${lines[1]}" = through ]
  [ "$(grep -c 'dev/kmsg2: Operation not permitted\|dev/box: Operation not permitted' <<<"$output")" = 2 ]
}

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

# mounts with ids of their own

# there COMMAND...: in the mount namespace of this test, which nobody else has.
there() { nsenter -t "$held" -m -- "$@"; }
hold_mounts() {
  unshare --mount --propagation private sleep 300 3>&- &
  held=$!
  others+=("$held")
  wait_until 5 eval '[ "$(cat "/proc/$held/comm")" = sleep ]'
}

# A tmpfs and one beneath it, in each a file of root and one of user 1.
two_floors() {
  hold_mounts
  mkdir floors
  there mount -t tmpfs upper "$world/floors"
  there mkdir "$world/floors/below"
  there mount -t tmpfs lower "$world/floors/below"
  for place in floors floors/below; do
    there touch "$world/$place/zero" "$world/$place/one"
    there chown 1:1 "$world/$place/one"
  done
}

# mapped OPTIONS MORE: the owners that a container sees of the four files, mounted with these options.
mapped() {
  edit "c['mounts'] = [m for m in c['mounts'] if m['destination'] != '/floors']
c['mounts'].append({'destination': '/floors', 'type': 'bind', 'source': '$world/floors', 'options': [$1], $2})"
  there timeout -s KILL 20 "$OCI" --root "$world/state" run --bundle "$world/bundle" c1 </dev/null 2>&1 3>&- | xargs
}
maps="'uidMappings': [{'containerID': 0, 'hostID': 1000, 'size': 10}], 'gidMappings': [{'containerID': 0, 'hostID': 2000, 'size': 10}]"

@test "mounts: idmap is for the mount alone, ridmap for what lies beneath it too, by the mount's own ids" {
  small_bundle
  two_floors
  args stat -c '%u:%g' /floors/zero /floors/one /floors/below/zero /floors/below/one
  [ "$(mapped "'rbind'")" = "0:0 1:1 0:0 1:1" ]
  [ "$(mapped "'rbind', 'idmap'" "$maps")" = "1000:2000 1001:2001 0:0 1:1" ]
  [ "$(mapped "'rbind', 'ridmap'" "$maps")" = "1000:2000 1001:2001 1000:2000 1001:2001" ]
  # what is made there belongs to whom it is mapped from
  args sh -c 'id -u; touch /floors/made /floors/below/made'
  edit 'c["process"]["user"] = {"uid": 1001, "gid": 2001}'
  there chmod 777 "$world/floors" "$world/floors/below"
  [ "$(mapped "'rbind', 'ridmap'" "$maps")" = 1001 ]
  [ "$(there stat -c %u:%g "$world/floors/made" "$world/floors/below/made" | xargs)" = "1:1 1:1" ]
}

@test "mounts: idmap and ridmap take the ids of the container's user namespace where the mount has none" {
  small_bundle
  two_floors
  args stat -c '%u:%g' /floors/zero /floors/one /floors/below/zero /floors/below/one
  own_users
  mkdir bundle/rootfs/floors # which the container's root may not
  [ "$(mapped "'rbind'")" = "65534:65534 65534:65534 65534:65534 65534:65534" ]
  [ "$(mapped "'rbind', 'idmap'")" = "0:0 1:1 65534:65534 65534:65534" ]
  [ "$(mapped "'rbind', 'ridmap'")" = "0:0 1:1 0:0 1:1" ]
}

@test "mounts: idmap without a user namespace and without ids of its own is refused" {
  small_bundle
  mkdir data
  args true
  for option in idmap ridmap; do
    edit "c['mounts'] = [m for m in c['mounts'] if m['destination'] != '/data']
c['mounts'].append({'destination': '/data', 'type': 'bind', 'source': '$world/data', 'options': ['rbind', '$option']})"
    fails idmap "user namespace"
  done
}

# rootfsPropagation

# shared_bundle: the bundle on a shared tmpfs of this test's own mount namespace, and one more mount in its root.
shared_bundle() {
  small_bundle
  mkdir bundle/rootfs/{volume,later}
  args sleep 100
  hold_mounts
  mkdir shared
  there mount -t tmpfs shared "$world/shared"
  there cp -a "$world/bundle/rootfs" "$world/shared/"
  there mount --make-shared "$world/shared"
  there mount -t tmpfs volume "$world/shared/rootfs/volume"
  edit "c['root']['path'] = '$world/shared/rootfs'"
}

# propagates WORD: c1 runs with that rootfsPropagation; '' is none.
propagates() {
  edit "c['linux'].pop('rootfsPropagation', None)"
  [ -z "$1" ] || edit "c['linux']['rootfsPropagation'] = '$1'"
  there timeout -s KILL 20 "$OCI" --root "$world/state" run --detach --bundle "$world/bundle" c1 </dev/null >out 2>&1 3>&- ||
    { cat out; return 1; }
}

# ties_of PLACE: what binds the mount there to others, without their numbers: proc_pid_mountinfo(5), "optional fields".
ties_of() {
  awk -v place="$1" '$5 == place {for (i = 7; $i != "-"; i++) {sub(/:.*/, "", $i); print $i}}' "/proc/$(pid_of c1)/mountinfo" | sort | xargs
}

# later_seen: yes or no, whether a mount that is made on the host beneath the root comes into the container.
later_seen() {
  there mount -t tmpfs later "$world/shared/rootfs/later"
  grep -q ' /later .* - tmpfs later ' "/proc/$(pid_of c1)/mountinfo" && echo yes || echo no
  there umount "$world/shared/rootfs/later"
}

@test "rootfsPropagation: the root follows the host's mounts as a slave, or as the private one it does not" {
  shared_bundle
  for word in '' slave rslave; do
    propagates "$word"
    [ "$(ties_of /)" = master ]
    [ "$(later_seen)" = yes ]
    oci delete --force c1
  done
  for word in private rprivate; do
    propagates "$word"
    [ -z "$(ties_of /)" ]
    [ "$(later_seen)" = no ]
    oci delete --force c1
  done
}

@test "rootfsPropagation: a shared root shares within the container, and its mounts do not reach the host" {
  shared_bundle
  for word in shared rshared; do
    propagates "$word"
    has "$(ties_of /)" shared
    briefly exec --cap CAP_SYS_ADMIN c1 mount -t tmpfs inner /tmp
    has "$(ties_of /tmp)" shared
    [ -z "$(there grep ' - tmpfs inner ' /proc/self/mountinfo)" ]
    oci delete --force c1
  done
}

@test "rootfsPropagation: an unbindable root cannot be mounted elsewhere, as others can" {
  shared_bundle
  propagates private
  briefly exec --cap CAP_SYS_ADMIN c1 mount -o bind / /tmp
  oci delete --force c1
  for word in unbindable runbindable; do
    propagates "$word"
    [ "$(ties_of /)" = unbindable ]
    [ "$(later_seen)" = no ]
    run briefly exec --cap CAP_SYS_ADMIN c1 mount -o bind / /tmp
    [ "$status" -ne 0 ]
    has "$output" "Invalid argument"
    oci delete --force c1
  done
}

@test "rootfsPropagation: the words that begin with r are for what is mounted beneath the root as well" {
  shared_bundle
  for pair in slave:master rslave:master rprivate: rshared:shared runbindable:unbindable; do
    propagates "${pair%:*}"
    ties=$(ties_of /volume)
    oci delete --force c1
    [[ $ties == "${pair#*:}" || $ties == "${pair#*:} master" || $ties == "master ${pair#*:}" ]] ||
      { echo "${pair%:*}: '$ties'"; return 1; }
  done
}

@test "rootfsPropagation: of what is unbindable beneath the root paths can be read-only and masked" {
  shared_bundle
  there mkdir "$world"/shared/rootfs/volume/{here,there}
  edit "c['linux']['readonlyPaths'] = ['/volume/here']; c['linux']['maskedPaths'] = ['/volume/there']"
  propagates runbindable
  [ "$(ties_of /volume)" = unbindable ]
}

@test "rootfsPropagation: mounts of the bundle keep the ties that their own options give them" {
  shared_bundle
  mkdir source
  there mount -t tmpfs source "$world/source"
  there mount --make-shared "$world/source"
  there mkdir "$world/source/late"
  edit "c['mounts'] += [{'destination': '/' + word, 'type': 'bind', 'source': '$world/source', 'options': ['rbind', word]} for word in ('rprivate', 'rslave', 'rshared')]"
  for word in private shared slave; do
    propagates "$word"
    [ -z "$(ties_of /rprivate)" ]
    [ "$(ties_of /rslave)" = master ]
    [ "$(ties_of /rshared)" = shared ]
    there mount -t tmpfs late "$world/source/late"
    [ "$(grep -o ' /[a-z]*/late ' "/proc/$(pid_of c1)/mountinfo" | sort | xargs)" = "/rshared/late /rslave/late" ]
    there umount "$world/source/late"
    oci delete --force c1
  done
}

# Flags of run

@test "run --no-subreaper makes nobody a reaper, and what is orphaned is the container's first process's" {
  small_bundle
  args sh -c 'sh -c "sleep 100 & echo \$!" >/tmp/orphan; exec sleep 100'
  timeout -s KILL 20 strace -f -qq -o calls -e trace=prctl "$OCI" --root "$world/state" run --no-subreaper --detach --bundle bundle c1 </dev/null >out 2>&1 3>&- &
  others+=($!)
  wait_until 10 test -s bundle/rootfs/tmp/orphan
  grep -q PR_SET_PDEATHSIG calls # it has been looked at
  [ "$(grep -c PR_SET_CHILD_SUBREAPER calls)" = 0 ]
  [ "$(briefly exec c1 sh -c 'read -r pid name state parent rest </proc/$(cat /tmp/orphan)/stat; echo $parent')" = 1 ]
  oci delete --force c1
}

@test "run --no-pivot keeps the mounts of the bundle, and exec finds the same root" {
  small_bundle
  args sleep 100
  mkdir data
  echo given >data/file
  edit "c['root']['readonly'] = True
c['mounts'].append({'destination': '/data', 'type': 'bind', 'source': '$world/data', 'options': ['bind', 'ro']})"
  detached --no-pivot
  [ "$(briefly exec c1 cat /data/file)" = given ]
  run briefly exec c1 touch /data/x /x
  [ "$(grep -c 'Read-only file system' <<<"$output")" = 2 ]
  [ "$(briefly exec c1 ls / | xargs)" = "bin data dev etc proc root run sys tmp" ]
}

@test "exec --preserve-fds hands on as many descriptors as asked for, and no others" {
  small_bundle
  args sleep 100
  detached
  echo three >three
  echo four >four
  [ "$(timeout -s KILL 20 "$OCI" --root "$world/state" exec --preserve-fds 2 c1 sh -c 'cat <&3; cat <&4; ls /proc/self/fd' 3<three 4<four 5<four | xargs)" = "three four 0 1 2 3 4 5" ] # 5 is the folder that ls reads
  [ "$(timeout -s KILL 20 "$OCI" --root "$world/state" exec c1 ls /proc/self/fd 3<three 4<four | xargs)" = "0 1 2 3" ]
}

@test "create --preserve-fds keeps descriptors until start" {
  small_bundle
  echo kept >kept
  args sh -c 'cat <&3 >/tmp/seen'
  timeout -s KILL 20 "$OCI" --root "$world/state" create --preserve-fds 1 --bundle bundle c1 3<kept </dev/null >out 2>&1
  briefly start c1
  wait_until 5 grep -qx kept bundle/rootfs/tmp/seen
}

@test "run --keep hands the exit code on, and its name is taken until delete" {
  small_bundle
  args sh -c 'exit 7'
  run once --keep
  [ "$status" -eq 7 ]
  [ "$(status_of c1)" = stopped ]
  run once
  [ "$status" -eq 1 ]
  has "$output" c1
  [ "$(status_of c1)" = stopped ]
  oci delete c1
  [ -z "$(oci list -q)" ]
}

# The process

@test "personality: LINUX32 is in force for the first process and for exec, and flags, which the spec has none of, are refused" {
  small_bundle
  tools uname
  args sleep 100
  edit 'c["linux"]["personality"] = {"domain": "LINUX32"}'
  detached
  [ "$(cat "/proc/$(pid_of c1)/personality")" = 00000008 ]
  [ "$(briefly exec c1 cat /proc/self/personality)" = 00000008 ]
  [ "$(briefly exec c1 uname -m)" = i686 ]
  oci delete --force c1
  edit 'c["linux"]["personality"] = {"domain": "LINUX"}'
  detached
  [ "$(cat "/proc/$(pid_of c1)/personality")" = 00000000 ]
  oci delete --force c1
  edit 'c["linux"]["personality"] = {"domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]}'
  fails personality ADDR_NO_RANDOMIZE
}

cpus_of() { sed -n 's/^Cpus_allowed_list:\t*//p' "/proc/$1/status"; }

@test "execCPUAffinity: exec goes from the initial processors to the final ones, and the first process has all" {
  (($(nproc) > 1)) || skip "this machine has one processor"
  small_bundle
  args sleep 100
  edit 'c["process"]["execCPUAffinity"] = {"initial": "0", "final": "1"}'
  detached
  [ "$(cpus_of "$(pid_of c1)")" = "$(cpus_of self)" ]
  timeout -s KILL 20 strace -f -qq -o calls -e trace=sched_setaffinity,write "$OCI" --root "$world/state" exec c1 cat /proc/self/status 3>&- >seen
  [ "$(sed -n 's/^Cpus_allowed_list:\t*//p' seen)" = 1 ]
  # before and after the groups are entered, to whose files a 0 is written
  [ "$(grep -oE 'sched_setaffinity\(0, [0-9]+, \[[0-9]\]|write\([0-9]+, "0", 1\)' calls | sed 's/.*\[/cpu /; s/]//; s/^write.*/enter/' | uniq | xargs)" = "cpu 0 enter cpu 1" ]
  jq -c '.process | .args = ["cat", "/proc/self/status"] | .execCPUAffinity = {final: "0"}' bundle/config.json >process.json
  briefly exec --process process.json c1 >seen
  [ "$(sed -n 's/^Cpus_allowed_list:\t*//p' seen)" = 0 ]
}

@test "execCPUAffinity: processors that there are not are told" {
  small_bundle
  args sleep 100
  detached
  jq -c '.process | .args = ["true"] | .execCPUAffinity = {final: "1000"}' bundle/config.json >process.json
  run briefly exec --process process.json c1
  [ "$status" -ne 0 ]
  has "$output" "processors '1000'"
  edit 'c["process"]["execCPUAffinity"] = {"initial": "1-0"}'
  oci delete --force c1
  fails execCPUAffinity 1-0
}

# may_raise: whether this machine's root has CAP_SYS_RESOURCE, for what is beyond lay's own limits.
may_raise() { ((0x$(sed -n 's/^CapEff:\t//p' /proc/self/status) & 1 << 24)); }

@test "oomScoreAdj is in force from the lowest to 1000, and where there is none it is that of lay's caller" {
  small_bundle
  args sleep 100
  score() { cat "/proc/$(pid_of c1)/oom_score_adj"; }
  lowest=-1000
  may_raise || lowest=$(cat /proc/self/oom_score_adj)
  for wanted in "$lowest" 444 1000; do
    edit "c['process']['oomScoreAdj'] = $wanted"
    detached
    [ "$(score)" = "$wanted" ]
    [ "$(briefly exec c1 cat /proc/self/oom_score_adj)" = "$wanted" ]
    oci delete --force c1
  done
  edit "del c['process']['oomScoreAdj']"
  (echo 345 >/proc/$BASHPID/oom_score_adj; detached)
  [ "$(score)" = 345 ]
  oci delete --force c1
  edit "c['process']['oomScoreAdj'] = 1001"
  fails 1001
}

@test "oomScoreAdj and rlimits that take a right which lay lacks are told with its name" {
  ! may_raise || skip "this machine's root may do that"
  small_bundle
  args true
  edit "c['process']['oomScoreAdj'] = -1000"
  fails "-1000" CAP_SYS_RESOURCE
  edit "del c['process']['oomScoreAdj']
c['process']['rlimits'] = [{'type': 'RLIMIT_RTPRIO', 'soft': 98, 'hard': 99}]"
  fails "RLIMIT_RTPRIO to 98:99" CAP_SYS_RESOURCE
}

@test "rlimits: all that the kernel has are in force, soft and hard, for a user without rights and for exec" {
  small_bundle
  args sleep 100
  # each with numbers of its own, which everybody may have: no hard limit is raised
  edit "
import resource
c['process']['rlimits'] = []
for i, name in enumerate('CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split()):
  now = resource.getrlimit(i)[1]
  hard = (1 << 30 | i) if now == -1 else max(now - 1, 0)
  c['process']['rlimits'].append({'type': 'RLIMIT_' + name, 'soft': max(min(1 << 29 | i, hard - 1), 0), 'hard': hard})
assert resource.RLIMIT_NICE == 13 and resource.RLIMIT_NOFILE == 7
if resource.getrlimit(resource.RLIMIT_CORE)[1] == -1: c['process']['rlimits'][4].update(soft=0, hard=18446744073709551615)
c['process']['user'] = {'uid': 5, 'gid': 6}"
  # a line of each, as /proc/PID/limits has it, without the names
  jq -r '.process.rlimits[] | "\(.soft) \(if .hard == 18446744073709551615 then "unlimited" else .hard end)"' bundle/config.json | sort >expected
  [ "$(wc -l <expected)" = 16 ]
  in_force() { sed 1d | cut -c27- | awk '{print $1, $2}' | sort; }
  detached
  diff expected <(in_force <"/proc/$(pid_of c1)/limits")
  diff expected <(briefly exec c1 cat /proc/self/limits | in_force)
}

@test "umask and additionalGids are in force for the first process, for exec, and by the file of --process" {
  small_bundle
  args sh -c 'umask; id -G; touch /tmp/made; exec sleep 100'
  mkdir -p bundle/rootfs/tmp
  chmod 1777 bundle/rootfs/tmp
  edit "c['process']['user'] = {'uid': 5, 'gid': 6, 'umask': 0o077, 'additionalGids': [7, 70000]}"
  briefly run --detach --bundle bundle c1 </dev/null >said 2>&1
  wait_until 5 test -e bundle/rootfs/tmp/made
  [ "$(xargs <said)" = "0077 6 7 70000" ]
  [ "$(stat -c '%a %u:%g' bundle/rootfs/tmp/made)" = "600 5:6" ]
  [ "$(briefly exec c1 sh -c 'umask; id -G' | xargs)" = "0077 6 7 70000" ]
  jq -c '.process | .args = ["sh", "-c", "umask; id -G"] | .user = {uid: 8, gid: 9, umask: 7, additionalGids: [10]}' bundle/config.json >process.json
  [ "$(briefly exec --process process.json c1 | xargs)" = "0007 9 10" ]
  jq -c '.process | .args = ["umask"] | .args = ["sh", "-c", "umask"] | .user = {uid: 8, gid: 9}' bundle/config.json >process.json
  [ "$(briefly exec --process process.json c1)" = 0022 ]
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
