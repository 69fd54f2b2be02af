#!/usr/bin/env bats
# What a container's system calls are answered with, in run and exec: by the built-in profile, through the door for programs
# of 32 bits too, and by profiles in docker's form.

load ../support/world

setup() {
  [ "$(uname -m)" = x86_64 ] || skip "the numbers are x86-64's"
  open_world
  make_small_root
  gcc -static -O1 -o small/bin/calls "$BATS_TEST_DIRNAME/calls.c"
  "$LAY" import -q ./small small >/dev/null
}
teardown() { leave_world; }

# calls FLAG... -- CALL...: what they give in a container.
calls() {
  local flags=()
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  "$LAY" run --rm --network none "${flags[@]}" small calls "${@:2}"
}

# Allowed; refused as mount, a new namespace, TIOCSTI and AF_ALG are; unknown.
asked=(39 i386:20 165 i386:21 272,0x10000000 i386:310,0x10000000 16,0,0x5412 16,0,0x100005412 i386:54,0,0x5412 16,0,0x541c
  i386:54,0,0x541c 41,38,5 i386:359,38,5 i386:102,1 435 i386:435 5000 i386:400000 0x40000027 0x400000a5)
answered="0 0 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -38 -38 -38 -38 -38 -38"

@test "K03: the built-in profile answers programs of 64 bits, 32 bits and x32 alike, in run, exec and a user namespace" {
  [ "$(calls -- "${asked[@]}")" = "$answered" ]
  [ "$(calls --userns auto --user user -- "${asked[@]}")" = "$answered" ]
  [ "$(calls --security-opt no-new-privileges --cap-drop ALL -- "${asked[@]}")" = "$answered" ]
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  [ "$("$LAY" exec c calls "${asked[@]}")" = "$answered" ]
  [ "$("$LAY" exec --user user c calls "${asked[@]}")" = "$answered" ]
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  [ "$("$LAY" exec c calls "${asked[@]}")" = "$answered" ]
  # Without a filter the kernel itself answers, otherwise.
  [[ $(calls --security-opt seccomp=unconfined -- "${asked[@]}") != *" -1 -1 -1 -1 -1 -1 "* ]]
}

@test "K03: --cap-add opens what it is for through both doors, and not what it is not for" {
  [ "$(calls --cap-add SYS_ADMIN -- 165 i386:21)" = "-14 -14" ] # EFAULT: the kernel looked
  [ "$(calls --cap-add SYS_TIME -- 165 i386:21)" = "-1 -1" ]
  [ "$(calls --cap-add SYS_ADMIN -- 16,0,0x5412 i386:54,0,0x5412 41,38,5)" = "-1 -1 -1" ]
  [ "$(calls --cap-add SYS_ADMIN -- 170)" = 0 ]
  [ "$(calls --cap-add SYS_ADMIN --user user -- 170)" = "-1" ] # the user has not the capability
}

cat_profile() {
  cat <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
 "syscalls": [
  {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
  {"names": ["sched_get_priority_min"], "action": "SCMP_ACT_ERRNO", "errnoRet": 76,
   "args": [{"index": 0, "value": 6, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
  {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 78, "includes": {"arches": ["amd64"]}},
  {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 79, "includes": {"arches": ["arm64", "s390x"]}},
  {"names": ["getuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 80, "excludes": {"arches": ["amd64"]}},
  {"names": ["getgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 81, "includes": {"caps": ["CAP_SYSLOG"]}},
  {"names": ["geteuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 82, "excludes": {"caps": ["CAP_SYSLOG"]}},
  {"names": ["sched_yield"], "action": "SCMP_ACT_ERRNO", "errnoRet": 83, "includes": {"minKernel": "99.0"}},
  {"names": ["sched_get_priority_max"], "action": "SCMP_ACT_ERRNO", "errnoRet": 84, "includes": {"minKernel": "4.8"}},
  {"name": "getpgrp", "action": "SCMP_ACT_ERRNO", "errnoRet": 85}]}
JSON
}

@test "a profile in docker's form: arguments, includes and excludes by capability, architecture and kernel" {
  cat_profile >profile.json
  local flags=(--security-opt seccomp=profile.json)
  local entries=(140,1 140,0 147,2 147,3 147,4 170 110 102 104 107 24 146,1 111)
  local expected="-77 0 -76 -76 0 -78 0 0 0 -82 0 -84 -85"
  # 147 is sched_get_priority_min: 4 & 6 is not 2, and EINVAL is the kernel's own answer to it.
  expected=${expected/-76 -76 0/-76 -76 -22}
  [ "$(calls "${flags[@]}" -- "${entries[@]}")" = "$expected" ]
  [ "$(calls "${flags[@]}" --cap-add SYSLOG -- 104 107)" = "-81 0" ]
  [ "$(calls "${flags[@]}" -- i386:96,1 i386:96,0 i386:74 i386:65)" = "-77 0 -78 -85" ]
  "$LAY" run -d --name c --network none "${flags[@]}" small sleep 1000 >/dev/null
  [ "$("$LAY" exec c calls "${entries[@]}")" = "$expected" ]
  [ "$("$LAY" exec --privileged c calls 140,1 170)" = "0 0" ]
}

@test "a profile in docker's form without 32 bits shuts that door as a whole" {
  echo '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": []}' >narrow.json
  [ "$(calls --security-opt seccomp=narrow.json -- 39)" = 0 ]
  run calls --security-opt seccomp=narrow.json -- i386:20
  ((status != 0)) || [[ $output != 0 ]]
}
