#!/usr/bin/env bash
# The whole story without a terminal: configure Apache by hand in a container, commit it, push it to a registry, pull
# it on "another machine" (a second root), run it there with limits, and print the page it serves.
#
#     examples/takeaway.sh [--docker-registry]
#
# The registry is `lay serve` on a third root, or Debian's docker-registry.
# Needs root; installs the Debian packages that are missing and builds lay first. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/inputs/registry.bash

say() { printf '\n== %s\n' "$*"; }

# The tail of a failed step's output, then its name: the one line to read.
quietly() {
  local what=$1 log=$work/step.log
  shift
  "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; echo "takeaway: $what failed" >&2; return 1; }
}

here() { "$lay" --root "$work/here" "$@"; }
there() { "$lay" --root "$work/there" "$@"; }

# Sets registry, as start_registry does.
serve() {
  "$lay" --root "$work/served" serve --listen 127.0.0.1:0 >"$work/url" 2>"$work/serve.log" &
  registry_pid=$!
  wait_until 10 test -s "$work/url" || { tail -n 5 "$work/serve.log" >&2; return 1; }
  registry=localhost:$(sed 's/.*://' "$work/url")
}

clean_up() {
  local status=$?
  set +e
  if [[ -x ${lay-} ]]; then
    here rm -f web >/dev/null 2>&1
    there rm -f web >/dev/null 2>&1
  fi
  stop_registry
  wait_until 10 layers_unmounted "$work/run"
  rm -rf --one-file-system "$work"
  ((status == 0)) || echo "takeaway: stopped with status $status" >&2
  exit "$status"
}

build_lay() {
  tests/install-packages.sh build example
  mkdir -p build
  quietly "cmake" cmake --preset release
  if [[ -t 1 ]]; then  # minutes the first time: who watches sees ninja count
    cmake --build --preset release --target lay
  else
    quietly "the build" cmake --build --preset release --target lay
  fi
  lay=$PWD/build/release/lay
}

# An upper that lay did not make: an overlay mounted by hand, one file written and one removed.
make_upper_by_hand() {
  mkdir "$work"/{upper,work,merged}
  unshare --mount sh -ec '
    mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/merged"
    echo "configured by hand" >"$2/merged/by-hand"
    rm "$2/merged/etc/issue"' sh "$base/rootfs" "$work"
}

case $*:$# in
  :0) start=serve ;;
  --docker-registry:1) start=start_registry ;;
  *) echo "usage: examples/takeaway.sh [--docker-registry]" >&2; exit 1 ;;
esac
((EUID == 0)) || { echo "takeaway: run this as root: it makes mounts, cgroups and network links" >&2; exit 1; }
work=$(mktemp -d /var/tmp/lay-takeaway.XXXXXX)
trap clean_up EXIT
export LAY_RUN=$work/run

say "Installing what is missing and building lay"
build_lay

say "Making the Debian base (debootstrap, kept in build/cache) and starting a registry on loopback"
base=$(tests/inputs/debian-base.sh)
"$start" "$work/registry"
echo "registry: $registry"

say "lay import: the base becomes an image"
here import "$base/rootfs.tar" debian:12

say "lay run: configuring a web server by hand"
here run -i --name web debian:12 bash -e <<'INSIDE'
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq apache2 >/dev/null 2>&1
echo hello >/logo
echo '<h1>Configured by hand, taken away with lay</h1>' >/var/www/html/index.html
INSIDE

say "lay commit: what changed becomes a layer"
here commit web myapp:1 --cmd 'apachectl -DFOREGROUND' --expose 80
make_upper_by_hand
here commit "$work/upper" myapp:2 --base debian:12
here run --rm --network none myapp:2 cat /by-hand
here images

say "lay push"
here push myapp:1 "$registry/team/myapp:1"

say "lay pull and run on the other root, with limits"
port=$(free_port)
there pull "$registry/team/myapp:1"
there run -d --name web -p "$port:80" --memory 256m --cpus 1 --pids-limit 100 "$registry/team/myapp:1"
wait_until 20 curl -fsS "http://127.0.0.1:$port/" || { there logs web >&2; exit 1; }
there exec web cat /logo
there ps
page=$(curl -fsS "http://127.0.0.1:$port/")
there stop web
there logs web
there rm web

say "The page that Apache served on the second root"
printf '%s\n' "$page"
