#!/usr/bin/env bats
# Flags that name a file to write: what is there already is written as it is, judged by skopeo and podman.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc
  echo small >tree/etc/small
  "$LAY" import tree small:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' small:1)
}
teardown() { close_world; }

skopeo_copies() { skopeo copy -q --dest-tls-verify=false --digestfile "$1" "oci:$world/layout:1" "docker://$registry/skopeo:1"; }
lay_copies() { "$LAY" copy -q --digestfile "$1" small:1 "docker://$registry/copied:1"; }
lay_pushes() { "$LAY" push -q --digestfile "$1" small:1 "$registry/pushed:1"; }
lay_commits() { "$LAY" commit -q --iidfile "$1" "$world/tree" committed:1; }
lay_saves() { "$LAY" save -q -o "$1" small:1; }
lay_copies_out() { "$LAY" copy -q small:1 "docker-archive:$1:small:1"; }
lay_exports() { "$LAY" export -o "$1" small:1; }

# each_writer TEST: what TEST says of skopeo holds of each flag of lay's.
each_writer() {
  local writer
  "$LAY" copy -q small:1 "oci:$world/layout:1" >/dev/null
  start_registry "$world/registry"
  for writer in skopeo_copies lay_{copies,pushes,commits,saves,copies_out,exports}; do
    rm -rf --one-file-system places
    mkdir places
    cd places
    echo "with $writer"
    "$1" "$writer"
    cd "$world"
  done
}

device_stays() {
  mknod null c 1 3
  "$1" null
  [ "$(stat -c '%F %t:%T' null)" = 'character special file 1:3' ]
}
@test "a device stays a device" { each_writer device_stays; }

fifo_is_fed() {
  mkfifo pipe
  timeout 20 cat pipe >read 3>&- &
  "$1" pipe
  wait $!
  [ -p pipe ]
  [ -s read ]
}
@test "a fifo stays one, and its reader gets all" { each_writer fifo_is_fed; }

link_is_followed() {
  echo old >there
  ln -s there link
  ln -s new dangling
  "$1" link
  "$1" dangling
  [ "$(readlink link) $(readlink dangling)" = 'there new' ]
  cmp there new
  [ "$(wc -c <there)" != 4 ]
}
@test "a symlink leads to what is written, there or not" { each_writer link_is_followed; }

hard_link_is_shared() {
  echo old >one
  ln one two
  "$1" one
  [ one -ef two ]
  [ "$(wc -c <two)" != 4 ]
}
@test "a file with two names keeps both" { each_writer hard_link_is_shared; }

stdout_is_fed() {
  ln -s /proc/self/fd/1 link
  "$1" link >out
  [ -L link ]
  [ -s out ]
}
@test "a link to stdout is stdout" { each_writer stdout_is_fed; }

rights_stay() {
  echo old >there
  chmod 0604 there
  chown 1000:100 there
  "$1" there
  [ "$(stat -c '%a %u:%g' there)" = '604 1000:100' ]
  [ "$(wc -c <there)" != 4 ]
}
@test "a file keeps mode and owner" { each_writer rights_stay; }

substitution_is_fed() {
  "$1" >(cat >"read")
  wait $!
  [ -s read ]
}
@test "bash's process substitution gets all" { each_writer substitution_is_fed; }

@test "a file appears whole or not at all, also at the end of links, and the old one stays when it fails" {
  mkdir kept
  echo old >there
  echo old >kept/there
  ln -s kept/there link
  ln -s ../link kept/again
  ln -s kept/new dangling
  head -c 100000 /dev/urandom >tree/big
  "$LAY" import tree big:1 >/dev/null
  local file
  for file in there new link kept/again dangling; do
    (ulimit -f 8; ! "$LAY" save -q -o "$file" big:1 2>said) || return 1
  done
  [ "$(<there)$(<kept/there)" = oldold ]
  [ ! -e new ]
  [ ! -e kept/new ]
  [ -z "$(ls -A . kept | grep '^\.[^:]')" ]
  "$LAY" save -q -o there big:1
  "$LAY" save -q -o kept/again big:1
  "$LAY" save -q -o dangling big:1
  cmp there kept/there
  cmp there kept/new
  [ "$(readlink kept/again link dangling)" = $'../link\nkept/there\nkept/new' ]
}

@test "a file in a folder that is not there is refused, with a hint that says so" {
  refused 1 "nowhere': No such file or directory" "$LAY" save -o nowhere/file small:1
  grep -q '^hint: there is no such folder' refused.err
}

