#!/usr/bin/env bats
# A store on file systems of every kind: each takes layers in both forms as they are, or refuses them in words.

load ../support/world

setup() { open_world; }
teardown() {
  umount --lazy --recursive "$LAY_RUN/layers" 2>/dev/null || true  # they stay for 2 s in case of another container
  [[ -z ${fuse_at-} ]] || wait_until 10 umount "$fuse_at" || true
  ! mountpoint -q "$world/disk" || wait_until 10 umount "$world/disk" || true
  close_world
}

# make_upper: with what file systems differ in, beneath /top.
make_upper() {
  mkdir -p upper/top/deep/er upper/bin
  mknod upper/bin/ls c 0 0
  (
    cd upper/top
    echo text >deep/er/file
    ln deep/er/file hard
    ln -s ../../etc/passwd deep/link
    ln -s "$(printf 'l%.0s' {1..1000})" long
    echo longer >"$(printf 'n%.0s' {1..255})"
    mkfifo -m 640 pipe
    mknod null c 1 3
    cp /bin/true suid
    chown 70000:3000000 suid
    chmod 6755 suid
    setfattr -n user.note -v "$(head -c 400 /dev/zero | tr '\0' v)" deep/er
    setfattr -n trusted.note -v text hard
    setfacl -m u:33:rw deep/er/file
    setfacl -d -m u:33:rwx deep
    truncate -s 70M sparse
    echo end >>sparse
  )
  find upper -depth -exec touch -h -d @1234567890 {} +
}

# seen FILE: the tree beneath /top, as a container sees it. xfs shows each access list once more in its own notation.
seen() {
  "$LAY" run -d --name seen --network none top:1 sleep 60 >/dev/null || return 1
  tree_of "/proc/$("$LAY" inspect -f '{{.State.Pid}}' seen)/root/top" | sed -E 's/\ttrusted\.SGI_ACL_[A-Z]+=[0-9a-f]+//g' >"$1"
  "$LAY" rm -f seen >/dev/null
}

# layers_of IMAGE
layers_of() { "$LAY" inspect "$1" | jq -c '.[0].RootFS.Layers'; }

# make_expected: what a store on this machine's own disk shows.
make_expected() {
  make_upper
  small_image small:1
  "$LAY" commit -q ./upper top:1 --base small:1 >/dev/null
  layers=$(layers_of top:1)
  seen expected
  (($(wc -l <expected) >= 11))
  "$LAY" save -q -o archive top:1
}

# each COMMAND...: one that fails is named; the others are tried all the same.
each() { "$@" >/dev/null || { echo "exit $?: $*"; failed=1; }; }

# holds FORM...: in $place everything goes as on this machine's own disk; the form "best" is whatever lay takes.
holds() {
  local failed= form
  make_expected
  cp -a upper "$place/upper"
  for form; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$place/root-$form
    [[ $form != best ]] || unset LAY_LAYER_FORM
    each "$LAY" load -q -i archive
    seen "got-$form" && diff expected "got-$form" || failed=1
    each "$LAY" run --name c --network none top:1 sh -c 'rm /top/hard; echo more >/top/more; mkdir /top/new; chmod 700 /top'
    each "$LAY" commit -q c again:1
    [ "$("$LAY" run --rm --network none again:1 cat /top/more)" = more ] || failed=1
    ! "$LAY" run --rm --network none again:1 cat /top/hard 2>/dev/null || failed=1
    each "$LAY" commit -q "$place/upper/" same:1 --base top:1
    [ "$(layers_of same:1 | jq -c '.[-1]')" = "$(jq -c '.[-1]' <<<"$layers")" ] || { echo "another digest"; failed=1; }
    each "$LAY" export -o exported c
    each "$LAY" save -q -o saved top:1
    each cmp archive saved
    each "$LAY" fsck -q
    each "$LAY" rm c
    each "$LAY" rmi top:1 again:1 same:1
    wait_until 10 all_gone || failed=1
  done
  [ -z "$failed" ]
}

# all_gone: what is removed is freed a little later.
all_gone() { "$LAY" prune -f >/dev/null 2>&1 && [ -z "$(ls "$LAY_ROOT/ingest" "$LAY_ROOT/layers" | grep -v :)" ]; }

# holds_on KIND SIZE
holds_on() {
  grep -qw "$1" /proc/filesystems || skip "this kernel has no $1"
  command -v "mkfs.$1" >/dev/null || skip "mkfs.$1 is not installed"
  open_disk "$1" "$2"
  place=$world/disk
  holds erofs tree
}

# open_memory: as $place.
open_memory() {
  mkdir disk
  mount -t tmpfs -o size=400m lay disk
  place=$world/disk
}

