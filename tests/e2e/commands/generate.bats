#!/usr/bin/env bats
# `lay generate`: what podman, docker-compose and YAML and systemd readers find in what is written.

load ../support/world

setup() {
  open_world
  small_image
}

teardown() {
  if [[ -n ${pods-} ]]; then
    podman_ pod rm -af -t 0 >/dev/null || true
    podman_ rm -af -t 0 >/dev/null || true
    rmdir /sys/fs/cgroup/{*/,}libpod_parent{/conmon,} 2>/dev/null || true
    rm -rf --one-file-system "$pods"
  fi
  close_world
}

# Of a world's own; $pods is short enough for its sockets.
podman_() {
  CONTAINERS_CONF=$world/podman.conf timeout -s KILL 60 podman --root "$world/podman" --runroot "$pods" --storage-driver vfs \
    --runtime runc --cgroup-manager cgroupfs --events-backend file "$@" 3>&-
}

yaml() { python3 -c 'import sys, yaml, json; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))' "$1" >"$1.json"; }

# A container with most of what there is.
rich_container() {
  mkdir -p vol
  "$LAY" run -d --name rich -h box -e 'A=yes' -e $'B=1: "2" #3\n4\t%h $HOME $(A) \\' -e C= -v "$PWD/vol:/v:ro" --tmpfs /t:size=1m -p 127.0.0.1:18080:80 \
    -u 1000:100 -w /tmp --cap-add NET_ADMIN --cap-drop KILL --read-only --ulimit nofile=64:128 --sysctl net.core.somaxconn=99 \
    --memory 64m --cpus 0.5 --pids-limit 50 --security-opt no-new-privileges -l 'x.y=no' --stop-timeout 3 --shm-size 1m "$@" \
    small sh -c 'trap "exit 0" TERM; echo "$0" "$B"; sleep 1000 & wait' 'an argument' >/dev/null
}

