#!/usr/bin/env bats
# What a container may do: the defaults, and each flag that changes them, seen from inside.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

# capabilities FLAG...: the effective ones, as the kernel says it.
capabilities() { inside "$@" -- 'grep CapEff /proc/self/status' | awk '{print $2}'; }

@test "E07 capabilities: eleven, with and without some, none, all that lay has" {
  [ "$(capabilities)" = 00000000800405fb ]
  [ "$(capabilities --cap-drop chown)" = 00000000800405fa ]
  [ "$(capabilities --cap-add NET_RAW --cap-add cap_mknod)" = 00000000880425fb ]
  [ "$(capabilities --cap-drop ALL)" = 0000000000000000 ]
  [ "$(capabilities --cap-drop ALL --cap-add CAP_CHOWN)" = 0000000000000001 ]
  [ "$(capabilities --cap-add ALL)" = "$(awk '/CapBnd/ {print $2}' /proc/self/status)" ]
  refused 125 "unknown capability 'fly'" "$LAY" run --rm --cap-add fly small true
  refused 125 "CAP_CHOWN is both added and dropped" "$LAY" run --rm --cap-add chown --cap-drop CHOWN small true
  refused 125 "ALL capabilities are both added and dropped" "$LAY" run --rm --cap-add all --cap-drop ALL small true
  [ "$(capabilities --privileged --cap-drop ALL)" = 0000000000000000 ]
  [ "$(capabilities --privileged --cap-drop ALL --cap-add chown)" = 0000000000000001 ]
  refused 125 "unknown capability 'fly'" "$LAY" run --rm --privileged --cap-add fly small true
  for set in CapInh CapAmb; do
    [ "$(inside --cap-add ALL -- "grep $set /proc/self/status" | awk '{print $2}')" = 0000000000000000 ]
  done
}

@test "U06 a capability, a profile or a label that cannot be had is an error" {
  grep -q 'CapBnd.*1ffffffffff' /proc/self/status ||
    refused 125 "lay itself lacks CAP_" "$LAY" run --rm --cap-add SYS_RESOURCE small true
  refused 125 "lay sets no apparmor labels" "$LAY" run --rm --security-opt apparmor=mine small true
  refused 125 "lay sets no label labels" "$LAY" run --rm --security-opt label=type:x small true
  refused 125 "'be-safe' is not known" "$LAY" run --rm --security-opt be-safe small true
  inside --security-opt apparmor=unconfined --security-opt label=disable -- true
}

@test "--privileged: every capability and device, nothing masked, nothing read-only but what the kernel keeps" {
  run inside --privileged -- 'grep -E "^(CapEff|Seccomp):" /proc/self/status; ls /dev; mount -t tmpfs x /tmp && echo mounted
    echo 1 >/proc/sys/net/ipv4/ip_forward && echo written'
  [ "$status" -eq 0 ]
  has "$output" "$(awk '/CapBnd/ {print $2}' /proc/self/status)"
  [[ $output =~ Seccomp:[[:space:]]+0 ]]
  has "$output" loop-control
  has "$output" mounted
  has "$output" written
  run inside -- 'mount -t tmpfs x /tmp'
  [ "$status" -ne 0 ]
}

@test "K03 a capability brings the system calls that it is for, and no others" {
  run inside -- 'mount -t tmpfs x /tmp'
  [ "$status" -ne 0 ]
  inside --cap-add SYS_ADMIN -- 'mount -t tmpfs x /tmp && umount /tmp && unshare -m true && hostname other'
  inside --cap-add SYS_ADMIN --security-opt no-new-privileges -- 'mount -t tmpfs x /tmp'
  run inside --cap-add SYS_TIME -- 'mount -t tmpfs x /tmp'
  [ "$status" -ne 0 ]
  run inside --cap-drop SYS_CHROOT -- 'chroot / true'
  [ "$status" -ne 0 ]
  "$LAY" run -d --name admin --network none --cap-add SYS_ADMIN small sleep 1000 >/dev/null
  "$LAY" exec admin mount -t tmpfs x /tmp
}

@test "a seccomp profile of a file: in force after stop and start, in exec, and for whom its entries are meant" {
  cat >profile.json <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122},
              {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 122, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}
