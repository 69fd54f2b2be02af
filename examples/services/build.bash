# Sourced by the scripts beside it. LAY is the program, "lay" of the PATH by default.
lay=${LAY:-lay}

# configure BASE NAME: runs standard input, a bash script, in a new container of BASE. `install_missing PACKAGE...` in it
# asks apt for what BASE has not yet.
configure() {
  (($# == 2)) || { echo "usage: $0 BASE NAME" >&2; return 2; }
  builder=build-$$
  trap '"$lay" rm -f "$builder" >/dev/null 2>&1' EXIT
  {
    cat <<'HEAD'
set -e
export DEBIAN_FRONTEND=noninteractive
install_missing() {
  dpkg-query -W "$@" >/dev/null 2>&1 || { apt-get update -qq; apt-get install -y -qq --no-install-recommends "$@"; } >&2
}
HEAD
    cat
  } | "$lay" run -i --name "$builder" "$1" bash
}

# capture BASE NAME FLAG...: commits what was configured.
capture() {
  local name=$2
  shift 2
  "$lay" commit "$builder" "$name" "$@"
}
