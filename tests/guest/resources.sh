# Part of checks.sh: what linux.resources of a bundle become in the files of cgroup v2. The judges are crun and runc with the
# same bundle. A container has the name of its runtime.

readonly groups=/sys/fs/cgroup
readonly bundle=/store/resources

make_resources_bundle() {
  mkdir -p $bundle/rootfs/bin $bundle/rootfs/nodes
  cp /bin/busybox $bundle/rootfs/bin/
  for name in sh cat cp echo grep head ls mkdir mknod rm sleep tail true; do ln -s busybox $bundle/rootfs/bin/$name; done
  for node in b:254:0 b:254:1 c:1:11; do mknod $bundle/rootfs/nodes/$node $(echo $node | tr : ' '); done
  lay-oci spec --bundle $bundle
  jq '.ociVersion = "1.0.2" | .process.terminal = false | .root.readonly = false
    | .process.capabilities |= map_values(. + ["CAP_MKNOD"])' $bundle/config.json >$bundle/base.json
}

# bundle_with GROUP RESOURCES [SCRIPT]: a bundle that runs SCRIPT or sleeps, in GROUP and with RESOURCES.
bundle_with() {
  [ -e $bundle/base.json ] || make_resources_bundle
  jq --arg group "$1" --argjson resources "$2" --arg script "${3:-exec sleep 1000}" \
    '.linux.cgroupsPath = $group | .linux.resources += $resources | .process.args = ["sh", "-c", $script]' \
    $bundle/base.json >$bundle/config.json
}

# change FILTER: of jq, for the bundle that is there.
change() {
  jq "$1" $bundle/config.json >$bundle/changed.json
  mv $bundle/changed.json $bundle/config.json
}

begin() { $1 run --detach --bundle $bundle $1 </dev/null >/tmp/said 2>&1 || { cat /tmp/said; return 1; }; }
begin_with() {
  runtime=$1
  shift
  bundle_with "$@"
  begin $runtime
}
# crun and runc leave the folder above.
end() {
  $1 delete --force $1
  [ $1 = lay-oci ] || rmdir $groups/judged
}
# After a check that failed.
end_all() {
  for runtime in lay-oci crun runc; do $runtime delete --force $runtime; done
  find $groups/judged -depth -type d -exec rmdir {} +
}

# values GROUP FILE...: what they hold, in one line.
values() {
  folder=$groups/$1
  shift
  for file; do printf '%s, ' "$(tr '\n' ';' <$folder/$file | sed 's/;$//')"; done
}

# same_as JUDGES RESOURCES FILE...: what lay-oci has written into them, and above it how the judges differ.
same_as() {
  judges=$1
  resources=$2
  shift 2
  for runtime in lay-oci $judges; do
    begin_with $runtime /judged/$runtime "$resources"
    values judged/$runtime "$@" >/tmp/values.$runtime
    end $runtime
  done
  for judge in $judges; do
    cmp -s /tmp/values.$judge /tmp/values.lay-oci || echo "$judge: $(cat /tmp/values.$judge)"
  done
  cat /tmp/values.lay-oci
}

# updates RESOURCES VALUES FILE...: what the files hold after the update.
updates() {
  echo "$1" | lay-oci update --resources - lay-oci
  expected=$2
  shift 2
  is "$(values judged/lay-oci "$@")" "$expected"
}

# no_update WORDS RESOURCES: it is refused with WORDS.
no_update() {
  code=0
  report=$(echo "$2" | lay-oci update --resources - lay-oci 2>&1) || code=$?
  is $code 1
  has "$report" "$1"
}

# no_create WORDS RESOURCES [GROUP]: refused with WORDS, and nothing is left.
no_create() {
  bundle_with ${3:-/judged/refused} "$2"
  code=0
  report=$(begin lay-oci) || code=$?
  is "$1 $code" "$1 1"
  has "$report" "$1"
  fails test -e /run/lay/oci/lay-oci
  fails test -e $groups/judged/refused
}

