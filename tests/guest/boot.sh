#!/usr/bin/env bash
# Boots the guest machine, a kernel of Debian 12 with cgroup v2 alone, under TCG (no KVM is needed), and prints what its
# console says. boot.sh LAY [CHECK...]: LAY is the program under test; without CHECKs all that are here are run, but
# selinux: with LAY_GUEST_SECURITY=selinux the kernel has that, which only warns, instead of AppArmor. With
# LAY_GUEST_CGROUPS=v1 it has cgroup v1 alone, and the checks for that are run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lay=$(realpath "$1")
shift
kernel=$("$here/../inputs/guest-kernel.sh")
scratch=$(mktemp -d /var/tmp/lay-guest.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

# take PROGRAM: it and every library it is linked with, at its own path.
take() {
  cp "$1" bin/
  ldd "$1" | grep -o '/[^ ]*\.so[^ ]*' | while read -r library; do
    mkdir -p ".$(dirname "$library")"
    cp -L "$library" ".$library"
  done
}

mkdir -p "$scratch/root"/{bin,guest} && cd "$scratch/root"
cp /bin/busybox bin/busybox
take "$lay"
ln -s lay bin/lay-oci
for peer in crun runc jq; do take "$(command -v $peer)"; done
cp -a "$kernel/modules/." .
cp "$here/init" init
cp "$here"/{checks,resources,groups,v1}.sh guest/
apparmor_parser --skip-kernel-load --skip-cache --stdout "$here/apparmor.profile" >guest/apparmor 2>/dev/null
secilc -M false -o guest/selinux -f /dev/null "$here/selinux.cil"
echo "$*" >guest/wanted
find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >"$scratch/initrd"

cd /
timeout 360 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
  -kernel "$kernel/vmlinuz" -initrd "$scratch/initrd" \
  -append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off random.trust_cpu=on security=${LAY_GUEST_SECURITY:-apparmor} cgroups=${LAY_GUEST_CGROUPS:-v2}" </dev/null | tr -d '\r'
