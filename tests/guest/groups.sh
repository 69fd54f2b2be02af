# Part of checks.sh: where in cgroup v2 a container is put (linux.cgroupsPath, --cgroup-parent), and groups beneath its own. What
# is used here stands in resources.sh.

# sleep_in GROUP: prints the process that sleeps there.
sleep_in() {
  mkdir -p $groups/$1
  sleep 1000 >/dev/null 2>&1 &
  echo $! >$groups/$1/cgroup.procs
  echo $!
}

# A group of others that is empty is taken as it is, and goes as with crun and runc; one with processes is not.
check_oci_group_exists() {
  for runtime in crun lay-oci; do
    mkdir -p $groups/judged/$runtime
    echo +pids >$groups/judged/cgroup.subtree_control
    echo 77 >$groups/judged/$runtime/pids.max
    begin_with $runtime /judged/$runtime '{}'
    is "$runtime $(values judged/$runtime pids.max)" "$runtime 77, "
    end $runtime
    fails test -e $groups/judged/$runtime
  done
  rmdir $groups/judged
  sleeper=$(sleep_in taken)
  no_create "not empty: '/taken'" '{}' /taken
  is "$(cat $groups/taken/cgroup.procs)" "$sleeper"
  kill "$sleeper"
  within 5 rmdir $groups/taken
}

# Folders of the way that were there stay, those that were made go.
check_oci_group_is_deep() {
  mkdir $groups/judged
  begin_with lay-oci /judged/a/b/lay-oci '{"pids": {"limit": 5}, "memory": {"limit": 33554432}}'
  is "$(values judged/a/b/lay-oci pids.max memory.max)" "5, 33554432, "
  end lay-oci
  is "$(ls -d $groups/judged/*/ 2>/dev/null)" ""
  rmdir $groups/judged
}

# As systemd or an engine leaves it that makes groups and no limits.
check_oci_group_without_controllers() {
  for runtime in crun lay-oci; do
    mkdir -p $groups/judged/$runtime
    fails test -e $groups/judged/$runtime/pids.max
    begin_with $runtime /judged/$runtime '{"pids": {"limit": 5}, "memory": {"limit": 33554432}}'
    is "$runtime $(values judged/$runtime pids.max memory.max)" "$runtime 5, 33554432, "
    end $runtime
  done
  rmdir $groups/judged
}

# It cannot have processes itself: "no internal processes", cgroup-v2.rst.
check_oci_group_has_groups() {
  mkdir -p $groups/judged/lay-oci/inner
  echo +memory >$groups/judged/cgroup.subtree_control
  echo +memory >$groups/judged/lay-oci/cgroup.subtree_control
  bundle_with /judged/lay-oci '{}'
  code=0
  report=$(begin lay-oci) || code=$?
  rmdir $groups/judged/lay-oci/inner $groups/judged/lay-oci $groups/judged # all of them spared
  is $code 1
  has "$report" judged/lay-oci
}

# Whose parent has processes gets no controllers: a limit that needs one is refused by its name.
check_oci_parent_has_processes_limit() {
  sleeper=$(sleep_in judged)
  no_create memory '{"memory": {"limit": 33554432}}'
  is "$(cat $groups/judged/cgroup.procs)" "$sleeper"
  kill "$sleeper"
  within 5 rmdir $groups/judged
}

# Threaded groups are nothing that anybody asked for, and the parent stays what it was.
check_oci_parent_has_processes() {
  sleeper=$(sleep_in judged)
  trap 'kill $sleeper; within 5 rmdir $groups/judged' EXIT
  code=0
  begin_with lay-oci /judged/lay-oci '{}' || code=$?
  is "$(cat $groups/judged/cgroup.type)" domain
  is $code 0
  is "$(cat $groups/judged/lay-oci/cgroup.procs | wc -l)" 1
  end lay-oci
}

check_run_parent_has_processes() {
  sleeper=$(sleep_in judged)
  trap 'kill $sleeper; within 5 rmdir $groups/judged' EXIT
  code=0
  report=$(lay run --rm --network none --cgroup-parent /judged --pids-limit -1 small cat /proc/self/cgroup 2>&1) || code=$?
  echo "$report"
  is "$(cat $groups/judged/cgroup.type)" domain
  is $code 0
}

# As systemd does inside: groups of its own, and its limits beneath those from outside.
readonly take_over='cd /sys/fs/cgroup
  mkdir inner && echo 1 >inner/cgroup.procs && echo +memory >cgroup.subtree_control && echo 16777216 >inner/memory.max
  echo max >memory.max && echo lifted; echo end; exec sleep 1000'
