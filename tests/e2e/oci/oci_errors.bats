#!/usr/bin/env bats
# What runtime.md, config.md and config-linux.md call an error is one, by lay-oci, before anything has happened: what is
# said names the field, and the host is as it was.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# host: what a create could leave: groups, mounts, links, and files of the bundle and of lay-oci's own.
host() {
  find /sys/fs/cgroup -type d -path '*c1*'
  cat /proc/self/mountinfo
  ip -o link
  find bundle/rootfs -printf '%p %y %m %s %T@\n' | sort
  find state -name 'c1*'
}

good_bundle() {
  small_bundle
  args true
  mkdir -p state
  cp bundle/config.json good.json
  host_before=$(host)
}

# is_error CHANGE WORDS...: the good bundle with that change is refused by create, with these words.
is_error() {
  cp good.json bundle/config.json
  edit "$1"
  local word status=0
  briefly create --bundle bundle c1 </dev/null >said 2>&1 || status=$? # by a file: what is made after all would keep a pipe
  [ "$status" -eq 1 ] || { echo "exit $status for: $1"; cat said; oci delete --force c1; return 1; }
  for word in "${@:2}"; do has "$(cat said)" "$word" || { echo "for: $1"; return 1; }; done
  diff <(echo "$host_before") <(host)
}

# is_taken CHANGE: the good bundle with that change runs to its end.
is_taken() {
  cp good.json bundle/config.json
  edit "$1"
  once
}

# runtime.md

@test "each operation without an id, or with one too many, is an error" {
  small_bundle
  local operation
  for operation in create start run state kill delete exec ps pause resume update events; do
    run briefly "$operation"
    [ "$status" -eq 1 ] || { echo "$operation: $status"; return 1; }
    [ -n "$output" ]
  done
  for operation in create start run state delete pause resume update; do
    run briefly "$operation" c1 c2
    [ "$status" -eq 1 ] || { echo "$operation c1 c2: $status"; return 1; }
  done
  [ -z "$(oci list -q)" ]
}

@test "each operation on a container that does not exist is an error that says so, as engines read it" {
  local words
  for words in "start c1" "state c1" "kill c1 TERM" "delete c1" "exec c1 true" "ps c1" "pause c1" "resume c1" "events --stats c1" "update --pids-limit 5 c1"; do
    run briefly $words
    [ "$status" -eq 1 ] || { echo "$words: $status"; return 1; }
    has "$output" "container does not exist"
  done
}

@test "changes of config.json after create have no effect on the container, nor on its exec and its hooks" {
  small_bundle
  mkdir notes
  edit "
c['process']['env'].append('WHICH=first')
c['hooks'] = {kind: [{'path': '/bin/sh', 'args': ['sh', '-c', 'echo ' + kind + ' first >>$world/notes/log']}] for kind in ('poststart', 'poststop')}"
  args sh -c 'echo $WHICH; exec sleep 100'
  briefly create --bundle bundle c1 </dev/null >out 2>&1
  sed -i 's/first/second/g; s/sleep/false/' bundle/config.json
  briefly start c1
  wait_until 5 grep -q . out
  [ "$(cat out)" = first ]
  [ "$(briefly exec c1 sh -c 'echo $WHICH')" = first ]
  rm bundle/config.json
  [ "$(briefly exec c1 sh -c 'echo $WHICH')" = first ]
  oci delete --force c1
  [ "$(xargs <notes/log)" = "poststart first poststop first" ]
}

@test "a signal to a container that is created, or has ended, does what runtime.md says" {
  small_bundle
  args sleep 100
  briefly create --bundle bundle c1 </dev/null >out 2>&1
  briefly kill c1 KILL
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  [ "$(oci state c1 | jq .pid)" = 0 ]
  run briefly kill c1 KILL
  [ "$status" -eq 1 ]
  has "$output" "container not running"
  [ "$(status_of c1)" = stopped ]
}

@test "delete removes what create made, and not what was there" {
  small_bundle
  mkdir theirs && touch theirs/file
  edit "c['mounts'].append({'destination': '/theirs', 'type': 'bind', 'source': '$world/theirs', 'options': ['rbind']})"
  args sh -c 'touch /theirs/made /made; exec sleep 100'
  detached
  wait_until 5 test -e bundle/rootfs/made
  before=$(cat /proc/self/mountinfo)
  oci delete --force c1
  [ "$(ls theirs | xargs)" = "file made" ]
  [ "$(cat /proc/self/mountinfo)" = "$before" ]
  [ -e bundle/config.json ] && [ -e bundle/rootfs/made ]
  detached # the id can be used again
  oci delete --force c1
}

