#!/usr/bin/env bats
# Flags and verbs of the store's housekeeping that podman's users know.

load ../support/world

setup() { open_world; }
teardown() { leave_world; }

names() { "$LAY" images -a --format '{{.Names}}' | sort | tr '\n' ' '; }
containers() { "$LAY" ps -a --format '{{.Names}}' | sort | tr '\n' ' '; }

# aged_image NAME DATE FLAGS...: an image as old as the newest thing in it, which was given its name then.
aged_image() {
  new_image_of_old_files "$@"
  touch -d "$2" "$LAY_ROOT/blobs/$("$LAY" inspect -f '{{.Digest}}' "$1:1" | tr : /)"
}
new_image_of_old_files() {
  mkdir -p "$1.d" && touch -d "$2" "$1.d/file" "$1.d"
  "$LAY" import -q "$1.d" "$1:1" "${@:3}" >/dev/null
}

@test "image prune -a --filter takes images made before a moment, and with or without labels" {
  aged_image old 2001-01-01 --label kind=test --label team=a
  aged_image newer 2011-01-01 --label kind=test
  aged_image newest 2021-01-01
  "$LAY" image prune -af --filter until=2000-01-01 >/dev/null
  [ "$(names)" = "newer:1 newest:1 old:1 " ]
  "$LAY" image prune -af --filter label=kind=test --filter until=2005-01-01T00:00:00Z >said
  grep -qx 'Untagged: old:1' said
  [ "$(names)" = "newer:1 newest:1 " ]
  "$LAY" prune -af --filter label=kind=other >/dev/null
  "$LAY" prune -af --filter 'label!=kind' --filter until=2015-01-01 >/dev/null
  [ "$(names)" = "newer:1 newest:1 " ]
  "$LAY" prune -af --filter 'label!=kind' >/dev/null
  [ "$(names)" = "newer:1 " ]
  "$LAY" image prune -f --filter label=kind >/dev/null # without -a no name goes
  [ "$(names)" = "newer:1 " ]
  "$LAY" image prune -af --filter until=1h >/dev/null
  [ "$(names)" = "" ]
}

@test "for prune an image is as old as the name that it was given last, however old its files are" {
  new_image_of_old_files fresh 2001-01-01
  aged_image old 2001-01-01 --label kind=old
  aged_image again 2001-01-01 --label kind=again
  "$LAY" tag again:1 tagged:1
  "$LAY" image prune -af --filter until=1h >/dev/null
  [ "$(names)" = "again:1 fresh:1 tagged:1 " ]
  "$LAY" image prune -af --filter until=0s >/dev/null
  [ "$(names)" = "" ]
}

@test "image prune --filter without -a leaves what has no name, since no filter fits it" {
  aged_image again 2001-01-01
  rm -r again.d
  aged_image again 2002-01-01
  local blobs
  blobs=$(ls "$LAY_ROOT/blobs/sha256")
  run "$LAY" image prune -f --filter until=24h
  has "$output" "stays"
  [ "$(ls "$LAY_ROOT/blobs/sha256")" = "$blobs" ]
  "$LAY" image prune -f >/dev/null
  [ "$(ls "$LAY_ROOT/blobs/sha256")" != "$blobs" ]
}

@test "two untags at once leave the image a name" {
  small_image
  local id other
  id=$("$LAY" images -q)
  for _ in $(seq 20); do
    "$LAY" tag "$id" two:2
    "$LAY" untag "$id" small:latest 3>&- &
    other=$!
    "$LAY" untag "$id" two:2
    wait "$other"
    [[ $(names) == *@sha256:* ]]
    "$LAY" tag "$id" small:latest
    "$LAY" rmi $(names | tr ' ' '\n' | grep @) >/dev/null
  done
}

@test "container prune --filter takes ended containers by age and label" {
  small_image
  "$LAY" run --name a --label keep=no --network none small true
  "$LAY" run --name b --label keep=yes --network none small true
  "$LAY" run --name c --network none small true
  "$LAY" container prune -f --filter until=1h >/dev/null
  [ "$(containers)" = "a b c " ]
  "$LAY" container prune -f --filter label=keep=no >/dev/null
  [ "$(containers)" = "b c " ]
  "$LAY" prune -f --filter 'label!=keep=yes' --filter until=0s >/dev/null
  [ "$(containers)" = "b " ]
  [ "$(names)" = "small:latest " ]
  "$LAY" prune -f --filter until="$(date -d '+1 hour' +%s)" >/dev/null
  [ "$(containers)" = "" ]
}

@test "prune refuses filters it does not know, and removes nothing then" {
  small_image
  "$LAY" run --name a --network none small true
  run "$LAY" prune -af --filter dangling=true
  [ "$status" -ne 0 ]
  has "$output" "there is no 'dangling'"
  run "$LAY" prune -af --filter until=nonsense
  [ "$status" -ne 0 ]
  [ "$(containers)" = "a " ]
  [ "$(names)" = "small:latest " ]
}

