#!/usr/bin/env bats
# Layers of strangers, mounted and unpacked: both forms give the same verdict and the same tree, and nothing outside is
# touched. hostile_tars.py holds the cases; the kernel shows the mounted form, and umoci unpacks for itself.

load ../support/world

setup() { open_world; }
teardown() {
  [[ ! -e ${world-}/memory/disk.img ]] || leave_memory
  close_world
}

# enter_memory: a disk in memory on which layers can be mounted, $world/memory/disk; it has room for large attributes.
enter_memory() {
  mkdir -p "$world/memory"
  mount -t tmpfs lay-test "$world/memory"
  mkdir "$world/memory/disk"
  truncate -s 400M "$world/memory/disk.img"
  mkfs.ext4 -q -O ^has_journal,ea_inode -b 4096 -I 256 "$world/memory/disk.img"
  mount -o loop "$world/memory/disk.img" "$world/memory/disk"
  export LAY_RUN=$world/memory/disk/run
}

leave_memory() {
  cd "$world"
  wait_until 10 umount "$world/memory/disk"
  wait_until 20 [ -z "$(losetup --associated "$world/memory/disk.img")" ]
  umount "$world/memory"
}

# needs_mounts: the test looks at mounted layers.
needs_mounts() {
  mkdir tree
  "$LAY" --root "$PWD/probe" import tree probe:1 >/dev/null
  "$LAY" --root "$PWD/probe" info | grep -q '^layers: *erofs' || skip "layers are not mounted here"
}

# judged ARGUMENTS...: every case of hostile_tars.py's.
judged() {
  enter_memory
  cd "$world/memory/disk"
  needs_mounts
  "$BATS_TEST_DIRNAME/hostile_tars.py" "$@" >"$world/judged" || { head -n 40 "$world/judged" | cut -c1-1000; return 1; }
  has "$(tail -n 1 "$world/judged")" ", 0 wrong"
}

@test "F, T, W: both forms take and refuse the same tars and show the same trees, and nothing outside is touched" {
  judged named
}

@test "both forms treat random tars alike, and nothing outside is touched" {
  local count=300
  [[ -z ${LAY_TESTS_LONG-} ]] || count=20000
  judged random "${LAY_TESTS_SEED:-1}" "$count"
}

# both_forms LAYOUT: takes it as x:1 into root-erofs and root-tree.
both_forms() {
  local form
  for form in erofs tree; do
    LAY_LAYER_FORM=$form "$LAY" --root "$world/root-$form" copy -q "oci:$1:x:1" x:1 >/dev/null
  done
}

in_form() { LAY_LAYER_FORM=$1 "$LAY" --root "$world/root-$1" run --rm --network none x:1 "${@:2}"; }

@test "W02: what a layer removes through symlinks is gone in both forms, as for umoci" {
  make_small_root
  tar -C small -cf base .
  "$BATS_TEST_DIRNAME/hostile_tars.py" removals removals
  "$BATS_TEST_DIRNAME/hostile_tars.py" layout layout base removals/1 removals/2
  umoci unpack --image layout:x:1 bundle >/dev/null 2>&1
  (cd bundle/rootfs && ls -1 d e) >expected
  both_forms layout
  local form failed=
  for form in erofs tree; do
    in_form $form /bin/sh -c 'cd / && ls -1 d e' >got 2>&1 || failed=1
    diff expected got || { echo "in the form $form"; failed=1; }
  done
  [ -z "$failed" ]
}

@test "F10: device nodes of a layer are there and open nothing, in both forms" {
  make_small_root
  mkdir small/dev
  mknod -m 666 small/disk b 8 0
  mknod -m 666 small/mem c 1 1
  mknod -m 666 small/kmem c 1 2
  mknod -m 666 small/fuse c 10 229
  mknod -m 666 small/null c 1 3
  mknod -m 666 small/dev/sda b 8 0
  tar -C small -cf base .
  "$BATS_TEST_DIRNAME/hostile_tars.py" layout layout base
  both_forms layout
  local form node
  for form in erofs tree; do
    for node in /disk /mem /kmem /fuse /null; do
      run in_form $form /bin/sh -c "ls $node && head -c 1 $node"
      has "$output" "$node"
      [[ $output == *"Operation not permitted"* || $output == *"Permission denied"* ]] || { echo "$form $node: $output"; return 1; }
    done
    run in_form $form /bin/sh -c 'ls /dev/sda'
    [ "$status" -ne 0 ]
    [ -b "$(echo "$world"/root-tree/layers/*/tree/disk)" ]
    run setpriv --reuid 65534 --regid 65534 --clear-groups ls "$world/root-tree/layers" "$LAY_RUN/layers"
    [ "$status" -ne 0 ]
  done
}

# mapped FORM OPTIONS COMMAND: users are those below 65536 and what the options add.
mapped() {
  local options=()
  while [[ ${2-} == --* ]]; do
    options+=("$2" "$3")
    set -- "$1" "${@:4}"
  done
  LAY_LAYER_FORM=$1 "$LAY" --root "$world/root-$1" run --rm --network none --uidmap 0:100000:65536 "${options[@]}" x:1 "${@:2}"
}

@test "M05: owners outside of a container's ids are an error that names them, not nobody's files" {
  make_small_root
  echo x >small/foreign
  chown 70000:80000 small/foreign
  tar -C small -cf base .
  "$BATS_TEST_DIRNAME/hostile_tars.py" layout layout base
  both_forms layout
  local form
  for form in erofs tree; do
    [ "$(in_form $form /bin/stat -c %u:%g /foreign)" = 70000:80000 ]
    run env LAY_LAYER_FORM=$form "$LAY" --root "$world/root-$form" run --rm --network none --userns 0:100000:65536 x:1 /bin/stat -c %u:%g /foreign
    echo "$form: $status $output"
    [[ $status == 125 && $output == *70000* || $status == 0 && $output == 70000:80000 ]]
    run mapped $form --uidmap 75000:200000:10 true
    [ "$status" = 125 ]
    has "$output" "files of user 70000"
    run mapped $form --uidmap 70000:200000:1 --gidmap 0:100000:65536 --gidmap 80001:200001:1 true
    [ "$status" = 125 ]
    has "$output" "files of group 80000"
    run mapped $form --uidmap 70000:200000:1 --gidmap 0:100000:65536 --gidmap 80000:200001:1 /bin/stat -c %u:%g /foreign
    [ "$output" = 70000:80000 ]
    rm "$world/root-$form"/layers/*/owners # lost: no layer is all root's because of that
    run mapped $form true
    [ "$status" = 125 ]
    has "$output" "files of user 70000"
  done
}

@test "T14: layers that are unpacked at once, one of them with a symlink for the other's folder, leave all outside alone" {
  local rounds=20
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=1000
  make_small_root
  enter_memory
  tar -C small -cf memory/disk/base .
  "$BATS_TEST_DIRNAME/hostile_tars.py" rivals "$world/memory/disk" "$rounds" >judged || { head -n 20 judged; return 1; }
  has "$(<judged)" ", 0 wrong"
}
