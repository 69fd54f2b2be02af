#!/usr/bin/env bats
# What a container locks itself into (--landlock), and what lay says of it beforehand (--explain, info --security).

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

# needs_landlock REVISION
needs_landlock() {
  local revision
  revision=$("$LAY" info --security --format json | jq -r '.[] | select(.Name == "landlock") | .State' | grep -o '[0-9]*$' || echo 0)
  ((revision >= $1)) || skip "landlock revision $1 is needed, this kernel has $revision"
}

@test "--landlock: paths that are not named are shut, in run, exec and after a restart" {
  needs_landlock 3
  seen='echo 1 >/tmp/a && cat /tmp/a; cat /etc/passwd 2>&1; echo 1 >/bin/x; ls / 2>&1; true'
  run inside --landlock ro=/bin,rw=/tmp -- "$seen"
  has "$output" "1"
  has "$output" "'/etc/passwd': Permission denied"
  has "$output" "create /bin/x: Permission denied"
  has "$output" "'/': Permission denied"
  [[ $output != *root:x:0* ]]
  run inside --landlock ro=/bin --landlock rw=/tmp --init --user user --security-opt no-new-privileges -- "$seen"
  has "$output" "'/etc/passwd': Permission denied"
  "$LAY" run -d --name kept --network none --landlock ro=/bin,rw=/tmp small sleep 1000 >/dev/null
  run "$LAY" exec kept sh -c "$seen"
  has "$output" "'/etc/passwd': Permission denied"
  "$LAY" stop -t 0 kept >/dev/null
  "$LAY" start kept >/dev/null
  run "$LAY" exec kept sh -c "$seen"
  has "$output" "'/etc/passwd': Permission denied"
  run "$LAY" exec --privileged kept cat /etc/passwd
  has "$output" root:x:0
}

@test "--landlock: paths are the container's, whatever links lie in its image" {
  needs_landlock 3
  ln -s ../../../../../../../etc small/out
  "$LAY" import -q ./small linked >/dev/null
  run "$LAY" run --rm --network none --landlock ro=/bin,ro=/out linked sh -c 'cat /etc/passwd; ls /root'
  has "$output" "/home/user:/bin/sh"
  has "$output" "Permission denied"
}

@test "--landlock: ports and signals" {
  needs_landlock 6
  run inside --landlock bind=8080,connect=8081 -- 'busybox timeout 1 nc -l -p 81 2>&1; nc 127.0.0.1 81 2>&1; nc 127.0.0.1 8081 2>&1; true'
  has "$output" "bind: Permission denied"
  [ "$(grep -c "(127.0.0.1): Permission denied" <<<"$output")" = 1 ]
  has "$output" "(127.0.0.1): Connection refused"
  "$LAY" run -d --name other --network none small sleep 1000 >/dev/null
  "$LAY" run --rm --network none --pid container:other small kill -0 1
  run "$LAY" run --rm --network none --pid container:other --landlock scope=signal small kill -0 1
  [ "$status" -ne 0 ]
  has "$output" "not permitted"
}

@test "U06 --landlock that is not understood, or names what is not there, is an error" {
  refused 125 "'usr' is not an absolute path" "$LAY" run --rm --landlock ro=usr small true
  refused 125 "'70000' is no port" "$LAY" run --rm --landlock bind=70000 small true
  refused 125 "is none of ro, rw, bind" "$LAY" run --rm --landlock rx=/usr small true
  needs_landlock 3
  refused 125 "'/nosuch' is not in the container" "$LAY" run --rm --network none --landlock ro=/bin,/nosuch small true
  refused 126 "may not be executed" "$LAY" run --rm --network none --landlock ro=/etc small true
}

