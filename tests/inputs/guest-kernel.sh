#!/usr/bin/env bash
# Makes the kernel of the guest machine once and prints the folder that holds it: vmlinuz, and modules/ for an
# initramfs. It is Debian's cloud kernel, whose package is unpacked and never installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/cache.bash"

# The package that the newest cloud kernel is in: what the metapackage depends on.
kernel_package() {
  apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ {print $2; exit}'
}

# What a container needs of the kernel, and disks in memory.
wanted_modules() {
  (cd "$1" && find kernel/fs/overlayfs kernel/fs/configfs kernel/drivers/block/null_blk kernel/drivers/block/zram kernel/net/bridge \
    kernel/net/netfilter kernel/net/ipv4/netfilter kernel/net/ipv6/netfilter kernel/net/802 kernel/net/llc kernel/mm \
    kernel/lib kernel/crypto kernel/drivers/net/veth.ko kernel/drivers/net/macvlan.ko kernel/block/bfq.ko -name '*.ko')
}

make_kernel() {
  local folder=$1 package version modules
  package=$(kernel_package)
  [[ -n $package ]] || { apt-get update -qq && package=$(kernel_package); }
  [[ -n $package ]] || { echo "guest-kernel: apt knows no linux-image-cloud-amd64"; return 1; }
  (cd "$folder" && apt-get download -qq -o APT::Sandbox::User=root "$package")
  dpkg-deb -x "$folder"/*.deb "$folder/all"
  version=$(basename "$folder"/all/lib/modules/*)
  modules=modules/lib/modules/$version
  mkdir -p "$folder/$modules"
  wanted_modules "$folder/all/lib/modules/$version" |
    tar -C "$folder/all/lib/modules/$version" -cf - -T - | tar -C "$folder/$modules" -xf -
  busybox depmod -b "$folder/modules" "$version"
  mv "$folder"/all/boot/vmlinuz-* "$folder/vmlinuz"
  rm -rf "$folder/all" "$folder"/*.deb
}

cached guest-kernel make_kernel "${BASH_SOURCE[0]}"
