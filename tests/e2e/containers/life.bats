#!/usr/bin/env bats
# What users of docker and podman expect of a container's life, through the program itself.

bats_require_minimum_version 1.5.0
load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

@test "run gives the output and the exit code of the command" {
  run "$LAY" run --rm --network none small sh -c 'echo out; echo err >&2; exit 7'
  [ "$status" -eq 7 ]
  has "$output" out
  has "$output" err
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "output that cannot be written is an error of run, exec and start; a reader that goes away is none" {
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  "$LAY" run --name d --network none small echo words >/dev/null
  local command
  for command in "run --rm --network none small" "exec c" "exec -t c"; do
    # shellcheck disable=SC2086
    run --separate-stderr bash -c '"$LAY" "$@" echo words >/dev/full' lay $command
    [ "$status" -eq 125 ]
    has "$stderr" "write to standard output: No space left on device"
  done
  run bash -c '"$LAY" start -a d 2>&1 >/dev/full'
  [ "$status" -eq 125 ]
  run bash -c '"$LAY" exec c sh -c "echo words >&2" 2>/dev/full'
  [ "$status" -eq 125 ]
  run bash -c '"$LAY" exec c sh -c "echo words; exit 7" 2>&1 >/dev/full' # the command's own code is kept
  [ "$status" -eq 7 ]
  has "$output" "write to standard output"
  local terminal
  for terminal in "" -t; do # which is closed then: that the command ends of it is not its own
    run --separate-stderr bash -c 'timeout 20 "$LAY" exec $1 c sh -c "while echo y; do :; done" >/dev/full' lay "$terminal"
    [ "$status" -eq 125 ]
    has "$stderr" "write to standard output"
  done
  run --separate-stderr bash -c 'timeout 20 "$LAY" exec c sh -c "while echo y; do :; done" | head -n 1; echo "${PIPESTATUS[0]}"'
  [ "$output" = $'y\n141' ]
  [ -z "$stderr" ]
}

@test "an image that has a layer twice runs, unpacked and mounted" {
  mkdir upper other
  echo twice >upper/file
  echo other >other/file
  "$LAY" commit -q ./upper one:1 --base small
  "$LAY" commit -q ./other two:1 --base one:1
  "$LAY" commit -q ./upper three:1 --base two:1
  [ "$("$LAY" run --rm --network none three:1 cat /file)" = twice ]
  "$LAY" save -q -o archive three:1
  export LAY_LAYER_FORM=tree
  "$LAY" --root "$world/root2" load -q -i archive
  [ "$("$LAY" --root "$world/root2" run --rm --network none three:1 cat /file)" = twice ]
}

@test "exit codes: 127 not there, 126 not executable, 125 ours, 128 + N after a signal" {
  refused 127 "nosuch" "$LAY" run --rm --network none small nosuch
  refused 126 "/etc" "$LAY" run --rm --network none small /etc
  refused 125 "unknown flag" "$LAY" run --bogus small
  run "$LAY" run --rm --network none small sh -c 'kill -9 $$'
  # the first process of a pid namespace ignores signals it has no handler for, even its own SIGKILL
  [ "$status" -eq 0 ]
  run "$LAY" run --rm --network none small sh -c 'sh -c "kill -TERM \$\$"; exit $?'
  [ "$status" -eq 143 ]
}

@test "stdin reaches the command only with -i" {
  run bash -c 'echo hello | "$LAY" run --rm -i --network none small cat'
  [ "$output" = hello ]
  run bash -c 'echo hello | "$LAY" run --rm --network none small cat'
  [ "$output" = "" ]
}

@test "-t gives a terminal of the container's own" {
  run script -qec "'$LAY' run --rm -it --network none small sh -c 'test -t 0 && test -t 1 && readlink /proc/self/fd/0'" /dev/null
  has "$output" /dev/
  [ "$status" -eq 0 ]
}

@test "-t without -i shows lines as the container's terminal made them" {
  script -qec "'$LAY' run --rm -t --network none small echo line" /dev/null | od -An -c >shown
  has "$(cat shown)" 'l   i   n   e  \r  \n'
  script -qec "'$LAY' run --rm -t --network none small true; stty -a" /dev/null >shown
  grep -qE '(^| )opost' shown # the user's own is put back
}

@test "a working folder that is a file is refused, and said to be one" {
  refused 125 "'passwd' in the container is no folder" "$LAY" run --rm --network none -w /etc/passwd small true
}

@test "environment, user, folder and host name are as asked" {
  run "$LAY" run --rm --network none -e A=1 -u user -w /tmp/new/dir -h box small sh -c 'echo $A $HOME; id; hostname; readlink /proc/self/cwd'
  has "$output" "1 /home/user"
  has "$output" "uid=1000(user) gid=100(users)"
  has "$output" "200(extra)"
  has "$output" box
  has "$output" /tmp/new/dir
}

@test "a container has namespaces, processes and descriptors of its own" {
  run "$LAY" run --rm --network none small sh -c 'echo pid $$; ls /proc/self/fd; for n in mnt pid uts ipc net cgroup; do readlink /proc/self/ns/$n; done'
  [ "$status" -eq 0 ]
  has "$output" "pid 1"
  local kind
  for kind in mnt pid uts ipc net cgroup; do
    [[ $output != *"$(readlink "/proc/self/ns/$kind")"* ]]
  done
  # 0, 1, 2 and the one that ls itself opened
  [ "$(grep -cE '^[0-9]+$' <<<"$output")" -eq 4 ]
}

@test "the life of a detached container: ps, exec, logs, stop, start, wait, rm" {
  id=$("$LAY" run -d --name web --network none small sh -c 'echo begun; trap "exit 3" TERM; while :; do sleep 0.05; done')
  [ "${#id}" -eq 64 ]
  has "$("$LAY" ps)" web
  wait_until 5 bash -c '"$LAY" logs web | grep -q begun'
  [ "$("$LAY" exec web sh -c 'echo $((6*7)) > /kept; cat /kept')" = 42 ]
  run "$LAY" exec web sh -c 'exit 9'
  [ "$status" -eq 9 ]
  run bash -c 'echo in | "$LAY" exec -i web cat'
  [ "$output" = in ]
  "$LAY" stop web
  has "$("$LAY" ps -a)" "Exited (3)"
  [ "$("$LAY" ps -q)" = "" ]
  [ "$("$LAY" wait web)" = 3 ]
  "$LAY" start web
  [ "$("$LAY" exec web cat /kept)" = 42 ]
  refused 1 "running" "$LAY" rm web
  "$LAY" kill -s TERM web
  [ "$("$LAY" wait web)" = 3 ]
  "$LAY" rm web
  refused 1 "web" "$LAY" logs web
}

@test "--log-opt limits what the log takes, --log-driver none keeps nothing, and others are refused" {
  "$LAY" run --name small-log --network none --log-driver json-file --log-opt max-size=100k --log-opt max-file=2 small \
    sh -c 'seq 100000' >/dev/null
  (($(du -cb "$LAY_ROOT"/containers/*/log* | tail -n 1 | cut -f1) <= 204800))
  [ "$("$LAY" logs --tail 1 small-log)" = 100000 ]

  "$LAY" run --name long-line --network none --log-opt max-size=10k small sh -c 'head -c 300000 /dev/zero | tr "\0" x' >/dev/null
  (($(du -cb "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' long-line)"/log* | tail -n 1 | cut -f1) <= 10240))

  "$LAY" run --name no-log --network none --log-driver none small echo hello | grep -qx hello
  [ ! -e "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' no-log)/log" ]
  run "$LAY" logs no-log
  [ "$status" != 0 ]
  has "$output" "log-driver none"

  refused 125 "journald" "$LAY" run --rm --log-driver journald small true
  refused 125 "max-size" "$LAY" run --rm --log-opt max-size=much small true
  refused 125 "tag" "$LAY" run --rm --log-opt tag=x small true
}

@test "logs -f follows to the end, and the last line needs no newline" {
  "$LAY" run -d --name talker --network none small sh -c 'for i in 1 2 3; do echo line $i; sleep 0.1; done; printf last'
  run timeout 20 "$LAY" logs -f talker
  [ "$output" = $'line 1\nline 2\nline 3\nlast' ]
  [ "$("$LAY" logs --tail 1 talker)" = last ]
}

@test "wait says nothing and does nothing until the container ends, however long that takes" {
  "$LAY" run -d --name long --network none small sleep 7 >/dev/null
  strace -f -qq -o trace "$LAY" wait long >code 2>said
  [ "$(cat code)" = 0 ]
  [ ! -s said ] || { cat said; return 1; }
  (($(grep -c flock trace) <= 2)) # one that waits, and none that looks again and again
}

@test "commands that only wait end at once at a signal" {
  "$LAY" run -d --name long --network none small sleep 100
  run timeout 1 "$LAY" logs -f long
  [ "$status" -eq 124 ]
  run timeout 1 "$LAY" wait long
  [ "$status" -eq 124 ]
  [ "$("$LAY" ps -q --no-trunc | wc -l)" -eq 1 ]
  "$LAY" rm -f long
}

@test "what a container writes stays in its upper; two of one image do not see each other" {
  "$LAY" run --name one --network none small touch /mine
  run "$LAY" run --rm --network none small ls /mine
  [ "$status" -ne 0 ]
  [ -e "$LAY_ROOT"/containers/*/upper/mine ]
}

@test "volumes are bound, read-only ones cannot be written, and a commit does not take them" {
  mkdir "$world/data"
  echo kept >"$world/data/file"
  run "$LAY" run --name v --network none -v "$world/data:/data" -v "$world/data:/ro:ro" small sh -c 'cat /data/file; echo new >/data/new; touch /ro/x || echo refused'
  has "$output" kept
  has "$output" refused
  [ "$(cat "$world/data/new")" = new ]
  "$LAY" commit v vol >/dev/null
  [ -z "$("$LAY" run --rm --network none vol sh -c 'ls -A /data 2>/dev/null')" ]
}

@test "the files for /etc are bound in and never committed" {
  "$LAY" run --name n --network none --hostname bound small sh -c 'cat /etc/hostname /etc/hosts; echo nameserver 1.2.3.4 >/etc/resolv.conf; touch /real' >out
  has "$(cat out)" bound
  "$LAY" commit n named >/dev/null
  diff_id=$("$LAY" inspect -f '{{json .RootFS.Layers}}' named | jq -r '.[-1]')
  [ "$("$LAY" inspect named | jq '.[0].Layers | length')" -eq 2 ]
  layer=$("$LAY" inspect named | jq -r '.[0].Layers[-1].digest')
  run bash -c "zstd -dc '$LAY_ROOT/blobs/sha256/${layer#sha256:}' | tar -t"
  has "$output" real
  [[ $output != *etc/host* && $output != *resolv* ]]
}

@test "limits bite: memory, processes and processor time" {
  run "$LAY" run --rm --network none --memory 32m small sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1; echo code $?'
  has "$output" "code 137"
  run "$LAY" run --rm --network none --pids-limit 5 small sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait; echo end'
  has "$output" "fork"
  run "$LAY" run --rm --network none --cpus 0.1 small sh -c 'i=0; s=$(cut -d" " -f1 /proc/uptime 2>/dev/null || cat /proc/uptime); timeout 2 sh -c "while :; do :; done"; true'
  [ "$status" -eq 0 ]
}

@test "two containers may not have one name, and ids may be shortened" {
  id=$("$LAY" run -d --name same --network none small sleep 60)
  refused 125 "same" "$LAY" run --name same --network none small true
  [ "$("$LAY" inspect -f '{{.Name}}' "${id:0:8}")" = same ]
  "$LAY" rm -f same
}

@test "a container of another's network sees its loopback" {
  "$LAY" run -d --name server --network none small nc -l -p 7000 -e echo hi
  wait_until 5 bash -c '"$LAY" run --rm --network container:server small nc 127.0.0.1 7000 | grep -q hi'
}

@test "the bridge: a published port answers on loopback, and containers reach each other" {
  port=$(free_port)
  "$LAY" run -d --name server -p "$port:7000" small sh -c 'while :; do nc -l -p 7000 -e echo hi; done'
  wait_until 5 bash -c "[[ \$(timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$port; cat <&3') == hi ]]"
  address=$("$LAY" inspect -f '{{.NetworkSettings.IPAddress}}' server)
  [ "$("$LAY" run --rm small nc "$address" 7000)" = hi ]
  refused 125 "port $port" "$LAY" run --rm -p "$port:80" small true
  "$LAY" rm -f server
}

@test "kill -9 of the supervisor leaves nothing that the next commands do not clear" {
  "$LAY" run -d --name orphan small sleep 100
  pid=$("$LAY" inspect -f '{{.State.Pid}}' orphan)
  supervisor=$(awk '/^PPid/ {print $2}' "/proc/$pid/status")
  kill -9 "$supervisor"
  wait_until 5 bash -c '! kill -0 "$0" 2>/dev/null' "$pid"
  [ "$("$LAY" ps -q)" = "" ]
  "$LAY" start orphan
  "$LAY" rm -f orphan
}

supervisor_of() { ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' "$1")" | tr -d ' '; }

# lose_supervisor NAME: and nobody else of it.
lose_supervisor() {
  local supervisor
  supervisor=$(supervisor_of "$1")
  kill -9 "$supervisor"
  wait_until 5 eval "! test -d /proc/$supervisor"
}

# orphans_image: `small` with a command that takes back that it dies with its supervisor, and writes when it is asked
# to end.
orphans_image() {
  command -v gcc >/dev/null || skip "gcc is not installed"
  make_small_root
  gcc -static -O1 -o small/bin/orphan -x c - <<'C'
#include <signal.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>
static void end(int signal) { creat("/asked", 0600); _exit(signal); }
int main(void) {
  signal(SIGTERM, end);
  prctl(PR_SET_PDEATHSIG, 0);
  creat("/ready", 0600);
  for (;;) pause();
}
C
  "$LAY" import small orphans >/dev/null
}

# orphan NAME FLAG...: a container that has lost its supervisor and lives on.
orphan() {
  "$LAY" run -d --network none --name "$1" "${@:2}" orphans orphan >/dev/null
  wait_until 5 test -e "$("$LAY" inspect -f '{{.Upper}}' "$1")/ready"
  first=$("$LAY" inspect -f '{{.State.Pid}}' "$1")
  lose_supervisor "$1"
}

@test "a command that outlives its killed supervisor is listed, entered, stopped and killed as one that runs" {
  orphans_image
  orphan kept
  has "$("$LAY" ps)" "(without supervisor)"
  has "$("$LAY" inspect -f '{{.State.Error}}' kept)" "supervisor was killed"
  [ "$("$LAY" exec kept echo inside)" = inside ]
  refused 1 "it is running" "$LAY" rm kept
  "$LAY" wait kept >code 3>&- &
  waiter=$!
  "$LAY" stop kept
  wait_until 5 eval "! test -d /proc/$first"
  [ -e "$("$LAY" inspect -f '{{.Upper}}' kept)/asked" ]
  wait "$waiter"
  [ "$(cat code)" = 137 ]
  has "$("$LAY" ps -a)" "Exited (137)"
  [ "$(host_traces | grep -c "$("$LAY" inspect -f '{{.Id}}' kept)")" = 0 ]
  orphan killed
  "$LAY" kill killed
  wait_until 5 eval "! test -d /proc/$first"
  refused 1 "is not running" "$LAY" kill killed
  orphan anew
  "$LAY" start anew
  wait_until 5 eval "! test -d /proc/$first"
  lose_supervisor anew
  [ "$("$LAY" stop -a -t 0)" = anew ]
  [ -z "$("$LAY" ps -q)" ]
  "$LAY" run --rm --network none orphans true  # what killed supervisors held goes with the next one
}

# stop_while_two_is_held A B C D: stops A, two, B and C, two, D at once, which wait for the upper of `two` until the
# others have ended.
stop_while_two_is_held() {
  local name ended=() pid upper stops=()
  for name in one two three; do
    orphan $name
    [ $name = two ] || ended+=("$first")
  done
  exec {upper}<"$("$LAY" inspect -f '{{.Upper}}' two)"
  flock -x "$upper"
  timeout 10 "$LAY" stop "$1" two "$2" 3>&- {upper}>&- & stops+=($!)
  timeout 10 "$LAY" stop "$3" two "$4" 3>&- {upper}>&- & stops+=($!)
  for pid in "${ended[@]}"; do wait_until 5 eval "! test -d /proc/$pid"; done
  exec {upper}<&-
  for pid in "${stops[@]}"; do wait "$pid" || return 1; done
  "$LAY" rm one two three
}

@test "stop of what has lost its supervisor may name it twice, and be asked by two in any order" {
  orphans_image
  stop_while_two_is_held one one three three
  stop_while_two_is_held one three three one
  "$LAY" run --rm --network none orphans true
}

@test "a command with --rm that outlives its killed supervisor runs on until it is stopped" {
  orphans_image
  orphan kept --rm
  has "$("$LAY" ps)" "(without supervisor)"
  refused 125 "kept" "$LAY" run --rm --name kept --network none small true
  "$LAY" run --rm --network none small true
  test -d "/proc/$first"
  "$LAY" stop kept
  wait_until 5 eval "! test -d /proc/$first"
  wait_until 5 eval '[ -z "$("$LAY" ps -aq)" ]'
  "$LAY" run --rm --network none small true
}

@test "update and network connect reach what has lost its supervisor" {
  orphans_image
  orphan kept --memory 64m
  "$LAY" update --memory 32m kept
  has "$("$LAY" stats --no-stream kept)" "34 MB"
  "$LAY" network connect bridge kept
  "$LAY" exec kept ip -o -4 addr | grep -v ' lo '
  "$LAY" rm -f kept
  "$LAY" run --rm --network none small true
}

@test "stop gives a damaged container that has no upper folder its time, too" {
  "$LAY" run -d --name c --network none small sh -c 'trap "exit 9" TERM; touch /dev/shm/ready; while :; do sleep 0.1; done' >/dev/null
  wait_until 5 "$LAY" exec c test -e /dev/shm/ready
  mv "$("$LAY" inspect -f '{{.Upper}}' c)" away
  "$LAY" stop c
  [ "$("$LAY" wait c)" = 9 ]
}

@test "stop and kill end what shares the host's process numbers and has outlived supervisor and first process" {
  local how other
  for how in "stop -t 0" kill; do
    "$LAY" run -d --pid host --name c --network none small sh -c 'sleep 1000 & wait' >/dev/null
    wait_until 5 eval 'other=$(ps -o pid= --ppid "$("$LAY" inspect -f "{{.State.Pid}}" c)")'
    lose_supervisor c
    wait_until 5 eval '[ "$("$LAY" inspect -f "{{.State.Pid}}" c)" = 0 ]'
    [ "$("$LAY" inspect -f '{{.State.Status}}' c)" = running ]
    refused 1 "lost its supervisor and its first process" "$LAY" update --memory 64m c
    "$LAY" wait c >code 3>&- &
    local waiter=$! status=0
    timeout 0.5 "$LAY" wait c || status=$?
    [ "$status" = 124 ] # nothing of it has ended
    "$LAY" $how c
    wait_until 5 eval "! test -d /proc/$((other))"
    wait "$waiter"
    [ "$(cat code)" = 137 ]
    [ "$("$LAY" inspect -f '{{.State.Status}}' c)" = exited ]
    "$LAY" rm c
  done
  "$LAY" run --rm --network none small true
}

@test "stop asks all before it waits for any" {
  local name begin
  for name in one two three; do "$LAY" run -d --name $name --network none small sleep 1000 >/dev/null; done
  begin=$(date +%s%N)
  [ "$("$LAY" stop -t 3 one two three one | xargs)" = "one two three one" ]
  (($(date +%s%N) - begin < 6000000000)) # three times 3 s, one after the other
  [ "$("$LAY" wait one two three | xargs)" = "137 137 137" ]
}

@test "rm -f -t asks all before it waits for any, and says them in their order" {
  local name begin
  for name in one two three; do "$LAY" run -d --name $name --network none small sleep 1000 >/dev/null; done
  "$LAY" run --name ended --network none small true
  begin=$(date +%s%N)
  [ "$("$LAY" rm -f -t 3 three ended one missing two one | xargs)" = "three ended one two" ]
  (($(date +%s%N) - begin < 6000000000)) # three times 3 s, one after the other
  [ -z "$("$LAY" ps -aq)" ]
}

@test "start of one that runs says its name and leaves it alone" {
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  local first
  first=$("$LAY" inspect -f '{{.State.Pid}}' c)
  [ "$("$LAY" start c)" = c ]
  [ "$("$LAY" inspect -f '{{.State.Pid}}' c)" = "$first" ]
  mv "$LAY_ROOT/blobs" away # what a start would have to read
  [ "$("$LAY" start c)" = c ]
  mv away "$LAY_ROOT/blobs"
  refused 125 "is running already" "$LAY" start --attach c
}

@test "a start that fails leaves what was known of the run before" {
  mkdir bound
  "$LAY" run --name again -v "$PWD/bound:/x" small sh -c 'exit 9' || [ "$?" = 9 ]
  local times='{{.State.StartedAt}} {{.State.FinishedAt}}' before
  before=$("$LAY" inspect -f "$times" again)
  rmdir bound
  refused 1 "does not exist" "$LAY" start again
  [ "$("$LAY" wait again)" = 9 ]
  [ "$("$LAY" inspect -f '{{.State.ExitCode}}' again)" = 9 ]
  [ "$("$LAY" inspect -f "$times" again)" = "$before" ]
  has "$("$LAY" ps -a --format '{{.Status}}')" "Exited (9)"
  mkdir bound
  "$LAY" start again
  [ "$("$LAY" wait again)" = 9 ]
  [ "$("$LAY" inspect -f '{{.State.Error}}' again)" = "" ]
}

@test "why a container could not start is told, also when its process is gone before its network is there" {
  local i
  for i in $(seq 60); do
    refused 125 "volume source '/no-such' does not exist" "$LAY" run --rm -v /no-such:/x small true
  done
}

@test "what outlives a command does not show its words" {
  "$LAY" run -d --name quiet --init -e WORD=letmein -p 127.0.0.1::80 small sleep 100 >/dev/null
  local supervisor
  supervisor=$(awk '/^PPid/ {print $2}' "/proc/$("$LAY" inspect -f '{{.State.Pid}}' quiet)/status")
  wait_until 5 eval '[ "$(tr -d "\0" <"/proc/$supervisor/cmdline")" = "lay: supervisor of quiet" ]'
  [ "$("$LAY" exec quiet sh -c 'tr -d "\0" </proc/1/cmdline')" = lay-init ]
  "$LAY" run -d --rm --name other -e WORD=letmein -p 127.0.0.1::80 small true >/dev/null
  "$LAY" rm -f quiet
  ! grep -qaz WORD=letmein /proc/[0-9]*/cmdline || return 1  # what waits to remove the bridge is still there
}

@test "a stop signal that is none is refused, whoever names it" {
  local signal
  for signal in NOSUCH 0 99; do
    refused 125 "'$signal' is not a signal" "$LAY" run --rm --stop-signal "$signal" small true
  done
  "$LAY" run --rm --network none --stop-signal sigrtmin+3 small true
}

@test "a container with --rm whose lay was killed is gone with the next run of that kind, and is not listed" {
  local lay killed
  killed() {  # kills lay in front of a container, which is left behind
    "$LAY" run --rm --name left --network none small sleep 100 3>&- & lay=$!
    wait_until 5 eval '[ "$("$LAY" inspect -f "{{.State.Running}}" left 2>/dev/null)" = true ]'
    kill -9 "$lay"
    wait "$lay" || true
    wait_until 5 eval '[ "$("$LAY" inspect -f "{{.State.Running}}" left)" = false ]'
  }
  killed
  [ -z "$("$LAY" ps -aq)" ]
  killed
  "$LAY" run --rm --network none small true
  wait_until 5 eval '! "$LAY" inspect left >/dev/null 2>&1'
  [ -z "$(ls "$LAY_ROOT/containers")" ]
  killed
  "$LAY" run --rm --name left --network none small true
  [ -z "$(ls "$LAY_ROOT/containers")" ]
}

@test "a name stays taken by a container that ended without --rm, or that runs with it" {
  "$LAY" run --name ended --network none small true
  refused 125 "already in use" "$LAY" run --rm --name ended --network none small true
  "$LAY" run -d --rm --name running --network none small sleep 100
  refused 125 "already in use" "$LAY" run --rm --name running --network none small true
  [ "$("$LAY" inspect -f '{{.State.Running}}' running)" = true ]
  "$LAY" rm -f ended running
}

@test "ps does not wait for what keeps a killed container from being removed" {
  local lay lock
  "$LAY" run --rm --name left --network none small sleep 100 3>&- & lay=$!
  wait_until 5 eval '[ "$("$LAY" inspect -f "{{.State.Running}}" left 2>/dev/null)" = true ]'
  kill -9 "$lay"
  wait "$lay" || true
  exec 9>>"$LAY_ROOT/containers/.lock"
  flock 9
  timeout 5 "$LAY" ps -a 3>&- 9>&- >listed
  has "$(cat listed)" left
  exec 9>&-
  wait_until 5 eval '[ -z "$(ls "$LAY_ROOT/containers")" ]'
  "$LAY" run --rm --network none small true  # which unmounts the layers of the killed one
}

@test "inspect names the folders of the overlay under podman's words" {
  "$LAY" run -d --name c --network none small sh -c 'echo x >/written; exec sleep 1000' >/dev/null
  wait_until 10 "$LAY" exec c test -s /written
  [ "$("$LAY" inspect -f '{{.GraphDriver.Name}}' c)" = overlay ]
  [ "$(cat "$("$LAY" inspect -f '{{.GraphDriver.Data.UpperDir}}' c)/written")" = x ]
  [ -d "$("$LAY" inspect -f '{{.GraphDriver.Data.WorkDir}}' c)" ]
  [ -e "$("$LAY" inspect -f '{{index (split .GraphDriver.Data.LowerDir ":") 0}}' c)/bin/busybox" ]
}

@test "inspect has the command as Path and what it gets as Args" {
  "$LAY" run --name words --network none small echo one two
  [ "$("$LAY" inspect words | jq -c '.[0] | [.Path, .Args, .Config.Cmd]')" = '["echo",["one","two"],["echo","one","two"]]' ]
  "$LAY" import -q small with:1 --entrypoint '["echo"]' --expose 80 >/dev/null
  "$LAY" run --name entered --network none with:1 one
  [ "$("$LAY" inspect entered | jq -c '.[0] | [.Path, .Args, .Config.Entrypoint, .Config.Cmd]')" = '["echo",["one"],["echo"],["one"]]' ]
  [ "$("$LAY" inspect -f '{{json .Config.ExposedPorts}} {{.State.Restarting}}' entered)" = '{"80/tcp":{}} false' ]
  "$LAY" rm words entered
}

@test "a container with damaged settings is listed, keeps its image, and can be removed by force" {
  "$LAY" run --name good --network none small true
  "$LAY" run -d --name bad --network none small sleep 100
  local id
  id=$("$LAY" inspect -f '{{.Id}}' bad)
  echo '{"ociVersion": "1.' >"$LAY_ROOT/containers/$id/config.json"
  run "$LAY" ps -a
  [ "$status" -eq 0 ]
  has "$output" "${id:0:12}"
  has "$output" "Damaged"
  has "$output" bad
  refused 1 "config.json" "$LAY" rm bad
  run "$LAY" inspect bad
  has "$output" "config.json"
  echo junk >"$LAY_ROOT/containers/$id/container.json"
  has "$("$LAY" ps -a)" bad
  "$LAY" rm good
  "$LAY" rmi small 2>err
  grep -q "nothing is collected" err
  [ "$(ls "$LAY_ROOT/layers" | wc -l)" -eq 1 ]
  "$LAY" rm -f bad
  [ "$("$LAY" ps -aq)" = "" ]
  "$LAY" prune -f >/dev/null
  [ "$(ls "$LAY_ROOT/layers" | wc -l)" -eq 0 ]
}

# counted: how far the container named kept has counted.
counted() { "$LAY" logs kept | tail -n 1; }

@test "pause lets everything stand still, unpause go on" {
  "$LAY" run -d --name kept --network none small sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done' >/dev/null
  wait_until 10 counted
  refused 1 "is not paused" "$LAY" unpause kept
  [ "$("$LAY" pause kept)" = kept ]
  before=$(counted)
  sleep 0.3
  [ "$(counted)" = "$before" ]
  [ "$("$LAY" ps --format '{{.State}}')" = paused ]
  has "$("$LAY" ps)" "(Paused)"
  [ "$("$LAY" inspect -f '{{.State.Status}} {{.State.Running}} {{.State.Paused}}' kept)" = "paused true true" ]
  refused 1 "is paused already" "$LAY" pause kept
  refused 125 "is paused" "$LAY" exec kept true
  "$LAY" unpause kept
  sleep 0.3
  (($(counted) > before))
  "$LAY" exec kept true
  [ "$("$LAY" inspect -f '{{.State.Status}}' kept)" = running ]
}

@test "a paused container can be stopped, killed and removed, and one that does not run is not paused" {
  "$LAY" run -d --name kept --network none small sh -c 'trap "echo told; exit 3" TERM; while :; do sleep 0.01; done' >/dev/null
  sleep 0.2
  "$LAY" pause kept
  "$LAY" stop kept
  [ "$("$LAY" wait kept)" = 3 ]
  [ "$("$LAY" logs kept)" = told ]
  refused 1 "is not running" "$LAY" pause kept
  "$LAY" start kept
  "$LAY" pause kept
  "$LAY" kill kept
  [ "$("$LAY" wait kept)" = 137 ]
  "$LAY" start kept
  "$LAY" pause kept
  "$LAY" rm -f kept
  [ -z "$("$LAY" ps -aq)" ]
}

# group_file NAME...: what the first of these files says in a cgroup of the container named kept.
group_file() {
  local id name
  id=$("$LAY" inspect -f '{{.Id}}' kept)
  for name in "$@"; do
    find /sys/fs/cgroup -path "*/lay/$id/$name" -exec cat {} + -quit
  done | head -n 1
}

# processors: those that the container named kept may use.
processors() { "$LAY" exec kept cat /proc/self/status | awk '/Cpus_allowed_list/ {print $2}'; }

@test "exec of a container that ends meanwhile says so, wherever it is held up" {
  small_image
  local pid call at_file
  for call in openat setns clone3; do
    "$LAY" run -d --name c --network none small sleep 100 >/dev/null
    pid=$("$LAY" inspect -f '{{.State.Pid}}' c)
    at_file=()
    [ $call != openat ] || at_file=(-P "/proc/$pid/ns/user")
    timeout 20 strace -f -qq -o trace "${at_file[@]}" -e "inject=$call:delay_enter=1500000:when=1" \
      "$LAY" exec c true >said 2>&1 3>&- &
    sleep 0.7
    kill -9 "$pid"
    wait $! && return 1
    has "$(cat said)" "has just ended"
    "$LAY" rm -f c >/dev/null
  done
}

@test "stop, kill and rm take --all" {
  local name
  for name in one two; do "$LAY" run -d --name $name --network none small sleep 1000 >/dev/null; done
  "$LAY" run --name ended --network none small true
  refused 1 "--all goes without names" "$LAY" stop -a one
  refused 1 "which container?" "$LAY" rm
  [ "$("$LAY" kill -a | sort | xargs)" = "one two" ]
  "$LAY" wait one two >/dev/null
  "$LAY" start one >/dev/null
  [ "$("$LAY" stop -a -t 0)" = one ]
  [ "$("$LAY" rm --all | sort | xargs)" = "ended one two" ]
  [ -z "$("$LAY" rm --all)" ]
}

@test "a pause that meets the end of a container says so" {
  local i
  for i in $(seq 15); do
    "$LAY" run -d --name brief --network none small sleep 0.2 >/dev/null
    while "$LAY" pause brief >/dev/null 2>said && "$LAY" unpause brief >/dev/null 2>said; do :; done
    grep -qE "has just ended|is not running" said || { cat said; return 1; }
    "$LAY" rm -f brief >/dev/null
  done
}

@test "limits of a running container change at once, and stay after start" {
  "$LAY" run -d --name kept --network none -m 64m --cpuset-cpus 0 --cpu-shares 512 --memory-reservation 32m small sleep 1000 >/dev/null
  [ "$(processors)" = 0 ]
  [ "$(group_file memory.limit_in_bytes memory.max)" = 67108864 ]
  [ "$(group_file memory.soft_limit_in_bytes memory.low)" = 33554432 ]
  [[ $(group_file cpu.shares cpu.weight) =~ ^(512|50)$ ]]
  [ "$("$LAY" update -m 256m --cpuset-cpus 0-1 --cpus 0.5 --pids-limit 7 --cpu-shares 2048 kept)" = kept ]
  check() {
    [ "$(processors)" = 0-1 ]
    [ "$(group_file memory.limit_in_bytes memory.max)" = 268435456 ]
    [[ $(group_file cpu.cfs_quota_us cpu.max) =~ ^50000 ]]
    [ "$(group_file pids.max)" = 7 ]
    [[ $(group_file cpu.shares cpu.weight) =~ ^(2048|200)$ ]]
  }
  check
  "$LAY" update -m 32m kept
  [ "$(group_file memory.limit_in_bytes memory.max)" = 33554432 ]
  "$LAY" update -m 256m kept
  "$LAY" stop -t 0 kept
  "$LAY" start kept
  check
  "$LAY" update -m 0 --cpus 0 kept
  lifted() {
    [[ $(group_file memory.limit_in_bytes memory.max) =~ ^(9223372036854771712|max)$ ]]
    [[ $(group_file cpu.cfs_quota_us cpu.max) =~ ^(-1|max) ]]
  }
  lifted
  "$LAY" stop -t 0 kept
  "$LAY" start kept
  lifted
  "$LAY" update -m 256m --cpus 0.5 kept
  check
  refused 1 "--cpuset-cpus '0-99'" "$LAY" update -m 128m --cpuset-cpus 0-99 kept
  check # the old ones stay, the memory too
  refused 1 "is less than --memory" "$LAY" update -m 128m --memory-swap 64m kept
  refused 1 "no list of numbers" "$LAY" update --cpuset-cpus all kept
  refused 125 "not between 2 and" "$LAY" run --rm --cpu-shares 1 small true
}

@test "who is killed for want of memory is shown as such" {
  run "$LAY" run --name kept --network none -m 16m --memory-swap 16m small sh -c 'x=$(yes | head -c 100000000); echo had it'
  [ "$status" -eq 137 ] || [ "$status" -eq 2 ] || [ "$status" -eq 1 ] # the shell, or a child of it
  ! has "$output" "had it" || return 1
  [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' kept)" = true ]
  has "$("$LAY" ps -a)" "out of memory"
  "$LAY" wait kept >code 2>said
  [ "$(cat code)" = "$status" ]
  has "$(cat said)" "'kept' ran out of memory"
  "$LAY" run --name other --network none -m 16m small true
  [ "$("$LAY" inspect -f '{{.State.OOMKilled}}' other)" = false ]
  [ "$("$LAY" wait other 2>&1)" = 0 ]
}

@test "an update that is refused takes back all it had set, and a chosen swap stays" {
  "$LAY" run -d --name kept --network none -m 64m --memory-swap -1 small sleep 1000 >/dev/null
  refused 1 "--cpuset-cpus '0-99'" "$LAY" update --cpu-shares 10 --pids-limit 5 --cpuset-cpus 0-99 kept
  [[ $(group_file cpu.shares cpu.weight) =~ ^(1024|100)$ ]]
  [ "$(group_file pids.max)" = 2048 ]
  before=$(group_file memory.memsw.limit_in_bytes memory.swap.max)
  "$LAY" update -m 128m kept
  [ "$(group_file memory.memsw.limit_in_bytes memory.swap.max)" = "$before" ]
  refused 125 "needs --memory" "$LAY" run --rm --memory-swap 64m small true
}

@test "containers that end are removed and listed without a fault" {
  for ((i = 0; i < 200; i++)); do "$LAY" ps >/dev/null 2>>faults || echo "ps failed" >>faults; done &
  local lister=$! i
  for ((i = 0; i < 25; i++)); do
    "$LAY" run -d --name kept --network none small sleep 0.0$i >/dev/null
    "$LAY" rm -f kept
    [ -z "$("$LAY" ps -aq)" ]
  done
  wait "$lister"
  [ ! -s faults ] || { cat faults; return 1; }
}

zombies() { "$LAY" exec "$1" sh -c 'cat /proc/[0-9]*/status' | grep -c 'State:.Z' || true; }

@test "--init reaps what the container leaves, hands signals on, and keeps the exit code" {
  local leave='(sleep 0.1 &); exec sleep 1000'
  "$LAY" run -d --name bare --network none small sh -c "$leave" >/dev/null
  "$LAY" run -d --init --name kept --network none small sh -c "$leave" >/dev/null
  wait_until 5 eval '[ "$(zombies bare)" = 1 ]'
  wait_until 5 eval '[ "$("$LAY" exec kept sh -c "cat /proc/[0-9]*/comm" | grep -c sleep)" = 1 ]'
  [ "$(zombies kept)" = 0 ]
  timeout 5 "$LAY" stop -t 60 kept  # the kernel keeps SIGTERM from a first process without a handler
  [ "$("$LAY" wait kept)" = 143 ]
  "$LAY" start kept
  [ "$("$LAY" exec kept sh -c 'echo $$')" != 1 ]

  local status=0
  "$LAY" run --rm --init --network none small sh -c 'exit 7' || status=$?
  [ "$status" = 7 ]
  refused 127 "no-such" "$LAY" run --rm --init --network none small no-such
  [ "$("$LAY" run --rm --init --network none -u 1000 small sh -c 'echo $$; ls /proc/1/fd' 2>said)" = 2 ]
  has "$(cat said)" "ermission denied"
  [ "$("$LAY" run --rm --init --network none small sh -c 'ls /proc/self/fd' | wc -l)" = 4 ]
}

@test "kill returns when the container has ended: start and rm behind it find it so" {
  local round
  for round in 1 2 3 4 5; do
    "$LAY" run -d --name kk --network none small sleep 1000 >/dev/null
    [ "$("$LAY" kill kk)" = kk ]
    [ "$("$LAY" start kk)" = kk ]
    [ "$("$LAY" inspect -f '{{.State.Running}}' kk)" = true ]
    "$LAY" kill kk >/dev/null
    "$LAY" rm kk
  done
  "$LAY" run -d --name one --network none small sleep 1000 >/dev/null
  "$LAY" run -d --rm --name two --network none small sleep 1000 >/dev/null
  run "$LAY" kill one nosuch two
  [ "$status" -eq 1 ]
  has "$output" nosuch
  [ -z "$("$LAY" ps -q)" ]
  "$LAY" rm one
}

@test "start of one that is just ending starts it, and says nothing else" {
  local first supervisor starting
  "$LAY" run -d --name ending --network none small sleep 1000 >/dev/null
  first=$("$LAY" inspect -f '{{.State.Pid}}' ending)
  supervisor=$(ps -o ppid= -p "$first" | xargs)
  kill -STOP "$supervisor"  # which has not cleared up when start looks
  kill -KILL "$first"
  while grep -qs '^State:[[:space:]]*[RSDTt]' "/proc/$first/status"; do :; done
  "$LAY" start ending >said 3>&- & starting=$!
  sleep 0.3
  kill -CONT "$supervisor"
  wait "$starting"
  [ "$(cat said)" = ending ]
  [[ "$("$LAY" inspect -f '{{.State.Running}} {{.State.Pid}}' ending)" == "true "* ]]
  [ "$("$LAY" inspect -f '{{.State.Pid}}' ending)" != "$first" ]
}

@test "start -a of one that is just ending waits for that and starts it" {
  local first supervisor starting
  "$LAY" run -d --name ending --network none small sh -c 'test -e /again && exit 5; touch /again; sleep 1000' >/dev/null
  wait_until 10 "$LAY" exec ending test -e /again
  first=$("$LAY" inspect -f '{{.State.Pid}}' ending)
  supervisor=$(ps -o ppid= -p "$first" | xargs)
  kill -STOP "$supervisor"  # which has not cleared up when start looks
  kill -KILL "$first"
  while grep -qs '^State:[[:space:]]*[RSDTt]' "/proc/$first/status"; do :; done
  "$LAY" start -a ending >said 2>&1 3>&- & starting=$!
  sleep 0.3
  kill -CONT "$supervisor"
  local code=0
  wait "$starting" || code=$?
  [ "$code" = 5 ] || { cat said; return 1; }
}

@test "two restarts at once both succeed" {
  "$LAY" run -d --name again --network none small sleep 1000 >/dev/null
  local round one two
  for round in 1 2 3 4 5 6; do
    "$LAY" restart -t 0 again 3>&- & one=$!
    "$LAY" restart -t 0 again 3>&- & two=$!
    wait "$one"
    wait "$two"
    [ "$("$LAY" inspect -f '{{.State.Running}}' again)" = true ]
  done
}
