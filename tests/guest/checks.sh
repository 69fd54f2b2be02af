# Runs inside the guest machine, by busybox's shell: a line "ok NAME" or "not ok NAME" for each check, and of those that
# fail what they printed. guest.bats gives each a name that can be read.

# inside FLAG... -- SCRIPT: runs SCRIPT in a container without network that is removed afterwards.
inside() {
  flags=
  while [ "$1" != -- ]; do
    flags="$flags $1"
    shift
  done
  lay run --rm --network none $flags small sh -c "$2"
}

fails() { if "$@"; then echo "did not fail: $*"; return 1; fi; }
# dies FLAG... -- SCRIPT: as inside, but the script must fail, not lay.
dies() {
  code=0
  inside "$@" || code=$?
  [ $code != 0 ] && [ $code != 125 ] || { echo "exit $code"; return 1; }
}
# refused WORDS FLAG...: lay must not start a container with them, and say WORDS.
refused() {
  words=$1
  shift
  code=0
  report=$(inside "$@" -- true 2>&1) || code=$?
  is $code 125
  has "$report" "$words"
}
is() { [ "$1" = "$2" ] || { echo "'$1', expected '$2'"; return 1; }; }
has() { case $1 in *"$2"*) ;; *) echo "'$2' is not in: $1"; return 1 ;; esac; }
between() { [ "$1" -le "$2" ] && [ "$2" -le "$3" ] || { echo "$2 is not between $1 and $3"; return 1; }; }
# within SECONDS COMMAND...: until it succeeds.
within() {
  tries=$(($1 * 20))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "in vain: $*"; return 1; }
    usleep 50000
  done
}
milliseconds() { awk '{print int($1 * 1000)}' /proc/uptime; }

check_pure_v2() {
  is "$(cut -d: -f1 /proc/self/cgroup)" 0
  for controller in memory cpu cpuset pids io hugetlb; do has "$(cat /sys/fs/cgroup/cgroup.controllers)" $controller; done
  has "$(uname -r)" 6.1
}

check_run_exec_stop() {
  is "$(inside -- 'echo $((6 * 7))')" 42
  lay run -d --name served --network none small sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
  is "$(lay exec served sh -c 'cat /proc/self/cgroup')" 0::/
  is "$(lay exec served cat /proc/1/cmdline | tr '\0' ' ' | cut -c1-5)" "sh -c"
  lay stop served
  is "$(lay wait served)" 3
  lay rm served
}

check_memory() {
  dies -m 6m --memory-swap 6m -- 'head -c 9000000 /dev/zero | tail -c 9000000 >/dev/null'
  is "$(inside -m 32m --memory-swap 32m -- 'head -c 9000000 /dev/zero | tail -c 9000000 | wc -c')" 9000000
  is "$(inside --memory-reservation 8m -- 'cat /sys/fs/cgroup/memory.low')" $((8 << 20))
}

check_swap() {
  is "$(inside -m 6m --memory-swap 32m -- 'head -c 9000000 /dev/zero | tail -c 9000000 | wc -c')" 9000000
  dies -m 6m --memory-swap 7m -- 'head -c 9000000 /dev/zero | tail -c 9000000 >/dev/null'
}

check_oom_report() {
  code=0
  lay run --name greedy --network none -m 6m --memory-swap 6m small tail -c 64000000 /dev/zero || code=$?
  is $code 137
  is "$(lay inspect -f '{{.State.OOMKilled}}' greedy)" true
  has "$(lay ps -a)" "out of memory"
  is "$(lay wait greedy)" 137
  lay rm greedy
}

check_cpu() {
  report=$(inside --cpus 0.25 -- 'timeout 2 sh -c "while :; do :; done"; cat /sys/fs/cgroup/cpu.stat')
  between 5 "$(echo "$report" | awk '$1 == "nr_throttled" {print $2}')" 100
  between 100000 "$(echo "$report" | awk '$1 == "usage_usec" {print $2}')" 900000
}

# Two that want the same processor get it as 8 to 1.
check_weight() {
  for each in light:128 heavy:1024; do
    lay run -d --name ${each%%:*} --network none --cpuset-cpus 0 --cpu-shares ${each#*:} small sh -c 'while :; do :; done'
  done
  lay stats --no-stream --format '{{.Name}} {{.CPUPerc}}' light heavy | tr -d % | tee /tmp/shares
  lay rm -f light heavy
  between 300 "$(awk '{used[$1] = $2} END {print int(used["heavy"] / (used["light"] + 0.01) * 100)}' /tmp/shares)" 3000
}

check_cpuset() {
  is "$(inside --cpuset-cpus 1 -- nproc)" 1
  is "$(inside --cpuset-cpus 1 --cpuset-mems 0 -- 'grep Cpus_allowed_list /proc/self/status | cut -f2')" 1
  refused '--cpuset-cpus' --cpuset-cpus 7
}

check_pids() {
  report=$(inside --pids-limit 20 -- 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i + 1)); done; echo all' 2>&1 || true)
  has "$report" "can't fork"
  fails has "$report" all
}

