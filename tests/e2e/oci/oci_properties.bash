# For tests of what a bundle asks for: its container is c1, of the folder `bundle`.

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
  add_applets bundle/rootfs/bin "$@"
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

# grant_realtime: a group may have what its parent has, and the machine that the test sees has none at first.
grant_realtime() {
  v1_of cpu cpu.rt_runtime_us
  edit 'c["linux"]["cgroupsPath"] = "/c1"'
  [ "$(cat /sys/fs/cgroup/cpu/cpu.rt_runtime_us)" -gt 0 ] || echo 400000 >/sys/fs/cgroup/cpu/cpu.rt_runtime_us
}

# cfs: quota, period and burst of c1.
cfs() { echo "$(value cpu cpu.cfs_quota_us) $(value cpu cpu.cfs_period_us) $(value cpu cpu.cfs_burst_us)"; }

# own_users: a user namespace of the container's own.
own_users() {
  edit 'c["linux"]["namespaces"].append({"type": "user"})
c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 300000, "size": 1000}]'
}

cpus_of() { sed -n 's/^Cpus_allowed_list:\t*//p' "/proc/$1/status"; }
