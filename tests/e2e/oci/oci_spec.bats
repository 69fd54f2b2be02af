#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# What a config.json of the runtime-spec asks for beyond the everyday, by lay-oci: namespaces by path, the agent of a
# seccomp profile, devices, the life of groups and hooks.

load ../support/world
load ../support/oci

setup() {
  open_oci_world
  others=()
}

teardown() {
  ((${#others[@]} == 0)) || kill -9 "${others[@]}" 2>/dev/null || true
  close_oci_world
}

# hold FLAGS...: a process in new namespaces, whose number is then in $held.
hold() {
  unshare "$@" sleep 300 3>&- &
  held=$!
  others+=("$held")
  wait_until 5 eval '[ "$(cat "/proc/$held/comm" "/proc/$(pgrep -P $held)/comm" 2>/dev/null | tail -n 1)" = sleep ]'
}

# hold_users: the same in a new user namespace, whose root is 100000 on the host, and 200000 as a group.
hold_users() {
  hold --user
  echo "0 100000 65536" >/proc/$held/uid_map
  echo "0 200000 65536" >/proc/$held/gid_map
  path_of user /proc/$held/ns/user
}

# path_of TYPE PATH: the bundle's namespace of that type is the one at PATH.
path_of() {
  edit "n = c['linux']['namespaces']; n[:] = [e for e in n if e['type'] != '$1'] + [{'type': '$1', 'path': '$2'}]"
}

# The bundle's container c1 runs in the background; what it says is in `out`.
detached() { oci run --detach "$@" --bundle bundle c1 </dev/null >out 2>&1 || { cat out; return 1; }; }

inode_of() { readlink "/proc/$1/ns/$2"; }

@test "namespaces of every kind but user and mount, which come below, are joined by their path" {
  small_bundle
  hold --net --uts --ipc --cgroup --time --fork --pid --kill-child
  inner=$(pgrep -P "$held")
  others+=("$inner")
  for pair in network:net uts:uts ipc:ipc cgroup:cgroup time:time pid:pid; do
    path_of "${pair%:*}" "/proc/$inner/ns/${pair#*:}"
  done
  edit 'c.pop("hostname", None); c["linux"]["sysctl"] = {}
c["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "ls -l /proc/self/ns >'"$world"'/of-hook"], "env": ["PATH=/bin:/usr/bin"]}]}'
  args sleep 100
  detached
  pid=$(oci state c1 | jq .pid)
  for name in net uts ipc cgroup time pid; do [ "$(inode_of "$pid" $name)" = "$(inode_of "$inner" $name)" ]; done
  [ "$(inode_of "$pid" mnt)" != "$(inode_of "$inner" mnt)" ]
  # lay itself, and what runs in its namespaces, is where it was
  for name in net uts ipc cgroup time pid; do grep -qF "$(inode_of $$ $name)" of-hook; done
  for name in net uts ipc cgroup time pid mnt; do
    [ "$(oci exec c1 readlink /proc/self/ns/$name)" = "$(inode_of "$pid" $name)" ]
  done
}

@test "hostname and domainname are set in a uts namespace that is joined, and never in the host's" {
  small_bundle
  hold --uts
  path_of uts /proc/$held/ns/uts
  edit 'c["hostname"] = "joinedname"; c["domainname"] = "joined.example"'
  args sh -c 'hostname; cat /proc/sys/kernel/domainname'
  [ "$(oci run --bundle bundle c1 </dev/null)" = $'joinedname\njoined.example' ]
  [ "$(nsenter -u -t "$held" hostname)" = joinedname ]
  path_of uts /proc/self/ns/uts
  run oci run --bundle bundle c1 </dev/null
  [ "$status" -eq 1 ]
  has "$output" "the host's"
}

@test "sysctls are set in namespaces that are joined, by either spelling, and never in the host's" {
  small_bundle
  hold --net --ipc
  edit "
for e in c['linux']['namespaces']:
  if e['type'] in ('network', 'ipc'): e['path'] = '/proc/$held/ns/' + {'network': 'net', 'ipc': 'ipc'}[e['type']]
c['linux']['sysctl'] = {'net/ipv4/ip_forward': '1', 'net.ipv4.conf.lo.forwarding': '1', 'kernel.shm_rmid_forced': '1', 'kernel.domainname': 'by.sysctl'}"
  args sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/domainname'
  [ "$(oci run --bundle bundle c1 </dev/null)" = $'1\n1\nby.sysctl' ]
  path_of ipc /proc/self/ns/ipc
  run oci run --bundle bundle c1 </dev/null
  [ "$status" -eq 1 ]
  has "$output" "would change the host"
}

@test "files of /proc that others show are mounted, and a passwd that is masked is one without entries" {
  small_bundle
  echo "MemTotal: 1 kB" >meminfo
  edit "
c['mounts'].append({'destination': '/proc/meminfo', 'type': 'bind', 'source': '$world/meminfo', 'options': ['bind', 'ro']})
c['linux']['maskedPaths'].append('/etc/passwd')
c['process']['user'] = {'uid': 5, 'gid': 6}"
  args sh -c 'cat /proc/meminfo; id -u; cat /etc/passwd'
  [ "$(oci run --bundle bundle c1 </dev/null)" = $'MemTotal: 1 kB\n5' ]
  edit "c['mounts'][-1]['destination'] = '/proc/version'"
  run oci run --bundle bundle c1 </dev/null
  [ "$status" -eq 1 ]
  has "$output" "inside /proc"
}

@test "what is masked or read-only in the cgroups is so" {
  small_bundle
  edit '
next(m for m in c["mounts"] if m["type"] == "cgroup")["options"] = ["nosuid", "noexec", "nodev", "rw"]
c["linux"]["maskedPaths"] = ["/sys/fs/cgroup/memory"]
c["linux"]["readonlyPaths"] = ["/sys/fs/cgroup/pids"]'
  args sh -c 'ls /sys/fs/cgroup/memory; echo 5 >/sys/fs/cgroup/pids/pids.max; echo 55 >/sys/fs/cgroup/cpu/cpu.shares; cat /sys/fs/cgroup/cpu/cpu.shares'
  run oci run --bundle bundle c1 </dev/null
  has "$output" "Read-only file system"
  [ "${lines[-1]}" = 55 ]
  [ "${#lines[@]}" = 2 ]
  edit 'c["linux"]["maskedPaths"] = ["/sys/fs/cgroup"]'
  args ls /sys/fs/cgroup
  run oci run --bundle bundle c1 </dev/null
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  edit 'c["linux"]["maskedPaths"] = []; c["mounts"].append({"destination": "/sys/fs/cgroup", "type": "tmpfs", "source": "tmpfs"})'
  run oci run --bundle bundle c1 </dev/null
  [ "$status" -eq 0 ]
  [ -z "$output" ] # what is mounted there later
}

@test "what is mounted in the cgroups lies in them, with what is hidden of it, in whatever namespace" {
  small_bundle
  mkdir told && touch told/{shown,hidden}
  edit "
c['mounts'] += [{'destination': '/sys/fs/cgroup/memory', 'type': 'bind', 'source': '$world/told', 'options': ['bind', 'ro']},
  {'destination': '/sys/fs/cgroup/pids', 'type': 'tmpfs', 'source': 'tmpfs'}]
c['linux']['maskedPaths'] = ['/sys/fs/cgroup/memory/hidden']"
  args sh -c 'echo x >/sys/fs/cgroup/pids/made; cd /sys/fs/cgroup/memory; echo * ../pids/* $(stat -c %t hidden); touch x 2>/dev/null || echo refused; ls ../cpu/tasks'
  mkdir -p bundle/rootfs/bin && ln -sf busybox bundle/rootfs/bin/stat
  in_cgroups() { [ "$(oci "$@" run --bundle bundle c1 </dev/null | xargs)" = "hidden shown ../pids/made 1 refused ../cpu/tasks" ]; }
  in_cgroups
  edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "cgroup"]'
  in_cgroups
  edit "
c['linux']['namespaces'] += [{'type': 'user'}, {'type': 'cgroup'}]
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]"
  chown 100000:100000 bundle/rootfs{,/*}
  in_cgroups
}

@test "a source that is relative is the bundle's, and a mount keeps its tie to the host as it says" {
  small_bundle
  mkdir bundle/data shared data
  echo bundle >bundle/data/whose
  echo caller >data/whose
  mkdir -p real/deep source
  echo right >real/which
  echo wrong >source/which
  ln -s "$world/real/deep" source/link
  cat >inside <<'SH'
mount --make-private -t tmpfs shared "$1/shared"
mount --make-shared "$1/shared"
"$2" --root "$1/state" run --bundle "$1/bundle" c1
SH
  edit "
c['mounts'] += [{'destination': '/data', 'type': 'bind', 'source': 'data', 'options': ['bind', 'ro']}]
c['mounts'] += [{'destination': '/which', 'type': 'bind', 'source': '$world/source/link/../which', 'options': ['bind']}]
c['mounts'] += [{'destination': '/' + option, 'type': 'bind', 'source': '$world/shared', 'options': ['rbind', option]}
                for option in ('slave', 'rslave', 'private', 'shared')]"
  args sh -c 'cat /data/whose /which; grep -E " /(slave|rslave|private|shared) " /proc/self/mountinfo | cut -d" " -f5,7-8 | sed "s/:[0-9]*//g"'
  run unshare -m sh inside "$world" "$OCI"
  [ "$output" = $'bundle\nright\n/slave master -\n/rslave master -\n/private - tmpfs\n/shared shared -' ]
}

@test "devices where the container has links of its own are passed over or take their place" {
  small_bundle
  edit 'c["linux"]["devices"] = [{"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}, {"path": "/dev/core", "type": "c", "major": 1, "minor": 3}]'
  args sh -c 'readlink /dev/ptmx; stat -c %t:%T /dev/core'
  [ "$(oci run --bundle bundle c1 </dev/null)" = $'pts/ptmx\n1:3' ]
}

@test "a user namespace is joined by its path, with its ids" {
  small_bundle
  hold_users
  chmod 1777 bundle/rootfs/tmp
  args sleep 100
  detached
  pid=$(oci state c1 | jq .pid)
  [ "$(inode_of "$pid" user)" = "$(inode_of "$held" user)" ]
  [ "$(stat -c %u:%g /proc/$pid)" = 100000:200000 ]
  [ "$(oci exec c1 id -u)" = 0 ]
  [ "$(oci exec c1 readlink /proc/self/ns/user)" = "$(inode_of "$held" user)" ]
  oci exec c1 touch /tmp/made
  [ "$(stat -c %u:%g bundle/rootfs/tmp/made)" = 100000:200000 ]
  # its other namespaces belong to that one: root there may name its machine
  edit 'c["process"]["capabilities"]["bounding"] += ["CAP_SYS_ADMIN"]; c["process"]["capabilities"]["permitted"] += ["CAP_SYS_ADMIN"]; c["process"]["capabilities"]["effective"] += ["CAP_SYS_ADMIN"]'
  oci delete --force c1
  args sh -c 'hostname inside && hostname'
  [ "$(oci run --bundle bundle c1 </dev/null)" = inside ]

  edit 'c["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 1, "size": 1}]; c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 1, "size": 1}]'
  run oci run --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "differ from those of the user namespace"
}

@test "the user namespace in which lay runs is joined by doing nothing" {
  small_bundle
  path_of user /proc/self/ns/user
  args sleep 100
  detached
  [ "$(oci exec c1 id -u)" = 0 ]
  [ "$(inode_of "$(oci state c1 | jq .pid)" user)" = "$(inode_of $$ user)" ]
}

# mounts_of PID: how many mounts lie in the bundle's root, in the mount namespace of that process.
mounts_of() { grep -c " $world/bundle/rootfs" "/proc/$1/mountinfo" || true; }

@test "a mount namespace is joined by its path, and the container's mounts go from it at delete" {
  small_bundle
  hold --mount
  path_of mount /proc/$held/ns/mnt
  nsenter -t "$held" -m mount -t tmpfs seen-there /mnt
  edit 'c["mounts"] += [{"destination": "/seen", "type": "none", "source": "/mnt", "options": ["rbind", "ro"]}]'
  args sleep 100
  before=$(cat /proc/self/mountinfo)
  detached
  pid=$(oci state c1 | jq .pid)
  [ "$(inode_of "$pid" mnt)" = "$(inode_of "$held" mnt)" ]
  [ "$(inode_of "$pid" pid)" != "$(inode_of "$held" pid)" ]
  [ "$(readlink /proc/"$pid"/root)" = "$world/bundle/rootfs" ]
  (($(mounts_of "$held") > 5 ))
  oci exec c1 sh -c 'test "$(pwd)" = / && test ! -e /work && grep -q " /seen tmpfs ro" /proc/mounts && ls /bin/busybox' >/dev/null
  [ "$(oci exec c1 readlink /proc/self/ns/mnt)" = "$(inode_of "$held" mnt)" ]
  [ "$(oci exec c1 readlink /proc/1/root)" = / ]
  [ "$(cat /proc/self/mountinfo)" = "$before" ]
  oci delete --force c1
  [ "$(mounts_of "$held")" = 0 ]
  nsenter -t "$held" -m grep -q seen-there /proc/mounts

  # Not what was mounted there before
  nsenter -t "$held" -m mount --bind "$world/bundle/rootfs" "$world/bundle/rootfs"
  [ "$(oci run --bundle bundle c1 </dev/null)" = "" ] &
  running=$!
  wait_until 5 eval '[ "$(status_of c1 2>/dev/null)" = running ]'
  oci kill c1 KILL
  wait "$running" || true
  [ "$(mounts_of "$held")" = 1 ]
}

@test "a mount namespace whose owner is another user namespace is not joined: its /proc leads where he wants" {
  small_bundle
  echo untouched >treasure
  chmod 600 treasure
  setpriv --reuid 65534 --clear-groups unshare --user --map-root-user --mount sh -c "
    mount -t tmpfs none /proc && mkdir -p /proc/sys/net/ipv4 && ln -s $world/treasure /proc/sys/net/ipv4/ip_forward
    exec sleep 300" 3>&- &
  held=$!
  others+=("$held")
  wait_until 5 eval '[ "$(cat /proc/$held/comm)" = sleep ]'
  path_of mount /proc/$held/ns/mnt
  edit 'c["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "belongs to another user namespace"
  [ "$(cat treasure)" = untouched ]
}

@test "a create that fails in a joined mount namespace leaves nothing there" {
  small_bundle
  hold --mount
  path_of mount /proc/$held/ns/mnt
  edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}'
  for change in 'pass' 'c["hooks"] = {"createContainer": [{"path": "/bin/false"}]}' \
    'c.pop("hooks"); c["process"]["args"] = ["/no/such"]' \
    'c["mounts"] += [{"destination": "/x", "type": "nosuchfs", "source": "x"}]' \
    'c["mounts"].pop(); c["linux"]["resources"]["cpu"] = {"cpus": "4000"}'; do
    edit "$change"
    run oci create --bundle bundle c1
    [ "$status" -eq 1 ]
    [ "$(mounts_of "$held")" = 0 ]
    [ ! -e "$world/state/c1" ]
  done

  edit 'del c["linux"]["resources"]["cpu"]'
  hold --mount --propagation shared
  path_of mount /proc/$held/ns/mnt
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "shares with others" "--make-rslave"

  path_of mount /proc/$$/ns/mnt
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "is the host's"

  edit 'c["linux"]["namespaces"] += [{"type": "user"}]'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "may not mount anything"
}

@test "a user namespace of its own stands beside a network that is joined by its path" {
  small_bundle
  hold --net
  path_of network /proc/$held/ns/net
  edit 'c["linux"]["sysctl"] = {}'
  edit 'c["linux"]["namespaces"].append({"type": "user"})
c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 1000}]'
  args sleep 100
  detached
  pid=$(oci state c1 | jq .pid)
  [ "$(inode_of "$pid" net)" = "$(inode_of "$held" net)" ]
  [ "$(stat -c %u /proc/$pid)" = 300000 ]
  [ "$(oci exec c1 readlink /proc/self/ns/net)" = "$(inode_of "$held" net)" ]
}

