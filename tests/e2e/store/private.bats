#!/usr/bin/env bats
# What lay keeps is nobody else's: its folders, set-user-ID programs in layers, and where it makes its files.

load ../support/world

setup() {
  open_world
  chmod 755 "$world"
}
teardown() {
  [[ -z ${server_pid-} ]] || kill "$server_pid" || true
  close_world
}

# as_nobody COMMAND...: setpriv itself still has capabilities when it looks for the command; what env runs has none.
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all env "$@"; }

# kept_from_nobody FOLDER...: nothing in them can be listed, and no program below them be run.
kept_from_nobody() {
  local folder program
  for folder in "$@"; do
    run as_nobody ls "$folder"
    [[ $status -ne 0 && $output == *"Permission denied"* ]] || { echo "$folder can be listed: $output"; return 1; }
    for program in $(find "$folder" -path '*bin/suid'); do
      run as_nobody "$program"
      [[ $status -ne 0 && $output == *"Permission denied"* ]] || { echo "$program can be run: $output"; return 1; }
    done
  done
}

# suid_image NAME: imports one of small with a set-user-ID program, as a tar.
suid_image() {
  [[ -d small ]] || {
    make_small_root
    cp /bin/busybox small/bin/suid
    chmod 4755 small/bin/suid
    tar -C small -cf suid.tar .
  }
  "$LAY" import -q suid.tar "$1" >/dev/null
}

@test "M04: store, run folder and bundles are kept from others under any umask, in either form" {
  local mask form
  suid_image first:1
  start_registry "$world/registry"
  "$LAY" push -q first:1 "$registry/first:1" >/dev/null
  "$LAY" save -q -o archive first:1
  for mask in 000 ${LAY_TESTS_LONG:+022 077}; do
    for form in erofs tree; do
      (
        umask "$mask"
        export LAY_ROOT=$world/root-$mask-$form LAY_RUN=$world/run-$mask-$form LAY_LAYER_FORM=$form
        suid_image suid:1
        "$LAY" load -q -i archive >/dev/null
        "$LAY" pull -q "$registry/first:1" >/dev/null
        "$LAY" run -d --name c --network none suid:1 sleep 100 >/dev/null
        "$LAY" commit -q c again:1 >/dev/null
        "$LAY" bundle suid:1 "$world/bundle-$mask-$form" sleep 100 >/dev/null
        [ -n "$(find "$LAY_ROOT" "$LAY_RUN" "$world/bundle-$mask-$form" -path '*bin/suid')" ]
        kept_from_nobody "$LAY_ROOT" "$LAY_RUN" "$world/bundle-$mask-$form"
        open=$(find "$LAY_ROOT" "$LAY_RUN" -maxdepth 1 -perm /077; find "$LAY_ROOT/blobs" "$LAY_ROOT/ingest" -perm /077)
        [ -z "$open" ] || { ls -ld $open; exit 1; }
        "$LAY" rm -f c >/dev/null
      ) || return 1
    done
  done
}

@test "M04: in folders that others made readable lay keeps its own from them" {
  export LAY_LAYER_FORM=tree
  mkdir -m 755 "$LAY_ROOT" "$LAY_RUN"
  suid_image suid:1
  "$LAY" run -d --name c --network none suid:1 sleep 100 >/dev/null
  kept_from_nobody "$LAY_ROOT"/{blobs,layers,containers,ingest} "$LAY_RUN"/*/
}

# paths_of COMMAND...: into the file paths, what its processes name to the kernel.
paths_of() {
  strace -f -qq -y -s 4096 -e trace=%file -o paths "$@" >/dev/null 2>&1 || { echo "failed: $*"; return 1; }
}

@test "S07: nothing is made in TMPDIR, /tmp or /var/tmp, and no link that waits there is followed" {
  mkdir -m 1777 waiting
  ln -s "$world/canary" waiting/lay
  export TMPDIR=$world/waiting TMP=$world/waiting TEMP=$world/waiting
  make_small_root
  tar -C small -czf small.tar.gz .
  tar -C small -cJf small.tar.xz .
  start_registry "$world/registry"
  mkdir upper made
  echo x >upper/file
  local form command tried=0 forms=(erofs)
  [[ -z ${LAY_TESTS_LONG-} ]] || forms+=(tree)
  for form in "${forms[@]}"; do
    export LAY_ROOT=$world/root-$form LAY_LAYER_FORM=$form
    while read -r command; do
      paths_of $command || return 1
      tried=$((tried + 1))
      # What the container names is its own affair: none of these commands starts a program there that names anything.
      ! grep -v " execve(" paths | grep -E "\"(/tmp|/var/tmp)/|$world/waiting" | grep -vE "\"$world(\"|/(root|run|made|small|upper))" || return 1
    done <<TXT
$LAY import -q $world/small.tar.gz a:1
$LAY import -q $world/small.tar.xz b:1
$LAY import -q $world/small c:1
$LAY commit -q $world/upper d:1 --base a:1
$LAY push -q d:1 $registry/d:1
$LAY rmi -f d:1
$LAY pull -q $registry/d:1
$LAY save -q -o $world/made/one a:1
$LAY save -q --format oci-archive -o $world/made/two a:1
$LAY load -q -i $world/made/one
$LAY load -q -i $world/made/two
$LAY export -o $world/made/three a:1
$LAY diff a:1 b:1
$LAY run --rm --network none a:1 true
$LAY run --name kept --network none a:1 true
$LAY bundle a:1 $world/made/bundle-$form true
$LAY fsck -q --repair
$LAY prune -f -a
TXT
  done
  [ "$tried" = $((18 * ${#forms[@]})) ]
  [ "$(ls -A waiting)" = lay ]
  [ ! -e canary ]
}

@test "S07: an output is made under a name that nobody can guess, and only where no file is" {
  make_small_root
  "$LAY" import -q small a:1 >/dev/null
  mkdir -m 1777 out
  local verb names=()
  for verb in "save -q" "save -q --format oci-archive" export; do
    for _ in 1 2; do
      strace -f -qq -e trace=openat,openat2,open,creat -o made "$LAY" $verb -o out/file a:1
      run grep -E '"[^"]*\.file\.[^"]*".*O_CREAT' made
      [ "${#lines[@]}" = 1 ]
      [[ ${lines[0]} == *O_EXCL* && ${lines[0]} == *O_NOFOLLOW* ]] || { echo "${lines[0]}"; return 1; }
      names+=("$(grep -oE '\.file\.[0-9a-f]*' <<<"${lines[0]}")")
    done
  done
  [ "$(printf '%s\n' "${names[@]}" | sort -u | wc -l)" = 6 ]
  ((${#names[0]} >= 6 + 16))
  ! grep -E 'out/file".*O_(TRUNC|CREAT)' made || return 1
}
