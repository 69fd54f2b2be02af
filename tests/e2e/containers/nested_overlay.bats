#!/usr/bin/env bats
# What a container writes of an overlay of its own, "trusted.overlay.*" and what is escaped already: the kernel keeps
# it escaped in the upper and shows it as it was written, and so does every layer made of it.

load ../support/world

setup() {
  local major minor
  IFS=.- read -r major minor _ < <(uname -r)
  ((major > 6 || (major == 6 && minor >= 7))) || skip "overlays escape attributes from kernel 6.7 on, this is $(uname -r)"
  open_world
}
teardown() { leave_world; }

# marks_of FOLDER: every attribute of an overlay that it shows.
marks_of() { (cd "$1" && find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^(trusted\.overlay|user\.overlay\.overlay)\.' -e hex) 2>/dev/null || true; }

# live_marks_of IMAGE: the entries of its layers' tars that an overlay would heed, were they unpacked as they are.
live_marks_of() {
  rm -rf saved && mkdir saved
  "$LAY" save -q -o saved/image.tar "$1"
  python3 - <<'PYTHON'
import json, re, tarfile
with tarfile.open("saved/image.tar") as archive:
    for layer in json.load(archive.extractfile("manifest.json"))[0]["Layers"]:
        for entry in tarfile.open(fileobj=archive.extractfile(layer), mode="r:*"):
            for key in entry.pax_headers:
                if re.match(r"SCHILY\.xattr\.(trusted|user)\.overlay\.(?!overlay\.)", key):
                    print(entry.name, key)
PYTHON
}

# root_of CONTAINER: its merged view.
root_of() { echo "/proc/$("$LAY" inspect -f '{{.State.Pid}}' "$1")/root"; }

# write_marks ROOT: folders, files, links and nodes with marks, also twice escaped, and a folder over one of the image.
write_marks() {
  mkdir -p "$1"/deep/{opaque,listed,plain} "$1/etc"
  setfattr -n trusted.overlay.redirect -v /elsewhere "$1"
  setfattr -n trusted.overlay.overlay.opaque -v y "$1"
  touch "$1"/deep/{file,listed/gone,listed/kept} && ln -s file "$1/deep/link" && mkfifo "$1/deep/fifo"
  local name
  for name in deep/opaque etc; do setfattr -n trusted.overlay.opaque -v y "$1/$name"; done
  setfattr -n trusted.overlay.opaque -v x "$1/deep/listed"
  setfattr -n trusted.overlay.whiteout -v y "$1/deep/listed/gone"
  setfattr -n trusted.overlay.redirect -v /elsewhere "$1/deep/plain"
  setfattr -n trusted.overlay.metacopy "$1/deep/file"
  setfattr -n trusted.overlay.origin -v 0xfb00ff "$1/deep/file"
  setfattr -n trusted.overlay.overlay.opaque -v y "$1/deep/plain"
  setfattr -n trusted.overlay.overlay.overlay.opaque -v y "$1/deep/plain"
  for name in deep/link deep/fifo; do setfattr -h -n trusted.overlay.protattr -v p "$1/$name"; done
  setfattr -n user.overlay.opaque -v y "$1/deep/opaque" # what a rootless mount would heed comes into no layer
  setfattr -n user.overlay.overlay.metacopy -v z "$1/deep/file"
}

@test "marks of a nested overlay survive upper, tar, both forms, merged view and a second commit" {
  local form image
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    small_image
    "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
    write_marks "$(root_of c)"
    marks_of "$(root_of c)" >expected
    [ "$(grep -c overlay expected)" -ge 12 ]
    "$LAY" commit -q c marked:1 --compression gzip >/dev/null
    "$LAY" commit -q -s c squashed:1 >/dev/null
    "$LAY" rm -f c >/dev/null
    "$LAY" run -d --name d --network none marked:1 sleep 1000 >/dev/null
    diff expected <(marks_of "$(root_of d)")
    ! getfattr -n user.overlay.opaque "$(root_of d)/deep/opaque" 2>/dev/null || return 1
    [ -e "$(root_of d)/etc/passwd" ]
    chmod 750 "$(root_of d)/deep/plain" "$(root_of d)/deep/file" # copied up
    "$LAY" commit -q d again:1 >/dev/null
    diff expected <(marks_of "$(root_of d)")
    "$LAY" rm -f d >/dev/null
    for image in again:1 squashed:1; do
      "$LAY" run -d --name e --network none "$image" sleep 1000 >/dev/null
      diff expected <(marks_of "$(root_of e)") || { echo "$image"; return 1; }
      "$LAY" rm -f e >/dev/null
    done
    "$LAY" diff marked:1 squashed:1 >changes
    [ ! -s changes ]
  done

  "$LAY" export marked:1 >whole.tar
  mkdir unpacked && bsdtar -C unpacked -xpf whole.tar
  diff expected <(marks_of unpacked)
  "$LAY" import -q whole.tar imported:1 >/dev/null
  "$LAY" run -d --name f --network none imported:1 sleep 1000 >/dev/null
  diff expected <(marks_of "$(root_of f)")
}

@test "a layer's tar has no live mark, and podman shows those of a nested overlay as lay does" {
  small_image
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  write_marks "$(root_of c)"
  marks_of "$(root_of c)" >expected
  "$LAY" commit -q c marked:1 >/dev/null
  "$LAY" commit -q -s c squashed:1 >/dev/null
  "$LAY" export marked:1 | "$LAY" import -q - imported:1 >/dev/null
  mkdir unpacked && "$LAY" export marked:1 | bsdtar -C unpacked -xpf -
  "$LAY" import -q ./unpacked folder:1 >/dev/null
  local image
  for image in marked:1 squashed:1 imported:1 folder:1; do
    live_marks_of "$image" >live
    [ ! -s live ] || { echo "$image"; cat live; return 1; }
    "$LAY" run -d --name d --network none "$image" sleep 1000 >/dev/null
    diff expected <(marks_of "$(root_of d)") || { echo "$image"; return 1; }
    "$LAY" rm -f d >/dev/null
  done

  podman_() { podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver overlay --events-backend file "$@"; }
  "$LAY" save -q -o marked.tar marked:1
  podman_ load -q -i marked.tar >/dev/null 3>&-
  local view
  view=$(podman_ image mount localhost/marked:1 3>&-)
  marks_of "$view" >shown
  podman_ image unmount -a >/dev/null 3>&-
  umount "$world/podman/overlay" 2>/dev/null || true
  [ "$(grep -c trusted.overlay shown)" -ge 9 ]
  # podman unpacks no attributes of "/", and Go's reader of tars takes one without a value for none
  diff <(sed '/^# file: \.$/,/^$/d; /metacopy=0x$/d' expected) <(sed '/^# file: \.$/,/^$/d' shown)
}

@test "an overlay whose lowers lie in a container's root is the same in the image that is committed of it" {
  export LAY_LAYER_FORM=tree # the kernel stacks two file systems upon one, and a mounted layer is one more
  small_image
  "$LAY" run -d --name c --privileged --network none small sleep 1000 >/dev/null
  local root
  root=$(root_of c)
  mkdir -p "$root"/{below,above}/{kept,replaced,listed}
  touch "$root"/below/{kept/a,replaced/b,listed/gone,listed/kept} "$root"/above/{kept/c,replaced/d,listed/gone}
  setfattr -n trusted.overlay.opaque -v y "$root/above/replaced"
  setfattr -n trusted.overlay.opaque -v x "$root/above/listed"
  setfattr -n trusted.overlay.whiteout -v y "$root/above/listed/gone"
  local show='mkdir -p /tmp/m; mount -t overlay -o ro,lowerdir=/above:/below overlay /tmp/m && cd /tmp/m && busybox find . | busybox sort'
  "$LAY" exec --privileged c sh -c "$show" >expected
  grep -qx ./replaced/d expected
  ! grep -q 'replaced/b\|gone' expected || return 1
  "$LAY" commit -q c nested:1 >/dev/null
  diff expected <("$LAY" run --rm --privileged --network none nested:1 sh -c "$show")
}

@test "a bundle has the marks of a nested overlay as they are shown, and commits to the same" {
  small_image
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  write_marks "$(root_of c)"
  marks_of "$(root_of c)" >expected
  "$LAY" commit -q c marked:1 >/dev/null
  "$LAY" bundle marked:1 made >/dev/null
  diff expected <(marks_of made/rootfs)
  setfattr -n trusted.overlay.opaque -v n made/rootfs/deep/opaque
  marks_of made/rootfs >expected
  "$LAY" commit -q --bundle made changed:1 >/dev/null
  "$LAY" diff marked:1 changed:1 | grep -q ' /deep/opaque'
  "$LAY" run -d --name d --network none changed:1 sleep 1000 >/dev/null
  diff expected <(marks_of "$(root_of d)")
}

@test "marks in a layer of others hide and lead to nothing, and are shown as they are" {
  mkdir base top
  mkdir -p base/secret base/dir base/listed top/dir top/led top/listed
  touch base/listed/gone top/listed/gone
  setfattr -n trusted.overlay.opaque -v x top/listed
  setfattr -n trusted.overlay.whiteout -v y top/listed/gone
  echo kept >base/dir/kept
  echo hidden >base/secret/file
  setfattr -n trusted.overlay.opaque -v y top/dir
  setfattr -n trusted.overlay.redirect -v /secret top/led
  touch top/dir/kept2 && setfattr -n trusted.overlay.whiteout -v y top/dir/kept2
  tar -C top --xattrs --xattrs-include='*' -cf top.tar .
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    make_small_root
    cp -a base/. small/
    "$LAY" import -q small stacked:1 >/dev/null
    mkdir -p upper-$form && tar -C upper-$form --xattrs --xattrs-include='*' -xf top.tar
    # As plain attributes of a folder that is no upper: escaped, as the kernel would
    (cd upper-$form && find . -print0 | while IFS= read -r -d '' path; do
      getfattr -h -m '^trusted.overlay' "$path" 2>/dev/null | grep '^trusted' | while read -r name; do
        setfattr -n "trusted.overlay.overlay.${name#trusted.overlay.}" -v "$(getfattr -n "$name" --only-values "$path")" "$path"
        setfattr -x "$name" "$path"
      done
    done)
    "$LAY" commit -q ./upper-$form on:1 --base stacked:1 >/dev/null
    [ "$("$LAY" run --rm --network none on:1 sh -c 'cat /dir/kept; ls /dir /led /listed')" = $'kept\n/dir:\nkept\nkept2\n\n/led:\n\n/listed:\ngone' ]
  done
}