@test "calls that a profile leaves to an agent are answered by it, of the first process and of those of exec" {
  small_bundle
  python3 "$here/seccomp_agent.py" "$world/agent" "$world/seen" 3>&- &
  others+=($!)
  wait_until 5 test -S agent
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
    "listenerPath": "'"$world"'/agent", "listenerMetadata": "for the agent",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}
c["annotations"] = {"of": "the container"}'
  ln -sf busybox bundle/rootfs/bin/mkdir
  for no_new_privileges in True False; do
    edit "c['process']['noNewPrivileges'] = $no_new_privileges"
    rm -f seen
    args sh -c 'mkdir /tmp/a; exec sleep 100'
    detached
    wait_until 5 grep -q "No medium found" out
    [ ! -e bundle/rootfs/tmp/a ]
    pid=$(oci state c1 | jq .pid)
    [ "$(jq -r '.fds[0], .metadata, .pid, .state.id, .state.pid, .state.bundle, .state.annotations.of' seen)" = \
      "$(printf '%s\n' seccompFd "for the agent" "$pid" c1 "$pid" "$world/bundle" "the container")" ]
    run oci exec c1 mkdir /tmp/b
    [ "$status" -eq 1 ]
    has "$output" "No medium found"
    wait_until 5 eval '[ "$(wc -l <seen)" = 2 ]'
    [ "$(tail -n 1 seen | jq .state.pid)" = "$pid" ]
    [ "$(tail -n 1 seen | jq .pid)" != "$pid" ]
    # the command has neither the descriptor nor the connection
    [ "$(oci exec c1 sh -c 'for fd in /proc/1/fd/*; do readlink $fd; done' | grep -cE 'seccomp|socket')" = 0 ]
    [ "$(oci exec c1 sh -c 'ls /proc/1/task | grep -c .')" = 1 ]
    oci delete --force c1
  done
}