check_oci_resources() {
  disk=$(cat /sys/block/nullb1/dev)
  on_disk="\"major\": ${disk%:*}, \"minor\": ${disk#*:}"
  echo bfq >/sys/block/nullb1/queue/scheduler
  is "$(same_as "crun runc" '{"memory": {"limit": 67108864, "reservation": 33554432, "swap": 100663296},
    "cpu": {"shares": 262144, "quota": 30000, "period": 60000, "cpus": "1", "mems": "0"}, "pids": {"limit": 55},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
    "blockIO": {"weight": 200, "weightDevice": [{'"$on_disk"', "weight": 300}],
      "throttleReadBpsDevice": [{'"$on_disk"', "rate": 1048576}], "throttleWriteBpsDevice": [{'"$on_disk"', "rate": 2097152}],
      "throttleReadIOPSDevice": [{'"$on_disk"', "rate": 33}], "throttleWriteIOPSDevice": [{'"$on_disk"', "rate": 77}]}}' \
    memory.max memory.low memory.swap.max cpu.weight cpu.max cpuset.cpus cpuset.mems pids.max hugetlb.2MB.max io.bfq.weight io.max)" \
    "67108864, 33554432, 33554432, 10000, 30000 60000, 1, 0, 55, 4194304, default 200;$disk 300, $disk rbps=1048576 wbps=2097152 riops=33 wiops=77, "
  echo none >/sys/block/nullb1/queue/scheduler
}

check_oci_resources_unlimited() {
  is "$(same_as crun '{"memory": {"limit": 67108864, "swap": 67108864}, "cpu": {"shares": 2, "period": 50000}, "pids": {"limit": -1}}' \
    memory.max memory.swap.max cpu.weight cpu.max pids.max)" "67108864, 0, 1, max 50000, max, "
  is "$(same_as crun '{"memory": {"limit": 67108864, "swap": -1}, "cpu": {"quota": -1, "period": 50000, "idle": 1}}' \
    memory.max memory.swap.max cpu.max cpu.idle cpu.weight)" "67108864, max, max 50000, 1, 0, "
}

check_oci_reservation_unlimited() {
  is "$(same_as crun '{"memory": {"reservation": -1}}' memory.low)" "max, "
}

check_oci_empty_resources() {
  for runtime in lay-oci crun; do
    bundle_with /judged/$runtime '{}'
    change '.linux.resources = {}'
    begin $runtime
    values judged/$runtime memory.max memory.low memory.swap.max cpu.weight cpu.max cpu.idle cpuset.cpus pids.max io.max >/tmp/values.$runtime
    is "$(cat /tmp/values.$runtime)" "max, 0, max, 100, max 100000, 0, , max, , "
    $runtime exec $runtime sh -c 'head -c 1 /dev/zero >/dev/null'
    [ $runtime = crun ] || is "$($runtime exec $runtime head -c 1 /nodes/b:254:0 2>&1 | grep -c 'not permitted')" 1
    end $runtime
  done
}

# What v2 has not, or not so, is told by its name, by lay-oci and by crun.
check_oci_refused() {
  no_create 'is less than' '{"memory": {"limit": 67108864, "swap": 33554432}}'
  no_create swappiness '{"memory": {"swappiness": 10}}'
  no_create oom '{"memory": {"disableOOMKiller": true}}'
  no_create classID '{"network": {"classID": 10}}'
  no_create realtimeRuntime '{"cpu": {"realtimeRuntime": 1000}}'
  no_create leafWeight '{"blockIO": {"leafWeight": 100}}'
  no_create io.max '{"blockIO": {"throttleReadBpsDevice": [{"major": 77, "minor": 7, "rate": 1}]}}'
  no_create "'7'" '{"cpu": {"cpus": "7"}}'
  no_create 32MB '{"hugepageLimits": [{"pageSize": "32MB", "limit": 33554432}]}'
  no_create no.such '{"unified": {"no.such": "1"}}'
  no_create memory.kernel '{"memory": {"kernel": 33554432}}'
  no_create memory.kernelTCP '{"memory": {"kernelTCP": 33554432}}'
  no_create memory.useHierarchy '{"memory": {"useHierarchy": false}}'
  no_create cgroup.freeze '{"unified": {"cgroup.freeze": "1"}}'
  no_create memory.nosuch '{"unified": {"memory.nosuch": "1"}}'
  no_create ../pids.max '{"unified": {"../pids.max": "1"}}'
  no_create "memory.high': write 'much'" '{"unified": {"memory.high": "much"}}'
}

check_oci_paths_refused() {
  for path in / /judged/../taken /./taken; do no_create "is no path of a cgroup" '{}' $path; done
  fails test -e $groups/taken
}

