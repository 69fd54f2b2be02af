#!/usr/bin/env bats
# What `lay generate` writes, brought up by those it is written for: podman kube play, docker-compose against podman's
# service, and systemd, which reads a quadlet's words; Debian 12 has no quadlet yet. A container reports what it has, and it
# must be what it has under lay.

bats_require_minimum_version 1.5.0
load ../support/world
load ../support/oci
load ../support/engines

setup() {
  open_engine_world
  make_small_root
  add_applets small/bin grep sed mv cut tr
  mkdir -p small/{proc,sys,dev}
  cp "$(write_report)" small/bin/report
  "$LAY" import small small --cmd '["report"]' --env OF=image --label kept=yes --workdir /etc >/dev/null
  printf '%s\n' '[containers]' "default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']" >podman.conf
  declare -f podman_with_descriptors | sed 's/ command podman/ exec podman/' >functions
  printf '%s\n' '#!/bin/bash' "OCI='$OCI' world='$world' engine_run='$engine_run'" ". '$world/functions'" \
    'podman_with_descriptors "$@" 3>/dev/null' >podman-here
  chmod +x podman-here
  "$LAY" save small | podman load -q >/dev/null
  mkdir -m 777 out
  mkdir volume
  most=(-h box -e A=yes -e $'B=1: "2" #3\t%h $HOME $(A) ${A} \\ é' -e C= -v "$PWD/volume:/v:ro" -u 1000:100 -w /tmp
    --cap-drop KILL --cap-add NET_ADMIN --read-only --security-opt no-new-privileges)
}

teardown() {
  if [[ -n ${service-} ]]; then
    kill -9 "$service" # an instance of systemd takes its time otherwise
    wait "$service" || true
  fi
  podman pod rm -af -t 0 >/dev/null 2>&1 || true
  close_engine_world
}

write_report() {
  cat >report <<'SH'
#!/bin/sh
{
  echo "who $(id -u) $(id -g) in $(pwd) on $(hostname)"
  echo "args $# <$1> <$2>"
  echo "env <$A> <$B> <$C> <$OF>"
  grep NoNewPrivs: /proc/self/status
  caps=0x$(grep CapBnd: /proc/self/status | cut -f2)
  echo "may kill $((caps >> 5 & 1)), configure links $((caps >> 12 & 1))"
  touch /x 2>&1
  for place in /v /t; do grep " $place " /proc/mounts | cut -d' ' -f2,4 | tr , '\n' | grep -xE "$place r[ow]|size=.*"; done
  grep 'open files' /proc/self/limits | tr -s ' '
  cat /proc/sys/kernel/msgmax
} >/out/.new
mv /out/.new /out/report
exec sleep 1000
SH
  chmod +x report
  echo report
}

# recipe FLAGS...: a container with most of what there is; what it reports is then in under-lay.
recipe() {
  "$LAY" run -d --name box --network none -v "$world/out:/out" "$@" >/dev/null
  wait_until 10 test -e out/report
  mv out/report under-lay
  "$LAY" stop -t 0 box >/dev/null
}
# reported [SCRIPT]: the same elsewhere, but for what sed takes away by SCRIPT.
reported() {
  wait_until 20 test -e out/report
  diff <(sed "${1-}" under-lay) <(sed "${1-}" out/report)
}

@test "podman kube play: the pod has what the container had under lay" {
  # Debian's podman replaces no $(A) in pods, and so takes no $$(A) either, as Kubernetes does
  recipe "${most[@]}" -e 'B=1: "2" #3 %h $HOME ${A} \ é' small report 'an "argument" $HOME' '-- # % \\'
  "$LAY" generate kube -f pod.yaml box
  podman kube play pod.yaml >/dev/null
  reported '/open files/d' # which a pod cannot say
  podman kube down pod.yaml >/dev/null
}

@test "podman kube play: the pod of an image has what its container has under lay" {
  recipe small
  "$LAY" rm box >/dev/null
  "$LAY" generate kube --name box small >pod.yaml
  cat >mount.py <<'PY'
import sys, yaml  # what an image cannot know
pod = yaml.safe_load(open("pod.yaml"))
pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "out", "mountPath": "/out"}]
pod["spec"]["volumes"] = [{"name": "out", "hostPath": {"path": sys.argv[1]}}]
yaml.safe_dump(pod, open("pod.yaml", "w"))
PY
  python3 mount.py "$world/out"
  podman kube play pod.yaml >/dev/null
  reported 's/ on .*//; /^may/d; /open files/d' # the pod's name, and podman's own defaults
}

