#!/usr/bin/env bats
# Images of layers that the store has already, made of another compressor's blobs: those blobs stay in their registry, counted
# in the bytes that lay serve sends, and are had from there when somebody needs them.

load ../support/world
load ../support/served

setup() {
  open_world
  export LAY_ROOT=$world/source
  make_small_root
  head -c 3000000 /dev/urandom >"$world/small/root/large"
  LAY_ROOT=$world/served serve --access-log none 3>&-
  to=$world/root
  storage=$world/storage
}
teardown() {
  local folder
  for folder in "$storage"/*; do umount "$folder" 2>/dev/null || true; done
  stop_served
  [[ -z ${silent_pid-} ]] || kill "$silent_pid" 2>/dev/null || true
  [[ -z ${own_pid-} ]] || { kill "$own_pid" 2>/dev/null; wait "$own_pid"; } || true
  for own_pid in "${ring_pids[@]}"; do kill "$own_pid" 2>/dev/null; wait "$own_pid" || true; done
  export LAY_ROOT=$to
  close_world
}

# serve_own: serves the store that pulls; sets `own`, where.
serve_own() {
  "$LAY" --root "$to" serve --listen 127.0.0.1:0 --access-log none >own.url 2>own.log 3>&- &
  own_pid=$!
  wait_until 10 test -s own.url
  own=localhost:$(sed 's/.*://' own.url)
}

# ship: the same layer under two digests: small:gzip as skopeo compresses it, small:zstd as lay does.
ship() {
  "$LAY" import "$world/small" small:1 --cmd '["/bin/sh"]' >/dev/null
  "$LAY" push -q small:1 "$served/team/app:zstd" >/dev/null
  "$LAY" save -q -o small.tar small:1
  skopeo copy -q --dest-tls-verify=false docker-archive:small.tar "docker://$served/team/app:gzip"
  zstd=$served/team/app:zstd gzip=$served/team/app:gzip
  [ "$(blob_at "$zstd")" != "$(blob_at "$gzip")" ]
}
blob_at() { skopeo inspect --tls-verify=false --raw "docker://$1" | jq -r '.layers[0].digest'; }

mine() { "$LAY" --root "$to" "$@"; }

# both: pulled in this order; the blob of the second one is left.
both() {
  ship
  mine pull -q "$gzip" >/dev/null
  sent mine pull -q "$zstd"
  ((sent < 20000)) || { echo "$sent bytes were fetched"; return 1; }
  absent "$zstd"
}

# sent COMMAND...: sets sent to the bytes that the registry sent meanwhile.
sent() {
  local before
  before=$(metric lay_sent_bytes_total)
  "$@" >/dev/null || return 1
  sent=$(($(metric lay_sent_bytes_total) - before))
}
metric() { curl -sS "$url/metrics" | awk -v name="$1" '$1 == name {print $2}'; }

stored() { [[ -e $to/blobs/${1/://} ]]; }
absent() { ! stored "$(blob_at "$1")" || { echo "the blob of $1 is here"; return 1; }; }
present() { stored "$(blob_at "$1")" || { echo "the blob of $1 is not here"; return 1; }; }
record() { echo "$to/absent/$(blob_at "$1" | tr : .)"; }
layer_folder() { echo "$to/layers/$(mine inspect "$1" | jq -r '.[0].RootFS.Layers[0][7:]')"; }
runs() { [ "$(mine run --rm --network none "$1" stat -c %s /root/large)" = 3000000 ]; }

# whole PLACE: skopeo copies all of it, and the layer's bytes are those of its digest.
whole() {
  rm -rf judged
  skopeo copy -q --src-tls-verify=false "$1" dir:judged
  local digest
  for digest in $(jq -r '.layers[].digest' judged/manifest.json); do
    [ "sha256:$(sha256sum <"judged/${digest#*:}" | cut -d' ' -f1)" = "$digest" ] || return 1
  done
  jq -r '.layers[0].digest' judged/manifest.json
}

@test "a layer that is here is not fetched again for another compressor's blob, in either order" {
  both
  to=$world/root2
  mine pull -q "$zstd" >/dev/null
  sent mine pull -q "$gzip"
  ((sent < 20000)) || { echo "$sent bytes were fetched"; return 1; }
  absent "$gzip"
  mine fsck -q
}

@test "a layer whose tar is damaged does not do without the blob" {
  ship
  mine pull -q "$gzip" >/dev/null
  local tar
  tar=$(layer_folder "$gzip")/layer.tar
  printf X | dd of="$tar" bs=1 seek="$(($(stat -c %s "$tar") / 2))" conv=notrunc status=none
  mine pull -q "$zstd" >/dev/null
  present "$zstd"
}

@test "what needs the layer alone works without its blob and without its registry" {
  both
  stop_served
  runs "$zstd"
  mine inspect "$zstd" >/dev/null
  mine history "$zstd" >/dev/null
  mine tag "$zstd" local:1
  mine export -o out.tar local:1
  tar -tf out.tar | grep -q 'root/large'
  mine save -q -o docker.tar "$zstd"
  skopeo copy -q docker-archive:docker.tar dir:loaded
  mine run --name c --network none "$zstd" touch /made
  mine diff c | grep -q /made
  mine commit -q c local:2 >/dev/null
  mine run --rm --network none local:2 test -e /made
  mine rm c >/dev/null
  mine fsck -q
}

@test "a layer that was pulled with its blob, and one of the same image that was not, run together" {
  ship
  mine pull -q "$gzip" >/dev/null
  mkdir upper
  echo top >upper/top
  "$LAY" commit -q ./upper top:1 --base small:1 >/dev/null
  "$LAY" push -q top:1 "$served/team/top:1" >/dev/null
  mine pull -q "$served/team/top:1" >/dev/null
  absent "$zstd"
  [ "$(mine run --rm --network none "$served/team/top:1" cat /top)" = top ]
  mine fsck -q
}

@test "a push to another registry fetches the blob first, says so, and pushes the same image" {
  both
  start_registry "$world/registry"
  mine push "$zstd" "$registry/other:1" >pushed 2>said
  has "$(<said)" "was left in $served/team/app"
  present "$zstd"
  [ ! -e "$(record "$zstd")" ]
  [ "$(whole "docker://$registry/other:1")" = "$(blob_at "$zstd")" ]
  [ "$(<pushed)" = "$(mine inspect -f '{{.Digest}}' "$zstd")" ]
  mine fsck -q
}

@test "a push within the blob's registry mounts it there: nothing of it is fetched or sent" {
  both
  local before
  before=$(metric lay_received_bytes_total)
  sent mine push -q "$zstd" "$served/mine/copy:1"
  ((sent < 20000)) || { echo "$sent bytes were fetched"; return 1; }
  (($(metric lay_received_bytes_total) - before < 20000))
  absent "$zstd"
  sent mine push -q "$zstd" "$served/team/app:again"
  ((sent < 20000)) || { echo "$sent bytes were fetched"; return 1; }
  absent "$zstd"
  [ "$(whole "docker://$served/mine/copy:1")" = "$(blob_at "$zstd")" ]
}

@test "what is committed on top of an absent blob is pushed whole" {
  both
  mkdir upper
  echo mine >upper/mine
  mine commit -q ./upper local:2 --base "$zstd" >/dev/null
  start_registry "$world/registry"
  mine push -q local:2 "$registry/local:2" >/dev/null
  [ "$(whole "docker://$registry/local:2")" = "$(blob_at "$zstd")" ]
}

@test "an OCI archive and a layout have the blob, byte for byte" {
  local place
  both
  mine save -q --format oci-archive -o oci.tar "$zstd"
  [ "$(whole oci-archive:oci.tar)" = "$(blob_at "$zstd")" ]
  for place in oci:layout oci-archive:copied.tar; do
    rm -rf --one-file-system "$to"
    mine pull -q "$gzip" >/dev/null
    mine pull -q "$zstd" >/dev/null
    absent "$zstd"
    mine copy -q "$zstd" "$place" >/dev/null
    [ "$(whole "$place")" = "$(blob_at "$zstd")" ]
  done
}

@test "a copy from registry to registry or to a layout passes all blobs on" {
  ship
  mine pull -q "$gzip" >/dev/null
  start_registry "$world/registry"
  mine copy -q "docker://$zstd" "docker://$registry/copy:1" >/dev/null
  [ "$(whole "docker://$registry/copy:1")" = "$(blob_at "$zstd")" ]
}

@test "lay serve fetches the blob when a client asks for it" {
  local own
  both
  mine tag "$zstd" mine:1
  serve_own
  [ "$(whole "docker://$own/mine:1")" = "$(blob_at "$zstd")" ]
  present "$zstd"
}

@test "lay serve says that the blob cannot be had, and goes on" {
  local own
  both
  mine tag "$zstd" mine:1
  mine tag "$gzip" mine:2
  serve_own
  digest=$(blob_at "$zstd")
  stop_served
  [ "$(status_of -I "http://$own/v2/mine/blobs/$digest")" = 404 ]
  [ "$(curl -s -o answer -w '%{http_code}' "http://$own/v2/mine/blobs/$digest")" = 503 ]
  ! grep -q "$served" answer || { cat answer; return 1; }
  has "$(<own.log)" "was left in $served/team/app"
  whole "docker://$own/mine:2"
}

# silent PORT [full]: connections to it are made, and nothing ever comes; none are made where it is full.
silent() {
  python3 -c 'import socket, sys, time
address = ("127.0.0.1", int(sys.argv[1]))
listener = socket.create_server(address, backlog=0 if sys.argv[2:] else 100)
waiting = [socket.socket() for _ in range(8 if sys.argv[2:] else 0)]
for client in waiting:
    client.setblocking(False)
    client.connect_ex(address)
print("ready", flush=True)
time.sleep(600)' "$@" >silent 3>&- &
  silent_pid=$!
  wait_until 10 test -s silent
}

@test "lay serve gives up soon on a registry to which no connection is made" {
  local own before=$SECONDS digest
  both
  mine tag "$zstd" mine:1
  digest=$(blob_at "$zstd")
  stop_served
  silent "${served#*:}" full
  serve_own
  [ "$(status_of "http://$own/v2/mine/blobs/$digest")" = 503 ]
  [ "$(status_of "http://$own/v2/mine/blobs/$digest")" = 503 ]
  ((SECONDS - before < 30)) || { echo "$((SECONDS - before)) s"; return 1; }
}

@test "lay serve fetches blobs for some while another registry does not answer, each once" {
  local own dead number clients=()
  both
  start_registry "$world/registry"
  cp -a small other
  head -c 3000000 /dev/urandom >other/root/large
  "$LAY" import other other:1 >/dev/null
  "$LAY" push -q other:1 "$registry/other:zstd" >/dev/null
  "$LAY" save -q -o other.tar other:1
  skopeo copy -q --dest-tls-verify=false docker-archive:other.tar "docker://$registry/other:gzip"
  mine pull -q "$registry/other:gzip" >/dev/null
  mine pull -q "$registry/other:zstd" >/dev/null
  dead=$(blob_at "$registry/other:zstd")
  ! stored "$dead" || return 1
  mine tag "$zstd" mine:1
  mine tag "$registry/other:zstd" dead:1
  stop_registry
  silent "${registry#*:}"
  serve_own
  for number in 1 2 3 4 5 6; do
    curl -s -o "answer.$number" -w '%{http_code}\n' "http://$own/v2/dead/blobs/$dead" >"status.$number" 3>&- &
    clients+=($!)
  done
  timeout 10 curl -sf -o first "http://$own/v2/mine/blobs/$(blob_at "$zstd")"
  [ "sha256:$(sha256sum <first | cut -d' ' -f1)" = "$(blob_at "$zstd")" ]
  kill "$silent_pid"
  for number in "${clients[@]}"; do wait "$number"; done
  [ "$(cat status.*)" = "$(printf '503\n%.0s' 1 2 3 4 5 6)" ]
  [ "$(grep -c "was left in $registry" own.log)" = 1 ] || { cat own.log; return 1; }
}

@test "lay serve that is itself where a blob was seen last goes on to the next place at once" {
  local own before digest
  both
  mine tag "$zstd" mine:1
  serve_own
  digest=$(blob_at "$zstd")
  jq --arg own "$own/mine" '.origins += [$own]' "$(record "$zstd")" >changed
  cat changed >"$(record "$zstd")"
  before=$SECONDS
  curl -sf -o got "http://$own/v2/mine/blobs/$digest"
  ((SECONDS - before < 10)) || { echo "$((SECONDS - before)) s"; return 1; }
  [ "sha256:$(sha256sum <got | cut -d' ' -f1)" = "$digest" ]
}

# ring COUNT: as many servers of copies of the store, each of which has left the blob in the next one; sets `ring`, where
# they are, and `digest`.
ring() {
  local number root
  both
  mine tag "$zstd" mine:1
  digest=$(blob_at "$zstd")
  for ((number = 0; number < $1; ++number)); do
    cp -a "$to" "$world/ring$number"
    : >"ring$number.url"
    "$LAY" --root "$world/ring$number" serve --listen 127.0.0.1:0 --access-log none >"ring$number.url" 2>"ring$number.log" 3>&- &
    ring_pids+=($!)
  done
  for ((number = 0; number < $1; ++number)); do
    wait_until 10 test -s "ring$number.url"
    ring[number]=localhost:$(sed 's/.*://' "ring$number.url")
  done
  for ((number = 0; number < $1; ++number)); do left_in "$number" "${ring[(number + 1) % $1]}/mine"; done
}

# left_in NUMBER PLACE...: where that one of the ring has left the blob; the last is asked first.
left_in() {
  local root=$world/ring$1
  shift
  jq '.origins = $ARGS.positional' --args "$@" <"$root/absent/${digest/:/.}" >changed
  cat changed >"$root/absent/${digest/:/.}"
}

# ask_all: asks each of the ring for the blob several times at once; sets `answers` to the statuses, and takes at most
# 5 s.
ask_all() {
  local clients=() place number before=$SECONDS
  for place in "${!ring[@]}"; do
    for number in 1 2 3; do
      curl -s -o "answer.$place.$number" -w '%{http_code}\n' "http://${ring[place]}/v2/mine/blobs/$digest" \
        >"status.$place.$number" 3>&- &
      clients+=($!)
    done
  done
  for number in "${clients[@]}"; do wait "$number"; done
  ((SECONDS - before <= 5)) || { echo "$((SECONDS - before)) s"; return 1; }
  answers=$(cat status.* | sort -u)
}

@test "servers that are each other's origin say at once that nobody has the blob, alone or in a circle" {
  local count
  for count in 1 2 3 4; do
    rm -rf --one-file-system "$world"/ring* "$to" answer.* status.*
    ring=() ring_pids=()
    ring "$count"
    ask_all
    [ "$answers" = 404 ] || { echo "$answers"; return 1; }
    grep -q BLOB_UNKNOWN answer.0.1
    for own_pid in "${ring_pids[@]}"; do kill "$own_pid"; wait "$own_pid"; done
    ring_pids=()
  done
}

@test "servers that are each other's origin, one of which knows another place, all get the blob from there" {
  ring 3
  left_in 1 "$served/team/app" "${ring[2]}/mine"
  ask_all
  [ "$answers" = 200 ] || { echo "$answers"; cat ring*.log; return 1; }
  [ "sha256:$(sha256sum <answer.0.1 | cut -d' ' -f1)" = "$digest" ]
  cmp answer.0.1 answer.2.3
}

@test "a blob that is gone from where it was left is not there, which is said at once" {
  local before=$SECONDS
  both
  mine tag "$zstd" mine:1
  serve_own
  digest=$(blob_at "$zstd")
  rm "$world/served/blobs/${digest/://}"
  [ "$(curl -s -o answer -w '%{http_code}' "http://$own/v2/mine/blobs/$digest")" = 404 ]
  grep -q BLOB_UNKNOWN answer
  [ "$(status_of "http://$own/v2/mine/blobs/$digest")" = 404 ]
  ((SECONDS - before <= 8)) || { echo "$((SECONDS - before)) s"; return 1; }
}

@test "a place that is blocked by now does not hide the others" {
  both
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$zstd" "docker://$served/other/app:zstd"
  mine pull -q "$served/other/app:zstd" >/dev/null
  printf '[[registry]]\nprefix = "%s/other"\nblocked = true\n' "$served" >conf
  CONTAINERS_REGISTRIES_CONF=$PWD/conf mine copy -q "$zstd" oci:out:x >/dev/null
  present "$zstd"
}

@test "requests that name servers which are none ask where the blob was no more often than others" {
  local own digest number
  both
  mine tag "$zstd" mine:1
  serve_own
  digest=$(blob_at "$zstd")
  rm "$world/served/blobs/${digest/://}"
  for number in 1 2 3 4 5; do
    [ "$(status_of -H 'Via: 1.1 lay-0123456789abcdef' "http://$own/v2/mine/blobs/$digest")" = 404 ]
  done
  [ "$(grep -c "was left in $served" own.log)" = 1 ] || { cat own.log; return 1; }
  for number in 1 2 3 4 5 6 7 8; do
    [ "$(status_of -H "Via: 1.1 lay-000000000000000$number" "http://$own/v2/mine/blobs/$digest")" = 404 ]
  done
  (($(grep -c "was left in $served" own.log) <= 4)) || { cat own.log; return 1; }
  # whoever asks for himself hears what is true, and that counts for everybody
  [ "$(status_of -H "Via: 1.1 relay-proxy" "http://$own/v2/mine/blobs/$digest")" = 404 ]
  (($(grep -c "was left in $served" own.log) <= 5)) || { cat own.log; return 1; }
}

@test "registries that do not answer delay no check of a blob that is here" {
  local own number digest dead=() clients=()
  pull_both
  mine tag "$served/team/lie:1" bad:1
  start_registry "$world/registry"
  for number in 1 2 3; do
    echo "$number" >small/root/number
    "$LAY" import small other:1 >/dev/null
    "$LAY" push -q other:1 "$registry/other:zstd$number" >/dev/null
    "$LAY" save -q -o other.tar other:1
    skopeo copy -q --dest-tls-verify=false docker-archive:other.tar "docker://$registry/other:gzip$number"
    mine pull -q "$registry/other:gzip$number" >/dev/null
    mine pull -q "$registry/other:zstd$number" >/dev/null
    mine tag "$registry/other:zstd$number" "dead:$number"
    dead[number]=$(blob_at "$registry/other:zstd$number")
    ! stored "${dead[number]}" || return 1
  done
  stop_registry
  silent "${registry#*:}"
  serve_own
  for number in 1 2 3; do
    curl -s -o /dev/null -w '%{http_code}\n' "http://$own/v2/dead/blobs/${dead[number]}" >"status.$number" 3>&- &
    clients+=($!)
  done
  wait_until 10 eval '(($(ss -Htn state established "dport = :${registry#*:}" | wc -l) >= 3))'
  [ "$(timeout 8 curl -s -o /dev/null -w '%{http_code}' "http://$own/v2/bad/blobs/$digest")" = 404 ]
  kill "$silent_pid"
  for number in "${clients[@]}"; do wait "$number"; done
  [ "$(cat status.*)" = "$(printf '503\n%.0s' 1 2 3)" ]
}

@test "what many clients ask for at once is fetched once" {
  local own number before clients=()
  both
  mine tag "$zstd" mine:1
  serve_own
  before=$(metric lay_sent_bytes_total)
  for number in 1 2 3 4 5 6; do
    curl -sf -o "got.$number" "http://$own/v2/mine/blobs/$(blob_at "$zstd")" 3>&- &
    clients+=($!)
  done
  for number in "${clients[@]}"; do wait "$number"; done
  (($(metric lay_sent_bytes_total) - before < 2 * $(stat -c %s got.1)))
  cmp got.1 got.6
  [ "sha256:$(sha256sum <got.1 | cut -d' ' -f1)" = "$(blob_at "$zstd")" ]
}

@test "--all-blobs fetches it at once, or later" {
  both
  mine pull -q --all-blobs "$zstd" >/dev/null
  present "$zstd"
  [ ! -e "$(record "$zstd")" ]
  mine fsck -q
}

@test "an absent blob is no damage, and one without a record is named and fetched" {
  both
  run mine fsck -q
  [ "$status" = 0 ]
  has "$output" "1 blobs are where they were pulled from"
  rm "$(record "$zstd")"
  run mine fsck -q
  [ "$status" = 1 ]
  has "$output" "$(blob_at "$zstd") is missing"
  mine fsck -q --repair >/dev/null
  present "$zstd"
  mine fsck -q
}

@test "a layer that is lost or damaged is made again of its absent blob, under any name of the image" {
  local how
  for how in lost spoilt cut; do
    rm -rf --one-file-system "$to"
    [[ -n ${gzip-} ]] || ship
    mine pull -q "$gzip" >/dev/null
    mine pull -q "$zstd" >/dev/null
    mine tag "$zstd" local:1
    mine rmi "$gzip" "$zstd" >/dev/null
    folder=$(layer_folder local:1)
    case $how in
      lost) rm -r --one-file-system "$folder" ;;
      spoilt) chmod u+w "$folder/layer.tar"; printf X | dd of="$folder/layer.tar" bs=1 seek=2000000 conv=notrunc status=none ;;
      cut) chmod u+w "$folder/layer.tar"; truncate -s 100000 "$folder/layer.tar" ;;
    esac
    run mine fsck -q
    [ "$status" = 1 ]
    has "$output" "(needed by local:1)"
    mine fsck -q --repair >/dev/null
    mine fsck -q
    runs local:1
  done
}

@test "either image can go, and the other stays whole; records go with their image" {
  both
  mine rmi "$gzip" >/dev/null
  mine prune -f >/dev/null
  absent "$gzip"
  [ -e "$(record "$zstd")" ]
  mine fsck -q
  runs "$zstd"
  mine rmi "$zstd" >/dev/null
  [ -z "$(find "$to/absent" "$to/layers" -mindepth 1)" ] || { find "$to/absent" "$to/layers"; return 1; }

  mine pull -q "$gzip" >/dev/null
  mine pull -q "$zstd" >/dev/null
  mine rmi "$zstd" >/dev/null
  [ -z "$(ls "$to/absent")" ]
  mine fsck -q
  runs "$gzip"
  present "$gzip"
}

@test "df counts an absent blob as nothing" {
  both
  mine rmi "$gzip" >/dev/null
  wait_until 10 absent "$gzip"
  local size
  size=$(mine df --format json | jq '[.[] | select(.Type == "image")][0].Bytes')
  ((size < 6500000)) || { echo "$size"; return 1; }
}

@test "without its registry a blob's absence is told in words" {
  both
  start_registry "$world/registry"
  digest=$(blob_at "$zstd")
  stop_served
  refused 1 "blob $digest was left in $served/team/app" mine push -q --retry 0 "$zstd" "$registry/other:1"
  refused 1 "blob $digest was left in $served/team/app" mine save -q --format oci-archive -o oci.tar "$zstd"
  [ ! -e oci.tar ]
  mine fsck -q
}

# lie: ships two images of one layer: lie:1 says that it is the layer of $gzip, lie:2 says what it is.
lie() {
  local number
  mkdir evil
  head -c 100000 /dev/urandom >evil/evil
  tar -C evil -cf evil.tar .
  for number in 1 2; do
    rm -rf layout
    python3 - "$world" "$number" "$(mine inspect "$gzip" | jq -r '.[0].RootFS.Layers[0]')" <<'PY'
import gzip, hashlib, json, os, sys
world, number, other = sys.argv[1:]
folder = f"{world}/layout"
os.makedirs(f"{folder}/blobs/sha256")
def add(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{folder}/blobs/sha256/{digest}", "wb").write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
kind = "application/vnd.oci.image."
tar = open(f"{world}/evil.tar", "rb").read()
diff_id = other if number == "1" else f"sha256:{hashlib.sha256(tar).hexdigest()}"
layer = add(gzip.compress(tar, mtime=0)) | {"mediaType": kind + "layer.v1.tar+gzip"}
config = add(json.dumps({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode())
manifest = add(json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": config | {"mediaType": kind + "config.v1+json"}, "layers": [layer]}).encode())
open(f"{folder}/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": [manifest | {"mediaType": kind + "manifest.v1+json"}]}))
open(f"{folder}/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
PY
    skopeo copy -q --dest-tls-verify=false oci:layout "docker://$served/team/lie:$number"
  done
}

# refused_pair COMMAND...: fails, and says why.
refused_pair() {
  run "$@"
  [ "$status" = 1 ] && has "$output" "got diff_id"
}

@test "a blob that is another layer than its manifest says does no harm: it runs as its diff_id, and goes nowhere" {
  ship
  mine pull -q "$gzip" >/dev/null
  lie
  mine pull -q "$served/team/lie:1" >/dev/null
  runs "$served/team/lie:1"
  start_registry "$world/registry"
  refused_pair mine push -q "$served/team/lie:1" "$registry/lie:1"
  # Nor where the blob is already, brought there by one that says what it is
  skopeo copy -q --src-tls-verify=false --dest-tls-verify=false "docker://$served/team/lie:2" "docker://$registry/lie:2"
  refused_pair mine push -q "$served/team/lie:1" "$registry/lie:1"
  run mine save -q --format oci-archive -o lie.tar "$served/team/lie:1"
  [ "$status" = 1 ]
  refused_pair mine pull -q --all-blobs "$served/team/lie:1"
  ! stored "$(blob_at "$served/team/lie:1")" || return 1
  mine fsck -q
}

# pull_both: both images of lie are here, and the blob, whose digest is $digest, with the second.
pull_both() {
  ship
  mine pull -q "$gzip" >/dev/null
  lie
  mine pull -q "$served/team/lie:1" >/dev/null
  mine pull -q "$served/team/lie:2" >/dev/null
  digest=$(blob_at "$served/team/lie:1")
}

@test "a blob that another image brought is not handed on for one that says it is another layer" {
  local own digest
  pull_both
  stored "$digest"
  start_registry "$world/registry"
  refused_pair mine push -q "$served/team/lie:1" "$registry/lie:1"
  refused_pair mine push -q "$served/team/lie:1" "$served/mine/lie:1"
  refused_pair mine save -q --format oci-archive -o lie.tar "$served/team/lie:1"
  [ ! -e lie.tar ]
  refused_pair mine copy -q "$served/team/lie:1" oci:copied
  mine tag "$served/team/lie:1" bad:1
  mine tag "$served/team/lie:2" good:1
  serve_own
  [ "$(status_of "http://$own/v2/bad/blobs/$digest")" = 404 ]
  [ "$(status_of -I "http://$own/v2/bad/blobs/$digest")" = 404 ]
  has "$(<own.log)" "got diff_id"
  [ "$(status_of "http://$own/v2/good/blobs/$digest")" = 200 ]
  [ "$(whole "docker://$own/good:1")" = "$digest" ]
  mine push -q good:1 "$registry/good:1" >/dev/null
  [ "$(whole "docker://$registry/good:1")" = "$digest" ]
}

@test "a record that is damaged, or no file, is as good as none" {
  both
  echo junk >"$(record "$zstd")"
  run mine fsck -q
  [ "$status" = 1 ]
  rm "$(record "$zstd")"
  mkdir "$(record "$zstd")"
  run mine fsck -q
  [ "$status" = 1 ]
  has "$output" "is missing"
  rmdir "$(record "$zstd")"
  ln -s /etc/passwd "$(record "$zstd")"
  mine fsck -q --repair >/dev/null
  present "$zstd"
  mine fsck -q
  mine prune -f >/dev/null
  [ -z "$(ls "$to/absent")" ]
  [ -e /etc/passwd ]
}

@test "unpacked layers come with their blobs: without the exact tar the blob is all there is" {
  export LAY_LAYER_FORM=tree
  ship
  mine pull -q "$gzip" >/dev/null
  mine pull -q "$zstd" >/dev/null
  present "$zstd"
  mine fsck -q
}

@test "where layers cannot be mounted one whose blob is elsewhere keeps its tar, until that is fetched" {
  local old="setarch --uname-2.6" name tar
  ship
  mine pull -q "$gzip" >/dev/null
  mine pull -q "$zstd" >/dev/null
  tar=$(layer_folder "$gzip")/layer.tar
  for name in "$zstd" "$gzip"; do
    run $old "$LAY" --root "$to" run --rm --network none "$name" true
    [ "$status" != 0 ]
    has "$output" "--all-blobs"
    [ -e "$tar" ]
  done
  $old "$LAY" --root "$to" pull -q --all-blobs "$zstd" >/dev/null
  for name in "$zstd" "$gzip"; do
    [ "$($old "$LAY" --root "$to" run --rm --network none "$name" stat -c %s /root/large)" = 3000000 ]
  done
  mine fsck -q
}

# Whether PID has FILE open.
has_open() { find "/proc/$1/fd" -lname "$2" 2>/dev/null | grep -q .; }

@test "a layer whose blob is left elsewhere just as it is unpacked keeps its tar, and that is said with what to do" {
  local gate running status=0
  both
  mv "$(record "$zstd")" record
  exec {gate}>>"$to/ingest/.gate"
  flock -x "$gate"  # who begins to unpack waits here
  LAY_LAYER_FORM=tree setarch --uname-2.6 "$LAY" --root "$to" run --rm --network none "$gzip" true >out 2>said 3>&- {gate}>&- &
  running=$!
  wait_until 10 has_open "$running" "$to/ingest/.gate"
  mv record "$(record "$zstd")"
  exec {gate}>&-
  wait "$running" || status=$?
  [ "$status" = 125 ]
  has "$(<said)" "left in its registry just now"
  has "$(<said)" "hint: 'lay pull --all-blobs' of the images that share the layer gets it"
  [ -e "$(layer_folder "$gzip")/layer.tar" ]
  runs "$gzip"
}

@test "an uncompressed blob is the tar that is here" {
  ship
  "$LAY" import "$world/small" plain:1 --compression none >/dev/null
  "$LAY" push -q plain:1 "$served/team/app:plain" >/dev/null
  mine pull -q "$gzip" >/dev/null
  sent mine pull -q "$served/team/app:plain"
  ((sent < 20000)) || { echo "$sent bytes were fetched"; return 1; }
  present "$served/team/app:plain"
  [ ! -e "$(record "$served/team/app:plain")" ]
  mine fsck -q
}

@test "a pull that is killed at any moment leaves records that are right, or none" {
  local delay
  ship
  mine pull -q "$gzip" >/dev/null
  for delay in 0.01 0.02 0.03 0.05 0.08; do
    timeout -s KILL "$delay" "$LAY" --root "$to" pull -q "$zstd" >/dev/null 2>&1 || true
    mine fsck -q
  done
  mine prune -f >/dev/null
  mine fsck -q
  mine pull -q "$zstd" >/dev/null
  absent "$zstd"
  runs "$zstd"
}
