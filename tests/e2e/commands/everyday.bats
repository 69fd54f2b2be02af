#!/usr/bin/env bats
# Everyday commands that no other story needs: names and histories, logging in and out, a registry with a certificate,
# images that podman made, and the installed program.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

@test "tag gives a second name, rmi takes one away, history tells how the layers came about" {
  "$LAY" tag small second:1 third
  [ "$("$LAY" inspect -f '{{.Digest}}' second:1)" = "$("$LAY" inspect -f '{{.Digest}}' small)" ]
  "$LAY" rmi small third >/dev/null
  [ "$("$LAY" run --rm --network none second:1 echo hello)" = hello ]
  mkdir upper out
  echo changed >upper/file
  "$LAY" commit ./upper fourth:1 --base second:1 --message "a file more" --iidfile out/id >id
  cmp id <(cat out/id; echo)
  [ "$("$LAY" history --format '{{.CreatedBy}}|{{.Comment}}' fourth:1)" = $'lay commit|a file more\nlay import|' ]
  has "$("$LAY" history fourth:1)" "CREATED BY"
}

# archive_named NAME FILE: a docker archive of an image of its own, which it calls so.
archive_named() {
  python3 - "$@" <<'PY'
import hashlib, io, json, sys, tarfile
def tar(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
layer = tar([("pwned", b"evil")])
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
manifest = json.dumps([{"Config": "./c.json", "RepoTags": [sys.argv[1]], "Layers": ["./1"]}]).encode()
open(sys.argv[2], "wb").write(tar([("manifest.json", manifest), ("c.json", config), ("1", layer)]))
PY
}

@test "an image that podman names localhost/NAME is found by its short name, before docker.io's" {
  "$LAY" tag small localhost/bb:1
  "$LAY" tag small localhost/team/app:latest
  "$LAY" import -q ./small docker.io/library/bb:1 --label of=docker >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' small)
  for name in bb:1 localhost/bb:1 team/app "bb@$digest" "bb:1@$digest"; do
    [ "$("$LAY" inspect --type image -f '{{.Digest}}' "$name")" = "$digest" ]
    "$LAY" run --rm --network none --pull never "$name" true
  done
  [ "$("$LAY" inspect -f '{{.Config.Labels.of}}' docker.io/bb:1)" = docker ]
  [ "$("$LAY" inspect -f '{{.Config.Labels.of}}' index.docker.io/library/bb:1)" = docker ]
  "$LAY" rmi bb:1 >/dev/null
  [ "$("$LAY" inspect -f '{{.Config.Labels.of}}' bb:1)" = docker ]
  refused 1 "no image 'localhost/bb:1'" "$LAY" rmi localhost/bb:1
  refused 1 "no image 'example.org/team/app'" "$LAY" rmi example.org/team/app
}

@test "no name stands in for the id of another image" {
  local id evil words
  id=$("$LAY" inspect -f '{{.Id}}' small)
  archive_named "$id" named-as-id.tar
  refused 1 "how a digest begins" "$LAY" load -q -i named-as-id.tar
  archive_named evil:1 evil.tar
  "$LAY" load -q -i evil.tar >/dev/null
  evil=$("$LAY" inspect -f '{{.Id}}' evil:1)
  mkdir upper
  for words in "tag evil:1 $id" "tag evil:1 ${id:0:19}" "commit ./upper $id" "import ./small $id"; do
    refused 1 "how a digest begins" "$LAY" $words
  done
  # A name that another program, or an older lay, wrote into the store
  jq --arg id "$id" '(.manifests[].annotations["org.opencontainers.image.ref.name"] | select(. == "evil:1")) = $id' \
    "$LAY_ROOT/index.json" >index && cp index "$LAY_ROOT/index.json"
  [ "$("$LAY" inspect -f '{{.Id}}' "$id")" = "$id" ]
  [ "$("$LAY" run --rm --network none "$id" echo hello)" = hello ]
  "$LAY" commit -q ./upper ours:1 --base "$id" >/dev/null
  [ "$("$LAY" run --rm --network none ours:1 echo hello)" = hello ]
  "$LAY" rmi "$evil" >/dev/null
  [ "$("$LAY" images --format '{{.Repository}}:{{.Tag}}' | sort)" = $'ours:1\nsmall:latest' ]
}

@test "an id with several manifests or names stands for all of them, and rmi takes none at random" {
  local id short
  mkdir upper
  echo text >upper/file
  id=$("$LAY" commit -q ./upper a:1 --base small)
  [ "$("$LAY" commit -q --compression none ./upper a:2 --base small)" = "$id" ]
  [ "$("$LAY" run --rm --network none "$id" cat /file)" = text ]
  [ "$("$LAY" inspect -f '{{.Id}}' "${id:7:12}")" = "$id" ]
  "$LAY" save -q "$id" -o saved.tar
  "$LAY" tag "${id#sha256:}" a:3
  for short in "$id" "${id:7:12}"; do
    refused 1 "has several names: a:1, a:2, a:3" "$LAY" rmi "$short"
  done
  "$LAY" run -d --name c --network none a:2 sleep 100 >/dev/null
  "$LAY" rmi a:3 >/dev/null
  [ "$("$LAY" rmi -f "$id")" = $'Untagged: a:1\nUntagged: a:2' ]
  [ "$("$LAY" images -q | wc -l)" = 1 ]
  "$LAY" rm -f c >/dev/null
  id=$("$LAY" commit -q ./upper b:1 --base small)
  "$LAY" run --name c --network none b:1 true
  refused 1 "used by c" "$LAY" rmi "$id"
  "$LAY" rm c >/dev/null
  [ "$("$LAY" rmi "$id")" = "Untagged: b:1" ]
}

@test "Ctrl-C at the password prompt ends login with 130, and the terminal shows what is typed again" {
  python3 - "$LAY" <<'PY'
import os, signal, sys, termios
signal.alarm(20)
terminal, slave = os.openpty()
pid = os.fork()
if pid == 0:
    os.login_tty(slave)
    os.execv(sys.argv[1], [sys.argv[1], "login", "-u", "ann", "localhost:1"])
shown = b""
while b"Password: " not in shown:
    shown += os.read(terminal, 1024)
while termios.tcgetattr(slave)[3] & termios.ECHO:  # the prompt is there before the echo goes
    pass
os.write(terminal, b"half a s3cret\x03")
_, status = os.waitpid(pid, 0)
shown += os.read(terminal, 1024)
assert os.waitstatus_to_exitcode(status) == 130, (status, shown)
assert termios.tcgetattr(slave)[3] & termios.ECHO, "the terminal stays dark"
assert b"s3cret" not in shown, shown
PY
}

@test "login takes user and password from the lines of a pipe" {
  local status=0
  "$LAY" login localhost:1 <<<$'ann\ns3cret' 2>err || status=$?
  [ "$status" = 1 ]
  has "$(<err)" "cannot reach"
}

@test "logout forgets what login kept" {
  export REGISTRY_AUTH_FILE=$world/auth.json
  printf '{"auths":{"localhost:1":{"auth":"YW5uOnB3"},"other.example":{"auth":"Ym9iOnB3"}}}' >auth.json
  [ "$("$LAY" logout localhost:1)" = "Removed login credentials for localhost:1" ]
  [ "$(jq -c '.auths | keys' auth.json)" = '["other.example"]' ]
  refused 1 "not logged in" "$LAY" logout localhost:1
}

# start_tls_registry: as start_registry, with a certificate for localhost that ca.pem of the current folder signed.
start_tls_registry() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ca.key -out ca.pem \
    -subj "/CN=test authority" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout site.key -out site.csr \
    -subj "/CN=localhost" 2>/dev/null
  openssl x509 -req -in site.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out site.pem \
    -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") 2>/dev/null
  port=$(free_port)
  mkdir -p tls/data
  cat >tls/config.yml <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $world/tls/data}}
