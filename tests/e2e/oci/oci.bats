#!/usr/bin/env bats
bats_require_minimum_version 1.5.0
# lay as an OCI runtime: the operations of runtime.md by the command line that runc defined.

load ../support/world
load ../support/oci

setup() { open_oci_world; }
teardown() { close_oci_world; }

@test "a container is created, started, killed and deleted" {
  small_bundle
  args sh -c 'echo started >/tmp/mark; exec sleep 100'
  oci create --bundle bundle --pid-file pid c1 </dev/null >out 2>&1
  [ "$(status_of c1)" = created ]
  [ ! -e bundle/rootfs/tmp/mark ]
  [ "$(cat pid)" = "$(oci state c1 | jq .pid)" ]
  [ "$(oci state c1 | jq -r .bundle)" = "$world/bundle" ]
  oci start c1
  wait_until 5 test -e bundle/rootfs/tmp/mark
  [ "$(status_of c1)" = running ]
  oci kill c1 KILL
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  oci delete c1
  run oci state c1
  [ "$status" -eq 1 ]
  has "$output" "container does not exist"
  [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
  [ ! -e "$world/state/c1" ]
}

@test "operations are refused in states that do not allow them" {
  small_bundle
  args sleep 100
  oci create --bundle bundle c1 </dev/null >out 2>&1
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "container with id exists"
  [ "$(status_of c1)" = created ]
  run oci delete c1
  [ "$status" -eq 1 ]
  has "$output" "not stopped"
  run oci resume c1
  [ "$status" -eq 1 ]
  has "$output" "not paused"
  oci start c1
  run oci start c1
  [ "$status" -eq 1 ]
  has "$output" "running"
  oci pause c1
  [ "$(status_of c1)" = paused ]
  run oci exec c1 true
  [ "$status" -eq 1 ]
  has "$output" "paused"
  oci resume c1
  oci kill c1 9
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  run oci kill c1 9
  [ "$status" -eq 1 ]
  has "$output" "container not running"
  run oci start c1
  [ "$status" -eq 1 ]
  run oci exec c1 true
  [ "$status" -eq 1 ]
  has "$output" "container not running"
  oci delete c1
  run oci delete c1
  [ "$status" -eq 1 ]
  oci delete --force c1
  for id in '' . .. a/b 'a b' "$(printf 'x%.0s' {1..300})"; do
    run oci create --bundle bundle "$id"
    [ "$status" -eq 1 ]
  done
}

@test "run hands standard streams and exit codes on, and leaves nothing" {
  small_bundle
  args sh -c 'cat; echo err >&2; exit 3'
  run --separate-stderr eval 'echo given | oci run --bundle bundle c1'
  [ "$status" -eq 3 ]
  [ "$output" = given ]
  [ "$stderr" = err ]
  [ -z "$(oci list -q)" ]
  args sh -c 'kill -9 $$'
  edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "pid"]'
  run oci run --bundle bundle c1
  [ "$status" -eq 137 ]
}

@test "run --detach returns when the command is executed, and --keep leaves the state" {
  small_bundle
  args sleep 100
  oci run --detach --bundle bundle --pid-file pid c1 </dev/null >out 2>&1
  [ "$(readlink "/proc/$(cat pid)/exe")" != "" ]
  [ "$(tr '\0' ' ' <"/proc/$(cat pid)/cmdline")" = "sleep 100 " ]
  oci delete --force c1
  args true
  oci run --keep --bundle bundle c2
  [ "$(status_of c2)" = stopped ]
  oci delete c2
}

@test "a command that is not there fails create; one that cannot be executed fails start" {
  small_bundle
  args nothing-there
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" 'executable file not found in $PATH'
  [ -z "$(oci list -q)" ]
  args /etc/passwd
  oci create --bundle bundle c1 </dev/null >out 2>&1
  run oci start c1
  [ "$status" -eq 1 ]
  has "$output" "permission denied"
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  oci delete c1
}