@test "compose: python and docker-compose read back each value as it was given" {
  rich_container
  "$LAY" generate compose -f compose.yaml rich
  yaml compose.yaml
  local s='.[0].services.rich'
  [ "$(jq -r "$s.environment.A" compose.yaml.json)" = yes ]
  [ "$(jq -r "$s.environment.B" compose.yaml.json)" = $'1: "2" #3\n4\t%h $$HOME $$(A) \\' ]
  [ "$(jq -c "$s.ports" compose.yaml.json)" = '["127.0.0.1:18080:80/tcp"]' ]
  [ "$(jq -c "$s.volumes[0] | [.source, .target, .read_only]" compose.yaml.json)" = "[\"$PWD/vol\",\"/v\",true]" ]
  [ "$(jq -c "$s | [.user, .working_dir, .hostname, .read_only, .pids_limit, .mem_limit, .cpus, .stop_grace_period, .labels[\"x.y\"]]" compose.yaml.json)" = \
    '["1000:100","/tmp","box",true,50,"67108864","0.5","3s","no"]' ]
  command -v docker-compose >/dev/null || skip "docker-compose is not installed"
  docker-compose -f compose.yaml config -q
}

@test "kube: a YAML reader finds what the container has, and what cannot be said is named" {
  rich_container
  "$LAY" generate kube -f pod.yaml rich 2>notes
  yaml pod.yaml
  local c='.[0].spec.containers[0]'
  [ "$(jq -r "$c.env[] | select(.name == \"A\").value" pod.yaml.json)" = yes ]
  [ "$(jq -r "$c.resources.limits | .memory, .cpu" pod.yaml.json)" = $'67108864\n0.5' ]
  [ "$(jq -c "$c.securityContext | [.runAsUser, .runAsGroup, .readOnlyRootFilesystem, .allowPrivilegeEscalation]" pod.yaml.json)" = '[1000,100,true,false]' ]
  has "$(cat notes)" "kube cannot say --ulimit=nofile=64:128"
  has "$(cat notes)" "kube cannot say --pids-limit=50"
}

@test "kube --service has the published ports, and its labels lead to the pod" {
  rich_container
  "$LAY" generate kube --service --name 'My_App' rich >pod.yaml 2>/dev/null
  yaml pod.yaml
  [ "$(jq -c '.[1].spec | [.selector.app, .ports[0].port, .ports[0].targetPort]' pod.yaml.json)" = '["my-app",18080,80]' ]
  [ "$(jq -r '.[0].metadata.labels.app' pod.yaml.json)" = my-app ]
}

@test "quadlet: every line is one that quadlet knows, quoted as systemd reads it" {
  rich_container --landlock ro=/,rw=/tmp
  "$LAY" generate quadlet rich >rich.container 2>notes
  has "$(cat rich.container)" 'Environment="B=1: \"2\" #3\n4\t%%h $$HOME $$(A) \\"'
  has "$(cat rich.container)" "PublishPort=127.0.0.1:18080:80/tcp"
  has "$(cat rich.container)" "# not expressed: --landlock=ro=/,rw=/tmp"
  has "$(cat rich.container)" '"an argument"'
  has "$(cat notes)" "quadlet cannot say --landlock=ro=/,rw=/tmp"
  [ "$(grep -cvE '^(\[(Unit|Container|Install)\]|[A-Za-z]+=.+|#.*|)$' rich.container)" = 0 ]
}

# Of podman-systemd.unit(5), with the values that each key takes and how often it may be there.
check_quadlet() {
  python3 - "$1" <<'PY'
import re, sys
flag = r"(true|false)"
any_text = r".+"
keys = {  # key: value, and whether the last of several counts alone
  "AddCapability": (r'"?[A-Z_ ]+"?', False), "AddDevice": (r"/\S+", False), "AddHost": (r"\S+:\S+", False), "ContainerName": (r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", True),
  "DNS": (r"[0-9a-f:.]+", False), "DNSOption": (r"\S+", False), "DNSSearch": (r"\S+", False), "DropCapability": (r'"?[A-Za-z_ ]+"?', False),
  "Environment": (any_text, False), "Exec": (any_text, True), "GroupAdd": (r"\S+", False), "HostName": (r"\S+", True), "Image": (r"\S+", True),
  "IP": (r"[0-9.]+", True), "IP6": (r"[0-9a-f:]+", True), "Label": (any_text, False), "LogDriver": (r"\S+", True), "Network": (r"\S+", False),
  "NoNewPrivileges": (flag, True), "PidsLimit": (r"-?[0-9]+", True), "PodmanArgs": (r'("?--[a-z0-9-]+(=.*)?"?)', False), "PublishPort": (r"\S+", False),
  "ReadOnly": (flag, True), "RunInit": (flag, True), "ShmSize": (r"[0-9]+[bkmg]?", True), "Sysctl": (r"\S+=.*", False), "Tmpfs": (r"/\S+", False),
  "Ulimit": (r"[a-z]+=-?[0-9]+(:-?[0-9]+)?", False), "UserNS": (r"\S+", True), "Volume": (r"\S+", False), "WorkingDir": (r"/.*", True)}
sections = {"Unit": {"Description": (any_text, True)}, "Container": keys, "Install": {"WantedBy": (r"[a-z-]+\.target", True)}}
section, seen, wrong = None, {}, []
for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    line = line.rstrip("\n")
    if not line or line.startswith("#"): continue
    if match := re.fullmatch(r"\[(\w+)\]", line):
        section = match[1]
        if section not in sections or section in seen: wrong.append((number, line))
        seen[section] = {}
        continue
    key, _, value = line.partition("=")
    pattern, is_single = sections.get(section, {}).get(key, (None, False))
    if pattern is None or not re.fullmatch(pattern, value) or line.endswith("\\") and not line.endswith("\\\\") or (is_single and key in seen[section]): wrong.append((number, line))
    elif re.sub(r"%%", "", value).count("%"): wrong.append((number, line))  # which systemd would replace
    seen[section][key] = value
if "Image" not in seen.get("Container", {}): wrong.append("no image")
for each in wrong: print(each)
sys.exit(bool(wrong))
PY
}

@test "quadlet: each key is one of podman-systemd.unit(5), with a value that it takes" {
  rich_container --dns 1.2.3.4 --dns-search example.org --dns-option ndots:1 --init --group-add 7 --device /dev/zero:/dev/other:r --add-host box2:5.6.7.8 \
    --stop-signal USR1 --cap-add SYS_TIME --oom-score-adj 300 --cpu-shares 300 --memory-swap 128m --cpuset-cpus 0
  local name
  for name in rich small; do
    "$LAY" generate quadlet "$name" >unit 2>notes
    check_quadlet unit || { cat unit; return 1; }
  done
  "$LAY" run -d --name second --network host --privileged small sleep 100 >/dev/null
  "$LAY" generate quadlet second >unit 2>notes
  check_quadlet unit || { cat unit; return 1; }
  # and the judge sees what is wrong
  local line
  for line in "NoSuchKey=x" "ReadOnly=maybe" "ContainerName=a b" "PidsLimit=many" "Environment=A=%h"; do
    { "$LAY" generate quadlet small; echo "$line"; } 2>/dev/null | sed '/^\[Install/,/^WantedBy/d' >unit
    run check_quadlet unit
    [ "$status" -eq 1 ] || { echo "taken: $line"; return 1; }
  done
}

@test "the same container gives the same bytes, and an image has a recipe too" {
  rich_container
  local format
  for format in quadlet kube compose; do
    "$LAY" generate "$format" rich >one 2>/dev/null
    "$LAY" generate "$format" rich >two 2>/dev/null
    cmp one two
    "$LAY" generate "$format" small >image
    grep -q small image
  done
  refused 1 "no image 'nosuch'" "$LAY" generate kube nosuch
  refused 1 "cannot be the name" "$LAY" generate kube --name '../x' small
  run "$LAY" generate helm small
  [ "$status" != 0 ]
}

@test "podman kube play runs the pod, and the container has what it had under lay" {
  pods=$(mktemp -d /run/lay-pods.XXXXXX)
  printf '%s\n' '[containers]' "default_ulimits = ['nofile=1024:1024', 'nproc=1024:1024']" >podman.conf
  mkdir -m 777 vol
  "$LAY" run -d --name pod1 --network host -e 'A=yes: no' -e 'B=plain $HOME' -v "$PWD/vol:/v" -w /tmp -u 5:6 --read-only \
    small sh -c 'id -u >/v/out; id -g >>/v/out; pwd >>/v/out; echo "$A|$B" >>/v/out; touch /x 2>>/v/out; exec sleep 100' >/dev/null
  wait_until 5 grep -q Read-only vol/out
  mv vol/out under-lay
  "$LAY" generate kube pod1 >pod.yaml
  "$LAY" rm -f pod1 >/dev/null
  "$LAY" save small | podman_ load -q >/dev/null
  podman_ kube play pod.yaml
  wait_until 10 grep -q Read-only vol/out
  diff under-lay vol/out
  podman_ kube down pod.yaml
}

@test "a container that is on the bridge of all and on another network has both in what is written, or is told" {
  small_image
  "$LAY" network create n4 >/dev/null
  "$LAY" run -d --name two --network bridge --network n4 small sleep 100 >/dev/null
  "$LAY" generate quadlet two >unit
  [ "$(grep ^Network= unit | sort | xargs)" = "Network=bridge Network=n4" ]
  local format
  for format in compose kube; do
    "$LAY" generate $format two >/dev/null 2>notes
    grep -q -- "--network=bridge" notes
  done
  "$LAY" rm -f two >/dev/null
  "$LAY" network rm n4 >/dev/null
}