# config.md

@test "config.md: what it calls an error is one" {
  good_bundle
  is_error 'del c["ociVersion"]' ociVersion
  is_error 'c["process"]["cwd"] = ""' cwd
  is_error 'del c["process"]["cwd"]' cwd
  is_error 'del c["process"]["args"]' args
  is_error 'del c["process"]' cwd
  is_error 'c["process"]["args"] = "true"' args
  is_error 'c["root"]["path"] = "config.json"' config.json
  is_error 'c["root"]["readonly"] = "yes"' readonly
  is_error 'c["mounts"].append({"type": "tmpfs", "source": "x"})' destination
  is_error 'c["mounts"].append({"destination": "", "type": "tmpfs", "source": "x"})' destination
  is_error 'c["mounts"].append({"destination": "/x", "type": "tmpfs", "source": "x", "options": "ro"})' options
  is_error 'c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1}]' hard
  is_error 'c["process"]["rlimits"] = [{"soft": 1, "hard": 1}]' type
  is_error 'c["process"]["oomScoreAdj"] = "low"' oomScoreAdj
  is_error 'c["process"]["ioPriority"] = {"priority": 3}' class
  is_error 'c["process"]["scheduler"] = {"nice": 3}' policy
  is_error 'c["process"]["user"]["umask"] = -1' umask
  is_error 'c["hooks"] = {"poststart": [{"args": ["x"]}]}' poststart path
  is_error 'c["hooks"] = {"createContainer": [{"path": "/bin/true", "timeout": -5}]}' createContainer timeout
  is_error 'c["hooks"] = {"startContainer": {"path": "/bin/true"}}' startContainer
  is_error 'c["annotations"] = {"a": 1}' "'a' is number"
  is_error 'c["annotations"] = ["a"]' annotations
}

@test "config.md: what it lets pass is taken" {
  good_bundle
  is_taken 'c["planet"] = {"a": 1}; c["process"]["planet"] = c["linux"]["planet"] = c["mounts"][0]["planet"] = 5'
  is_taken 'c["process"]["consoleSize"] = {"height": 7, "width": 9}' # ignored without a terminal
  is_taken 'c["annotations"] = {}'
  is_taken 'c["annotations"] = {"org.example.key": "", "b": "\u00e9 \n x"}'
  is_taken 'c["hooks"] = {}'
  is_taken 'c["mounts"].append({"destination": "tmp", "type": "tmpfs", "source": "tmpfs"})' # of old tools: relative to /
  is_taken 'c["mounts"].append({"destination": "/tmp", "source": "/etc", "options": ["bind", "ro"]})' # without a type
  is_taken 'c["ociVersion"] = "1.0.2-dev"'
  is_taken 'c["root"]["path"] = "./rootfs/../rootfs/"'
  is_taken 'c["solaris"] = c["windows"] = c["vm"] = c["zos"] = {"a": 1}; c["process"]["commandLine"] = "x"; c["process"]["user"]["username"] = "y"'
}

# config-linux.md

@test "config-linux.md: a namespace's path is absolute, and of its type" {
  good_bundle
  path_is() { is_error "c['linux']['namespaces'] = [n for n in c['linux']['namespaces'] if n['type'] != 'network'] + [{'type': 'network', 'path': '$1'}]" "$1" "${@:2}"; }
  path_is /nowhere/net
  path_is /etc/passwd namespace
  path_is /proc/self/ns/uts network
  path_is proc/self/ns/net absolute
  mkfifo pipe
  path_is "$world/pipe"
  is_error 'c["linux"]["namespaces"].append({})' type
}

