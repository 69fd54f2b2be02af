#!/usr/bin/env bash
# Makes an overlay upper once with Apache, nginx, PostgreSQL and Redis installed on top of the Debian base, none of them
# started, and prints the folder that holds it: upper/, and lower, a link to the base's rootfs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/cache.bash"
packages=(apache2 nginx-light postgresql redis-server)

# Runs in mount and pid namespaces of its own: mounts and stray processes end with it.
install_in_overlay() {
  local folder=$1
  mount -t overlay overlay -o redirect_dir=off,metacopy=off \
    -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged"
  mount -t proc proc "$folder/merged/proc"
  mount --bind /etc/resolv.conf "$folder/merged/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$folder/merged/usr/sbin/policy-rc.d" # no service starts when it is installed
  chmod 755 "$folder/merged/usr/sbin/policy-rc.d"
  chroot "$folder/merged" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    sh -ec 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"
      apt-get clean && rm -rf /var/lib/apt/lists/*' sh "${packages[@]}"
  rm "$folder/merged/usr/sbin/policy-rc.d"
}

make_upper() {
  local folder=$1 base
  base=$("$here/debian-base.sh")
  mkdir "$folder/upper" "$folder/work" "$folder/merged"
  ln -s "$base/rootfs" "$folder/lower"
  echo "services-upper: installing ${packages[*]}"
  unshare --mount --pid --fork --kill-child "${BASH_SOURCE[0]}" --inside "$folder" >"$folder/install.log" 2>&1 ||
    { tail -n 20 "$folder/install.log"; return 1; }
  rm -rf --one-file-system "$folder/work" "$folder/merged"
}

if [[ ${1-} == --inside ]]; then
  install_in_overlay "$2"
else
  cached services-upper make_upper "${BASH_SOURCE[0]}" "$here/debian-base.sh"
fi
