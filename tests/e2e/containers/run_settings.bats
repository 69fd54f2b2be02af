#!/usr/bin/env bats
# Flags of run that podman has too, each looked at from inside the container, beside what podman makes of it.

load ../support/world
load ../support/oci
load ../support/engines

setup() { open_engine_world; }
teardown() { close_engine_world; }

# theirs FLAGS... -- SCRIPT: what a container of podman's says.
theirs() {
  local flags=()
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  podman run --rm --network none "${flags[@]}" localhost/small sh -c "$2"
}

# alike FLAGS... -- SCRIPT: both engines' containers say the same, and something.
alike() {
  local ours podmans
  ours=$(inside "$@") || return 1
  podmans=$(theirs "$@") || return 1
  [[ -n $ours && $ours == "$podmans" ]] || { echo "lay: $ours"; echo "podman: $podmans"; return 1; }
}

# both_refuse FLAGS...
both_refuse() {
  run podman run --rm --network none "$@" localhost/small true
  ((status == 125)) || { echo "podman: $status $output"; return 1; }
  refused 125 "" "$LAY" run --rm --network none "$@" small true
}

# A file of the container's group for processor time.
quota='cat /sys/fs/cgroup/cpu*/cpu.cfs_quota_us /sys/fs/cgroup/cpu*/cpu.cfs_period_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max'

@test "--cpu-quota and --cpu-period reach the group, survive a restart, and update changes them" {
  small_image
  start_podman
  alike --cpu-quota 50000 --cpu-period 200000 -- "$quota | sort -u"
  alike --cpu-quota 30000 -- "$quota | sort -u"
  both_refuse --cpus 1 --cpu-quota 50000
  both_refuse --cpus 1 --cpu-period 50000
  both_refuse --cpu-period 50
  both_refuse --cpu-quota 50
  "$LAY" run --rm --network none --cpu-quota 0 --cpu-period 0 small true
  "$LAY" run --rm --network none --cpu-quota -1 small true
  "$LAY" run -d --name c --network none --cpu-quota 50000 --cpu-period 200000 small sleep 1000 >/dev/null
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  has "$("$LAY" exec c sh -c "$quota")" 50000
  "$LAY" generate quadlet c >c.container
  grep -q -- --cpu-period=200000 c.container
  grep -q -- --cpu-quota=50000 c.container
  [ "$("$LAY" inspect -f '{{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}} {{.HostConfig.NanoCpus}}' c)" = "200000 50000 250000000" ]
  "$LAY" update --cpu-quota 70000 c >/dev/null
  has "$("$LAY" exec c sh -c "$quota")" 70000
  has "$("$LAY" exec c sh -c "$quota")" 200000
  "$LAY" update --cpu-quota -1 c >/dev/null
  [[ $("$LAY" exec c sh -c "$quota") =~ -1|max ]]
}

@test "--device-cgroup-rule: a node that is made of such a device can be used, and of no other" {
  small_image
  start_podman
  local try='busybox mknod /dev/probe c 1 11 2>&1 && (: >/dev/probe) 2>&1 && echo done; true'
  has "$(inside --cap-add MKNOD --device-cgroup-rule 'c 1:11 rwm' -- "$try")" done
  alike --cap-add MKNOD --device-cgroup-rule 'c 1:11 rwm' -- "$try"
  alike --cap-add MKNOD --device-cgroup-rule 'c 1:* rwm' -- "$try"
  [[ $(inside --cap-add MKNOD -- "$try") != *done* ]]
  [[ $(inside --cap-add MKNOD --device-cgroup-rule 'c 1:12 rwm' -- "$try") != *done* ]]
  [[ $(inside --cap-add MKNOD --device-cgroup-rule 'b *:* rwm' -- "$try") != *done* ]]
  [[ $(inside --cap-add MKNOD --device-cgroup-rule 'c 1:11 rm' -- "$try") != *done* ]]
  local bad
  for bad in 'c 1:3' 'c 1:3 rwmx'; do both_refuse --device-cgroup-rule "$bad"; done
  for bad in 'x 1:3 rwm' 'c 1 rwm' 'c x:3 rwm' 'c 1:3 ' ''; do
    refused 125 "is not TYPE" "$LAY" run --rm --device-cgroup-rule "$bad" small true
  done
  "$LAY" run -d --name c --network none --cap-add MKNOD --device-cgroup-rule 'c 1:11 rwm' small sleep 1000 >/dev/null
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  has "$("$LAY" exec c sh -c "$try")" done
  [ "$("$LAY" inspect -f '{{json .HostConfig.DeviceCgroupRules}}' c)" = '["c 1:11 rwm"]' ]
  "$LAY" generate compose c | grep -q 'c 1:11 rwm'
  "$LAY" run --rm --network none --privileged --device-cgroup-rule 'c 1:11 rwm' small true
}