# The kernel kills what is to become the container; crun and runc say so.
check_oci_too_little_memory() {
  bundle_with /judged/crun '{"memory": {"limit": 4096, "swap": 4096}}'
  has "$(begin crun || true)" "memory limit could be too low"
  no_create memory '{"memory": {"limit": 4096, "swap": 4096}}'
}

# Memory without a limit leaves nothing of a sum of both for swap.
check_oci_swap_alone() {
  bundle_with /judged/crun '{"memory": {"swap": 67108864}}'
  has "$(begin crun || true)" "swap limit without the memory limit"
  no_create swap '{"memory": {"swap": 67108864}}'
}

check_oci_unified() {
  is "$(same_as crun '{"pids": {"limit": 5}, "unified": {"memory.high": "33554432", "pids.max": "9", "cpu.weight": "77", "cpu.weight.nice": "0",
    "hugetlb.2MB.max": "2097152", "cgroup.max.depth": "3", "memory.oom.group": "1"}}' \
    memory.high pids.max cpu.weight hugetlb.2MB.max cgroup.max.depth memory.oom.group)" "33554432, 9, 100, 2097152, 3, 1, "
}

# config-linux.md, "Unified", has two disks in one value; the kernel takes one with each write.
check_oci_unified_lines() {
  first=$(cat /sys/block/nullb0/dev)
  second=$(cat /sys/block/nullb1/dev)
  begin_with lay-oci /judged/lay-oci "{\"unified\": {\"io.max\": \"$first rbps=2097152 wiops=120\\n$second rbps=2097152\"}}"
  is "$(values judged/lay-oci io.max | sed 's/, $//' | tr ';' '\n' | sort | tr '\n' ';')" \
    "$first rbps=2097152 wbps=max riops=max wiops=120;$second rbps=2097152 wbps=max riops=max wiops=max;"
  end lay-oci
}

# For each node what is allowed: to make, read and write it.
readonly open_nodes='cd /nodes; for node in *; do
  rest=${node#*:}
  mknod /dev/x ${node%%:*} ${rest%:*} ${rest#*:} 2>/dev/null && { echo -n m; rm -f /dev/x; }
  head -c 1 $node >/dev/null 2>&1 && echo -n r
  (: >>$node) 2>/dev/null && echo -n w
  echo -n " $node "
done'

check_oci_devices() {
  for runtime in lay-oci crun; do
    begin_with $runtime /judged/$runtime '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "access": "r"},
      {"allow": true, "type": "b", "major": 254, "minor": 1, "access": "wm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"}]}'
    echo '{"pids": {"limit": 20}}' >/tmp/limits
    $runtime update --resources /tmp/limits $runtime
    $runtime exec $runtime sh -c "$open_nodes" </dev/null >/tmp/values.$runtime
    end $runtime
  done
  is "$(cat /tmp/values.lay-oci)" "mr b:254:0 mrw b:254:1 mw c:1:11 "
  is "$(cat /tmp/values.crun)" "$(cat /tmp/values.lay-oci)"
}

# docker run --device-cgroup-rule 'b *:* r' is written so.
check_oci_device_wildcards() {
  for runtime in crun lay-oci; do
    begin_with $runtime /judged/$runtime '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "major": -1, "minor": -1, "access": "r"}]}'
    is "$runtime $($runtime exec $runtime sh -c "$open_nodes" </dev/null)" "$runtime mr b:254:0 mr b:254:1 m c:1:11 "
    end $runtime
  done
}

check_oci_update_devices() {
  for runtime in crun lay-oci; do
    begin_with $runtime /judged/$runtime '{"devices": [{"allow": false, "access": "rwm"}]}'
    echo '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "major": 254, "access": "r"}]}' >/tmp/limits
    $runtime update --resources /tmp/limits $runtime
    is "$runtime $($runtime exec $runtime sh -c "$open_nodes" </dev/null)" "$runtime mr b:254:0 mr b:254:1 m c:1:11 "
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >/tmp/limits
    $runtime update --resources /tmp/limits $runtime
    is "$runtime $($runtime exec $runtime sh -c "$open_nodes" </dev/null)" "$runtime m b:254:0 m b:254:1 m c:1:11 "
    end $runtime
  done
}

