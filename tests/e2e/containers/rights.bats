#!/usr/bin/env bats
# With what a command begins: descriptors, groups, capabilities, environment, keys; and what of it is out of reach.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

bounding=00000000800405fb

# capability_sets: Inh Prm Eff Bnd Amb of /proc/self/status on stdin.
capability_sets() { awk '/^Cap(Inh|Prm|Eff|Bnd|Amb)/ {printf "%s ", $2}'; }

@test "E07: nothing is inheritable or ambient, for run and exec, root and another user" {
  local zero=0000000000000000 status=/proc/self/status
  local all="$zero $bounding $bounding $bounding $zero " none="$zero $zero $zero $bounding $zero "
  [ "$("$LAY" run --rm --network none small cat $status | capability_sets)" = "$all" ]
  [ "$("$LAY" run --rm --network none --user user small cat $status | capability_sets)" = "$none" ]
  [ "$("$LAY" run --rm --network none --userns auto small cat $status | capability_sets)" = "$all" ]
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  [ "$("$LAY" exec c cat $status | capability_sets)" = "$all" ]
  [ "$("$LAY" exec --user user c cat $status | capability_sets)" = "$none" ]
  "$LAY" run -d --name u --network none --userns auto --cap-drop CHOWN small sleep 100 >/dev/null
  [ "$("$LAY" exec u cat $status | capability_sets)" = "${all//5fb/5fa}" ]
}

@test "E07: exec has no more than the container, but with --privileged" {
  "$LAY" run -d --name c --network none --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges small sleep 100 >/dev/null
  local few=0000000000000001 zero=0000000000000000 status=/proc/self/status all
  all=$(awk '/^CapBnd/ {print $2}' $status)
  [ "$("$LAY" exec c cat $status | capability_sets)" = "$zero $few $few $few $zero " ]
  [ "$("$LAY" exec -u user c cat $status | capability_sets)" = "$zero $zero $zero $few $zero " ]
  [ "$("$LAY" exec c cat $status | awk '/^(Seccomp|NoNewPrivs):/ {print $2}' | xargs)" = "1 2" ]
  [ "$("$LAY" exec --privileged c cat $status | capability_sets)" = "$zero $all $all $all $zero " ]
  [ "$("$LAY" exec --privileged c cat $status | awk '/^(Seccomp|NoNewPrivs):/ {print $2}' | xargs)" = "0 0" ]
  "$LAY" run -d --name u --network none --userns auto small sleep 100 >/dev/null
  "$LAY" exec --privileged u sh -c 'mount -t tmpfs x /tmp && ! (echo 1 >/proc/sys/kernel/sysrq)' 2>/dev/null
}

@test "E02: a command has descriptors 0, 1 and 2, whatever lay was given, for run and exec, with and without a terminal" {
  exec 7<"$world" 9</etc/passwd
  local list='i=0; while [ $i -lt 64 ]; do [ ! -L /proc/$$/fd/$i ] || echo $i; i=$((i + 1)); done'
  [ "$("$LAY" run --rm --network none small sh -c "$list" | xargs)" = "0 1 2" ]
  [ "$("$LAY" run --rm --network none --userns auto small sh -c "$list" | xargs)" = "0 1 2" ]
  [ "$(script -qec "'$LAY' run --rm -t --network none small ls /proc/self/fd" /dev/null | tr -d '\r' | xargs)" = "0 1 2 3" ]
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  [ "$("$LAY" exec c sh -c "$list" | xargs)" = "0 1 2" ]
  # Neither what lay was given nor what it opened can be executed by number; the last one, a socket, never.
  exec 9</bin/busybox
  local fd
  for fd in 9 11 12 13; do
    refused 127 "/proc/self/fd/$fd" "$LAY" run --rm --network none small "/proc/self/fd/$fd"
    refused 127 "/proc/self/fd/$fd" "$LAY" exec c "/proc/self/fd/$fd"
  done
}

@test "E05: what an image's environment says of the loader reaches the command, and no step before it" {
  "$LAY" import "$world/small" evil --env LD_PRELOAD=/evil.so --env LD_AUDIT=/evil.so --env GCONV_PATH=/evil \
    --env GLIBC_TUNABLES=glibc.malloc.check=3 --env PATH=/evil:/bin >/dev/null
  strace -f -qq -v -s 4096 -e trace=execve -o "$world/trace" "$LAY" run --rm --network none evil env >"$world/env"
  grep -q '^LD_PRELOAD=/evil.so' "$world/env"
  [ "$(grep -c 'execve(.*) = 0' "$world/trace")" = 2 ] # lay itself, and the command
  [ "$(grep 'execve(.*) = 0' "$world/trace" | grep -c LD_PRELOAD)" = 1 ]
}

@test "E11: what cannot be executed is 126 or 127 with its reason, and leaves nothing" {
  make_small_root
  printf 'no program' >"$world/small/bin/garbage" && chmod 755 "$world/small/bin/garbage"
  printf 'x' >"$world/small/bin/unfit" && chmod 644 "$world/small/bin/unfit"
  # An ELF file of another machine: e_machine 183 is AArch64.
  cp /bin/busybox "$world/small/bin/foreign"
  printf '\xb7\x00' | dd of="$world/small/bin/foreign" bs=1 seek=18 conv=notrunc status=none
  printf '#!/no/interpreter\n' >"$world/small/bin/script" && chmod 755 "$world/small/bin/script"
  "$LAY" import "$world/small" unfit >/dev/null
  local run=("$LAY" run --rm --network none unfit)
  "$LAY" run -d --name c --network none unfit sleep 100 >/dev/null
  for run in "$LAY run --rm unfit" "$LAY run --rm --userns auto unfit" "$LAY exec c"; do
    refused 127 "/bin/nothing" $run /bin/nothing
    refused 126 "/bin/script" $run /bin/script
    refused 126 "/bin/unfit" $run /bin/unfit
    refused 126 "/bin/foreign" $run /bin/foreign
    refused 126 "/bin/garbage" $run /bin/garbage
    refused 126 "/bin" $run /bin
  done
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
}