@test "exec joins a container with the process of the command line or of a file" {
  small_bundle
  args sleep 100
  oci create --bundle bundle c1 </dev/null >out 2>&1
  oci start c1
  run oci exec --env A=b --cwd /tmp --user 5:6 c1 sh -c 'pwd; id -u; id -g; echo $A; hostname'
  [ "$output" = $'/tmp\n5\n6\nb\nlay' ]
  run oci exec c1 sh -c 'exit 9'
  [ "$status" -eq 9 ]
  run oci exec --tty c1 tty
  has "$output" /dev/pts/
  jq '.process | .args = ["sh", "-c", "echo from file; id -u"] | .user = {"uid": 7, "gid": 8}' bundle/config.json >process
  run oci exec --process process c1
  [ "$output" = $'from file\n7' ]
  oci exec --detach --pid-file pid c1 sleep 50 </dev/null >out 2>&1
  [ "$(tr '\0' ' ' <"/proc/$(cat pid)/cmdline")" = "sleep 50 " ]
  [ "$(oci ps --format json c1 | jq length)" = 2 ]
  [ "$(oci ps --format json c1 | jq "index($(cat pid))")" != null ]
  oci kill --all c1 KILL
  wait_until 5 eval '[ "$(oci ps --format json c1 | jq length)" = 0 ]'
}

@test "exec takes groups, refuses what is nobody's id, and looks at its files before it runs anything" {
  small_bundle
  args sleep 100
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  [ "$(oci exec --additional-gids 7 -g 8 -u 5:6 c1 id -G)" = "6 7 8" ]
  for user in 4294967295 5:4294967295; do
    run oci exec -u "$user" c1 id
    [ "$status" -eq 1 ]
    has "$output" "no id"
  done
  run oci exec --pid-file /nowhere/pid c1 touch /tmp/ran
  [ "$status" -eq 1 ]
  [ ! -e bundle/rootfs/tmp/ran ]
  jq '.process | .args = ["touch", "/tmp/ran"] | .terminal = true' bundle/config.json >process.json
  run oci exec --detach --process process.json c1
  [ "$status" -eq 1 ]
  has "$output" "has to go somewhere"
  [ ! -e bundle/rootfs/tmp/ran ]
  run oci exec --console-socket nowhere.sock c1 true
  [ "$status" -eq 1 ]
  has "$output" "no terminal"
  echo '{"args": ["echo", "a\u0000b"], "cwd": "/"}' >process.json
  run oci exec --process process.json c1
  [ "$status" -eq 1 ]
  has "$output" NUL
}

@test "descriptors from 3 on are kept as many as asked for" {
  small_bundle
  args sh -c 'ls /proc/self/fd | head -20; cat <&4'
  echo kept >kept
  run eval '"$OCI" --root "$world/state" run --preserve-fds 2 --bundle bundle c1 3</dev/null 4<kept 5<kept'
  [ "$status" -eq 0 ]
  has "$output" kept
  args sh -c 'ls /proc/self/fd'
  run eval '"$OCI" --root "$world/state" run --bundle bundle c1 3</dev/null 4<kept'
  [ "$output" = $'0\n1\n2\n3' ]  # 3 is the folder that ls reads
  run oci run --preserve-fds 40 --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "not open"
}

@test "the terminal goes to the console socket" {
  small_bundle
  args sh -c 'tty; stat -c %t:%T /dev/console; [ -t 0 ] && echo is a terminal'
  edit 'c["process"]["terminal"] = True; c["process"]["consoleSize"] = {"height": 7, "width": 9}'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "console socket"
  python3 "$BATS_TEST_DIRNAME/console.py" console.sock console.out >console.log 2>&1 3>&- &
  wait_until 5 test -S console.sock
  oci create --bundle bundle --console-socket console.sock c1
  oci start c1
  wait
  grep -q "is a terminal" console.out
  grep -q "size 7 9" console.log
  edit 'c["process"]["terminal"] = False'
  run oci create --bundle bundle --console-socket console.sock c2
  [ "$status" -eq 1 ]
  has "$output" "terminal"
}

@test "the terminal of exec goes to its console socket" {
  small_bundle
  args sleep 100
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  python3 "$BATS_TEST_DIRNAME/console.py" console.sock console.out >console.log 2>&1 3>&- &
  wait_until 5 test -S console.sock
  oci exec --tty --detach --console-socket console.sock --pid-file exec.pid c1 sh -c 'echo "$$"; [ -t 0 ] && echo is a terminal'
  wait
  grep -q "is a terminal" console.out
  [ "$(cat exec.pid)" -gt 1 ]
  run oci exec --tty --detach c1 true
  [ "$status" -eq 1 ]
  has "$output" "--console-socket"
  run oci exec --console-socket nowhere.sock --tty --detach c1 true
  [ "$status" -eq 1 ]
  has "$output" nowhere.sock
}