check_hugetlb() {
  is "$(inside -v /huge:/huge -- 'fallocate -l 8388608 /huge/a; ls /huge; rm /huge/a')" a
  dies -v /huge:/huge --hugetlb-limit 2MB=4m -- 'fallocate -l 8388608 /huge/b'
  rm -f /huge/b
}

check_io() {
  start=$(milliseconds)
  inside -v /disk:/disk --device-write-bps /dev/nullb1:1m -- 'dd if=/dev/zero of=/disk/out bs=64k count=48 conv=fsync'
  between 2000 $(($(milliseconds) - start)) 20000
  echo 3 >/proc/sys/vm/drop_caches
  start=$(milliseconds)
  inside -v /disk:/disk --device-read-bps /dev/nullb1:1m -- 'dd if=/disk/out of=/dev/null bs=64k'
  between 2000 $(($(milliseconds) - start)) 20000
  echo 3 >/proc/sys/vm/drop_caches
  start=$(milliseconds)
  inside -v /disk:/disk -- 'dd if=/disk/out of=/dev/null bs=64k'
  between 0 $(($(milliseconds) - start)) 1900
  has "$(inside --device-read-iops /dev/nullb1:100 --device-write-iops /dev/nullb1:200 -- 'cat /sys/fs/cgroup/io.max')" \
    "rbps=max wbps=max riops=100 wiops=200"
}

check_io_weight() {
  refused "whose scheduler heeds weights" --blkio-weight 200
  echo bfq >/sys/block/nullb1/queue/scheduler
  is "$(inside --blkio-weight 200 --blkio-weight-device /dev/nullb1:300 -- 'cat /sys/fs/cgroup/io.bfq.weight' | tr '\n' ' ')" \
    "default 200 $(cat /sys/block/nullb1/dev) 300 "
  echo none >/sys/block/nullb1/queue/scheduler
}

