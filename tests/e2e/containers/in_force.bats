#!/usr/bin/env bats
# What lay says of a container beforehand, and what is in force in it; what a step does that fails; what exec has of it.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

as_explained() { "$BATS_TEST_DIRNAME/in_force.py" "$@"; }

@test "--explain says of rights, namespaces, mounts and limits what the container then finds" {
  local none=(--network none)
  as_explained "${none[@]}"
  as_explained "${none[@]}" --user user --cap-add NET_ADMIN --cap-drop CHOWN
  as_explained "${none[@]}" --cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /tmp:size=1m -w /tmp -e A=b
  as_explained "${none[@]}" --privileged
  as_explained "${none[@]}" --privileged --cap-drop MKNOD --security-opt mask=/etc/passwd
  as_explained --network host --pid host --ipc host --uts host --cgroupns host
  as_explained "${none[@]}" --security-opt seccomp=unconfined --time boottime=1d --ipc none
  as_explained "${none[@]}" --ulimit nofile=100:200 --ulimit stack=1000000 --ulimit core=5 --ipc private \
    --sysctl net.core.somaxconn=99 --sysctl kernel.shmmax=4096
  as_explained "${none[@]}" --security-opt mask=/etc/passwd:/nosuch --security-opt unmask=/proc/interrupts
  as_explained "${none[@]}" --security-opt unmask=ALL
}

@test "--explain says of user namespaces and limits what the container then finds" {
  local none=(--network none)
  as_explained "${none[@]}" --userns auto
  as_explained "${none[@]}" --userns auto:size=2000 --cap-add SYS_ADMIN --read-only
  as_explained "${none[@]}" --uidmap 0:300000:1000 --gidmap 0:400000:2000 --privileged
  as_explained "${none[@]}" -m 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 77 \
    --oom-score-adj 300
}

# explained FILTER FLAG...: what jq's FILTER finds in what --explain prints.
explained() { "$LAY" run --explain "${@:2}" small true 2>/dev/null | jq -c "$1"; }

@test "--explain prints the user as the numbers that the command has" {
  local user
  user=$(explained .process.user --network none --user user --group-add 7)
  nothing_mounted
  [ ! -e "$LAY_RUN" ]
  [ "$(jq .uid <<<"$user")" = "$(inside --user user -- 'id -u')" ] || { echo "$user"; return 1; }
  [ "$(jq .gid <<<"$user")" = "$(inside --user user -- 'id -g')" ]
  [ "$(jq -r '[.gid, .additionalGids[]] | unique | map(tostring) | join(" ")' <<<"$user")" = \
    "$(inside --user user --group-add 7 -- 'id -G' | tr ' ' '\n' | sort -n | xargs)" ]
  refused 125 "user 'nobody' is not in" "$LAY" run --explain --user nobody small true
}

@test "--explain tells which namespaces are joined" {
  "$LAY" run -d --name a --network none small sleep 1000 >/dev/null
  local pid kind path
  pid=$("$LAY" inspect -f '{{.State.Pid}}' a)
  for kind in pid ipc uts; do
    for path in "container:a" "ns:/proc/$pid/ns/$kind"; do
      path=$(explained ".linux.namespaces[] | select(.type == \"$kind\").path" --network none "--$kind" "$path" | jq -r .)
      [ "$(readlink "$path")" = "$(readlink "/proc/$pid/ns/$kind")" ] || { echo "--$kind leads to '$path'"; return 1; }
    done
  done
  for path in "container:a" "ns:/proc/$pid/ns/net"; do
    [ "$(explained '.linux.namespaces[] | select(.type == "network").path' --network "$path" | jq -r .)" = "/proc/$pid/ns/net" ]
  done
  "$LAY" stop -t 0 a >/dev/null
  refused 125 "is not running" "$LAY" run --explain --network none --pid container:a small true
}