@test "untag takes names and never the image, which is found by its digest and its id then" {
  small_image
  id=$("$LAY" images -q | head -n 1)
  "$LAY" tag small team/app:1 other:2
  "$LAY" untag small other:2
  [ "$(names)" = "small:latest team/app:1 " ]
  refused 1 "no name of the image" "$LAY" untag small nonsense:1
  aged_image another 2001-01-01
  refused 1 "no name of the image" "$LAY" untag small team/app:1 another:1
  [ "$(names)" = "another:1 small:latest team/app:1 " ]
  "$LAY" image untag "$id"
  [ "$("$LAY" images --filter dangling=true --format '{{.Tag}}')" = "<none>" ]
  [ "$("$LAY" images --filter dangling=true -q)" = "$id" ]
  "$LAY" prune -f >/dev/null
  [ "$("$LAY" run --rm --network none "$id" echo here)" = here ]
  refused 1 "last name" "$LAY" untag "$id"
  "$LAY" tag "$id" back:1
  "$LAY" untag back:1 # it stays with its digest
  [ "$("$LAY" images -q | sort -u | wc -l)" = 2 ]
  "$LAY" rmi -f "$id" >/dev/null
  [ "$(names)" = "another:1 " ]
  "$LAY" fsck -q
}

@test "history -q prints ids, and --human=false times and bytes" {
  small_image
  "$LAY" run --name c --network none small touch /new
  "$LAY" commit -q c two:1 >/dev/null
  [ "$("$LAY" history -q two:1)" = "$("$LAY" history --format '{{.ID}}' two:1)" ]
  [ "$("$LAY" history -q two:1 | wc -l)" = 2 ]
  [ "$("$LAY" history -q --no-trunc two:1 | tac)" = "$("$LAY" inspect two:1 | jq -r '.[0].RootFS.Layers[]')" ]
  run "$LAY" history --human=false two:1
  [[ ${lines[1]} =~ [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+.*Z\ +.*\ [0-9]+ ]]
  [ "$("$LAY" history --human=false --format '{{.Size}}' two:1)" = "$(skopeo inspect --raw "oci:$LAY_ROOT:two:1" | jq -r '.layers | reverse | .[].size')" ]
  [ "$("$LAY" history -H=false two:1)" = "$("$LAY" history --human=false two:1)" ]
  ! "$LAY" history -H two:1 | grep -q "$(date +%Y)-" || return 1
}

@test "ps cuts long commands between characters, and columns with such characters line up" {
  small_image
  local word
  for word in aaaaaaaaaaaaaaa€€€ aaaaaaaaaaaaaaa€€€€€ €€; do
    "$LAY" run --name "${#word}" --network none small true "$word"
  done
  [ "$("$LAY" ps -a --format '{{.Command}}' --filter name=18)" = 'true aaaaaaaaaaaaaaa€€€' ]
  [ "$("$LAY" ps -a --format '{{.Command}}' --filter name=20)" = 'true aaaaaaaaaaaaaaa€...' ]
  # The last column begins at the same character of each row.
  [ "$("$LAY" ps -a | python3 -c '
import sys
print(len({len(row) - len(row.split()[-1]) for row in sys.stdin.buffer.read().decode().splitlines()}))')" = 1 ]
}

@test "history cuts long commands between characters" {
  small_image
  skopeo copy -q "oci:$LAY_ROOT:small:latest" oci:layout:x
  umoci config --image layout:x --history.created_by "$(printf 'a%.0s' {1..41})€€€€€"
  skopeo copy -q oci:layout:x oci-archive:x.tar:x:1
  "$LAY" load -q -i x.tar >/dev/null
  [ "$("$LAY" history --format '{{.CreatedBy}}' x:1 | head -n 1)" = "$(printf 'a%.0s' {1..41})€..." ]
}

@test "save takes --uncompressed, which changes nothing, and refuses --compress in words" {
  small_image
  "$LAY" save -q --format oci-archive -o a.tar small
  "$LAY" save -q --format oci-archive --uncompressed -o b.tar small
  cmp a.tar b.tar
  refused 1 "docker-dir" "$LAY" save -q --compress -o c.tar small
  [ ! -e c.tar ]
}

@test "import and pull take --os, --arch and --variant" {
  make_small_root
  "$LAY" import -q small arm:1 --arch aarch64 --variant v8 >/dev/null
  [ "$(skopeo inspect --config "oci:$LAY_ROOT:arm:1" | jq -r '.os, .architecture, .variant' | tr '\n' ' ')" = "linux arm64 v8 " ]
  "$LAY" import -q small bsd:1 --os freebsd >/dev/null
  [ "$("$LAY" inspect -f '{{.Os}}' bsd:1)" = freebsd ]
  run "$LAY" import -q small x:1 --platform linux/arm64 --arch amd64
  [ "$status" -ne 0 ]
  refused 1 "platform" "$LAY" import -q small x:1 --arch ../x
  start_registry "$world/registry"
  "$LAY" push arm:1 "$registry/arm:1" >/dev/null
  LAY_ROOT=$world/root2 "$LAY" pull -q --arch arm64 --variant v8 "$registry/arm:1" >/dev/null
  LAY_ROOT=$world/root2 refused 1 "arm64" "$LAY" pull -q --arch amd64 "$registry/arm:1"
}
