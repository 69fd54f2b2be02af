# A bundle for tests of lay-oci: small_bundle makes bundle/ in the world, with busybox as its root; edit changes its
# config.json by a line of Python, in which c is the document.
small_bundle() {
  mkdir -p bundle/rootfs/{bin,proc,dev,sys,etc,tmp,run,root}
  cp /bin/busybox bundle/rootfs/bin/
  add_applets bundle/rootfs/bin sh ls cat echo id sleep mount tty stat env pwd true false ps kill test touch hostname head grep \
    readlink ulimit nproc
  echo root:x:0:0:root:/root:/bin/sh >bundle/rootfs/etc/passwd
  "$OCI" spec --bundle bundle
  edit 'c["process"]["terminal"] = False; c["root"]["readonly"] = False; c["process"]["noNewPrivileges"] = False'
}

edit() {
  python3 - "$1" <<'PY'
import json, sys
c = json.load(open("bundle/config.json"))
exec(sys.argv[1])
json.dump(c, open("bundle/config.json", "w"), indent=1)
PY
}

# args WORDS...: what the bundle runs.
args() {
  edit "c['process']['args'] = $(jq -cn '$ARGS.positional' --args -- "$@")"
}

# Without a terminal and without the test runner's own descriptors.
oci() { "$OCI" --root "$world/state" "$@" 3>&-; }

status_of() { oci state "$1" | jq -r .status; }

open_oci_world() {
  open_world
  OCI=${LAY%/*}/lay-oci
}

close_oci_world() {
  local id
  for id in $(oci list -q 2>/dev/null); do oci delete --force "$id" || true; done
  leave_world
}

# Crun where cgroup v2 is not mounted beside v1: it refuses such machines.
by_crun() {
  unshare --mount --propagation private sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh \
    crun --root "$world/crun" "$@" 3>&-
}

# take_probe ROOT: probe.sh is its command `probe`, with what it needs of busybox.
take_probe() {
  cp "$here/probe.sh" "$1/bin/probe"
  chmod +x "$1/bin/probe"
  add_applets "$1/bin" sed tr sort wc stat mkdir hostname
}

# seen_by NAME: without what is each runtime's own way: how hierarchies are put together, what covers masked paths.
seen_by() {
  grep -vE '^mount:/(sys/fs/cgroup|proc/|sys/firmware|dev/console)|^path:/(proc/timer_list|sys/firmware)|^env:HOME|^(dev|kind):/dev/(core|console)|^fds|^keyring|^SigIgn' \
    "$1.seen" | sort
}
