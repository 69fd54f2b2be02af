#!/usr/bin/env bats
# Hooks of a bundle, side by side with runc and crun where these do what the runtime-spec 1.2 says: when they run, what
# they are told, and what becomes of a container whose hooks fail, hang or talk.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load ../support/engines

kinds=(prestart createRuntime createContainer startContainer poststart poststop)

setup() {
  open_engine_world
  small_bundle
  sed -i 's/"1\.2\.0"/"1.0.2"/' bundle/config.json # which Debian's runtimes know
  mkdir notes && chmod 777 notes && mkdir bundle/rootfs/notes
  edit "c['mounts'].append({'destination': '/notes', 'type': 'bind', 'source': '$world/notes', 'options': ['rbind', 'rw']})"
  edit "c['annotations'] = {'org.example.key': 'told'}"
  args sh -c 'echo command >>/notes/order'
}

teardown() { close_engine_world; }

# by RUNTIME ARGUMENTS...
by() {
  case $1 in
    lay) oci "${@:2}" ;;
    runc) runc --root "$world/runc" "${@:2}" 3>&- ;;
    crun) by_crun "${@:2}" ;;
  esac
}

# hook KIND SCRIPT [TIMEOUT]: one more hook of that kind. What runs in the container has its shell and /notes, the others
# the host's; NOTES is the same folder for both.
hook() {
  edit "
import json
shell = ['/bin/sh', 'sh', '-c', '''NOTES=$([[ $1 == startContainer ]] && echo /notes || echo "$world/notes"); $2''']
entry = {'path': shell[0], 'args': shell[1:], 'env': ['PATH=/usr/bin:/bin']}
timeout = '${3-}'
if timeout: entry['timeout'] = int(timeout)
c.setdefault('hooks', {}).setdefault('$1', []).append(entry)"
}

no_hooks() { edit "c['hooks'] = {}"; }

# ran RUNTIME: runs the bundle; its code and what was noted in order.
ran() {
  rm -f notes/order
  local code=0
  by "$1" run --bundle bundle c1 </dev/null >"$1.out" 2>"$1.err" || code=$?
  echo "code $((code != 0)): $(cat notes/order 2>/dev/null | xargs)"
}

# Until it starts: runc and crun do not always on a busy machine.
ran_whole() { ran "$1" >"$1.order" && grep -q '^code 0' "$1.order"; }

note() { echo "echo $1 >>\$NOTES/order"; }

@test "hooks run in the order of the lifecycle and of their lists, as under runc and crun" {
  local kind i
  for kind in "${kinds[@]}"; do
    for i in 1 2 3; do hook "$kind" "$(note "$kind$i")"; done
  done
  ran lay >lay.order
  [ "$(sed 's/ command//' lay.order)" = "code 0: prestart1 prestart2 prestart3 createRuntime1 createRuntime2 createRuntime3 \
createContainer1 createContainer2 createContainer3 startContainer1 startContainer2 startContainer3 poststart1 poststart2 \
poststart3 poststop1 poststop2 poststop3" ]
  has "$(sed 's/.*startContainer3//; s/poststop1.*//' lay.order)" command
  local runtime
  for runtime in runc crun; do # Debian's runc has poststart before the command
    wait_until 10 ran_whole "$runtime"
    diff <(tr ' ' '\n' <"$runtime.order" | grep -v 'poststart\|command') <(tr ' ' '\n' <lay.order | grep -v 'poststart\|command')
  done
}

