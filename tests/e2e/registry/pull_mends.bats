#!/usr/bin/env bats
# A pull finds what its image has lost in the store, whichever parts of it together, and mends that. Of the data of a layer
# it looks at no more than their length: to read them all is fsck's part.

load ../support/world

setup() { open_world; }
teardown() {
  forget_mounts
  close_world
}

# forget_mounts: a copy of the store may have the inodes of one before, whose layers are mounted for 2 s more.
forget_mounts() { umount --lazy --recursive "$LAY_RUN/layers" 2>/dev/null || true; }

# pulled_image: $image of two layers, pulled from a registry, in a store that is kept as kept/.
pulled_image() {
  small_image
  mkdir upper
  echo said >upper/said
  "$LAY" commit -q ./upper top:1 --base small --compression gzip >/dev/null 2>&1
  start_registry "$world/registry"
  image=$registry/top:1
  "$LAY" push -q top:1 "$image" >/dev/null
  rm -rf --one-file-system "$LAY_ROOT"
  "$LAY" pull -q "$image" >/dev/null
  cp -a "$LAY_ROOT" kept
  json=$("$LAY" inspect "$image")
}

# hurt FILE HOW: it is lost, cut short, grown by what does not belong to it, or has other bits in its middle.
hurt() {
  [[ $2 != kept ]] || return 0
  [[ $2 != lost ]] || { rm -r --one-file-system "$1"; return; }
  chmod u+w "$1"
  python3 - "$@" <<'PY'
import os, sys
path, how = sys.argv[1:]
size = os.path.getsize(path)
if how != "flipped":
    os.truncate(path, size // 2 if how == "cut" else size + 700)
else:
    with open(path, "r+b") as file:
        file.seek(size // 2)
        byte = file.read(1)[0]
        file.seek(size // 2)
        file.write(bytes([byte ^ 255]))
PY
}

# mends LAYER BLOB PART HOW: the blob of the layer of that number is BLOB and one part of its folder is HOW; a pull brings all
# of it back.
mends() {
  local folder blob said
  forget_mounts
  rm -rf --one-file-system "$LAY_ROOT"
  cp -a kept "$LAY_ROOT"
  folder=$LAY_ROOT/layers/$(jq -r ".[0].RootFS.Layers[$1][7:]" <<<"$json")
  blob=$LAY_ROOT/blobs/$(jq -r ".[0].Layers[$1].digest" <<<"$json" | tr : /)
  hurt "$blob" "$2"
  hurt "$folder/$3" "$4"
  said=$(timeout -s KILL 20 "$LAY" pull -q "$image" 2>&1 >/dev/null) || { echo "layer $1, blob $2, $3 $4: not pulled: ${said%%$'\n'*}"; return 1; }
  said=$("$LAY" fsck -q 2>&1) || { echo "layer $1, blob $2, $3 $4: pulled, and ${said%%$'\n'*}"; return 1; }
  said=$("$LAY" run --rm --network none "$image" /bin/cat /said 2>&1)
  [ "$said" = said ] || { echo "layer $1, blob $2, $3 $4: pulled, and not run: $said"; return 1; }
}

# mends_each PART:HOW...: with every state of the blob; in the long form of both layers.
mends_each() {
  local blob part layer=0 failed=
  pulled_image
  for part; do
    for blob in kept lost cut flipped; do
      layer=$((1 - layer))
      mends "$layer" "$blob" "${part%:*}" "${part#*:}" || failed=1
      [[ -z ${LAY_TESTS_LONG-} ]] || mends $((1 - layer)) "$blob" "${part%:*}" "${part#*:}" || failed=1
    done
    layer=$((1 - layer))
  done
  [ -z "$failed" ]
}

@test "a pull mends an image whose mounted layer has lost its tar, with its blob or without" {
  mends_each layer.tar:lost
}

@test "a pull mends an image whose mounted layer has lost a part of its tar, with its blob or without" {
  mends_each layer.tar:cut
}

@test "a pull mends an image whose mounted layer has lost its metadata or has damaged ones, with its blob or without" {
  mends_each layer.erofs:lost layer.erofs:cut layer.erofs:flipped
}

@test "a pull mends an image whose mounted layer or its notes are lost, with its blob or without" {
  mends_each .:kept :lost boot:lost boot:flipped boot:grown
}

@test "a pull mends an image whose unpacked layer is lost, as a whole or within its folder, with its blob or without" {
  export LAY_LAYER_FORM=tree
  mends_each .:kept :lost tree:lost
}
