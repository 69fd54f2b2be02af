#!/usr/bin/env bash
# Runs lay and its peers in turn on the same work and prints medians, ratios and peak memory; the same as JSON goes to
# build/bench/result.json. Needs root.
#   bench/run.sh [--quick] [--rounds N] [--peers-only] [WORK...]
#     WORK          run-bridge run-none oci exec detached crowd commit files layer push push-again pull pull-change serve
#                   (all when none is named; `run` is both runs, `rmi` is measured with pull)
#     --quick       few rounds
#     --rounds N    rounds of each work, instead of 3 for the long and 20 for the short ones
#     --peers-only  without lay, and without building it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

((EUID == 0)) || { echo "bench: lay and its peers run containers here: run this as root" >&2; exit 1; }

clean_up() {
  # Only what has the bench's own name; the containers in it have ended with their pid namespace.
  find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
  rm -rf --one-file-system "$scratch"
}

tests/install-packages.sh build bench
mkdir -p build/bench
if [[ " $* " != *" --peers-only "* ]]; then
  { cmake --preset release && cmake --build --preset release --target lay; } >build/bench/build.log ||
    { tail -n 30 build/bench/build.log >&2; exit 1; }
fi
base=$(tests/inputs/debian-base.sh)
upper=$(tests/inputs/upper-900m.sh)
image=$(bench/image.sh)

group=lay-bench-$$
scratch=$(mktemp -d /var/tmp/lay-bench.XXXXXX)
trap clean_up EXIT
# Network, mounts and processes of the bench are its own: no tool can touch the machine's links, rules or /run, and
# daemons end with it. The registry is on this namespace's loopback.
unshare --net --mount --pid --fork --kill-child --mount-proc sh -ec '
  ip link set lo up
  cat /etc/resolv.conf >"$1/resolv.conf" && mount --bind "$1/resolv.conf" /etc/resolv.conf
  mount -t tmpfs tmpfs /run && mkdir /run/lock
  for state in /var/lib/containers /var/lib/cni /var/lib/docker; do
    [ ! -d "$state" ] || mount -t tmpfs tmpfs "$state"
  done
  # crun refuses machines that have both versions of cgroups: here all see the older one alone
  [ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified
  shift
  exec python3 bench/main.py "$@"' sh "$scratch" \
  --scratch "$scratch" --cgroup "/$group" --base "$base" --upper "$upper" --image "$image" "$@"