@test "an agent that is not there, or a profile that names none, is told before anything runs" {
  small_bundle
  args sh -c 'echo ran'
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere/agent",
    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}'
  run oci run --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "seccomp agent at '/nowhere/agent'"
  edit 'del c["linux"]["seccomp"]["listenerPath"]'
  run oci run --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "needs 'listenerPath'"
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}'
  run oci run --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "there is no 'listenerPath'"
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere/agent"}'
  [ "$(oci run --bundle bundle c1 </dev/null)" = ran ] # which no call is left to
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/nowhere/agent"}'
  run oci run --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "cannot be the default"
  [ -z "$(oci list -q)" ]
}

@test "an agent hears of a container when it is started, and one that waits is in nobody's way" {
  small_bundle
  python3 "$here/seccomp_agent.py" "$world/agent" "$world/seen" 3>&- &
  others+=($!)
  wait_until 5 test -S agent
  edit 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "'"$world"'/agent",
    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}'
  args sleep 100
  oci create --bundle bundle waits </dev/null >out 2>&1
  [ ! -e seen ]
  edit 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 19}; c["linux"]["resources"] = {"cpu": {"cpus": "0"}}'
  timeout 20 "$OCI" --root "$world/state" run --detach --bundle bundle c1 </dev/null >out 2>&1 3>&- || { cat out; false; }
  wait_until 5 eval '[ "$(jq -r .state.id seen)" = c1 ]' # the one that waits is in nobody's way
  oci start waits
  wait_until 5 eval '[ "$(wc -l <seen)" = 2 ]'
  oci delete --force waits
}

