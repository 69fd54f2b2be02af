#!/usr/bin/env bats
# Every day with containers that other runtimes run: what lay counts, changes, signals and shows of them is held against
# the kernel's own files, and what is asked for is had or refused.

bats_require_minimum_version 1.5.0
load ../support/world

setup() {
  open_world
  make_small_root
  add_applets small/bin grep nproc cut df
  "$LAY" import small small --cmd '["/bin/sh"]' >/dev/null
}
teardown() { leave_world; }

needs() { command -v "$1" >/dev/null || skip "$1 is not installed"; }
with() { "$LAY" run --runtime "$1" --network none "${@:2}"; }
inspected() { "$LAY" inspect -f "$2" "$1"; }

# group_file NAME CONTROLLER V1_FILE [V2_FILE]: what the kernel says there of the container's group.
group_file() {
  local cgroups
  cgroups=/proc/$(inspected "$1" '{{.State.Pid}}')/cgroup
  cat "/sys/fs/cgroup/$2$(sed -n "s/^[0-9]*:$2://p" "$cgroups")/$3" 2>/dev/null ||
    cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "$cgroups")/${4-$3}"
}

# near NUMBER OTHER PERCENT
near() { (($1 * 100 >= $2 * (100 - $3) && $1 * 100 <= $2 * (100 + $3))) || { echo "$1 is not near $2"; return 1; }; }

bytes_of() { # "67 MB", "1.5 GB", "512 B"
  awk '{unit["B"] = 1; unit["kB"] = 1e3; unit["MB"] = 1e6; unit["GB"] = 1e9; printf "%d\n", $1 * unit[$2]}' <<<"$1"
}

