#!/usr/bin/env bash
# Makes a Debian 12 base once and prints the folder that holds it: rootfs/ (debootstrap's minbase) and rootfs.tar.
# Its apt uses the sources and options of this machine, so that what runs in it can install packages too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/cache.bash"
suite=bookworm

# "URI SUITE COMPONENT", one a line, for every Debian source of the suite that this machine's apt reads.
machine_sources() {
  apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)' |
    awk -v suite="$suite" '$1 == "Packages" && $2 == "Debian" && index($4, suite) == 1 {print $3, $4, $5}' | sort -u
}

write_apt_configuration() {
  local rootfs=$1 sources=$2
  sed 's/^/deb /' <<<"$sources" >"$rootfs/etc/apt/sources.list"
  apt-config dump | grep -E '^Acquire::(Check-Date|Check-Valid-Until|Retries|Languages|https?::|ftp::)' \
    >"$rootfs/etc/apt/apt.conf.d/90machine" || true
}

make_base() {
  local folder=$1 sources mirror include=()
  "$repo/tests/install-packages.sh" example
  sources=$(machine_sources)
  [[ -n $sources ]] || { apt-get update -qq && sources=$(machine_sources); }
  mirror=$(awk -v suite="$suite" '$2 == suite && $3 == "main" {print $1; exit}' <<<"$sources")
  [[ -n $mirror ]] || { echo "debian-base: this machine's apt has no source for $suite main"; return 1; }
  [[ $sources != *https://* ]] || include=(--include=ca-certificates)
  echo "debian-base: debootstrap $suite"
  debootstrap --variant=minbase "${include[@]}" "$suite" "$folder/rootfs" "$mirror" >"$folder/debootstrap.log" ||
    { tail -n 20 "$folder/debootstrap.log"; return 1; }
  write_apt_configuration "$folder/rootfs" "$sources"
  tar --numeric-owner --xattrs --acls -C "$folder/rootfs" -cf "$folder/rootfs.tar" .
}

cached debian-base make_base "${BASH_SOURCE[0]}"
