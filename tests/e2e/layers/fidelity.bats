#!/usr/bin/env bats
# What images of others show: lay in both forms beside umoci and podman. The cases are those of layered_images.py.
# podman's driver vfs unpacks layer over layer, as umoci does; overlay each by itself, so that a folder which a layer only
# implies takes the place of a symlink below, or loses mode and owner. The others are right where they agree. Where one
# alone is asked, the test says what the others do.

load ../support/world

setup() { open_world; }
teardown() {
  local status=0
  umount --lazy --recursive "$LAY_RUN/layers" 2>/dev/null || true  # they stay for 2 s in case of another container
  close_world || status=1
  wait_until 5 rm -rf --one-file-system "$world"  # whoever waits these 2 s removes the locks
  return "$status"
}

# keep_tree ROOT NAME: the cases below ROOT into the file NAME, all their times into NAME.times.
keep_tree() {
  tree_of "$1/cases" >"$2"
  (cd "$1/cases" && find . -printf '%p\t%T@\n' 2>/dev/null | LC_ALL=C sort) >"$2.times" || true
}

# start IMAGE: a container of its name, which sleeps; prints where the host sees its root.
start() {
  timeout -s KILL 10 "$LAY" run -d --name "$1" --network none "$1" sleep 60 >/dev/null && echo "/proc/$("$LAY" inspect -f '{{.State.Pid}}' "$1")/root"
}

# has_form FORM: every layer of the store is in it, where the machine has it; else there would be nothing to compare.
has_form() {
  [[ $("$LAY" info --format '{{.LayerForm}}') == "$1" ]] || return 0
  local other=tree
  [[ $1 == erofs ]] || other=layer.erofs
  [ -z "$(find "$LAY_ROOT/layers" -maxdepth 3 -name "$other")" ] || { echo "not all layers are in the form $1"; return 1; }
}

# In both forms, as a container sees it.
shown_by_lay() {
  local form root
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form
    "$LAY" copy -q "oci:images/$1:1" "$1" >/dev/null && root=$(start "$1") || return 1
    has_form "$form" || return 1
    keep_tree "$root" "lay-$form"
    "$LAY" rm -f "$1" >/dev/null
  done
  unset LAY_LAYER_FORM
}

shown_by_umoci() {
  umoci unpack --image "images/$1:1" bundle >umoci.log 2>&1 || { tail -n 1 umoci.log; return 1; }
  keep_tree bundle/rootfs umoci
  rm -r --one-file-system bundle
}

# podman_ DRIVER WORD...
podman_() {
  local driver=$1
  shift
  podman --root "$world/podman-$driver" --runroot "$world/p-$driver" --storage-driver "$driver" --events-backend file "$@"
}
shown_by_podman() {
  local driver=${2-vfs} id
  id=$(podman_ "$driver" pull -q "oci:images/$1:1" 2>podman.log) || { tail -n 1 podman.log; return 1; }
  keep_tree "$(podman_ "$driver" image mount "$id")" podman
  podman_ "$driver" image umount -a >/dev/null
}
shown_by_podman_overlay() {
  local status=0
  shown_by_podman "$1" overlay || status=1
  ! mountpoint -q podman-overlay/overlay || umount podman-overlay/overlay  # on itself
  # It gives every folder that a layer only implies to root; the others and lay keep what lies below.
  sed -i -E '/^\.\/[^/]*\td\t/s/0755\t0:0/0750\t0:1/' podman && mv podman podman_overlay
  return "$status"
}

# judged GROUP JUDGE...: lay in both forms shows what each judge shows.
judged() {
  local group=$1 judge
  shift
  python3 "$here/layered_images.py" "$group" images
  shown_by_lay "$group" || return 1
  [[ -s lay-erofs ]] || return 1
  diff lay-erofs lay-tree || return 1
  diff lay-erofs.times lay-tree.times || return 1
  for judge; do
    "shown_by_$judge" "$group" || return 1
    diff -U0 --label "$group by $judge" --label "$group by lay" "$judge" lay-erofs || return 1
  done
}