JSON
  quota='quota exceeded'
  for nnp in true false; do
    run inside --security-opt seccomp=profile.json --security-opt no-new-privileges=$nnp -- 'mkdir /tmp/x; unshare -U true && echo unshared'
    has "${output,,}" "$quota"
    has "$output" unshared
  done
  run inside --cap-add SYS_ADMIN --security-opt seccomp=profile.json -- 'rmdir /root && echo removed'
  has "$output" removed
  run inside --security-opt seccomp=profile.json -- 'rmdir /root'
  has "${output,,}" "$quota"

  "$LAY" run -d --name kept --network none --security-opt seccomp=profile.json small sleep 1000 >/dev/null
  [ "$(jq -r '.linux.seccomp.syscalls[0].errnoRet' "$LAY_ROOT"/containers/*/config.json)" = 122 ]
  rm profile.json
  "$LAY" stop -t 0 kept >/dev/null
  "$LAY" start kept >/dev/null
  run "$LAY" exec kept mkdir /tmp/x
  has "${output,,}" "$quota"
  "$LAY" exec --privileged kept mkdir /tmp/x
}

@test "U06 a seccomp profile that is not understood is an error, and names the entry" {
  refused 125 "No such file" "$LAY" run --rm --security-opt seccomp=nosuch.json small true
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "NO"}]}' >bad.json
  refused 125 "seccomp profile 'bad.json': entry 0 of 'syscalls': 'action' is 'NO'" "$LAY" run --rm --security-opt seccomp=bad.json small true
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["monut"], "action": "SCMP_ACT_ERRNO"}]}' >bad.json
  refused 125 "'monut' cannot be forbidden" "$LAY" run --rm --security-opt seccomp=bad.json small true
  echo '{' >bad.json
  refused 125 "bad.json" "$LAY" run --rm --security-opt seccomp=bad.json small true
}

@test "ordinary starts do not load libseccomp" {
  command -v strace >/dev/null || skip "needs strace"
  strace -f -e trace=openat,open -o trace "$LAY" run --rm --network none small true
  [ "$(grep -c libseccomp trace)" = 0 ]
}

@test "no new privileges: a setuid program gives none" {
  [ "$(inside -- 'grep NoNewPrivs /proc/self/status' | awk '{print $2}')" = 0 ]
  for option in no-new-privileges no-new-privileges=true no-new-privileges:true; do
    [ "$(inside --security-opt "$option" -- 'grep NoNewPrivs /proc/self/status' | awk '{print $2}')" = 1 ]
  done
  [ "$(inside --security-opt no-new-privileges=false -- 'grep NoNewPrivs /proc/self/status' | awk '{print $2}')" = 0 ]
  refused 125 "neither true nor false" "$LAY" run --rm --security-opt no-new-privileges=maybe small true
}

@test "K07 paths are masked and read-only, more of them or fewer as asked" {
  [ "$(inside -- 'cat /proc/interrupts | wc -c; ls /sys/firmware | wc -l')" = $'0\n0' ]
  run inside -- 'echo 1 >/proc/sys/vm/swappiness'
  [ "$status" -ne 0 ]
  [ "$(inside --security-opt mask=/etc/hosts:/proc/version -- 'cat /etc/hosts /proc/version | wc -c')" = 0 ]
  [ "$(inside --security-opt unmask=/proc/interrupts -- 'cat /proc/interrupts | wc -c; cat /proc/timer_list | wc -c')" != $'0\n0' ]
  [ "$(inside --security-opt 'unmask=/proc/t*:/proc/interrupts' -- 'cat /proc/interrupts | wc -c')" != 0 ]
  [ "$(inside --security-opt unmask=ALL -- 'cat /proc/timer_list | wc -c')" != 0 ]
}

@test "--read-only with a --tmpfs to write to, of the size and mode asked for" {
  run inside --read-only -- 'touch /x'
  [ "$status" -ne 0 ]
  run inside --read-only --tmpfs /mnt:size=1m,mode=700 -- 'stat -c %a /mnt; dd if=/dev/zero of=/mnt/x bs=1024k count=2; true'
  has "$output" 700
  has "$output" "No space left"
  run inside --tmpfs /mnt -- 'cp /bin/busybox /mnt && /mnt/busybox true'
  [ "$status" -ne 0 ]
  inside --tmpfs /mnt:exec -- 'cp /bin/busybox /mnt && /mnt/busybox true'
  refused 125 "not an absolute path" "$LAY" run --rm --tmpfs mnt small true
}

@test "--shm-size is the size of /dev/shm, 64 MiB without it, and no bound when 0" {
  [ "$(inside -- 'df -k /dev/shm' | awk 'END {print $2}')" = 65536 ]
  [ "$(inside --shm-size 10m -- 'df -k /dev/shm' | awk 'END {print $2}')" = 10240 ]
  inside --shm-size 0 -- 'dd if=/dev/zero of=/dev/shm/more bs=1M count=65 2>/dev/null'
  refused 125 "--shm-size 'much' is no size" "$LAY" run --rm --shm-size much small true
}