check_oci_delegation() {
  for runtime in lay-oci crun; do
    for option in ro rw; do
      bundle_with /judged/$runtime '{"memory": {"limit": 33554432}}' "$take_over"
      change '.mounts |= map(select(.type != "cgroup" and .type != "cgroup2"))
        + [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "'$option'"]}]'
      begin $runtime
      within 10 grep -q end /tmp/said
      echo "$option $(values judged/$runtime memory.max) $(cat $groups/judged/$runtime/inner/memory.max 2>/dev/null)" \
        "$($runtime exec $runtime cat /proc/self/cgroup) $(grep -c lifted /tmp/said)"
      end $runtime
    done >/tmp/values.$runtime
  done
  is "$(tr '\n' ';' </tmp/values.lay-oci)" "ro 33554432,   0::/ 0;rw 33554432,  16777216 0::/inner 0;"
  is "$(cat /tmp/values.crun)" "$(cat /tmp/values.lay-oci)"
  fails test -e $groups/judged
}

# Groups beneath the container's own.
# config-linux.md, "Cgroup ownership".
check_oci_group_owner() {
  for runtime in lay-oci crun; do
    for option in ro rw; do
      bundle_with /judged/$runtime '{"pids": {"limit": 20}}' \
        'cd /sys/fs/cgroup && mkdir own && echo 1 >own/cgroup.procs && echo 5 >pids.max; cat /proc/self/cgroup; echo end; sleep 1000'
      change '.mounts |= map(select(.type != "cgroup" and .type != "cgroup2"))
        + [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", "'$option'"]}]
        | .linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}]
        | .linux.gidMappings = .linux.uidMappings | .linux.sysctl = {}'
      chown 100000:100000 $bundle/rootfs
      begin $runtime >&2
      within 10 grep -q end /tmp/said
      echo "$option $(grep 0:: /tmp/said) $(values judged/$runtime pids.max)" \
        $(cd $groups/judged/$runtime && busybox stat -c '%u %n' . * | sed -n 's/^100000 //p')
      end $runtime
    done >/tmp/values.$runtime
  done
  chown 0:0 $bundle/rootfs
  is "$(cat /tmp/values.lay-oci)" "ro 0::/ 20, 
rw 0::/own 20,  . cgroup.procs cgroup.subtree_control cgroup.threads memory.oom.group memory.reclaim own"
  # which gives them away where they are read-only, too
  is "$(grep ^rw /tmp/values.crun)" "$(grep ^rw /tmp/values.lay-oci)"
}

check_oci_exec_cgroup() {
  begin_with lay-oci /judged/lay-oci '{}'
  mkdir $groups/judged/lay-oci/other
  is "$(lay-oci exec --cgroup other lay-oci cat /proc/self/cgroup)" 0::/other
  fails lay-oci exec --cgroup nowhere lay-oci true
  lay-oci exec --detach --cgroup other lay-oci sleep 1000
  is "$(lay-oci ps --format json lay-oci | jq length)" 2
  lay-oci kill --all lay-oci KILL
  within 5 grep -q 'populated 0' $groups/judged/lay-oci/cgroup.events
  end lay-oci
  fails test -e $groups/judged
}

# nested_groups: in a container's group more of them, each in the one before, than lay-oci may open files.
nested_groups() {
  begin_with lay-oci /judged/lay-oci '{}'
  mkdir -p $groups/judged/lay-oci/$(seq -s / 100)
}

check_oci_nested_groups_signal() {
  nested_groups
  code=0
  (ulimit -n 64; lay-oci kill --all lay-oci WINCH) || code=$?
  is "$(lay-oci state lay-oci | jq -r .status)" running
  is $code 0
  is "$(ulimit -n 64; lay-oci ps --format json lay-oci | jq length)" 1
  end lay-oci
}

check_oci_nested_groups_delete() {
  nested_groups
  (ulimit -n 64; lay-oci delete --force lay-oci)
  fails test -e $groups/judged
}

# An engine's patience ends while nothing moves.
check_oci_create_in_frozen_group() {
  mkdir $groups/judged
  echo 1 >$groups/judged/cgroup.freeze
  bundle_with /judged/lay-oci '{}'
  code=0
  timeout -s KILL 2 lay-oci create --bundle $bundle lay-oci </dev/null >/dev/null 2>&1 || code=$?
  is $code 137
  code=0
  timeout -s KILL 5 lay-oci delete --force lay-oci || code=$?
  echo 0 >$groups/judged/cgroup.freeze
  is $code 0
  rmdir $groups/judged
}

check_oci_host_cgroup_namespace() {
  bundle_with /judged/lay-oci '{"memory": {"limit": 33554432}}' 'cat /proc/self/cgroup /sys/fs/cgroup/memory.max; mkdir /sys/fs/cgroup/x; echo end; exec sleep 1000'
  change '.linux.namespaces |= map(select(.type != "cgroup"))'
  begin lay-oci
  within 10 grep -q end /tmp/said
  is "$(tr '\n' ' ' </tmp/said)" "0::/judged/lay-oci 33554432 mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system end "
  end lay-oci
}

check_run_cgroup_parent() {
  mkdir $groups/judged
  lay run -d --name placed --network none --cgroup-parent /judged/a/b --pids-limit 7 small sleep 1000
  is "$(values judged/a/b/$(lay inspect -f '{{.Id}}' placed) pids.max)" "7, "
  lay rm -f placed
  is "$(ls -d $groups/judged/*/ 2>/dev/null)" ""
  rmdir $groups/judged
}
