#!/usr/bin/env bats
# What of the kernel and of lay itself a container reaches, and what of it answers: a hostile one tries.

load ../support/world
load ../support/oci

setup() { open_world; }
teardown() { leave_world; }

# perl_in FLAG... -- PROGRAM: a Perl program in Debian.
perl_in() {
  local flags=()
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  "$LAY" run --rm --network none "${flags[@]}" debian:12 perl -e "$2"
}

@test "K01: nothing can be typed into a container's own terminal, nor the caller's: EPERM whatever the upper half" {
  debian_image
  local try='for my $request (0x5412, 0x5412 + (1 << 32), 0x541c, 0x541c + (7 << 40)) { my $c = "x"; $! = 0;
    syscall(16, 0, $request, $c); print $! + 0, " "; } print -t STDIN ? "tty" : "no tty";'
  [ "$(uname -m)" = x86_64 ] || skip "the numbers are x86-64's"
  run script -qec "'$LAY' run --rm -t --network none debian:12 perl -e '$try'" /dev/null
  has "$output" "1 1 1 1 tty"
  # Without -t it is no terminal at all, whatever lay was called from; and the session is the container's.
  run script -qec "'$LAY' run --rm -i --network none debian:12 perl -e '$try; print qq( ), getpgrp(0) == \$\$'" /dev/null
  has "$output" "1 1 1 1 no tty 1"
  run script -qec "'$LAY' run --rm --cap-add ALL --network none debian:12 perl -e '$try'" /dev/null
  has "$output" "1 1 1 1 no tty"
}

