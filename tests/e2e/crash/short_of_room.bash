# What brings something into a store that has no room for it.

# make_sources: the same 8 MB that nobody can compress as an upper, a tar, an archive and an image of a registry.
make_sources() {
  local LAY_ROOT=$world/root2
  mkdir upper
  head -c 8000000 /dev/urandom >upper/large
  tar -C upper -cf large.tar .
  small_image
  "$LAY" commit -q ./upper large:1 --base small >/dev/null 2>&1
  "$LAY" save -q -o small.docker small
  "$LAY" save -q -o large.docker large:1
  "$LAY" save -q --format oci-archive -o large.oci large:1
  start_registry "$world/registry"
  "$LAY" push -q large:1 "$registry/large:1" >/dev/null
}

# each_source CHECK: `CHECK IMAGE COMMAND...` for every command that makes an image of what make_sources made.
each_source() {
  local check=$1 failed=
  "$LAY" load -q -i small.docker # so that a pull brings no layer that would fit
  "$check" new:1 "$LAY" commit -q ./upper new:1 --base small || failed=1
  "$check" new:1 "$LAY" commit -q ./upper new:1 --base small --compression none || failed=1
  "$check" new:1 "$LAY" import -q large.tar new:1 || failed=1
  LAY_LAYER_FORM=tree "$check" new:1 "$LAY" import -q large.tar new:1 || failed=1
  "$check" large:1 "$LAY" load -q -i large.docker || failed=1
  "$check" large:1 "$LAY" load -q -i large.oci || failed=1
  "$check" "$registry/large:1" "$LAY" pull -q "$registry/large:1" || failed=1
  [ -z "$failed" ]
}

# fails_whole MESSAGE GIVE_ROOM IMAGE COMMAND...: the command, which would make IMAGE, fails with the message and leaves
# the store as it was; it succeeds after GIVE_ROOM.
fails_whole() {
  local message=$1 give_room=$2 image=$3 before
  shift 3
  before=$(store_state)
  refused 1 "$message" "$@" || return 1
  has "$(<refused.err)" "$world/disk/" || return 1
  diff <(echo "$before") <(store_state) || { echo "the store is not as it was: $*"; return 1; }
  [ -z "$(ls "$LAY_ROOT/ingest")" ] || { echo "left under ingest/: $*"; return 1; }
  "$LAY" fsck -q >/dev/null || return 1
  $give_room
  "$@" >/dev/null 2>&1 || return 1
  "$LAY" inspect "$image" >/dev/null || return 1
  "$LAY" rmi "$image" >/dev/null
}
