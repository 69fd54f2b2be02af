#!/usr/bin/env bats
# What is damaged, forged or taken away under lay: it is found, refused and mended, and nothing outside is read or written.

load ../support/world

setup() { open_world; }
teardown() {
  [[ -z ${swapper_pid-} ]] || kill "$swapper_pid" 2>/dev/null || true
  [[ -z ${holder_pid-} ]] || kill -KILL "$holder_pid" 2>/dev/null || true
  close_world
}

# pulled_image: $image of two layers, pulled from a registry, and the stopped container c of it.
pulled_image() {
  make_small_root
  echo said >small/said
  "$LAY" import "$world/small" base:1 --cmd '["/bin/sh"]' >/dev/null
  mkdir -p upper/deep/er
  echo x >upper/deep/er/x
  chown 1000:1000 upper/deep/er/x # of whom a small user namespace knows nothing
  "$LAY" commit -q upper/ top:1 --base base:1 --compression gzip >/dev/null
  start_registry "$world/registry"
  image=$registry/top:1
  "$LAY" push -q top:1 "$image" >/dev/null
  rm -rf --one-file-system "$LAY_ROOT"
  "$LAY" pull -q "$image" >/dev/null
  "$LAY" run --name c --network none "$image" /bin/cat /said >/dev/null
}

# flipped MEND: every kind of file of the store, some bits of each.
flipped() {
  local samples=1
  [[ -z ${LAY_TESTS_LONG-} ]] || samples=50
  pulled_image
  "$BATS_TEST_DIRNAME/damage.py" "$image" "$registry" "$1" "$samples" >judged || { head -n 5 judged; tail -n 1 judged; return 1; }
  has "$(tail -n 1 judged)" ", 0 wrong"
}

@test "S05: a bit that turns over in any file of the store is found or of no consequence, and fsck mends it" { flipped fsck; }
@test "S05: a pull mends what is damaged of its image" { flipped pull; }

