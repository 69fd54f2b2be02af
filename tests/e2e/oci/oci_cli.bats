#!/usr/bin/env bats
# The command line that runc defined, flag by flag: what runc and crun print, write and take is what lay-oci does.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# flags_of COMMAND...: the long ones that its help has.
flags_of() { "$@" --help 2>&1 3>&- | grep -oE -- '--[a-z][a-z0-9-]+' | sort -u; }

@test "each flag that Debian's runc has, globally and for each command, is one of lay-oci's" {
  local command missing
  for command in "" create start run state kill delete exec list ps pause resume update events spec; do
    # List shows the global --root in its help, too
    missing=$(comm -23 <(flags_of runc $command | grep -vx -- --root) <(flags_of "$OCI" $command))
    [ -z "$missing" ] || { echo "$command: $missing"; return 1; }
  done
}

@test "each command that runc has is one of lay-oci's, but those for images of running processes" {
  runc --help | sed -n '/^COMMANDS/,/^GLOBAL/p' | grep -oE '^   [a-z]+' | tr -d ' ' | grep -vxE 'help|init|checkpoint|restore' >of-runc
  [ "$(wc -l <of-runc)" -ge 15 ]
  local command
  while read -r command; do
    "$OCI" "$command" --help 3>&- | grep -q "oci $command" || { echo "$command"; return 1; }
  done <of-runc
  run briefly checkpoint c1
  [ "$status" -eq 1 ]
  has "$output" checkpoint
}

@test "lay oci does what lay-oci does" {
  small_bundle
  args sh -c 'echo $0; exec sleep 100'
  lay_oci() { timeout -s KILL 20 "$LAY" oci --root "$world/state" "$@" 3>&-; }
  lay_oci create --bundle bundle --pid-file pid c1 </dev/null >out 2>&1
  [ "$(status_of c1)" = created ]
  lay_oci start c1
  [ "$(lay_oci exec --env A=b c1 sh -c 'echo $A')" = b ]
  lay_oci pause c1
  [ "$(lay_oci state c1 | jq -r .status)" = paused ]
  lay_oci resume c1
  lay_oci update --pids-limit 33 c1
  [ "$(lay_oci events --stats c1 | jq .data.pids.limit)" = 33 ]
  [ "$(lay_oci ps --format json c1 | jq -c .)" = "[$(cat pid)]" ]
  lay_oci kill c1 KILL
  wait_until 5 eval '[ "$(status_of c1)" = stopped ]'
  lay_oci delete c1
  [ -z "$(lay_oci list -q)" ]
  diff <("$LAY" oci features) <("$OCI" features)
  diff <("$LAY" oci --version) <("$OCI" --version)
}

@test "--version has the lines that crun's has" {
  "$OCI" --version >version
  grep -qxE 'lay-oci version [0-9][0-9.a-z-]*' version
  grep -qxE 'spec: 1\.2\.[0-9]+' version
  grep -qxE '(\+[A-Z0-9]+ ?)+' version
  for word in CAP SECCOMP EBPF; do
    crun --version | grep -q "+$word"
    grep -q "+$word" version
  done
  [ "$("$OCI" -v)" = "$(cat version)" ]
}

