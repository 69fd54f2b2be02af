#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs and the machine lacks; at once done when none is missing.
#   tests/install-packages.sh build|example|test|fuzz|bench...
set -euo pipefail

packages_for() {
  case $1 in
    build) echo g++ musl-tools cmake ninja-build ccache pkg-config libarchive-dev liblzma-dev libbz2-dev libssl-dev nlohmann-json3-dev \
      libcurl4-openssl-dev libcurl4 libzstd-dev libisal-dev libisal2 zlib1g-dev catch2 libcli11-dev libfmt-dev libseccomp-dev libseccomp2 \
      libmnl-dev libnftnl-dev libmicrohttpd-dev libcrypt-dev libtomlplusplus-dev libpsl-dev libpsl5 ca-certificates ;;
    example) echo debootstrap debian-archive-keyring docker-registry curl tar ;;
    test) echo debootstrap debian-archive-keyring docker-registry curl tar clang-format clang-tidy skopeo umoci \
      podman buildah runc crun runsc docker-compose python3-yaml conmon netavark bats jq strace libarchive-tools attr acl libcap2-bin nftables \
      iproute2 iptables apache2-utils hyperfine busybox-static procps psmisc util-linux python3 zstd gzip openssl \
      time git golang-1.19-src libpython3.11-testsuite docker.io containerd catatonit bindfs fuse-overlayfs e2fsprogs xfsprogs btrfs-progs qemu-system-x86 apparmor secilc ;;
    fuzz) echo clang-14 libclang-rt-14-dev ;;
    bench) packages_for test && echo bubblewrap pigz isal ;;
    *) echo "install-packages: unknown purpose '$1', expected build, example, test, fuzz or bench" >&2; return 2 ;;
  esac
}

# The names among "$@" that are not installed, one a line.
missing_of() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# Daemons among the packages (docker-registry, docker.io) are started by their users here, never by the
# installation. Where systemd would start them, it is hidden from apt in a mount namespace of apt's own.
apt_install() {
  local apt=(apt-get install -y -qq --no-install-recommends "$@")
  export DEBIAN_FRONTEND=noninteractive
  if [[ -d /run/systemd/system && ! -x /usr/sbin/policy-rc.d ]]; then
    RUNLEVEL=1 unshare --mount sh -c 'mount -t tmpfs none /run/systemd && exec "$@"' sh "${apt[@]}" >&2
  else
    "${apt[@]}" >&2
  fi
}

main() {
  (($# > 0)) || { echo "usage: $0 build|example|test|fuzz|bench..." >&2; exit 2; }
  local purpose wanted=() names
  for purpose in "$@"; do
    names=$(packages_for "$purpose")
    read -r -d '' -a names <<<"$names" || true
    wanted+=("${names[@]}")
  done
  local missing
  mapfile -t missing < <(missing_of "${wanted[@]}")
  ((${#missing[@]} > 0)) || return 0
  if ((EUID != 0)); then
    echo "install-packages: not root, cannot install: ${missing[*]}" >&2
    echo "hint: run this as root, or install them with apt-get" >&2
    return 1
  fi
  echo "install-packages: installing ${missing[*]}" >&2
  # Package lists are fetched only when apt does not know a package or its version is gone from the mirror.
  apt_install "${missing[@]}" || { apt-get update -qq >&2 && apt_install "${missing[@]}"; }
}

main "$@"
