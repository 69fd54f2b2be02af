#!/usr/bin/env bash
# Makes the image that the bench pushes and pulls once, by buildah, and prints the folder of its OCI layout: tag
# `base` is the Debian base, tag `image` has the 900 MB upper on top; both layers are gzip.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
inputs=$here/../tests/inputs
source "$inputs/cache.bash"

build_in_namespace() {
  local folder=$1 base upper container mounted store
  base=$("$inputs/debian-base.sh")
  upper=$("$inputs/upper-900m.sh")
  mount -t tmpfs tmpfs /run && mkdir /run/lock
  store=(--root "$folder/storage" --runroot /run/storage --storage-driver overlay)
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" add --quiet "$container" "$base/rootfs.tar" /
  buildah "${store[@]}" commit --quiet --rm "$container" base
  container=$(buildah "${store[@]}" from localhost/base)
  mounted=$(buildah "${store[@]}" mount "$container")
  "$here/apply_upper.py" "$upper/upper" "$mounted"
  buildah "${store[@]}" commit --quiet "$container" image
  for name in base image; do
    buildah "${store[@]}" push --quiet "localhost/$name" "oci:$folder/oci:$name"
  done
}

make_image() {
  echo "bench-image: building with buildah"
  unshare --mount --pid --fork --kill-child --mount-proc "${BASH_SOURCE[0]}" --inside "$1" >"$1/build.log" 2>&1 ||
    { tail -n 20 "$1/build.log"; return 1; }
  rm -rf --one-file-system "$1/storage"
}

if [[ ${1-} == --inside ]]; then
  build_in_namespace "$2"
else
  cached bench-image make_image "${BASH_SOURCE[0]}" "$here/apply_upper.py" "$inputs"/{debian-base.sh,upper-900m.sh,upper.bash}
fi