@test "who enters a user namespace that is there cannot be looked into" {
  small_bundle
  hold_users
  args true
  strace -f -qq -o calls -e trace=prctl,setns,clone3 "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null 3>&-
  # each process that enters it has shut others out before
  awk '/PR_SET_DUMPABLE, (SUID_DUMP_DISABLE|0)/ {shut[$1] = 1} /setns\([0-9]+, CLONE_NEWUSER\)/ {n++; if (!shut[$1]) bad = 1}
    END {exit !(n == 2 && !bad)}' calls || { cat calls; false; }
}

@test "exec gives and takes rights, and goes to a group beneath the container's" {
  small_bundle
  args sleep 100
  detached
  bits() { oci exec "${@:2}" c1 grep "^$1" /proc/self/status | awk '{print $2}'; }
  [ "$(bits NoNewPrivs)" = 0 ]
  [ "$(bits NoNewPrivs --no-new-privs)" = 1 ]
  ((0x$(bits CapEff --cap CAP_SYS_TIME) & 1 << 25))
  ! ((0x$(bits CapEff) & 1 << 25)) || return 1
  ((0x$(bits CapBnd --cap CAP_SYS_TIME --cap CAP_NET_ADMIN) & 1 << 12))
  hierarchy=/sys/fs/cgroup/pids
  [ -d $hierarchy ] || hierarchy=/sys/fs/cgroup
  run oci exec --cgroup below c1 true
  [ "$status" -ne 0 ]
  for own in $(find /sys/fs/cgroup -type d -name c1); do
    mkdir "$own/below"
    [ ! -e "$own/cpuset.cpus" ] || for file in cpuset.cpus cpuset.mems; do cat "$own/$file" >"$own/below/$file"; done
  done
  oci exec --cgroup below c1 cat /proc/self/cgroup | grep -q 'c1/below$\|/below$'
}