@test "K05: a profile that takes openat2 away does not keep lay from starting or exec" {
  small_image
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["openat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >no-openat2.json
  for nnp in true false; do
    "$LAY" run -d --name "c$nnp" --network none -w /made/here --security-opt seccomp=no-openat2.json \
      --security-opt no-new-privileges=$nnp small sleep 1000 >/dev/null
    "$LAY" exec -w /made "c$nnp" ls here
  done
}

@test "P02: a path that a rename races is asked for again, and given up when that does not end" {
  command -v strace >/dev/null || skip "needs strace"
  small_image
  mkdir shared
  races() {
    strace -f -qq -o trace -e trace=openat2 -e "inject=openat2:error=EAGAIN:when=$1" \
      "$LAY" run --rm --network none -v "$world/shared:/made/deep" -w /made/here small sh -c 'pwd; ls -d /made/deep'
  }
  [ "$(races 1..3)" = $'/made/here\n/made/deep' ]
  [ "$(grep -c INJECTED trace)" -ge 3 ]
  run races 1+
  [ "$status" -ge 125 ]
  has "$output" "Resource temporarily unavailable"
  [ "$("$LAY" ps -aq)" = "" ]
  [ "$(ls shared)" = "" ]
}

@test "K08: masked paths that are links, twice the same, inside another, on a read-only root" {
  small_image
  inside --read-only --security-opt mask=/proc/acpi:/proc/acpi:/sys/firmware:/sys/firmware/acpi:/proc/version:/proc/version -- '! grep . /proc/version'
  echo secret | tee small/etc/one >small/etc/two
  ln -s one small/etc/relative
  ln -s /etc/two small/etc/absolute
  ln -s ../../../../../../../../etc small/out
  ln -s nowhere small/etc/dangling
  "$LAY" import -q ./small linked >/dev/null
  before=$(sha256sum /etc/passwd /etc/group /etc/shadow)
  run "$LAY" run --rm --network none --security-opt mask=/etc/relative:/etc/absolute:/etc/dangling:/out/shadow linked \
    sh -c 'cat /etc/one /etc/two /etc/relative /etc/absolute; echo end'
  [ "$output" = end ]
  [ "$before" = "$(sha256sum /etc/passwd /etc/group /etc/shadow)" ]
}

@test "K08: an image whose /proc or /sys is a link is refused, and no mask is skipped" {
  make_small_root
  ln -s /tmp small/proc
  "$LAY" import -q ./small linked >/dev/null
  run "$LAY" run --rm --network none linked true
  [ "$status" = 125 ]
  has "$output" proc
}

@test "K09: v1: no container's root can name a program for the host to run when a cgroup empties" {
  grep -q '^[0-9]*:[^:]' /proc/self/cgroup || skip "no cgroup v1 here"
  small_image
  run inside -- 'for f in $(busybox find /sys/fs/cgroup -name release_agent -o -name notify_on_release -o -name devices.allow -o -name cgroup.procs -o -name tasks); do
    (echo 1 >$f) 2>/dev/null && echo "written: $f"; done
    mount -t cgroup -o rdma x /tmp && echo mounted; busybox unshare -UrmC true && echo unshared
    mount -o remount,rw /sys/fs/cgroup && echo remounted; echo end'
  [[ $output != *written* && $output != *mounted* && $output != *unshared* ]]
  has "$output" end
  # Not with the right to mount either, as long as it is not the host's root.
  run inside --userns auto --cap-add SYS_ADMIN -- 'mkdir /tmp/m; for c in memory pids devices rdma; do
    mount -t cgroup -o $c x /tmp/m && (echo /evil >/tmp/m/release_agent) && echo written; done 2>/dev/null; echo end'
  [[ $output != *written* ]]
  has "$output" end
}

@test "K11: a fork bomb, a full /dev/shm and a full log stay inside; lay and its monitor live" {
  small_image
  [ "$(inside -- 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null')" = 2048 ]
  run inside --pids-limit 16 -- 'i=0; while [ $i -lt 64 ]; do sleep 100 & i=$((i + 1)); done; wait'
  [ "$status" -ne 0 ]
  has "$output" "can't fork"
  run inside --shm-size 1m -- 'dd if=/dev/zero of=/dev/shm/x bs=64k count=100 2>&1'
  has "$output" "No space left"
  run inside -m 16m -- 'dd if=/dev/zero of=/dev/null bs=64M count=1'
  [ "$status" = 137 ]
  run inside -- 'ulimit -n'
  [ "$status" = 0 ]
}

@test "K12: the host's settings and names are out of reach" {
  small_image
  run inside -- 'for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/panic_on_oom; do
    (echo 1 >$f) 2>&1; done; hostname other 2>&1; echo end'
  [ "$(grep -ciE 'read-only file system' <<<"$output")" = 3 ]
  has "$output" "hostname: sethostname"
  has "$output" end
  refused 125 "would change the host" "$LAY" run --rm --network none --sysctl kernel.core_pattern='|/evil' small true
  refused 125 "would change the host" "$LAY" run --rm --network none --sysctl kernel/../vm/x=1 small true
}

@test "K13: a crash leaves no core, unless one is asked for" {
  small_image
  [ "$(inside -- 'ulimit -Sc; ulimit -Hc')" = $'0\n0' ]
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  [ "$("$LAY" exec c sh -c 'ulimit -c')" = 0 ]
  [ "$(inside --ulimit core=4096:8192 -- 'ulimit -Sc; ulimit -Hc')" = $'8\n16' ]
  run inside -- 'cd /tmp; sh -c "kill -SEGV \$\$"; ls'
  [[ $output != *core* ]]
  [ "$("$LAY" run --rm --network none --userns auto small sh -c 'ulimit -c')" = 0 ]
}

# hunt: a Perl program that tries for ever to open every program that runs, to write to it.
hunt='use Fcntl; my %said; $| = 1; print "hunting\n"; while (1) { for my $exe (glob "/proc/[0-9]*/exe") {
  for my $how (O_WRONLY, O_RDWR | O_TRUNC) { my $is = readlink $exe; next if defined $is && $is =~ m{/perl|/sleep|/bash|/dash};
    if (sysopen(my $f, $exe, $how)) { syswrite $f, "owned"; print "written\n" }
    else { print "$!\n" unless $said{$!}++ } } } }'

is_hunting() { "$LAY" logs c | grep -q hunting; }

