#!/usr/bin/env bats
# User namespaces for containers of root: through id-mapped layers and upper, nothing is chowned.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

# first_id CONTAINER: the id on the host that is root inside.
first_id() { "$LAY" exec "$1" cat /proc/self/uid_map | awk '{print $2}'; }

pid_of() { "$LAY" inspect "$1" | grep -m1 '"Pid":' | tr -dc 0-9; }

map_and_commit() {
  "$LAY" run -d --name one --network none --userns auto small \
    sh -c 'echo mine >/f && chown 1000:100 /f && chmod 600 /etc/passwd && echo done && sleep 100' >/dev/null
  is_done() { "$LAY" logs one | grep -q done; }
  wait_until 10 is_done
  [ "$("$LAY" exec one id -u)" = 0 ]
  [ "$("$LAY" exec -u user one id -u)" = 1000 ]
  local first
  first=$(first_id one)
  ((first >= 65536))
  [ "$(stat -c %u "/proc/$(pid_of one)")" = "$first" ]
  [ "$(stat -c %u:%g "$LAY_ROOT"/containers/*/upper/f)" = 1000:100 ]
  [ "$(stat -c %u "$LAY_ROOT"/containers/*/upper/etc/passwd)" = 0 ]
  "$LAY" commit -q one snap >/dev/null
  "$LAY" stop -t 0 one
  "$LAY" start one >/dev/null
  [ "$("$LAY" exec one stat -c %u:%g /f)" = 1000:100 ] || [ "$("$LAY" exec one ls -ln /f | awk '{print $3 ":" $4}')" = 1000:100 ]
  [ "$("$LAY" run --rm --network none snap ls -ln /f /etc/passwd | awk '{print $3}' | sort -u | xargs)" = "0 1000" ]
  [ "$("$LAY" run --rm --network none --userns auto snap ls -ln /f | awk '{print $3}')" = 1000 ]
}

@test "U04: --userns auto: root inside is nobody on the host, and the upper, commit and restart have ids from 0" {
  map_and_commit
}

@test "U04: the same with layers that are unpacked" {
  export LAY_ROOT=$world/root-tree LAY_LAYER_FORM=tree
  small_image
  map_and_commit
}

@test "U04: no two containers share ids, not even after kill -9 of a supervisor; ended ones give theirs back" {
  local i supervisor
  for i in 1 2 3 4; do
    "$LAY" run -d --name "c$i" --network none --userns auto small sleep 100 >/dev/null
  done
  [ "$(for i in 1 2 3 4; do first_id "c$i"; done | sort -u | wc -l)" = 4 ]
  supervisor=$(awk '/^PPid/ {print $2}' "/proc/$(pid_of c1)/status")
  kill -9 "$supervisor"
  "$LAY" rm -f c1 c2 c3 c4 >/dev/null
  inside --userns auto -- true
  [ "$(ls "$LAY_RUN/ids")" = lock ]
}

@test "U04: ids that were asked for are kept from auto, and refused when auto has them" {
  "$LAY" run -d --name mapped --network none --userns uid:0:100000:65536,gid:0:200000:65536 small sleep 100 >/dev/null
  [ "$("$LAY" exec mapped cat /proc/self/uid_map | xargs)" = "0 100000 65536" ]
  [ "$("$LAY" exec mapped cat /proc/self/gid_map | xargs)" = "0 200000 65536" ]
  "$LAY" run -d --name auto --network none --userns auto small sleep 100 >/dev/null
  refused 125 "has some of the ids" "$LAY" run --rm --network none --uidmap "0:$(first_id auto):1000" small true
  [ "$(inside --uidmap 0:300000:1000 -- 'cat /proc/self/gid_map' | xargs)" = "0 300000 1000" ]
  refused 125 "says nothing of root" "$LAY" run --rm --network none --uidmap 1:300000:1000 small true
  refused 125 "is for ordinary users" "$LAY" run --rm --network none --userns keep-id small true
  refused 125 "overlap" "$LAY" run --rm --network none --uidmap 0:300000:10 --uidmap 5:400000:10 small true
}

@test "setuid programs and file capabilities of the image work in a user namespace" {
  gcc -static -x c -o "$world/small/bin/suid" - <<'C'
#include <stdio.h>
int main(void) { FILE* f = fopen("/proc/self/status", "r"); for (int c; (c = getc(f)) != EOF;) putchar(c); return 0; }
C
  cp "$world/small/bin/suid" "$world/small/bin/cap"
  chmod 4755 "$world/small/bin/suid"
  setcap cap_net_bind_service=ep "$world/small/bin/cap"
  "$LAY" import "$world/small" rights >/dev/null
  LAY_LAYER_FORM=tree LAY_ROOT=$world/root-tree "$LAY" import "$world/small" rights >/dev/null
  local root
  for root in "$LAY_ROOT" "$world/root-tree"; do
    run "$LAY" --root "$root" run --rm --network none --userns auto --user user rights /bin/suid
    [ "$(awk '/^Uid/ {print $2, $3}' <<<"$output")" = "1000 0" ]
    run "$LAY" --root "$root" run --rm --network none --userns auto --user user rights /bin/cap
    [ "$(awk '/^CapEff/ {print $2}' <<<"$output")" = 0000000000000400 ]
  done
}