@test "of hooks that fail up to the start the others of their kind and the command do not run, and poststop's do" {
  local kind runtime
  for kind in prestart createRuntime createContainer startContainer; do
    no_hooks
    hook "$kind" "$(note first)"
    hook "$kind" "exit 3"
    hook "$kind" "$(note second)"
    hook poststart "$(note started)"
    hook poststop "$(note stopped)"
    [ "$(ran lay)" = "code 1: first stopped" ]
    wait_until 10 eval '[ "$(ran runc | sed "s/ started//")" = "code 1: first stopped" ]' # its poststart is too early
    has "$(cat lay.err)" "hook $kind"
    [ -z "$(oci list -q)" ]
    [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
  done
}

@test "a poststart hook that fails is an error that stops the container, and poststop's run" {
  args sleep 50
  hook poststart "$(note first)"
  hook poststart "exit 3"
  hook poststart "$(note second)"
  hook poststop "$(note stopped)"
  [ "$(ran lay)" = "code 1: first stopped" ]
  wait_until 10 eval '[ "$(ran runc)" = "code 1: first stopped" ]'
  has "$(cat lay.err)" "hook poststart"
}

@test "a poststop hook that fails is a warning, and the others run, at delete too" {
  hook poststop "$(note first)"
  hook poststop "exit 3"
  hook poststop "$(note second)"
  [ "$(ran lay)" = "code 0: command first second" ]
  has "$(cat lay.err)" level=warning
  oci create --bundle bundle c1 </dev/null >out 2>&1
  rm notes/order
  oci delete --force c1
  [ "$(xargs <notes/order)" = "first second" ]
}

@test "hooks that cannot be executed, are no programs or die of a signal have failed" {
  local kind
  echo text >text && chmod +x text && head -c 8 /dev/urandom >noise && chmod +x noise && echo 'exit 0' >closed
  for kind in prestart createRuntime createContainer; do
    local path
    for path in /no/such "$world/closed" "$world/noise" "$world"; do
      edit "c['hooks'] = {'$kind': [{'path': '$path'}], 'poststop': []}"
      [ "$(ran lay)" = "code 1: " ]
      has "$(cat lay.err)" "$path"
    done
    no_hooks
    hook "$kind" 'kill -9 $$'
    [ "$(ran lay)" = "code 1: " ]
    has "$(cat lay.err)" "hook $kind"
  done
}

@test "a hook that takes longer than its timeout is killed and has failed, at each point" {
  local kind begun
  for kind in createContainer startContainer poststart; do # createRuntime: oci.bats
    no_hooks
    args sleep 50
    hook "$kind" "$(note first); exec sleep 60" 1
    hook "$kind" "$(note second)"
    begun=$SECONDS
    [ "$(ran lay)" = "code 1: first" ]
    ((SECONDS - begun <= 4))
    has "$(cat lay.err)" "longer than 1 s"
    [ -z "$(find /sys/fs/cgroup -type d -name c1)" ]
  done
  no_hooks
  args true
  hook poststop "exec sleep 60" 1
  hook poststop "$(note second)"
  begun=$SECONDS
  [ "$(ran lay)" = "code 0: second" ]
  ((SECONDS - begun <= 4))
}

@test "a hook without a timeout is waited for as long as it takes, and what it leaves behind is not" {
  hook createRuntime "sleep 1; $(note late)"
  hook createRuntime "sleep 5 >/dev/null 2>&1 & $(note quick)"
  local begun=$EPOCHREALTIME
  [ "$(ran lay)" = "code 0: late quick command" ]
  python3 -c "import sys; sys.exit(not 1 <= $EPOCHREALTIME - $begun < 5)"
}

@test "what hooks print is not the container's output, as under runc and crun" {
  local kind runtime
  args echo own
  for kind in "${kinds[@]}"; do hook "$kind" "echo noise; echo noise >&2"; done
  for runtime in runc crun lay; do
    wait_until 10 ran_whole "$runtime"
    [ "$(cat "$runtime.out")" = own ] || { echo "$runtime:"; cat "$runtime.out"; return 1; }
    [ "$(grep -c noise "$runtime.err")" = 0 ]
  done
}

@test "a hook that prints a megabyte to each stream and reads nothing holds nobody up" {
  local kind
  args true
  for kind in "${kinds[@]}"; do
    hook "$kind" "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; $(note "$kind")"
  done
  local code=0
  rm -f notes/order
  timeout -s KILL 20 "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null >/dev/null 2>&1 3>&- || code=$?
  [ "$code" = 0 ]
  [ "$(wc -l <notes/order)" = 6 ]
}

@test "hooks are told the state of the runtime-spec, with the process that there is" {
  local kind
  args sleep 50
  for kind in "${kinds[@]}"; do hook "$kind" "cat >\$NOTES/$kind; readlink /proc/self/ns/mnt >\$NOTES/$kind.mnt"; done
  oci run --detach --bundle bundle c1 </dev/null >out 2>&1
  local pid
  pid=$(oci state c1 | jq .pid)
  readlink "/proc/$pid/ns/mnt" >inside
  oci delete --force c1
  local status=(creating creating creating created running stopped) i
  for i in "${!kinds[@]}"; do
    kind=${kinds[i]}
    [ "$(jq -r '.id, .status, .bundle, .annotations["org.example.key"]' "notes/$kind" | xargs)" = "c1 ${status[i]} $world/bundle told" ]
    [[ $(jq -r .ociVersion "notes/$kind") == 1.* ]]
  done
  for kind in prestart createRuntime poststart; do
    [ "$(jq .pid "notes/$kind")" = "$pid" ]
    [ "$(cat "notes/$kind.mnt")" = "$(readlink /proc/self/ns/mnt)" ]
  done
  for kind in createContainer startContainer; do cmp "notes/$kind.mnt" inside; done
  [ "$(jq '.pid // 0' notes/poststop)" = 0 ]
}

@test "hooks of the host start in the bundle's folder, as under runc and crun" {
  local runtime
  args true
  hook createRuntime "pwd >>\$NOTES/order"
  hook poststop "pwd >>\$NOTES/order"
  for runtime in runc crun lay; do
    wait_until 10 ran_whole "$runtime"
    [ "$(cat "$runtime.order")" = "code 0: $world/bundle $world/bundle" ] || { echo "$runtime: $(cat notes/order)"; return 1; }
  done
}

@test "hooks of the host without an environment have the runtime's, as under runc and crun, and those of the container none" {
  local kind runtime
  args true
  printf '#!/bin/sh\necho "$TOLD" >>%s/notes/order\n' "$world" >note && chmod +x note
  for kind in prestart createRuntime poststart poststop; do edit "c.setdefault('hooks', {})['$kind'] = [{'path': '$world/note'}]"; done
  for runtime in runc crun lay; do
    TOLD=told wait_until 10 ran_whole "$runtime"
    [ "$(cat "$runtime.order")" = "code 0: told told told told" ] || { echo "$runtime: $(cat notes/order)"; return 1; }
  done
  printf '#!/bin/sh\necho "<$TOLD>" >>/notes/order\n' >bundle/rootfs/note && chmod +x bundle/rootfs/note
  edit "c['hooks'] = {'startContainer': [{'path': '/note'}], 'poststop': [{'path': '$world/note', 'env': []}]}"
  [ "$(TOLD=told ran lay)" = "code 0: <>" ]
}

@test "an engine's own hooks run, and what they print is not in its containers' logs" {
  rm -rf bundle
  start_podman
  mkdir hooks.d
  printf '#!/bin/sh\ncat >%s/notes/state\necho noise\n' "$world" >stage && chmod +x stage
  jq -n --arg path "$world/stage" '{version: "1.0.0", hook: {path: $path}, when: {always: true}, stages: ["createRuntime", "poststop"]}' >hooks.d/stage.json
  podman --hooks-dir "$world/hooks.d" run --name c1 --network none localhost/small echo own >/dev/null
  [ "$(podman logs c1)" = own ] || { podman logs c1; return 1; }
  podman rm c1 >/dev/null
  [ "$(jq -r .status notes/state)" = stopped ]
}