@test "a file with two names, or one that is mounted, keeps what was in it when the command fails" {
  echo old >one
  ln one two
  head -c 3000000 /dev/urandom >tree/big
  "$LAY" import tree big:1 >/dev/null
  local blob
  blob=$("$LAY" inspect big:1 | jq -r '.[0].Layers[0].digest')
  cp "$LAY_ROOT/blobs/sha256/${blob#*:}" kept
  printf X | dd of="$LAY_ROOT/blobs/sha256/${blob#*:}" bs=1 seek=1500000 conv=notrunc status=none
  ! "$LAY" save -q --format oci-archive -o one big:1 2>said || return 1
  [ "$(<one)$(<two)" = oldold ]
  unshare -m sh -c 'mount --bind two two && ! "$LAY" save -q --format oci-archive -o two big:1' 2>said
  [ "$(<one)$(<two)" = oldold ]
  cp kept "$LAY_ROOT/blobs/sha256/${blob#*:}"
  # without room for the new content
  open_disk ext4 16m
  cd disk
  echo old >one
  ln one two
  head -c 8500000 /dev/zero >fill
  sync
  local blocks
  blocks=$(stat -c %b one)
  ! "$LAY" save -q --format oci-archive -o one big:1 2>"$world/said" || { df .; return 1; }
  grep -q "make room for [0-9]* bytes in 'one'" "$world/said" || { cat "$world/said"; return 1; }
  [ "$(<one)$(<two)" = oldold ]
  sync
  # ext4 may keep the block in which it noted where the others were
  [ "$(stat -c %b one)" -le $((blocks + 8)) ] || { stat -c %b one; return 1; }
  rm fill
  "$LAY" save -q --format oci-archive -o one big:1
  "$LAY" save -q --format oci-archive -o new big:1
  cmp two new
  # a longer one leaves nothing behind a shorter one
  "$LAY" save -q --format oci-archive -o new small:1
  "$LAY" save -q --format oci-archive -o one small:1
  cmp two new
  cd "$world"
  close_disk
}

@test "a file with two names that is being written over is whole also when the user asks to stop" {
  echo old >one
  ln one two
  head -c 3000000 /dev/urandom >tree/big
  "$LAY" import tree big:1 >/dev/null
  "$LAY" save -q --format oci-archive -o new big:1
  strace -f -qq -o trace -P "$world/one" -e trace=write -e inject=write:signal=INT:when=2 \
    "$LAY" save -q --format oci-archive -o one big:1
  grep -q SIGINT trace
  cmp two new
  "$LAY" save -q --format oci-archive -o one small:1
  strace -f -qq -o trace -e trace=fallocate -e inject=fallocate:error=EINTR:when=1 \
    "$LAY" save -q --format oci-archive -o one big:1
  grep -q 'EINTR' trace
  cmp two new
  # before that it keeps what was in it
  strace -f -qq -o trace -P one -e trace=openat -e inject=openat:signal=INT:when=1 \
    "$LAY" save -q --format oci-archive -o one small:1 || local code=$?
  [ "$code" = 130 ]
  cmp two new
}

@test "waiting for the reader of a fifo ends when the user asks for it" {
  mkfifo pipe
  ended_by INT "$LAY" save -q -o pipe small:1
  ended_by TERM "$LAY" export -o pipe small:1
  [ -p pipe ]
}

@test "what replaces a private file is private from the start, and has no set-user-ID" {
  echo old >there
  chmod 4600 there
  strace -f -qq -o trace -e trace=openat "$LAY" save -q -o there small:1
  grep -q '"\.there\..*O_CREAT.*, 0600)' trace || { grep there trace; return 1; }
  [ "$(stat -c %a there)" = 600 ]
}

@test "a file that is mounted is written as it is" {
  echo old >there
  unshare -m sh -c 'mount --bind there there && "$LAY" save -q -o there small:1'
  "$LAY" save -q -o new small:1
  cmp there new
}

trap_is_not_used() {
  mkdir -m 1777 shared
  echo old >there
  ln -s ../there shared/link
  ln -s shared/link within
  ln there shared/hard
  echo theirs >shared/theirs
  mkfifo shared/fifo
  chown -h 1000 shared/link shared/theirs shared/fifo
  local name
  for name in within shared/{hard,theirs,fifo}; do "$1" "$name"; done
  [ "$(<there)" = old ]
  [ -L within ]
  for name in link hard theirs fifo; do [ "$(stat -c '%F %u %h' "shared/$name")" = "regular file 0 1" ] || return 1; done
}
@test "where everybody may make names, a link, a file with two names and another user's are replaced" {
  skopeo_copies() { lay_saves "$1"; } # skopeo follows them
  each_writer trap_is_not_used
}

own_file_is_kept() {
  mkdir -m 1777 shared
  mkfifo shared/fifo
  timeout 20 cat shared/fifo >read 3>&- &
  "$1" shared/fifo
  wait $!
  [ -s read ]
  (umask 077 && echo old >shared/private)
  "$1" shared/private
  [ "$(stat -c %a shared/private)" = 600 ]
}
@test "where everybody may make names, the user's own files are written as elsewhere" { each_writer own_file_is_kept; }
