#!/usr/bin/env bats
# What podman's users know of commit: --squash, --format and --include-volumes; podman, skopeo and the kernel judge.

load ../support/world

setup() { open_world; }
teardown() { leave_world; }

podman_() {
  podman --root "$world/podman" --runroot "$world/podman-run" --storage-driver vfs --runtime runc \
    --cgroup-manager cgroupfs --events-backend file "$@"
}

# changed_container: c, of an image of two layers, which has changed, added and removed.
changed_container() {
  small_image small
  "$LAY" run --name first --network none small sh -c 'echo one >/one; mkdir /kept /gone; echo x >/gone/x; ln /one /linked'
  "$LAY" commit -q first two:1 --label stays=yes >/dev/null
  "$LAY" run --name c --network none two:1 sh -c 'rm -r /gone /etc/group; echo more >>/one; touch /kept/new; chmod 4711 /kept/new'
}

# layers_of IMAGE, types_of IMAGE
layers_of() { "$LAY" inspect "$1" | jq -r '.[0].RootFS.Layers | length'; }
types_of() {
  skopeo inspect --tls-verify=false --raw "$1" | jq -r '.mediaType, .config.mediaType, .layers[].mediaType' | sort -u | tr '\n' ' '
}

# The two are of two runs.
timeless() { sed -E 's/\t[0-9]{10}\t/\t/'; }

@test "commit --squash makes one layer of the whole root, whose tree is that of all layers, in both forms" {
  for form in erofs tree; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    changed_container
    "$LAY" commit -q c layered:1 >/dev/null
    "$LAY" commit -q --squash c squashed:1 >/dev/null
    "$LAY" commit -q -s c again:1 >/dev/null
    [ "$(layers_of layered:1)" = 3 ]
    [ "$(layers_of squashed:1)" = 1 ]
    [ "$("$LAY" history --format '{{.CreatedBy}}' squashed:1)" = "lay commit" ]
    [ "$("$LAY" inspect -f '{{.Config.Labels.stays}}' squashed:1)" = yes ]
    mkdir "$form-layered" "$form-squashed"
    "$LAY" export layered:1 | tar -C "$form-layered" --xattrs --xattrs-include='*' -xp
    "$LAY" export squashed:1 | tar -C "$form-squashed" --xattrs --xattrs-include='*' -xp
    diff <(tree_of "$form-layered") <(tree_of "$form-squashed")
    [ -z "$("$LAY" diff layered:1 squashed:1)" ]
    [ "$("$LAY" inspect -f '{{.Digest}}' squashed:1)" = "$("$LAY" inspect -f '{{.Digest}}' again:1)" ]
    "$LAY" rm first c >/dev/null
    "$LAY" rmi -f small two:1 layered:1 again:1 >/dev/null
    [ "$("$LAY" run --rm --network none squashed:1 cat /one)" = $'one\nmore' ]
    "$LAY" fsck >/dev/null
  done
  diff <(tree_of erofs-squashed | timeless) <(tree_of tree-squashed | timeless)
}

@test "commit --squash of a running container, of a bundle and of foreign uppers of either notation is the same root" {
  changed_container
  "$LAY" run -d --name live --network none two:1 sh -c 'rm -r /gone; echo more >>/one; touch /ready; sleep 100' >/dev/null
  wait_until 10 test -e "$LAY_ROOT/containers/$("$LAY" inspect -f '{{.Id}}' live)/upper/ready"
  "$LAY" commit -q -s live live:1 >/dev/null
  run "$LAY" run --rm --network none live:1 sh -c 'cat /one; ls -d /gone'
  has "$output" $'one\nmore'
  has "$output" "No such file"

  "$LAY" bundle two:1 made >/dev/null
  rm -r made/rootfs/gone
  "$LAY" commit -q --bundle made plain:1 >/dev/null
  "$LAY" commit -q -s --bundle made bundled:1 >/dev/null
  [ "$(layers_of bundled:1)" = 1 ]
  [ -z "$("$LAY" diff plain:1 bundled:1)" ]

  mkdir lower upper work merged
  "$LAY" export two:1 | tar -C lower -xp
  for option in userxattr redirect_dir=on,metacopy=on; do
    rm -rf upper work && mkdir upper work
    mount -t overlay overlay -o "lowerdir=lower,upperdir=upper,workdir=work,index=off,$option" merged
    mkdir merged/kept/deep
    rm -r merged/gone && mkdir merged/gone && echo new >merged/gone/y
    chmod 600 merged/one
    [[ $option == userxattr ]] || mv merged/kept merged/moved
    tree_of merged >expected
    umount merged
    "$LAY" commit -q -s ./upper other:1 --base two:1 >/dev/null
    [ "$(layers_of other:1)" = 1 ]
    rm -rf got && mkdir got
    "$LAY" export other:1 | tar -C got -xp
    diff expected <(tree_of got)
  done
  setfattr -n trusted.overlay.origin -v 0x00 upper # as with index=on, whose index lies in a work folder elsewhere
  run "$LAY" commit -q -s ./upper other:1 --base two:1
  has "$output" "put the work folder beside the upper"
  [ "$(ls "$LAY_ROOT/ingest" | grep -cv '^spare')" = 0 ]
}

