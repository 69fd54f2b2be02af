# Sourced by the scripts beside it: an input is made once, in a folder of build/cache that a hash of its
# recipe names, and appears there whole or not at all.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${LAY_CACHE:-$repo/build/cache}

# cached NAME MAKER RECIPE...: prints the folder of input NAME; when it is not there yet, `MAKER FOLDER` fills
# it first. RECIPE are the files whose bytes decide what the input is.
cached() {
  local name=$1 maker=$2 key folder
  shift 2
  key=$(cat "$@" | sha256sum | cut -c1-12)
  folder=$cache/$name-$key
  if [[ ! -d $folder ]]; then
    ((EUID == 0)) || { echo "$name: making this input needs root" >&2; return 1; }
    mkdir -p "$cache"
    exec {lock}>"$cache/$name.lock"
    flock "$lock"
    if [[ ! -d $folder ]]; then
      rm -rf --one-file-system "$cache/$name"-*.part
      mkdir "$folder.part"
      "$maker" "$folder.part" >&2 {lock}>&-
      mv -T "$folder.part" "$folder"
    fi
    exec {lock}>&-
  fi
  printf '%s\n' "$folder"
}
