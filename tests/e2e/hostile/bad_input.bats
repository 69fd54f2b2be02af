#!/usr/bin/env bats
# Bad input gets one clear line with a hint, a non-zero exit, and leaves the store as it was.

load ../support/world

setup() {
  open_world
  small_image
  state=$(store_state)
}
teardown() {
  local status=0
  [[ -z ${hostile_pid-} ]] || kill "$hostile_pid" 2>/dev/null || true
  [[ ${keeps_state-yes} == no || $(store_state) == "$state" ]] || { diff <(echo "$state") <(store_state); status=1; }
  leave_world && return "$status"
}

@test "an unknown command or flag is named" {
  refused 125 "unknown command 'frobnicate'" "$LAY" frobnicate
  refused 125 "unknown command 'image frobnicate'" "$LAY" image frobnicate
  refused 1 "--nope" "$LAY" images --nope
}

@test "a word that is almost a command, or one of docker's that lay lacks, is told what to write" {
  refused 125 "lay images?" "$LAY" imagse
  refused 125 "lay rmi?" "$LAY" image rmii
  refused 125 "lay commit" "$LAY" build .
  refused 125 "lay logs -f" "$LAY" container attach c
  refused 125 "lay run --name NEW" "$LAY" rename old new
  refused 125 "lay wait" "$LAY" events
  refused 125 "lay tags" "$LAY" search debian
}

@test "a flag of docker's or podman's that lay lacks is told what to do instead" {
  refused 125 "unknown flag: --gpus" "$LAY" run --gpus all small true
  has "$(<refused.err)" "hint: lay run --device"
  refused 125 "unknown flag: --rootfs" "$LAY" run --rootfs ./small true
  has "$(<refused.err)" "hint: lay import"
  refused 125 "unknown flag: --health-cmd=true" "$LAY" run --health-cmd=true small true
  has "$(<refused.err)" "lay exec CONTAINER"
  refused 1 "argument: --restart=always" "$LAY" update --restart=always c
  has "$(<refused.err)" "unit of systemd"
  refused 125 "--restart 'always'" "$LAY" run --restart always small true
  has "$(<refused.err)" "unit of systemd"
  refused 125 "--no-healthcheck=false" "$LAY" run --no-healthcheck=false small true
  refused 125 "--pull 'newer'" "$LAY" run --pull newer small true
  has "$(<refused.err)" "hint: --pull always"
  refused 125 "unknown flag: --nope" "$LAY" run --nope small true
  has "$(<refused.err)" "hint: lay run --help"
}

@test "help COMMAND is the command's own help, in each of its forms" {
  diff <("$LAY" help commit) <("$LAY" commit --help)
  diff <("$LAY" help image ls) <("$LAY" images --help)
  diff <("$LAY" help network create) <("$LAY" network create --help)
  diff <("$LAY" help run debian:12 true) <("$LAY" run --help)
  diff <("$LAY" help) <("$LAY" --help)
  refused 125 "unknown command 'frobnicate'" "$LAY" help frobnicate
}

@test "a compression that is none is refused" {
  refused 1 "compression 'foo'" "$LAY" commit ./small x:1 --base small --compression foo --author 'somebody with a name that is not short'
  refused 1 "compression 'foo'" "$LAY" import ./small x:1 --compression foo --author 'somebody with a name that is not short'
}

@test "a stop signal or a volume that an image cannot have is refused" {
  refused 1 "'NOPE' is not a signal" "$LAY" commit ./small x:1 --base small --stop-signal NOPE
  refused 1 "'rel' is not an absolute path" "$LAY" import ./small x:1 --volume rel
}

@test "an unknown image is named by whatever needs it" {
  run "$LAY" inspect nosuch
  [ "$status" -eq 1 ]
  has "$output" nosuch
  refused 1 "no image 'nosuch'" "$LAY" push nosuch localhost:1/x
  refused 1 "no image 'nosuch'" "$LAY" rmi nosuch
  refused 1 "no image 'nosuch'" "$LAY" tag nosuch other
  refused 1 "no image 'nosuch'" "$LAY" commit ./small new:1 --base nosuch
  refused 125 "no image 'nosuch'" "$LAY" run --pull never nosuch true
  grep -q '^hint: ' refused.err
}

