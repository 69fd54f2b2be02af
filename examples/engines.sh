#!/usr/bin/env bash
# lay inside engines that exist: an image that lay committed is run by Debian's podman and by containerd's ctr, both with
# lay-oci as their runtime, and by `podman kube play` of the file that `lay generate kube` wrote.
#
#     examples/engines.sh
#
# Needs root; installs the Debian packages that are missing and builds lay first, unless LAY names the program. Images,
# containers and sockets lie in folders of its own, which are gone at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/inputs/registry.bash

say() { printf '\n== %s\n' "$*"; }

podman_() {
  CONTAINERS_CONF=$work/podman.conf podman --root "$work/podman" --runroot "$sockets/podman" --storage-driver vfs \
    --runtime "$oci" --cgroup-manager cgroupfs --events-backend file "$@"
}

ctr_() { timeout 60 ctr --address "$sockets/containerd.sock" --namespace "lay-$$" "$@"; }

start_containerd() {
  cat >"$work/containerd.toml" <<TOML
version = 2
root = '$work/containerd'
state = '$sockets/containerd'
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = '$sockets/containerd.sock'
TOML
  containerd -c "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
  containerd_pid=$!
  wait_until 20 ctr_ version >/dev/null || { tail "$work/containerd.log" >&2; return 1; }
}

clean_up() {
  local status=$?
  set +e
  [[ ! -f $work/podman.conf ]] || { podman_ pod rm -af -t 0; podman_ rm -af -t 0; } >/dev/null 2>&1
  [[ -z ${containerd_pid-} ]] || { kill "$containerd_pid"; wait "$containerd_pid"; }
  rmdir /sys/fs/cgroup/{*/,}libpod_parent{/conmon,} /sys/fs/cgroup/{*/,}"lay-$$" 2>/dev/null
  "$lay" rm -f app >/dev/null 2>&1
  wait_until 10 layers_unmounted "$work/run"
  rm -rf --one-file-system "$work" "$sockets"
  ((status == 0)) || echo "engines: stopped with status $status" >&2
  exit "$status"
}

((EUID == 0)) || { echo "engines: run this as root" >&2; exit 1; }
if [[ -z ${LAY-} ]]; then
  tests/install-packages.sh build test
  cmake --preset release >/dev/null && cmake --build --preset release --target lay
fi
lay=$(realpath "${LAY:-build/release/lay}")
oci=${lay%/*}/lay-oci
work=$(mktemp -d /var/tmp/lay-engines.XXXXXX)
sockets=$(mktemp -d /run/lay-engines.XXXXXX) # their paths must be short
trap clean_up EXIT
export LAY_ROOT=$work/lay LAY_RUN=$work/run

say "lay: a base, something configured by hand, an image"
"$lay" import "$(tests/inputs/debian-base.sh)/rootfs.tar" debian:12
"$lay" run --name app --network none debian:12 sh -c 'echo "configured by hand" >/by-hand'
"$lay" commit app myapp:1 --cmd '["cat", "/by-hand"]'
"$lay" rm app

say "podman --runtime lay-oci"
printf '%s\n' '[containers]' "default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']" >"$work/podman.conf"
"$lay" save myapp:1 | podman_ load -q
podman_ run --rm --network none myapp:1

say "ctr run --runc-binary lay-oci"
start_containerd
"$lay" save myapp:1 | ctr_ images import -
ctr_ run --rm --runc-binary "$oci" docker.io/library/myapp:1 c1

say "podman kube play, of a file that lay wrote"
"$lay" run -d --name app --network host myapp:1 sh -c 'cat /by-hand; exec sleep 100'
"$lay" generate kube app >"$work/pod.yaml"
"$lay" rm -f app
podman_ kube play "$work/pod.yaml"
wait_until 20 eval 'podman_ logs app-app 2>/dev/null | grep -q "by hand"'
podman_ logs app-app
podman_ kube down "$work/pod.yaml"
