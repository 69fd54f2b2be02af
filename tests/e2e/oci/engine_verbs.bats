#!/usr/bin/env bats
# What engines ask of lay-oci beside a container's plain life: each answer is looked at from inside the container or in
# the kernel's own files.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load ../support/engines

setup() { open_engine_world; }
teardown() { close_engine_world; }

# started NAME FLAGS... -- COMMAND...: a container of podman's in the background, without network.
started() {
  local name=$1 flags=()
  shift
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  podman run -d --name "$name" --network none "${flags[@]}" localhost/small "${@:2}" >/dev/null
}

# inspected NAME TEMPLATE
inspected() { podman inspect --format "$2" "$1"; }

# group_file NAME CONTROLLER V1_FILE V2_FILE: what the kernel says there of podman's container.
group_file() {
  local group
  group=$(inspected "$1" '{{.State.CgroupPath}}')
  cut -d' ' -f1 "/sys/fs/cgroup/$2$group/$3" 2>/dev/null || cut -d' ' -f1 "/sys/fs/cgroup$group/$4"
}

@test "podman update changes processor time, shares, processors and memory of a running container" {
  start_podman
  started c1 -- sleep 100
  podman update --cpus 0.5 c1 >/dev/null
  [ "$(group_file c1 cpu cpu.cfs_quota_us cpu.max)" = 50000 ]
  podman update --cpu-shares 300 c1 >/dev/null
  [[ $(group_file c1 cpu cpu.shares cpu.weight) =~ ^(300|29)$ ]]
  [ "$(group_file c1 cpu cpu.cfs_quota_us cpu.max)" = 50000 ]
  podman update --cpuset-cpus 0 c1 >/dev/null
  [ "$(group_file c1 cpuset cpuset.cpus cpuset.cpus)" = 0 ]
  [ "$(podman exec c1 grep Cpus_allowed_list /proc/self/status | cut -f2)" = 0 ]
  podman update --memory 64m --memory-reservation 32m c1 >/dev/null
  [ "$(group_file c1 memory memory.limit_in_bytes memory.max)" = $((64 << 20)) ]
  [ "$(group_file c1 memory memory.soft_limit_in_bytes memory.low)" = $((32 << 20)) ]
  run podman update --cpuset-cpus 4000 c1
  [ "$status" -ne 0 ]
  [ "$(group_file c1 cpuset cpuset.cpus cpuset.cpus)" = 0 ]
}

@test "podman update --blkio-weight reaches the group where a disk heeds weights, and is refused in words elsewhere" {
  start_podman
  started c1 -- sleep 100
  run podman update --blkio-weight 300 --memory 64m c1
  if ((status == 0)); then
    [ "$(group_file c1 blkio blkio.bfq.weight io.bfq.weight)" = 300 ]
    [ "$(group_file c1 memory memory.limit_in_bytes memory.max)" = $((64 << 20)) ]
  else
    has "$output" weight
    [ "$(group_file c1 memory memory.limit_in_bytes memory.max)" != $((64 << 20)) ]
  fi
}

@test "two containers of a pod share its network, names, messages and processes" {
  start_podman
  podman pod create --name p1 --share net,ipc,uts,pid --network none --hostname shared >/dev/null
  podman run -d --pod p1 --name a localhost/small sleep 1000 >/dev/null
  podman run -d --pod p1 --name b localhost/small sleep 2000 >/dev/null
  local kind
  for kind in net ipc uts pid; do
    [ "$(namespace_of a "$kind")" = "$(namespace_of b "$kind")" ]
    [ "$(namespace_of a "$kind")" != "$(readlink "/proc/self/ns/$kind")" ]
  done
  [ "$(namespace_of a mnt)" != "$(namespace_of b mnt)" ]
  [ "$(podman exec a hostname)" = shared ]
  has "$(podman exec a ps)" "sleep 2000"
  podman pod pause p1 >/dev/null
  [ "$(inspected a '{{.State.Status}}')" = paused ]
  podman pod unpause p1 >/dev/null
  podman pod stop -t 1 p1 >/dev/null
  wait_until 10 eval '[ "$(inspected b "{{.State.Status}}")" = exited ]'
  podman pod start p1 >/dev/null
  [ "$(podman exec b echo again)" = again ]
  podman pod rm -f -t 0 p1 >/dev/null
  [ -z "$(podman ps -aq)" ]
}
namespace_of() { podman exec "$1" readlink "/proc/self/ns/$2"; }

