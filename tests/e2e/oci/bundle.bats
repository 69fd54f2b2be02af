#!/usr/bin/env bats
# `lay bundle`: an OCI bundle that other runtimes run unchanged, and the way back.

load ../support/world

setup() {
  open_world
  mkdir -p small/{dev,proc,sys}  # or they were mount points, which are left out
  small_image
}
teardown() { leave_world; }

# without_v2 COMMAND...: where no hierarchy of v2 is mounted beside those of v1, for crun refuses machines that have both.
without_v2() {
  unshare --mount bash -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' without_v2 "$@"
}

# Runs the bundle DIR under RUNTIME, as its users start it.
under() {
  local runtime=$1 dir=$2 id=lay-e2e-$BASHPID
  case $runtime in
    runc) runc --root "$world/runc" run -b "$dir" "$id" ;;
    runsc) runsc --root "$world/runsc" --network none --ignore-cgroups --rootless=false run -bundle "$dir" "$id" < <(:) ;;  # it would give away /dev/null
    crun) without_v2 crun --root "$world/crun" run -b "$dir" "$id" ;;
  esac
}

# What the merged view of IMAGE shows, unpacked into FOLDER.
shown_in() {
  mkdir -p "$2"
  "$LAY" export "$1" | bsdtar -x -p --same-owner --xattrs --acls -f - -C "$2"
}

# The new image's tree is the bundle's root, entry by entry; /var has mount points alone, where there is one.
same_as_root() {
  shown_in "$1" "$world/shown"
  diff <(tree_of "$2/rootfs" | grep -v '^./var') <(tree_of "$world/shown")
}

facts='id -u; id -g; id -G; pwd; hostname; echo $HOME $A; cat /proc/self/status | grep -E "^(Cap|NoNewPrivs|Seccomp:)"; cat /v/f; ls -d /proc /sys /dev/null /new/point'

@test "runc runs a bundle unchanged, and it has there what it has under lay" {
  mkdir vol && echo volume >vol/f
  local flags=(-e A=b -u user -w /tmp -h box -v "$PWD/vol:/v:ro" --tmpfs /new/point --cap-add NET_ADMIN --group-add 7)
  "$LAY" bundle "${flags[@]}" small b sh -c "$facts"
  "$LAY" run --rm --network none "${flags[@]}" small sh -c "$facts" >under-lay
  under runc b >under-runc
  diff under-lay under-runc
  [ "$(jq -r '.linux.namespaces[] | select(.type == "network") | has("path")' b/config.json)" = false ]
  [ "$(jq '[.annotations | keys[] | select(startswith("dev.lay"))] | length' b/config.json)" = 0 ]
  ! grep -qF "$world/root" b/config.json || return 1
}

@test "runsc runs a bundle unchanged" {
  command -v runsc >/dev/null || skip "runsc is not installed"
  "$LAY" bundle -e A=b -u user small b sh -c 'id -u; echo $A; echo new >/tmp/file'
  run under runsc b
  has "$output" 1000
  has "$output" b
}

@test "crun runs a bundle unchanged" {
  "$LAY" bundle -e A=b -u user small b sh -c 'id -u; echo $A'
  run under crun b
  has "$output" 1000
  [ "$status" = 0 ]
}