# same_times_as_umoci: those of folders too, to the nanosecond.
same_times_as_umoci() { diff -U0 umoci.times lay-erofs.times; }

@test "T02: what lies behind a symlink of a lower layer lands where that leads" {
  judged links umoci podman
}

@test "T02: a symlink that leads nowhere stays, and what lies behind it lands where it leads" {
  judged dead-links umoci  # podman cannot open the file
}

@test "T02, W02: what lies behind a symlink to the host changes nothing there" {
  export CANARY=$world/canary
  mkdir -p canary/folder/deep
  echo text >canary/file
  find canary -printf '%p %y %m %T@ %C@ %n %s\n' >before
  judged outside
  find canary -printf '%p %y %m %T@ %C@ %n %s\n' | diff before -
}

@test "T04: hard links" {
  judged hard-links umoci podman
}

@test "T04: a hard link to a file of a lower layer is refused" {
  # So does podman on overlay; umoci and podman on vfs link the lower layer's file.
  python3 "$here/layered_images.py" hard-link-below images
  ! shown_by_podman_overlay hard-link-below || return 1
  local form
  for form in erofs tree; do
    run env LAY_LAYER_FORM="$form" "$LAY" copy -q oci:images/hard-link-below:1 x:1
    [ "$status" -eq 1 ]
    has "$output" "entry 'cases/file/b': it is a hard link to 'cases/file/a'"
  done
}

@test "T07: entries that take the place of others of lower layers" {
  judged replaced umoci podman
}

@test "T07: entries that take the place of others of the same layer" {
  judged replaced-within umoci  # podman takes no name twice
}

@test "T07, T10: an implied folder in the place of what was none" {
  judged replaced-by-implied podman_overlay  # umoci and podman on vfs find no folder
}

@test "T09: symlinks of a lower layer that lead in a circle, or through too many others, are refused or replaced" {
  # umoci and podman on vfs refuse the image, podman on overlay puts a folder in their place.
  python3 "$here/layered_images.py" loops images
  local form root status
  shown_by_podman_overlay loops
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form
    status=0
    { timeout -s KILL 10 "$LAY" copy -q oci:images/loops:1 loops >/dev/null && root=$(start loops); } 2>err || status=$?
    if ((status == 0)); then
      keep_tree "$root" lay
      "$LAY" rm -f loops >/dev/null
      diff podman_overlay lay
    else
      ((status < 126))
      has "$(cat err)" "symbolic link"
    fi
  done
}

@test "T02, T09: symlinks of several layers that lead to each other, in circles that end, or beyond the root" {
  judged links-of-links umoci podman
}

@test "T09: forty symlinks on the way are followed, as the kernel does" {
  judged forty-links umoci podman
}

@test "T11: files of a layer made before lib became a symlink to usr/lib" {
  judged usrmerge umoci podman
}

@test "T11: what a layer writes through a symlink below stays when it names the symlink's path afterwards" {
  judged usrmerge-named-again umoci
}

@test "T11: removals in a layer made before lib became a symlink" {
  judged usrmerge-removals umoci podman
}

@test "T11: opaque marks in a layer made before lib became a symlink" {
  judged usrmerge-opaque umoci  # podman leaves what lies behind the symlink
}

@test "W04: removals hide what lower layers have, and no more" {
  judged whiteouts umoci podman
}

@test "W04: a removal that follows what its layer adds hides what lower layers have, and no more" {
  judged whiteouts-after umoci  # podman removes the layer's own file, and fails on the folder
}

@test "W04: removals of what no lower layer has leave no name behind" {
  judged whiteouts-of-nothing umoci podman
}

@test "W04: a removal of nothing in a folder that is only implied leaves the folder" {
  judged whiteout-alone podman  # umoci makes none
}

@test "W05: opaque folders, wherever their mark stands" {
  judged opaque umoci podman
}