@test "U03: the groups are the user's own with the primary one among them, and never lay's" {
  run setpriv --groups 4,27,1234 "$LAY" run --rm --network none small sh -c 'grep ^Groups /proc/self/status'
  [ "$(xargs <<<"$output")" = "Groups: 0" ]
  groups_of() { "$LAY" run --rm --network none "$@" small sh -c 'grep ^Groups /proc/self/status' | cut -d: -f2 | xargs; }
  [ "$(groups_of --user user)" = "100 200" ]
  [ "$(groups_of --user user --group-add 4321)" = "100 200 4321" ]
  [ "$(groups_of --user 1000:200)" = "200" ]
  [ "$(groups_of --user 4242)" = "0" ]
  [ "$(groups_of --userns auto --user user)" = "100 200" ]
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  [ "$(setpriv --groups 4,27 "$LAY" exec --user user c sh -c 'grep ^Groups /proc/self/status' | cut -d: -f2 | xargs)" = "100 200" ]
}

@test "U05: a setuid program of an image is out of reach for users of the host, and gives nothing on a volume" {
  gcc -static -x c -o "$world/small/bin/suid" - <<'C'
#include <stdio.h>
int main(void) { FILE* f = fopen("/proc/self/status", "r"); for (int c; (c = getc(f)) != EOF;) putchar(c); return 0; }
C
  chmod 4755 "$world/small/bin/suid"
  "$LAY" import "$world/small" suid >/dev/null
  "$LAY" run -d --name c --network none suid sleep 100 >/dev/null
  chmod 755 "$world"
  as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
  as_nobody ls "$world" >/dev/null
  run as_nobody find "$LAY_ROOT" "$LAY_RUN" -name suid
  [ "$status" -ne 0 ]
  [[ $output != *bin/suid* ]]
  run "$LAY" run --rm --network none --user user -v "$world/small/bin:/v" small /v/suid
  [ "$(awk '/^Uid/ {print $3}' <<<"$output")" = 1000 ]
  run "$LAY" run --rm --network none --user user suid /bin/suid
  [ "$(awk '/^Uid/ {print $3}' <<<"$output")" = 0 ]
  has "$("$LAY" run --rm --network none -v "$world/small/bin:/v" small cat /proc/self/mountinfo)" "/v rw,nosuid,nodev"
}

@test "U06: a user namespace or a translated mount that cannot be had is an error" {
  refused_with() {
    local words=$1
    shift
    refused 125 "$words" strace -f -qq -e trace=clone3,mount_setattr "$@" -o /dev/null "$LAY" run --rm --network none --userns auto small true
  }
  refused_with "make a user namespace" -e inject=clone3:error=ENOSPC:when=1
  refused_with "translate the owners" -e inject=mount_setattr:error=EINVAL:when=2+
  [ "$("$LAY" ps -aq | wc -l)" = 0 ]
}

@test "K06: the session's keys of whoever calls lay are not the container's, for run and exec" {
  "$LAY" run -d --name c --network none --security-opt unmask=/proc/keys small sleep 100 >/dev/null
  cat >"$world/keys.py" <<'PY'
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
JOIN, SETPERM, ADD = 1, 5, 248
libc.syscall(250, JOIN, b"lay-e2e")
key = libc.syscall(ADD, b"user", b"lay-e2e-secret", b"x", 1, ctypes.c_int(-3))
assert key > 0, os.strerror(ctypes.get_errno())
assert libc.syscall(250, SETPERM, key, 0x3f000000) == 0  # its possessor alone
for command in (["cat", "/proc/keys"], [sys.argv[1], "run", "--rm", "--network", "none", "--security-opt",
                "unmask=/proc/keys", "small", "cat", "/proc/keys"], [sys.argv[1], "exec", "c", "cat", "/proc/keys"]):
    keys = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print("seen" if "lay-e2e-secret" in keys else "unseen")
PY
  [ "$(python3 "$world/keys.py" "$LAY" | xargs)" = "seen unseen unseen" ]
  [ -z "$("$LAY" run --rm --network none small cat /proc/keys)" ]
  # What exec starts has the keyring of the container's first process. Those of ended containers are seen for a while.
  local name='unmask=/proc/keys' own
  for flag in --userns=host --userns=auto; do
    "$LAY" run -d --name "k${flag#--userns=}" --network none "$flag" --security-opt "$name" small \
      sh -c 'grep "lay:$HOSTNAME" /proc/keys; sleep 100' >/dev/null
    logged() { "$LAY" logs "k${flag#--userns=}" | grep -q lay:; }
    wait_until 10 logged
    own=$("$LAY" logs "k${flag#--userns=}" | awk '/lay:/ {print $1}')
    [ "$("$LAY" exec "k${flag#--userns=}" sh -c 'grep "lay:$HOSTNAME" /proc/keys' | awk '{print $1}')" = "$own" ]
  done
}
