#!/usr/bin/env bats
# Another machine: Linux 6.1 of Debian 12 with cgroup v2 alone and every controller, booted once under TCG for all of
# these. What is checked stands in ../guest/checks.sh.

here=$(cd "$(dirname "$BATS_TEST_FILENAME")" && pwd)

setup_file() {
  ((EUID == 0)) || skip "needs root"
  "$here/../inputs/guest-kernel.sh" >/dev/null || skip "apt cannot fetch Debian's cloud kernel"
  export console=$BATS_FILE_TMPDIR/console
  "$here/../guest/boot.sh" "${LAY:?the path of the program under test}" >"$console"
}

# good NAME: the check of that name was run and went well.
good() {
  grep -q "^ok $1 " "$console" && return
  sed -n "/^not ok $1\$/,/^\\(not \\)\\?ok /p" "$console"
  grep -q "^not ok $1\$" "$console" || tail -n 30 "$console"
  return 1
}

@test "the guest has cgroup v2 alone, with every controller" { good pure_v2; }
@test "v2: a container runs, takes exec, and stops" { good run_exec_stop; }
@test "v2: --memory kills what takes more, and --memory-reservation protects" { good memory; }
@test "v2: --memory-swap gives as much swap as it says" { good swap; }
@test "v2: an out-of-memory kill is told by ps, inspect and wait" { good oom_report; }
@test "v2: --cpus throttles" { good cpu; }
@test "v2: --cpu-shares divides a processor" { good weight; }
@test "v2: --cpuset-cpus keeps to a processor" { good cpuset; }
@test "v2: --pids-limit ends a fork bomb" { good pids; }
@test "v2: --hugetlb-limit refuses more huge pages" { good hugetlb; }
@test "v2: --device-read-bps and --device-write-bps slow down" { good io; }
@test "v2: --blkio-weight reaches BFQ" { good io_weight; }
@test "v2: --blkio-weight divides a disk" { good io_weight_bites; }
@test "v2: --blkio-weight reaches io.cost, and is refused where no disk heeds it" { good io_cost; }
@test "v2: --cgroup-conf writes files of v2, and none that are lay's own or another version's" { good cgroup_conf; }
@test "K10: v2's program keeps from devices, after update and for exec too" { good devices; }
@test "K10: v2's program keeps from a device whose node was made outside" { good device_open; }
@test "v2: pause and unpause, and rm of what is paused" { good pause; }
@test "v2: cgroup.kill ends what ignores signals and forks" { good kill; }
@test "v2: stats and top know all numbers" { good stats; }
@test "v2: update changes limits at once, and all or none" { good update; }
@test "Linux 6.1: layers are trees, and a commit of one is run" { good tree_form; }
@test "Linux 6.1: a user namespace is refused with what it takes" { good userns; }
@test "v2: containers reach each other over the bridge" { good network; }
@test "K09: v2: a container cannot write its cgroups, with whatever capabilities" { good cgroup_is_closed; }
@test "v2: exec reaches a container that has groups beneath its own" { good exec_beside_groups; }
@test "v2: a cgroup namespace of another container is joined" { good cgroup_namespace; }
@test "v2: lay-oci starts a bundle three times as fast as runc, and as fast as crun" { good oci_is_fast; }
@test "AppArmor: a profile confines the process and those of exec; one that is not loaded is an error" { good apparmor; }
@test "a class and priorities for packets reach net_cls and net_prio" { good net_cls; }
@test "v2: a card that rdma does not know is an error" { good rdma; }
@test "v2: nothing is left of all these" { good nothing_left; }

@test "SELinux: process and mounts have their labels; one that the policy does not know is an error" {
  console=$BATS_TEST_TMPDIR/console
  LAY_GUEST_SECURITY=selinux "$here/../guest/boot.sh" "$LAY" selinux >"$console"
  good selinux
}