@test "hooks run at their points, in their namespaces, with the state on standard input" {
  small_bundle
  cat >hook <<'H'
#!/bin/sh
state=$(cat)
name=$(/bin/hostname)
echo "$1 $name $(echo "$state" | sed 's/.*"status":"\([a-z]*\)".*/\1/') $HOOK" >>LOG
H
  sed -i "s#LOG#$world/log#" hook
  chmod +x hook
  cp hook bundle/rootfs/bin/hook
  sed -i "s#$world/log#/log#; s#/bin/hostname#/bin/hostname#; s#sed #/bin/busybox sed #" bundle/rootfs/bin/hook
  edit 'h = lambda kind, path: [{"path": path, "args": ["hook", kind], "env": ["HOOK=" + kind, "PATH=/bin:/usr/bin"], "timeout": 5}]
c["hooks"] = {k: h(k, "'"$world"'/hook") for k in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]}
c["hooks"]["startContainer"] = h("startContainer", "/bin/hook")'
  args sh -c 'echo command >>/log; exec sleep 100'
  oci create --bundle bundle c1 </dev/null >out 2>&1
  host=$(hostname)
  [ "$(cat log)" = "prestart $host creating prestart
createRuntime $host creating createRuntime
createContainer lay creating createContainer" ]
  [ ! -e bundle/rootfs/log ]
  oci start c1
  wait_until 5 grep -q command bundle/rootfs/log
  [ "$(cat bundle/rootfs/log)" = "startContainer lay created startContainer
command" ]
  [ "$(tail -n 1 log)" = "poststart $host running poststart" ]
  oci delete --force c1
  [ "$(tail -n 1 log)" = "poststop $host stopped poststop" ]
}

@test "a hook that fails or takes too long ends the container, and nothing is left" {
  small_bundle
  args sleep 100
  for kind in prestart createRuntime createContainer; do
    edit 'c["hooks"] = {"'$kind'": [{"path": "/bin/false"}], "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", "echo over >>'"$world"'/log"]}]}'
    run oci create --bundle bundle c1
    [ "$status" -eq 1 ]
    has "$output" "hook $kind '/bin/false': ended with code 1"
    [ -z "$(oci list -q)" ]
    [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
  done
  edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "50"], "timeout": 1}]}'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "longer than 1 s"
  for kind in startContainer poststart; do
    edit 'c["hooks"] = {"'$kind'": [{"path": "/bin/false"}]}'
    oci create --bundle bundle c1 </dev/null >out 2>&1
    run oci start c1
    [ "$status" -eq 1 ]
    wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
    oci delete c1
  done
  edit 'c["hooks"] = {"prestart": [{"path": "relative"}]}'
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "hooks.prestart[0]"
}

@test "limits are set by the bundle and changed by update, all or nothing" {
  small_bundle
  args sleep 100
  edit 'c["linux"]["resources"]["pids"] = {"limit": 50}; c["linux"]["cgroupsPath"] = "/lay-oci-test/c1"'
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  limit() { cat /sys/fs/cgroup/pids/lay-oci-test/c1/pids.max 2>/dev/null || cat /sys/fs/cgroup/lay-oci-test/c1/pids.max; }
  [ "$(limit)" = 50 ]
  oci update --pids-limit 60 c1
  [ "$(limit)" = 60 ]
  echo '{"pids": {"limit": 70}}' | oci update --resources - c1
  [ "$(limit)" = 70 ]
  echo '{"pids": {"limit": 75}}' >limits.json
  oci update --resources limits.json c1
  [ "$(limit)" = 75 ]
  run eval "echo '{\"pids\": {\"limit\": 80}, \"cpu\": {\"cpus\": \"9999\"}}' | oci update -r - c1"
  [ "$status" -eq 1 ]
  [ "$(limit)" = 75 ]
  oci events --stats c1 >stats
  [ "$(jq -r '.type, .id, .data.pids.current' stats)" = $'stats\nc1\n1' ]
  [ "$(jq '.data.memory.usage.usage > 0 and .data.cpu.usage.total > 0' stats)" = true ]
  oci delete --force c1
  [ -z "$(find /sys/fs/cgroup -type d -path '*lay-oci-test*')" ]
}

