#!/usr/bin/env bats
# Tars that others made to test their own readers: those of Go's archive/tar and of Python's tarfile.

load ../support/world

setup() { open_world; }
teardown() { close_world; }

vectors() {
  ls /usr/share/go-*/src/archive/tar/testdata/*.tar /usr/lib/python3*/test/testtar.tar
}

# import_as FORM TAR: the exit code; the image is vector:1 below $world/root-FORM.
import_as() {
  local status=0
  LAY_LAYER_FORM=$1 timeout 60 "$LAY" --root "$world/root-$1" import "$2" vector:1 >/dev/null 2>"$world/$1.err" || status=$?
  echo "$status"
}

@test "every tar of Go's and Python's tests is taken alike in both forms, or refused in words" {
  (($(vectors | wc -l) > 25))
  local tar mounted unpacked taken=0
  for tar in $(vectors); do
    mounted=$(import_as erofs "$tar")
    unpacked=$(import_as tree "$tar")
    echo "$tar: $mounted $unpacked: $(head -n 1 "$world/erofs.err")"
    [ "$mounted" = "$unpacked" ]
    if [ "$mounted" = 0 ]; then
      taken=$((taken + 1))
      for form in erofs tree; do
        "$LAY" --root "$world/root-$form" diff --size vector:1 >"$world/$form.list"
        LAY_LAYER_FORM=$form "$LAY" --root "$world/root-$form" export vector:1 >"$world/$form.tar"
      done
      diff "$world/erofs.list" "$world/tree.list"
      cmp "$world/erofs.tar" "$world/tree.tar" # owners, modes, attributes and data
    else
      [ "$mounted" = 1 ]
      [[ $(head -n 1 "$world/erofs.err") == "lay: "* ]]
      [ "$(grep -v '^hint: ' "$world/erofs.err")" = "$(grep -v '^hint: ' "$world/tree.err")" ]
    fi
  done
  ((taken > 10))
  [[ $("$LAY" --root root-erofs info --format '{{.LayerForm}}') != erofs ]] || [ -n "$(find root-erofs/layers -name layer.erofs)" ]
  [ -n "$(find root-tree/layers -name tree)" ]
  "$LAY" --root "$world/root-erofs" fsck -q
  "$LAY" --root "$world/root-tree" fsck -q
}

@test "access lists that tar --acls and bsdtar write come with an import, and leave with an export" {
  local pack
  mkdir -p acl/d
  echo text >acl/f
  chmod 666 acl/f
  setfacl -m u:1234:r,g:77:rw,g::r,m::rw acl/f
  setfacl -d -m u:70000:rwx acl/d
  (cd acl && getfacl -nR . && stat -c '%n %a' f d) >expected
  for pack in "tar --acls -cf" "bsdtar -cf" "tar --acls -czf" "bsdtar -cJf"; do
    $pack packed -C acl .
    "$LAY" import -q packed lists:1 >/dev/null
    rm -rf out && mkdir out
    "$LAY" export lists:1 | tar -C out --xattrs --xattrs-include='*' -xpf -
    diff expected <(cd out && getfacl -nR . && stat -c '%n %a' f d) || { echo "$pack"; return 1; }
  done
}