check_oci_update() {
  disk=$(cat /sys/block/nullb1/dev)
  on_disk="\"major\": ${disk%:*}, \"minor\": ${disk#*:}"
  begin_with lay-oci /judged/lay-oci '{"pids": {"limit": 44}}'
  updates '{"memory": {"limit": 67108864, "swap": 100663296, "reservation": 33554432}}' "67108864, 33554432, 33554432, " memory.max memory.swap.max memory.low
  updates '{"memory": {"swap": 83886080}}' "67108864, 16777216, " memory.max memory.swap.max
  updates '{"memory": {"limit": 33554432, "swap": -1}}' "33554432, max, " memory.max memory.swap.max
  updates '{"memory": {"limit": -1, "swap": -1}}' "max, max, " memory.max memory.swap.max
  no_update 'more than the new limit' '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}'
  updates '{"memory": {"limit": 67108864, "checkBeforeUpdate": true}}' "67108864, " memory.max
  updates '{"cpu": {"quota": 20000, "period": 50000, "burst": 7000, "shares": 1024}}' "20000 50000, 7000, 100, " cpu.max cpu.max.burst cpu.weight
  updates '{"cpu": {"quota": 5000, "burst": 1000}}' "5000 50000, 1000, " cpu.max cpu.max.burst
  no_update cpu.burst '{"cpu": {"burst": 6000}}'
  updates '{"cpu": {"idle": 1}}' "1, 0, " cpu.idle cpu.weight
  updates '{"cpu": {"idle": 0, "shares": 262144}}' "0, 10000, " cpu.idle cpu.weight
  updates '{"cpu": {"cpus": "1", "mems": "0"}}' "1, 0, " cpuset.cpus cpuset.mems
  updates '{"blockIO": {"throttleReadBpsDevice": [{'"$on_disk"', "rate": 1048576}], "throttleWriteIOPSDevice": [{'"$on_disk"', "rate": 77}]}}' \
    "$disk rbps=1048576 wbps=max riops=max wiops=77, " io.max
  updates '{"blockIO": {"throttleReadBpsDevice": [{'"$on_disk"', "rate": 0}]}}' "$disk rbps=max wbps=max riops=max wiops=77, " io.max
  updates '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}' "4194304, 4194304, " hugetlb.2MB.max hugetlb.2MB.rsvd.max
  no_update no.such '{"pids": {"limit": 3}, "unified": {"no.such": "1"}}'
  no_update a/b '{"pids": {"limit": 3}, "unified": {"a/b": "1"}}'
  no_update swappiness '{"pids": {"limit": 3}, "memory": {"swappiness": 3}}'
  updates '{"unified": {"memory.high": "50003968"}}' "50003968, 44, " memory.high pids.max
  updates '{"pids": {"limit": -1}}' "max, " pids.max
  lay-oci update --memory 60002304 --memory-swap 70004736 --memory-reservation 10002432 --cpu-share 2 --cpu-quota 30000 --cpu-period 60000 \
    --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 9 lay-oci
  is "$(values judged/lay-oci memory.max memory.swap.max memory.low cpu.weight cpu.max cpuset.cpus pids.max)" \
    "60002304, 10002432, 10002432, 1, 30000 60000, 0, 9, "
  end lay-oci
}

# Beside the numbers those of runc's words that engines read.
check_oci_stats() {
  begin_with lay-oci /judged/lay-oci '{"memory": {"limit": 8388608, "swap": 8388608}, "pids": {"limit": 44}, "cpu": {"quota": 50000, "period": 100000}}'
  lay-oci events --interval 60s lay-oci >/tmp/events &
  listener=$!
  within 10 grep -q '"stats"' /tmp/events
  # Busy for many periods, so that it is throttled; nothing may be left that its first process would have to reap
  lay-oci exec lay-oci sh -c 'end=$(($(busybox date +%s) + 2)); while [ $(busybox date +%s) -lt $end ]; do :; done'
  code=0
  lay-oci exec lay-oci tail -c 64000000 /dev/zero || code=$?
  is $code 137
  within 10 grep -q '"oom"' /tmp/events
  kill $listener
  lay-oci events --stats lay-oci >/tmp/stats
  is "$(jq -r '[.type, .id, .data.pids.current, .data.pids.limit, .data.memory.usage.limit, .data.memory.usage.max] | @csv' /tmp/stats)" \
    '"stats","lay-oci",1,44,8388608,8388608'
  is "$(jq '.data.memory.usage.usage > 0 and .data.memory.usage.usage < 8388608' /tmp/stats)" true
  between 1000 $(($(jq .data.cpu.usage.total /tmp/stats) / 1000)) "$(sed -n 's/usage_usec //p' $groups/judged/lay-oci/cpu.stat)"
  is "$(jq '.data.cpu.throttling | .periods > 0 and .throttledPeriods > 0 and .throttledTime > 0' /tmp/stats)" true
  is "$(jq '.data.cpu.usage | .user + .kernel <= .total' /tmp/stats)" true
  is "$(jq '.data.memory.raw.anon > 0' /tmp/stats)" true
  end lay-oci
}