http: {addr: 127.0.0.1:$port, tls: {certificate: $world/site.pem, key: $world/site.key}}
YAML
  OTEL_TRACES_EXPORTER=none docker-registry serve tls/config.yml >tls/log 2>&1 &
  registry_pid=$!
  registry=localhost:$port
  wait_until 10 curl -fsS --cacert ca.pem "https://$registry/v2/" || { cat tls/log; return 1; }
}

@test "a registry with a certificate is trusted through SSL_CERT_FILE, and not without" {
  start_tls_registry
  refused 1 "certificate" "$LAY" push small "$registry/small:1"
  SSL_CERT_FILE=$world/ca.pem "$LAY" push small "$registry/small:1" --digestfile digest >/dev/null
  [ "$(cat digest)" = "$("$LAY" inspect -f '{{.Digest}}' small)" ]
  SSL_CERT_FILE=$world/ca.pem "$LAY" --root "$world/root2" pull "$registry/small:1" >/dev/null
  [ "$("$LAY" --root "$world/root2" run --rm --network none "$registry/small:1" echo hello)" = hello ]
  "$LAY" --root "$world/root3" pull --tls-verify=false "$registry/small:1" >/dev/null
}

@test "an image that podman made and pushed is pulled and run" {
  start_registry "$world/registry"
  podman_() { podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs --events-backend file "$@"; }
  tar -C small -cf small.tar .
  podman_ import -q --change 'CMD ["/bin/cat","/etc/group"]' --change ENV=MADE_BY=podman small.tar made:1 >/dev/null
  podman_ push -q --tls-verify=false made:1 "docker://$registry/made:1"
  run "$LAY" run --rm --network none "$registry/made:1"
  has "$output" extra
  run "$LAY" run --rm --network none "$registry/made:1" sh -c 'echo $MADE_BY'
  [ "$output" = podman ]
}