@test "a store on xfs shows what one on this machine's disk does" { holds_on xfs 400m; }
@test "a store on btrfs shows what one on this machine's disk does" { holds_on btrfs 400m; }
@test "a store on ext4 with blocks of 1 KiB shows what one on this machine's disk does" {
  truncate -s 400m disk.img
  mkfs.ext4 -q -b 1024 disk.img
  holds_on ext4 400m
}
@test "a store on a tmpfs shows what one on this machine's disk does" {
  open_memory
  holds best tree
}

# moved WORDS...: the images of a store made where layers are mounted are run, committed and checked by WORDS lay as before.
moved() {
  export LAY_ROOT=$place/root
  local failed=
  each "$@" fsck -q
  [ "$("$@" run --rm --network none top:1 cat /top/deep/er/file)" = text ] || failed=1
  seen got && diff expected got || failed=1
  [ "$("$@" run --rm --network none landed:1 cat /usr/lib/x)" = through ] || failed=1
  each "$@" run --name c --network none top:1 sh -c 'echo more >/more'
  each "$@" commit -q c again:1
  [ "$("$@" run --rm --network none again:1 cat /more)" = more ] || failed=1
  each "$@" save -q -o saved top:1
  each cmp archive saved
  each "$@" fsck -q
  each "$@" rm c
  [ -z "$(ls "$LAY_ROOT/ingest")" ] || failed=1
  [ -z "$failed" ]
}

# make_landed: an image with a file that goes through a symlink of a layer below.
make_landed() {
  mkdir -p links/usr/lib
  ln -s usr/lib links/lib
  "$LAY" commit -q ./links links:1 --base small:1 >/dev/null
  mkdir lib
  echo through >lib/x
  tar -cf through.tar lib/x
  umoci init --layout layout
  "$LAY" copy -q links:1 oci:layout:1 >/dev/null
  umoci raw add-layer --image layout:1 through.tar
  "$LAY" copy -q oci:layout:1 landed:1 >/dev/null
  [ "$("$LAY" run --rm --network none landed:1 cat /usr/lib/x)" = through ]
}

@test "a store that was moved to where layers cannot be mounted is used as before" {
  make_expected
  make_landed
  open_memory
  cp -a "$LAY_ROOT" "$place/root"
  moved "$LAY"
}

@test "a store that was made under a newer kernel is used as before" {
  make_expected
  make_landed
  wait_until 10 nothing_mounted
  place=$world
  has "$(setarch --uname-2.6 "$LAY" info)" "cannot mount them"
  moved setarch --uname-2.6 "$LAY"
}

# on_fuse COMMAND...: mounts by it.
on_fuse() {
  [[ -e /dev/fuse ]] || skip "this machine has no FUSE"
  command -v "$1" >/dev/null || skip "$1 is not installed"
  mkdir -p fuse real
  "$@" || skip "$1 cannot mount"
  fuse_at=$world/fuse
}

# works_or_says COMMAND...: with no word of a failure that nobody can understand.
works_or_says() {
  local status=0
  timeout -s KILL 60 "$@" >out 2>err || status=$?
  ((status != 137)) || { echo "hangs: $*"; return 1; }
  ((status == 0)) || { grep -q '^hint: ' err && ! grep -qi 'exception' err; } || { cat err; return 1; }
  return 0
}

# stands_on_fuse: what a file system of a user's program cannot do is told, and what it holds stays whole.
stands_on_fuse() {
  local form failed=
  make_small_root
  mkdir upper
  echo text >upper/file
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$fuse_at/root-$form
    works_or_says "$LAY" import -q small small:1 || failed=1
    works_or_says "$LAY" commit -q ./upper top:1 --base small:1 || failed=1
    works_or_says "$LAY" run --rm --network none top:1 cat /file || failed=1
    [[ ! -s out || $(<out) = text ]] || failed=1
    works_or_says "$LAY" save -q -o saved top:1 || failed=1
    works_or_says "$LAY" fsck -q || failed=1
    works_or_says "$LAY" rmi top:1 || failed=1
    wait_until 10 nothing_mounted || failed=1
  done
  [ -z "$failed" ]
}

@test "a store on FUSE works, or says what it cannot do: bindfs" {
  on_fuse bindfs real fuse
  stands_on_fuse
}
@test "a store on FUSE works, or says what it cannot do: fuse-overlayfs" {
  mkdir -p lower work
  on_fuse fuse-overlayfs -o "lowerdir=lower,upperdir=real,workdir=work" fuse
  stands_on_fuse
}

@test "an upper on FUSE is committed like any other" {
  on_fuse bindfs real fuse
  make_small_root
  "$LAY" import -q small small:1 >/dev/null
  make_upper
  cp -a --sparse=always upper/. real
  touch -r upper real
  "$LAY" commit -q ./upper plain:1 --base small:1 >/dev/null
  "$LAY" commit -q ./fuse fuse:1 --base small:1 >/dev/null
  diff <("$LAY" inspect plain:1 | jq '.[0].RootFS.Layers') <("$LAY" inspect fuse:1 | jq '.[0].RootFS.Layers')
}