# Swap is that and memory together in runc's words, in v1 and in v2.
check_oci_stats_swap() {
  for runtime in runc lay-oci; do
    begin_with $runtime /judged/$runtime '{"memory": {"limit": 16777216, "swap": 50331648}}'
    is "$runtime $($runtime events --stats $runtime | jq '.data.memory.swap.limit')" "$runtime 50331648"
    end $runtime
  done
}

check_oci_pause() {
  begin_with lay-oci /judged/lay-oci '{}' 'trap "echo >/told" TERM; while :; do echo >>/ticks; sleep 0.05; done'
  ticks=$bundle/rootfs/ticks
  within 10 test -s $ticks
  lay-oci pause lay-oci
  is "$(values judged/lay-oci cgroup.freeze) $(grep frozen $groups/judged/lay-oci/cgroup.events)" "1,  frozen 1"
  is "$(lay-oci state lay-oci | jq -r .status)" paused
  before=$(wc -c <$ticks)
  fails lay-oci exec lay-oci true
  fails lay-oci start lay-oci
  lay-oci kill lay-oci TERM
  usleep 200000
  is "$(wc -c <$ticks) $(lay-oci state lay-oci | jq -r .status)" "$before paused"
  fails test -e $bundle/rootfs/told
  lay-oci resume lay-oci
  within 10 test -e $bundle/rootfs/told
  is "$(values judged/lay-oci cgroup.freeze)$(lay-oci state lay-oci | jq -r .status)" "0, running"
  lay-oci pause lay-oci
  updates '{"pids": {"limit": 12}}' "12, 1, " pids.max cgroup.freeze
  lay-oci kill lay-oci KILL
  within 10 sh -c '[ "$(lay-oci state lay-oci | jq -r .status)" = stopped ]'
  lay-oci delete lay-oci
  rm $ticks $bundle/rootfs/told
  fails test -e $groups/judged
}

# Flags of lay run and lay update.

# shown FLAG... -- FILE...: what a container with these flags has in its files.
shown() {
  flags=
  while [ "$1" != -- ]; do
    flags="$flags $1"
    shift
  done
  shift
  lay run --rm --network none $flags small sh -c "cd /sys/fs/cgroup; head -n 1 $* | grep -v -e '^==' -e '^$'" | tr '\n' ' '
}

check_run_files() {
  is "$(shown -m 32m --cpus 1.5 --cpu-shares 262144 -- memory.max memory.swap.max cpu.max cpu.weight pids.max)" "33554432 33554432 150000 100000 10000 2048 "
  is "$(shown -m 32m --memory-swap -1 --cpu-shares 2 --pids-limit -1 -- memory.max memory.swap.max cpu.weight pids.max)" "33554432 max 1 max "
}

check_update_files() {
  lay run -d --name changed --network none small sleep 1000
  echo bfq >/sys/block/nullb1/queue/scheduler
  lay update -m 32m --memory-swap 48m --memory-reservation 8m --cpus 0.5 --cpuset-mems 0 --hugetlb-limit 2MB=4m --cgroup-conf memory.high=16m \
    --device-read-bps /dev/nullb1:1m --device-write-iops /dev/nullb1:77 --blkio-weight 200 --blkio-weight-device /dev/nullb1:300 changed
  disk=$(cat /sys/block/nullb1/dev)
  is "$(values lay/$(lay inspect -f '{{.Id}}' changed) memory.max memory.swap.max memory.low cpu.max cpuset.mems hugetlb.2MB.max memory.high io.max io.bfq.weight)" \
    "33554432, 16777216, 8388608, 50000 100000, 0, 4194304, 16777216, $disk rbps=1048576 wbps=max riops=max wiops=77, default 200;$disk 300, "
  lay update --memory-swap -1 changed
  is "$(values lay/$(lay inspect -f '{{.Id}}' changed) memory.max memory.swap.max)" "33554432, max, "
  lay rm -f changed
  echo none >/sys/block/nullb1/queue/scheduler
}