@test "E03: lay's program cannot be written through /proc/self/exe, by what it is made to execute or by its first process" {
  cp "$LAY" "$world/lay"
  LAY=$world/lay
  before=$(sha256sum "$LAY")
  debian_image
  "$LAY" run -d --name c --network none --init --cap-add SYS_PTRACE debian:12 perl -e "$hunt" >/dev/null
  wait_until 20 is_hunting
  "$LAY" exec c sh -c 'printf "#!/proc/self/exe\n" >/evil; chmod 755 /evil; ln -s /proc/self/exe /link'
  for _ in 1 2 3 4 5 6 7 8; do
    "$LAY" exec c /evil >/dev/null 2>&1 || true
    "$LAY" exec c /link --version >/dev/null 2>&1 || true
  done
  "$LAY" run --rm --network none debian:12 sh -c 'printf "#!/proc/self/exe\n" >/evil; chmod 755 /evil; exec /evil' || true
  "$LAY" logs c >said
  "$LAY" rm -f c >/dev/null
  grep -q "Text file busy" said # it did reach the program, which shows that it was tried
  [ "$(grep -c written said)" = 0 ]
  [ "$before" = "$(sha256sum "$LAY")" ]
}

# escape_root FOLDER: a root whose /evil is lay's own program to whoever executes it, and whose loader takes that.
escape_root() {
  mkdir -p "$1/lib64" "$1/out"
  gcc -static -O1 -o "$1/bin/escape" "$BATS_TEST_DIRNAME/escape.c"
  gcc -static -nostdlib -O1 -o "$1/lib64/ld-linux-x86-64.so.2" "$BATS_TEST_DIRNAME/escape_loader.c"
  printf '#!/proc/self/exe\n' >"$1/evil"
  chmod 755 "$1/evil"
}

# own_program: a lay of this world alone, so that nobody else keeps its file busy.
own_program() {
  cp "$LAY" "$world/lay"
  ln -s lay "$world/lay-oci"
  LAY=$world/lay
  OCI=$world/lay-oci
  before=$(sha256sum "$LAY")
}

@test "E03: lay's program cannot be written when nothing of lay waits for the container: lay-oci create, start and exec" {
  [ "$(uname -m)" = x86_64 ] || skip "the loader is x86-64's"
  own_program
  small_bundle
  escape_root bundle/rootfs
  args /evil
  oci create --bundle bundle e >/dev/null 2>&1 </dev/null
  oci start e
  wait_until 40 test -s bundle/rootfs/out/said
  has "$(cat bundle/rootfs/out/said)" "Read-only file system"
  oci delete --force e
  rm bundle/rootfs/out/said
  args sleep 1000
  oci create --bundle bundle f >/dev/null 2>&1 </dev/null
  oci start f
  oci exec --detach f /evil
  wait_until 40 test -s bundle/rootfs/out/said
  has "$(cat bundle/rootfs/out/said)" "Read-only file system"
  oci delete --force f
  [ "$before" = "$(sha256sum "$LAY")" ]
}

@test "E03: lay's program cannot be written when the supervisor of a container was killed" {
  [ "$(uname -m)" = x86_64 ] || skip "the loader is x86-64's"
  own_program
  make_small_root
  escape_root small
  "$LAY" import small small >/dev/null
  mkdir out
  "$LAY" run -d --name c --network none -v "$world/out:/out" small /evil >/dev/null
  wait_until 10 has_outlived_its_lay c
  kill -9 "$(awk '/^PPid/ {print $2}' "/proc/$("$LAY" inspect -f '{{.State.Pid}}' c)/status")"
  wait_until 40 test -s out/said
  has "$(cat out/said)" "Read-only file system"
  [ "$before" = "$(sha256sum "$LAY")" ]
  "$LAY" rm -f c
}

# has_outlived_its_lay NAME: its first process is the image's program by now.
has_outlived_its_lay() { [ "$(cat "/proc/$("$LAY" inspect -f '{{.State.Pid}}' "$1")/comm")" = escape ]; }