@test "without cgroups a container is in its caller's, and what needs them says so" {
  small_bundle
  edit 'c["linux"]["resources"] = {}; c["mounts"] = [m for m in c["mounts"] if m["type"] != "cgroup"]'
  args sleep 100
  oci --cgroup-manager disabled run --detach --bundle bundle c1 </dev/null >out 2>&1 || { cat out; false; }
  [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
  for command in ps pause; do
    run oci $command c1
    [ "$status" -ne 0 ]
    has "$output" "without cgroups"
  done
  [ "$(oci exec c1 echo inside)" = inside ]
}

@test "spec --rootless is a configuration that has a user namespace and none of root's own things" {
  small_bundle
  rm bundle/config.json
  "$OCI" spec --rootless --bundle bundle
  [ "$(jq -r '[.linux.namespaces[].type] | index("user") != null and index("network") == null' bundle/config.json)" = true ]
  [ "$(jq '.linux.uidMappings[0].size' bundle/config.json)" = 1 ]
  edit 'c["process"]["terminal"] = False; c["process"]["args"] = ["cat", "/proc/self/uid_map"]'
  chmod 755 "$world" bundle
  [ "$(oci run --bundle bundle c1 </dev/null | xargs)" = "0 0 1" ]
}

@test "a device lies wherever its path says, in a user namespace too, and none stays in the root" {
  small_bundle
  edit 'c["linux"]["devices"] = [{"path": "/srv/devices/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8},
    {"path": "/tmp/full", "type": "c", "major": 1, "minor": 7}]
c["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}]}'
  args sh -c 'stat -c "%t:%T %a %u %g" /srv/devices/zero; stat -c "%t:%T" /tmp/full; head -c 4 /srv/devices/zero | cat -v; echo; ls -a /dev'
  for user in no yes; do
    [ $user = no ] || edit 'c["linux"]["namespaces"].append({"type": "user"})
c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 1000}]'
    run --separate-stderr oci run --bundle bundle c1
    [ "$status" -eq 0 ] || { echo "$stderr"; false; }
    [ "${lines[0]}" = "1:5 640 7 8" ]
    [ "${lines[1]}" = 1:7 ]
    [ "${lines[2]}" = '^@^@^@^@' ]
    [ "$(grep -c lay <<<"$output")" = 0 ]
    [ -z "$(find bundle/rootfs -type c)" ]
  done
}