@test "podman's health checks tell by their codes how a container is" {
  start_podman
  started c1 --health-cmd 'test -e /tmp/well' --health-interval disable --health-retries 1 -- sleep 100
  run podman healthcheck run c1
  [ "$status" -eq 1 ]
  [ "$(inspected c1 '{{.State.Health.Status}}')" = unhealthy ]
  podman exec c1 touch /tmp/well
  podman healthcheck run c1
  [ "$(inspected c1 '{{.State.Health.Status}}')" = healthy ]
  [ "$(inspected c1 '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 1).ExitCode}}')" = "1 0" ]
}

@test "podman exec has the user, folder, environment, rights, input and descriptors that are asked for" {
  start_podman
  started c1 --cap-drop all -- sleep 100
  [ "$(podman exec --user 7:8 c1 sh -c 'id -u; id -g' | xargs)" = "7 8" ]
  [ "$(podman exec --user nobody:9 c1 id -g 2>&1 | tail -n 1 | grep -c nobody)" = 1 ] # who is not in the image
  [ "$(podman exec --workdir /tmp c1 pwd)" = /tmp ]
  [ "$(podman exec --env 'A=b c' --env B= c1 sh -c 'echo "<$A><${B-unset}>"')" = "<b c><>" ]
  [ "$(podman exec c1 grep CapEff /proc/self/status | cut -f2)" = 0000000000000000 ]
  [ "$(podman exec --privileged c1 grep CapEff /proc/self/status)" = "$(grep CapEff /proc/self/status)" ]
  [ "$(printf through | podman exec -i c1 cat)" = through ]
  [ "$(podman_with_descriptors exec --preserve-fds 1 c1 sh -c 'cat <&3' 3<<<kept)" = kept ]
  podman exec -d c1 sh -c 'echo detached >/tmp/mark'
  wait_until 5 podman exec c1 test -e /tmp/mark
  run podman exec c1 sh -c 'kill -KILL $$'
  [ "$status" -eq 137 ]
}

@test "podman exec in a folder that is not there is refused as by runc, and makes none" {
  start_podman
  started c1 -- sleep 100
  run podman exec --workdir /no/such c1 true
  [ "$status" -eq 127 ] || { echo "exit $status: $output"; podman exec c1 ls -d /no/such; return 1; }
  has "$output" /no/such
  run podman exec c1 ls -d /no
  [ "$status" -ne 0 ]
}

@test "podman top prints the descriptors of every process, by the container's own numbers and the host's" {
  start_podman
  started c1 --user 5:6 -- sh -c 'sleep 1111 & sleep 2222; wait'
  wait_until 5 eval '[ "$(podman top c1 args | grep -c "^sleep")" = 2 ]'
  run podman top c1 pid user args
  has "$output" "sleep 1111"
  has "$output" "sleep 2222"
  [ "$(podman top c1 pid args | awk '/sh -c/ {print $1}')" = 1 ]
  [ "$(podman top c1 hpid args | awk '/sh -c/ {print $1}')" = "$(inspected c1 '{{.State.Pid}}')" ]
  [ "$(podman top c1 user | sed 1d | sort -u)" = 5 ]
  [ "$(podman top c1 capeff args | awk '/sh -c/ {print $1}')" = none ]
  has "$(podman top c1 -o pid,args)" "sleep 2222"
}