@test "the seccomp profile of a bundle answers as lay's own does" {
  command -v gcc >/dev/null || skip "gcc is not installed"
  cat >probe.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static void call(const char *name, long number, long a, long b, long c) {
  errno = 0;
  long result = syscall(number, a, b, c, 0, 0, 0);
  if (number == SYS_clone && result == 0) _exit(0);
  printf("%s %s %d\n", name, result < 0 ? "failed" : "worked", result < 0 ? errno : 0);
  fflush(stdout);
}
int main(void) {
  const long high = 1L << 32;
  call("socket unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
  call("socket inet", SYS_socket, AF_INET, SOCK_DGRAM, 0);
  call("socket alg", SYS_socket, 38, SOCK_SEQPACKET, 0);
  call("socket alg, upper half", SYS_socket, high | 38, SOCK_SEQPACKET, 0);
  call("socket vsock", SYS_socket, 40, SOCK_STREAM, 0);
  call("socket netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0);
  call("socket audit", SYS_socket, AF_NETLINK, SOCK_RAW, 9);
  call("socket audit, upper half", SYS_socket, AF_NETLINK, SOCK_RAW, high | 9);
  call("ioctl", SYS_ioctl, 99, 0x5401, 0);
  call("ioctl tiocsti", SYS_ioctl, 99, 0x5412, 0);
  call("ioctl tiocsti, upper half", SYS_ioctl, 99, high | 0x5412, 0);
  call("ioctl between", SYS_ioctl, 99, 0x5415, 0);
  call("ioctl tioclinux", SYS_ioctl, 99, 0x541C, 0);
  call("ioctl above", SYS_ioctl, 99, 0x7fffffff, 0);
  call("personality query", SYS_personality, 0xffffffff, 0, 0);
  call("personality odd", SYS_personality, 0x40000, 0, 0);
  call("clone newuser", SYS_clone, CLONE_NEWUSER, 0, 0);
  call("clone newns newpid", SYS_clone, CLONE_NEWNS | CLONE_NEWPID, 0, 0);
  call("clone3", SYS_clone3, 0, 0, 0);
  call("unshare", SYS_unshare, CLONE_NEWUSER, 0, 0);
  call("keyctl", SYS_keyctl, 0, 0, 0);
  call("bpf", SYS_bpf, 99, 0, 0);
  call("io_uring_setup", 425, 0, 0, 0);
  call("mount", SYS_mount, 0, 0, 0);
  call("userfaultfd", SYS_userfaultfd, 0, 0, 0);
  call("no such call", 999, 0, 0, 0);
  return 0;
}
C
  gcc -static -o "$world/small/bin/probe" probe.c
  "$LAY" import "$world/small" probing >/dev/null
  local caps
  for caps in --read-only --cap-add=SYS_ADMIN --cap-add=AUDIT_WRITE; do
    rm -rf b
    "$LAY" bundle "$caps" probing b /bin/probe
    "$LAY" run --rm --network none "$caps" probing /bin/probe >under-lay
    under runc b >under-runc
    diff under-lay under-runc
    [ "$(wc -l <under-runc)" -eq 26 ]
  done
}

@test "what a runtime changed in a bundle comes back as a layer, and the new image is the bundle's root" {
  mkdir -p small/data/old small/data/kept && echo 1 >small/data/changed && echo 1 >small/data/gone && echo 1 >small/data/kept/f
  echo 1 >small/data/old/x && ln small/data/kept/f small/data/kept/g && ln -s f small/data/kept/l
  "$LAY" import small base:1 >/dev/null
  "$LAY" bundle base:1 b sh -c 'cd /data && echo 22 >changed && rm -r gone old && mkdir -p new/deep && echo x >new/deep/f &&
    chmod 700 /root && ln -s /etc new/link && ln kept/f new/hard && mkdir old && echo again >old/y && chmod 4755 new/deep/f'
  under runc b
  setfattr -n user.note -v hello b/rootfs/data/kept/f
  mknod b/rootfs/data/fifo p && chown 12:34 b/rootfs/data/new
  truncate -s 1G b/rootfs/data/sparse
  "$LAY" commit --bundle b made:1 >/dev/null
  same_as_root made:1 b
  [ "$("$LAY" diff base:1 made:1 | grep -c /bin)" = 0 ]
  [ "$("$LAY" run --rm --network none made:1 cat /data/new/hard)" = 1 ]
  # Only what changed is in the layer: not busybox, and no zeros
  local layer
  layer=$(jq -r '.layers[-1].size' "$LAY_ROOT/blobs/sha256/$("$LAY" inspect made:1 | jq -r '.[0].Digest' | cut -d: -f2)")
  [ "$layer" -lt 100000 ]
}

@test "a folder that looks like a flag is refused" {
  run "$LAY" bundle small -o b
  [ "$status" -eq 1 ]
  has "$output" "'./-o'"
  [ ! -e ./-o ]
}

@test "a bundle in which nothing happened gives the image's own tree, mount points left out" {
  rm -r small/tmp && rmdir small/{dev,proc,sys}
  "$LAY" import small base:1 >/dev/null
  "$LAY" bundle -v "$world/small/etc:/deep/down/etc" --tmpfs /made base:1 b true
  under runc b
  "$LAY" commit --bundle b made:1 >/dev/null
  shown_in base:1 before
  shown_in made:1 after
  diff <(tree_of before) <(tree_of after)
  [ -d b/rootfs/deep/down/etc ]
}

@test "a change that keeps size and time is found, in a copy of the bundle too" {
  echo aaaa >small/etc/f && touch -d 2020-01-01 small/etc/f
  "$LAY" import small base:1 >/dev/null
  "$LAY" bundle base:1 b true
  echo bbbb >b/rootfs/etc/f && touch -d 2020-01-01 b/rootfs/etc/f
  "$LAY" commit --bundle b made:1 >/dev/null
  [ "$("$LAY" run --rm --network none made:1 cat /etc/f)" = bbbb ]
  "$LAY" bundle base:1 c true
  cp -a c d && echo cccc >d/rootfs/etc/f && touch -d 2020-01-01 d/rootfs/etc/f
  "$LAY" commit --bundle d made:2 >/dev/null
  [ "$("$LAY" run --rm --network none made:2 cat /etc/f)" = cccc ]
  [ "$("$LAY" diff base:1 made:2 | wc -l)" -le 2 ]
}

@test "many layers and both layer forms give one root, whose bundle commits to the same digest" {
  local form i
  for form in tree erofs; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form LAY_RUN=$world/run-$form
    "$LAY" import small base:0 >/dev/null || { [[ $form = erofs ]] && continue; return 1; }
    for ((i = 1; i <= 30; i++)); do
      mkdir -p "u$i/d" && echo "$i" >"u$i/d/f$i" && touch -d @$((1000 + i)) "u$i/d/f$i" "u$i/d" "u$i"
      [ "$i" -lt 3 ] || [ -e "u$i/d/f$((i - 2))" ] || mknod "u$i/d/f$((i - 2))" c 0 0
      touch -d @$((1000 + i)) "u$i/d" "u$i"
      "$LAY" commit "./u$i" --base "base:$((i - 1))" "base:$i" >/dev/null
    done
    "$LAY" bundle base:30 "b-$form" sh -c 'ls /d'
    [ "$(under runc "b-$form" | tr '\n' ' ')" = "f29 f30 " ]
    echo new >"b-$form/rootfs/new" && touch -d @5000 "b-$form/rootfs/new" "b-$form/rootfs"
    "$LAY" commit --bundle "b-$form" made:1 >"id-$form"
  done
  [ ! -e id-erofs ] || { diff id-tree id-erofs && diff <(tree_of b-tree/rootfs) <(tree_of b-erofs/rootfs); }
}

@test "a folder that was a symlink before is captured whole" {
  mkdir -p small/c && echo same >small/c/b && ln -s c small/a && touch -d 2020-01-01 small/c/b
  "$LAY" import small base:1 >/dev/null
  "$LAY" bundle base:1 b true
  rm b/rootfs/a && cp -a b/rootfs/c b/rootfs/a
  "$LAY" commit --bundle b made:1 >/dev/null
  same_as_root made:1 b
}

@test "hard links that were made or broken are captured" {
  echo x >small/etc/one && touch -d 2020-01-01 small/etc/one && cp -a small/etc/one small/etc/two
  echo y >small/etc/three && ln small/etc/three small/etc/four
  "$LAY" import small base:1 >/dev/null
  "$LAY" bundle base:1 b true
  ln -f b/rootfs/etc/one b/rootfs/etc/two
  cp -a b/rootfs/etc/four t && mv -f t b/rootfs/etc/four
  "$LAY" commit --bundle b made:1 >/dev/null
  same_as_root made:1 b
}

@test "a hostile image reaches nothing outside of its bundle" {
  mkdir outside
  ln -s "$world/outside" small/escape
  ln -sfn "$world/outside" small/tmp2
  ln -sfn ../../../../../.."$world"/outside small/up
  "$LAY" import small evil:1 >/dev/null
  "$LAY" bundle -v "$world/small/etc:/escape/inside" -v "$world/small/etc:/up/there" --tmpfs /tmp2/made evil:1 b true
  [ -z "$(ls -A outside)" ]
  [ -d "b/rootfs$world/outside/inside" ]
  # passwd leads to a file of the host that knows a user whom the image does not
  printf 'spy:x:4242:4242::/:/bin/sh\n' >outside/passwd
  ln -sf "$world/outside/passwd" small/etc/passwd
  "$LAY" import small evil:2 >/dev/null
  refused 1 "user 'spy'" "$LAY" bundle -u spy evil:2 c true
  [ ! -e c ]
  # And on the way back: symlinks in the root are captured as symlinks
  rm -r b/rootfs/etc && ln -s "$world/outside" b/rootfs/etc
  "$LAY" commit --bundle b made:1 >/dev/null
  same_as_root made:1 b
  rm -r small/proc && ln -s "$world/outside" small/proc
  "$LAY" import small evil:3 >/dev/null
  refused 1 "'/proc' of the image is a symlink" "$LAY" bundle evil:3 c true
  [ ! -e c ] && [ -z "$(find . -maxdepth 1 -name '.*lay-*')" ]
  [ "$(ls -A outside)" = passwd ]
}

@test "what a bundle cannot have is an error, and leaves nothing behind" {
  mkdir full empty && touch full/x
  refused 1 "is not empty" "$LAY" bundle small full true
  refused 1 "is no folder" "$LAY" bundle small full/x true
  refused 1 "No such file" "$LAY" bundle small no/such/parent true
  refused 1 "has none or the host's" "$LAY" bundle --network bridge small b true
  refused 1 "joins no namespaces" "$LAY" bundle --pid container:x small b true
  refused 1 "--init is lay's own" "$LAY" bundle --init small b true
  refused 1 "--userns auto is lay's own" "$LAY" bundle --userns auto small b true
  refused 1 "--landlock is lay's own" "$LAY" bundle --landlock ro=/ small b true
  refused 1 "user 'nobody-here'" "$LAY" bundle -u nobody-here small b true
  refused 1 "would change the host" "$LAY" bundle --network host --sysctl net.core.somaxconn=1 small b true
  [ ! -e b ] && [ -z "$(ls -A empty)" ] && [ -z "$(find . -maxdepth 1 -name '.*lay-*')" ]
  "$LAY" bundle small empty true
  [ -d empty/rootfs ]
  refused 1 "is a bundle, no upper folder" "$LAY" commit ./empty made:1
  refused 1 "it has no 'lay.json'" "$LAY" commit --bundle full made:1
  refused 1 "a bundle knows its image" "$LAY" commit --bundle --base small empty made:1
  mount -t tmpfs none empty/rootfs/root
  refused 1 "something is mounted on '/root'" "$LAY" commit --bundle empty made:1
  umount empty/rootfs/root
  mknod empty/rootfs/root/x c 0 0
  refused 1 "the device 0:0" "$LAY" commit --bundle empty made:1
  rm empty/rootfs/root/x
  "$LAY" rmi small >/dev/null && "$LAY" prune -f >/dev/null
  refused 1 "the image it was made of, small" "$LAY" commit --bundle empty made:1
}
