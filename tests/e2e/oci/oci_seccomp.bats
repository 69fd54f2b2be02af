#!/usr/bin/env bats
# Properties of the runtime-spec that few bundles have, by lay-oci, each seen in force: actions, flags and comparisons of seccomp.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load oci_properties

# seccomp

# answers ACTION [MORE]: what the profile answers to mkdir; MORE is further members of the profile.
answers() {
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': ['mkdir', 'mkdirat'], 'action': '$1'}], ${2-}}"
}

@test "seccomp: SCMP_ACT_TRAP and SCMP_ACT_KILL_PROCESS end the process by SIGSYS, the first one too" {
  small_bundle
  tools mkdir
  for action in SCMP_ACT_TRAP SCMP_ACT_KILL_PROCESS; do
    answers "$action"
    args sh -c 'mkdir /tmp/a; echo $?; exec mkdir /tmp/b'
    run once
    [ "$status" -eq 159 ]
    [ "${lines[-1]}" = 159 ]
    [ -z "$(ls bundle/rootfs/tmp)" ]
  done
}

@test "seccomp: a program can catch the signal of SCMP_ACT_TRAP" {
  small_bundle
  tools mkdir
  answers SCMP_ACT_TRAP
  cat >caught.c <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <stdio.h>
static void caught(int number, siginfo_t *info, void *context) {
  printf("%d %d\n", number == SIGSYS, info->si_syscall == SYS_mkdir);
  fflush(stdout);
}
int main(void) {
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
  sigaction(SIGSYS, &action, 0);
  syscall(SYS_mkdir, "/tmp/a", 0755);
  return 0;
}
C
  gcc -static -o bundle/rootfs/bin/caught caught.c
  args caught
  [ "$(once)" = "1 1" ]
}

# two_threads: a program one of whose threads calls mkdir; then the other one says that it is there.
two_threads() {
  cat >threads.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
static void *call(void *unused) {
  mkdir("/tmp/a", 0755);
  puts("the thread lives");
  return unused;
}
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, call, 0);
  pthread_join(thread, 0);
  puts("the process lives");
  return 3;
}
C
  gcc -static -pthread -o bundle/rootfs/bin/threads threads.c
  args threads
}

@test "seccomp: SCMP_ACT_KILL_THREAD and SCMP_ACT_KILL end the thread alone, SCMP_ACT_KILL_PROCESS all of them" {
  small_bundle
  two_threads
  for action in SCMP_ACT_KILL_THREAD SCMP_ACT_KILL; do
    answers "$action"
    run once
    [ "$status" -eq 3 ]
    [ "$output" = "the process lives" ]
  done
  answers SCMP_ACT_KILL_PROCESS
  run once
  [ "$status" -eq 159 ]
  [ -z "$output" ]
}

@test "seccomp: SCMP_ACT_TRACE answers ENOSYS where nobody traces" {
  small_bundle
  tools mkdir
  answers SCMP_ACT_TRACE
  args mkdir /tmp/a
  run once
  [ "$status" -eq 1 ]
  has "$output" "Function not implemented"
}

keeps_log() {
  dmesg | grep -q . || skip "this machine's kernel log cannot be read"
  grep -qw log /proc/sys/kernel/seccomp/actions_logged || skip "this machine logs no seccomp"
}

@test "seccomp: SCMP_ACT_LOG lets a call pass and the kernel tells of it" {
  keeps_log
  small_bundle
  tools mkdir
  answers SCMP_ACT_LOG
  args mkdir /tmp/a
  dmesg >before
  once
  [ -d bundle/rootfs/tmp/a ]
  wait_until 5 eval 'dmesg | diff before - | grep "type=1326.*comm=\"mkdir\".*syscall=83 .*code=0x7ffc0000"'
}

@test "seccomp: SECCOMP_FILTER_FLAG_LOG tells of calls that are refused, and without it nobody does" {
  keeps_log
  small_bundle
  tools mkdir
  args mkdir /tmp/a
  told() { dmesg | diff before - | grep -c 'type=1326.*comm="mkdir".*code=0x5'; }
  refused_call() {
    dmesg >before
    run once
    [ "$status" -eq 1 ]
    has "$output" "Operation not permitted"
  }
  answers SCMP_ACT_ERRNO
  refused_call
  sleep 0.5
  [ "$(told)" = 0 ]
  answers SCMP_ACT_ERRNO '"flags": ["SECCOMP_FILTER_FLAG_LOG"]'
  refused_call
  wait_until 5 eval '[ "$(told)" = 1 ]'
}

@test "seccomp: the kernel is given the flags that the profile has" {
  small_bundle
  args true
  for flags in TSYNC LOG SPEC_ALLOW TSYNC,LOG,SPEC_ALLOW; do
    answers SCMP_ACT_ERRNO "'flags': ['SECCOMP_FILTER_FLAG_' + name for name in '$flags'.split(',')]"
    timeout -s KILL 20 strace -f -qq -o calls -e trace=seccomp "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null 3>&-
    given=$(sed -n 's/.*seccomp(SECCOMP_SET_MODE_FILTER, \([^,]*\),.* = 0$/\1/p' calls)
    [ "$given" = "SECCOMP_FILTER_FLAG_${flags//,/|SECCOMP_FILTER_FLAG_}" ]
  done
}