@test "W05: an opaque folder that its layer only implies keeps mode and owner" {
  judged opaque-implied umoci podman
}

@test "W05: an opaque root" {
  judged opaque-root umoci podman
  local form
  for form in erofs tree; do
    "$LAY" --root "$world/root-$form" run --rm --network none opaque-root ls / >names
    [ "$(grep -xE 'bin|cases|new|old' names | paste -sd' ')" = "bin cases new" ]
  done
}

@test "folders that layers only imply keep mode, owner, times and attributes over three layers" {
  judged implied umoci podman
  ! awk '$2 > 1000000003' lay-erofs.times | grep . || return 1  # as umoci and podman date some of them
  grep -xP '\./three-layers/p/q\t1000000001\.0+' lay-erofs.times
}

@test "T15: layers that imply a thousand nested folders start like others" {
  judged implied-deep  # umoci takes minutes
}

@test "a folder's entry takes the attributes of lower layers away" {
  judged attributes-of-folders umoci  # podman adds its own to them
}

@test "times of a tar are shown to the nanosecond" {
  judged times umoci podman
  same_times_as_umoci
  judged times-before-1970 umoci  # podman knows none
  same_times_as_umoci
}

@test "headers of others: odd paths, modes, owners, and keys that a layer has no use for" {
  judged headers umoci podman
  judged trusted-attributes umoci  # podman leaves them out
}

@test "attributes of name spaces that Linux has not are left out" {
  judged unknown-attributes umoci podman
}

@test "an image's SELinux labels stay out of the store, and the host's out of a layer" {
  mkdir -p upper labelled
  echo text >upper/file
  touch -d @1000 upper/file upper
  cp -a upper/file labelled
  setfattr -n security.selinux -v system_u:object_r:bin_t:s0 labelled/file
  touch -r upper labelled
  [ "$("$LAY" commit ./upper plain:1)" = "$("$LAY" commit ./labelled labelled:1)" ] || failed=1
  judged labels umoci podman
  [ -z "${failed-}" ]
}

@test "T12: names of any bytes are shown and removed as they are" {
  judged names umoci podman
}

@test "M01: file capabilities of both versions are kept" {
  judged capabilities umoci podman
}

@test "an access list that says something else than the mode decides over it" {
  judged access-lists umoci podman
  judged access-lists-of-two-entries  # podman refuses them, umoci takes away what the first one set
}

@test "M03: flags of files in a tar are ignored, and the store stays removable" {
  judged flags umoci podman
  local form
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form
    ! lsattr -R "$LAY_ROOT" 2>/dev/null | grep -E '^[^ ]*[aid][^ ]* ' || return 1
    "$LAY" rmi flags >/dev/null
    "$LAY" prune -f >/dev/null
    [ -z "$(ls "$LAY_ROOT/layers" "$LAY_ROOT/blobs/sha256" | grep -v :)" ]
  done
}