# nothing_found SAID: the hunt went on all the time and found nothing.
nothing_found() {
  grep -q hunting "$1"
  ! grep -vx hunting "$1" || return 1
  [ "$(cat canary)" = mine ]
}

@test "E02: exec shows a container with CAP_SYS_PTRACE nothing of the host: no file, no environment" {
  local i
  make_small_root
  gcc -static -O1 -o small/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  "$LAY" import small small >/dev/null
  echo mine >canary
  export HOST_SECRET=hunter2
  "$LAY" run -d --name c --network none --cap-add SYS_PTRACE small escape hunt "$world/canary" >/dev/null
  wait_until 20 is_hunting
  for i in 1 2 3 4 5 6 7 8; do "$LAY" exec c true; done
  script -qec "'$LAY' exec -t c true" /dev/null
  "$LAY" logs c >said
  nothing_found said
}

# hunted FLAGS...: eight exec into a container that hunts for what they are before they execute their command.
hunted() {
  local i
  "$LAY" run -d --name c --network none "$@" small escape hunt "$world/canary" >/dev/null
  wait_until 20 is_hunting
  for i in 1 2 3 4 5 6 7 8; do "$LAY" exec c true; done
  "$LAY" logs c >said
  "$LAY" rm -f c >/dev/null
  nothing_found said
}

@test "E02: exec shows a container with CAP_SYS_PTRACE no rights and no library of the host, whatever its profile denies" {
  make_small_root
  gcc -static -O1 -o small/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  "$LAY" import small small >/dev/null
  echo mine >canary
  local call
  for call in setsid ioctl; do
    jq -n --arg call $call '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: [$call], action: "SCMP_ACT_ERRNO"}]}' >$call.json
    hunted --cap-add SYS_PTRACE --security-opt seccomp=$call.json
  done
  hunted --cap-add SYS_PTRACE --cap-add CHECKPOINT_RESTORE
  jq -n '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["clone"], action: "SCMP_ACT_ERRNO"}]}' >alone.json
  "$LAY" run -d --name c --network none --cap-add SYS_PTRACE --security-opt seccomp=alone.json small sleep 1000 >/dev/null
  run "$LAY" exec c true
  [ "$status" -ne 0 ]
  has "$output" "CAP_SYS_PTRACE"
  has "$output" "hint: "
}

# hunting_image: "small", in which escape is.
hunting_image() {
  make_small_root
  gcc -static -O1 -o small/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  "$LAY" import small small >/dev/null
  echo mine >canary
}

# eight_into NAME: so many commands are executed in it.
eight_into() {
  local i
  for i in 1 2 3 4 5 6 7 8; do "$LAY" exec "$1" true; done
}

# forbids CALL: a profile that denies it, and nothing else.
forbids() {
  jq -n --arg call "$1" '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: [$call], action: "SCMP_ACT_ERRNO"}]}' >"$1.json"
}

@test "E02: exec shows whoever came with CAP_SYS_PTRACE into a container without it nothing of the host: exec --privileged" {
  hunting_image
  mkdir out
  "$LAY" run -d --name c --network none -v "$world/out:/out" small sleep 1000 >/dev/null
  "$LAY" exec -d --privileged c sh -c "exec escape hunt '$world/canary' >/out/said"
  wait_until 20 grep -q hunting out/said # no exec: it hunts for the next two
  eight_into c
  nothing_found out/said
}

@test "E02: exec shows whoever came with CAP_SYS_PTRACE into a container without it nothing of the host: another container" {
  hunting_image
  forbids clone
  "$LAY" run -d --name first --network none --security-opt seccomp=clone.json small sleep 1000 >/dev/null
  "$LAY" exec first true # there is nobody yet
  "$LAY" run -d --name second --network none --pid container:first small sleep 1000 >/dev/null
  "$LAY" exec first true
  "$LAY" run -d --name c --network none --pid container:second --cap-add SYS_PTRACE --cap-add CHECKPOINT_RESTORE \
    small escape hunt "$world/canary" >/dev/null
  wait_until 20 is_hunting
  refused 125 "CAP_SYS_PTRACE" "$LAY" exec first true
  "$LAY" logs c >said
  nothing_found said
  "$LAY" rm -f c >/dev/null
  refused 125 "CAP_SYS_PTRACE" "$LAY" exec first true # whom it has left behind nobody knows
  "$LAY" restart -t 0 first >/dev/null
  "$LAY" exec first true
}

