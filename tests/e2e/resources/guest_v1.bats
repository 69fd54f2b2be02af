#!/usr/bin/env bats
# As guest.bats, but with cgroup v1 alone. What is checked stands in ../../guest/v1.sh and, by the same flags as on v2,
# checks.sh.

load guest

setup_file() {
  export LAY_GUEST_CGROUPS=v1
  boot_guest
}

@test "the guest has cgroup v1 alone, and lay info says so" { good v1_alone; }
@test "pure v1: a container runs, takes exec, sees its own groups, and stops" { good v1_run_exec_stop; }
@test "pure v1: each hierarchy has the processes of run and exec" { good v1_membership; }
@test "pure v1: --memory, --memory-swap and --memory-reservation" { good v1_memory; }
@test "pure v1: an out-of-memory kill is told by ps, inspect and wait" { good oom_report; }
@test "pure v1: --cpus throttles" { good v1_cpu; }
@test "pure v1: --cpu-shares divides a processor" { good weight; }
@test "pure v1: --cpuset-cpus keeps to a processor" { good cpuset; }
@test "pure v1: --pids-limit ends a fork bomb" { good pids; }
@test "pure v1: --hugetlb-limit refuses more huge pages" { good hugetlb; }
@test "pure v1: --device-write-bps slows down" { good v1_io; }
@test "pure v1: no device but the ordinary ones is made or opened, after update and for exec too" { good devices; }
@test "pure v1: a node made outside opens no more" { good device_open; }
@test "pure v1: pause and unpause, and rm of what is paused" { good pause; }
@test "pure v1: rm -f ends what ignores signals and forks" { good kill; }
@test "pure v1: stats and top know all numbers" { good stats; }
@test "pure v1: update changes limits at once, and all or none" { good v1_update; }
@test "pure v1: a bundle's limits become the same in the groups' files as with crun and runc" { good v1_bundle_limits; }
@test "pure v1: lay-oci pauses, updates, counts, lists, kills and deletes" { good v1_bundle_life; }
@test "pure v1: nothing is left of all these" { good v1_nothing_left; }