@test "ps prints what the host's ps would, or the columns that are asked for" {
  small_bundle
  args sleep 100
  detached
  oci exec --detach c1 sleep 200 </dev/null >>out 2>&1
  pid=$(oci state c1 | jq .pid)
  oci ps c1 >table
  [ "$(awk 'NR == 1 {print $1, $2, $3, $NF}' table)" = "UID PID PPID COMMAND" ]
  [ "$(awk 'NR > 1 {print $2}' table | sort)" = "$(oci ps -f json c1 | jq -r '.[]' | sort)" ]
  grep -qE "^0 +$pid " table
  grep -q 'sleep 200' table
  [ "$(oci ps c1 -eo pid,comm | tail -n +2 | awk '{print $2}' | sort | uniq -c | xargs)" = "2 sleep" ]
}

@test "without a keyring of its own a container keeps its caller's, and so does exec" {
  small_bundle
  args sleep 100
  for flags in --no-new-keyring ""; do
    expected=1
    [ -z "$flags" ] || expected=0
    strace -f -e trace=keyctl -o calls "$OCI" --root "$world/state" run --detach $flags --bundle bundle c1 </dev/null >out 2>&1 3>&- &
    others+=($!)
    wait_until 5 eval '[ "$(status_of c1 2>/dev/null)" = running ]'
    [ "$(grep -c JOIN_SESSION_KEYRING calls)" = $expected ]
    oci exec c1 true
    strace -f -e trace=keyctl -o calls "$OCI" --root "$world/state" exec c1 true 3>&-
    [ "$(grep -c JOIN_SESSION_KEYRING calls)" = $expected ]
    oci delete --force c1
  done
}

