#!/usr/bin/env bats
# Whether lay is right is judged by others: the kernel's merged view, skopeo, umoci, podman and buildah.

load ../support/world

setup() { open_world; }
teardown() { close_world; }

# Changes of every kind, made inside a container of the Debian base.
change_everything='
set -e
echo new >/new; mkdir -p "/dir with space/deep"; printf bytes >"/$(printf "\\377\\376 name\n2")"
rm /etc/issue; rm -r /usr/share/doc; rm -r /var/log/apt; mkdir /var/log/apt; echo again >/var/log/apt/x
chmod 4711 /usr/bin/env; chown 1234:70000 /etc/motd; touch -d "1969-12-31 23:00:00 UTC" /old; touch -d "2040-01-01 UTC" /later
ln /new /hard; ln -s ../../nowhere /dangling; mkfifo /pipe; chmod 1777 /var/mail
rm /bin/ls; mkdir /bin/ls; echo inside >/bin/ls/file
i=0; while [ $i -lt 200 ]; do echo $i >"/dir with space/$i"; i=$((i+1)); done
name=$(printf "%0250d" 1); echo long >"/$name"; mkdir -p "/$name-d/$name/$name"; echo deep >"/$name-d/$name/$name/f"
'

# An upper with all that a container itself may not make.
add_privileged_entries() {
  local upper=$1
  mknod "$upper/chr" c 1 7
  mknod "$upper/blk" b 7 200
  cp /bin/true "$upper/capable"
  setcap cap_net_bind_service+ep "$upper/capable"
  setfattr -n user.note -v text "$upper/capable"
  setfattr -n trusted.note -v secret "$upper/capable"
  setfacl -m u:1234:r "$upper/capable"
  setfattr -h -n trusted.link -v x "$upper/dangling"
}

# add_extremes UPPER: what is as long, as large or as odd as the kernel takes it.
add_extremes() {
  mkdir -p "$1/x/listed" "$1/x/bits"
  cd "$1/x" || return 1
  touch owner early late
  chown 4294967294:2097152 owner
  chown -R 65536:65535 bits
  chmod 7751 bits
  touch -d @-2147483648 early
  touch -d '2200-01-01 UTC' late  # umoci and podman count nanoseconds, to 2262
  ln -s "$(printf '%4095s' | tr ' ' l)" symlink
  printf x >"$(printf 'n\377%.0s' {1..127})n"
  cp /bin/true capable
  setcap -n 100000 cap_net_raw+ep capable
  setfacl -m u:70000:rwx,d:u:33:rx,d:o::- listed
  setfattr -n user.long -v "$(printf '%3000s' | tr ' ' v)" owner
  mknod disk b 259 1048575
  ln symlink again
  touch -h -d @1234567890 symlink listed bits
  cd "$world" || return 1
}

