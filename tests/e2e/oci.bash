# A bundle for tests of lay-oci: small_bundle makes bundle/ in the world, with busybox as its root; edit changes its
# config.json by a line of Python, in which c is the document.
small_bundle() {
  mkdir -p bundle/rootfs/{bin,proc,dev,sys,etc,tmp,run,root}
  cp /bin/busybox bundle/rootfs/bin/
  local name
  for name in sh ls cat echo id sleep mount tty stat env pwd true false ps kill test touch hostname head grep readlink ulimit nproc; do
    ln -sf busybox "bundle/rootfs/bin/$name"
  done
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
  close_world
}
