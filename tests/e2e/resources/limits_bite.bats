#!/usr/bin/env bats
# Limits as the container feels them, on this machine's cgroup v1: from the start, after update, and for what exec starts.
# What is counted is the kernel's own counters and never the time. guest.bats has those of cgroup v2.

load ../support/world

setup() {
  [[ -d /sys/fs/cgroup/cpuacct && -d /sys/fs/cgroup/memory && -d /sys/fs/cgroup/pids ]] || skip "cgroup v1 is not in use here"
  open_world
  small_image
}
teardown() { leave_world; }

# group_of NAME CONTROLLER: the folder of its cgroup.
group_of() { echo "/sys/fs/cgroup/$2/lay/$("$LAY" inspect -f '{{.Id}}' "$1")"; }
# used NAME: nanoseconds of processor time. throttled NAME: periods in which it was held up.
used() { cat "$(group_of "$1" cpuacct)/cpuacct.usage"; }
throttled() { awk '/^nr_throttled/ {print $2}' "$(group_of "$1" cpu)/cpu.stat"; }
periods() { awk '/^nr_periods/ {print $2}' "$(group_of "$1" cpu)/cpu.stat"; }
more_than() { (($("${@:2}") > $1)); }

spin='while :; do :; done'

@test "--cpus holds a busy container up in each period, also what exec starts, until update lets it go" {
  "$LAY" run -d --name busy --network none --cpus 0.1 small sh -c "$spin" >/dev/null
  local used_before periods_before before
  wait_until 20 more_than 2 throttled busy
  used_before=$(used busy) periods_before=$(periods busy)
  wait_until 20 more_than $((periods_before + 5)) periods busy
  # a tenth of each period of 100 ms, and the slices that were handed out
  (($(used busy) - used_before <= ($(periods busy) - periods_before + 1) * 15000000))
  "$LAY" update --cpus 0 busy 2>/dev/null || "$LAY" update --cpus "$(nproc)" busy >/dev/null
  before=$(throttled busy) used_before=$(used busy)
  wait_until 20 more_than $((used_before + 300000000)) used busy
  (($(throttled busy) - before <= 1))
  # the other way round, on a container that had no limit, for a process of exec
  "$LAY" run -d --name idle --network none small sleep 1000 >/dev/null
  "$LAY" update --cpus 0.1 idle >/dev/null
  "$LAY" exec idle sh -c "$spin" >/dev/null 2>&1 3>&- &
  wait_until 20 more_than 2 throttled idle
  "$LAY" rm -f idle >/dev/null
  wait $! || true
}

@test "--cpu-shares divides a processor, and update divides it anew" {
  local each light heavy
  for each in light:128 heavy:1024; do
    "$LAY" run -d --name "${each%:*}" --network none --cpuset-cpus 0 --cpu-shares "${each#*:}" small sh -c "$spin" >/dev/null
  done
  light=$(used light) heavy=$(used heavy)
  wait_until 20 more_than $((light + 100000000)) used light
  (($(used heavy) - heavy > 3 * ($(used light) - light)))
  "$LAY" update --cpu-shares 1024 light >/dev/null
  "$LAY" update --cpu-shares 128 heavy >/dev/null
  light=$(used light) heavy=$(used heavy)
  wait_until 20 more_than $((heavy + 100000000)) used heavy
  (($(used light) - light > 3 * ($(used heavy) - heavy)))
}

# processors_of NAME: on which its first process ran last (proc_pid_stat(5), field 39).
processor_of() { cut -d' ' -f39 "/proc/$("$LAY" inspect -f '{{.State.Pid}}' "$1")/stat"; }
is_on() { [ "$(processor_of busy)" = "$1" ]; }