@test "a container that podman has paused stands still, is not executed in, and goes on" {
  start_podman
  started c1 -- sh -c 'while :; do echo >>/tmp/count; done'
  wait_until 5 podman exec c1 test -s /tmp/count
  podman pause c1 >/dev/null
  local count
  count=$(processor_time c1)
  run podman exec c1 true
  [ "$status" -ne 0 ]
  has "$output" "running containers"  # podman's own words
  [ "$(processor_time c1)" = "$count" ]
  podman unpause c1 >/dev/null
  wait_until 5 eval '[ "$(processor_time c1)" != '"$count"' ]'
  podman pause c1 >/dev/null
  podman rm -f -t 0 c1 >/dev/null
  [ -z "$(podman ps -aq)" ]
}
processor_time() { cut -d' ' -f14 "/proc/$(inspected "$1" '{{.State.Pid}}')/stat"; }

@test "podman stop waits as long as it is told, and kills then" {
  start_podman
  started deaf -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'
  started slow -- sh -c 'trap "sleep 1; exit 6" TERM; while :; do sleep 0.1; done'
  started other --stop-signal USR1 -- sh -c 'trap "exit 8" USR1; while :; do sleep 0.1; done'
  local begun=$EPOCHREALTIME
  podman stop -t 1 deaf >/dev/null 2>&1
  [ "$(inspected deaf '{{.State.ExitCode}}')" = 137 ]
  took "$begun" 1 6
  podman stop -t 10 slow >/dev/null
  [ "$(inspected slow '{{.State.ExitCode}}')" = 6 ]
  podman stop -t 10 other >/dev/null
  [ "$(inspected other '{{.State.ExitCode}}')" = 8 ]
}
# took BEGUN LEAST MOST: seconds since.
took() {
  python3 -c 'import sys; took, least, most = map(float, sys.argv[1:]); sys.exit(not least <= took <= most)' \
    "$(jq -n "$EPOCHREALTIME - $1")" "$2" "$3"
}

@test "podman checkpoint is refused in words, and the container runs on" {
  start_podman
  started c1 -- sleep 100
  run podman container checkpoint c1
  [ "$status" -ne 0 ]
  has "$output" checkpoint
  [ "$(podman exec c1 echo alive)" = alive ]
}

@test "podman run --init has a first process that reaps and hands signals on" {
  start_podman
  started reaps --init -- sh -c '(sleep 0.1 &); exec sleep 100'
  has "$(podman exec reaps cat /proc/1/cmdline | tr '\0' ' ')" sleep
  [ "$(podman exec reaps cat /proc/1/comm)" != sleep ]
  wait_until 5 eval '[ "$(podman exec reaps ps | grep -c "[s]leep")" = 2 ]' # init's own words, and the command
  podman stop -t 5 reaps >/dev/null
  [ "$(inspected reaps '{{.State.ExitCode}}')" = 143 ]
}

@test "podman run --systemd has the folders and the group of its own that systemd needs" {
  start_podman
  run podman run --rm --network none --systemd always localhost/small sh -c \
    'echo "$container"; for place in /run /run/lock /tmp /var/log/journal; do grep -c " $place tmpfs" /proc/mounts; done
    mkdir -p /sys/fs/cgroup/systemd/made && echo made; touch /run/x && echo written'
  echo "$output"
  [ "${lines[*]}" = "podman 1 1 1 1 made written" ]
}

@test "podman restarts a container as its policy says" {
  start_podman
  started c1 --restart on-failure:2 -- sh -c 'echo run >>/log; exit 3'
  wait_until 15 eval '[ "$(inspected c1 "{{.RestartCount}} {{.State.Status}}")" = "2 exited" ]'
  [ "$(inspected c1 '{{.State.ExitCode}}')" = 3 ]
  podman cp c1:/log counted
  [ "$(wc -l <counted)" = 3 ]
}

@test "podman's blocking wait, kill by name, diff and commit see what the container did" {
  start_podman
  started c1 -- sh -c 'trap "exit 9" HUP; echo new >/new; while :; do sleep 0.1; done'
  wait_until 5 podman exec c1 test -e /new
  podman wait c1 >waited &
  local waiting=$!
  podman kill -s HUP c1 >/dev/null
  wait "$waiting"
  [ "$(cat waited)" = 9 ]
  has "$(podman diff c1)" "A /new"
  podman commit -q c1 localhost/with-new >/dev/null
  [ "$(podman run --rm --network none localhost/with-new cat /new)" = new ]
}

