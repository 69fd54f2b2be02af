#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: devices, mounts with ids of their own, and
# rootfsPropagation.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

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
