# Sourced by the scripts beside it that make an overlay upper by installing packages on top of the Debian base. They
# call `installed_upper` with their own arguments, and are themselves what it runs in namespaces; `packages` says what,
# `afterwards` what is done then in the upper.
source "$(dirname "${BASH_SOURCE[0]}")/cache.bash"
inputs=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# In mount and pid namespaces of its own: mounts and stray processes end with it.
install_in_overlay() {
  local folder=$1
  mount -t overlay overlay -o redirect_dir=off,metacopy=off \
    -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
  mount -t proc proc "$folder/merged/proc"
  mount --bind /etc/resolv.conf "$folder/merged/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$folder/merged/usr/sbin/policy-rc.d" # no service starts when it is installed
  chmod 755 "$folder/merged/usr/sbin/policy-rc.d"
  chroot "$folder/merged" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    sh -ec 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"' sh "${packages[@]}"
  chroot "$folder/merged" sh -ec "${afterwards-}"
  rm "$folder/merged/usr/sbin/policy-rc.d"
}

make_upper() {
  local folder=$1 base
  base=$("$inputs/debian-base.sh")
  mkdir "$folder/upper" "$folder/work" "$folder/merged"
  ln -s "$base/rootfs" "$folder/lower"
  echo "$(basename "$0" .sh): installing ${packages[*]}"
  unshare --mount --pid --fork --kill-child "$0" --inside "$folder" >"$folder/install.log" 2>&1 ||
    { tail -n 20 "$folder/install.log"; return 1; }
  rm -rf --one-file-system "$folder/work" "$folder/merged"
}

# installed_upper [--inside FOLDER]: prints the folder that holds upper/, with `packages` installed, and lower, a link
# to the base's rootfs.
installed_upper() {
  if [[ ${1-} == --inside ]]; then
    install_in_overlay "$2"
  else
    cached "$(basename "$0" .sh)" make_upper "$0" "${BASH_SOURCE[0]}" "$inputs/debian-base.sh"
  fi
}
