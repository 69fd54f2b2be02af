#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: the flags of run, and the process.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

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

@test "execCPUAffinity: exec goes from the initial processors to the final ones, and the first process has all" {
  (($(nproc) > 1)) || skip "this machine has one processor"
  small_bundle
  args sleep 100
  edit 'c["process"]["execCPUAffinity"] = {"initial": "0", "final": "1"}'
  detached
  [ "$(cpus_of "$(pid_of c1)")" = "$(cpus_of self)" ]
  timeout -s KILL 20 strace -f -y -qq -o calls -e trace=sched_setaffinity,write "$OCI" --root "$world/state" exec c1 cat /proc/self/status 3>&- >seen
  [ "$(sed -n 's/^Cpus_allowed_list:\t*//p' seen)" = 1 ]
  # before and after the groups are entered, to whose files a 0 is written: but that of pids, which has no say in it
  [ "$(grep -v '/pids/' calls | grep -oE 'sched_setaffinity\(0, [0-9]+, \[[0-9]\]|write\([0-9]+<[^>]*/(tasks|cgroup.procs)>, "0", 1\)' | sed 's/.*\[/cpu /; s/]//; s/^write.*/enter/' | uniq | xargs)" = "cpu 0 enter cpu 1" ]
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