@test "--explain prints the settings of the network as the container gets them" {
  local setting=net.ipv4.ping_group_range
  [ "$(explained ".linux.sysctl[\"$setting\"]" --network none --userns auto | jq -r .)" = \
    "$(inside --userns auto -- 'cat /proc/sys/net/ipv4/ping_group_range' | tr '\t' ' ')" ]
  [ "$(explained '.linux.sysctl // {} | keys | map(select(startswith("net."))) | length' --network host)" = 0 ]
}

# Everything that keeps this container in, as the kernel tells it; without what is another each time.
confined=(--network none -h box --user user --userns auto --landlock ro=/ --time boottime=1d -m 64m --ulimit nofile=100:100
  --sysctl net.core.somaxconn=99 --oom-score-adj 100 --group-add 777 --security-opt no-new-privileges
  --security-opt unmask=/proc/keys --read-only --device /dev/loop-control)
tells='grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status; cat /proc/self/limits /proc/self/oom_score_adj
  cut -d" " -f5-6 /proc/self/mountinfo; cat /proc/sys/net/core/somaxconn; hostname; ls /dev; grep -c lay: /proc/keys
  for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n | grep -vxF -e "$HOSTS" | cut -d: -f1; done
  cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; umask; pwd; echo whole'

# told STRACE...: what such a container tells, with a call that fails.
told() { timeout -s KILL 20 "$@" "$LAY" run --rm -e HOSTS="$hosts" "${confined[@]}" small sh -c "$tells" 2>said; }

@test "U06: a step that fails keeps the command from starting, or is made up for: it never runs with less" {
  command -v strace >/dev/null || skip "needs strace"
  hosts=$(readlink /proc/self/ns/{cgroup,ipc,mnt,net,pid,time,user,uts})
  told env >whole
  grep -qx whole whole
  [ "$(grep -cxE 'cgroup|ipc|mnt|net|pid|time|user|uts' whole)" = 8 ]
  local each call step last refusals=0 wrong=0
  for each in capset:1 seccomp:1 landlock_create_ruleset:4 landlock_add_rule:1 landlock_restrict_self:1 keyctl:2 setgroups:2 \
    setresgid:2 setresuid:2 sethostname:1 setsid:1 pivot_root:1 unshare:2 prlimit64:6 mount_setattr:12 prctl:90; do
    call=${each%:*} last=${each#*:}
    for ((step = 1; step <= last; step += call == prctl ? 6 : 1)); do
      [[ $call != prctl || -n ${LAY_TESTS_LONG-} || $((step % 4)) = 1 ]] || continue
      if told strace -f -qq -o trace -e "trace=$call" -e "inject=$call:error=EPERM:when=$step" >some; then
        diff whole some || { echo "with $call failing at $step"; wrong=1; }
      else
        ! grep -qx whole some || { echo "$call failing at $step: runs, and fails"; wrong=1; }
        refusals=$((refusals + 1))
      fi
    done
  done
  echo "$refusals refused"
  ((refusals >= 20 && wrong == 0))
  [ -z "$("$LAY" ps -aq)" ]
}

@test "U06: a bounding set that cannot be read whole is no reason to keep what is in it" {
  command -v strace >/dev/null || skip "needs strace"
  local step
  # The container's process reads one after the other, those that it is to lose behind CAP_SETFCAP last.
  for step in 38 39 40; do
    run told strace -f -qq -o trace -e trace=prctl -e "inject=prctl:error=EPERM:when=$step"
    [ "$status" = 125 ] || { echo "prctl $step: $status"; return 1; }
  done
  grep -q "read the bounding set" said
}

# Where a process is, by namespaces, cgroups and what it may do.
here_am_i='echo begin; for n in cgroup ipc mnt net pid time user uts; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup
  grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask)" /proc/self/status; cat /proc/self/limits /proc/self/oom_score_adj
  cat /proc/self/uid_map /proc/self/timens_offsets; cat /proc/self/personality; pwd; env | grep -vE "^(SHLVL|_|HOME|PWD)=" | sort; echo end'

# alike FLAG...: exec into a container with these flags is where its first process is, before and after a restart.
alike() {
  "$LAY" run -d --name c "$@" small sh -c "$here_am_i; exec sleep 1000" >/dev/null
  local start
  for start in 1 2; do
    wait_until 10 eval "[ \"\$(\"$LAY\" logs c | grep -cx end)\" = $start ]"
    diff <("$LAY" logs c | tac | sed /^begin/q | tac) <("$LAY" exec c sh -c "$here_am_i") || { echo "start $start with $*"; return 1; }
    "$LAY" stop -t 0 c >/dev/null
    "$LAY" start c >/dev/null
  done
  "$LAY" rm -f c >/dev/null
}

@test "what exec starts is in the namespaces, cgroups and bounds of the first process, private, shared and joined" {
  local none=(--network none)
  alike "${none[@]}" -w /tmp -e A=b
  alike "${none[@]}" --user user --cap-add NET_ADMIN --ulimit nofile=100:200 --oom-score-adj 300 --group-add 777 \
    --security-opt no-new-privileges
  alike "${none[@]}" --userns auto --time monotonic=5s,boottime=1d --read-only --tmpfs /tmp -m 64m --cgroup-parent "lay-test-$$"
  alike --network host --pid host --ipc host --uts host --cgroupns host --cap-drop ALL
  alike "${none[@]}" --init --privileged
  "$LAY" run -d --name a --userns auto --network none --time boottime=2d small sleep 1000 >/dev/null
  alike --userns container:a --network container:a --pid container:a --ipc container:a --uts container:a
  "$LAY" run -d --name b --network none small sleep 1000 >/dev/null
  local ns
  ns=/proc/$("$LAY" inspect -f '{{.State.Pid}}' b)/ns
  alike --network "ns:$ns/net" --pid "ns:$ns/pid" --ipc "ns:$ns/ipc" --uts "ns:$ns/uts" --cgroupns "ns:$ns/cgroup"
}

@test "K07: nothing of the host shows or is written in /proc and /sys, for run and exec, root and in a user namespace" {
  local try='
    for p in kcore keys sched_debug timer_list timer_stats latency_stats interrupts; do
      [ ! -e /proc/$p ] || [ -z "$(head -c 1 /proc/$p 2>/dev/null)" ] || echo "shows /proc/$p"; done
    for p in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap /sys/fs/selinux /sys/kernel/debug \
      /sys/kernel/tracing /sys/kernel/security /sys/devices/system/cpu/cpu*/thermal_throttle; do
      [ ! -d $p ] || [ -z "$(ls -A $p)" ] || echo "shows $p"; done
    for p in /proc/sysrq-trigger /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity \
      /sys/power/state /sys/kernel/profiling /sys/fs/cgroup/memory/memory.limit_in_bytes; do
      [ ! -e $p ] || ! (: >>$p) 2>/dev/null || echo "opens $p"; done
    mkdir /proc/bus/x /proc/fs/x 2>/dev/null && echo "makes folders"
    for p in kmsg mem kmem port fuse kvm vda sda loop0 loop-control net/tun vhost-net; do [ ! -e /dev/$p ] || echo "has /dev/$p"; done
    for p in /proc /proc/sys /sys /sys/firmware /proc/kcore; do
      mount -o remount,rw $p 2>/dev/null && echo "remounts $p"; busybox umount $p 2>/dev/null && echo "unmounts $p"; done; true'
  [ -z "$(inside -- "$try")" ]
  [ -z "$(inside --userns auto -- "$try")" ]
  [ -z "$(inside --cap-add ALL --cap-drop SYS_ADMIN -- "$try")" ]
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  [ -z "$("$LAY" exec c sh -c "$try")" ]
  # It would find something where there is something.
  has "$(inside --privileged -- "$try")" "opens /proc/sys/vm/swappiness"
  has "$(inside --security-opt unmask=/proc/interrupts -- "$try")" "shows /proc/interrupts"
}

@test "info --security and what a start then says agree, whatever this kernel lacks" {
  command -v strace >/dev/null || skip "needs strace"
  without() { timeout -s KILL 20 strace -f -qq -o trace -e "trace=$1" -e "inject=$1:error=ENOSYS" "${@:2}"; }
  state_of() { jq -r --arg name "$1" '.[] | select(.Name == $name) | .State' <<<"$2"; }
  local facts
  facts=$(without landlock_create_ruleset "$LAY" info --security --format json)
  [ "$(state_of landlock "$facts")" = no ]
  run without landlock_create_ruleset "$LAY" run --rm --network none --landlock ro=/ small echo ran
  [ "$status" = 125 ]
  [[ $output != *ran* && $output == *landlock* ]]
  facts=$(without keyctl "$LAY" info --security --format json)
  [ "$(state_of "session keyring" "$facts")" = no ]
  facts=$(without mount_setattr "$LAY" info --security --format json)
  [ "$(state_of "id-mapped mounts" "$facts")" = no ]
  facts=$(without openat2 "$LAY" info --security --format json)
  [ "$(state_of openat2 "$facts")" = no ]
  without openat2 "$LAY" run --rm --network none small true
  # Namespaces: how many there may be decides.
  facts=$("$LAY" info --security --format json)
  local kind
  for kind in user time; do
    [ "$(state_of "namespace $kind" "$facts")" = "$([ -e /proc/self/ns/$kind ] && echo yes || echo no)" ]
  done
  [ "$(state_of TIOCSTI "$facts")" = "$([ "$(cat /proc/sys/dev/tty/legacy_tiocsti)" = 1 ] && echo on || echo off)" ]
}

@test "--time: each clock is as far ahead as was asked for, after a restart too, and the others are the host's" {
  "$LAY" run -d --name c --network none --time monotonic=100s,boottime=2d small sleep 1000 >/dev/null
  local _
  for _ in start restart; do
    [ "$("$LAY" exec c cat /proc/self/timens_offsets | xargs)" = "monotonic 100 0 boottime 172800 0" ]
    "$LAY" stop -t 0 c >/dev/null
    "$LAY" start c >/dev/null
  done
  [ "$(inside --time monotonic=100s -- 'cat /proc/self/timens_offsets' | xargs)" = "monotonic 100 0 boottime 0 0" ]
}

@test "who has joined another's namespaces joins its new ones when both are started again" {
  "$LAY" run -d --name a --userns auto --network none small sleep 1000 >/dev/null
  "$LAY" run -d --name b --userns container:a --network container:a --pid container:a --ipc container:a --uts container:a \
    small sleep 1000 >/dev/null
  places() {
    local pid kind
    pid=$("$LAY" inspect -f '{{.State.Pid}}' "$1")
    for kind in user net pid ipc uts; do readlink "/proc/$pid/ns/$kind"; done
  }
  diff <(places a) <(places b)
  "$LAY" stop -t 0 a >/dev/null
  wait_until 10 eval '[ -z "$("$LAY" ps -q)" ]' # those in its pid namespace end with it
  refused 1 "is not running" "$LAY" start b
  "$LAY" start a >/dev/null
  "$LAY" start b >/dev/null
  diff <(places a) <(places b)
}