@test "update changes what it names, and leaves the other half of a pair as it is" {
  small_bundle
  args sleep 100
  edit 'c["linux"]["resources"] |= {"memory": {"limit": 104857600}, "cpu": {"quota": 50000, "period": 100000, "shares": 0}}'
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  value() { cat "$(find /sys/fs/cgroup/"$1" -type d -name c1 | head -n 1)/$2"; }
  [ "$(value cpu cpu.shares)" = 1024 ]
  oci update --cpu-period 50000 c1
  [ "$(value cpu cpu.cfs_quota_us) $(value cpu cpu.cfs_period_us)" = "50000 50000" ]
  oci update --cpu-quota 20000 c1
  [ "$(value cpu cpu.cfs_quota_us) $(value cpu cpu.cfs_period_us)" = "20000 50000" ]
  oci update --memory-swap 314572800 c1
  [ "$(value memory memory.limit_in_bytes) $(value memory memory.memsw.limit_in_bytes)" = "104857600 314572800" ]
  oci update --memory-swap -1 c1
  [ "$(value memory memory.limit_in_bytes)" = 104857600 ]
  oci update --memory 52428800 --cpu-share 0 c1
  [ "$(value memory memory.limit_in_bytes) $(value cpu cpu.shares)" = "52428800 1024" ]
  oci update --memory 52428800 --memory-swap 104857600 c1
  oci update --memory -1 c1
  [ "$(value memory memory.limit_in_bytes)" -gt 1000000000000 ]
}

@test "a cgroup in which something runs is refused, an empty one is used" {
  small_bundle
  args sleep 100
  edit 'c["linux"]["cgroupsPath"] = "/lay-oci-test/c1"'
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  run oci create --bundle bundle c2
  [ "$status" -eq 1 ]
  has "$output" "not empty"
  [ "$(status_of c1)" = running ]
  oci delete --force c1
}

@test "delete of a container that has ended spares the one that its group was given to since" {
  small_bundle
  edit 'c["linux"]["cgroupsPath"] = "/lay-oci-test/c1"'
  args true
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  wait_until 5 ended c1
  args sleep 100
  oci run --detach --bundle bundle c2 </dev/null >out 2>&1
  oci delete c1
  [ "$(status_of c2)" = running ]
  [ "$(oci ps -f json c2 | jq '.[0]')" = "$(oci state c2 | jq .pid)" ]
  oci delete --force c2
  [ -z "$(find /sys/fs/cgroup -type d -path '*/lay-oci-test/c1')" ]
}
ended() { [ "$(status_of "$1")" = stopped ]; }

