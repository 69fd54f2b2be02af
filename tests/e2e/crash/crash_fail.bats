#!/usr/bin/env bats
# Nothing is ever lost: the steps of lay fail, or do half of what was asked for; crash.py says what has to hold then.

load ../support/world
load crash

setup() { open_world; }
teardown() { close_world; }

@test "a failing step of commit is told, and loses nothing" { crash fail commit 47; }
@test "a failing step of the first commit is told, and loses nothing" { crash fail commit-first 83; }
@test "a failing step of an uncompressed commit is told, and loses nothing" { crash fail commit-none 83; }
@test "a failing step of a commit of a container is told, and loses nothing" { crash fail commit-container 149; }
@test "a failing step of import is told, and loses nothing" { crash fail import 83; }
@test "a failing step while a layer is unpacked is told, and loses nothing" { crash fail import-tree 79; }
@test "a failing step of load is told, and loses nothing" { crash fail load 113; }
@test "a failing step of load of a layout is told, and loses nothing" { crash fail load-oci 113; }
@test "a failing step of pull is told, and loses nothing" { crash_pull fail pull 113; }
@test "a failing step of pull and unpacking is told, and loses nothing" { crash_pull fail pull-tree 127; }
@test "a failing step of tag is told, and loses nothing" { crash fail tag 29; }
@test "a failing step of rmi is told, and loses nothing else" { crash fail rmi 47; }
@test "a failing step of prune is told, and loses nothing that is needed" { crash fail prune 61; }
@test "a failing step of prune is told, and loses nothing that a container needs" { crash fail prune-around 149; }
@test "a failing step of prune of a container is told, and loses nothing else" { crash fail prune-container 75; }
@test "a failing step of rm is told, and loses nothing else" { crash fail rm 83; }
@test "a failing step of save or export is told, and leaves no half of a file" {
  crash fail save 61
  crash fail export 61
}
@test "a failing step of the first use after a reboot is told, and loses nothing" {
  crash fail recover 79
  crash fail recover-torn 107
  crash fail recover-tar 131
}
@test "a failing step of unpacking for the first use is told, and loses nothing" { crash fail recover-tree 79; }
@test "a failing step of fsck --repair is told, and loses nothing" {
  crash fail repair-blob 43
  crash fail repair-tar 73
  crash fail repair-erofs 73
  crash fail repair-tree 61
}
@test "a failing step of fsck --repair that fetches a blob is told, and loses nothing" {
  crash_pull fail repair-fetched 115
}

@test "reads and writes that move less than was asked for lose nothing" {
  command -v cc >/dev/null || skip "cc is not installed"
  local scenario
  for scenario in commit commit-none commit-gzip commit-container import import-tree load load-oci save export recover \
    recover-torn recover-tree repair-blob repair-tar repair-tree; do
    crash short "$scenario" 1
  done
}
@test "reads and writes of a pull that move less than was asked for lose nothing" {
  command -v cc >/dev/null || skip "cc is not installed"
  local scenario
  for scenario in pull pull-tree repair-fetched; do crash_pull short "$scenario" 1; done
}

@test "files that come in pieces are told to be the same by diff" {
  command -v cc >/dev/null || skip "cc is not installed"
  cc -shared -fPIC -O1 -o short_io.so "$BATS_TEST_DIRNAME/short_io.c" -ldl
  mkdir one two
  local each
  for each in same same-2 same-3; do # either of the two readings is short
    head -c 300000 /dev/urandom | tee one/$each >two/$each
    touch -r one/$each two/$each
  done
  echo other >two/other
  for each in one two; do "$LAY" commit -q ./$each $each >/dev/null; done
  SHORT_IO=$world/moved LD_PRELOAD=$world/short_io.so "$LAY" diff --format '{{.Kind}} {{.Path}}' one two >seen
  [ -e moved ]
  ! grep -q same seen || return 1
  grep -q other seen
}

@test "a full stderr or stdout ends nothing that is under way" {
  small_image
  "$LAY" tag small other 2>/dev/full
  "$LAY" import "$world/small" again:1 2>/dev/full
  "$LAY" inspect again:1 >/dev/null
  run bash -c '"$LAY" images 2>&1 >/dev/full'
  [ "$status" -eq 1 ]
  [ "$output" = "lay: write the output: No space left on device" ]
}