@test "--umask is that of the command, also after a restart and for what exec starts" {
  small_image
  start_podman
  alike --umask 77 -- umask
  alike --umask 0027 -- umask
  alike -- umask
  both_refuse --umask 9
  both_refuse --umask 0o22
  "$LAY" run -d --name c --network none --umask 077 small sh -c 'touch /made; sleep 1000' >/dev/null
  [ "$("$LAY" exec c sh -c umask)" = 0077 ]
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  [ "$("$LAY" exec c sh -c umask)" = 0077 ]
  [ "$("$LAY" inspect -f '{{.Config.Umask}}' c)" = 0077 ]
  "$LAY" generate quadlet c | grep -q -- --umask=0077
  "$LAY" bundle --umask 027 small made true
  [ "$(jq .process.user.umask made/config.json)" = $((027)) ]
}

@test "--tz sets the container's clock to a zone, and to the machine's own" {
  small_image
  start_podman
  [ -e /usr/share/zoneinfo/Asia/Tokyo ] || skip "needs tzdata"
  alike --tz Asia/Tokyo -- 'busybox date +%z'
  [ "$(inside --tz Asia/Tokyo -- 'busybox date +%z')" = +0900 ]
  [ "$(inside --tz local -- 'busybox date +%z')" = "$(date +%z)" ]
  both_refuse --tz Foo/Bar
  refused 125 "no such time zone" "$LAY" run --rm --network none --tz ../../../etc/passwd small true
  debian_image  # whose /etc/localtime is a link
  [ "$("$LAY" run --rm --network none --tz Asia/Tokyo debian:12 date +%z)" = +0900 ]
  "$LAY" run -d --name c --network none --tz Asia/Tokyo small sleep 1000 >/dev/null
  [ "$("$LAY" inspect -f '{{.Config.Timezone}}' c)" = Asia/Tokyo ]
  run "$LAY" exec c sh -c 'echo x >/etc/localtime'
  [ "$status" != 0 ]
}

@test "--unsetenv, --unsetenv-all, --env-host and --http-proxy: what podman has beneath -e" {
  make_small_root
  "$LAY" import ./small --cmd '["/bin/sh"]' -e IMAGE=1 -e OTHER=2 small >/dev/null
  start_podman
  [ "$(inside --unsetenv IMAGE -- 'echo "$IMAGE,$OTHER"')" = ,2 ]
  [ "$(inside --unsetenv IMAGE -e IMAGE=3 -- 'echo "$IMAGE"')" = 3 ]
  "$LAY" run --rm --network none --unsetenv-all -e A=b small /bin/env | grep -v ^HOSTNAME= | diff - <(printf '%s\n' A=b HOME=/root)
  podman run --rm --network none --unsetenv-all -e A=b localhost/small /bin/busybox env | grep -v ^HOSTNAME= | diff - <(printf '%s\n' A=b HOME=/root)
  export PROBE=host IMAGE=host
  [ "$(inside --env-host -- 'echo "$PROBE,$IMAGE"')" = host,1 ]
  [ "$(inside --env-host -e PROBE=flag -- 'echo "$PROBE"')" = flag ]
  [ "$(inside -- 'echo "$PROBE"')" = "" ]
  alike --env-host -e A=b -- 'echo "$PROBE,$A"'
  export http_proxy=http://user:secret@proxy.example:3128 NO_PROXY=localhost
  [ "$(inside -- 'echo "$http_proxy,$NO_PROXY"')" = , ]
  alike --http-proxy -- 'echo "$http_proxy,$NO_PROXY"'
  alike --http-proxy --http-proxy=false -- 'echo "none$http_proxy"'
  "$LAY" run -d --name c --network none --unsetenv IMAGE small sleep 1000 >/dev/null
  "$LAY" generate quadlet c | grep -q -- --unsetenv=IMAGE
  refused 125 "no name of a variable" "$LAY" run --rm --unsetenv A=b small true
}

@test "--label-file and --annotation: what inspect, generate, bundle and other runtimes find" {
  small_image
  start_podman
  printf '# comment\nA=1\n\n C=3 \nD=x=y\n' >labels
  "$LAY" run -d --name c --network none --label-file labels -l A=2 --annotation org.example.owner=me --annotation empty= small sleep 1000 >/dev/null
  podman run -d --name c --network none --label-file labels -l A=2 localhost/small sleep 1000 >/dev/null
  [ "$("$LAY" inspect -f '{{json .Config.Labels}}' c)" = "$(podman inspect -f '{{json .Config.Labels}}' c)" ]
  podman rm -f -t 0 c >/dev/null
  [ "$("$LAY" inspect -f '{{json .HostConfig.Annotations}}' c)" = '{"empty":"","org.example.owner":"me"}' ]
  [ "$(jq -r '.annotations["org.example.owner"]' "$LAY_ROOT"/containers/*/config.json)" = me ]
  "$LAY" generate quadlet c | grep -qx Annotation=org.example.owner=me
  "$LAY" generate kube c 2>/dev/null | grep -q 'org.example.owner'
  "$LAY" bundle --annotation org.example.owner=you --annotation org.opencontainers.image.os=other small made true
  [ "$(jq -r '.annotations["org.example.owner"], .annotations["org.opencontainers.image.os"]' made/config.json)" = $'you\nother' ]
  both_refuse --annotation foo
  both_refuse --label-file nowhere
  refused 125 "lay's own" "$LAY" run --rm --annotation dev.lay.seccomp=unconfined small true
}
