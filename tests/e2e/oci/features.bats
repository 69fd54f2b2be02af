#!/usr/bin/env bats
# `lay-oci features`: what it lists is had by a container, what it does not list is refused, and the document is one of
# the runtime-spec's features.md, as runc's is.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci

setup() {
  open_oci_world
  small_bundle
  "$OCI" features >features.json
}
teardown() { close_oci_world; }

listed() { jq -r "$1 | .[]" features.json; }

# once: what the bundle's command says.
once() { timeout -s KILL 20 "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null 3>&-; }

# refuses CHANGE WORDS: the bundle with this change is an error that says WORDS, before anything ran.
refuses() {
  cp bundle/config.json whole.json
  edit "$1"
  run once
  cp whole.json bundle/config.json
  [ "$status" -eq 1 ] || { echo "accepted: $1"; return 1; }
  has "$output" "$2"
}

@test "the document has the members and types of features.md, and those that runc's has" {
  "$OCI" features | python3 -c '
import json, re, sys
f = json.load(sys.stdin)
def check(value, shape, where):
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for key, inner in shape.items():
            if key.rstrip("!") in value: check(value[key.rstrip("!")], inner, f"{where}.{key}")
            else: assert not key.endswith("!"), f"{where}.{key} is missing"
        extra = set(value) - {key.rstrip("!") for key in shape}
        assert not extra, f"{where}: {extra}"
    elif isinstance(shape, list):
        assert isinstance(value, list) and value and len(set(value)) == len(value), where
        assert all(isinstance(each, str) and re.fullmatch(shape[0], each) for each in value), where
    elif shape is str: assert isinstance(value, str) and re.fullmatch(r"\d+\.\d+\.\d+.*", value), where
    else: assert isinstance(value, shape), where
on = {"enabled": bool}
annotations = f.pop("annotations")
assert all(isinstance(v, str) for v in annotations.values())
check(f, {"ociVersionMin!": str, "ociVersionMax!": str, "hooks": [r"[a-zA-Z]+"], "mountOptions": [r"[a-z]+"],
  "potentiallyUnsafeConfigAnnotations": [r"[a-z.]+"],
  "linux": {"namespaces": [r"[a-z]+"], "capabilities": [r"CAP_[A-Z_]+"],
    "cgroup": {"v1": bool, "v2": bool, "systemd": bool, "systemdUser": bool, "rdma": bool},
    "seccomp": {"enabled": bool, "actions": ["SCMP_ACT_[A-Z_]+"], "operators": ["SCMP_CMP_[A-Z_]+"], "archs": ["SCMP_ARCH_[A-Z0-9_]+"],
      "knownFlags": ["SECCOMP_FILTER_FLAG_[A-Z_]+"], "supportedFlags": ["SECCOMP_FILTER_FLAG_[A-Z_]+"]},
    "apparmor": on, "selinux": on, "intelRdt": on, "mountExtensions": {"idmap": on}}}, "features")'
  runc features | jq -r 'paths(type != "object" and type != "array") | map(select(type == "string")) | join(".")' |
    grep -v '^annotations\.' | sort -u >of-runc
  jq -r 'paths(type != "object" and type != "array") | map(select(type == "string")) | join(".")' features.json | sort -u >own
  [ -z "$(comm -23 of-runc own)" ] || { comm -23 of-runc own; return 1; }
}

@test "each mount option that runc lists is taken" {
  args true
  local option
  for option in $(comm -23 <(runc features | jq -r '.mountOptions[]' | sort) <(listed .mountOptions | sort)); do
    edit "c['mounts'].append({'destination': '/at', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['$option']})"
    once
  done
}

@test "both ends of the versions are taken, and those of another major version are not" {
  args true
  local version
  for version in $(jq -r '.ociVersionMin, .ociVersionMax' features.json); do
    edit "c['ociVersion'] = '$version'"
    once
  done
  for version in 0.9.0 2.0.0 1 x; do refuses "c['ociVersion'] = '$version'" version; done
}

@test "each namespace that is listed is the container's own, and others are refused" {
  args sh -c 'for kind in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$kind; done'
  edit "
c['linux']['namespaces'] = [{'type': kind} for kind in '$(listed .linux.namespaces | xargs)'.split()]
c['linux']['uidMappings'] = c['linux']['gidMappings'] = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]"
  chown 100000:100000 bundle/rootfs{,/*}
  once >inside
  local kind
  for kind in cgroup ipc mnt net pid time user uts; do readlink "/proc/self/ns/$kind"; done >outside
  [ "$(wc -l <inside)" = "$(listed .linux.namespaces | wc -l)" ]
  [ -z "$(comm -12 <(sort inside) <(sort outside))" ]
  refuses "c['linux']['namespaces'].append({'type': 'syslog'})" syslog
}

@test "the capabilities that are listed are all the kernel has, whatever this machine can grant, as runc's are" {
  # features.md: irrelevant to the actual availability of the features in the host operating system
  diff <(runc features | jq -r '.linux.capabilities[]' | sort) <(listed .linux.capabilities | sort)
  [ "$(listed .linux.capabilities | wc -l)" = "$(($(cat /proc/sys/kernel/cap_last_cap) + 1))" ]
}

@test "each capability that is listed is had or told of, and one that there is not is told" {
  args grep CapBnd /proc/self/status
  local number name own
  own=$((0x$(sed -n 's/^CapBnd:\t//p' /proc/self/status)))
  for ((number = 0; number <= $(cat /proc/sys/kernel/cap_last_cap); number++)); do
    name=$(capsh --decode="$(printf '%016x' $((1 << number)))" | cut -d= -f2 | tr a-z A-Z)
    edit "c['process']['capabilities'] = {'bounding': ['$name']}"
    run once
    [ "$status" -eq 0 ]
    if ((own >> number & 1)); then
      [ "$output" = "$(printf 'CapBnd:\t%016x' $((1 << number)))" ] || { echo "$name: $output"; return 1; }
    else
      has "$output" "$name"
    fi
  done
  edit "c['process']['capabilities'] = {'bounding': ['CAP_KILL', 'CAP_NOTHING']}"
  run once
  has "$output" CAP_NOTHING # config.md: "Any value which cannot be mapped ... MUST be logged as a warning"
  [ "$status" -eq 0 ]
}

@test "each seccomp action, operator, architecture and flag that is listed is taken, and others are refused" {
  args true
  local action
  edit "
def rule(action, op='SCMP_CMP_EQ'):
    return {'names': ['getpriority'], 'action': action, 'args': [{'index': 0, 'value': 77, 'valueTwo': 1, 'op': op}]}
actions, ops = '$(listed .linux.seccomp.actions | xargs)'.split(), '$(listed .linux.seccomp.operators | xargs)'.split()
c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': '$(listed .linux.seccomp.archs | xargs)'.split(),
  'flags': [f for f in '$(listed .linux.seccomp.supportedFlags | xargs)'.split() if 'KILLABLE' not in f],
  'syscalls': [dict(rule(a), args=[{'index': 0, 'value': 1000 + i, 'op': 'SCMP_CMP_EQ'}]) for i, a in enumerate(actions) if a != 'SCMP_ACT_NOTIFY']
    + [dict(rule('SCMP_ACT_ERRNO', o), names=['setpriority']) for o in ops]}"
  once
  for action in $(listed .linux.seccomp.actions); do
    [ "$action" != SCMP_ACT_NOTIFY ] || continue # needs an agent: oci_spec.bats
    edit "c['linux']['seccomp']['syscalls'] = [{'names': ['getpriority'], 'action': '$action'}]"
    once
  done
  refuses "c['linux']['seccomp']['syscalls'][0]['action'] = 'SCMP_ACT_PRAY'" SCMP_ACT_PRAY
  refuses "c['linux']['seccomp']['defaultAction'] = 'SCMP_ACT_PRAY'" SCMP_ACT_PRAY
  refuses "c['linux']['seccomp']['syscalls'][0]['args'] = [{'index': 0, 'value': 1, 'op': 'SCMP_CMP_LIKE'}]" SCMP_CMP_LIKE
  refuses "c['linux']['seccomp']['architectures'] = ['SCMP_ARCH_PDP11']" SCMP_ARCH_PDP11
  refuses "c['linux']['seccomp']['flags'] = ['SECCOMP_FILTER_FLAG_NOTHING']" SECCOMP_FILTER_FLAG_NOTHING
}

@test "each mount option that is listed is taken, and one that is not is refused by a file system" {
  mkdir -p source/below bundle/rootfs/old && touch source/file
  args cat /proc/self/mountinfo
  edit "
names = '$(listed .mountOptions | xargs)'.split()
of_file_systems = {'sync', 'dirsync', 'mand', 'lazytime', 'async', 'nomand', 'nolazytime', 'iversion', 'noiversion', 'silent',
  'loud', 'acl', 'noacl', 'defaults', 'tmpcopyup'}
ids = [{'containerID': 0, 'hostID': 1000, 'size': 10}]
for name in names:
    mount = {'destination': '/at/' + name, 'type': 'bind', 'source': '$world/source', 'options': ['rbind', name]}
    if name in of_file_systems: mount.update({'type': 'tmpfs', 'source': 'tmpfs', 'options': [name]})
    if name in ('idmap', 'ridmap'): mount.update({'uidMappings': ids, 'gidMappings': ids})
    if name == 'remount': mount['destination'] = '/at/bind'; mount['options'] = ['remount', 'bind', 'ro']
    c['mounts'].append(mount)"
  once >mountinfo
  local name
  for name in $(listed .mountOptions); do
    grep -q " /at/$name " mountinfo || [ "$name" = remount ] || { echo "$name is not mounted"; return 1; }
  done
  # What the kernel shows of those that it shows: OPTION and the word of the mount or the file system.
  for name in ro nosuid nodev noexec noatime nodiratime nosymfollow relatime; do
    for line in "$name" "r$name"; do
      grep " /at/$line " mountinfo | cut -d' ' -f6 | tr , '\n' | grep -qx "$name" || { echo "$line is not in force"; return 1; }
    done
  done
  for name in sync dirsync lazytime; do
    grep " /at/$name " mountinfo | sed 's/.* - //' | grep -q "[, ]$name" || { echo "$name is not in force"; return 1; }
  done
  grep " /at/bind " mountinfo | cut -d' ' -f6 | grep -q '^ro'
  grep -q " /at/shared .* shared:" mountinfo
  refuses "c['mounts'].append({'destination': '/bad', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['nosuchoption']})" nosuchoption
  refuses "c['mounts'].append({'destination': '/bad', 'type': 'nosuchfs', 'source': 'x', 'options': []})" nosuchfs
}

@test "the opposite of each attribute takes it back, in the order of the list" {
  mkdir source
  args cat /proc/self/mountinfo
  edit "
for no, yes in (('ro', 'rw'), ('nosuid', 'suid'), ('nodev', 'dev'), ('noexec', 'exec'), ('nodiratime', 'diratime'), ('nosymfollow', 'symfollow')):
    for prefix in ('', 'r'):
        c['mounts'].append({'destination': '/off/' + prefix + no, 'type': 'bind', 'source': '$world/source', 'options': ['rbind', prefix + no, prefix + yes]})
        c['mounts'].append({'destination': '/on/' + prefix + no, 'type': 'bind', 'source': '$world/source', 'options': ['rbind', prefix + yes, prefix + no]})"
  once >mountinfo
  local name
  for name in {,r}{ro,nosuid,nodev,noexec,nodiratime,nosymfollow}; do
    grep " /on/$name " mountinfo | cut -d' ' -f6 | tr , '\n' | grep -qxE "$name|${name#r}" || { echo "$name is not on"; return 1; }
    ! grep " /off/$name " mountinfo | cut -d' ' -f6 | tr , '\n' | grep -qxE "${name#r}" || [ "$name" = ro ] || { echo "$name is not off"; return 1; }
  done
}

@test "the annotations that the document calls unsafe are those that change what a container may" {
  args sh -c 'touch /x 2>/dev/null || echo refused; id -u'
  edit "c['annotations'] = {'org.example.landlock': 'ro=/', 'run.oci.keep_original_groups': '1', 'lay.landlock': 'ro=/'}"
  [ "$(once)" = 0 ]
  edit "c['annotations'] = {'dev.lay.landlock': 'ro=/'}"
  [ "$(once)" = $'refused\n0' ]
  [ "$(jq -r '.potentiallyUnsafeConfigAnnotations | join(" ")' features.json)" = dev.lay. ]
}