@test "kill -9 of create leaves nothing that delete --force does not clear" {
  small_bundle
  args sleep 86420
  for call in clone3 sendmsg move_mount mkdirat mkdir; do
    for when in 1 2 3; do
      # strace follows the container, too, and so ends with it
      timeout -s KILL 20 strace -f -qq -o trace -e trace=$call -e inject=$call:signal=KILL:when=$when \
        "$OCI" --root "$world/state" create --bundle bundle c1 </dev/null >out 2>&1 3>&- &
      local tracer=$!
      wait_until 10 eval '[ ! -d /proc/$tracer ] || [ "$(status_of c1 2>/dev/null)" = created ]'
      oci list --format json >/dev/null
      oci delete --force c1
      wait "$tracer" || true
      [ -z "$(oci list -q)" ]
      [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
      [ -z "$(pgrep -f "^sleep 86420")" ]
    done
  done
}

@test "errors go to the log in the form that engines read" {
  small_bundle
  args nothing-there
  run oci --log log.json --log-format json create --bundle bundle c1
  [ "$status" -eq 1 ]
  [ "$(jq -r .level log.json)" = error ]
  has "$(jq -r .msg log.json)" "executable file not found"
  run oci --log log.text create --bundle bundle c1
  has "$(cat log.text)" "level=error"
  run oci --systemd-cgroup create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" "systemd"
  run oci no-such-command
  [ "$status" -eq 1 ]
  "$OCI" --version | grep -q '^lay-oci version'
  "$LAY" oci features | jq -e '.ociVersionMax == "1.2.0" and (.linux.namespaces | index("time"))' >/dev/null
}

@test "--debug logs each call, how it ended and after how long, without changing what engines read" {
  small_bundle
  oci --debug --log log.json --log-format json run --bundle bundle c1 </dev/null
  [ "$(jq -r .level log.json | sort -u)" = debug ]
  [ "$(jq -r .msg log.json | head -n 1)" = "run --bundle bundle c1" ]
  [[ $(jq -r .msg log.json | tail -n 1) =~ ^'run ended with 0 after '[0-9.]+' ms'$ ]]
  run oci --debug --log log.exec exec -e PASSWORD=hunter2 nobody true
  [[ $(cat log.exec) != *hunter2* ]]
  run oci --debug --log log.text start nobody
  [ "$status" -eq 1 ]
  has "$(cat log.text)" 'level=debug msg="start failed after'
  [[ $(tail -n 1 log.text) == *level=error* ]]
  run oci --log log.quiet start nobody
  [ "$(wc -l <log.quiet)" = 1 ]
}

@test "capabilities that nobody can grant are left out with a warning in the log" {
  small_bundle
  edit 'for k in ("bounding", "effective", "permitted"): c["process"]["capabilities"][k] = ["CAP_KILL", "CAP_NOTHING", "CAP_SYS_TIME"]'
  args sh -c 'grep CapEff /proc/self/status'
  # As on a machine whose root may not set the clock.
  run capsh --drop=cap_sys_time -- -c "'$OCI' --root '$world/state' --log log.json --log-format json run --bundle bundle c1"
  has "$output" 0000000000000020
  [ "$(jq -r .level log.json)" = $'warning\nwarning' ]
  has "$(jq -r .msg log.json)" "'CAP_NOTHING' cannot be granted"
  has "$(jq -r .msg log.json)" "'CAP_SYS_TIME' cannot be granted"
  # A user namespace of its own has what lay itself lacks.
  edit 'c["linux"]["namespaces"].append({"type": "user"})
for kind in ("uidMappings", "gidMappings"): c["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
for k in ("bounding", "effective", "permitted"): c["process"]["capabilities"][k] = ["CAP_SYS_TIME"]'
  run capsh --drop=cap_sys_time -- -c "'$OCI' --root '$world/state' run --bundle bundle c1"
  has "$output" 0000000002000000
  [[ $output != *granted* ]]
  args sleep 100
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  run oci exec --cap CAP_NOTHING c1 true
  [ "$status" -eq 0 ]
  has "$output" "level=warning"
}

@test "--config takes another configuration than the bundle's, for create and for run" {
  small_bundle
  args sh -c 'echo from config.json'
  cp bundle/config.json other.json
  sed -i 's/from config.json/from elsewhere/' other.json
  run oci run --bundle bundle --config other.json c1
  [ "$output" = "from elsewhere" ]
  run oci run --bundle bundle c1
  [ "$output" = "from config.json" ]
  rm bundle/config.json
  oci create --bundle bundle --config other.json c1 </dev/null >out 2>&1
  oci start c1
  wait_until 5 grep -qx "from elsewhere" out
  oci delete --force c1
  run oci create --bundle bundle --config nowhere.json c1
  [ "$status" -eq 1 ]
  has "$output" nowhere.json
}

@test "list shows a table, JSON, or ids alone" {
  small_bundle
  args sleep 100
  oci create --bundle bundle c1 </dev/null >out 2>&1
  oci run --detach --bundle bundle c2 </dev/null >out 2>&1
  run oci list
  [ "$(awk '{print $1, $3, $4, $NF}' <<<"${lines[0]}")" = "ID STATUS BUNDLE OWNER" ]
  [ "$(awk '{print $1, $2, $3, $4, $NF}' <<<"${lines[1]}")" = "c1 $(oci state c1 | jq .pid) created $world/bundle root" ]
  [ "$(awk '{print $1, $3}' <<<"${lines[2]}")" = "c2 running" ]
  [ "${#lines[@]}" = 3 ]
  [ "$(oci list --format json | jq -r '.[] | .id + " " + .status')" = $'c1 created\nc2 running' ]
  [ "$(oci list -q)" = $'c1\nc2' ]
}

@test "a bundle that is not in order is refused before anything has happened" {
  small_bundle
  cp bundle/config.json good.json
  # What a create could leave on the host: groups, mounts, links, and files of the bundle and of its own.
  host() {
    find /sys/fs/cgroup -type d -path '*c1*'
    cat /proc/self/mountinfo
    ip -o link
    find bundle/rootfs -printf '%p %y %m %s %T@\n' | sort
    find state -name 'c1*'
  }
  mkdir -p state
  host_before=$(host)
  broken() {
    cp good.json bundle/config.json
    edit "$1"
    run oci create --bundle bundle c1
    [ "$status" -eq 1 ] || { echo "accepted: $1"; return 1; }
    has "$output" "$2"
    diff <(echo "$host_before") <(host)
  }
  broken 'c["process"]["args"] = []' args
  broken 'c["process"]["cwd"] = "tmp"' cwd
  broken 'c["root"]["path"] = "nowhere"' nowhere
  broken 'del c["root"]' root.path
  broken 'c["ociVersion"] = "2.0.0"' 2.0.0
  broken 'c["linux"]["namespaces"].append({"type": "pid"})' twice
  broken 'c["linux"]["namespaces"].append({"type": "nothing"})' nothing
  broken 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "mount"]' "mount namespace"
  broken 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "uts"]' hostname
  broken 'c["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]' "user namespace"
  broken 'c["linux"]["sysctl"] = {"kernel.panic": "1"}' kernel.panic
  broken 'c["linux"]["cgroupsPath"] = "/a/../b"' cgroup
  broken 'c["process"]["rlimits"] = [{"type": "RLIMIT_NOTHING", "soft": 1, "hard": 1}]' RLIMIT_NOTHING
  broken 'c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}]' RLIMIT_NOFILE
  broken 'c["process"]["rlimits"] = 2 * [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1}]' RLIMIT_NOFILE
  broken 'c["process"]["user"] = {"uid": 4294967295, "gid": 5}' "no id"
  broken 'c["process"]["user"] = {"uid": 5, "gid": 4294967295}' "no id"
  broken 'c["process"]["user"] = {"uid": 5, "gid": 5, "additionalGids": [4294967295]}' "no id"
  broken 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}' defaultErrnoRet
  broken 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]}' errnoRet
  broken 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": [{"op": "SCMP_CMP_EQ"}]}]}' index
  broken 'c["linux"]["resources"]["devices"] = [{"access": "rwm"}]' allow
  broken 'c["linux"]["resources"]["pids"] = {}' limit
  broken 'c["linux"]["resources"]["blockIO"] = {"weightDevice": [{"major": 8, "minor": 0}]}' leafWeight
  broken 'c["mounts"].append({"destination": "/cg2", "type": "cgroup2", "source": "cgroup"})' "mounted once"
  broken 'c["mounts"].append({"destination": "/x", "type": "bind", "options": ["rbind"]})' "needs a source"
  broken 'c["process"]["args"] = ["true\u0000false"]' NUL
  broken 'c["annotations"] = {"": "x"}' "empty key"
  broken 'c["ociVersion"] = "1.x"' 1.x
  broken 'c["linux"]["devices"] = [{"path": "/dev/x", "type": "c", "major": 4294967297, "minor": 3}]' "no 4294967297:3"
  broken 'c["process"]["scheduler"] = {"policy": "SCHED_BATCH", "runtime": 10000, "deadline": 100000, "period": 100000}' SCHED_DEADLINE
  broken 'c["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_NONE", "priority": 0}' IOPRIO_CLASS_NONE
  broken 'c["process"]["scheduler"] = {"policy": "SCHED_NOTHING"}' SCHED_NOTHING
  broken 'c["linux"]["personality"] = {"domain": "LINUX64"}' LINUX64
  broken 'c["linux"]["rootfsPropagation"] = "loud"' rootfsPropagation
  broken 'c["linux"]["timeOffsets"] = {"monotonic": {"secs": 1}}' time
  broken 'c["linux"]["devices"] = [{"path": "/dev/x", "type": "q"}]' /dev/x
  broken 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_NOTHING"}' SCMP_ACT_NOTHING
  broken 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOTHING"]}' SECCOMP_FILTER_FLAG_NOTHING
  broken 'c["mounts"].append({"destination": "/x", "type": "bind", "source": "/nowhere", "options": ["bind"]})' nowhere
  broken 'c["hooks"] = {"createRuntime": [{"path": "relative"}]}' createRuntime
  broken 'c["hooks"] = {"poststop": [{"path": "/bin/true", "timeout": 0}]}' timeout
  echo '{' >bundle/config.json
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  rm bundle/config.json
  run oci create --bundle bundle c1
  [ "$status" -eq 1 ]
  has "$output" config.json
}

