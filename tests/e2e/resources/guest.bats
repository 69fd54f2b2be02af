#!/usr/bin/env bats
# Another machine: Linux 6.1 of Debian 12 with cgroup v2 alone and every controller, booted once under TCG for all of
# these. What is checked stands in ../../guest/checks.sh, resources.sh and groups.sh.

load guest

setup_file() { boot_guest; }

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
@test "v2: a bundle's limits become the same in the group's files as with crun and runc" { good oci_resources; }
@test "v2: a bundle's limits of -1, a period alone, idle and the least shares become the same as with crun" { good oci_resources_unlimited; }
@test "v2: a memory reservation of -1 is all there is, as with crun" { good oci_reservation_unlimited; }
@test "v2: empty resources limit nothing, and open no more than the default devices" { good oci_empty_resources; }
@test "v2: what a bundle asks for and v2 has not is refused by its name, and nothing is left" { good oci_refused; }
@test "v2: a path that is none of a group beneath the root is refused" { good oci_paths_refused; }
@test "v2: a limit of memory in which nothing can start is told as such, as by crun and runc" { good oci_too_little_memory; }
@test "v2: swap without a limit of memory is refused, as by crun and runc" { good oci_swap_alone; }
@test "v2: unified writes files by their names, after the other limits" { good oci_unified; }
@test "v2: a value of unified with a line for each disk is written line by line" { good oci_unified_lines; }
@test "v2: a bundle's device rules open for making, reading and writing what they say, after update too, as with crun" { good oci_devices; }
@test "v2: device rules with -1 are about every number, as with crun and runc" { good oci_device_wildcards; }
@test "v2: lay-oci update changes device rules, as crun does" { good oci_update_devices; }
@test "v2: lay-oci update changes each limit at once, and all or none" { good oci_update; }
@test "v2: lay-oci events has all numbers, and tells of an out-of-memory kill" { good oci_stats; }
@test "v2: lay-oci events counts swap with memory, as runc does" { good oci_stats_swap; }
@test "v2: lay-oci pause freezes the group; signals wait for resume, but KILL" { good oci_pause; }
@test "v2: a group that is there is taken with its settings when it is empty, and refused when not" { good oci_group_exists; }
@test "v2: folders on the way to a group get the controllers, and go if they were made" { good oci_group_is_deep; }
@test "v2: a group that is there without controllers gets those that limits need, as with crun" { good oci_group_without_controllers; }
@test "v2: a group that has given its controllers to others is refused by its name, and spared" { good oci_group_has_groups; }
@test "v2: beneath a group with processes a limit of memory is refused by its name" { good oci_parent_has_processes_limit; }
@test "v2: beneath a group with processes a bundle without limits runs, and that group stays a domain" { good oci_parent_has_processes; }
@test "v2: beneath a group with processes lay run without limits runs, and that group stays a domain" { good run_parent_has_processes; }
@test "v2: a container has groups of its own where its cgroup mount is read-write, beneath its limits" { good oci_delegation; }
@test "v2: such groups are those of root in a user namespace, who makes others in them, as with crun" { good oci_group_owner; }
@test "v2: lay-oci exec, ps and kill --all reach groups beneath the container's" { good oci_exec_cgroup; }
@test "v2: ps and kill --all reach more nested groups than files may be open, and leave nothing frozen" { good oci_nested_groups_signal; }
@test "v2: delete removes more nested groups than files may be open" { good oci_nested_groups_delete; }
@test "v2: delete --force takes what was killed while it was created in a frozen group" { good oci_create_in_frozen_group; }
@test "v2: without a cgroup namespace a bundle sees its own group alone, read-only" { good oci_host_cgroup_namespace; }
@test "v2: flags of lay run become files: as much swap as memory, no limits, least and most shares" { good run_files; }
@test "v2: lay update changes each kind of limit" { good update_files; }
@test "v2: --cgroup-parent has the controllers, and goes as far as it was made" { good run_cgroup_parent; }
@test "v2: lay-oci starts a bundle three times as fast as runc, and as fast as crun" { good oci_is_fast; }
@test "AppArmor: a profile confines the process and those of exec; one that is not loaded is an error" { good apparmor; }
@test "a class and priorities for packets reach net_cls and net_prio" { good net_cls; }
@test "v2: a card that rdma does not know is an error" { good rdma; }
@test "v2: nothing is left of all these" { good nothing_left; }

@test "SELinux: process and mounts have their labels; one that the policy does not know is an error" {
  console=$BATS_TEST_TMPDIR/console
  LAY_GUEST_SECURITY=selinux "$guest/boot.sh" "$LAY" selinux >"$console"
  good selinux
}
