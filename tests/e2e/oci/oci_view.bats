#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# What a container sees of its config.json: the same under lay-oci, runc and crun where these know a field, and what the
# runtime-spec says where Debian's are older than it.

load ../support/world
load ../support/oci

setup() { open_oci_world; }
teardown() { close_oci_world; }

full_bundle() {
  small_bundle
  sed -i 's/"1\.2\.0"/"1.0.2"/' bundle/config.json # which Debian's crun knows
  take_probe bundle/rootfs
  echo small >bundle/rootfs/etc/hostname
  touch bundle/rootfs/etc/hosts
  mkdir -p shared/below
  edit "
p, l = c['process'], c['linux']
p['args'] = ['sh', '/bin/probe']
p['user'] = {'uid': 5, 'gid': 6, 'umask': 0o027, 'additionalGids': [7, 8]}
p['cwd'] = '/srv/made'
p['env'] = ['PATH=/bin', 'SPACED=a  b', 'EMPTY=']
caps = ['CAP_KILL', 'CAP_NET_BIND_SERVICE', 'CAP_CHOWN', 'CAP_SYS_CHROOT']
p['capabilities'] = {'bounding': caps, 'effective': caps[:1], 'permitted': caps[:3], 'inheritable': caps[:2], 'ambient': caps[:1]}
p['rlimits'] = [{'type': 'RLIMIT_NOFILE', 'soft': 100, 'hard': 200}, {'type': 'RLIMIT_CORE', 'soft': 0, 'hard': 0}]
p['oomScoreAdj'] = 321
p['noNewPrivileges'] = True
c['hostname'] = 'inside'
c['root']['readonly'] = True
c['mounts'] += [
  {'destination': '/bound', 'type': 'bind', 'source': '$world/shared', 'options': ['rbind', 'ro', 'nosuid', 'noexec', 'nodev']},
  {'destination': '/made/by/mount', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['size=1m', 'mode=0700', 'noatime', 'nosuid']},
  {'destination': '/tmp', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['rw', 'strictatime']}]
l['maskedPaths'] = ['/proc/timer_list', '/sys/firmware', '/proc/nothing']
l['readonlyPaths'] = ['/proc/sys', '/proc/sysrq-trigger']
l['devices'] = [{'path': '/dev/box', 'type': 'c', 'major': 1, 'minor': 3, 'fileMode': 0o640, 'uid': 5, 'gid': 6}]
l['rootfsPropagation'] = 'rprivate'
l['sysctl'] = {'net.ipv4.ip_forward': '1', 'kernel.msgmax': '4096'}
l['resources'] = {'pids': {'limit': 77}, 'memory': {'limit': 67108864}}
l['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'], 'syscalls': [
  {'names': ['sethostname'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38}]}
"
  cat >>bundle/rootfs/bin/probe <<'SH'
say sysctls "$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax | tr '\n' ' ')"
say bound "$(ls /bound) $(touch /bound/x 2>&1)"
say made "$(grep ' /made/by/mount ' /proc/self/mounts | cut -d' ' -f3-)"
say root "$(touch /x 2>&1)"
say seccomp_answer "$(hostname other 2>&1)"
say limits "$(cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null)"
say propagation "$(grep ' / / ' /proc/self/mountinfo | grep -o 'shared:\|master:')"
say keyring "$(grep -c keyring /proc/keys 2>/dev/null | sed 's/[1-9].*/some/')"
SH
}

@test "a bundle with most of the fields shows the same view under lay-oci, runc and crun" {
  full_bundle
  oci run --bundle bundle c1 </dev/null >lay.seen
  runc --root "$world/runc" run --bundle bundle c1 </dev/null >runc.seen 3>&-
  by_crun run --bundle bundle c1 </dev/null >crun.seen 3>&-
  [ "$(seen_by lay | wc -l)" -ge 60 ]
  diff <(seen_by runc) <(seen_by lay)
  diff <(seen_by crun) <(seen_by lay)
  for line in 'Uid=5 5 5 5' 'Groups=7 8 ' 'CapAmb=0000000000000020' 'NoNewPrivs=1' 'hostname=inside' 'cwd=/srv/made' \
    'umask=0027' 'oom_score_adj=321' 'sysctls=1 4096 ' 'limits=77' 'dev:/dev/box=character special file 640 1:3' \
    'limit:Max open files=100 200' 'env:EMPTY=' 'env:SPACED=a  b' 'seccomp_answer=hostname: sethostname: Function not implemented'; do
    grep -qxF -- "$line" lay.seen || { echo "missing: $line"; cat lay.seen; return 1; }
  done
}

@test "fields that are newer than Debian's runtimes are in force" {
  small_bundle
  add_applets bundle/rootfs/bin ionice chrt uname grep cut stty
  edit "
p, l = c['process'], c['linux']
p['scheduler'] = {'policy': 'SCHED_BATCH', 'nice': 5}
p['ioPriority'] = {'class': 'IOPRIO_CLASS_BE', 'priority': 6}
p['execCPUAffinity'] = {'initial': '0', 'final': '0'}
l['personality'] = {'domain': 'LINUX32'}
l['namespaces'].append({'type': 'time'})
l['timeOffsets'] = {'monotonic': {'secs': 1000, 'nanosecs': 5}, 'boottime': {'secs': 900000000}}
c['domainname'] = 'inside.example'
c['mounts'].append({'destination': '/etc', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['tmpcopyup']})
p['args'] = ['sh', '-c', 'ionice; uname -m; cut -d. -f1 /proc/uptime; cat /proc/sys/kernel/domainname; cat /etc/passwd; cut -d\" \" -f19,41 /proc/self/stat; exec sleep 100']
"
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1 || { cat out; return 1; }
  wait_until 5 eval '[ "$(wc -l <out)" = 6 ]'
  [ "$(sed -n 1p out)" = "best-effort: prio 6" ]
  [ "$(sed -n 2p out)" = i686 ]
  [ "$(sed -n 3p out)" -ge 900000000 ]
  [ "$(sed -n 4p out)" = inside.example ]
  [ "$(sed -n 5p out)" = root:x:0:0:root:/root:/bin/sh ]
  [ "$(sed -n 6p out)" = "5 3" ] # SCHED_BATCH
  [ "$(oci exec c1 grep Cpus_allowed_list /proc/self/status | grep -o '[0-9,-]*$')" = 0 ]
}