@test "a container in the host's cgroup namespace sees its own groups where they are mounted" {
  small_bundle
  edit 'c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "cgroup"]
c["linux"]["resources"]["pids"] = {"limit": 44}'
  args sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; touch /sys/fs/cgroup/pids/x 2>&1; true'
  run oci run --bundle bundle c1
  has "$output" 44
  has "$output" "Read-only"
}

@test "--no-pivot moves the root over the host's" {
  small_bundle
  args sh -c 'ls /; cat /etc/passwd; cat /proc/self/mountinfo >/tmp/mounts'
  run oci run --no-pivot --bundle bundle c1
  [ "$status" -eq 0 ]
  # The host's own, which nothing masks, would let a nested user namespace mount others
  [ "$(grep -c ' - proc ' bundle/rootfs/tmp/mounts)" = "$(grep -c ' /proc.* - proc ' bundle/rootfs/tmp/mounts)" ]
  grep -q ' /proc .* - proc ' bundle/rootfs/tmp/mounts
  has "$output" root:x:0:0:root:/root:/bin/sh
  ln -sf busybox bundle/rootfs/bin/unshare
  edit 'for k in ("bounding", "effective", "permitted"): c["process"]["capabilities"][k].append("CAP_SYS_ADMIN")'
  args sh -c 'unshare -U -r -m -p -f mount -t proc proc /tmp && echo unmasked'
  [[ $(oci run --no-pivot --bundle bundle c1 2>&1) != *unmasked* ]]
  args sh -c 'ls /'
  run oci run --no-pivot --bundle bundle c1
  [ "$(head -n 8 <<<"$output" | tr '\n' ' ')" = "bin dev etc proc root run sys tmp " ]
}

