#!/usr/bin/env bats
# push and copy with another compression: what arrives is the same layers, as skopeo sees them, and the same bytes each time.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc upper
  head -c 300000 /dev/urandom >tree/etc/big
  seq 100000 >tree/etc/small
  "$LAY" import tree app:1 --cmd '["/bin/true"]' >/dev/null
  seq 30000 >upper/more
  "$LAY" commit -q ./upper app:1 --base app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  diff_ids=$("$LAY" inspect app:1 | jq -c '.[0].RootFS.Layers')
  start_registry "$world/registry"
}
teardown() { close_world; }

blobs() { find "$LAY_ROOT/blobs/sha256" -type f | wc -l; }
types_of() { skopeo inspect --tls-verify=false --raw "$1" | jq -c '[.layers[].mediaType | split("+")[1]]'; }
is_chunked() { skopeo inspect --tls-verify=false --raw "$1" | jq -e 'all(.layers[]; .annotations["io.github.containers.zstd-chunked.manifest-checksum"] != null)'; }

# tars_of PLACE: the hash of each layer's tar.
tars_of() {
  local layer
  rm -rf --one-file-system taken
  skopeo copy -q --src-tls-verify=false "$1" dir:taken
  for layer in $(jq -r '.layers[].digest' taken/manifest.json); do
    case $(head -c 2 "taken/${layer#*:}" | od -An -tx1 | tr -d ' ') in
      1f8b) gzip -dc ;;
      28b5) zstd -dcq ;;
      *) cat ;;
    esac <"taken/${layer#*:}" | sha256sum | cut -d' ' -f1
  done | jq -R '"sha256:" + .' | jq -sc .
}

