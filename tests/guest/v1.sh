# Part of checks.sh: a machine with cgroup v1 alone, each controller in a hierarchy of its own, some in one together. The
# judges of bundles are crun and runc.

readonly as_on_v2="oom_report weight cpuset pids hugetlb devices device_open pause kill stats"
readonly v1=/sys/fs/cgroup

check_v1_alone() {
  fails grep cgroup2 /proc/self/mountinfo
  has "$(lay info --security)" "v1"
  has "$(uname -r)" 6.1
}

check_v1_run_exec_stop() {
  is "$(inside -- 'echo $((6 * 7))')" 42
  lay run -d --name served --network none small sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  is "$(lay exec served sh -c 'cut -d: -f3 /proc/self/cgroup | sort -u')" /
  is "$(lay exec served sh -c 'ls /sys/fs/cgroup')" "$(ls $v1)"
  lay stop served
  is "$(lay wait served)" 3
  lay rm served
}

# Every hierarchy has each process of a container, and of exec.
check_v1_membership() {
  lay run -d --name member --network none small sleep 1000
  lay exec member sleep 1000 &
  within 10 sh -c 'pidof sleep | grep -q " "'
  id=$(lay inspect -f '{{.Id}}' member)
  for process in $(pidof sleep); do
    for controller in cpu memory cpuset pids blkio devices freezer hugetlb; do
      has "$(grep "[:,]$controller[:,]" /proc/$process/cgroup)" /lay/$id
    done
  done
  lay rm -f member
  fails ls -d $v1/*/lay
}

check_v1_memory() {
  dies -m 6m --memory-swap 6m -- 'head -c 9000000 /dev/zero | tail -c 9000000 >/dev/null'
  is "$(inside -m 32m --memory-swap 32m -- 'head -c 9000000 /dev/zero | tail -c 9000000 | wc -c')" 9000000
  is "$(inside -m 6m --memory-swap 32m -- 'head -c 9000000 /dev/zero | tail -c 9000000 | wc -c')" 9000000
  is "$(inside -m 16m --memory-reservation 8m -- \
    'cd /sys/fs/cgroup/memory && cat memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes' | tr '\n' ' ')" \
    "16777216 33554432 8388608 "
}

check_v1_cpu() {
  report=$(inside --cpus 0.25 -- 'timeout 2 sh -c "while :; do :; done"; cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpuacct/cpuacct.usage')
  between 5 "$(echo "$report" | awk '$1 == "nr_throttled" {print $2}')" 100
  between 100000000 "$(echo "$report" | tail -n 1)" 900000000
}

check_v1_io() {
  start=$(milliseconds)
  inside -v /disk:/disk --device-write-bps /dev/nullb1:1m -- 'dd if=/dev/zero of=/disk/out bs=64k count=48 oflag=direct'
  between 2000 $(($(milliseconds) - start)) 20000
  start=$(milliseconds)
  inside -v /disk:/disk -- 'dd if=/disk/out of=/dev/null bs=64k iflag=direct'
  between 0 $(($(milliseconds) - start)) 1900
}

check_v1_update() {
  lay run -d --name changed --network none -m 32m --memory-swap 64m small sleep 1000
  lay update -m 64m --memory-swap 128m --cpus 0.5 --cpu-shares 2048 --pids-limit 7 --cpuset-cpus 0 changed
  read_all='cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares pids/pids.max cpuset/cpuset.cpus'
  is "$(lay exec changed sh -c "$read_all" | tr '\n' ' ')" "67108864 134217728 50000 2048 7 0 "
  fails lay update -m 16m --cpu-shares 77 --cpuset-cpus 9 changed
  is "$(lay exec changed sh -c "$read_all" | tr '\n' ' ')" "67108864 134217728 50000 2048 7 0 "
  lay rm -f changed
}

# values_of_v1 GROUP FILE...: CONTROLLER/NAME each, what they hold, in one line.
values_of_v1() {
  group=$1
  shift
  for file; do printf '%s, ' "$(sort $v1/${file%/*}/$group/${file#*/} | tr '\n' ';' | sed 's/;$//')"; done
}

check_v1_bundle_limits() {
  for runtime in lay-oci crun runc; do
    bundle_with /judged/$runtime '{"memory": {"limit": 33554432, "swap": 67108864, "reservation": 16777216},
      "cpu": {"shares": 512, "quota": 20000, "period": 100000, "cpus": "1", "mems": "0"}, "pids": {"limit": 33},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
      "blockIO": {"throttleWriteBpsDevice": [{"major": 254, "minor": 0, "rate": 1048576}]},
      "network": {"classID": 1048577},
      "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}'
    begin $runtime
    values_of_v1 judged/$runtime memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes \
      memory/memory.soft_limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus \
      cpuset/cpuset.mems pids/pids.max hugetlb/hugetlb.2MB.limit_in_bytes blkio/blkio.throttle.write_bps_device \
      net_cls,net_prio/net_cls.classid >/tmp/values.$runtime
    grep -c 'c 1:11 r$' $v1/devices/judged/$runtime/devices.list >>/tmp/values.$runtime
    $runtime delete --force $runtime
    find $v1/*/judged -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  is "$(cat /tmp/values.crun)" "$(cat /tmp/values.lay-oci)"
  is "$(cat /tmp/values.runc)" "$(cat /tmp/values.lay-oci)"
  has "$(cat /tmp/values.lay-oci)" "33554432, 67108864, 16777216, 512, 20000, 100000, 1, 0, 33, 4194304"
}

check_v1_bundle_life() {
  bundle_with /judged/lay-oci '{"pids": {"limit": 20}, "memory": {"limit": 33554432}}' \
    'trap "" TERM; sleep 900 & sleep 901 & sleep 1000'
  begin lay-oci
  within 10 sh -c '[ $(pidof sleep | wc -w) = 3 ]'
  lay-oci pause lay-oci
  is "$(lay-oci state lay-oci | jq -r .status)" paused
  is "$(cat $v1/freezer/judged/lay-oci/freezer.state)" FROZEN
  lay-oci resume lay-oci
  echo '{"pids": {"limit": 30}, "memory": {"limit": 67108864}}' | lay-oci update --resources - lay-oci
  is "$(values_of_v1 judged/lay-oci pids/pids.max memory/memory.limit_in_bytes)" "30, 67108864, "
  is "$(lay-oci events --stats lay-oci | jq -c '[.data.pids.limit, .data.memory.usage.limit]')" "[30,67108864]"
  is "$(lay-oci ps --format json lay-oci | jq length)" 3
  lay-oci kill --all lay-oci KILL
  within 10 sh -c '[ "$(lay-oci state lay-oci | jq -r .status)" = stopped ]'
  fails pidof sleep
  lay-oci delete lay-oci
  fails ls -d $v1/*/judged
}

check_v1_nothing_left() {
  is "$(lay ps -aq)" ""
  fails ls -d $v1/*/lay
  within 10 sh -c '! grep -q /lay/ /proc/self/mountinfo'
}