@test "after a create that failed poststop hooks run once, when all is gone" {
  small_bundle
  args sleep 100
  for kind in prestart createRuntime createContainer; do
    rm -f log
    edit 'c["hooks"] = {"'$kind'": [{"path": "/bin/false"}], "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", "find /sys/fs/cgroup -type d -name c1; echo over"], "env": ["PATH=/bin:/usr/bin"]}]}
c["hooks"]["poststop"][0]["args"][2] = "(" + c["hooks"]["poststop"][0]["args"][2] + ") >>'"$world"'/log"'
    run oci create --bundle bundle c1
    [ "$status" -eq 1 ]
    [ "$(cat log)" = over ]
  done
  rm -f log
  edit 'c["hooks"] = {"poststop": c["hooks"]["poststop"]}'
  args /bin/nothing-there
  run oci create --bundle bundle c1
  [ "$status" -ne 0 ]
  [ "$(cat log)" = over ]
}

@test "a create that fails takes the groups that it made, and leaves those that were there" {
  small_bundle
  args sleep 100
  hierarchy=/sys/fs/cgroup/pids
  [ -d $hierarchy ] || hierarchy=/sys/fs/cgroup
  mkdir -p "$hierarchy/lay-oci-kept/c1"
  edit 'c["linux"]["cgroupsPath"] = "/lay-oci-kept/c1"; c["process"]["args"] = ["/nowhere"]'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  found=$(find /sys/fs/cgroup -type d -path '*lay-oci-kept*')
  rmdir "$hierarchy/lay-oci-kept/c1" "$hierarchy/lay-oci-kept"
  [ "$found" = "$hierarchy/lay-oci-kept"$'\n'"$hierarchy/lay-oci-kept/c1" ]
}

@test "kill --all reaches every process of the container" {
  small_bundle
  args sh -c 'trap "echo first" USR1; sh -c "trap \"echo second\" USR1; echo ready; while :; do sleep 0.1; done" & while :; do sleep 0.1; done'
  detached
  wait_until 5 grep -q ready out
  # busybox's sleep dies of it, the shells say so
  oci kill --all c1 USR1
  wait_until 5 eval 'grep -q first out && grep -q second out'
}

has_resctrl() { grep -q ' - resctrl ' /proc/self/mountinfo; }

@test "resctrl that the machine lacks is told" {
  ! has_resctrl || skip "this machine has resctrl"
  small_bundle
  args sleep 100
  edit 'c["linux"]["intelRdt"] = {"closID": "lay-e2e", "l3CacheSchema": "L3:0=1"}'
  run oci run --detach --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "there is no resctrl file system"
  small_image
  refused 125 "there is no resctrl file system" "$LAY" run --rm --rdt-class gold small true
  local flags
  for flags in "--l3-cache-schema L3:0=f" "--mem-bw-schema MB:0=50"; do
    refused 125 "there is no resctrl file system" "$LAY" run --rm $flags small true
    refused 125 "there is no resctrl file system" "$LAY" run --explain $flags small true
  done
  [ -z "$("$LAY" ps -aq)" ]
  "$LAY" run --name c --network none small true
  refused 1 "there is no resctrl file system" "$LAY" update --l3-cache-schema L3:0=f c
  [ "$(jq .linux.intelRdt "$LAY_ROOT"/containers/*/config.json)" = null ]
  "$LAY" rm c >/dev/null
  edit 'del c["linux"]["intelRdt"]'
  oci run -d --bundle bundle c2
  run oci update --mem-bw-schema MB:0=50 c2
  [ "$status" = 1 ]
  has "$output" "there is no resctrl file system"
  oci delete -f c2
  [[ $("$LAY" info --security) =~ resctrl\ +no ]]
}

@test "a class of resctrl is made and goes with the container" {
  has_resctrl || skip "no resctrl is mounted: that takes a processor with RDT, and a kernel with CONFIG_X86_CPU_RESCTRL"
  small_bundle
  args sleep 100
  edit 'c["linux"]["intelRdt"] = {"closID": "lay-e2e", "l3CacheSchema": "L3:0=1"}'
  detached
  grep -qx "$(oci state c1 | jq .pid)" /sys/fs/resctrl/lay-e2e/tasks
  oci delete --force c1
  [ ! -e /sys/fs/resctrl/lay-e2e ]
}