@test "a push sends the layers in the compression that is asked for, and what commit printed without" {
  local format first
  for format in gzip zstd zstd:chunked; do
    first=$("$LAY" push -q --compression-format "$format" app:1 "$registry/team/app:1")
    [ "$(types_of "docker://$registry/team/app:1")" = "[\"${format%:*}\",\"${format%:*}\"]" ]
    [ "$(tars_of "docker://$registry/team/app:1")" = "$diff_ids" ]
    [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/team/app:1")" = "$first" ]
    # lay's own layers are zstd:chunked, and so nothing has to change
    [[ $format == gzip || $first == "$digest" ]]
  done
  [ "$("$LAY" push -q app:1 "$registry/team/app:2")" = "$digest" ]
  [ "$("$LAY" inspect -f '{{.Digest}}' app:1)" = "$digest" ]
  refused 1 "lz4" "$LAY" push --compression-format lz4 app:1 "$registry/team/app:3"
  refused 1 "level" "$LAY" push --compression-format gzip --compression-level 99 app:1 "$registry/team/app:3"
}

@test "compressed anew a layer has the same bytes each time, and is compressed once while its blob is here" {
  local first count
  first=$("$LAY" push -q --compression-format gzip app:1 "$registry/team/app:1")
  count=$(blobs)
  touch -d 2001-01-01 "$LAY_ROOT"/blobs/sha256/*
  [ "$("$LAY" push -q --compression-format gzip app:1 "$registry/other/app:1")" = "$first" ]
  [ "$(blobs)" = "$count" ]
  # only the manifest was written
  [ "$(find "$LAY_ROOT/blobs/sha256" -type f -newermt 2002-01-01 | wc -l)" -le 1 ]
  "$LAY" prune -f >/dev/null
  [ "$(blobs)" -lt "$count" ]
  [ -z "$(ls "$LAY_ROOT/recompressed")" ]
  "$LAY" fsck
  [ "$("$LAY" push -q --compression-format gzip app:1 "$registry/third/app:1")" = "$first" ]
  [ "$("$LAY" push -q --compression-format gzip --compression-level 9 app:1 "$registry/team/app:9")" != "$first" ]
  [ "$(tars_of "docker://$registry/team/app:9")" = "$diff_ids" ]
  "$LAY" push -q --compression-level 12 app:1 "$registry/team/app:12" >/dev/null
  is_chunked "docker://$registry/team/app:12"
  [ "$(tars_of "docker://$registry/team/app:12")" = "$diff_ids" ]
}

@test "a damaged blob of a remembered compression is made again" {
  local first blob
  first=$("$LAY" push -q --compression-format gzip app:1 "$registry/team/app:1")
  for blob in $(skopeo inspect --tls-verify=false --raw "docker://$registry/team/app:1" | jq -r '.layers[].digest'); do
    printf X | dd of="$LAY_ROOT/blobs/sha256/${blob#*:}" bs=1 seek=20 conv=notrunc status=none
  done
  stop_registry
  start_registry "$world/registry2"
  [ "$("$LAY" push -q --compression-format gzip app:1 "$registry/team/app:1")" = "$first" ]
  "$LAY" fsck
}

@test "flags of compression that could do nothing, or contradict, are refused before anything is sent" {
  local target=$registry/team/app:3 flags
  refused 1 "has levels from 1 to 9" "$LAY" push --compression-format gzip --compression-level 10 app:1 "$target"
  refused 1 "has levels from 1 to 19" "$LAY" push --compression-level 20 app:1 "$target"
  refused 1 "has levels from 1 to 19" "$LAY" push --compression-level 0 app:1 "$target"
  refused 1 "goes with --compression-format" "$LAY" push --force-compression app:1 "$target"
  refused 1 "other digests" "$LAY" push --preserve-digests --compression-format gzip app:1 "$target"
  refused 1 "has levels from 1 to 19" "$LAY" copy --dest-compress-level 0 app:1 "docker://$target"
  refused 1 "goes with --dest-compress-format" "$LAY" copy --dest-force-compress-format app:1 "docker://$target"
  [ ! -e "$LAY_ROOT/recompressed" ]
  ! skopeo inspect --tls-verify=false "docker://$target" || return 1
  "$LAY" push -q --preserve-digests app:1 "$target" >/dev/null
}

@test "copy takes the flags of skopeo, and foreign gzip layers become zstd:chunked ones" {
  skopeo copy -q --dest-tls-verify=false --dest-compress-format gzip "oci:$LAY_ROOT:app:1" "docker://$registry/gzip/app:1"
  "$LAY" copy -q --dest-compress-format zstd:chunked "docker://$registry/gzip/app:1" "docker://$registry/zstd/app:1" >/dev/null
  is_chunked "docker://$registry/zstd/app:1"
  [ "$(tars_of "docker://$registry/zstd/app:1")" = "$diff_ids" ]
  "$LAY" copy -q --dest-compress-format gzip "docker://$registry/zstd/app:1" oci:layout:1 >/dev/null
  [ "$(tars_of oci:layout:1)" = "$diff_ids" ]
  "$LAY" copy -q --dest-compress-format gzip app:1 oci-archive:file.tar:1 >/dev/null
  [ "$(tars_of oci-archive:file.tar:1)" = "$diff_ids" ]
  refused 1 "docker-archive" "$LAY" copy --dest-compress-format gzip app:1 docker-archive:file2.tar:app:1
  refused 1 "digest" "$LAY" copy --all --dest-compress-format gzip "docker://$registry/zstd/app:1" "docker://$registry/x/app:1"
}

@test "an image in docker's own format becomes one of OCI when its layers do" {
  "$LAY" push -q --compression-format gzip app:1 "$registry/gzip/app:1" >/dev/null
  skopeo copy -q --format v2s2 --src-tls-verify=false --dest-tls-verify=false "docker://$registry/gzip/app:1" "docker://$registry/docker/app:1"
  LAY_ROOT=$world/root2 "$LAY" copy -q --dest-compress-format zstd "docker://$registry/docker/app:1" "docker://$registry/oci/app:1" >/dev/null
  [ "$(skopeo inspect --tls-verify=false --raw "docker://$registry/oci/app:1" | jq -r .mediaType)" = application/vnd.oci.image.manifest.v1+json ]
  [ "$(tars_of "docker://$registry/oci/app:1")" = "$diff_ids" ]
}

@test "pull --all-tags gets every tag of a repository, and nothing else" {
  local tag
  for tag in 1 2 three; do "$LAY" push -q app:1 "$registry/team/app:$tag" >/dev/null; done
  "$LAY" push -q app:1 "$registry/team/other:1" >/dev/null
  export LAY_ROOT=$world/root2
  [ "$("$LAY" pull -q --all-tags "$registry/team/app" | sort -u | wc -l)" = 1 ]
  [ "$("$LAY" images --format '{{.Repository}}:{{.Tag}}' | sort | paste -sd' ')" = \
    "$registry/team/app:1 $registry/team/app:2 $registry/team/app:three" ]
  refused 1 "has a tag" "$LAY" pull -a "$registry/team/app:1"
  refused 1 "" "$LAY" pull -a "$registry/team/none"
}

@test "pull --all-tags reports a tag that can be none, and gets the others" {
  local tag there=$world/port
  for tag in 1 2; do "$LAY" push -q app:1 "$registry/team/app:$tag" >/dev/null; done
  python3 - "$registry" >"$there" 3>&- <<'PY' &
import http.server, sys, urllib.request
class Front(http.server.BaseHTTPRequestHandler):
    """The registry, but for its list of tags."""
    def do_GET(self):
        kind, status = "application/json", 200
        if self.path.split("?")[0].endswith("/tags/list"):
            body = b'{"name":"team/app","tags":["1","-odd","x/y","1@sha256:' + b"0" * 64 + b'","2"]}'
        else:
            headers = {"Accept": self.headers["Accept"]} if self.headers["Accept"] else {}
            with urllib.request.urlopen(urllib.request.Request(f"http://{sys.argv[1]}{self.path}", headers=headers)) as got:
                body, kind = got.read(), got.headers["Content-Type"]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
print(server.server_port, flush=True)
server.serve_forever()
PY
  local front=$!
  for _ in $(seq 100); do [ -s "$there" ] && break; sleep 0.1; done
  local name code=0
  name=localhost:$(<"$there")/team/app
  LAY_ROOT=$world/root2 "$LAY" pull -q --all-tags "$name" 2>said >got || code=$?
  kill "$front"
  [ "$code" = 1 ] || { cat said; return 1; }
  [ "$(wc -l <got)" = 2 ]
  [ "$(grep -c '^lay: pull' said)" = 3 ] || { cat said; return 1; }
  [ "$(LAY_ROOT=$world/root2 "$LAY" images --format '{{.Repository}}:{{.Tag}}' | sort | paste -sd' ')" = "$name:1 $name:2" ]
}