# counts RUNTIME: stats' numbers are those of the group, changes reach it, and it stands still while it is paused.
counts() {
  needs "$1"
  with "$1" -d --name c -m 400m --cpus 1.5 --pids-limit 300 --tmpfs /t small \
    sh -c 'dd if=/dev/zero of=/t/x bs=1M count=40 2>/dev/null; trap "exit 3" TERM; while :; do :; done' >/dev/null
  wait_until 20 grown
  local told
  told=$("$LAY" stats --no-stream --format '{{.MemUsage}}|{{.CPUPerc}}|{{.PIDs}}' c)
  near "$(bytes_of "${told%% /*}")" "$(memory_of c)" 20
  [[ $told == *"|"[1-9]*"%|"* ]]
  [ "${told##*|}" = "$(group_file c pids pids.current)" ]
  has "$told" "419 MB|"
  "$LAY" update -m 300m --memory-swap 300m --cpus 0.5 --pids-limit 200 --cpuset-cpus 0 --cpu-shares 300 c >/dev/null
  [ "$(group_file c memory memory.limit_in_bytes memory.max)" = $((300 << 20)) ]
  [ "$(group_file c cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" = 50000 ]
  [ "$(group_file c pids pids.max)" = 200 ]
  [ "$(group_file c cpuset cpuset.cpus)" = 0 ]
  [[ $(group_file c cpu cpu.shares cpu.weight) =~ ^(300|29)$ ]]
  run "$LAY" update --cpuset-cpus 4000 --pids-limit 100 c
  [ "$status" -ne 0 ]
  [ "$(group_file c pids pids.max)" = 200 ]
  "$LAY" pause c
  local time
  time=$(group_file c cpuacct cpuacct.usage cpu.stat)
  refused 125 paused "$LAY" exec c true
  has "$("$LAY" stats --no-stream --format '{{.CPUPerc}}' c)" 0.00%
  [ "$(group_file c cpuacct cpuacct.usage cpu.stat)" = "$time" ]
  "$LAY" unpause c
  wait_until 5 eval '[ "$(group_file c cpuacct cpuacct.usage cpu.stat)" != "'"$time"'" ]'
  "$LAY" stop c >/dev/null
  [ "$("$LAY" stats --no-stream --format '{{.PIDs}}' c)" = -- ]
}
grown() { (($(memory_of c) > 30000000)); }
# Without file pages that are idle, as docker and lay count it.
memory_of() {
  local used idle
  used=$(group_file "$1" memory memory.usage_in_bytes memory.current)
  idle=$(group_file "$1" memory memory.stat | awk '$1 == "total_inactive_file" || $1 == "inactive_file" {idle = $2} END {print idle}')
  echo $((used - idle))
}
@test "runc: stats tells what the group's files do, update reaches them, and pause holds" { counts runc; }
@test "crun: stats tells what the group's files do, update reaches them, and pause holds" { counts crun; }
@test "runsc: stats tells what the group's files do, update reaches them, and pause holds" { counts runsc; }

@test "stats tells what went over a container's network and to its disks, whichever runtime runs it" {
  local runtime told
  for runtime in runc crun runsc; do
    needs "$runtime"
    local flags=()
    [ "$runtime" != runsc ] || flags=(--runtime-flag network=host)
    "$LAY" run -d --name c --runtime "$runtime" "${flags[@]}" small sleep 1000 >/dev/null
    busybox ping -c 3 -s 1000 -A "$(inspected c '{{.NetworkSettings.IPAddress}}')" >/dev/null
    told=$("$LAY" stats --no-stream --format '{{.NetIO}}|{{.BlockIO}}' c)
    near "$(bytes_of "${told%% /*}")" "$(sed -n 's/^ *eth0: *\([0-9]*\).*/\1/p' "/proc/$(inspected c '{{.State.Pid}}')/net/dev")" 10
    (($(bytes_of "${told%% /*}") > 3000))
    [[ ${told#*|} =~ ^[0-9.]+\ [kMG]?B\ /\ [0-9.]+\ [kMG]?B$ ]]
    "$LAY" rm -f c >/dev/null
  done
}

@test "a command of exec is in the groups of its container, whichever runtime runs it" {
  local runtime
  for runtime in runc crun; do
    needs "$runtime"
    with "$runtime" -d --name c small sleep 1000 >/dev/null
    "$LAY" exec c sleep 54322 3>&- &
    wait_until 10 pgrep -f '^sleep 54322$'
    diff <(sort "/proc/$(inspected c '{{.State.Pid}}')/cgroup") <(sort "/proc/$(pgrep -f '^sleep 54322$')/cgroup")
    "$LAY" rm -f c >/dev/null
    wait_until 5 eval '[ -z "$(pgrep -f "^sleep 54322$")" ]'
  done
}

# ends RUNTIME: stop waits as long as it is told and sends the signal that is asked for, kill sends any, and logs follow to
# the end. top has the container's own numbers, but under runsc, where it shows the sandbox's processes.
ends() {
  needs "$1"
  with "$1" -d --name says small sh -c 'for i in 1 2 3; do echo out$i; done; echo err >&2; printf end; sleep 1000 & wait' >/dev/null
  local loop='while :; do sleep 0.1; done'
  with "$1" -d --name deaf small sh -c "trap '' TERM; echo up; $loop" >/dev/null
  with "$1" -d --name slow small sh -c "trap 'sleep 1; exit 6' TERM; echo up; $loop" >/dev/null
  with "$1" -d --name own --stop-signal USR1 --stop-timeout 20 small sh -c "trap 'exit 8' USR1; echo up; $loop" >/dev/null
  with "$1" -d --name hup small sh -c "trap 'exit 9' HUP; echo up; $loop" >/dev/null
  local name begun
  for name in deaf slow own hup; do wait_until 10 eval '"$LAY" logs '$name' | grep -q up'; done
  shows_says "$1"
  begun=$SECONDS
  "$LAY" stop -t 1 deaf &
  "$LAY" stop -t 10 slow &
  "$LAY" stop own &
  "$LAY" kill -s HUP hup &
  "$LAY" kill -s KILL says &
  wait
  [ "$("$LAY" wait deaf slow own hup says | xargs)" = "137 6 8 9 137" ]
  [ "$(cat followed)" = $'out1\nout2\nout3\nend' ]
  ((SECONDS - begun <= 15))
  run "$LAY" kill own
  [ "$status" -ne 0 ]
  has "$output" own
  "$LAY" rm deaf slow own hup says >/dev/null
  nothing_is_left
}
nothing_is_left() { is_gone && wait_until 10 nothing_mounted; }
is_gone() { [ -z "$("$LAY" ps -aq)" ] && [ -z "$(ls "$LAY_RUN/delegated")" ]; }
shows_says() {
  wait_until 5 eval '"$LAY" logs says | grep -q end'
  [ "$("$LAY" logs says 2>/dev/null)" = $'out1\nout2\nout3\nend' ]
  [ "$("$LAY" logs says 2>&1 >/dev/null)" = err ]
  [ "$("$LAY" logs --tail 1 says 2>/dev/null)" = end ]
  [[ $("$LAY" logs -t says 2>/dev/null | head -n 1) =~ ^20[0-9-]*T[0-9:.]*(Z|[+-][0-9:]*)\ out1$ ]]
  if [[ $1 != runsc ]]; then
    [ "$("$LAY" top says pid args | awk '/sh -c/ {print $1}')" = 1 ]
    has "$("$LAY" top says pid args)" "sleep 1000"
  fi
  "$LAY" logs -f says >followed 2>/dev/null 3>&- &
}
@test "runc: stop, kill, logs and top do what they are asked for" { ends runc; }
@test "crun: stop, kill, logs and top do what they are asked for" { ends crun; }
@test "runsc: stop, kill, logs and top do what they are asked for" { ends runsc; }

@test "a container of runsc that takes more memory than it may is ended and shown as such" {
  needs runsc
  run with runsc --name big -m 128m --memory-swap 128m --tmpfs /t:size=400m small dd if=/dev/zero of=/t/x bs=1M count=300
  [ "$status" -eq 137 ]
  [ "$(inspected big '{{.State.OOMKilled}}')" = true ]
  has "$("$LAY" ps -a)" "Exited (137, out of memory)"
  "$LAY" rm big >/dev/null
  nothing_is_left
}

@test "a container of --rm leaves nothing, however its end comes, and no process among the host's" {
  local runtime how
  for runtime in runc crun; do
    needs "$runtime"
    for how in TERM KILL; do
      with "$runtime" -d --rm --name c --pid host small sh -c 'sleep 54321 & wait' >/dev/null
      wait_until 5 pgrep -f '^sleep 54321$'
      kill "-$how" "$(inspected c '{{.State.Pid}}')" # from outside: not by lay
      wait_until 10 is_gone
      [ -z "$(find /sys/fs/cgroup -path '*/lay/*' -type d)" ]
      [ -z "$(pgrep -f '^sleep 54321$')" ]
    done
  done
}

@test "a container of runsc ends as soon as under runsc itself" {
  needs runsc
  local begun=$EPOCHREALTIME
  with runsc --rm small true
  python3 -c "import sys; took = $EPOCHREALTIME - $begun; print(took, 's'); sys.exit(took > 3)"
}

# What is asked for by a flag, and the command that sees it.
asked_for() {
  printf '%s\n' \
    "--security-opt seccomp=$world/profile.json|mkdir /made 2>&1" \
    "--sysctl kernel.msgmax=4096|cat /proc/sys/kernel/msgmax" \
    "--device /dev/zero:/dev/other|head -c 4 /dev/other | wc -c" \
    "--security-opt mask=/etc/group|cat /etc/group | wc -c" \
    "--pid host|ps | grep -c '[s]leep 4321'" \
    "--cgroupns host|grep -c . /proc/self/cgroup" \
    "--ipc host|readlink /proc/self/ns/ipc" \
    "--uts host|hostname" \
    "--time boottime=900000000|cut -c1-3 /proc/uptime" \
    "--cap-add PERFMON|echo \$((0x\$(grep CapBnd /proc/self/status | cut -f2) >> 38 & 1))"
}
had_by_others_too() {
  printf '%s\n' \
    "--security-opt no-new-privileges|grep NoNewPrivs /proc/self/status" \
    "--security-opt unmask=ALL|(echo x >/proc/sys/kernel/domainname) 2>&1; echo \$?" \
    "--oom-score-adj 300|cat /proc/self/oom_score_adj" \
    "--ulimit nofile=64:128 --ulimit nproc=99|ulimit -n; ulimit -Hn; ulimit -u" \
    "--shm-size 1m|df /dev/shm | grep -o 1024" \
    "--read-only --tmpfs /t:size=64k|touch /x 2>&1; touch /t/x && echo ok" \
    "--cpuset-cpus 0|nproc" \
    "--cap-drop ALL --cap-add KILL|grep Cap /proc/self/status" \
    "--cap-add ALL|grep Cap /proc/self/status" \
    "--dns 1.2.3.4 --add-host box:5.6.7.8|cat /etc/resolv.conf; grep box /etc/hosts" \
    "-u user --group-add 7 -w /tmp -e A=b -h box|id -u; id -g; pwd; echo \$A; hostname"
}

write_profile() {
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' \
    >profile.json
}

# seen RUNTIME|"" LINE: what a container sees of what LINE asks for, or "refused" with a reason.
seen() {
  local flags status=0 own=seen.$BASHPID
  read -ra flags <<<"${2%%|*}"
  timeout -s KILL 60 "$LAY" run --rm ${1:+--runtime "$1"} --network none "${flags[@]}" small sh -c "${2#*|}" \
    >"$own" 2>"$own.err" 3>&- || status=$?
  if ((status == 125)) && [[ -s $own.err ]]; then echo refused; else cat "$own"; fi
}

# had_or_refused RUNTIME: of each line on standard input.
had_or_refused() {
  sleep 4321 3>&- &
  local sleeper=$! line lines=() runs=() i status=0
  while read -r line; do lines+=("$line"); done
  for i in "${!lines[@]}"; do
    seen "$1" "${lines[i]}" >"its.$i" &
    runs+=($!)
  done
  for i in "${!lines[@]}"; do seen "" "${lines[i]}" >"own.$i"; done
  wait "${runs[@]}"
  kill "$sleeper"
  for i in "${!lines[@]}"; do
    [ "$(cat "its.$i")" = refused ] || cmp -s "its.$i" "own.$i" ||
      { echo "dropped: ${lines[i]}"; diff "own.$i" "its.$i" || true; status=1; }
  done
  return "$status"
}

@test "what a flag asks for is had or refused under runc and crun" {
  local runtime
  write_profile
  for runtime in runc crun; do
    needs "$runtime"
    had_or_refused "$runtime" < <(asked_for; had_by_others_too)
  done
}

@test "what runsc cannot do is refused, and not dropped in silence" {
  needs runsc
  write_profile
  had_or_refused runsc < <(asked_for)
  refused 125 "--sysctl cannot be had of the runtime" with runsc --rm --sysctl kernel.msgmax=4096 small true
  refused 125 "--time cannot be had of the runtime" with crun --rm --time boottime=1 small true
  run -1 with runsc --rm --runtime-flag oci-seccomp --security-opt "seccomp=$world/profile.json" small mkdir /made
  has "$output" "not permitted"
}

@test "all capabilities but some are had of every runtime, as far as it knows them, and no other one is" {
  local runtime all cases=("--cap-add ALL --cap-drop NET_ADMIN --cap-drop KILL" "--privileged --cap-drop SYS_ADMIN")
  for runtime in runc crun runsc; do
    needs "$runtime"
    for all in "${cases[@]}"; do
      [ "$(known_of "$("$LAY" run --rm --network none $all small grep CapBnd /proc/self/status)")" = \
        "$(known_of "$(with "$runtime" --rm $all small grep CapBnd /proc/self/status)")" ] || { echo "$runtime $all"; return 1; }
    done
  done
  refused 125 "--cap-add PERFMON, BPF and CHECKPOINT_RESTORE" with runsc --rm --cap-add BPF small true
  refused 125 "--cap-add PERFMON, BPF and CHECKPOINT_RESTORE" with runsc --rm --cap-drop ALL --cap-add CHECKPOINT_RESTORE small true
  # Kept over a restart
  with runsc -d --name c --cap-add ALL --cap-drop NET_ADMIN small sleep 100 >/dev/null
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c
  [ "$(known_of "$("$LAY" exec c grep CapBnd /proc/self/status)")" = \
    "$(known_of "$("$LAY" run --rm --network none --cap-add ALL --cap-drop NET_ADMIN small grep CapBnd /proc/self/status)")" ]
}
# known_of LINE: the set without the three that gVisor does not have, and NET_RAW, which it takes away by itself.
known_of() { printf '%x\n' $((0x${1##*[[:space:]]} & ~(7 << 38 | 1 << 13))); }

@test "raw sockets are had of runsc by its own flag, and refused without" {
  needs runsc
  refused 125 "--cap-add NET_RAW cannot be had of the runtime" with runsc --rm --cap-add NET_RAW small true
  ((0x$(with runsc --rm --cap-add NET_RAW --runtime-flag net-raw small grep CapBnd /proc/self/status | cut -f2) >> 13 & 1))
}

@test "the host's own host name is there under other runtimes as under lay, and in a bundle" {
  local runtime
  for runtime in runc crun; do
    needs "$runtime"
    run with "$runtime" --rm --uts host small hostname
    [ "$output" = "$(hostname)" ]
  done
  "$LAY" bundle --uts host small b hostname
  run runc --root "$world/runc" run -b b "lay-e2e-$BASHPID"
  [ "$output" = "$(hostname)" ]
}

@test "exec in a folder that is not there is refused, and makes none" {
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  run "$LAY" exec -w /no/such c true
  [ "$status" -ne 0 ] || { "$LAY" diff c; return 1; }
  has "$output" /no/such
  [ -z "$("$LAY" diff c)" ]
}
