#!/usr/bin/env bats
# Nothing is ever lost: at a step of lay the power goes, and with it all that was not synced; crash.py says what has to
# hold then.

load ../support/world
load crash

setup() { open_world; }
teardown() { close_world; }

@test "nothing is lost when the power goes within a commit" {
  crash cut commit 19
  crash cut commit-none 23
  crash cut commit-container 31
}
@test "nothing is lost when the power goes within the first commit" { crash cut commit-first 29; }
@test "nothing is lost when the power goes within an import" { crash cut import 23; }
@test "nothing is lost when the power goes while a layer is unpacked" { crash cut import-tree 19; }
@test "nothing is lost when the power goes within a load" {
  crash cut load 29
  crash cut load-oci 29
}
@test "nothing is lost when the power goes within a pull" {
  crash_pull cut pull 29
  crash_pull cut pull-known 19
  crash_pull cut pull-tree 37
}
@test "nothing is lost when the power goes within a tag" { crash cut tag 11; }
@test "nothing is lost when the power goes within rmi" { crash cut rmi 13; }
@test "nothing is lost when the power goes within prune" {
  crash cut prune 23
  crash cut prune-around 41
}
@test "nothing is lost when the power goes within rm" { crash cut rm 23; }
@test "nothing is lost when the power goes while a layer of another boot is made good" {
  crash cut recover 23
  crash cut recover-torn 29
  crash cut recover-tar 41
}
@test "nothing is lost when the power goes while a layer is unpacked for its first use" { crash cut recover-tree 23; }
@test "nothing is lost when the power goes within fsck --repair" {
  crash cut repair-blob 29
  crash cut repair-tar 41
  crash cut repair-erofs 41
  crash cut repair-tree 53
}
@test "nothing is lost when the power goes within fsck --repair that fetches a blob" { crash_pull cut repair-fetched 83; }