@test "seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV reaches the kernel with the agent's listener, and only then" {
  small_bundle
  tools mkdir
  args mkdir /tmp/a
  python3 "$here/seccomp_agent.py" "$world/agent" "$world/seen" 3>&- &
  others+=($!)
  wait_until 5 test -S agent
  given() {
    timeout -s KILL 20 strace -f -qq -o calls -e trace=seccomp "$OCI" --root "$world/state" run --bundle bundle c1 </dev/null >out 2>&1 3>&- || true
    sed -n 's/.*seccomp(SECCOMP_SET_MODE_FILTER, \([^,]*\),.* = [0-9].*/\1/p' calls | tr '|' '\n' | sort | xargs
  }
  flag="'flags': ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV']"
  answers SCMP_ACT_NOTIFY "'listenerPath': '$world/agent', $flag"
  has "$(given)" "SECCOMP_FILTER_FLAG_NEW_LISTENER SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
  has "$(cat out)" "No medium found"
  answers SCMP_ACT_ERRNO "'listenerPath': '$world/agent', $flag"
  [ "$(given)" = 0 ]
}

@test "seccomp: an agent is sent one message for each connection, which is closed then" {
  small_bundle
  tools mkdir
  args mkdir /tmp/a
  cat >listen.py <<'PY'
import json, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(8)
connection, _ = server.accept()
text, fds, _, _ = socket.recv_fds(connection, 65536, 8)
while chunk := connection.recv(65536): text += chunk
state = json.loads(text)
print(len(fds), len(state["fds"]), state["ociVersion"].startswith("1."), type(state["pid"]).__name__, flush=True)
PY
  python3 listen.py "$world/agent" >heard 3>&- &
  local listening=$!
  others+=("$listening")
  wait_until 5 test -S agent
  answers SCMP_ACT_NOTIFY "'listenerPath': '$world/agent'"
  detached || true
  wait "$listening" # which ends when lay-oci has closed
  [ "$(cat heard)" = "1 1 True int" ]
  oci delete --force c1
}

@test "seccomp: SECCOMP_FILTER_FLAG_SPEC_ALLOW leaves speculation as it is on the host" {
  grep -q 'Speculation_Store_Bypass:.thread vulnerable' /proc/self/status || skip "no thread of this machine can change it"
  small_bundle
  args grep Speculation_Store_Bypass /proc/self/status
  answers SCMP_ACT_ERRNO '"flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]'
  [ "$(once)" = "$(grep Speculation_Store_Bypass /proc/self/status)" ]
}

# refused_signals CONDITIONS: those of five harmless signals that a shell cannot send itself where kill(2) is refused
# with these conditions on its arguments, of which the second is the signal.
refused_signals() {
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': ['kill'], 'action': 'SCMP_ACT_ERRNO', 'errnoRet': 38, 'args': [$1]}]}"
  once | xargs
}

@test "seccomp: each comparison is made as the spec names it" {
  small_bundle
  args sh -c 'for s in 0 17 18 23 28; do kill -$s $$ 2>/dev/null || echo $s; done'
  signal() { echo '{"index": 1, "op": "SCMP_CMP_'"$1"'", "value": '"$2"', "valueTwo": '"${3:-0}"'}'; }
  [ "$(refused_signals "$(signal NE 18)")" = "0 17 23 28" ]
  [ "$(refused_signals "$(signal LT 18)")" = "0 17" ]
  [ "$(refused_signals "$(signal LE 18)")" = "0 17 18" ]
  [ "$(refused_signals "$(signal EQ 18)")" = 18 ]
  [ "$(refused_signals "$(signal GE 18)")" = "18 23 28" ]
  [ "$(refused_signals "$(signal GT 18)")" = "23 28" ]
  # the value is the mask, valueTwo what shall be left
  [ "$(refused_signals "$(signal MASKED_EQ 3 1)")" = 17 ]
  [ "$(refused_signals "$(signal MASKED_EQ 20 20)")" = "23 28" ]
  # of several arguments all must hold, of one argument any
  [ "$(refused_signals "$(signal GE 18), {'index': 0, 'op': 'SCMP_CMP_EQ', 'value': 1}")" = "18 23 28" ]
  [ -z "$(refused_signals "$(signal GE 18), {'index': 0, 'op': 'SCMP_CMP_EQ', 'value': 7}")" ]
  [ "$(refused_signals "$(signal EQ 17), $(signal EQ 23)")" = "17 23" ]
}

@test "seccomp: an action for all calls but those that are named is that of each call, with its own error" {
  small_bundle
  tools mkdir
  calls=$(timeout -s KILL 20 strace -f -qq -e trace=all bundle/rootfs/bin/busybox true 2>&1 | grep -o '^[a-z_0-9]*' | sort -u | grep -v execve | sed 's/.*/"&"/' | paste -sd,)
  edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 122, 'architectures': ['SCMP_ARCH_X86_64'],
    'syscalls': [{'names': [$calls, 'execve', 'exit', 'exit_group', 'write', 'capset', 'capget', 'prctl', 'close_range', 'setgroups', 'setresgid', 'setresuid', 'getuid', 'fcntl', 'close', 'seccomp'], 'action': 'SCMP_ACT_ALLOW'}]}"
  args mkdir /tmp/a
  run once
  [ "$status" -eq 1 ]
  has "$output" "Disk quota exceeded" # which is what EDQUOT says
}
