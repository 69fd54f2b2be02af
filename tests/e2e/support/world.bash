# Loaded by every story: a world of its own for each test (root, run folder, scratch), and what judges it.
# LAY is the program under test; ctest sets it.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH=$here # the tools of every room import those of several
source "$here/../../inputs/registry.bash"

# open_world: for setup(). Sets and exports LAY_ROOT and LAY_RUN below $world; `cd`s into $world.
open_world() {
  : "${LAY:?the path of the program under test}"
  ((EUID == 0)) || skip "needs root"
  world=$(mktemp -d /var/tmp/lay-e2e.XXXXXX)
  export LAY_ROOT=$world/root LAY_RUN=$world/run
  traces_before=$(host_traces)
  [[ -e $BATS_FILE_TMPDIR/traces ]] || printf '%s\n' "$traces_before" >"$BATS_FILE_TMPDIR/traces"
  cd "$world" || return 1
}

# end_world: removes every container of the world's roots.
end_world() {
  local root ids
  for root in "$world"/root*; do
    [[ -d $root/containers ]] || continue
    mapfile -t ids < <("$LAY" --root "$root" ps -aq 2>/dev/null)
    ((${#ids[@]} == 0)) || "$LAY" --root "$root" rm -f "${ids[@]}" >/dev/null 2>&1 || true
  done
  stop_registry
  cd /
}

# close_world: for teardown(). Ends the world, then demands that the machine is as it was.
close_world() {
  [[ -n ${world-} ]] || return 0
  end_world
  remove_world 10
}

# leave_world: for teardown(), where no test looks at what another left. Ends the world, and demands that the machine is as
# it was but for the layers that lay keeps mounted for the next container: those are waited for once, by close_worlds.
leave_world() {
  [[ -n ${world-} ]] || return 0
  end_world
  remove_free_worlds
  echo "$world $BATS_TEST_NUMBER: $BATS_TEST_DESCRIPTION" >>"$BATS_FILE_TMPDIR/worlds"
  wait_until 10 only_layers_left || { diff <(printf '%s\n' "$traces_before") <(host_traces) || true; return 1; }
}

# close_worlds: demands of each world that was left that its layers have gone, and that the machine is as it was before all.
close_worlds() {
  [[ -e $BATS_FILE_TMPDIR/worlds ]] || return 0
  local status=0 end=$((SECONDS + 20)) world test
  while read -r world test; do
    wait_until $((end - SECONDS)) is_free || { echo "left by test $test"; mounts_below; status=1; }
    rm -rf --one-file-system "$world"
  done <"$BATS_FILE_TMPDIR/worlds"
  world=none
  traces_before=$(<"$BATS_FILE_TMPDIR/traces")
  wait_until 10 same_traces || { echo "left by this file"; new_traces; status=1; }
  return "$status"
}
teardown_file() { close_worlds; }

# remove_free_worlds: of those that were left, as soon as their layers have gone.
remove_free_worlds() {
  local world test
  while read -r world test; do
    if is_free; then rm -rf --one-file-system "$world"; else echo "$world $test"; fi
  done < <(cat "$BATS_FILE_TMPDIR/worlds" 2>/dev/null) >"$BATS_FILE_TMPDIR/worlds.new"
  mv "$BATS_FILE_TMPDIR/worlds.new" "$BATS_FILE_TMPDIR/worlds"
}
is_free() { [[ -z $(mounts_below) ]]; }

# remove_world SECONDS: how long the machine may take until it is as it was before.
remove_world() {
  local status=0
  wait_until "$1" same_traces || { diff <(printf '%s\n' "$traces_before") <(host_traces) || true; status=1; }
  rm -rf --one-file-system "$world"
  return "$status"
}

mounts_below() { awk -v below="${world:-/var/tmp/lay-e2e.}" 'index($5, below) == 1 {print "mount", $5}' /proc/self/mountinfo; }

# What lay could leave on the machine: mounts below a world, control groups, links, tables.
host_traces() {
  mounts_below
  find /sys/fs/cgroup -type d -path '*/lay*/*' -printf 'cgroup %p\n' 2>/dev/null | sort
  ip -o link show type veth | awk '{print "link", $2}'
  nft list tables 2>/dev/null | grep -w lay || true
}

# Bridge and table of lay may stay for the next container; nothing else that was not there before may. What others had
# may have gone meanwhile.
same_traces() { [[ -z $(new_traces) ]]; }
only_layers_left() { [[ -z $(new_traces | grep -vE "^mount $world/run[^/]*/layers(/|$)") ]]; }
new_traces() { comm -13 <(sort <<<"$traces_before") <(host_traces | sort) | grep -v '^table'; }

# Whether no layer is mounted any more.
nothing_mounted() { layers_unmounted "$LAY_RUN"; }

# debian_image [NAME]: imports the cached Debian base into the world's root.
debian_image() {
  "$LAY" import "$("$here/../../inputs/debian-base.sh")/rootfs.tar" "${1:-debian:12}" >/dev/null
}

# catches_int PID: it has a handler for SIGINT.
catches_int() { ((0x$(awk '/^SigCgt/ {print $2}' "/proc/$1/status") & 2)); }

# ended_by SIGNAL COMMAND...: that signal does, and its exit code is the shell's for that.
ended_by() {
  local status=0 pid signal=$1
  shift
  "$@" <&0 2>told 3>&- &
  pid=$!
  wait_until 10 catches_int "$pid" || return 1
  sleep 0.5
  kill "-$signal" "$pid"
  timeout 5 tail --pid="$pid" -f /dev/null || kill -KILL "$pid"
  wait "$pid" || status=$?
  ((status == 128 + $(kill -l "$signal"))) && grep -q ': interrupted$' told || { echo "$*: $status"; cat told; return 1; }
}

# refused CODE WORDS COMMAND...: the command must exit with CODE and say WORDS on stderr, in one line and with a hint.
refused() {
  local code=$1 words=$2 status=0
  shift 2
  "$@" >"$world/refused.out" 2>"$world/refused.err" || status=$?
  [[ $status == "$code" ]] || { echo "exit $status, expected $code: $*"; cat "$world/refused.err"; return 1; }
  grep -qiF -- "$words" "$world/refused.err" || { echo "not said: '$words'"; cat "$world/refused.err"; return 1; }
  [[ ! -s $world/refused.out ]] || { echo "stdout is not empty:"; cat "$world/refused.out"; return 1; }
  (($(grep -cv '^hint: ' "$world/refused.err") <= 1)) ||
    { echo "more than one line and its hints:"; cat "$world/refused.err"; return 1; }
  grep -q '^hint: .' "$world/refused.err" || { echo "no hint:"; cat "$world/refused.err"; return 1; }
}

# has TEXT PART: TEXT contains PART; else both are shown.
has() {
  [[ $1 == *"$2"* ]] || { printf "'%s' is not in:\n%s\n" "$2" "$1"; return 1; }
}

# tree_of FOLDER: one line for each entry with all that must survive a journey; see tree_of.py.
tree_of() {
  python3 "$here/tree_of.py" "$1"
}

# store_state [ROOT]: names, sizes and hashes of all that the store holds; a refused command must not change it.
store_state() {
  (cd "${1:-$LAY_ROOT}" 2>/dev/null && find . -path ./ingest -prune -o -printf '%y %m %s %p %l\n' | LC_ALL=C sort &&
    find . -maxdepth 1 -type f -print0 | sort -z | xargs -0 -r sha256sum) || echo "no store"
}

# add_applets FOLDER APPLET...: links there to the busybox beside them, by one process for them all.
add_applets() { perl -e '$in = shift; symlink "busybox", "$in/$_" or $!{EEXIST} or die "$_: $!\n" for @ARGV' "$@"; }

# make_small_root: $world/small, a root file system of little more than a static busybox.
make_small_root() {
  mkdir -p "$world/small"/{bin,etc,tmp,root}
  cp /bin/busybox "$world/small/bin/busybox"
  add_applets "$world/small/bin" sh cat echo ls id env sleep true false touch rm mkdir ln kill hostname mount wget nc dd head \
    ps stat ip ping trap test chmod readlink tail
  printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:100:User:/home/user:/bin/sh\n' >"$world/small/etc/passwd"
  printf 'root:x:0:\nusers:x:100:\nextra:x:200:user\n' >"$world/small/etc/group"
}

# small_image [NAME]: imports it, for tests that need no Debian.
small_image() {
  make_small_root
  "$LAY" import "$world/small" "${1:-small}" --cmd '["/bin/sh"]' >/dev/null
}

# open_disk KIND SIZE: makes $world/disk, a file system of its own; an existing one of before is mounted again.
open_disk() {
  mkdir -p "$world/disk"
  if [[ ! -e $world/disk.img ]]; then
    truncate -s "$2" "$world/disk.img"
    "mkfs.$1" -q "$world/disk.img"
  fi
  mount -o loop "$world/disk.img" "$world/disk"
}

# close_disk: also when there is none. What lay has mounted lingers for a moment, and so do mount namespaces of its
# processes, whose copies of the mount keep the file system: a new mount would get the same one.
close_disk() {
  grep -qF " $world/disk " /proc/self/mountinfo || return 0
  wait_until 10 umount "$world/disk"
  wait_until 20 disk_is_free
}
disk_is_free() { [[ -z $(losetup --associated "$world/disk.img") ]]; }

# add_garbage BYTES: a good blob of that size, which nobody can compress or needs.
add_garbage() {
  head -c "$1" /dev/urandom >"$LAY_ROOT/blobs/sha256/new"
  mv "$LAY_ROOT/blobs/sha256/new" "$LAY_ROOT/blobs/sha256/$(sha256sum <"$LAY_ROOT/blobs/sha256/new" | cut -d' ' -f1)"
}

# merged LOWER UPPER FOLDER COMMAND...: runs COMMAND in a mount namespace of its own in which FOLDER is the kernel's
# merged view of the two.
merged() {
  local lower=$1 upper=$2 folder=$3
  shift 3
  mkdir -p "$folder" "$folder.work"
  unshare --mount --propagation private bash -ec '
    mount -t overlay -o "lowerdir=$1,upperdir=$2,workdir=$3.work" overlay "$3"
    shift 3; "$@"' merged "$lower" "$upper" "$folder" "$@"
}

# in_memory COMMAND...: runs it in an empty folder of a file system that is held in memory, where syncs need not wait for
# what others write to the disk.
in_memory() {
  mkdir -p "$world/memory"
  unshare --mount --propagation private bash -ec '
    mount -t tmpfs lay "$1"
    truncate -s 400m "$1/disk"; mkfs.ext4 -q "$1/disk"; mkdir "$1/in"
    mount -o loop "$1/disk" "$1/in"
    cd "$1/in"; shift; "$@"' in_memory "$world/memory" "$@"
}

# inside FLAG... -- SCRIPT: runs SCRIPT by a shell in a container of the image `small` without network.
inside() {
  local flags=()
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  "$LAY" run --rm --network none "${flags[@]}" small sh -c "$2"
}