@test "--explain prints the spec and what is not in force, and leaves nothing" {
  before=$(store_state)
  "$LAY" run --explain --cap-add SYS_TIME -m 64m -e A=b --security-opt no-new-privileges --landlock ro=/bin small echo hello >spec.json 2>notes
  jq -e '.process.args == ["echo", "hello"] and .process.noNewPrivileges and .linux.resources.memory.limit == 67108864' spec.json
  jq -e '.process.capabilities.bounding | index("CAP_SYS_TIME")' spec.json
  jq -e '.process.env | index("A=b")' spec.json
  jq -e '.annotations["dev.lay.landlock"] == "ro=/bin"' spec.json
  grep -q "not in force: root inside is root of the host" notes
  "$LAY" run --explain --security-opt seccomp=unconfined --pid host small true >/dev/null 2>notes
  grep -q "not in force: no filter of system calls" notes
  grep -q "not in force: its pid namespace is the host's" notes
  [ "$before" = "$(store_state)" ]
  [ "$("$LAY" ps -aq | wc -l)" = 0 ]
  refused 125 "nosuch" "$LAY" run --explain nosuch:1
  refused 125 "volume source '/no-such' does not exist" "$LAY" run --explain -v /no-such:/x small true
}

@test "U06 --explain refuses what a start would refuse" {
  echo '{"defaultAction": "SCMP_ACT_NOTIFY"}' >notify.json
  run "$LAY" run --explain --security-opt seccomp=notify.json small true
  [ "$status" = 125 ]
  has "$output" "SCMP_ACT_NOTIFY cannot be the default"
}

@test "calls that a profile leaves to an agent are answered by it" {
  python3 "$here/seccomp_agent.py" "$world/agent" "$world/seen" 3>&- &
  agent=$!
  wait_until 5 test -S agent
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "'"$world"'/agent",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}' >notify.json
  "$LAY" run -d --name c --network none --security-opt seccomp=notify.json small sh -c 'mkdir /a; exec sleep 100'
  wait_until 5 eval '"$LAY" logs c 2>&1 | grep -q "No medium found"'
  run "$LAY" exec c mkdir /b
  has "$output" "No medium found"
  [ "$(jq -r .state.id seen | sort -u)" = "$("$LAY" inspect -f '{{.Id}}' c)" ]
  kill $agent
  run "$LAY" run --rm --network none --security-opt seccomp=notify.json small true
  [ "$status" = 125 ]
  has "$output" "seccomp agent at"
}

@test "exec works under a profile that lets no command write" {
  # it enters a group by a write; what it answers is its status, for it can say nothing
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ERRNO"}]}' >mute.json
  "$LAY" run -d --name c --network none --security-opt seccomp="$PWD/mute.json" small sleep 1000 >/dev/null
  run timeout -s KILL 20 "$LAY" exec c sh -c 'exit 7'
  [ "$status" = 7 ]
}

@test "exec works under a profile that lets no command clone, with a terminal and without" {
  echo '{"defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["clone", "clone3", "fork", "vfork"], "action": "SCMP_ACT_ERRNO"}]}' >alone.json
  "$LAY" run -d --name c --network none --security-opt seccomp=alone.json small sleep 100
  [ "$("$LAY" exec c echo here)" = here ]
  run script -qec "'$LAY' exec -t c sh -c 'test -t 0 && echo tty; true & echo not reached'" /dev/null
  has "$output" "tty"
  [[ $output != *"not reached"* ]]
}

@test "info --security says what this machine has, as a table and as JSON" {
  "$LAY" info --security >table
  head -1 table | grep -q '^PROTECTION.*STATE.*DETAIL'
  "$LAY" info --security --format json >facts.json
  state() { jq -r --arg name "$1" '.[] | select(.Name == $name) | .State' facts.json; }
  for name in mount pid network ipc uts cgroup; do [ "$(state "namespace $name")" = yes ]; done
  [ "$(jq -r '.[] | select(.Name == "seccomp") | .Detail' facts.json)" = "$(cat /proc/sys/kernel/seccomp/actions_avail)" ]
  expected=no
  if grep -qE '^[0-9]+:[^:]*\<pids\>' /proc/self/cgroup; then expected=v1
  elif grep -qsw pids /sys/fs/cgroup/cgroup.controllers /sys/fs/cgroup/unified/cgroup.controllers; then expected=v2; fi
  [ "$(state "cgroup pids")" = "$expected" ]
  grep -q 'CapBnd.*1ffffffffff' /proc/self/status || has "$(state "own capabilities")" "without CAP_"
  [ "$("$LAY" info --security --format '{{.Name}}' | sort -u | wc -l)" = "$(jq length facts.json)" ]
}