@test "sockets of systemd's activation go to the command" {
  small_bundle
  args sh -c 'echo $LISTEN_FDS $LISTEN_PID; cat <&3'
  echo kept >kept
  run sh -c 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" --root "$1" run --bundle bundle c1 3<kept' "$OCI" "$world/state"
  [ "$output" = $'1 1\nkept' ]
}

@test "a created container that is paused goes on where it was" {
  small_bundle
  args sleep 100
  oci create --bundle bundle c1 </dev/null >out 2>&1
  oci pause c1
  [ "$(status_of c1)" = paused ]
  run oci start c1
  [ "$status" -eq 1 ]
  has "$output" paused
  oci resume c1
  [ "$(status_of c1)" = created ]
  oci start c1
  [ "$(status_of c1)" = running ]
}

@test "a container whose create was killed goes by delete without --force" {
  small_bundle
  args sleep 100
  edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "7"]}]}'
  oci create --bundle bundle c1 </dev/null >out 2>&1 &
  local maker=$!
  wait_until 5 eval '[ "$(status_of c1 2>/dev/null)" = creating ] && [ "$(oci state c1 | jq .pid)" != 0 ]'
  kill -9 "$(pgrep -f "state create --bundle bundle c1" | head -n 1)"
  wait "$maker" || true
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  oci delete c1
  [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
}

@test "a poststop hook that fails is a warning in the log, and the others run" {
  small_bundle
  edit "c['hooks'] = {'poststop': [{'path': '/bin/false'}, {'path': '/usr/bin/touch', 'args': ['touch', '$world/told']}]}"
  oci --log log.json --log-format json run --bundle bundle c1 </dev/null
  [ "$(jq -r .level log.json)" = warning ]
  has "$(jq -r .msg log.json)" poststop
  [ -e told ]
}

@test "hooks get no descriptor but the standard ones" {
  small_bundle
  args true
  edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "ls /proc/self/fd >'"$world"'/fds"], "env": ["PATH=/bin"]}]}'
  "$OCI" --root "$world/state" run --preserve-fds 1 --bundle bundle c1 3</dev/null 5</dev/null
  [ "$(tr '\n' ' ' <fds)" = "0 1 2 3 " ]  # 3 is the folder that ls reads
}