@test "E02: exec shows whoever came with CAP_SYS_PTRACE into a container without it nothing of the host: by a path" {
  hunting_image
  "$LAY" run -d --name first --network none small sleep 1000 >/dev/null
  "$LAY" run -d --name c --network none --pid "ns:/proc/$("$LAY" inspect -f '{{.State.Pid}}' first)/ns/pid" \
    --cap-add SYS_PTRACE --cap-add CHECKPOINT_RESTORE small escape hunt "$world/canary" >/dev/null
  wait_until 20 is_hunting
  eight_into first
  "$LAY" logs c >said
  nothing_found said
}

@test "E02: whoever brings CAP_SYS_PTRACE into a container waits for commands that count on there being nobody with it" {
  hunting_image
  "$LAY" run -d --name c --network none small escape stop - >/dev/null
  wait_until 20 is_hunting
  local held=0 i
  for i in 1 2 3 4 5; do # it may be too late once
    "$LAY" exec c sleep 1000 3>&- &
    if wait_until 2 is_held; then
      refused 125 "does not get to its end" timeout -s KILL 20 "$LAY" exec --privileged c true
      refused 125 "does not get to its end" timeout -s KILL 20 \
        "$LAY" run --rm --network none --pid container:c --cap-add SYS_PTRACE small true
      held=1
    fi
    kill -KILL $!
    wait $! || true
    ((held == 0)) || break
  done
  [ "$held" = 1 ]
}

# is_held: a process of lay's own program is stopped in container c.
is_held() {
  local pid
  for pid in $(pgrep -x lay); do
    [[ $(awk '/^NSpid/ {print NF}' "/proc/$pid/status") == 3 && $(awk '/^State/ {print $2}' "/proc/$pid/status") == T ]] && return 0
  done 2>/dev/null
  return 1
}

@test "exec that a process of the container stops before its command is there ends when its user wants it" {
  make_small_root
  gcc -static -O1 -o small/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  "$LAY" import small small >/dev/null
  "$LAY" run -d --name c --network none small escape stop - >/dev/null
  wait_until 20 is_hunting
  local ends=0 i
  for ((i = 0; i < 30 && !ends; ++i)); do # it may be too late, more often so where the machine is busy
    run timeout -s TERM -k 15 1 "$LAY" exec c true
    [ "$status" -ne 137 ]
    [[ $output != *"stopped by a signal"* ]] || ends=1
  done
  [ "$ends" = 1 ]
}

@test "exec ends with its command, and has its exit code, though a process of the container traces it and keeps it" {
  hunting_image
  "$LAY" run -d --name c --network none small escape hold - >/dev/null
  wait_until 20 is_hunting
  local code
  for code in 0 7; do
    # No child of its own, which would be kept from it
    run timeout -s KILL 20 "$LAY" exec c sh -c "i=0; while [ \$i -lt 200000 ]; do i=\$((i + 1)); done; exit $code"
    [ "$status" = "$code" ]
  done
}