@test "config-linux.md: mappings of ids and offsets of clocks that cannot be are errors" {
  good_bundle
  users() { is_error "c['linux']['namespaces'].append({'type': 'user'}); c['linux']['uidMappings'] = $1; c['linux']['gidMappings'] = $2" "${@:3}"; }
  local one="[{'containerID': 0, 'hostID': 100000, 'size': 10}]"
  users "[{'containerID': 0, 'hostID': 100000}]" "$one" size
  users "[{'containerID': 0, 'hostID': 100000, 'size': 0}]" "$one" empty
  users "[{'containerID': 0, 'hostID': 100000, 'size': 10}, {'containerID': 5, 'hostID': 200000, 'size': 10}]" "$one" "user map"
  users "[{'containerID': 4294967290, 'hostID': 100000, 'size': 10}]" "$one" "user map"
  clock() { is_error "c['linux']['namespaces'].append({'type': 'time'}); c['linux']['timeOffsets'] = $1" "${@:2}"; }
  clock "{'realtime': {'secs': 1}}" realtime
  clock "{'monotonic': {'secs': 1, 'nanosecs': 1000000000}}" monotonic
  clock "{'monotonic': {'secs': 'x'}}" secs
  clock "{'boottime': {'secs': -900000000000}}" boottime
}

@test "config-linux.md: mounts with ids of their own have both kinds, and are bind mounts" {
  good_bundle
  mkdir data
  local ids="[{'containerID': 0, 'hostID': 1000, 'size': 10}]"
  mounted() { is_error "c['mounts'].append({'destination': '/data', 'source': '$world/data', $1})" "${@:2}"; }
  mounted "'type': 'bind', 'options': ['rbind', 'idmap'], 'uidMappings': $ids" gidMappings
  mounted "'type': 'bind', 'options': ['rbind', 'idmap'], 'gidMappings': $ids" uidMappings
  mounted "'type': 'tmpfs', 'uidMappings': $ids, 'gidMappings': $ids" uidMappings
}

@test "config-linux.md: a file where a device is to be, that is not that device, is an error; the device itself is none" {
  good_bundle
  device() { echo "c['linux']['devices'] = [{'path': '$1', 'type': 'c', 'major': 1, 'minor': 5}]"; }
  is_error "$(device /etc/passwd)" /etc/passwd
  is_error "$(device /etc)" /etc
  mkdir -p bundle/rootfs/srv
  mknod bundle/rootfs/srv/other c 1 7
  mknod bundle/rootfs/srv/same c 1 5
  mkfifo bundle/rootfs/srv/pipe
  host_before=$(host)
  is_error "$(device /srv/other)" /srv/other
  is_error "$(device /srv/pipe)" /srv/pipe
  is_taken "$(device /srv/same)"
}

@test "config-linux.md: masked and read-only paths are absolute" {
  good_bundle
  is_error 'c["linux"]["maskedPaths"] = ["proc/kcore"]' maskedPaths
  is_error 'c["linux"]["maskedPaths"] = [""]' maskedPaths
  is_error 'c["linux"]["readonlyPaths"] = ["proc/sys"]' readonlyPaths
  is_taken 'c["linux"]["maskedPaths"] = ["/nowhere"]; c["linux"]["readonlyPaths"] = ["/nowhere/at/all"]'
}

@test "config-linux.md: what seccomp cannot do is an error" {
  good_bundle
  profile() { is_error "c['linux']['seccomp'] = $1" "${@:2}"; }
  rule() { profile "{'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [$1]}" "${@:2}"; }
  profile "{}" defaultAction
  profile "{'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 5000}" defaultErrnoRet
  rule "{'names': [], 'action': 'SCMP_ACT_ERRNO'}" names
  rule "{'action': 'SCMP_ACT_ERRNO'}" names
  rule "{'names': ['mkdir']}" action
  rule "{'names': ['mkdir'], 'action': 'SCMP_ACT_ALLOW', 'errnoRet': 5}" errnoRet
  rule "{'names': ['mkdir'], 'action': 'SCMP_ACT_ERRNO', 'args': [{'index': 6, 'value': 1, 'op': 'SCMP_CMP_EQ'}]}" index
  rule "{'names': ['mkdir'], 'action': 'SCMP_ACT_ERRNO', 'args': [{'index': 0, 'op': 'SCMP_CMP_EQ'}]}" value
  rule "{'names': ['mkdir'], 'action': 'SCMP_ACT_ERRNO', 'args': [{'index': 0, 'value': 1}]}" op
  profile "{'defaultAction': 'SCMP_ACT_ALLOW', 'listenerMetadata': 'x'}" listenerPath
}