@test "--cpuset-cpus keeps a container to a processor, and update moves it while it runs" {
  (($(nproc) > 1)) || skip "needs two processors"
  "$LAY" run -d --name busy --network none --cpuset-cpus 0 small sh -c "$spin" >/dev/null
  [ "$(inside --cpuset-cpus 0 -- nproc 2>/dev/null || inside --cpuset-cpus 0 -- 'busybox nproc')" = 1 ]
  is_on 0
  "$LAY" update --cpuset-cpus 1 busy >/dev/null
  wait_until 10 is_on 1
  [ "$("$LAY" exec busy busybox grep Cpus_allowed_list /proc/self/status | tr -dc 0-9)" = 1 ]
}

# eats BYTES: a script that holds so much in memory at once and says so.
eats() { echo "head -c $1 /dev/zero | tail -c $1 >/dev/null && echo ate $1"; }

@test "update -m bites at once: less kills what takes more, more lets it pass; for exec too" {
  "$LAY" run -d --name c --network none -m 16m --memory-swap 16m small sleep 1000 >/dev/null
  run "$LAY" exec c sh -c "$(eats 30000000)"
  [[ $status -ne 0 && $output != *ate* ]]
  [ "$("$LAY" inspect -f '{{.State.Running}}' c)" = true ]
  "$LAY" update -m 128m --memory-swap 128m c >/dev/null
  has "$("$LAY" exec c sh -c "$(eats 30000000)")" "ate 30000000"
  "$LAY" update -m 16m --memory-swap 16m c >/dev/null
  run "$LAY" exec c sh -c "$(eats 30000000)"
  [[ $output != *ate* ]]
  # What is in use cannot be taken away: told, and the limit stays.
  "$LAY" update -m 128m --memory-swap 128m c >/dev/null
  "$LAY" exec c sh -c 'dd if=/dev/zero of=/dev/shm/held bs=1024k count=40 2>/dev/null'
  run "$LAY" update -m 8m --memory-swap 8m c
  [ "$status" = 1 ]
  has "$output" "resource busy"
  has "$output" "--memory 8388608"
  has "$output" "hint: the container holds more than that"
  [ "$(cat "$(group_of c memory)/memory.limit_in_bytes")" = 134217728 ]
}

# survivor FLAGS...: container c, in which the kernel hit another process than the first one; whom it hits is its own choice.
survivor() {
  local attempt
  for attempt in {1..20}; do
    "$LAY" run -d --name c "$@" -m 16m --memory-swap 16m small sh -c "$(eats 64000000); exec sleep 1000" >/dev/null
    wait_until 20 eval '"$LAY" top c args 2>/dev/null | grep -q "^sleep" || [ "$("$LAY" inspect -f "{{.State.Running}}" c)" = false ]'
    [ "$("$LAY" inspect -f '{{.State.Running}}' c)" = false ] || return 0
    "$LAY" rm c >/dev/null
  done
  return 1
}