@test "a folder where an archive is expected is told from one, with what to write instead" {
  refused 1 "load ./small: is a folder, expected an archive" "$LAY" load -i ./small
  grep -q '^hint: .*lay copy oci:./small NAME' refused.err
}

@test "a malformed name is refused by import and pull" {
  for name in 'UPPER:1' 'a//b' 'x:' 'x:tag with space' '-x/y' 'a/../b' 'http://host/x' "$(printf 'a%0.s' {1..300})" $'new\nline'; do
    refused 1 "" "$LAY" import ./small "$name"
    refused 1 "" "$LAY" pull "$name"
  done
}

@test "an unknown container is named by whatever needs it" {
  for verb in logs stop kill start wait rm; do
    code=1
    refused "$code" "nobody" "$LAY" "$verb" nobody
  done
  refused 125 "nobody" "$LAY" exec nobody true
}

@test "a damaged blob is named with what it is and what it should be" {
  keeps_state=no
  layer=$("$LAY" inspect small | jq -r '.[0].Layers[0].digest')
  file=$LAY_ROOT/blobs/sha256/${layer#sha256:}
  chmod u+w "$file"
  printf X | dd of="$file" bs=1 seek=100 conv=notrunc status=none
  start_registry "$world/registry"
  refused 1 "expected $layer" "$LAY" push -q small "$registry/x:1"
  run curl -fsS "http://$registry/v2/x/manifests/1"
  [ "$status" -eq 22 ]
}

@test "an image is found by its id though another one is damaged, which is told when none fits" {
  keeps_state=no
  "$LAY" import -q ./small other:1 --label a=b >/dev/null
  id=$("$LAY" inspect -f '{{.Id}}' small)
  file=$LAY_ROOT/blobs/sha256/$("$LAY" inspect -f '{{.Digest}}' other:1 | cut -d: -f2)
  chmod u+w "$file"
  printf '{}' >"$file"
  [ "$("$LAY" inspect -f '{{.Id}}' "$id")" = "$id" ]
  refused 1 "image 'other:1'" "$LAY" tag sha256:0123456789 new:1
}

@test "no layer is made of a damaged blob" {
  keeps_state=no
  "$LAY" commit ./small other:1 >/dev/null
  layer=$("$LAY" inspect other:1 | jq -r '.[0].Layers[0].digest')
  file=$LAY_ROOT/blobs/sha256/${layer#sha256:}
  chmod u+w "$file"
  printf X | dd of="$file" bs=1 seek=2000 conv=notrunc status=none
  rm -r --one-file-system "$LAY_ROOT/layers/$("$LAY" inspect other:1 | jq -r '.[0].RootFS.Layers[0]' | cut -d: -f2)"
  refused 125 "${layer#sha256:}" "$LAY" run --rm --network none other:1 /bin/true
}

@test "a registry that is down cannot be reached, says lay" {
  refused 1 "cannot reach" "$LAY" pull localhost:1/x:1
  refused 1 "cannot reach" "$LAY" push small localhost:1/x:1
}

@test "a proxy that is down is named, its password is not" {
  export http_proxy=http://ann:s3cret@127.0.0.1:1 https_proxy=http://ann:s3cret@127.0.0.1:1
  refused 1 "reg.invalid through proxy 'http://127.0.0.1:1': connection refused" \
    "$LAY" pull -q --retry 0 reg.invalid/x:1
  has "$(<refused.err)" https_proxy
  ! grep -q s3cret refused.err || return 1
}

# answering STATUS HEADER...: a server that answers each request so, with a page; sets port.
answering() {
  port=$(free_port)
  python3 - "$port" "$@" 3>&- <<'PY' &
import http.server, sys
status, headers = int(sys.argv[2]), [header.split(": ", 1) for header in sys.argv[3:]]
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status):
        body = b"<html>no"
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in headers + [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def do_GET(self):
        self.answer(200 if status == 413 and self.path == "/v2/" else 404 if status == 413 else status)
    do_HEAD = do_GET
    def do_POST(self):
        self.answer(202 if status == 413 else status)
    def do_PUT(self):
        self.answer(status)
    do_PATCH = do_PUT
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
PY
  hostile_pid=$!
  wait_until 10 curl -sS "http://127.0.0.1:$port/"
}

@test "a registry that refuses without a word of how to log in is told of" {
  answering 401
  refused 1 "does not say how to log in" "$LAY" pull -q --retry 0 "localhost:$port/x:1"
}

@test "a blob that is too large for what is in front of the registry: the hint says how to send less at once" {
  keeps_state=no
  answering 413 "Location: /v2/x/blobs/uploads/1"
  refused 1 "too large" "$LAY" push -q --retry 0 small "localhost:$port/x:1"
  has "$(<refused.err)" LAY_UPLOAD_CHUNK
}

@test "a flag that is not known is told apart from what stands behind it" {
  refused 1 "argument: --nope" "$LAY" push --nope gzip small localhost:1/x:1
  ! grep -q 'x:1' refused.err || return 1
}

@test "a registry that answers nonsense is named" {
  port=$(free_port)
  mkdir nonsense
  python3 -m http.server -d nonsense --bind 127.0.0.1 "$port" >/dev/null 2>&1 &
  server=$!
  wait_until 5 curl -sS "http://127.0.0.1:$port/"
  refused 1 "localhost:$port" "$LAY" pull "localhost:$port/x:1"
  kill "$server"
}

@test "R14, J11: tags and labels of a registry cannot control the terminal, and name nothing here" {
  local port
  keeps_state=no
  port=$(free_port)
  python3 "$here/../../support/hostile_registry.py" tags-escape "$port" "$(free_port)" "$world/requests" 3>&- &
  hostile_pid=$!
  wait_until 20 curl -s -o /dev/null "http://127.0.0.1:$port/v2/"
  "$LAY" tags "localhost:$port/team/app" >shown
  "$LAY" pull -q "localhost:$port/team/app:1" >>shown
  "$LAY" inspect "localhost:$port/team/app:1" >>shown
  "$LAY" inspect "docker://localhost:$port/team/app:1" >>shown
  "$LAY" images >>shown
  "$LAY" history "localhost:$port/team/app:1" >>shown
  "$LAY" rmi "localhost:$port/team/app:1" >>shown
  [ "$(tr -d '\n[:print:]' <shown | LC_ALL=C tr -d '\200-\377' | wc -c)" = 0 ]
  ! grep -q $'\u202e' shown || return 1
}

@test "an image that the registry does not have is named" {
  start_registry "$world/registry"
  refused 1 "nosuch" "$LAY" pull "$registry/nosuch:1"
}

@test "a port that a stranger uses is named, and no container is left" {
  port=$(free_port)
  python3 -m http.server --bind 127.0.0.1 "$port" >/dev/null 2>&1 &
  server=$!
  wait_until 5 curl -sS "http://127.0.0.1:$port/"
  refused 125 "port $port" "$LAY" run --rm -p "$port:80" small true
  kill "$server"
  keeps_state=no
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "a missing command and a bad limit leave no container with --rm" {
  keeps_state=no
  refused 127 "nosuch" "$LAY" run --rm small nosuch
  refused 125 "--memory" "$LAY" run --rm --memory lots small true
  refused 125 "notaport" "$LAY" run --rm -p notaport small true
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "a folder that is not there is no volume" {
  keeps_state=no
  refused 125 "/no/such/folder" "$LAY" run --rm --network none -v /no/such/folder:/x small true
}

@test "run and commit tell others than root that they need it" {
  cp "$LAY" "$world/lay"
  chmod 755 "$world" "$world/lay"
  refused 125 "root" setpriv --reuid 65534 --regid 65534 --clear-groups "$world/lay" run small true
  refused 1 "root" setpriv --reuid 65534 --regid 65534 --clear-groups "$world/lay" commit ./small x:1
}

@test "a full disk: the store is as it was, and there is room for the next try" {
  mkdir full
  # in a mount namespace of its own, so that the small disk is gone with it
  run unshare --mount --propagation private bash -ec '
    mount -t tmpfs -o size=3m tmpfs full
    "$LAY" --root "$PWD/full/root" import ./small a:1 >/dev/null
    head -c 4000000 /dev/urandom >big-file
    mkdir big; mv big-file big/file
    before=$(find full/root | sort)
    status=0; "$LAY" --root "$PWD/full/root" import ./big b:1 2>err || status=$?
    cat err
    [ "$status" -eq 1 ]
    grep -q "No space left" err
    [ "$before" = "$(find full/root | sort)" ]
    [ "$("$LAY" --root "$PWD/full/root" images -q | wc -l)" -eq 1 ]
    mount -o remount,size=30m full
    "$LAY" --root "$PWD/full/root" import ./big b:1 >/dev/null'
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "a tar that is none, is cut off, or leads outside is not imported" {
  echo "this is no tar" >text
  refused 1 "it is no tar" "$LAY" import ./text x:1
  head -c 2000 /dev/urandom >noise
  refused 1 "it is no tar" "$LAY" import ./noise x:1
  tar -C small -cf whole.tar .
  head -c 100000 whole.tar >cut.tar
  refused 1 "cut.tar" "$LAY" import cut.tar x:1
  python3 - <<'PY'
import tarfile, io
with tarfile.open("evil.tar", "w") as tar:
    entry = tarfile.TarInfo("../../../../escaped"); entry.size = 1
    tar.addfile(entry, io.BytesIO(b"x"))
PY
  refused 1 "escaped" "$LAY" import evil.tar x:1
  xz -k whole.tar
  head -c 3000 whole.tar.xz >cut.tar.xz
  refused 1 "cut.tar.xz" "$LAY" import cut.tar.xz x:1
}

@test "an upper that cannot be a layer is not committed" {
  refused 1 "--base goes with an upper folder" "$LAY" commit upper x:1 --base small
  mkdir upper
  touch upper/.wh.file
  refused 1 ".wh.file" "$LAY" commit ./upper x:1
}

@test "a folder that is no store is not touched" {
  mkdir precious
  touch precious/file
  refused 1 "precious" "$LAY" --root "$world/precious" import ./small x:1
  [ "$(ls -A precious)" = file ]
}

@test "any command may be the first on a root; those that read make nothing" {
  local words
  for words in ps "ps -a" images df info fsck "inspect x" "history x" "push x localhost:1/x" "logs x" "stop x" "kill x" \
    "wait x" "rm x" "rm -f x" "exec x true" "start x"; do
    "$LAY" --root "$world/fresh" $words >/dev/null 2>&1 || [ $? -lt 126 ]
    [ ! -e "$world/fresh" ] || { echo "made by $words"; return 1; }
  done
  for words in ps images df info fsck; do "$LAY" --root "$world/fresh" $words; done
  refused 1 "no image 'x'" "$LAY" --root "$world/fresh" history x
  for words in "rmi x" "tag x y" "prune -f" "commit x y" "commit small/ y --base x" "pull localhost:1/x" \
    "run --pull never x true" "run localhost:1/x true"; do
    "$LAY" --root "$world/fresh" $words >/dev/null 2>&1 || [ $? -lt 126 ]
    "$LAY" --root "$world/fresh" import ./small a:1 >/dev/null || { echo "after $words"; return 1; }
    rm -r --one-file-system "$world/fresh"
  done
  mkdir -p "$world/fresh/containers/.names"  # what an older lay left of such a first command
  "$LAY" --root "$world/fresh" import ./small a:1 >/dev/null
  "$LAY" --root "$world/fresh" run --rm --network none a:1 true
}

# make_no_store CODE TEXT COMMAND-LINE... : each is refused with that text.
make_no_store() {
  local code=$1 text=$2 words
  shift 2
  for words; do
    refused "$code" "$text" "$LAY" --root "$world/fresh" $words || return 1
    [ ! -e "$world/fresh" ] || { echo "made by $words"; return 1; }
  done
}

@test "a wrong argument makes no store" {
  mkdir upper
  make_no_store 1 "No such file" "commit ./nothing x:1" "import ./nothing x:1" "import ./nothing.tar x:1" "load -i nothing" \
    "bundle x /nothing/out" "copy oci:nothing y" "copy oci-archive:nothing y" "copy docker-archive:nothing y" \
    "serve --htpasswd nothing" "serve --tls-cert nothing --tls-key nothing"
  make_no_store 1 "lower case" "commit ./upper BAD" "import ./upper BAD" "bundle BAD out" "pull BAD" "copy docker://BAD y" \
    "copy docker://localhost:1/x BAD" "copy docker://localhost:1/x docker://BAD"
  make_no_store 1 "no image 'x'" "tag x y" "save x" "save -o out x" "export x" "export -o out x" "rmi x" "diff x" \
    "diff ./upper --base x" "copy x y"
  make_no_store 1 "no image 'y'" "commit ./upper x:1 --base y" "diff ./upper y"
  make_no_store 1 "compression 'foo' is not known" "commit ./upper x:1 --compression foo" "import ./upper x:1 --compression foo"
  make_no_store 1 "no container has the name or id 'y'" "commit y x:1"
  make_no_store 1 "no 'lay.json'" "commit --bundle ./upper x:1"
  make_no_store 1 "neither a folder nor a file" "import /dev/null x:1"
  make_no_store 1 "is a folder" "load -i ./upper"
  make_no_store 1 "unknown image" "diff ./upper"
  make_no_store 1 "'a//b'" "pull a//b"
  make_no_store 1 "no duration" "serve --idle-timeout x"
  make_no_store 1 "no address" "serve --listen nonsense" "serve --listen 127.0.0.1:x"
  make_no_store 1 "--name" "serve --name docker.io" "serve --listen 127.0.0.1:0 --name BAD//"
  make_no_store 1 "go together" "serve --tls-cert /dev/null"
  make_no_store 1 "--allow" "serve --allow a:b:read"
  make_no_store 125 "no image 'x'" "run --pull never x true"
  make_no_store 125 "lower case" "run BAD true"
  make_no_store 125 "network 'nothing' is not known" "run --network nothing localhost:1/x true"
  [ ! -e out ]
  "$LAY" --root "$world/fresh" rmi -f x
  "$LAY" --root "$world/fresh" prune -f
  [ ! -e "$world/fresh" ]
}

@test "a path that is not there is named by import and commit" {
  refused 1 "./nosuch" "$LAY" import ./nosuch x:1
  refused 1 "./nosuch" "$LAY" commit ./nosuch x:1 --base small
}

@test "this machine's own root is no upper" {
  refused 1 "own root" "$LAY" commit / x:1
}

@test "a number that is none, and a flag without its value, are told as such" {
  refused 125 "--cpus 'abc' is no number" "$LAY" run --cpus abc small true
  refused 125 "--memory needs a value" "$LAY" run --memory
  refused 1 "unknown flag or argument: --nope" "$LAY" images --nope
}

@test "an empty value behind '=' is told, and no other word is taken for it" {
  refused 125 "--cpus: '' is no number" "$LAY" run --cpus= small true
  refused 125 "--stop-timeout: '' is no number" "$LAY" run --stop-timeout '' small true
  refused 1 "--time: '' is no number" "$LAY" stop --time= small
  refused 125 "--tty: '' is neither true nor false" "$LAY" run --tty= small true
  refused 125 "-t: '' is neither true nor false" "$LAY" run -it= small true
  refused 125 "--tty: 'maybe' is neither true nor false" "$LAY" run -t=maybe small true
  refused 125 "global flag '--root='" "$LAY" --root= ps
}

@test "a name with capitals: the hint keeps the tag" {
  refused 1 "lower case" "$LAY" tag small BAD:Name
  grep -qF "'bad:Name'" refused.err
}

@test "an index.json that is cut off is named, with what to do" {
  keeps_state=no
  truncate -s 30 "$LAY_ROOT/index.json"
  refused 1 "index.json" "$LAY" images
  grep -q "put it back" refused.err
  ! grep -q exception refused.err || return 1
}

@test "a very long name in a tar is shortened" {
  python3 - <<'PY'
import tarfile
with tarfile.open("long.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    tar.addfile(tarfile.TarInfo("a" * 60000))
PY
  refused 1 "aaaa" "$LAY" import long.tar x:1
  [ "$(wc -c <refused.err)" -lt 600 ]
}

@test "--pull always tells what failed, not that the image is not there" {
  run "$LAY" run --pull always localhost:1/small true
  [ "$status" -eq 125 ]
  has "$output" "pulling image 'localhost:1/small' failed: cannot reach"
}

@test "--cidfile is checked before there is a container" {
  touch taken
  refused 125 "taken" "$LAY" run --rm --network none --cidfile taken small true
  refused 125 "nosuch/id" "$LAY" run --rm --network none --cidfile nosuch/id small true
  refused 125 "no image" "$LAY" run --cidfile id --pull never nosuch true
  [ ! -e id ]
  [ "$("$LAY" ps -aq)" = "" ]
  keeps_state=no
  "$LAY" run --name one --network none --cidfile id small true
  [ "$(cat id)" = "$("$LAY" ps -aq --no-trunc)" ]
}

@test "a disk that is full when a command ends does not change its exit code" {
  keeps_state=no
  mkdir full
  run unshare --mount --propagation private bash -ec '
    mount -t tmpfs -o size=8m tmpfs full
    "$LAY" --root "$PWD/full/root" import ./small a:1 >/dev/null 2>&1
    status=0
    "$LAY" --root "$PWD/full/root" run --name x --network none a:1 sh -c "cat /dev/zero >/fill 2>/dev/null; exit 7" 2>err || status=$?
    cat err
    [ "$status" -eq 7 ]
    grep -q "the end of container .x.: write .*No space left" err
    mount -o remount,size=30m full
    "$LAY" --root "$PWD/full/root" rm x'
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "a decompression bomb ends at the limit of what is unpacked, which can be set" {
  truncate -s 1200M zeros
  tar -cf - zeros | zstd -q -o bomb.tar.zst
  tar -cf - zeros | gzip -1 >bomb.tar.gz
  refused 1 "decompression bomb" "$LAY" import bomb.tar.zst x:1
  refused 1 "decompression bomb" "$LAY" import bomb.tar.gz x:1
  refused 1 "more than 1.05 MB" env LAY_MAX_UNPACKED=1m "$LAY" import bomb.tar.zst x:1
  mkdir few && touch few/{1..20}
  tar -C few -cf few.tar .
  tar -cf deep.tar --transform 's,.*,a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/x,' few/1
  for form in erofs tree; do
    for tar in few.tar deep.tar; do
      LAY_LAYER_FORM=$form refused 1 "more than 20 entries" "$LAY" --max-entries 20 import $tar x:1
      LAY_LAYER_FORM=$form LAY_MAX_ENTRIES=21 "$LAY" --root "$world/root-$form" import $tar x:1 >/dev/null
    done
  done
  refused 125 "LAY_MAX_ENTRIES" env LAY_MAX_ENTRIES=0 "$LAY" images
  refused 125 "LAY_MAX_UNPACKED" env LAY_MAX_UNPACKED=much "$LAY" images
  "$LAY" --root "$world/root2" --max-unpacked 2g import bomb.tar.zst x:1 >/dev/null
  "$LAY" --root "$world/root2" save -q --format oci-archive -o bomb.oci x:1
  refused 1 "decompression bomb" "$LAY" load -q -i bomb.oci
  refused 1 "decompression bomb" "$LAY" load -q -i <(cat bomb.oci)
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
  "$LAY" --root "$world/root3" --max-unpacked=2g load -q -i bomb.oci
}

@test "a layer with more attributes than memory should hold is refused" {
  python3 - <<'END' | zstd -q -o attributes.tar.zst
import sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
    for i in range(9000):
        info = tarfile.TarInfo(f"file{i}")
        info.pax_headers = {"SCHILY.xattr.user.large": "x" * 64000}
        tar.addfile(info)
END
  refused 1 "exceed 512 MiB" "$LAY" import -q attributes.tar.zst x:1
}