@test "the program and its manual page are installed" {
  DESTDIR=$world/installed cmake --install "$(dirname "$LAY")" >/dev/null
  run find "$world/installed" ! -type d -printf '%f\n'
  [ "$(LC_ALL=C sort <<<"$output")" = $'lay\nlay-oci\nlay-oci.1\nlay.1' ]
  "$(find "$world/installed" -name lay)" --version | grep -q '^lay '
  "$(find "$world/installed" -name lay-oci)" --version | grep -q '^lay-oci version'
}

@test "where no thread can be had, a commit says so and ends" {
  mkdir upper
  echo x >upper/x
  local thread
  for thread in 1 2 3; do
    refused_thread "$thread"
  done
  "$LAY" commit -q ./upper app:1 >/dev/null
  "$LAY" fsck -q
}

# refused_thread N: the N-th thread of a commit cannot be made; it may do without, but neither hang nor crash.
refused_thread() {
  local status=0
  timeout 20 strace -f -qq -o /dev/null -e trace=clone3 -e "inject=clone3:error=EAGAIN:when=$1" \
    "$LAY" commit -q ./upper app:1 >said 2>told || status=$?
  ((status == 0)) || { ((status == 1)) && grep -q "start a thread: Resource temporarily unavailable" told; } ||
    { echo "thread $1: $status"; cat told; return 1; }
}

@test "an import that is interrupted while it inflates says that, and not that the file is damaged" {
  mkdir -p random
  head -c 150M /dev/urandom | base64 >random/file
  tar -C random -czf random.tar.gz .
  local round status
  for round in 1 2 3 4; do
    status=0
    # Signals the whole group, as Ctrl-C does.
    timeout --preserve-status -s INT "0.$((round * 2))" "$LAY" import random.tar.gz random:1 >said 2>told || status=$?
    ((status == 0 || status == 130)) || { echo "$status"; cat told; return 1; }
  done
}

# interrupted COMMAND...: SIGINT ends it at once, though nobody gives it anything or takes anything from it.
interrupted() { ended_by INT "$@"; }

