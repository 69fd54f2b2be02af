#!/usr/bin/env bats
# Engines that exist drive containers through lay-oci: Debian's podman and containerd.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load ../support/engines

setup() { open_engine_world; }
teardown() { close_engine_world; }

@test "podman runs, execs, tops, pauses, updates, stops and removes containers" {
  start_podman
  run --separate-stderr podman run --rm --network none localhost/small sh -c 'echo hello; exit 3'
  [ "$status" -eq 3 ]
  [ "$output" = hello ]
  run podman run --rm -t --network none localhost/small tty
  has "$output" /dev/pts/0
  podman run -d --name c1 --network none --memory 100m localhost/small sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
  [ "$(podman exec c1 echo inside)" = inside ]
  run podman exec c1 sh -c 'exit 7'
  [ "$status" -eq 7 ]
  run podman exec -t c1 tty
  has "$output" /dev/pts/
  run podman exec c1 nothing-there
  [ "$status" -eq 127 ]
  run podman exec c1 /etc/passwd
  [ "$status" -eq 126 ]
  has "$(podman top c1)" "while :"
  podman pause c1 >/dev/null
  [ "$(podman inspect --format '{{.State.Status}}' c1)" = paused ]
  podman unpause c1 >/dev/null
  [ "$(podman stats --no-stream --format '{{.PIDs}}' c1)" -ge 1 ]
  podman update --memory 50m c1 >/dev/null
  group=$(podman inspect --format '{{.State.CgroupPath}}' c1)
  [ "$(cat "/sys/fs/cgroup/memory$group/memory.limit_in_bytes" 2>/dev/null || cat "/sys/fs/cgroup$group/memory.max")" = $((50 << 20)) ]
  podman stop -t 5 c1 >/dev/null
  [ "$(podman inspect --format '{{.State.ExitCode}}' c1)" = 5 ]
  podman start c1 >/dev/null
  [ "$(podman inspect --format '{{.State.Status}}' c1)" = running ]
  podman kill c1 >/dev/null
  podman rm -f -t 0 c1 >/dev/null
  [ -z "$(podman ps -aq)" ]
  run podman run --rm --network none localhost/small nothing-there
  [ "$status" -eq 127 ]
  run podman run --rm --network none localhost/small /etc/passwd
  [ "$status" -eq 126 ]
}

@test "podman's user namespaces, read-only roots, volumes, users and limits are in force" {
  start_podman
  mkdir volume
  run podman run --rm --network none --read-only --user 5:6 -v "$world/volume:/v:ro" --pids-limit 33 --cap-drop all \
    --security-opt no-new-privileges localhost/small sh -c \
    'id -u; id -g; touch /x 2>&1; touch /v/x 2>&1; grep -E "CapEff|NoNewPrivs" /proc/self/status; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null'
  has "$output" $'5\n6\n'
  [ "$(grep -c 'Read-only file system' <<<"$output")" = 2 ]
  has "$output" $'CapEff:\t0000000000000000'
  has "$output" $'NoNewPrivs:\t1'
  has "$output" 33
  run podman run --rm --network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 localhost/small sh -c 'id -u; cat /proc/self/uid_map'
  [ "$status" -eq 0 ]
  has "$output" 100000
}

@test "podman's privileged containers have every right that this machine can grant" {
  start_podman
  run podman run --rm --network none --privileged localhost/small sh -c 'grep -o "CapEff.*" /proc/self/status; ls /dev/ptmx'
  echo "$output"
  [ "$status" -eq 0 ]
  has "$output" "$(sed -n 's/^CapBnd://p' /proc/self/status)"
}

@test "containerd's ctr runs, execs, pauses, kills and removes containers" {
  start_containerd
  run ctr run --rm --runc-binary "$OCI" --rootfs "$world/bundle/rootfs" c1 sh -c 'echo hello; exit 4'
  [ "$status" -eq 4 ]
  has "$output" hello
  ctr run -d --runc-binary "$OCI" --rootfs "$world/bundle/rootfs" c2 sleep 100
  has "$(ctr tasks ls)" RUNNING
  run ctr tasks exec --exec-id e1 c2 sh -c 'echo inside; exit 5'
  [ "$status" -eq 5 ]
  has "$output" inside
  [ "$(ctr tasks ps c2 | wc -l)" = 2 ]
  has "$(ctr tasks metrics c2)" memory
  ctr tasks pause c2
  has "$(ctr tasks ls)" PAUSED
  ctr tasks resume c2
  ctr tasks kill -s KILL c2
  wait_until 10 eval 'ctr tasks ls | grep -q STOPPED'
  ctr tasks delete c2 || true  # its exit code is the task's
  ctr containers delete c2
  [ -z "$(ctr containers ls -q)" ]
}

@test "examples/engines.sh runs what lay committed under podman, ctr and podman kube play" {
  run "$here/../../../examples/engines.sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c '^configured by hand' <<<"$output")" = 3 ]
}