@test "W01, T12, T15, T04: a layer with what cannot be is refused in words, and nothing of it stays" {
  export CANARY=$world/canary
  mkdir canary
  echo text >canary/file
  python3 "$here/layered_images.py" refused images
  small_image
  local before image form failed=
  before=$(store_state)
  for image in images/refused/*; do
    for form in erofs tree; do
      LAY_LAYER_FORM=$form run timeout 10 "$LAY" copy -q "oci:$image:1" x:1
      [[ $status == 1 && $output =~ ^"lay: copy: layout '$image': layer sha256:"[0-9a-f]{64}": "[[:print:]]+$ ]] ||
        { echo "$image as $form: exit $status, $output"; failed=1; }
      [ "$(store_state)" = "$before" ] || { echo "left something: $image as $form"; failed=1; before=$(store_state); }
    done
  done
  [ "$(stat -c %h canary/file)" = 1 ]
  [ -z "$failed" ]
}

# extracted_by READER TAR FOLDER
extracted_by() {
  case $1 in
    gnu) tar -C "$3" -xf "$2" ;;
    bsdtar) bsdtar -C "$3" -xf "$2" ;;
    python) python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$2" "$3" ;;
    busybox) busybox tar -C "$3" -xf "$2" ;;
    umoci)
      rm -rf --one-file-system unpacked
      umoci raw add-layer --image layout:empty --tag 1 "$2" && umoci unpack --image layout:1 unpacked && mv unpacked/rootfs/t "$3" ;;
    lay)
      rm -rf --one-file-system bundle
      "$LAY" import "$2" tar:1 && "$LAY" bundle tar:1 bundle /x && mv bundle/rootfs/t "$3" ;;
  esac >/dev/null 2>&1
}

# listed_by READER TAR: names, types and contents, or that it refuses the tar.
listed_by() {
  rm -rf --one-file-system out
  mkdir out
  extracted_by "$1" "$2" out || { echo refused; return; }
  (cd out && find . \( -type f -exec md5sum {} + \) -o -printf '%y %p\n') | LC_ALL=C sort
}

@test "F01: of a tar whose sizes disagree lay shows what five other readers agree on, or refuses it" {
  mkdir tars
  umoci init --layout layout && umoci new --image layout:empty
  python3 "$BATS_TEST_DIRNAME/ambiguous_tars.py" tars
  local tar reader failed= ambiguous=0
  for tar in tars/*.tar; do
    for reader in gnu bsdtar python busybox umoci lay; do listed_by "$reader" "$tar" >"by-$reader"; done
    [ "$(cat by-{gnu,bsdtar,python,busybox,umoci} | sort | uniq -c | awk '$1 != 5' | wc -l)" = 0 ] || ambiguous=$((ambiguous + 1))
    [ "$(cat by-lay)" != refused ] || continue
    for reader in gnu bsdtar python busybox umoci; do
      diff --label "$tar by $reader" --label "$tar by lay" -U0 "by-$reader" by-lay || failed=1
    done
  done
  [ -z "$failed" ]
  ((ambiguous >= 6))  # else these tars show nothing
  [ "$(listed_by lay tars/agreeing.tar | wc -l)" = 4 ]
}

@test "a size beyond what a tar header can say is taken from GNU tar, bsdtar and Python in all their formats" {
  [[ -n ${LAY_TESTS_LONG-} ]] || skip "8 GiB, six times: with LAY_TESTS_LONG"
  local command
  mkdir big
  truncate -s 8589934593 big/file
  for command in "tar --format=posix -cf -" "tar --format=gnu -cf -" "bsdtar --format=pax -cf -" "bsdtar --format=gnutar -cf -" \
    "python3 $BATS_TEST_DIRNAME/tar_of.py PAX" "python3 $BATS_TEST_DIRNAME/tar_of.py GNU"; do
    $command big | "$LAY" --max-unpacked 9g import --compression none - big:1 >/dev/null
    [ "$("$LAY" diff --size big:1 | grep -c 'big/file')" = 1 ]
    "$LAY" rmi big:1 >/dev/null
  done
}

# times_in ROOT: to the nanosecond.
times_in() { (cd "$1/times" && find . -printf '%p %T@\n' | LC_ALL=C sort); }
# diff_ids IMAGE
diff_ids() { "$LAY" inspect "$1" | jq -c '.[0].RootFS.Layers'; }

@test "times of an upper are committed in whole seconds, shown alike in both forms, and committed alike again" {
  small_image
  "$LAY" save -q -o small.tar small
  mkdir -p upper/times/d
  touch -d '2020-01-01 00:00:00.987654321 UTC' upper/times/f
  touch -d '1969-12-31 23:59:58.5 UTC' upper/times/early
  touch -d '2106-02-07 06:28:16.999999999 UTC' upper/times/late
  ln -s f upper/times/l
  mkfifo upper/times/p
  touch -h -d '2001-01-01 00:00:00.000000001 UTC' upper/times/{l,p,d}
  touch -d '1999-01-01 00:00:00.5 UTC' upper/times
  times_in upper | sed 's/\.[0-9]*$/.0000000000/' >expected  # find writes the second below and what is beyond it
  local form root first
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form
    "$LAY" load -q -i small.tar >/dev/null
    "$LAY" commit ./upper n --base small >/dev/null
    "$LAY" commit ./upper again --base small >/dev/null
    first=$(diff_ids n)
    [ "$(diff_ids again)" = "$first" ]
    root=$(start n)
    times_in "$root" >"shown-$form"
    diff expected "shown-$form"
    mkdir shown
    cp -a "$root/times" shown
    touch -r upper shown
    "$LAY" exec n sh -c 'chmod 600 /times/f /times/early; mkdir /times/d/e; rmdir /times/d/e; touch -d @1000000000 /times/d'
    "$LAY" stop -t 0 n >/dev/null
    "$LAY" commit n changed >/dev/null
    diff_ids changed >"changed-$form"
    "$LAY" commit ./shown again --base small >/dev/null
    [ "$(diff_ids again)" = "$first" ]
    rm -r --one-file-system shown
  done
  cmp changed-erofs changed-tree
}

# make_noted_upper [LINK]: an upper with all that overlay notes of its own. Of the lower's hard links hard1 and hard2
# LINK is changed after hard1.
make_noted_upper() {
  mkdir -p base/a/sub base/gone upper work merged
  echo 1 >base/a/file
  echo 2 >base/hard1
  ln base/hard1 base/hard2
  mount -t overlay overlay -o "lowerdir=base,upperdir=upper,workdir=work,index=on,xino=on,nfs_export=on,uuid=on,redirect_dir=nofollow" merged
  echo more >>merged/a/file
  echo more >>merged/hard1
  echo more >>"merged/${1-hard2}"
  touch merged/a/sub/new
  rm -r merged/gone
  mkdir merged/gone
  setfattr -n trusted.kept -v 1 merged/a/file
  tree_of merged >expected
  umount merged
}

@test "W07: what the kernel notes of origin, links and itself in an upper does not reach the layer" {
  make_noted_upper
  getfattr -R -h -m - -d upper 2>/dev/null | grep -o '^trusted.overlay.[a-z]*' | sort -u >noted
  grep -q origin noted && grep -q impure noted && grep -q nlink noted && grep -q uuid noted
  "$LAY" import base base:1 >/dev/null
  "$LAY" commit ./upper new:1 --base base:1 --compression none >/dev/null
  local tar
  tar=$LAY_ROOT/layers/$("$LAY" inspect new:1 | jq -r '.[0].RootFS.Layers[1][7:]')/layer.tar
  grep -aq trusted.kept "$tar"
  ! grep -aq overlay "$tar" || return 1
  "$LAY" bundle new:1 bundle /x >/dev/null
  tree_of bundle/rootfs | grep -vP '^\./(dev|proc|sys|etc)(/|\t)' >got
  diff expected got
}

@test "W07: a hard link of which the upper has one name shows what the kernel showed, or is refused" {
  make_noted_upper hard1
  "$LAY" import base base:1 >/dev/null
  "$LAY" commit ./upper new:1 --base base:1 >/dev/null 2>err || { has "$(cat err)" hard1; return; }
  "$LAY" bundle new:1 bundle /x >/dev/null
  tree_of bundle/rootfs | grep -vP '^\./(dev|proc|sys|etc)(/|\t)' >got
  diff expected got
}

@test "W07: hard links changed in a folder that was renamed show what the kernel showed, or are refused" {
  mkdir -p base/d upper work merged
  echo old >base/d/a
  ln base/d/a base/d/b
  ln base/d/a base/e
  mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work,redirect_dir=on,index=on merged
  mv merged/d merged/D
  echo new >>merged/D/a
  echo new >>merged/D/b
  umount merged
  "$LAY" import -q base base:1 >/dev/null
  refused 1 "other names in the lower layers" "$LAY" commit -q --base base:1 ./upper new:1
  mount -t overlay overlay -o lowerdir=base,upperdir=upper,workdir=work,redirect_dir=on,index=on merged
  echo new >>merged/e
  tree_of merged >expected
  umount merged
  "$LAY" commit -q --base base:1 ./upper new:1 >/dev/null
  "$LAY" bundle new:1 bundle /x >/dev/null
  tree_of bundle/rootfs | grep -vP '^\./(dev|proc|sys|etc)(/|\t)' >got
  diff expected got
}

@test "a removal of a name of 255 bytes is committed, and shows in both forms" {
  local name form
  name=$(printf 'n%.0s' {1..255})
  mkdir -p base/folder upper/folder
  touch "base/$name" "base/folder/$name" base/kept
  mknod "upper/$name" c 0 0
  mknod "upper/folder/$name" c 0 0
  "$LAY" import -q base base:1 >/dev/null
  "$LAY" commit -q --base base:1 ./upper new:1 >/dev/null
  "$LAY" save -q -o new.tar new:1
  for form in erofs tree; do
    LAY_LAYER_FORM=$form LAY_ROOT=$world/$form "$LAY" load -q -i new.tar >/dev/null
    LAY_LAYER_FORM=$form LAY_ROOT=$world/$form "$LAY" export new:1 | tar t | sort >"$form.list"
    diff <(printf '%s\n' ./ folder/ kept) <(sed 's|^\./\(.\)|\1|' "$form.list")
  done
}

# acls_of FOLDER: what in it has an access control list.
acls_of() { (cd "$1" && getfacl -R -s -p . 2>/dev/null | sed -n 's|^# file: \(\./\)\{0,1\}||p'); }

@test "default ACLs of folders that lay itself works in reach no container, no layer and no bundle's commit" {
  mkdir -p one/e/a two/e/a parent
  touch two/e/a/f
  setfacl -d -m u:1000:rwx parent
  export LAY_ROOT=$world/parent/root LAY_RUN=$world/parent/run
  small_image
  "$LAY" run --name c --network none small sh -c 'mkdir /x; touch /x/f'
  [ -z "$(acls_of "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' c)/upper")" ]
  "$LAY" bundle small bundle sh >/dev/null
  mkdir bundle/rootfs/f
  touch bundle/rootfs/f/before
  mkdir bundle/rootfs/f/sub
  setfacl -d -m u:1000:rwx bundle/rootfs/f
  "$LAY" commit -q --bundle bundle new:1 >/dev/null
  "$LAY" bundle new:1 again sh >/dev/null
  [ "$(acls_of again/rootfs)" = f ] || { acls_of again/rootfs; false; }
  # Folders that a layer only implies are made below RUN
  tar -C one --format pax -cf one.tar .
  tar -C two --format pax -cf two.tar e/a/f
  "$BATS_TEST_DIRNAME/../hostile/hostile_tars.py" layout layout one.tar two.tar
  "$LAY" copy -q oci:layout:x:1 implied:1 >/dev/null
  "$LAY" bundle implied:1 implied sh >/dev/null
  [ -e implied/rootfs/e/a/f ]
  [ -z "$(acls_of implied/rootfs)" ] || { acls_of implied/rootfs; false; }
}

@test "W09: a store, a run folder and a volume may have any name" {
  local odd form failed=
  small_image
  "$LAY" save -q -o small.tar small
  for odd in 'a:b' 'a\b' $'a\nb' 'a b#"%s' 'a\040b' 'lowerdir=x,upperdir=y'; do
    for form in erofs tree; do
      printf '%q as %s: ' "$odd" "$form"
      LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form-$odd LAY_RUN=$world/run-$odd works_from_end_to_end 2>&1 || failed=1
    done
    umount --lazy --recursive "$world/run-$odd/layers"
    [[ $odd != *:* ]] || continue  # which `-v` has a meaning for
    mkdir "volume-$odd"
    "$LAY" run --rm --network none -v "$world/volume-$odd:/v" small sh -c 'echo text >/v/file' || failed=1
    [ "$(cat "volume-$odd/file")" = text ] || failed=1
  done
  [ -z "$failed" ]
}

@test "W09: a store or a volume whose name is not UTF-8 works or is refused in words" {
  small_image
  "$LAY" save -q -o small.tar small
  mkdir "$world/volume-"$'\xff'
  refused 125 "volume-" "$LAY" run --rm --network none -v "$world/volume-"$'\xff':/v small true
  ! grep -q exception refused.err || return 1
  LAY_ROOT=$world/root-$'\xff' works_from_end_to_end 2>err || { cat err; ! grep -q exception err; }
}

works_from_end_to_end() {
  "$LAY" load -q -i small.tar &&
    "$LAY" run --name c --network none small sh -c 'echo changed >/x; rm /bin/cat' &&
    "$LAY" commit c new:1 >/dev/null &&
    [ "$("$LAY" run --rm --network none new:1 sh -c 'read line </x; echo $line; ls /bin/cat' 2>/dev/null)" = changed ] &&
    "$LAY" start c >/dev/null && "$LAY" diff c >/dev/null && "$LAY" rm -f c >/dev/null && "$LAY" fsck -q
}

@test "W09: a container's name is none of a path or an option" {
  small_image
  local name failed=
  for name in 'a:b' 'a,b' 'a\b' 'a=b' 'a b' ../x . -x $'a\nb' $'a\e[2J'; do
    refused 125 "is not a name for a container" "$LAY" run --rm --network none --name "$name" small true || failed=1
  done
  [ -z "$failed" ]
  [ "$("$LAY" ps -aq)" = "" ]
}

@test "W10: a container whose upper would lie on an overlay is refused in words, and nothing stays mounted" {
  mkdir lower upper work on
  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work on
  export LAY_ROOT=$world/on/root
  small_image
  refused 125 overlay "$LAY" run --name c --network none small true || failed=1
  "$LAY" rm -f c >/dev/null 2>&1 || true
  wait_until 10 nothing_mounted || failed=1
  umount on
  [ -z "${failed-}" ]
}

# Two of the 500 folders that overlay takes may be lay's own: of mount points, which lie in the upper where there is no
# room, and of what layers only imply.
@test "W09: images of up to 500 layers run, one of more is refused in words" {
  python3 "$here/layered_images.py" many images
  local form count image
  for form in erofs tree; do
    export LAY_LAYER_FORM=$form LAY_ROOT=$world/root-$form
    for image in 127 499 500 501 implied-127 implied-499 implied-500; do
      "$LAY" copy -q "oci:images/many/$image:1" "many:$image" >/dev/null
    done
    for image in 127 499 500 implied-127 implied-499; do
      count=${image#implied-}
      [ "$("$LAY" run --rm --network none "many:$image" sh -c 'ls /cases' | wc -l)" = "$((count - 1))" ]
      [ "$("$LAY" run --rm "many:$image" cat "/cases/$((count - 1))")" = "/cases/$((count - 1))" ]
    done
    for image in 499 500 implied-499; do
      [ "$("$LAY" export "many:$image" | tar -t | grep -c '^cases/.')" = "$((${image#implied-} - 1))" ]
      [ "$("$LAY" diff "many:$image" | grep -v '^C ')" = "A /cases/$((${image#implied-} - 1))" ]
    done
    "$LAY" run --name changed --network none many:499 touch /new
    [ "$("$LAY" export changed | tar -t | grep -cx new)" = 1 ]
    "$LAY" rm changed >/dev/null
    "$LAY" run --name changed --network none many:500 touch /new
    refused 1 "lies on 500 layers" "$LAY" export changed
    "$LAY" rm changed >/dev/null
    refused 125 "501 layers" "$LAY" run --rm --network none many:501 true
    refused 125 "500 layers, and with one more" "$LAY" run --rm --network none many:implied-500 true
  done
}
