#!/usr/bin/env bats
# Where openat2(2) or another call is missing, as on an old kernel, on another file system or beneath the seccomp filter of
# another container tool, lay does the same.

load ../support/world

setup() {
  open_world
  make_small_root
  make_upper
}
teardown() { close_world; }

# make_upper: what has to be opened, on the way and behind symlinks.
make_upper() {
  mkdir -p upper/deep/er upper/usr/lib
  echo text >upper/deep/er/file
  ln upper/deep/er/file upper/hard
  ln -s usr/lib upper/lib
  ln -s ../../../etc/passwd upper/deep/out
  setfattr -n user.note -v text upper/deep/er/file
  mkfifo upper/pipe
  mkdir upper/etc
  mknod upper/etc/group c 0 0
  touch -d @1000000000 upper/deep/er/file upper/pipe
}

# lay_ WORDS...: through the filter when there is one.
lay_() { "${filter[@]}" timeout -s KILL 20 "$LAY" "$@"; }

# step WORDS...: one command more of the story. One that fails is named, and done without the filter.
step() {
  lay_ "$@" >answer 2>said || {
    echo "exit $?: $*: $(<said)"
    failed=1
    "$LAY" "$@" >answer
  }
  cat answer >>answers
}

# tell NAME: goes through the commands; what they give is kept in the folder NAME.
tell() {
  rm -rf --one-file-system "$1" && mkdir "$1" && cd "$1" || return 1
  export LAY_ROOT=$world/root-$1
  step import -q ../small small:1
  step commit -q ../upper top:1 --base small:1
  step commit -q ../upper plain:1 --base small:1 --compression none
  step run --rm --network none top:1 cat /deep/er/file /lib/../../hard
  step run --name c --network none top:1 sh -c 'echo more >/deep/more; rm /hard; mkdir /deep/new; echo x >/deep/new/x; touch -d @1000000000 /deep/more /deep/new/x /deep/new /deep /'
  step diff c
  step commit -q c changed:1
  step diff changed:1 small:1
  step export -o changed.tar changed:1
  step export -o container.tar c
  step save -q -o saved.tar changed:1
  step save -q --format oci-archive -o saved.oci changed:1
  step rm c
  step bundle changed:1 bundle /x
  [[ ! -d bundle/rootfs ]] || tree_of bundle/rootfs >tree
  step rmi changed:1
  step load -q -i saved.tar
  step copy -q oci-archive:saved.oci copied:1
  step fsck -q
  step export -o again.tar copied:1
  step prune -f
  sha256sum ./*.tar ./*.oci >sums
  cd "$world" || return 1
}

# same_without FORM [CALL]: the whole story, in that form.
same_without() {
  local failed= filter=()
  export LAY_LAYER_FORM=$1
  tell "with-$1"
  [ -z "$failed" ]
  filter=("$here/without_call.py" "${2-openat2}")
  tell "without-$1"
  local file
  for file in answers sums tree; do diff "with-$1/$file" "without-$1/$file" || failed=1; done
  [ -z "$failed" ]
}

@test "the filter of these tests makes openat2 fail with ENOSYS" {
  local script='import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.syscall(437, -100, b"/", bytes(24), 24) < 0, ctypes.get_errno())'
  [ "$(python3 -c "$script")" = "False 0" ]
  [ "$("$here/without_call.py" openat2 python3 -c "$script")" = "True 38" ]
}

@test "without openat2 mounted layers are imported, committed, run, exported, saved and checked as ever" { same_without erofs; }
@test "without openat2 unpacked layers are imported, committed, run, exported, saved and checked as ever" { same_without tree; }

@test "where a file system cannot rename without replacing mounted layers are handled as ever" { same_without erofs noreplace; }
@test "where a file system cannot rename without replacing unpacked layers are handled as ever" { same_without tree noreplace; }

@test "without openat2 what lies behind a symlink of a lower layer lands where that leads, in both forms" {
  local form image filter=() failed=
  for image in links usrmerge usrmerge-removals outside; do
    CANARY=$world/canary python3 "$here/layered_images.py" "$image" images
  done
  mkdir canary
  echo text >canary/file
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form
    for image in links usrmerge usrmerge-removals outside; do
      shown_with "$image" >expected
      filter=("$here/without_call.py" openat2)
      shown_with "$image" >got || failed=1
      filter=()
      diff expected got || failed=1
      [ -s expected ]
    done
  done
  [ "$(cat canary/file)" = text ]
  [ -z "$failed" ]
}

# shown_with IMAGE: its tree, as a container sees it, from a store of its own.
shown_with() {
  export LAY_ROOT=$world/root-${#filter[@]}-$LAY_LAYER_FORM-$1
  lay_ copy -q "oci:images/$1:1" shown:1 >/dev/null || return 1
  lay_ run -d --name c --network none shown:1 sleep 60 >/dev/null || return 1
  tree_of "/proc/$("$LAY" inspect -f '{{.State.Pid}}' c)/root/cases"
  lay_ rm -f c >/dev/null
}

# --- other calls ---

# spoil_byte FILE: turns over the bits of its hundredth byte.
spoil_byte() { python3 -c 'import sys; file = open(sys.argv[1], "r+b"); file.seek(100); byte = file.read(1)[0]; file.seek(100); file.write(bytes([byte ^ 255]))' "$1"; }

@test "where a file system cannot exchange two folders, a damaged layer is replaced all the same, in both forms" {
  local form layer exchange=("$here/without_call.py" exchange)
  ! "${exchange[@]}" python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).renameat2(-100, b"small", -100, b"upper", 2) == 0)' && return 1
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form
    "$LAY" import -q small small:1 >/dev/null
    "$LAY" commit -q ./upper top:1 --base small:1 >/dev/null
    "$LAY" run --rm --network none top:1 true
    layer=$LAY_ROOT/layers/$("$LAY" inspect top:1 | jq -r '.[0].RootFS.Layers[-1][7:]')
    if [ $form = erofs ]; then spoil_byte "$layer/layer.tar"; else echo more >>"$layer/tree/hard"; fi
    ! "$LAY" fsck -q >/dev/null 2>&1 || return 1
    "${exchange[@]}" "$LAY" fsck -q --repair >/dev/null
    "$LAY" fsck -q
    [ "$("$LAY" run --rm --network none top:1 cat /hard)" = text ]
    [ -z "$(ls "$LAY_ROOT/ingest")" ]
  done
}

@test "where a file system cannot exchange two folders, load replaces a damaged layer whose blob is lost" {
  local json layer
  "$LAY" import -q small small:1 >/dev/null
  "$LAY" save -q -o saved.tar small:1
  json=$("$LAY" inspect small:1)
  layer=$LAY_ROOT/layers/$(jq -r '.[0].RootFS.Layers[-1][7:]' <<<"$json")
  spoil_byte "$layer/layer.tar"
  spoil_byte "$layer/layer.erofs"
  rm "$LAY_ROOT/blobs/$(jq -r '.[0].Layers[-1].digest' <<<"$json" | tr : /)"
  "$here/without_call.py" exchange "$LAY" load -q -i saved.tar >/dev/null
  "$LAY" fsck -q
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}

@test "where statx does not tell the mount, what is bound beneath debris is not deleted" {
  small_image
  mkdir -p "$LAY_ROOT/ingest/debris/sub" precious
  echo kept >precious/file
  mount --bind precious "$LAY_ROOT/ingest/debris/sub"
  local status=0 zeros
  zeros=$(printf '00%.0s' {1..256})
  strace -f -qq -o calls -e trace=statx -e "inject=statx:poke_exit=@arg5=$zeros" "$LAY" prune -f >out 2>said || status=$?
  umount "$LAY_ROOT/ingest/debris/sub"
  grep -q 'statx(.*INJECTED' calls
  [ "$(cat precious/file)" = kept ]
  [ "$status" = 1 ] || { echo "exit $status"; return 1; }
  has "$(<said)" "something is mounted there"
  "$LAY" prune -f >/dev/null
  [ -z "$(ls "$LAY_ROOT/ingest")" ]
}