# Two that want the same slow disk get it by their weights, 100 to 800. strict_guarantees: BFQ waits for the next request of
# who is served, or two that have never more than one at a time would take turns.
check_io_weight_bites() {
  mount -t configfs configfs /sys/kernel/config
  slow=/sys/kernel/config/nullb/slow
  mkdir $slow
  for setting in memory_backed=1 size=64 irqmode=2 completion_nsec=2000000 hw_queue_depth=1 submit_queues=1 power=1; do
    echo ${setting#*=} >$slow/${setting%%=*}
  done
  disk=slow
  echo bfq >/sys/block/$disk/queue/scheduler
  echo 0 >/sys/block/$disk/queue/iosched/low_latency
  echo 1 >/sys/block/$disk/queue/iosched/strict_guarantees
  for each in light:100 heavy:800; do
    lay run -d --name ${each%%:*} --network none --device /dev/$disk --blkio-weight ${each#*:} small \
      sh -c "while dd if=/dev/$disk of=/dev/null bs=4k count=16000 iflag=direct; do :; done"
  done
  sleep 4
  for name in light heavy; do lay exec $name cat /sys/fs/cgroup/io.stat | sed -n "s/.*rbytes=\([0-9]*\).*/$name \1/p"; done | tee /tmp/shares
  lay rm -f light heavy
  echo 0 >$slow/power
  rmdir $slow
  awk '{read[$1] = $2} END {exit !(read["light"] > 0 && read["heavy"] > 2 * read["light"])}' /tmp/shares
}

# v2's own way, with another scale.
check_io_cost() {
  device=$(cat /sys/block/nullb1/dev)
  echo "$device enable=1" >/sys/fs/cgroup/io.cost.qos
  is "$(inside --blkio-weight 505 -- 'cat /sys/fs/cgroup/io.weight')" "default 5000"
  echo "$device enable=0" >/sys/fs/cgroup/io.cost.qos
}

check_cgroup_conf() {
  is "$(inside --cgroup-conf memory.high=33554432 --cgroup-conf cgroup.max.depth=2 -- 'cat /sys/fs/cgroup/memory.high /sys/fs/cgroup/cgroup.max.depth' | tr '\n' ' ')" "33554432 2 "
  refused "no cgroup of this machine has such a file" --cgroup-conf memory.limit_in_bytes=1000000
  refused "Invalid argument" --cgroup-conf memory.high=much
  refused "lay's own to write" --cgroup-conf cgroup.procs=1
  refused "names no file" --cgroup-conf ../cgroup.procs=1
  refused "of cgroup v1" --memory-swappiness 10
  refused "of cgroup v1" -m 32m --oom-kill-disable
}

# None of these devices may be made or used, whatever capabilities there are.
readonly closed='for each in b:8:0 c:1:1 c:10:200 c:10:229; do
  rest=${each#*:}
  mknod /dev/x ${each%%:*} ${rest%:*} ${rest#*:} 2>/dev/null && echo made $each
done; [ "$(head -c 2 /dev/zero | wc -c)" = 2 ] && mknod /root/zero c 1 5 && echo has zero'
check_devices() {
  is "$(inside --cap-add MKNOD -- "$closed")" "has zero"
  lay run -d --name shut --network none --cap-add MKNOD small sleep 1000
  is "$(lay exec shut sh -c "$closed; rm /root/zero")" "has zero"
  lay update --pids-limit 100 shut
  is "$(lay exec shut sh -c "$closed; rm /root/zero")" "has zero"
  lay rm -f shut
}

# A node made on the host opens no more than one made inside.
check_device_open() {
  mkdir -p /nodes
  mknod /nodes/mem c 1 1
  mknod /nodes/fuse c 10 229
  dies -v /nodes:/nodes --cap-add SYS_RAWIO -- 'head -c 1 /nodes/mem'
  dies -v /nodes:/nodes -- 'head -c 1 /nodes/fuse'
}

check_pause() {
  lay run -d --name frozen --network none -v /tmp:/shared small sh -c 'while :; do echo >>/shared/ticks; usleep 10000; done'
  within 10 test -s /tmp/ticks
  lay pause frozen
  has "$(lay ps)" Paused
  before=$(wc -c </tmp/ticks)
  usleep 300000
  is "$(wc -c </tmp/ticks)" "$before"
  lay unpause frozen
  within 10 sh -c "[ \$(wc -c </tmp/ticks) -gt $before ]"
  lay pause frozen
  lay rm -f frozen
  rm /tmp/ticks
}

# Those that end by no signal, and those in the middle of a fork.
check_kill() {
  lay run -d --name hydra --network none small sh -c 'trap "" TERM; i=0
    while [ $i -lt 30 ]; do sh -c "trap \"\" TERM INT HUP; while :; do sleep 1; done" & i=$((i + 1)); done; wait'
  within 20 sh -c '[ $(lay top hydra pid | wc -l) -gt 40 ]'
  lay rm -f hydra
  fails pidof sleep
}

check_stats() {
  lay run -d --name counted --network none -m 32m small sleep 1000
  report=$(lay stats --no-stream --format '{{.MemUsage}} {{.PIDs}} {{.CPUPerc}} {{.BlockIO}}' counted)
  has "$report" "/ 34 MB 1 0.0"
  fails has "$report" --
  is "$(lay top counted pid comm | tail -n 1 | tr -s ' ')" "1 sleep"
  lay rm -f counted
}

check_update() {
  lay run -d --name changed --network none -m 32m small sleep 1000
  lay update -m 64m --cpus 0.5 --cpu-shares 2048 --pids-limit 7 --cpuset-cpus 0 changed
  is "$(lay exec changed sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max cpu.weight pids.max cpuset.cpus' | tr '\n' ' ')" \
    "67108864 50000 100000 200 7 0 "
  fails lay update -m 6m --cpuset-cpus 9 changed
  is "$(lay exec changed cat /sys/fs/cgroup/memory.max)" 67108864
  # also of kinds that it never had
  fails lay update --memory-reservation 8m --cgroup-conf memory.high=16m --cgroup-conf pids.max=no changed
  is "$(lay exec changed sh -c 'cd /sys/fs/cgroup; cat memory.low memory.high pids.max' | tr '\n' ' ')" "0 max 7 "
  lay rm -f changed
}

check_tree_form() {
  has "$(lay info)" tree
  fails find /store/lay/layers -name layer.erofs | grep .
  lay run --name grown --network none small sh -c 'echo new >/etc/new; rm /bin/vi'
  lay commit grown grown:1
  is "$(lay run --rm --network none grown:1 sh -c 'cat /etc/new; ls /bin/vi 2>&1 | grep -c "No such"' | tr '\n' ' ')" "new 1 "
  lay rm grown
}

# A tmpfs shows other owners from Linux 6.3 on, and overlay takes layers that are mounted nowhere from 6.15 on.
check_userns() {
  refused "hint: " --userns auto
}

check_network() {
  lay run -d --name reached small sh -c 'while :; do echo hello | nc -l -p 80; done'
  address=$(lay inspect -f '{{.NetworkSettings.IPAddress}}' reached)
  within 10 sh -c "[ \"\$(nc -w 2 $address 80 </dev/null)\" = hello ]"
  is "$(lay run --rm small sh -c "nc -w 2 $address 80 </dev/null")" hello
  lay rm -f reached
}

check_cgroup_is_closed() {
  report=$(inside --cap-add ALL -- 'echo 1 >/sys/fs/cgroup/cgroup.procs; mount -o remount,rw /sys/fs/cgroup; ls /sys/fs/cgroup/lay' 2>&1 || true)
  has "$report" "Read-only file system"
  dies -- 'mkdir /sys/fs/cgroup/x'
}

# A container that has given its controllers to groups beneath, as an init system does, has none of its processes in its
# own group, nor may have.
check_exec_beside_groups() {
  lay run -d --name parent --network none small sleep 1000
  group=/sys/fs/cgroup/lay/$(lay inspect -f '{{.Id}}' parent)
  mkdir $group/inner
  cat $group/cgroup.procs >$group/inner/cgroup.procs
  echo +pids >$group/cgroup.subtree_control
  is "$(lay exec parent sh -c 'grep -c . /sys/fs/cgroup/inner/cgroup.procs')" 2
  lay rm -f parent
}

# cgroup v2 is mounted with nsdelegate: nobody is moved from or to what their namespace does not show.
check_cgroup_namespace() {
  lay run -d --name shown --network none small sleep 1000
  namespace=$(readlink /proc/$(lay inspect -f '{{.State.Pid}}' shown)/ns/cgroup)
  is "$(lay run --rm --network none --cgroupns container:shown small readlink /proc/self/ns/cgroup)" "$namespace"
  lay rm -f shown
}

# A bundle whose root is that of the image: lay-oci's own configuration, which all runtimes take.
make_bundle() {
  rm -rf /store/bundle
  mkdir /store/bundle
  cp -a /small /store/bundle/rootfs
  lay oci spec --bundle /store/bundle
  sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/; s/"1.2.0"/"1.0.2"/' /store/bundle/config.json
}

# bundle_has JSON SCRIPT: a bundle whose process has these members besides, if any, and runs SCRIPT.
bundle_has() {
  make_bundle
  sed -i "s|\"args\"|${1:+$1, }\"args\"|; s|\"true\"\$|\"sh\", \"-c\", \"$2\"|" /store/bundle/config.json
}

check_apparmor() {
  mount -t securityfs securityfs /sys/kernel/security
  cat /guest/apparmor >/sys/kernel/security/apparmor/.load
  bundle_has '"apparmorProfile": "lay-test"' 'cat /proc/self/attr/current /etc/closed /etc/open; sleep 100'
  echo closed >/store/bundle/rootfs/etc/closed
  echo open >/store/bundle/rootfs/etc/open
  lay-oci run --detach --bundle /store/bundle c1 </dev/null >/tmp/said 2>&1
  within 5 grep -q open /tmp/said
  has "$(cat /tmp/said)" "lay-test (enforce)"
  has "$(cat /tmp/said)" "'/etc/closed': Permission denied"
  is "$(lay-oci exec c1 cat /proc/self/attr/current)" "lay-test (enforce)"
  fails lay-oci exec c1 cat /etc/closed
  is "$(lay-oci exec --apparmor unconfined c1 cat /proc/self/attr/current /etc/closed | tr '\n' ' ')" "unconfined closed "
  fails lay-oci exec --apparmor nobody-knows c1 true
  lay-oci delete --force c1
  sed -i 's/lay-test/nobody-knows/' /store/bundle/config.json
  code=0
  report=$(lay-oci run --bundle /store/bundle c1 </dev/null 2>&1) || code=$?
  is $code 1
  has "$report" nobody-knows
  umount /sys/kernel/security
}

# In a boot of its own, for a kernel has AppArmor or SELinux.
check_selinux() {
  mount -t selinuxfs selinuxfs /sys/fs/selinux
  cat /guest/selinux >/sys/fs/selinux/load
  bundle_has '"selinuxLabel": "u:r:box_t"' 'cat /proc/self/attr/current; grep context= /proc/self/mounts; sleep 100'
  sed -i 's|"linux": {|&"mountLabel": "u:object_r:box_file_t", |' /store/bundle/config.json
  lay-oci run --detach --bundle /store/bundle c1 </dev/null >/tmp/said 2>&1
  within 5 grep -q ' /dev/shm .*context=' /tmp/said
  has "$(cat /tmp/said)" u:r:box_t
  has "$(grep ' /dev/shm ' /tmp/said)" u:object_r:box_file_t
  is "$(lay-oci exec c1 cat /proc/self/attr/current | tr -d '\0')" u:r:box_t
  lay-oci delete --force c1
  sed -i 's/u:r:box_t/u:r:nobody_t/' /store/bundle/config.json
  code=0
  report=$(lay-oci run --bundle /store/bundle c1 </dev/null 2>&1) || code=$?
  is $code 1
  has "$report" nobody_t
}

check_net_cls() {
  mkdir /net_cls
  mount -t cgroup -o net_cls,net_prio net_cls /net_cls
  bundle_has "" 'sleep 100'
  sed -i 's|"resources": {|&"network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 7}]}, |' /store/bundle/config.json
  lay-oci run --detach --bundle /store/bundle c1 </dev/null >/tmp/said 2>&1
  group=$(find /net_cls -name c1)
  is "$(cat "$group/net_cls.classid")" 1048577
  has "$(cat "$group/net_prio.ifpriomap")" "lo 7"
  has "$(cat "$group/cgroup.procs")" "$(lay-oci state c1 | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')"
  lay-oci delete --force c1
  is "$(find /net_cls -name c1)" ""
  umount /net_cls
}

check_rdma() {
  has "$(cat /sys/fs/cgroup/cgroup.controllers)" rdma
  bundle_has "" true
  sed -i 's|"resources": {|&"rdma": {"mlx5_1": {"hcaHandles": 3}}, |' /store/bundle/config.json
  code=0
  report=$(lay-oci run --bundle /store/bundle c1 </dev/null 2>&1) || code=$?
  is $code 1 # there is no such card in the guest
  has "$report" rdma.max
  has "$report" mlx5_1
}

# 15 runs of the bundle by each runtime in turn, in milliseconds.
check_oci_is_fast() {
  make_bundle
  for round in $(seq 15); do
    for runtime in lay-oci crun runc; do
      before=$(milliseconds)
      $runtime run --bundle /store/bundle c1 </dev/null
      echo $(($(milliseconds) - before)) >>/tmp/$runtime.times
    done
  done
  rm -r /store/bundle
  sum_of() { sort -n /tmp/$1.times | head -n 5 | awk '{sum += $1} END {print sum}'; } # others may slow down the rest
  sums="lay-oci $(sum_of lay-oci) ms, crun $(sum_of crun) ms, runc $(sum_of runc) ms"
  echo "$sums" >&3
  echo "$sums"
  [ $(($(sum_of lay-oci) * 20)) -le $(($(sum_of crun) * 21)) ] # the clock steps by a twentieth of a run
  [ $(($(sum_of lay-oci) * 3)) -le $(sum_of runc) ]
}

check_nothing_left() {
  is "$(lay ps -aq)" ""
  fails test -e /sys/fs/cgroup/lay
  within 10 sh -c '! grep -q /lay/ /proc/self/mountinfo'
  within 10 sh -c '! ip -o link | grep -q veth'
}

. /guest/resources.sh
. /guest/groups.sh
. /guest/v1.sh

# checks_in FILE...: the names of those that stand there.
checks_in() { sed -n 's/^check_\([a-z0-9_]*\)() {$/\1/p' "$@" | grep -v selinux; }
all_checks() {
  if [ "$cgroups" = v1 ]; then
    echo $as_on_v2
    checks_in /guest/v1.sh
  else
    checks_in /guest/resources.sh /guest/groups.sh /guest/checks.sh
  fi
}

mkdir -p /small/bin /small/etc /small/tmp /small/root
cp /bin/busybox /small/bin/
for name in $(busybox --list); do [ -e /small/bin/$name ] || ln -s busybox /small/bin/$name; done
echo 'root:x:0:0:root:/root:/bin/sh' >/small/etc/passwd
lay import /small small

wanted=$(cat /guest/wanted 2>/dev/null)
for name in ${wanted:-$(all_checks)}; do
  start=$(milliseconds)
  (set -e; check_$name) 3>&1 >/tmp/report 2>&1
  if [ $? = 0 ]; then
    echo "ok $name $(($(milliseconds) - start)) ms"
  else
    echo "not ok $name"
    sed 's/^/# /' /tmp/report
    lay rm -f $(lay ps -aq) >/dev/null 2>&1
    end_all >/dev/null 2>&1
  fi
done
