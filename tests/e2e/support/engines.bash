# Engines that drive containers through lay-oci, each with its state below the world: Debian's podman and containerd.
open_engine_world() {
  open_oci_world
  engine_run=$(mktemp -d /run/lay-engine.XXXXXX)  # sockets: their paths must be short
}

close_engine_world() {
  [[ ! -f $world/podman.conf ]] || podman rm -af -t 0 >/dev/null 2>&1 || true
  if [[ -n ${containerd_pid-} ]]; then
    local task  # of a test that has failed: each has a process that outlives containerd
    for task in $(ctr tasks ls -q 2>/dev/null); do ctr tasks delete --force "$task" >/dev/null 2>&1 || true; done
    kill "$containerd_pid"
    wait "$containerd_pid" || true
  fi
  rmdir /sys/fs/cgroup/{*/,}libpod_parent{/conmon,} /sys/fs/cgroup/{*/,}"lay-$$" 2>/dev/null || true
  rm -rf --one-file-system "$engine_run"
  local status=0
  close_oci_world || status=$?
  rm -rf --one-file-system "$engine_run" # which the clean-up of a container that had just ended makes again
  return "$status"
}

podman() { podman_with_descriptors "$@" 3>&-; }

podman_with_descriptors() {
  CONTAINERS_CONF=$world/podman.conf command podman --root "$world/podman" --runroot "$engine_run/podman" \
    --storage-driver vfs --runtime "$OCI" --cgroup-manager cgroupfs --events-backend file "$@"
}

start_podman() {
  printf '%s\n' '[containers]' "default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']" >podman.conf
  small_bundle
  tar -C bundle/rootfs -cf rootfs.tar .
  podman import -q rootfs.tar localhost/small >/dev/null
}

# In a namespace of the test's own, which is the control group's name too: every other test has a c1 as well.
ctr() { timeout 60 "$(type -P ctr)" --address "$engine_run/containerd.sock" --namespace "lay-$$" "$@" 3>&-; }

start_containerd() {
  small_bundle
  printf '%s\n' 'version = 2' "root = '$world/containerd'" "state = '$engine_run/containerd'" \
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]' '[grpc]' "address = '$engine_run/containerd.sock'" >containerd.toml
  containerd -c containerd.toml >containerd.log 2>&1 3>&- &
  containerd_pid=$!
  wait_until 20 ctr version
}