# Containerd's

@test "ctr's tasks end by TERM, stand still while they are paused, and are counted as the kernel counts them" {
  start_containerd
  ctr run -d --runc-binary "$OCI" --rootfs "$world/bundle/rootfs" c1 sh -c 'trap "exit 3" TERM; while :; do :; done'
  local first
  first=$(ctr tasks ls | awk '$1 == "c1" {print $2}')
  has "$(ctr tasks ps c1)" "$first"
  run ctr tasks exec --exec-id e1 --cwd /tmp --user 7:8 c1 sh -c 'pwd; id -u; id -g'
  [ "${lines[*]}" = "/tmp 7 8" ]
  wait_until 10 goes_through c1 # ctr itself may be gone before the last of the output
  run ctr tasks exec --exec-id e3 c1 nothing-there
  [ "$status" -ne 0 ]
  has "$output" "executable file not found"
  ctr tasks pause c1
  [ "$(metric c1 memory.usage_in_bytes memory.usage)" -gt 0 ]
  local told
  told=$(metric c1 cpuacct.usage cpu.usage_usec)
  [ "$told" -gt 0 ]
  sleep 0.3
  near "$(metric c1 cpuacct.usage cpu.usage_usec)" "$told"
  near "$(cat "/sys/fs/cgroup/cpuacct$(group_of "$first" cpuacct)/cpuacct.usage" 2>/dev/null || echo "$told")" "$told"
  ctr tasks resume c1
  wait_until 10 eval '[ "$(metric c1 cpuacct.usage cpu.usage_usec)" -gt '"$((told + 10000000))"' ]'
  ctr tasks kill -s TERM c1
  wait_until 10 eval 'ctr tasks ls | grep -q STOPPED'
  has "$(ctr tasks delete c1 2>&1)" "exit code 3"
  ctr containers delete c1
}
goes_through() { [ "$(printf through | ctr tasks exec --exec-id "e$RANDOM" "$1" cat)" = through ]; }
# near NUMBER OTHER: what a process takes to stand still is less than a hundredth second.
near() { (($1 >= $2 && $1 <= $2 + 10000000)) || { echo "$1 is not near $2"; return 1; }; }
# metric ID NAMES...: the number of the first of these that ctr prints.
metric() {
  ctr tasks metrics "$1" | awk -v names="${*:2}" 'BEGIN {split(names, list, " "); for (i in list) wanted[list[i]]}
    $1 in wanted {print $1 ~ /usec$/ ? $2 * 1000 : $2; exit}'
}
group_of() { sed -n "s/^[0-9]*:$2://p" "/proc/$1/cgroup"; }

@test "ctr kill --all reaches every process, and a task's limits and mounts are in force" {
  start_containerd
  mkdir volume && echo told >volume/file
  ctr run -d --runc-binary "$OCI" --memory-limit $((64 << 20)) --env A=b --mount "type=bind,src=$world/volume,dst=/v,options=rbind:ro" \
    --rootfs "$world/bundle/rootfs" c1 sh -c 'sleep 1000 & sleep 1000'
  local first
  first=$(ctr tasks ls | awk '$1 == "c1" {print $2}')
  [ "$(cat "/sys/fs/cgroup/memory$(group_of "$first" memory)/memory.limit_in_bytes" 2>/dev/null)" = $((64 << 20)) ]
  [ "$(ctr tasks exec --exec-id e1 c1 sh -c 'cat /v/file; echo $A; touch /v/x 2>/dev/null || echo refused' | xargs)" = "told b refused" ]
  ctr tasks kill --all -s KILL c1
  wait_until 10 eval 'ctr tasks ls | grep -q STOPPED'
  ctr tasks delete c1 || true
  ctr containers delete c1
}