@test "no standard stream of a container is the host's /dev/null, whose owner and mode its root could change" {
  small_image
  local null
  null=$(stat -Lc %d:%i /dev/null)
  is_own() { [[ -n $1 && " $1 " != *" $null "* ]]; }
  streams='for i in 0 1 2; do stat -Lc %d:%i /proc/self/fd/$i; done | xargs'
  is_own "$("$LAY" run --rm --network none small sh -c "$streams")"
  "$LAY" run -d --name c --network none small sh -c "$streams >/streams; exec sleep 1000" >/dev/null
  is_own "$("$LAY" exec c sh -c "$streams")"
  "$LAY" exec -d c sh -c "stat -Lc %d:%i /proc/self/fd/0 >/z; stat -Lc %d:%i /proc/self/fd/1 >/o 2>/dev/null; touch /done"
  wait_until 10 "$LAY" exec c test -e /done
  is_own "$("$LAY" exec c cat /streams)"
  is_own "$("$LAY" exec c cat /z)"
  (umask 077; "$LAY" exec --user 1000 c sh -c 'cat /dev/stdin') # of everybody, whatever the caller's umask
  "$LAY" exec -d c sh -c 'stat -Lc %d:%i /proc/self/fd/2 | cat >/e; touch /ready'
  wait_until 10 "$LAY" exec c test -e /ready
  is_own "$("$LAY" exec c cat /e)"
  OCI=${LAY%/*}/lay-oci
  small_bundle
  args sh -c "$streams >/streams; exec sleep 1000"
  oci create --bundle bundle n >/dev/null 2>&1 </dev/null
  oci start n
  wait_until 10 test -s bundle/rootfs/streams
  is_own "$(cat bundle/rootfs/streams)"
  oci exec n /bin/sh -c "$streams >/streams" >/dev/null 2>&1 </dev/null
  is_own "$(cat bundle/rootfs/streams)"
  oci delete --force n
}

@test "the null device of a /dev that the user brought is taken for one only if it is one" {
  small_image
  mkdir dev
  streams='stat -Lc %F:%t:%T /proc/self/fd/0; cat'
  local kind
  for kind in "c 1 5" p; do
    rm -f dev/null
    mknod dev/null $kind
    run timeout -k 5 20 "$LAY" run --rm --network none --security-opt unmask=ALL -v "$PWD/dev:/dev" small sh -c "$streams"
    [ "$output" = "character special file:1:3" ]
  done
  rm dev/null
  run timeout -k 5 20 "$LAY" run --rm --network none --security-opt unmask=ALL -v "$PWD/dev:/dev" small sh -c "$streams"
  [ "$output" = "character special file:1:3" ]
}

@test "exec counts its command from the beginning where others could make it clone, and else at its end" {
  small_image
  local rights
  for rights in "--cap-add CHOWN" --privileged; do
    "$LAY" run -d --name c --network none $rights --pids-limit 1 small sleep 1000 >/dev/null
    "$LAY" exec c true
    "$LAY" rm -f c >/dev/null
  done
  "$LAY" run -d --name c --network none --cap-add SYS_PTRACE --pids-limit 1 small sleep 1000 >/dev/null
  run "$LAY" exec c true
  [ "$status" = 125 ]
  has "$output" "--pids-limit"
}

@test "what --init leaves behind ends, and does not spin, where its profile forbids it to wait" {
  small_image
  local call
  for call in rt_sigtimedwait wait4; do
    jq -n --arg call $call '{defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: [$call], action: "SCMP_ACT_ERRNO"}]}' >init.json
    run timeout -s KILL 20 "$LAY" run --rm --network none --init --security-opt seccomp=init.json small sleep 0.2
    [ "$status" = 125 ]
  done
}

@test "E02: lay-oci exec shows a container with CAP_SYS_PTRACE nothing of the host" {
  local i
  OCI=${LAY%/*}/lay-oci
  small_bundle
  gcc -static -O1 -o bundle/rootfs/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  echo mine >canary
  export HOST_SECRET=hunter2
  args escape hunt "$world/canary"
  edit 'for kind in ("bounding", "effective", "permitted"): c["process"]["capabilities"][kind].append("CAP_SYS_PTRACE")'
  oci create --bundle bundle h >said 2>&1 </dev/null
  oci start h
  wait_until 20 grep -q hunting said
  for i in 1 2 3 4 5 6 7 8; do oci exec h /bin/true; done
  oci delete --force h
  nothing_found said
}

@test "E02: lay-oci exec shows whoever came with CAP_SYS_PTRACE nothing of the host: by exec, or from another container" {
  OCI=${LAY%/*}/lay-oci
  small_bundle
  gcc -static -O1 -o bundle/rootfs/bin/escape "$BATS_TEST_DIRNAME/escape.c"
  echo mine >canary
  args sleep 1000
  oci create --bundle bundle first >/dev/null 2>&1 </dev/null
  oci start first
  oci exec -d --cap CAP_SYS_PTRACE --cap CAP_CHECKPOINT_RESTORE first /bin/sh -c "escape hunt '$world/canary' >/exec.said"
  wait_until 20 grep -q hunting bundle/rootfs/exec.said
  for i in 1 2 3 4 5 6 7 8; do oci exec first /bin/true; done
  oci kill first KILL
  wait_until 10 oci delete first
  nothing_found bundle/rootfs/exec.said
  oci create --bundle bundle first >/dev/null 2>&1 </dev/null
  oci start first
  args sh -c "escape hunt '$world/canary' >/said"
  edit 'for kind in ("bounding", "effective", "permitted"): c["process"]["capabilities"][kind] += ["CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE"]'
  edit "next(n for n in c['linux']['namespaces'] if n['type'] == 'pid')['path'] = '/proc/$(oci state first | jq .pid)/ns/pid'"
  oci create --bundle bundle second >/dev/null 2>&1 </dev/null
  oci start second
  wait_until 20 grep -q hunting bundle/rootfs/said
  for i in 1 2 3 4 5 6 7 8; do oci exec first /bin/true; done
  oci delete --force second
  oci delete --force first
  nothing_found bundle/rootfs/said
}

@test "E02: what --init leaves behind has nothing of who called lay, whatever rights the container has" {
  small_image
  export HOST_SECRET=hunter2
  "$LAY" run --rm --network none --init --cap-add SYS_PTRACE small sh -c \
    'cat /proc/1/environ /proc/1/maps; cat /proc/1/cmdline; cat /proc/self/environ' >said
  grep -qa lay-init said
  ! grep -qaF "$LAY" said || return 1
  ! grep -qa hunter2 said || return 1
}

@test "E03: what --init leaves behind cannot be looked into" {
  small_image
  run inside --init -- 'cat /proc/1/exe | wc -c; readlink /proc/1/exe; ls /proc/1/fd; cat /proc/1/maps; cat /proc/1/environ; true'
  [ "${lines[0]}" != "$(stat -c %s "$LAY")" ]
  [[ $output != *"$LAY"* ]]
  [ "$(grep -c 'Permission denied' <<<"$output")" -ge 3 ]
}

# opened_inside TRACE: what was opened between the entering of the container (pivot_root, setns) and the execution of
# its command, by any process.
opened_inside() {
  awk '/(pivot_root|setns)[( ].*= 0/ && !/setns\(.*, CLONE_NEWPID\)/ {inside[$1] = 1}
    /execve[( ].*= 0/ {inside[$1] = 0}
    /open(at|at2)?\(/ && inside[$1]' "$1"
}

@test "E04: lay opens no library, no locale and no name service of the container, for run and exec" {
  command -v strace >/dev/null || skip "needs strace"
  debian_image
  "$LAY" run -d --name c --network none debian:12 sleep 1000 >/dev/null
  "$LAY" exec c sh -c 'echo /evil.so >/etc/ld.so.preload; mkdir -p /usr/lib/locale; echo "passwd: evil" >/etc/nsswitch.conf'
  local calls=trace=open,openat,openat2,execve,pivot_root,setns
  strace -f -qq -e $calls -o exec.trace "$LAY" exec -u daemon -w /var c /bin/true || true
  strace -f -qq -e $calls -o run.trace "$LAY" run --rm --network none -u daemon:mail --group-add adm debian:12 /bin/true
  for trace in exec.trace run.trace; do
    opened_inside $trace >opened
    grep -q etc/passwd opened # the trace shows what it should
    run grep -E '\.so|nsswitch|gconv|locale|ld\.so|ssl|terminfo' opened
    [ -z "$output" ]
  done
}
