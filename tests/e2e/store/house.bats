#!/usr/bin/env bats
# fsck, df, prune, info, export and diff: what keeps a store in order and says what is in it.

load ../support/world

setup() { open_world; }
teardown() { leave_world; }

# flip FILE: turns over one bit in the middle of it.
flip() {
  python3 - "$1" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as file:
    at = os.fstat(file.fileno()).st_size // 2
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 1]))
PY
}

blob_path() { echo "$LAY_ROOT/blobs/${1/://}"; }

# pushed_image: small, with a layer on top, is pulled back from a registry as $image; nothing else is in the store.
pushed_image() {
  small_image
  "$LAY" run --name c --network none small sh -c 'echo changed >/said; mkdir -p /deep/er; echo x >/deep/er/x'
  "$LAY" commit -q c top:1 --compression gzip >/dev/null
  "$LAY" rm c >/dev/null
  start_registry "$world/registry"
  image=$registry/top:1
  "$LAY" push -q top:1 "$image" >/dev/null
  "$LAY" rmi top:1 small >/dev/null
  [ -z "$(ls "$LAY_ROOT/layers")" ]
  "$LAY" pull -q "$image" >/dev/null
}

# damaged_and_mended FILE WORDS: fsck names the damage and who needs it, a repair mends it, byte for byte.
damaged_and_mended() {
  local before
  before=$(sha256sum <"$1")
  chmod u+w "$1"
  flip "$1"
  run "$LAY" fsck -q
  has "$output" "$2"
  has "$output" "$image"
  [ "$status" -eq 1 ]
  run "$LAY" fsck -q --repair
  [ "$status" -eq 0 ] || { echo "$output"; return 1; }
  "$LAY" fsck -q
  [ "$(sha256sum <"$1")" = "$before" ]
  [ "$("$LAY" run --rm --network none "$image" cat /said)" = changed ]
}

@test "fsck names every flipped bit and the image that needs it, and mends it" {
  pushed_image
  "$LAY" fsck -q
  local json layer
  json=$("$LAY" inspect "$image")
  damaged_and_mended "$(blob_path "$(jq -r '.[0].Digest' <<<"$json")")" "damaged"
  damaged_and_mended "$(blob_path "$(jq -r '.[0].Id' <<<"$json")")" "damaged"
  for layer in $(jq -r '.[0].Layers[].digest' <<<"$json"); do
    damaged_and_mended "$(blob_path "$layer")" "damaged blob $layer"
  done
  for layer in $(jq -r '.[0].RootFS.Layers[]' <<<"$json"); do
    damaged_and_mended "$LAY_ROOT/layers/${layer#sha256:}/layer.tar" "damaged layer $layer"
    damaged_and_mended "$LAY_ROOT/layers/${layer#sha256:}/layer.erofs" "damaged layer $layer"
  done
}