@test "commit --format docker makes a manifest of Docker's that is pushed, saved, read by podman and skopeo, and run" {
  changed_container # its layers are zstd, which no Docker manifest lists
  "$LAY" commit -f docker c dock:1 >/dev/null 2>said
  grep -q 'compressed' said
  "$LAY" commit -f docker c same:1 >/dev/null 2>said
  ! grep -q 'compressed' said || return 1 # what is there already is taken
  [ "$("$LAY" inspect -f '{{.Digest}}' same:1)" = "$("$LAY" inspect -f '{{.Digest}}' dock:1)" ]
  "$LAY" commit -q -f docker -s --compression none c plain:1 >/dev/null
  "$LAY" commit -q -f oci c oci:1 >/dev/null
  start_registry "$world/registry"
  for tag in dock plain oci; do "$LAY" push "$tag:1" "$registry/$tag:1" >/dev/null; done
  local docker=application/vnd.docker
  [ "$(types_of "docker://$registry/dock:1")" = \
    "$docker.container.image.v1+json $docker.distribution.manifest.v2+json $docker.image.rootfs.diff.tar.gzip " ]
  for tag in dock plain; do
    run podman_ run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --tls-verify=false "$registry/$tag:1" cat /one
    has "$output" $'one\nmore'
    [ "$status" -eq 0 ]
    "$LAY" save -q "$tag:1" -o "$tag.tar"
    podman_ load -q -i "$tag.tar"
    "$LAY" save -q --format oci-archive "$tag:1" -o "$tag.oci.tar"
    skopeo copy -q "oci-archive:$tag.oci.tar" "oci:layout:$tag"
    skopeo copy -q --src-tls-verify=false "docker://$registry/$tag:1" "dir:dir-$tag"
    LAY_ROOT=$world/root2 "$LAY" pull -q "$registry/$tag:1"
    [ "$(LAY_ROOT=$world/root2 "$LAY" inspect -f '{{.Digest}}' "$registry/$tag:1")" = "$("$LAY" inspect -f '{{.Digest}}' "$tag:1")" ]
    [ -z "$("$LAY" diff oci:1 "$tag:1")" ]
  done
  "$LAY" run --name onward --network none dock:1 sh -c 'echo on >/on'
  "$LAY" commit -q onward back:1 >/dev/null
  [ "$("$LAY" inspect back:1 | jq -r '.[0].RootFS.Layers | length')" = 4 ]
  [ "$("$LAY" run --rm --network none back:1 cat /on)" = on ]
  "$LAY" fsck >/dev/null
}

@test "an impossible --format, zstd for Docker, and volumes of a folder are refused, and no store is made" {
  refused 1 "expected oci or docker" "$LAY" commit c x:1 -f v2s1
  mkdir upper
  refused 1 "no zstd layers" "$LAY" commit ./upper x:1 -f docker --compression zstd
  refused 1 "--include-volumes goes with a container" "$LAY" commit ./upper x:1 --include-volumes
  [ ! -e "$LAY_ROOT" ]
}

@test "commit --include-volumes declares the container's volumes, as podman's does, and takes nothing of them" {
  small_image
  mkdir data
  echo secret >data/inside
  "$LAY" run --name c --network none -v "$world/data:/srv" -v "$world/data:/var/lib/x:ro" --tmpfs /scratch small touch /srv/more
  "$LAY" commit -q --include-volumes c with:1 >/dev/null
  "$LAY" commit -q c without:1 >/dev/null
  [ "$("$LAY" inspect with:1 | jq -c '.[0].Config.Volumes')" = '{"/srv":{},"/var/lib/x":{}}' ]
  [ "$("$LAY" inspect without:1 | jq -c '.[0].Config.Volumes')" = null ]
  ! "$LAY" export with:1 | tar -t | grep -q inside || return 1
}