@test "K10 --device: the node, and no more than the access asked for" {
  run inside -- 'mknod /tmp/loop b 7 0'
  [ "$status" -ne 0 ]
  inside --device /dev/loop-control -- 'test -c /dev/loop-control && : </dev/loop-control'
  inside --device /dev/loop-control:/dev/sub/other:r -- ': </dev/sub/other'
  run inside --device /dev/loop-control:/dev/other:r -- ': >/dev/other'
  [ "$status" -ne 0 ]
  has "$output" "not permitted"
  inside --device /dev/net -- 'test -c /dev/net/tun'
  refused 125 "No such file" "$LAY" run --rm --device /dev/nosuch small true
  refused 125 "is no device" "$LAY" run --rm --device /etc/passwd small true
  refused 125 "other than r, w and m" "$LAY" run --rm --device /dev/null:rx small true
  refused 125 "is not HOST" "$LAY" run --rm --device null small true
}

@test "--ulimit, with -1 and with what lay may not raise" {
  [ "$(inside --ulimit nofile=100:200 --ulimit core=0 -- 'ulimit -Sn; ulimit -Hn; ulimit -c')" = $'100\n200\n0' ]
  # fewer than lay itself has open meanwhile; exec has them too, and a user who may not raise them
  [ "$(inside --ulimit nofile=5:5 -- 'ulimit -n; ulimit -Hn')" = $'5\n5' ]
  [ "$(inside --ulimit nofile=5:5 --user user -- 'ulimit -n')" = 5 ]
  [ "$(inside --ulimit nofile=5:5 --userns auto -- 'ulimit -n')" = 5 ]
  [ "$(inside --ulimit "nofile=9:$(ulimit -Hn)" --userns auto -- 'ulimit -Hn')" = "$(ulimit -Hn)" ]
  "$LAY" run -d --name few --network none --ulimit nofile=5:5 small sleep 1000 >/dev/null
  [ "$("$LAY" exec few sh -c 'ulimit -n')" = 5 ]
  "$LAY" rm -f few >/dev/null
  refused 125 "there is no limit 'wings'" "$LAY" run --rm --ulimit wings=2 small true
  refused 125 "soft limit is above" "$LAY" run --rm --ulimit nofile=9:8 small true
  refused 125 "'x' is no number" "$LAY" run --rm --ulimit nofile=x small true
}

@test "U03 --group-add by name and number, beside the user's own" {
  echo 'wheel:x:10:' >>small/etc/group
  "$LAY" import -q ./small grouped >/dev/null
  run "$LAY" run --rm --network none -u 33:33 --group-add wheel --group-add 777 grouped id -G
  [ "$output" = "33 10 777" ]
  refused 125 "group 'nosuch'" "$LAY" run --rm --network none --group-add nosuch small true
}

@test "K12 --sysctl of the container's namespaces, and none of the host's" {
  [ "$(inside --sysctl kernel.shmmax=4096 -- 'cat /proc/sys/kernel/shmmax')" = 4096 ]
  refused 125 "would change the host" "$LAY" run --rm --network none --sysctl kernel.core_pattern=x small true
  refused 125 "would change the host" "$LAY" run --rm --network none --sysctl net.../x=1 small true
  refused 125 "would change the host" "$LAY" run --rm --network host --sysctl net.core.somaxconn=9 small true
  "$LAY" run -d --name joined --network none small sleep 1000 >/dev/null
  refused 125 "network that is joined" "$LAY" run --rm --network container:joined --sysctl net.core.somaxconn=9 small true
  "$LAY" run --rm --network container:joined small true
  refused 125 "is not KEY=VALUE" "$LAY" run --rm --sysctl vm small true
}

@test "what was asked for holds after stop and start, and in exec" {
  "$LAY" run -d --name kept --network none --cap-drop ALL --cap-add chown --security-opt no-new-privileges --tmpfs /mnt \
    --ulimit nofile=100:200 --device /dev/loop-control --group-add 777 small sleep 1000 >/dev/null
  seen='grep -E "CapEff|NoNewPrivs" /proc/self/status; ulimit -n; id -G; test -c /dev/loop-control && grep -c " /mnt tmpfs" /proc/mounts'
  "$LAY" exec kept sh -c "$seen" >before
  "$LAY" stop -t 0 kept >/dev/null
  "$LAY" start kept >/dev/null
  "$LAY" exec kept sh -c "$seen" >after
  diff before after
  grep -q 'CapEff.*0000000000000001' before
  grep -q 'NoNewPrivs.*1' before
  grep -qx 100 before
  grep -q 777 before
}
