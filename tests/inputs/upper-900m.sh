#!/usr/bin/env bash
# Makes an overlay upper of about 900 MB and 29,000 files once, by installing packages on top of the Debian base,
# and prints the folder that holds it: upper/, and lower, a link to the base's rootfs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/cache.bash"
packages=(build-essential python3-numpy nodejs git linux-headers-amd64)

# Runs in mount and pid namespaces of its own: mounts and stray processes end with it.
install_in_overlay() {
  local folder=$1
  mount -t overlay overlay -o redirect_dir=off,metacopy=off \
    -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
  mount -t proc proc "$folder/merged/proc"
  mount --bind /etc/resolv.conf "$folder/merged/etc/resolv.conf"
  chroot "$folder/merged" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    sh -ec 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' sh "${packages[@]}"
}

make_upper() {
  local folder=$1 base
  base=$("$here/debian-base.sh")
  mkdir "$folder/upper" "$folder/work" "$folder/merged"
  ln -s "$base/rootfs" "$folder/lower"
  echo "upper-900m: installing ${packages[*]}"
  unshare --mount --pid --fork --kill-child "${BASH_SOURCE[0]}" --inside "$folder" >"$folder/install.log" 2>&1 ||
    { tail -n 20 "$folder/install.log"; return 1; }
  rm -rf --one-file-system "$folder/work" "$folder/merged"
}

if [[ ${1-} == --inside ]]; then
  install_in_overlay "$2"
else
  cached upper-900m make_upper "${BASH_SOURCE[0]}" "$here/debian-base.sh"
fi