@test "fsck finds what is missing, of a wrong type or added to a layer" {
  pushed_image
  local layer blob folder
  layer=$("$LAY" inspect "$image" | jq -r '.[0].RootFS.Layers[-1]')
  blob=$(blob_path "$("$LAY" inspect "$image" | jq -r '.[0].Layers[-1].digest')")
  folder=$LAY_ROOT/layers/${layer#sha256:}
  printf 'deep\0' >"$folder/implied"
  run "$LAY" fsck -q
  has "$output" "damaged layer $layer"
  "$LAY" fsck -q --repair
  rm "$blob"
  run "$LAY" fsck -q
  has "$output" "damaged image $image"
  [ "$status" -eq 1 ]
  "$LAY" fsck -q --repair
  rm "$blob"
  ln -s /etc/passwd "$blob"
  run "$LAY" fsck -q
  has "$output" "damaged blob"
  [ "$status" -eq 1 ]
  "$LAY" fsck -q --repair
  [ -f "$blob" ] && [ ! -L "$blob" ]
  rm "$folder/layer.tar"
  run "$LAY" fsck -q
  has "$output" "damaged layer $layer"
  "$LAY" fsck -q --repair
  "$LAY" fsck -q
}

@test "fsck checks unpacked layers against their blobs, and unpacks them again" {
  export LAY_LAYER_FORM=tree
  pushed_image
  local layer
  layer=$("$LAY" inspect "$image" | jq -r '.[0].RootFS.Layers[-1]')
  flip "$LAY_ROOT/layers/${layer#sha256:}/tree/said"
  run "$LAY" fsck -q
  has "$output" "damaged layer $layer"
  has "$output" "$image"
  "$LAY" fsck -q --repair
  "$LAY" fsck -q
  chmod 777 "$LAY_ROOT/layers/${layer#sha256:}/tree/deep"
  run "$LAY" fsck -q
  has "$output" "damaged layer $layer"
  "$LAY" fsck -q --repair
  "$LAY" fsck -q
}

@test "a layer's blob is made again from the layer when nobody else has it, and what is lost is said" {
  small_image
  local blob
  blob=$(blob_path "$("$LAY" inspect small | jq -r '.[0].Layers[0].digest')")
  before=$(sha256sum <"$blob")
  chmod u+w "$blob"
  flip "$blob"
  "$LAY" fsck -q --repair
  [ "$(sha256sum <"$blob")" = "$before" ]
  chmod u+w "$blob"
  flip "$blob"
  flip "$(echo "$LAY_ROOT"/layers/*/layer.tar)"
  run "$LAY" fsck -q --repair
  [ "$status" -eq 1 ]
  has "$output" "small"
  has "$output" "could not be mended"
  refused 1 "" "$LAY" save -q -o no small
}

@test "a damaged index.json is named, and no command takes it for an empty store" {
  small_image
  flip "$LAY_ROOT/index.json"
  run "$LAY" fsck -q
  [ "$status" -eq 1 ]
  printf '{' >"$LAY_ROOT/index.json"
  run "$LAY" fsck -q
  has "$output" index.json
  [ "$status" -eq 1 ]
  run "$LAY" prune -f
  [ "$status" -eq 1 ]
  [ -n "$(ls "$LAY_ROOT/layers")" ]
}

# du_of PATH...: bytes on disk, as du counts them.
du_of() { du -sB1 -c "$@" | tail -n 1 | cut -f1; }

@test "df counts every byte that du counts, once, and says what is shared" {
  small_image
  "$LAY" run --name c --network none small sh -c 'dd if=/dev/urandom of=/big bs=64k count=16 2>/dev/null'
  "$LAY" commit -q c top:1 >/dev/null
  "$LAY" tag top:1 again:1
  "$LAY" run --name d --network none small true
  local blobs layers shared unique
  column() { "$LAY" df --format jsonl | jq -r "select(.Name == \"$1\") | .$2"; }
  [ "$(column images Bytes)" = "$(du_of "$LAY_ROOT"/blobs/sha256/* "$LAY_ROOT"/layers/*)" ]
  [ "$(column reclaimable Bytes)" = 0 ]
  base=$("$LAY" inspect small | jq -r '.[0].Layers[0].digest')
  base_layer=$("$LAY" inspect small | jq -r '.[0].RootFS.Layers[0]')
  shared=$(du_of "$(blob_path "$base")" "$LAY_ROOT/layers/${base_layer#sha256:}")
  [ "$(column small:latest SharedBytes)" = "$shared" ]
  [ "$(column top:1 SharedBytes)" = "$shared" ]
  [ "$(column again:1 UniqueBytes)" = "$(column top:1 UniqueBytes)" ]
  [ "$(column c Bytes)" = "$(du_of "$LAY_ROOT"/containers/"$("$LAY" inspect -f '{{.Id}}' c)")" ]
  unique=$(column top:1 UniqueBytes)
  total=$(du_of "$LAY_ROOT"/blobs/sha256/* "$LAY_ROOT"/layers/*)
  "$LAY" rm c >/dev/null
  "$LAY" rmi top:1 again:1 >/dev/null
  [ "$(($total - $(du_of "$LAY_ROOT"/blobs/sha256/* "$LAY_ROOT"/layers/*)))" = "$unique" ]
}

# files_of IMAGE: the blobs and layers that it needs, and its manifest.
files_of() {
  "$LAY" inspect "$1" | jq -r '.[0] | .Digest, .Id, .Layers[].digest' | sed "s|^sha256:|$LAY_ROOT/blobs/sha256/|"
  "$LAY" inspect "$1" | jq -r '.[0].RootFS.Layers[]' | sed "s|^sha256:|$LAY_ROOT/layers/|"
}

# of_df NAME KEY
of_df() { "$LAY" df --format jsonl | jq "select(.Name == \"$1\").$2"; }

@test "df tells what two images share and what each has alone as du does, and so of damaged ones" {
  small_image
  local image other container
  for image in one two; do
    "$LAY" run --name "$image" --network none small sh -c "dd if=/dev/urandom of=/$image bs=64k count=20 2>/dev/null; truncate -s 1G /holes"
    "$LAY" commit -q "$image" "$image:1" >/dev/null
  done
  rm "$(layer_file two:1 layer.erofs)"
  truncate -s 100 "$(layer_file one:1 layer.tar)"
  rm "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' two)/container.json"
  for image in one two; do
    other=$(if [[ $image == one ]]; then echo two; else echo one; fi)
    [ "$(of_df "$image:1" SharedBytes)" = "$(du_of $(comm -12 <(files_of "$image:1" | sort) <( (files_of "$other:1"; files_of small) | sort -u)))" ]
    [ "$(of_df "$image:1" UniqueBytes)" = "$(du_of $(comm -23 <(files_of "$image:1" | sort) <( (files_of "$other:1"; files_of small) | sort -u)))" ]
  done
  [ "$(of_df images Bytes)" = "$(du_of $( (files_of one:1; files_of two:1; files_of small) | sort -u))" ]
  [ "$(of_df containers Bytes)" = "$(for container in "$LAY_ROOT"/containers/*/; do du_of "$container"; done | awk '{sum += $1} END {print sum}')" ]
  [ "$("$LAY" df --format jsonl | jq -s 'map(select(.Type == "container")) | length')" = 2 ]
}

@test "what df calls reclaimable is what du finds gone after prune, to the byte" {
  small_image
  "$LAY" import "$world/small" other --label a=b >/dev/null
  "$LAY" run -d --name running --network none small sleep 60 >/dev/null
  mkdir upper
  head -c 300000 /dev/urandom >upper/file
  "$LAY" commit -q ./upper lost:1 --base small >/dev/null
  jq -c '.manifests |= map(select(.annotations["org.opencontainers.image.ref.name"] != "lost:1"))' "$LAY_ROOT/index.json" >index
  cat index >"$LAY_ROOT/index.json"
  mkdir "$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef"
  truncate -s 1G "$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef/blob"
  local told before
  told=$(of_df reclaimable Bytes)
  # Folders shrink or not as the file system likes; what lies in them goes.
  used() { du_of "$LAY_ROOT"/blobs/sha256/* "$LAY_ROOT"/layers/* "$LAY_ROOT"/ingest/*; }
  before=$(used)
  "$LAY" prune -f --images
  ((told > 600000))
  [ "$((before - $( (shopt -s nullglob; used) ) ))" = "$told" ]
  [ "$(of_df reclaimable Bytes)" = 0 ]
  "$LAY" fsck -q
}

@test "prune frees what df calls reclaimable, and keeps what names and containers need" {
  small_image
  "$LAY" run --name c --network none small sh -c 'echo x >/x'
  "$LAY" commit -q c top:1 >/dev/null
  "$LAY" run --name user --network none top:1 true
  "$LAY" rmi -f top:1 >/dev/null
  "$LAY" import "$world/small" other --label a=b >/dev/null
  printf garbage >"$LAY_ROOT/blobs/sha256/$(printf garbage | sha256sum | cut -d' ' -f1)"
  mkdir "$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef"
  head -c 100000 /dev/urandom >"$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef/blob"
  refused 1 "no terminal" "$LAY" prune </dev/null
  "$LAY" run -d --name running --network none small sleep 60 >/dev/null
  reclaimable=$("$LAY" df --format jsonl | jq 'select(.Name == "reclaimable") | .Bytes')
  [ "$reclaimable" -gt 100000 ]
  run "$LAY" prune -f --images
  has "$output" Reclaimed
  [ "$("$LAY" df --format jsonl | jq 'select(.Name == "reclaimable") | .Bytes')" = 0 ]
  "$LAY" start user  # still there, on layers that have no name
  "$LAY" wait user >/dev/null
  run "$LAY" prune -f
  has "$output" "Removed container: user"
  [ "$("$LAY" ps -aq | wc -l)" = 1 ]
  [ "$("$LAY" images -q | wc -l)" = 2 ]
  run "$LAY" prune -f -a
  has "$output" "Untagged: other:latest"
  [ "$("$LAY" images --format '{{.Repository}}')" = small ]
  "$LAY" exec running true
  "$LAY" fsck -q
}

# is_held: somebody adds to the store.
is_held() { ! flock -n -x "$LAY_ROOT/lock" true; }

@test "prune neither waits for whoever adds to the store nor takes what is being added" {
  small_image
  printf garbage >"$LAY_ROOT/blobs/sha256/$(printf garbage | sha256sum | cut -d' ' -f1)"
  mkfifo pipe
  "$LAY" load -q <pipe >loaded &  # holds the store shared until its input ends
  loader=$!
  exec {hold}>pipe
  wait_until 10 is_held
  timeout 10 "$LAY" prune -f >pruned 2>said
  grep -q "just now" said
  [ -e "$LAY_ROOT/blobs/sha256/$(printf garbage | sha256sum | cut -d' ' -f1)" ]
  "$LAY" save -q small >&"$hold"
  exec {hold}>&-
  wait "$loader"
  grep -q "Loaded image: small" loaded
  "$LAY" prune -f >pruned
  [ ! -e "$LAY_ROOT/blobs/sha256/$(printf garbage | sha256sum | cut -d' ' -f1)" ]
}

@test "info says where lay works and why layers take their form" {
  run "$LAY" info
  has "$output" "there is no store yet"
  small_image
  run "$LAY" info --format '{{.Root}} {{.LayerForm}}'
  has "$output" "$LAY_ROOT"
  LAY_LAYER_FORM=tree run "$LAY" info
  has "$output" "tree (as asked for)"
  "$LAY" info --format json | jq -e '.Images == 1 and .Containers == 0 and (.LayerFormReason | length > 0)'
}

# Changes whose every line of a diff is known.
change='rm -r /etc; mkdir /etc; echo new >/etc/new; echo more >/added; rm /bin/cat; mkdir /bin/cat; echo f >/bin/cat/f; rm /bin/nc; chmod 700 /tmp'

@test "diff lists what a container, an image and an upper changed" {
  small_image
  mkdir "$world/small/keep"
  echo one >"$world/small/keep/same"; echo two >"$world/small/keep/gone"
  "$LAY" import "$world/small" base >/dev/null
  "$LAY" run --name c --network none base sh -c "$change; echo two! >/keep/gone; touch -d '2001-01-01 UTC' /keep/same; rm /keep/same"
  cat >expected <<'TXT'
A /added
C /bin
C /bin/cat
A /bin/cat/f
D /bin/nc
C /etc
D /etc/group
A /etc/new
D /etc/passwd
C /keep
C /keep/gone
D /keep/same
C /tmp
TXT
  "$LAY" diff c | diff expected -
  "$LAY" commit -q c top:1 >/dev/null
  "$LAY" diff top:1 | diff expected -
  "$LAY" diff top:1 base | diff expected -
  upper=$(echo "$LAY_ROOT"/containers/*/upper)
  "$LAY" diff --base base "$upper/" | diff expected -
  "$LAY" diff "$upper" base | diff expected -
  [ -z "$("$LAY" diff c top:1)" ]
  "$LAY" diff base top:1 | tr AD DA | grep -v '^. /bin/cat/f$' | diff <(grep -v '/bin/cat/f' expected) -
  "$LAY" diff -s c base | grep -qx $'A /added\t+5'
  "$LAY" diff -s c base | grep -qx $'C /keep/gone\t+1'
  [ "$("$LAY" diff c --format jsonl | jq -c 'select(.Path == "/etc/passwd") | [.Kind, .Size]')" = '["D",0]' ]
  [ "$("$LAY" diff c --format json | jq length)" = "$(wc -l <expected)" ]
}

@test "diff between images that share no layer compares their content" {
  small_image
  cp -a "$world/small" "$world/small2"
  echo same size? >"$world/small/text"
  echo size same? >"$world/small2/text"
  touch -r "$world/small/text" "$world/small2/text"
  touch -r "$world/small" "$world/small2"
  "$LAY" import "$world/small" one >/dev/null
  "$LAY" import "$world/small2" two >/dev/null
  run "$LAY" diff two one
  [ "$output" = "C /text" ]
}

@test "diff does not take what a replaced symlink led to for the folder's own content" {
  small_image
  mkdir -p "$world/small/there/below"
  echo same >"$world/small/there/below/file"
  ln -s there "$world/small/link"
  "$LAY" import "$world/small" base >/dev/null
  "$LAY" run --name c --network none base sh -c 'rm /link; cp -a /there /link'
  [ "$("$LAY" diff c)" = $'C /link\nA /link/below\nA /link/below/file' ]
}

@test "diff reads the change and not the base" {
  debian_image
  "$LAY" run --name c --network none debian:12 sh -c 'echo x >/etc/motd; echo y >/new'
  strace -f -c -o calls "$LAY" diff c >changes
  [ "$(cat changes)" = $'C /etc\nC /etc/motd\nA /new' ]
  [ "$(awk '$NF == "total" {print $(NF-1) + 0, $3, $4}' calls | tr ' ' '\n' | sort -n | tail -n 1)" -lt 3000 ]
}

@test "export writes the merged tree of a container, while it runs, without what lay made in it" {
  base=$("$here/../../inputs/debian-base.sh")
  debian_image
  mkdir "$world/volume"; echo hidden >"$world/volume/file"
  "$LAY" run -d --name c -v "$world/volume:/made/by/lay" debian:12 sh -c '
    rm /etc/issue; echo new >/new; ln /new /hard; chmod 4755 /usr/bin/env; mkdir /dir; : >/ready; sleep 60' >/dev/null
  wait_until 10 "$LAY" exec c test -e /ready
  "$LAY" export -o c.tar c
  upper=$(echo "$LAY_ROOT"/containers/*/upper)
  merged "$base/rootfs" "$upper" "$world/merged" python3 "$here/tree_of.py" "$world/merged" >expected
  mkdir unpacked
  bsdtar -xpf c.tar -C unpacked --numeric-owner
  tree_of unpacked >got
  diff expected got
  [ -z "$(grep made got)" ]
}

@test "an exported image is imported again to the same tree, and its tar is the same twice" {
  small_image
  "$LAY" export small >one.tar
  "$LAY" export -o two.tar small
  cmp one.tar two.tar
  "$LAY" import one.tar back >/dev/null
  [ -z "$("$LAY" diff back small)" ]
}

@test "export survives files that come, grow, shrink and go while it reads" {
  small_image
  "$LAY" run -d --name c --network none small sh -c '
    while :; do i=0; while [ $i -lt 50 ]; do head -c $((i * 1000)) /bin/busybox >/tmp/$i; i=$((i+1)); done; rm -rf /tmp/*; mkdir -p /tmp/d/e; done' >/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    "$LAY" export c >out.tar
    bsdtar -tf out.tar >/dev/null
    tar -tf out.tar >/dev/null
  done
}

@test "export gives its layers back when the reader goes away" {
  debian_image
  "$LAY" export debian:12 2>said | head -c 100 >/dev/null || true
  grep -qi "broken pipe" said
  wait_until 10 nothing_mounted
}

@test "diff and export see the same over unpacked layers, and of a running container" {
  export LAY_LAYER_FORM=tree
  small_image
  "$LAY" run -d --name c --network none small sh -c 'rm /bin/nc; echo x >/x; : >/ready; sleep 60' >/dev/null
  wait_until 10 "$LAY" exec c test -e /ready
  [ "$("$LAY" diff c)" = $'C /bin\nD /bin/nc\nA /ready\nA /x' ]
  "$LAY" commit -q c top:1 >/dev/null
  [ "$("$LAY" diff top:1)" = $'C /bin\nD /bin/nc\nA /ready\nA /x' ]
  "$LAY" export -o c.tar c
  "$LAY" export -o top.tar top:1
  cmp c.tar top.tar
}

# large_image NAME: whose layer takes a while to be removed.
large_image() {
  mkdir -p "$world/large"
  yes "$1" | head -c 100M >"$world/large/file"
  "$LAY" commit -q --compression none "$world/large" "$1" >/dev/null
}

nothing_half_done() { [ -z "$(ls "$LAY_ROOT/ingest")" ]; }

@test "removing a large image does not wait for its space, which is free soon" {
  large_image large
  local digest
  digest=$("$LAY" inspect large | jq -r '.[0].Digest')
  [ "$("$LAY" rmi large)" = "Untagged: large:latest" ]  # whose output ends: nothing in the background holds it
  [ ! -e "$(blob_path "$digest")" ]
  [ -z "$(ls "$LAY_ROOT/layers")" ]
  wait_until 10 nothing_half_done
  "$LAY" fsck -q
}

@test "folders nested deeper than files may be open are counted and removed" {
  small_image
  "$LAY" run --name deep --network none small \
    sh -c 'n=0; while [ $n -lt 1500 ]; do mkdir d; cd ./d || exit 1; n=$((n + 1)); done'
  [ "$(ulimit -n 256 && "$LAY" df --format jsonl | jq -r 'select(.Name == "deep") | .Bytes')" = \
    "$(du_of "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' deep)")" ]
  (ulimit -n 256 && "$LAY" rm deep)
  [ -z "$("$LAY" ps -aq)" ]
  wait_until 5 eval '[ -z "$(find "$LAY_ROOT/containers" -mindepth 1 -maxdepth 1 ! -name ".*")" ]'
}

@test "the space of an image whose removal was cut short is freed by the next one" {
  large_image first
  # The process that frees the space ends at its second file.
  strace -f -qq -o /dev/null -e trace=unlinkat -e inject=unlinkat:signal=KILL:when=2 "$LAY" rmi first >/dev/null || true
  [ "$(du -sm "$LAY_ROOT/ingest" | cut -f1)" -ge 100 ]
  [ -z "$(ls "$LAY_ROOT/layers")" ]
  "$LAY" fsck -q
  "$LAY" prune -f >/dev/null
  nothing_half_done
}

layer_file() { echo "$LAY_ROOT/layers/$("$LAY" inspect "$1" | jq -r '.[0].RootFS.Layers[-1]' | cut -d: -f2)/$2"; }

@test "what is committed again takes the place of a damaged copy" {
  mkdir upper
  yes said | head -c 100000 >upper/said
  local compression
  for compression in none zstd gzip; do
    "$LAY" commit -q --compression "$compression" ./upper "app:$compression" >/dev/null
    chmod u+w "$(layer_file "app:$compression" layer.tar)"
    flip "$(layer_file "app:$compression" layer.tar)"
    "$LAY" commit -q --compression "$compression" ./upper "app:$compression" >/dev/null
    "$LAY" fsck -q
  done
}

@test "a layer that was mended is not shown as it was mounted before" {
  small_image
  mkdir upper
  yes said | head -c 100000 >upper/said
  "$LAY" commit -q ./upper app:1 --base small >/dev/null
  "$LAY" run -d --name holder --network none app:1 sleep 100 >/dev/null
  flip "$(layer_file app:1 layer.tar)"
  "$LAY" fsck -q --repair >/dev/null || true
  "$LAY" fsck -q
  [ "$("$LAY" run --rm --network none app:1 cat /said | sha256sum)" = "$(sha256sum <upper/said)" ]
  "$LAY" rm -f holder >/dev/null
}

@test "a fifo in the place of a layer's file is told, and nobody waits for it" {
  small_image
  rm -f "$(layer_file small layer.tar)"
  mkfifo "$(layer_file small layer.tar)"
  refused 125 "layer.tar" timeout 20 "$LAY" run --rm --network none small true
  run timeout 20 "$LAY" fsck -q
  [ "$status" -eq 1 ]
}

@test "a tree that a container stands on stays when its image is made again" {
  export LAY_LAYER_FORM=tree
  small_image
  tar -C small -cf small.tar .
  "$LAY" import small.tar first --cmd '["/bin/sh"]' >/dev/null
  "$LAY" run -d --name holder --network none first sleep 100 >/dev/null
  "$LAY" import small.tar again >/dev/null
  "$LAY" exec holder ls /bin/busybox
  "$LAY" rm -f holder >/dev/null
}

@test "prune, asked where nobody can answer, tells the command that removes no more than this one" {
  small_image
  "$LAY" run --name keepme --network none small true
  told() {
    refused 1 "no terminal" "$LAY" "${@:2}" </dev/null
    [ "$(sed -n 's/^hint: //p' refused.err)" = "$1" ]
  }
  told "lay prune -f" prune
  told "lay prune -a -f" system prune -a
  told "lay prune --images -f" image prune
  told "lay prune --images -a --filter until=24h -f" image prune -a --filter until=24h
  told "lay prune --containers --filter 'label=a b'\\''c' -f" container prune --filter "label=a b'c"
  local root=$LAY_ROOT
  LAY_ROOT=/nowhere told "lay --root $root prune -a -f" --root "$root" prune -a
  told "lay prune --images -f" image prune
  (cd "$(dirname "$LAY")" && eval "./$(sed -n 's/^hint: //p' "$world/refused.err")") >/dev/null
  [ "$("$LAY" ps -a --format '{{.Names}}')" = keepme ]
}

@test "image prune leaves containers alone, container prune images" {
  small_image
  "$LAY" run --name c --network none small sh -c 'echo changed >/said'
  "$LAY" commit -q c unused:1 >/dev/null
  "$LAY" image prune -af >/dev/null
  [ "$("$LAY" ps -a --format '{{.Names}}')" = c ]
  ! "$LAY" inspect unused:1 >/dev/null 2>&1 || return 1
  "$LAY" commit -q c unused:1 >/dev/null
  refused 1 "leaves images alone" "$LAY" container prune -f --all
  [ "$("$LAY" container prune -f)" = "Removed container: c" ]
  [ "$("$LAY" run --rm --network none unused:1 cat /said)" = changed ]
}

@test "an image whose manifest is damaged is named, and hides neither the others nor what they take" {
  small_image
  "$LAY" import -q "$world/small" dm:1 --label a=b >/dev/null
  "$LAY" import -q "$world/small" zz:1 --label c=d >/dev/null
  local manifest
  manifest=$(blob_path "$("$LAY" inspect -f '{{.Digest}}' dm:1)")
  chmod u+w "$manifest"
  flip "$manifest"
  "$LAY" df --format jsonl >rows 2>told
  has "$(<told)" "image 'dm:1'"
  has "$(<told)" "lay rmi dm:1"
  [ "$(jq -r 'select(.Type == "image").Name' rows | xargs)" = "small:latest zz:1" ]
  [ "$(jq 'select(.Name == "reclaimable").Bytes' rows)" = 0 ]
  [ "$(jq 'select(.Name == "images").Bytes' rows)" = "$(du_of "$LAY_ROOT"/blobs/sha256/* "$LAY_ROOT"/layers/*)" ]
  refused 1 "nothing was collected: image 'dm:1'" "$LAY" prune -f
  "$LAY" rmi zz:1 2>told
  has "$(<told)" "image 'dm:1'"
  "$LAY" rmi dm:1
  "$LAY" prune -f >/dev/null
  "$LAY" fsck -q
  [ "$(of_df reclaimable Bytes)" = 0 ]
}

@test "df and prune leave out what somebody works on" {
  small_image
  local folder=$LAY_ROOT/ingest/0123456789abcdef0123456789abcdef holder
  mkdir "$folder"
  head -c 2000000 /dev/urandom >"$folder/blob"
  ((  $(of_df reclaimable Bytes) >= 2000000 ))
  flock -x "$folder" sleep 100 3>&- & holder=$!
  wait_until 5 eval '! flock -n -x "$folder" true'
  [ "$(of_df reclaimable Bytes)" = 0 ]
  [ "$("$LAY" prune -f --images 2>&1)" = "Reclaimed 0 B" ]
  pkill -KILL -P "$holder"
  wait "$holder" || true
  [[ $("$LAY" prune -f --images) != "Reclaimed 0 B" ]]
}

@test "a damaged blob of a level of its own is made again from its layer" {
  small_image
  mkdir upper
  yes text | head -c 300000 >upper/file
  local flags blob
  for flags in "gzip 6" "zstd 9"; do
    echo "$flags" >upper/which
    "$LAY" commit -q ./upper "of:1" --base small --compression ${flags% *} --compression-level ${flags#* } >/dev/null
    blob=$(blob_path "$("$LAY" inspect of:1 | jq -r '.[0].Layers[-1].digest')")
    chmod u+w "$blob"
    flip "$blob"
    "$LAY" fsck -q --repair
    "$LAY" fsck -q
    rm "$blob"
    "$LAY" import -q small gone:1 >/dev/null
    "$LAY" rmi gone:1 >/dev/null  # which collects
    "$LAY" fsck -q --repair
    "$LAY" fsck -q
  done
}