@test "waiting for a pipe ends when the user asks for it" {
  small_image
  mkfifo silent full
  exec {silent}<>silent {full}<>full
  interrupted "$LAY" import - x:1 <&"$silent"
  interrupted "$LAY" load <&"$silent"
  interrupted "$LAY" save small >&"$full"
  ended_by TERM "$LAY" load <&"$silent"
  exec {silent}>&- {full}>&-
  interrupted "$LAY" load -i silent
  ended_by TERM "$LAY" copy docker-archive:silent x:1
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

@test "what is wrong with the flags of run is told before a missing image is pulled" {
  "$LAY" network create --subnet 10.77.0.0/24 one >/dev/null
  early() {
    local words=$1
    shift
    refused 125 "$words" "$LAY" run "$@" 127.0.0.1:1/none true
    ! grep -qi pull "$world/refused.err" || return 1
  }
  early "--log-driver" --log-driver syslog
  early "max-size" --log-opt max-size=none
  early "landlock" --landlock wings=2
  early "/nowhere" --security-opt seccomp=/nowhere
  early "auto:size" --userns auto:size=0
  early "wings" --ulimit wings=2
  early "sysctl" --sysctl kernel.panic=1
  early "none for a container in 10.77.0.0/24" --network one --ip 10.99.0.1
  early "no IPv6" --network one --ip6 fd00::2
  early "no IPv6 address" --network one -p '[::1]:80:80'
  early "network 'nowhere' is not known" --network nowhere
  early "no container" --network container:nowhere
}

@test "an empty value behind '=' is an empty value, as docker and podman have it" {
  "$LAY" import -q ./small entered:1 --entrypoint '["echo", "entered"]' >/dev/null
  [ "$("$LAY" run --rm --network none entered:1 x)" = "entered x" ]
  [ "$("$LAY" run --rm --network none --entrypoint= entered:1 echo x)" = x ]
  [ "$("$LAY" run --rm --network none --name= --user= --hostname= small echo x)" = x ]
  "$LAY" run -d --name placed --network none -w /etc small sleep 1000 >/dev/null
  [ "$("$LAY" exec -w= placed sh -c pwd)" = /etc ]
  [ "$("$LAY" exec --workdir= placed sh -c pwd)" = /etc ]
  "$LAY" run --name made --network none small touch /new
  "$LAY" commit -q --message= --author= made made:1 --cmd= >/dev/null
  [ "$("$LAY" inspect -f '{{len .Config.Cmd}}' made:1)" = 0 ]
}

@test "a short flag takes its value behind '=', and a truth too, as with docker and podman" {
  "$LAY" run --name made --network none -e=A=b -u=1000 -m=64m -w=/tmp -t=false small sh -c 'env; id -u; pwd' >out
  [ "$(grep -cxE 'A=b|1000|/tmp' out)" = 3 ]
  [ "$("$LAY" inspect -f='{{.Name}} {{.Config.Tty}}' made)" = "made false" ]
  [ "$("$LAY" run --rm --network none -it=false small sh -c 'test -t 1 || echo no terminal' </dev/null)" = "no terminal" ]
  [ "$("$LAY" ps -a -f=name=made --format '{{.Names}}')" = made ]
  [ "$("$LAY" logs -n=1 made)" = /tmp ]
  "$LAY" commit -q -m='a message' -a=me made made:1 >/dev/null
  [ "$("$LAY" inspect -f '{{.Author}}' made:1)" = me ]
  [ "$("$LAY" history --format '{{.Comment}}' made:1 | head -n 1)" = "a message" ]
  "$LAY" save -q -o=saved.tar small
  [ -s saved.tar ] && [ ! -e =saved.tar ]
}

@test "more open files than the machine allows are refused, and how many it allows is said" {
  refused 125 "set RLIMIT_NOFILE to unlimited:unlimited" "$LAY" run --rm --network none --ulimit nofile=-1 small true
  grep -qx "hint: here it may be $(ulimit -Hn) at most; .*/proc/sys/fs/nr_open.*" refused.err
}

@test "flags that ask for what lay does anyhow, and further spellings of others, are taken" {
  [ "$("$LAY" run --rm --network none --restart=no --no-healthcheck small echo x)" = x ]
  [ "$("$LAY" run --rm --network none --restart= -c 512 small echo x)" = x ]
  "$LAY" run --name capable --network none --cap-add SYS_TIME,NET_RAW --cap-drop chown,KILL small true
  [ "$("$LAY" inspect -f '{{.HostConfig.CapAdd}}' capable | tr ' ' '\n' | tr -d '[]' | sort | xargs)" = "NET_RAW SYS_TIME" ]
  [ "$("$LAY" inspect -f '{{.HostConfig.CapDrop}}' capable | tr ' ' '\n' | tr -d '[]' | sort | xargs)" = "CHOWN KILL" ]
}

@test "flags of the command that is run are its own, however they are spelled" {
  [ "$("$LAY" run --rm --network none small echo --name= -t=false -e= --)" = "--name= -t=false -e= --" ]
  [ "$("$LAY" run --rm --network none -- small echo --name= -t=false)" = "--name= -t=false" ]
  "$LAY" run -d --name awake --network none small sleep 60 >/dev/null
  [ "$("$LAY" exec -e=A=b -u= awake sh -c 'echo $A "$@"' sh -t=false --user=)" = "b -t=false --user=" ]
  "$LAY" rm -f awake >/dev/null
}

@test "a layer that cannot be mounted leaves neither a folder nor a mount" {
  local layer
  layer=$(echo "$LAY_ROOT"/layers/*/layer.erofs)
  [[ -e $layer ]] || skip "layers are unpacked on this machine"
  run strace -f -qq -o trace -e trace=fsmount -e inject=fsmount:error=EINVAL:when=1 \
    "$LAY" run --rm --network none small true
  [ "$status" = 125 ]
  has "$output" "mount layer"
  ! grep -qF " $LAY_RUN/layers" /proc/self/mountinfo || return 1
  [ -z "$(find "$LAY_RUN/layers" -mindepth 1 -type d)" ]
}