@test "config-linux.md: limits that are half said, or no numbers, are errors" {
  good_bundle
  limits() { is_error "c['linux']['resources'] = $1" "${@:2}"; }
  limits "{'blockIO': {'throttleReadBpsDevice': [{'major': 8, 'minor': 0}]}}" rate
  limits "{'blockIO': {'weightDevice': [{'minor': 0, 'weight': 10}]}}" major
  limits "{'hugepageLimits': [{'limit': 5}]}" pageSize
  limits "{'hugepageLimits': [{'pageSize': '2MB'}]}" limit
  limits "{'network': {'priorities': [{'name': 'lo'}]}}" priority
  limits "{'network': {'priorities': [{'priority': 5}]}}" name
  limits "{'rdma': {'mlx': {}}}" mlx
  limits "{'memory': {'limit': 'much'}}" limit
  limits "{'memory': {'swappiness': 101}}" swappiness
  limits "{'cpu': {'shares': -1}}" shares
  limits "{'cpu': {'cpus': 'x'}}" cpus
  limits "{'pids': {'limit': 1.5}}" limit
  limits "{'unified': {'memory.high': 5}}" memory.high
  limits "{'devices': [{'allow': True, 'type': 'c', 'access': 'x'}]}" access
  limits "[]" resources
}

@test "config-linux.md: labels of security modules that the kernel lacks are errors, for exec too" {
  [[ ! -e /sys/module/apparmor && ! -e /sys/fs/selinux/enforce ]] || skip "this kernel has such a module"
  good_bundle
  is_error 'c["process"]["apparmorProfile"] = "strict"' strict AppArmor
  is_error 'c["process"]["selinuxLabel"] = "a:b:c"' a:b:c SELinux
  is_error 'c["linux"]["mountLabel"] = "a:b:c"' a:b:c SELinux
  is_taken 'c["process"]["apparmorProfile"] = "unconfined"'
  cp good.json bundle/config.json
  args sleep 100
  detached
  local label
  for label in '.apparmorProfile = "strict"' '.selinuxLabel = "a:b:c"'; do
    jq ".process | .args = [\"touch\", \"/tmp/ran\"] | $label" bundle/config.json >process.json
    run briefly exec --process process.json c1
    [ "$status" -eq 1 ] || { echo "$status: $output"; return 1; }
    [[ $output == *AppArmor* || $output == *SELinux* ]]
    [ ! -e bundle/rootfs/tmp/ran ]
  done
}

@test "config-linux.md: a device that is listed twice is one, and an error when it is another" {
  good_bundle
  twice() { echo "c['linux']['devices'] = [{'path': '$1', 'type': 'c', 'major': 1, 'minor': 5}, {'path': '$1', 'type': 'c', 'major': 1, 'minor': $2}]"; }
  is_taken "$(twice /dev/twice 5)"
  is_error "$(twice /dev/twice 7)" /dev/twice
}

@test "config-linux.md: the default devices and file systems are had by a bundle that names none" {
  good_bundle
  edit 'c["linux"]["devices"] = []'
  args sh -c 'for name in null zero full random urandom tty; do stat -c "%n %t:%T %a" /dev/$name; done; readlink /dev/ptmx; for name in fd stdin stdout stderr; do readlink /dev/$name; done'
  [ "$(once | xargs)" = "/dev/null 1:3 666 /dev/zero 1:5 666 /dev/full 1:7 666 /dev/random 1:8 666 /dev/urandom 1:9 666 /dev/tty 5:0 666 pts/ptmx /proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2" ]
}

@test "config-linux.md: the default devices are had without a tmpfs on /dev, and none stays in the root" {
  good_bundle
  edit 'c["mounts"] = [m for m in c["mounts"] if m["type"] in ("proc",)]; c["linux"]["devices"] = []; c["linux"]["maskedPaths"] = []; c["linux"]["readonlyPaths"] = []'
  args sh -c 'for name in null zero full random urandom tty; do stat -c "%t:%T" /dev/$name; done; echo x >/dev/null'
  run once
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(xargs <<<"$output")" = "1:3 1:5 1:7 1:8 1:9 5:0" ]
  [ -z "$(find bundle/rootfs -type c)" ]
}