@test "volumes show the host's owners, or with :idmap the container's" {
  mkdir "$world/volume" && echo v >"$world/volume/f"
  run inside --userns auto -v "$world/volume:/v" -v "$world/volume:/m:idmap" -- \
    'ls -ln /v/f /m/f; echo no >/v/no; echo new >/m/new'
  has "$output" "65534    65534            2"
  has "$output" "0        0                2"
  [ ! -e "$world/volume/no" ]
  [ "$(stat -c %u "$world/volume/new")" = 0 ]
  refused 125 "needs a user namespace" "$LAY" run --rm --network none -v "$world/volume:/m:idmap" small true
}

@test "devices, sysctls, limits, terminals, cgroups and a read-only root are as without a user namespace" {
  run inside --userns auto --sysctl kernel.shmmax=100000 --sysctl net.core.somaxconn=99 --ulimit nofile=77:88 --read-only --tmpfs /tmp -- '
    echo x >/dev/null && cat /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ping_group_range
    ulimit -n; ulimit -Hn; touch /tmp/x && echo tmp; touch /x || echo ro
    touch /sys/fs/cgroup/*/x || echo cgroups; mount -t tmpfs x /tmp || echo mounts; ls -ln /dev/null'
  has "$output" "$(printf '100000\n99\n0\t65535\n77\n88\ntmp')"
  for word in ro cgroups mounts "crw-rw-rw-    1 0        0           1,   3"; do has "$output" "$word"; done
  [[ $(script -qec "'$LAY' run --rm -t --network none --userns auto small sh -c 'tty; id -u; echo out >/dev/stdout'" /dev/null | tr -d '\r' | xargs) == "/dev/pts/0 0 out" ]]
  run inside --userns auto --privileged -- 'mount -t tmpfs x /tmp && hostname inner && hostname; echo 1 >/proc/sys/kernel/sysrq || echo kept'
  has "$output" inner
  has "$output" kept
}

@test "networks with a user namespace: published ports, the host's, and another container's" {
  "$LAY" run -d --name web --userns auto -p 127.0.0.1:18217:80 small \
    sh -c 'while :; do echo answer | nc -l -p 80; done' >/dev/null
  answers() { [[ $(timeout 2 bash -c 'exec 3<>/dev/tcp/127.0.0.1/18217 && cat <&3') == answer ]]; }
  wait_until 10 answers
  [ "$("$LAY" run --rm --network host --userns auto small ls /sys/class/net | wc -l)" -ge 1 ]
  [ "$("$LAY" run --rm --userns auto --network container:web small sh -c 'nc 127.0.0.1 80; id -u' | xargs)" = "answer 0" ]
}

@test "a user namespace is shared with another container, or joined by its path" {
  "$LAY" run -d --name a --network none --userns auto small sleep 100 >/dev/null
  local ns
  ns=$(readlink "/proc/$(pid_of a)/ns/user")
  "$LAY" run -d --name b --network container:a --userns container:a --pid container:a --ipc container:a small \
    sh -c 'echo mine >/f; chown 5:6 /f; sleep 98764' >/dev/null
  [ "$(readlink "/proc/$(pid_of b)/ns/user")" = "$ns" ]
  [ "$(first_id b)" = "$(first_id a)" ]
  wait_until 5 eval '"$LAY" exec b stat -c %u:%g /f | grep -qx 5:6'
  has "$("$LAY" exec a ps)" "sleep 98764"
  [ "$("$LAY" run --rm --network none --userns "ns:/proc/$(pid_of a)/ns/user" small readlink /proc/self/ns/user)" = "$ns" ]
  # as lay's own it is none
  [ "$("$LAY" run --rm --network none --userns ns:/proc/self/ns/user small readlink /proc/self/ns/user)" = "$(readlink /proc/self/ns/user)" ]
  "$LAY" commit -q b from-b >/dev/null
  [ "$("$LAY" run --rm --network none from-b stat -c %u:%g /f)" = 5:6 ]
  "$LAY" stop -t 0 b
  "$LAY" start b >/dev/null
  [ "$(readlink "/proc/$(pid_of b)/ns/user")" = "$ns" ]
}

@test "K14: a container with a user namespace cannot touch what belongs to the host, or to another container" {
  "$LAY" run -d --name other --network none --userns auto small sleep 100 >/dev/null
  local pid
  pid=$(pid_of other)
  run inside --userns auto --pid host --cap-add SYS_PTRACE -- "
    kill -0 $pid 2>&1; readlink /proc/$pid/root 2>&1; cat /proc/$pid/environ 2>&1; cat /proc/1/environ 2>&1; kill -0 1 2>&1"
  [ "$(grep -ciE 'not permitted|denied' <<<"$output")" -ge 4 ]
}