@test "an out-of-memory kill is told by ps, inspect and wait, whoever was hit, and forgotten at the next start" {
  local flags name told
  for flags in "--network none" "--network none --init" "--network none --userns auto" "--network none --cgroup-parent lay-test-$$"; do
    survivor $flags
    "$LAY" stop -t 0 c >/dev/null
    [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' c)" = true ]
    has "$("$LAY" ps -a)" "out of memory"
    told=$("$LAY" wait c 2>&1 >/dev/null)
    has "$told" "'c' ran out of memory"
    "$LAY" update -m 128m --memory-swap 128m c >/dev/null
    "$LAY" start c >/dev/null
    wait_until 20 eval '"$LAY" top c args | grep -q "^sleep"'
    [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' c)" = false ]
    "$LAY" stop -t 0 c >/dev/null
    [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' c)" = false ]
    [ -z "$("$LAY" wait c 2>&1 >/dev/null)" ]
    "$LAY" rm c >/dev/null
  done
  # Who is killed otherwise, or ends by 137 itself, has not run out of memory.
  "$LAY" run -d --name c --network none -m 16m small sleep 1000 >/dev/null
  "$LAY" kill c >/dev/null
  [ "$("$LAY" wait c 2>&1)" = 137 ]
  [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' c)" = false ]
}

forks='i=0; while [ $i -lt 12 ]; do sleep 100 & i=$((i + 1)); done; echo forked'

@test "--pids-limit holds for exec and after update, more and less" {
  "$LAY" run -d --name c --network none --pids-limit 8 small sleep 1000 >/dev/null
  run "$LAY" exec c sh -c "$forks"
  [[ $output == *"can't fork"* && $output != *forked* ]]
  "$LAY" exec c sh -c 'kill -9 -1' 2>/dev/null || true
  "$LAY" update --pids-limit 100 c >/dev/null
  has "$("$LAY" exec c sh -c "$forks")" forked
  "$LAY" update --pids-limit 9 c >/dev/null
  run "$LAY" exec c sh -c 'sleep 100 & echo forked' # there are more already, and no other comes
  [[ $output == *"can't fork"* && $output != *forked* ]]
}

@test "a limit of the parent holds for the containers beneath it" {
  local parent=lay-test-$$ each
  mkdir "/sys/fs/cgroup/pids/$parent" "/sys/fs/cgroup/memory/$parent"
  echo 6 >"/sys/fs/cgroup/pids/$parent/pids.max"
  echo 16777216 >"/sys/fs/cgroup/memory/$parent/memory.limit_in_bytes"
  run inside --cgroup-parent "$parent" -- "$forks"
  [[ $output == *"can't fork"* && $output != *forked* ]]
  run inside --cgroup-parent "$parent" -- "$(eats 64000000)"
  [[ $status -ne 0 && $output != *ate* ]]
  rmdir "/sys/fs/cgroup/pids/$parent" "/sys/fs/cgroup/memory/$parent"
}

@test "pause stops all of a container, what exec started too; stats, top and inspect still tell of it" {
  "$LAY" run -d --name c --network none small sh -c "$spin" >/dev/null
  "$LAY" exec c sh -c "$spin" >/dev/null 2>&1 3>&- &
  wait_until 10 eval '[ "$(cat "$(group_of c pids)/pids.current")" = 2 ]' # it enters that one last
  wait_until 10 eval '[ "$("$LAY" top c pid | wc -l)" = 3 ]'
  "$LAY" pause c >/dev/null
  local before
  before=$(used c)
  sleep 0.3
  [ "$(used c)" = "$before" ]
  [ "$("$LAY" stats --no-stream --format '{{.CPUPerc}} {{.PIDs}}' c)" = "0.00% 2" ]
  [ "$("$LAY" top c pid | wc -l)" = 3 ]
  [ "$("$LAY" inspect -f '{{.State.Status}}' c)" = paused ]
  "$LAY" update --pids-limit 50 c >/dev/null
  "$LAY" unpause c >/dev/null
  wait_until 10 more_than "$before" used c
  [ "$(cat "$(group_of c pids)/pids.max")" = 50 ]
  "$LAY" rm -f c >/dev/null
  wait $! || true
}

@test "stats as JSON: an array of all that run, with the numbers of the kernel" {
  "$LAY" run -d --name one --network none -m 64m small sh -c 'dd if=/dev/zero of=/dev/shm/held bs=1024k count=20; sleep 1000 & sleep 1000' >/dev/null
  "$LAY" run -d --name two --network none small sleep 1000 >/dev/null
  wait_until 10 eval '[ "$(cat "$(group_of one pids)/pids.current")" = 2 ]'
  "$LAY" stats --no-stream --format json >stats.json
  [ "$(jq -r 'map(.Name) | sort | join(" ")' stats.json)" = "one two" ]
  [ "$(jq -r '.[] | select(.Name == "one").PIDs' stats.json)" = 2 ]
  [ "$(jq -r '.[0] | keys | join(" ")' stats.json)" = "BlockIO CPUPerc Container ID MemPerc MemUsage Name NetIO PIDs" ]
  local shown counted
  shown=$(jq -r '.[] | select(.Name == "one").MemUsage' stats.json)
  [[ $shown == *" MB / 67 MB" ]]
  counted=$(($(cat "$(group_of one memory)/memory.usage_in_bytes") / 1000000))
  shown=${shown%% *}
  ((${shown%%.*} >= 20 && ${shown%%.*} <= counted + 1))
  shown=$(jq -r '.[] | select(.Name == "one").MemPerc' stats.json)
  ((${shown%%.*} >= 31 && ${shown%%.*} <= 45)) # of 64 MiB
  [ "$(jq -r '.[] | select(.Name == "one").ID' stats.json)" = "$("$LAY" inspect -f '{{.Id}}' one | cut -c1-12)" ]
  [ "$("$LAY" stats --no-stream --no-trunc --format json two | jq -r '.[0].ID')" = "$("$LAY" inspect -f '{{.Id}}' two)" ]
  "$LAY" stop -t 0 two >/dev/null
  [ "$("$LAY" stats --no-stream --format json | jq -r 'map(.Name) | join(" ")')" = one ]
  [ "$("$LAY" stats -a --no-stream --format json | jq -r 'map(.Name) | sort | join(" ")')" = "one two" ]
}

@test "top: the columns are what the kernel says of each process" {
  "$LAY" run -d --name c --userns auto --user user --network none small sh -c 'sleep 1000 & exec sleep 2000' >/dev/null
  wait_until 10 eval '[ "$("$LAY" top c pid | wc -l)" = 3 ]'
  local hpid status column
  hpid=$("$LAY" top c hpid args | awk '/sleep 1000/ {print $1}')
  renice -n 7 -p "$hpid" >/dev/null
  status=/proc/$hpid/status
  # column NAME: of that process.
  column() { "$LAY" top c hpid "$1" | awk -v pid="$hpid" '$1 == pid {print $2}'; }
  named() { awk -v name="$1:" '$1 == name {print $'"$2"'}' "$status"; }
  inner() { awk '/^NSpid/ {print $NF}' "/proc/$1/status"; }
  [ "$(column pid)" = "$(inner "$hpid")" ]
  [ "$(column ppid)" = "$(inner "$(named PPid 2)")" ]
  [ "$(column pgid)" = "$(awk '/^NSpgid/ {print $NF}' "$status")" ]
  [ "$(column sid)" = "$(awk '/^NSsid/ {print $NF}' "$status")" ]
  [ "$(column huser)" = "$(named Uid 2)" ]
  [ "$(column hgroup)" = "$(named Gid 2)" ]
  [ "$(column uid)" = 1000 ]
  [ "$(column gid)" = 100 ]
  [ "$(column nice)" = 7 ]
  [ "$(column comm)" = sleep ]
  [ "$(column state)" = S ]
  [ "$(column vsz)" = "$(named VmSize 2)" ]
  (($(column rss) > 0))
  [ "$(column capeff)" = none ]
  has "$(column capbnd)" CAP_CHOWN
  [ "$(column seccomp)" = filter ]
  [ "$(column stime)" = "$(date -d "$(ps -o lstart= -p "$hpid")" +%H:%M)" ]
  [[ $(column etime) =~ ^00:[0-5][0-9]$ ]]
  [ "$("$LAY" top --format json c pid args | jq -r 'map(.COMMAND) | join("|")')" = "sleep 2000|sleep 1000" ]
}

@test "top shows two columns of one title beside each other, as podman does" {
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  [ "$("$LAY" top c comm args | tail -n 1 | tr -s ' ')" = "sleep sleep 1000" ] || { "$LAY" top c comm args; return 1; }
  [ "$("$LAY" top c args comm | tail -n 1 | tr -s ' ')" = "sleep 1000 sleep" ]
}

@test "top knows every descriptor of podman's" {
  local descriptor unknown=()
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  for descriptor in args capamb capbnd capeff capinh capprm comm etime group groups hgroup hgroups hpid huser label nice pcpu \
    pgid pid ppid rgroup rss ruser seccomp state stime time tty user vsz; do
    "$LAY" top c "$descriptor" >/dev/null 2>&1 || unknown+=("$descriptor")
  done
  [ ${#unknown[@]} = 0 ] || { echo "unknown: ${unknown[*]}"; return 1; }
}