@test "state has the members that runc's and crun's have, of the same types and with the same values" {
  small_bundle
  edit "c['ociVersion'] = '1.0.2'; c['annotations'] = {'org.example.key': 'told', 'other': ''}"
  args sleep 100
  detached
  oci state c1 >lay.json
  runc --root "$world/runc" run --detach --bundle bundle c1 </dev/null >out 2>&1 3>&-
  runc --root "$world/runc" state c1 >runc.json 3>&-
  runc --root "$world/runc" delete --force c1 3>&-
  by_crun run --detach --bundle bundle c1 </dev/null >out 2>&1
  by_crun state c1 >crun.json
  by_crun delete --force c1
  types() { jq -S 'with_entries(.value |= type)' "$1"; }
  same='{id, status, bundle, rootfs, annotations}'
  diff <(types runc.json | grep -v '"owner"') <(types lay.json)
  diff <(jq -S "$same" runc.json) <(jq -S "$same" lay.json)
  diff <(jq -S "$same | del(.rootfs)" crun.json) <(jq -S "$same | del(.rootfs)" lay.json) # crun's has it too, relative
  python3 - "$(jq -r .created lay.json)" <<'PY'
import datetime, sys
created = datetime.datetime.fromisoformat(sys.argv[1][:19] + "+00:00")
assert abs((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds()) < 60, sys.argv[1]
assert sys.argv[1].endswith("Z")
PY
}

@test "kill takes TERM without a signal, names with and without SIG in any case, and numbers, and refuses what is none" {
  small_bundle
  args sh -c 'for s in TERM HUP USR1 USR2; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.1; done'
  detached
  wait_until 5 grep -q ready out
  told() { wait_until 5 grep -qx "$1" out; sed -i "/^$1$/d" out; }
  : >>out
  briefly kill c1 && wait_until 5 grep -qx TERM out
  briefly kill c1 SIGHUP && wait_until 5 grep -qx HUP out
  briefly kill c1 usr1 && wait_until 5 grep -qx USR1 out
  briefly kill c1 12 && wait_until 5 grep -qx USR2 out
  for signal in 0 65 NOTHING SIG -1 1x; do
    run briefly kill -- c1 "$signal"
    [ "$status" -eq 1 ] || { echo "$signal: $status"; return 1; }
    has "$output" signal
  done
  [ "$(status_of c1)" = running ]
}

@test "run hands signals on to the container, and ends with its code" {
  small_bundle
  args sh -c 'trap "exit 41" TERM; trap "echo hup" HUP; echo ready; while :; do sleep 0.1; done'
  "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null >out 2>&1 3>&- &
  local running=$! code=0
  wait_until 5 grep -q ready out
  kill -HUP "$running"
  wait_until 5 grep -q hup out
  kill -TERM "$running"
  wait "$running" || code=$?
  [ "$code" = 41 ]
  [ -z "$(oci list -q)" ]
}

@test "run of a bundle with a terminal has its caller's, with what is typed and its size" {
  small_bundle
  ln -sf busybox bundle/rootfs/bin/stty
  edit 'c["process"]["terminal"] = True'
  args sh -c '[ -t 0 ] && stty size; read word; echo "<$word>"; exit 6'
  cat >typist.py <<'PY'
import fcntl, os, pty, struct, sys, termios
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
typed = False
while True:
    try: chunk = os.read(master, 4096)
    except OSError: break
    if not chunk: break
    said += chunk
    if not typed and b"33 77" in said: os.write(master, b"typed\n"); typed = True
print(said.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
  run timeout -s KILL 20 python3 typist.py "$OCI" --root "$world/state" run --bundle bundle c1
  [ "$status" -eq 6 ]
  has "$output" "33 77"
  has "$output" "<typed>"
}

@test "the size of a terminal of exec is that of its process" {
  small_bundle
  ln -sf busybox bundle/rootfs/bin/stty
  args sleep 100
  detached
  python3 "$BATS_TEST_DIRNAME/console.py" console.sock console.out >console.log 2>&1 3>&- &
  wait_until 5 test -S console.sock
  jq '.process | .args = ["stty", "size"] | .terminal = true | .consoleSize = {"height": 17, "width": 19}' bundle/config.json >process.json
  briefly exec --detach --console-socket console.sock --process process.json c1
  wait_until 5 grep -q "17 19" console.out
  grep -q "size 17 19" console.log
}

@test "exec --ignore-paused waits until the container is resumed, and without it that is an error" {
  small_bundle
  args sleep 100
  detached
  briefly pause c1
  run briefly exec c1 true
  [ "$status" -eq 1 ]
  has "$output" paused
  briefly exec --ignore-paused c1 sh -c 'echo ran >/tmp/ran' 3>&- &
  local executing=$!
  sleep 0.5
  [ ! -e bundle/rootfs/tmp/ran ]
  briefly resume c1
  wait "$executing"
  [ "$(cat bundle/rootfs/tmp/ran)" = ran ]
}

@test "exec --apparmor and --process-label are errors where the kernel has no such module, and nothing runs" {
  [[ ! -e /sys/module/apparmor && ! -e /sys/fs/selinux/enforce ]] || skip "this kernel has such a module: guest.bats has these"
  small_bundle
  args sleep 100
  detached
  run briefly exec --apparmor strict c1 touch /tmp/ran
  [ "$status" -eq 1 ]
  has "$output" "AppArmor profile 'strict'"
  run briefly exec --process-label a:b:c c1 touch /tmp/ran
  [ "$status" -eq 1 ]
  has "$output" a:b:c
  [ ! -e bundle/rootfs/tmp/ran ]
  [ "$(briefly exec --apparmor unconfined c1 echo ran)" = ran ]
}

@test "global flags: roots are apart, managers of cgroups are named, and what others pass is taken" {
  small_bundle
  args sleep 100
  detached
  run timeout 20 "$OCI" --root "$world/other" state c1 3>&-
  [ "$status" -eq 1 ]
  [ -z "$("$OCI" --root "$world/other" list -q)" ]
  oci --cgroup-manager cgroupfs --log-level debug --rootless false --criu /nowhere pause c1
  [ "$(oci --cgroup-manager=cgroupfs state c1 | jq -r .status)" = paused ]
  oci resume c1
  run oci --cgroup-manager systemd create --bundle bundle c2
  [ "$status" -eq 1 ]
  has "$output" "systemd"
  run oci --cgroup-manager nothing create --bundle bundle c2
  [ "$status" -eq 1 ]
  has "$output" "'nothing' is no cgroup manager"
  run oci --log-format xml list
  [ "$status" -eq 1 ]
  run oci --no-such-flag list
  [ "$status" -eq 1 ]
  [ "$(oci list -q)" = c1 ]
}

@test "an error without a log file is a line of JSON on standard error where that is asked for" {
  run --separate-stderr oci --log-format json state nobody
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  [ "$(jq -r .level <<<"$stderr")" = error ]
  has "$(jq -r .msg <<<"$stderr")" "container does not exist"
  jq -e '.time | fromdateiso8601 or true' <<<"$stderr" >/dev/null
}

@test "a log that cannot be written does not hide the error" {
  run oci --log /nowhere/log state nobody
  [ "$status" -eq 1 ]
  has "$output" "container does not exist"
  has "$output" /nowhere/log
}

@test "spec writes what runc and crun run, into the current folder too, and over nothing" {
  mkdir here && cd here
  "$OCI" spec
  jq -e '.ociVersion == "1.2.0" and .process.args == ["sh"] and .root.path == "rootfs"' config.json >/dev/null
  echo mine >config.json
  run "$OCI" spec
  [ "$status" -eq 1 ]
  has "$output" config.json
  [ "$(cat config.json)" = mine ]
  run "$OCI" spec --bundle "$world/nowhere"
  [ "$status" -eq 1 ]
  has "$output" nowhere
  [ "$(stat -c %a "$world/here/config.json")" = 644 ]
}

@test "a pid file whose folder is not there is an error before anything runs" {
  small_bundle
  args touch /tmp/ran
  for operation in create run; do
    run briefly $operation --bundle bundle --pid-file "$world/nowhere/pid" c1
    [ "$status" -eq 1 ]
    has "$output" nowhere
    [ -z "$(oci list -q)" ]
    [ ! -e bundle/rootfs/tmp/ran ]
  done
}

@test "a bundle is the current folder where none is named" {
  small_bundle
  args echo here
  cd bundle
  [ "$(timeout -s KILL 20 "$OCI" --root "$world/state" run c1 </dev/null 3>&-)" = here ]
}

@test "update without any limit changes nothing, and of flags and a file both count" {
  small_bundle
  args sleep 100
  resources '{"pids": {"limit": 20}}'
  detached
  briefly update c1
  [ "$(value pids pids.max)" = 20 ]
  echo '{"pids": {"limit": 30}}' >limits
  briefly update --resources limits --cpu-share 500 c1
  [ "$(value pids pids.max)" = 30 ]
  for flag in --memory=much --pids-limit=-5x --cpu-quota=1.5; do
    run briefly update "$flag" c1
    [ "$status" -eq 1 ] || { echo "$flag"; return 1; }
  done
  run briefly update --resources /nowhere/limits c1
  [ "$status" -eq 1 ]
  has "$output" /nowhere/limits
}