# start_service: podman's API, which docker-compose speaks, on a socket of this test.
start_service() {
  ./podman-here system service -t 0 "unix://$engine_run/podman.sock" >service.log 2>&1 3>&- &
  service=$!
  wait_until 10 curl -sf --unix-socket "$engine_run/podman.sock" http://d/_ping
}
compose() { DOCKER_HOST=unix://$engine_run/podman.sock timeout -s KILL 60 docker-compose -f compose.yaml "$@" 3>&-; }

@test "docker-compose: the service comes up under podman with what the container had under lay" {
  command -v docker-compose >/dev/null || skip "docker-compose is not installed"
  recipe "${most[@]}" --tmpfs /t:size=64k --ulimit nofile=64:128 --ulimit nproc=99 --sysctl kernel.msgmax=4096 --memory 64m --pids-limit 50 \
    --stop-timeout 1 -l x.y=no small report 'an "argument" $(A) $$' '-- # % \\'
  "$LAY" generate compose -f compose.yaml box 2>notes
  [ ! -s notes ]
  start_service
  compose up -d
  reported
  local id
  id=$(compose ps -q)
  [ "$(podman inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{index .Config.Labels "x.y"}}' "$id")" = "67108864 50 no" ]
  compose down -t 0
  [ -z "$(podman ps -aq)" ]
}

@test "docker-compose: the service of an image has what its container has under lay" {
  command -v docker-compose >/dev/null || skip "docker-compose is not installed"
  recipe small
  "$LAY" generate compose --name box -f compose.yaml small
  printf '%s\n' 'services:' '  box:' '    network_mode: none' "    volumes: ['$world/out:/out']" >docker-compose.override.yaml
  start_service
  compose -f docker-compose.override.yaml up -d
  reported 's/ on .*//; /^may/d; /open files/d' # the container's id, and podman's own defaults
  compose -f docker-compose.override.yaml down -t 0
}

# as_service FILE: the unit that quadlet makes of FILE.container, each line a flag of podman's by podman-systemd.unit(5);
# what is unquoted and replaced in its words is systemd's to tell.
as_service() {
  python3 - "$1" <<'PY'
import os, re, sys
flags = {"ContainerName": "--name", "Environment": "--env", "Label": "--label", "Sysctl": "--sysctl", "AddCapability": "--cap-add",
  "DropCapability": "--cap-drop", "WorkingDir": "--workdir", "HostName": "--hostname", "Network": "--network",
  "PublishPort": "--publish", "DNS": "--dns", "Volume": "--volume", "Tmpfs": "--tmpfs", "ShmSize": "--shm-size", "AddDevice": "--device",
  "Ulimit": "--ulimit", "PidsLimit": "--pids-limit", "LogDriver": "--log-driver", "UserNS": "--userns"}
switches = {"ReadOnly": "--read-only", "RunInit": "--init"}
words, image, command = [], "", ""
section = ""
for line in open(sys.argv[1] + ".container", encoding="utf-8"):
    line = line.rstrip("\n")
    if line.startswith("["): section = line
    if section != "[Container]" or "=" not in line: continue
    key, value = line.split("=", 1)
    if key == "Image": image = value
    elif key == "Exec": command = value
    elif key == "PodmanArgs": words.append(value)
    elif key in switches: words.append(switches[key])
    else: words += [flags[key], value]
print("[Service]\nType=simple\nExecStart=%s/podman-here run --rm -d %s %s %s" % (os.getcwd(), " ".join(words), image, command))
PY
}

# by_systemd UNIT: it is started by an instance of systemd of its own, which ends when the container has reported.
by_systemd() {
  printf '[Unit]\nWants=%s\n' "$1" >units/go.target
  unshare --mount --propagation private bash -c '
    mkdir /run/systemd 2>/dev/null
    mount -t tmpfs none /run/systemd && mkdir -m 700 /run/systemd/{system,user}
    XDG_RUNTIME_DIR=/run/systemd/user SYSTEMD_UNIT_PATH=$PWD/units HOME=$PWD exec /lib/systemd/systemd --user --unit=go.target' \
    >systemd.log 2>&1 3>&- &
  service=$!
}

@test "quadlet: systemd reads the words and podman runs them as the container had them under lay" {
  [ -x /lib/systemd/systemd ] || skip "systemd is not installed"
  recipe "${most[@]}" --tmpfs /t:size=64k --ulimit nofile=64:128 --ulimit nproc=99 --sysctl kernel.msgmax=4096 --memory 64m --pids-limit 50 \
    --stop-timeout 1 -l 'x.y=a "b" c' small report 'an "argument" $(A) $$' '-- # % \\'
  "$LAY" generate quadlet box >box.container 2>notes
  [ ! -s notes ]
  mkdir units
  as_service box >units/box.service
  systemd-analyze verify --man=no units/box.service
  "$LAY" generate quadlet --name img small >img.container
  as_service img >units/img.service
  systemd-analyze verify --man=no units/img.service
  by_systemd box.service
  reported || { cat units/box.service systemd.log; return 1; }
  [ "$(podman inspect --format '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{index .Config.Labels "x.y"}}' box)" = '67108864 50 a "b" c' ]
}