# make_image [COMPRESSION]: commits it all as changed:1 and keeps the tree that the kernel shows in $world/expected.
make_image() {
  base=$("$here/../../inputs/debian-base.sh")
  "$LAY" import "$base/rootfs.tar" debian:12 --compression "${1:-zstd}" >/dev/null
  "$LAY" run --name c --network none debian:12 sh -c "$change_everything"
  upper=$(echo "$LAY_ROOT"/containers/*/upper)
  add_privileged_entries "$upper"
  add_extremes "$upper"
  "$LAY" commit c changed:1 --compression "${1:-zstd}" >"$world/id"
  merged "$base/rootfs" "$upper" "$world/merged" python3 "$here/tree_of.py" "$world/merged" >"$world/expected"
  [ "$(wc -l <"$world/expected")" -gt 3000 ]
}

@test "umoci unpacks what lay committed and pushed to the tree of the merged overlay" {
  make_image gzip  # Debian's umoci does not know zstd
  start_registry "$world/registry"
  "$LAY" push changed:1 "$registry/team/changed:1" >/dev/null
  skopeo copy -q --src-tls-verify=false "docker://$registry/team/changed:1" "oci:$world/layout:1"
  umoci unpack --image "$world/layout:1" "$world/bundle" >/dev/null 2>&1
  tree_of "$world/bundle/rootfs" >"$world/got"
  diff "$world/expected" "$world/got"
}

@test "podman unpacks what lay committed and pushed to the tree of the merged overlay" {
  make_image
  start_registry "$world/registry"
  "$LAY" push changed:1 "$registry/team/changed:1" >/dev/null
  local driver
  for driver in vfs overlay; do
    podman_() {
      podman --root "$world/podman-$driver" --runroot "$world/p-$driver" --storage-driver "$driver" --events-backend file "$@"
    }
    podman_ pull -q --tls-verify=false "$registry/team/changed:1" >/dev/null
    tree_of "$(podman_ image mount "$registry/team/changed:1")" >"$world/got"
    podman_ image umount -a >/dev/null
    ! mountpoint -q "podman-$driver/$driver" || umount "podman-$driver/$driver"  # on itself
    sed -E 's|\t-[0-9]+\t\./|\t0\t./|' "$world/expected" | diff - "$world/got"  # it knows no time before 1970
  done
}

@test "zstd, gzip and bsdtar read the layers that lay compresses, several chunks long, to the bytes of the diff_id" {
  mkdir -p upper/folder
  head -c 5000000 /dev/urandom >upper/folder/large
  echo x >upper/small
  local compression blob
  for compression in zstd gzip; do
    "$LAY" commit -q ./upper "app:$compression" --compression "$compression" >/dev/null
    blob=$LAY_ROOT/blobs/$("$LAY" inspect "app:$compression" | jq -r '.[0].Layers[0].digest | sub(":"; "/")')
    [ "sha256:$("$compression" -dc <"$blob" | sha256sum | cut -d' ' -f1)" = "$("$LAY" inspect "app:$compression" | jq -r '.[0].RootFS.Layers[0]')" ]
    bsdtar -xOf "$blob" ./folder/large | cmp - upper/folder/large
  done
}

@test "what lay pulls on another root is the same merged tree, mounted and unpacked" {
  make_image
  start_registry "$world/registry"
  "$LAY" push changed:1 "$registry/team/changed:1" >"$world/pushed"
  local form root place layers
  for form in erofs tree; do
    root=$world/root-$form
    LAY_LAYER_FORM=$form "$LAY" --root "$root" pull "$registry/team/changed:1" >/dev/null
    [ "$("$LAY" --root "$root" inspect -f '{{.Digest}}' "$registry/team/changed:1")" = "$(cat "$world/pushed")" ]
    "$LAY" --root "$root" run -d --network none "$registry/team/changed:1" sleep 60  # keeps the layers mounted
    [ $form = tree ] && place="$root/layers/@/tree" || place="$LAY_RUN/layers/@-*[!k]"  # not their locks
    layers=$("$LAY" --root "$root" inspect "$registry/team/changed:1" |
      jq -r --arg place "$place" '.[0].RootFS.Layers | reverse[] | ltrimstr("sha256:") as $d | $place | sub("@"; $d)')
    layers=$(printf '%s\n' $layers | paste -sd:)
    mkdir "$world/empty-$form"
    merged "$layers" "$world/empty-$form" "$world/pulled-$form" python3 "$here/tree_of.py" "$world/pulled-$form" >"$world/got-$form"
    diff "$world/expected" "$world/got-$form"
  done
}

@test "the store is an OCI image layout that skopeo reads" {
  make_image
  run skopeo inspect --format '{{.Digest}}' "oci:$LAY_ROOT:changed:1"
  [ "$output" = "$("$LAY" inspect -f '{{.Digest}}' changed:1)" ]
}

@test "podman pulls and runs lay's image" {
  small_image
  "$LAY" run --name c --network none small sh -c 'echo from lay >/said'
  "$LAY" commit c said:1 --cmd '["/bin/cat","/said"]' >/dev/null
  start_registry "$world/registry"
  "$LAY" push said:1 "$registry/said:1" >/dev/null
  run podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs --runtime runc --cgroup-manager cgroupfs \
    --events-backend file run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --tls-verify=false "$registry/said:1"
  has "$output" "from lay"
  [ "$status" -eq 0 ]
}

# Bytes of layers that the registry has sent, by its log.
sent_bytes() {
  awk '/"GET [^ ]*\/blobs\/sha256:/ {sum += $10} END {print sum + 0}' "$world/registry/log"
}

# Debian's podman dates the files of a partial pull by its own clock.
without_times() {
  sed -E 's/\t1[0-9]{9}\t/\t/'
}

@test "podman fetches of lay's layers only the files that it lacks" {
  small_image
  mkdir "$world/small/data"
  head -c 3000000 /dev/urandom >"$world/small/data/big"  # several chunks
  local i
  for i in {1..20}; do head -c $((i * 1000)) /dev/urandom >"$world/small/data/$i"; done
  "$LAY" import "$world/small" data:1 >/dev/null
  echo changed >"$world/small/data/7"
  "$LAY" import "$world/small" data:2 >/dev/null
  start_registry "$world/registry"
  cat >"$world/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$world/podman"
runroot = "$world/podman-run"
[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}
CONF
  export CONTAINERS_STORAGE_CONF=$world/storage.conf
  for i in 1 2; do
    "$LAY" push data:$i "$registry/data:$i" >/dev/null
    podman pull -q --tls-verify=false "$registry/data:$i" >/dev/null
    eval "sent_$i=$(sent_bytes)"
  done
  ((sent_1 > 3000000))
  ((sent_2 - sent_1 < 60000))
  tree_of "$(podman image mount "$registry/data:2")" | without_times >"$world/got"
  podman image umount -a >/dev/null
  podman rmi -af >/dev/null
  tree_of "$world/small" | without_times >"$world/expected"
  diff "$world/expected" "$world/got" | head -n 5
  cmp "$world/expected" "$world/got"
}

@test "lay pulls and runs an image that buildah made" {
  small_image
  start_registry "$world/registry"
  buildah_() { buildah --root "$world/buildah" --runroot "$world/buildah-run" --storage-driver vfs "$@"; }
  container=$(buildah_ from scratch)
  buildah_ copy -q "$container" "$world/small" / >/dev/null
  buildah_ config --cmd '["/bin/cat","/etc/group"]' --env MADE_BY=buildah --user user "$container"
  buildah_ commit -q --format docker "$container" made:1 >/dev/null
  buildah_ push -q --tls-verify=false made:1 "docker://$registry/made:1"
  run "$LAY" run --rm --network none --pull always "$registry/made:1"
  has "$output" extra
  run "$LAY" run --rm --network none "$registry/made:1" sh -c 'echo $MADE_BY; id -u'
  [ "$output" = $'buildah\n1000' ]
}

@test "the same upper gives the same digest under any umask, locale, time zone and number of cores" {
  make_image
  first=$("$LAY" inspect -f '{{.Digest}}' changed:1)
  export LAY_ROOT=$world/root2
  debian_image
  (umask 0; LC_ALL=C.UTF-8 TZ=Asia/Kolkata taskset -c 0 "$LAY" commit "$upper/" changed:1 --base debian:12 >/dev/null)
  [ "$("$LAY" inspect -f '{{.Digest}}' changed:1)" = "$first" ]  # a folder, where the first was a container
  export LAY_ROOT=$world/root3
  debian_image
  (umask 077; LC_ALL=POSIX TZ=America/St_Johns "$LAY" commit "$upper/" changed:1 --base debian:12 >/dev/null)
  [ "$("$LAY" inspect -f '{{.Digest}}' changed:1)" = "$(LAY_ROOT=$world/root2 "$LAY" inspect -f '{{.Digest}}' changed:1)" ]
  "$LAY" --root "$world/root" commit c again:1 >/dev/null
  [ "$("$LAY" --root "$world/root" inspect -f '{{.Digest}}' again:1)" = "$first" ]
}

@test "a base imported as a folder and one imported as its tar run alike" {
  base=$("$here/../../inputs/debian-base.sh")
  "$LAY" import "$base/rootfs" folder:1 >/dev/null
  gzip -1 <"$base/rootfs.tar" | "$LAY" import - tar:1 >/dev/null
  for image in folder:1 tar:1; do
    [ "$("$LAY" run --rm --network none "$image" sh -c '. /etc/os-release; echo $ID')" = debian ]
  done
}

@test "an upper of a mount with redirect_dir and metacopy is committed whole on the image it was made on" {
  mkdir -p base/a/b upper work merged
  echo 1 >base/a/b/1; head -c 300000 /dev/urandom >base/big
  "$LAY" import base base:1 --compression gzip >/dev/null  # Debian's umoci does not know zstd
  mount -t overlay overlay -o "lowerdir=base,upperdir=upper,workdir=work,redirect_dir=on,metacopy=on,index=off" merged
  mv merged/a merged/moved; echo 2 >merged/moved/b/2; chmod 600 merged/big
  tree_of merged >expected
  umount merged
  refused 1 "lower folders" "$LAY" commit -q ./upper none:1
  "$LAY" commit ./upper new:1 --base base:1 --compression gzip >/dev/null
  skopeo copy -q "oci:$LAY_ROOT:new:1" "oci:layout:1"
  umoci unpack --image layout:1 bundle >/dev/null 2>&1
  tree_of bundle/rootfs >got
  diff expected got
}

# Data in the middle of a hole.
sparse_upper() {
  small_image
  mkdir "$world/upper"
  truncate -s "$1" "$world/upper/sparse"
  printf middle | dd of="$world/upper/sparse" bs=1M oflag=seek_bytes seek=50000000 conv=notrunc status=none
}

@test "podman unpacks and runs lay's image with a sparse file" {
  sparse_upper 100M
  "$LAY" commit "$world/upper/" sparse:1 --base small --cmd '["/bin/sh","-c","wc -c </sparse; tail -c +50000001 /sparse | head -c 6"]' >/dev/null
  start_registry "$world/registry"
  "$LAY" push sparse:1 "$registry/sparse:1" >/dev/null
  run podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs --runtime runc --cgroup-manager cgroupfs \
    --events-backend file run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --tls-verify=false "$registry/sparse:1"
  has "$output" 104857600
  has "$output" middle
  [ "$status" -eq 0 ]
}

@test "a sparse file of a TiB is committed, run, copied up and committed again in a moment" {
  sparse_upper 1T
  local form
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    small_image
    SECONDS=0
    "$LAY" commit "$world/upper/" sparse:1 --base small >/dev/null
    "$LAY" run --name c --network none sparse:1 sh -c 'chmod 600 /sparse'
    "$LAY" commit c again:1 >/dev/null
    ((SECONDS < 10))
    "$LAY" rm c >/dev/null
  done
}