@test "S05: a layer whose metadata are damaged is refused when it is mounted, or shows what it was" {
  pulled_image
  # Without the files that lay makes for each container: they are as old as the container, by the minute.
  look() {
    LAY_RUN=$world/run-$1 "$LAY" run --rm --network none "$image" /bin/sh -c \
      'cd / && ls -lRn bin etc deep root said && cat said && stat -c "%a %u" said' |
      sed -E '/ (hosts|hostname|resolv\.conf)$/d'
    return "${PIPESTATUS[0]}"
  }
  local i=0 looks=0 status image_file expected failed=0 rounds=8
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=400
  expected=$(look 0)
  while ((++i <= rounds)); do
    for image_file in "$LAY_ROOT"/layers/*/layer.erofs; do
      cp -p "$image_file" kept
      python3 -c 'import os, random, sys
sys.path.insert(0, sys.argv[1])
import damage
dice = random.Random(int(sys.argv[3]))
damage.flip(sys.argv[2], dice.randrange(os.path.getsize(sys.argv[2])), dice.randrange(8))' "$BATS_TEST_DIRNAME" "$image_file" $i
      status=0
      look "$((++looks))" >seen 2>&1 || status=$?
      [ "$(<seen)" = "$expected" ] || [ $status = 125 ] ||
        { echo "round $i: exit $status: $(diff <(echo "$expected") seen | sed -n 2,3p)"; failed=$((failed + 1)); }
      cp kept "$image_file"
    done
  done
  [ $failed = 0 ]
}

@test "S04: no command takes a name that could be a path, an option or another name" {
  small_image
  local name failed= before
  before=$(<"$LAY_ROOT/index.json")
  for name in .. . '' ' ' -x .x /x x/ a//b a/../b 'x:' "x:$(printf 't%.0s' {1..129})" 'x:-t' 'x:.t' 'x:a/b' 'x:a:b' x%2f..%2fy 'x:%2e' $'x\ny' $'x\ty' $'\e[2Jx' \
    'ｘ:1' 'x:ｔ' $'\u202ex' 'x@' 'x@sha256:' 'x@sha256:../../y' 'x@md5:00' 'http://h/x' 'X:1' "$(printf 'a%.0s' {1..256})" 'h:99999/x' '[::1/x'; do
    refused 1 "" "$LAY" tag -- small "$name" || failed=1
    refused 1 "" "$LAY" import -- "$world/small" "$name" || failed=1
    [ "$(<"$LAY_ROOT/index.json")" = "$before" ] || { echo "'$name' is a name now"; failed=1; before=$(<"$LAY_ROOT/index.json"); }
  done
  [ -z "$failed" ]
}

@test "S07: no file is made outside of the store, the run folder and where it was asked for" {
  small_image
  start_registry "$world/registry"
  mkdir -m 1777 shared out
  export TMPDIR=$world/shared TMP=$world/shared TEMP=$world/shared
  "$LAY" run --name c --network none small touch /x
  strace -f -qq -e trace=openat,open,creat,mkdir,mkdirat,symlinkat,linkat,mknodat,rename,renameat,renameat2 -o calls -- sh -ec '
    "$LAY" commit -q c committed:1
    "$LAY" save -q -o out/saved.tar committed:1
    "$LAY" save -q --format oci-archive -o out/saved.oci committed:1
    "$LAY" load -q -i out/saved.tar
    "$LAY" export -o out/exported.tar c
    "$LAY" import out/exported.tar exported:1
    "$LAY" push -q committed:1 "$1/x:1"
    "$LAY" --root "$PWD/root2" pull -q "$1/x:1"
    "$LAY" fsck -q' sh "$registry" >/dev/null
  [ "$(wc -l <calls)" -gt 100 ]
  [ -z "$(ls -A shared)" ]
  ! grep -F "$world/shared" calls || return 1
  grep -E 'O_CREAT|mkdir' calls | grep '"/' | grep -v ' EEXIST ' | grep -vE "\"($world/(root|root2|run|out)|/dev/null)" >outside || true
  [ ! -s outside ] || { cat outside; return 1; }
}

@test "S07: a link that waits where an archive is to be written is not written through" {
  small_image
  "$LAY" run --name c --network none small touch /x
  mkdir -m 1777 shared canary
  echo CANARY-MARKER >canary/file
  local name command failed=
  for name in link hard; do
    for command in "save -q -o shared/out small" "save -q --format oci-archive -o shared/out small" "export -o shared/out c"; do
      rm -f shared/out
      if [ $name = link ]; then ln -s ../canary/file shared/out; else ln canary/file shared/out; fi
      "$LAY" $command >/dev/null 2>&1 || true
      [ "$(tr -d '\0' <canary/file)" = CANARY-MARKER ] || { echo "$command through a $name"; failed=1; echo CANARY-MARKER >canary/file; }
    done
  done
  [ -z "$failed" ]
}

@test "S08: who waits for a lay that stands still says so, or gives up" {
  small_image
  flock --no-fork "$LAY_ROOT/index.lock" sleep 100 3>&- &
  holder_pid=$!
  wait_until 5 eval '! flock -n "$LAY_ROOT/index.lock" true'
  local status=0
  timeout 10 "$LAY" tag small other 2>said || status=$?
  echo "exit $status: $(<said)"
  [ -s said ]
}

# start_swapper: in the running container c, files and folders change places with links to what is the host's.
start_swapper() {
  "$LAY" run -d --name c --network none small sh -c 'mkdir /plain /other; echo inside >/plain/file; echo inside >/file; sleep 1000' >/dev/null
  wait_until 5 "$LAY" exec c cat /file
  python3 - "/proc/$("$LAY" inspect -f '{{.State.Pid}}' c)/root" "$world/canary" 3>&- <<'PY' &
import ctypes, os, sys
root, canary = sys.argv[1:]
libc = ctypes.CDLL(None)
os.chdir(root)
os.symlink(canary, "folder-link")
os.symlink(canary + "/file", "file-link")
os.symlink("../" * 20 + canary[1:], "up-link")
while True:
    for one, other in ((b"plain", b"folder-link"), (b"file", b"file-link"), (b"other", b"up-link")):
        libc.renameat2(-100, one, -100, other, 2)  # RENAME_EXCHANGE
PY
  swapper_pid=$!
}

@test "S09: export and commit of a container that swaps files, folders and links read nothing of the host" {
  small_image
  mkdir canary
  echo CANARY-MARKER >canary/file
  start_swapper
  local i rounds=20 status failed=
  [[ -z ${LAY_TESTS_LONG-} ]] || rounds=1000
  for ((i = 0; i < rounds; i++)); do
    for command in "export -o exported.tar c" "commit -q c swapped:1" "diff c"; do
      status=0
      "$LAY" $command >out 2>err || status=$?
      [ $status = 0 ] || [[ $status = 1 && -s err ]] || { echo "$command: $status $(<err)"; failed=1; }
      ! grep -qaF CANARY-MARKER out err || failed=1
    done
    ! grep -qaF CANARY-MARKER exported.tar || { echo "round $i: the marker is in what came out"; failed=1; }
  done
  kill -0 "$swapper_pid"
  kill "$swapper_pid"
  "$LAY" commit -q c swapped:1 >/dev/null
  "$LAY" save -q -o saved.tar swapped:1
  ! grep -qaF CANARY-MARKER saved.tar || failed=1
  ! grep -rqaF CANARY-MARKER "$LAY_ROOT/layers" || failed=1
  [ "$(cat canary/file)" = CANARY-MARKER ]
  "$LAY" fsck -q
  "$LAY" rm -f c >/dev/null
  [ -z "$failed" ]
}
