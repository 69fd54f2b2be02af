#!/usr/bin/env bats
# lay copy from each transport to each, and to and from the files of others. Judges: skopeo reads what came out, and the tars
# of the layers are compared.

load ../support/world

setup() {
  open_world
  mkdir -p tree/etc
  head -c 300000 /dev/urandom >tree/etc/big
  echo small >tree/etc/small
  "$LAY" import tree app:1 --cmd '["/bin/true"]' >/dev/null
  mkdir upper
  echo more >upper/more
  "$LAY" commit -q ./upper app:1 --base app:1 >/dev/null
  digest=$("$LAY" inspect -f '{{.Digest}}' app:1)
  diff_ids=$("$LAY" inspect app:1 | jq -c '.[0].RootFS.Layers')
  start_registry "$world/registry"
  empty=0
}
teardown() { close_world; }

# at PLACE NAME: how copy calls it; `store` is the store of the command.
at() {
  case $1 in
    docker) echo "docker://$registry/$2:1" ;;
    oci) echo "oci:$2:1" ;;
    oci-archive) echo "oci-archive:$2.oci.tar:1" ;;
    docker-archive) echo "docker-archive:$2.docker.tar:$2:1" ;;
    store) echo "$2:1" ;;
  esac
}

# judged PLACE NAME: the diff_ids that skopeo sees there, and the digest where the transport keeps it.
judged() {
  local place
  place=$(at "$1" "$2")
  [[ $1 != store ]] || place=oci:$LAY_ROOT:$2:1
  skopeo inspect --tls-verify=false --config "$place" | jq -c .rootfs.diff_ids
  [[ $1 == docker-archive ]] || skopeo inspect --tls-verify=false --format '{{.Digest}}' "$place"
}

# tars_of PLACE NAME: the hash of each layer's tar, as skopeo unpacks them.
tars_of() {
  local place layer
  place=$(at "$1" "$2")
  [[ $1 != store ]] || place=oci:$LAY_ROOT:$2:1
  rm -rf --one-file-system taken
  skopeo copy -q --src-tls-verify=false "$place" dir:taken
  for layer in $(jq -r '.layers[].digest' taken/manifest.json); do
    case $(head -c 4 "taken/${layer#*:}" | od -An -tx1 | tr -d ' ') in
      1f8b*) gzip -dc ;;
      28b52ffd) zstd -dcq ;;
      *) cat ;;
    esac <"taken/${layer#*:}" | sha256sum | cut -d' ' -f1
  done | jq -R '"sha256:" + .' | jq -sc .
}

places=(docker oci oci-archive docker-archive store)

@test "an image is the same behind each of the twenty-five ways" {
  local from to name expected status
  for from in "${places[@]}"; do
    [[ $from == store ]] || "$LAY" copy -q app:1 "$(at "$from" "from-$from")" >/dev/null
    [[ $from != store ]] || "$LAY" tag app:1 from-store:1
    for to in "${places[@]}"; do
      name=$from-to-$to
      # into and out of a store that has nothing of it
      [[ $from == store ]] || export LAY_ROOT=$world/root$((++empty))
      "$LAY" copy -q "$(at "$from" "from-$from")" "$(at "$to" "$name")" >said 2>&1 || { echo "$name:"; cat said; return 1; }
      expected=$diff_ids
      [[ $to == docker-archive ]] || expected+=$'\n'$digest
      [ "$(judged "$to" "$name")" = "$expected" ] || { echo "$name: $(judged "$to" "$name"), expected $expected"; return 1; }
      [[ $to == docker-archive ]] || [ "$(tail -n 1 said)" = "$digest" ] || { echo "$name: it said"; cat said; return 1; }
      [[ $from != "$to" && -z ${LAY_TESTS_LONG-} ]] || [ "$(tars_of "$to" "$name")" = "$diff_ids" ] || { echo "$name: other tars"; return 1; }
      [[ ! -d $LAY_ROOT ]] || "$LAY" fsck -q || return 1
      export LAY_ROOT=$world/root
    done
  done
}

@test "what only passes through leaves nothing in the store" {
  local from to
  for from in docker oci oci-archive docker-archive; do "$LAY" copy -q app:1 "$(at "$from" "from-$from")" >/dev/null; done
  export LAY_ROOT=$world/root2
  for from in docker oci oci-archive docker-archive; do
    for to in docker oci oci-archive docker-archive; do
      "$LAY" copy -q "$(at "$from" "from-$from")" "$(at "$to" "through-$from")" >/dev/null
    done
  done
  [ -z "$("$LAY" images -q)" ]
  wait_until 10 eval '[ -z "$(find root2/blobs root2/layers root2/ingest -mindepth 2 2>/dev/null)" ]'
}

@test "what passes through takes nothing along that a name needs" {
  local from=docker://$registry/team/app:1
  "$LAY" copy -q app:1 "$from" >/dev/null
  export LAY_ROOT=$world/root2
  "$LAY" pull -q "${from#docker://}" >/dev/null
  "$LAY" copy -q "$from" "docker://$registry/other/app:1" >/dev/null
  "$LAY" copy -q "$from" oci:out:1 >/dev/null
  "$LAY" fsck -q
  [ "$("$LAY" inspect -f '{{.Digest}}' "${from#docker://}")" = "$digest" ]
  "$LAY" export "${from#docker://}" | tar -tf - | grep -q etc/big
}

# two_images: app:1 and other:2 in one archive of either kind and in a layout; sets other to the second's digest.
two_images() {
  echo other >tree/etc/small
  "$LAY" import tree other:2 >/dev/null
  other=$("$LAY" inspect -f '{{.Digest}}' other:2)
  "$LAY" save -o two.docker.tar app:1 other:2
  "$LAY" save --format oci-archive -o two.oci.tar app:1 other:2
  "$LAY" copy -q app:1 oci:two:app:1 >/dev/null
  "$LAY" copy -q other:2 oci:two:other:2 >/dev/null
}

@test "of several images each is taken by its name" {
  local from
  two_images
  for from in docker-archive:two.docker.tar oci-archive:two.oci.tar oci:two; do
    [ "$("$LAY" copy -q "$from:app:1" oci:named:a)" = "$digest" ]
    [ "$("$LAY" copy -q "$from:other:2" oci:named:b)" = "$other" ]
    ! "$LAY" copy -q "$from:absent:1" oci:none:x 2>/dev/null || return 1
    [ ! -e none ]
  done
}

@test "of several images none is taken without a choice, as by skopeo" {
  local from
  two_images
  for from in oci:two oci-archive:two.oci.tar docker-archive:two.docker.tar; do
    ! skopeo copy -q "$from" dir:theirs 2>/dev/null || return 1
    ! "$LAY" copy -q "$from" oci:none:x >/dev/null 2>&1 || { echo "$from: one was taken"; return 1; }
  done
}

@test "an image without a name is taken from a docker-archive by its number, as by skopeo" {
  local which
  two_images
  for which in 0 1; do
    skopeo copy -q "docker-archive:two.docker.tar:@$which" "oci:theirs:$which"
    "$LAY" copy -q "docker-archive:two.docker.tar:@$which" "oci:ours:$which" >/dev/null
    [ "$(skopeo inspect --config "oci:ours:$which" | jq -c .rootfs)" = "$(skopeo inspect --config "oci:theirs:$which" | jq -c .rootfs)" ]
  done
}

@test "files that podman and skopeo wrote are taken, and they take what lay wrote" {
  local podman=(podman --root "$world/storage" --runroot "$world/storage-run" --storage-driver vfs) kind
  "$LAY" save -o in.tar app:1
  "${podman[@]}" load -q -i in.tar >/dev/null
  "${podman[@]}" tag app:1 pod:1
  "${podman[@]}" save -q --format docker-archive -o pod.docker.tar pod:1
  "${podman[@]}" save -q --format oci-archive -o pod.oci.tar pod:1
  "${podman[@]}" save -q --format oci-dir -o pod pod:1
  export LAY_ROOT=$world/root2
  for kind in docker-archive:pod.docker.tar oci-archive:pod.oci.tar oci:pod; do
    "$LAY" copy -q "$kind" "back-${kind%%:*}:1" >/dev/null
    [ "$("$LAY" inspect "back-${kind%%:*}:1" | jq -c '.[0].RootFS.Layers')" = "$diff_ids" ]
  done
  for kind in docker-archive:mine.docker.tar:mine:1 oci-archive:mine.oci.tar:mine:1; do
    "$LAY" copy -q back-oci:1 "$kind" >/dev/null
    "${podman[@]}" rmi -af >/dev/null
    "${podman[@]}" load -q -i "mine.${kind%%-*}.tar" >said
    [ "$("${podman[@]}" inspect "$("${podman[@]}" images -q)" | jq -c '.[0].RootFS.Layers')" = "$diff_ids" ]
  done
}

@test "a copy that fails leaves no file behind, and the one that was there" {
  "$LAY" copy -q app:1 oci-archive:kept.tar:1 >/dev/null
  local before
  before=$(sha256sum kept.tar)
  local blob
  blob=$LAY_ROOT/blobs/$("$LAY" inspect app:1 | jq -r '.[0].Layers[0].digest' | tr : /)
  chmod u+w "$blob"
  printf XXXX | dd of="$blob" bs=1 seek=1000 conv=notrunc status=none
  local target
  for target in oci-archive:kept.tar:1 oci-archive:new.tar:1 oci:new:1 "docker://$registry/new:1"; do
    ! "$LAY" copy -q app:1 "$target" >/dev/null 2>&1 || { echo "$target: it was copied"; return 1; }
  done
  [ "$(sha256sum kept.tar)" = "$before" ]
  [ ! -e new.tar ]
  [ "$(status=$(curl -s -o /dev/null -w '%{http_code}' "http://$registry/v2/new/manifests/1"); echo "$status")" = 404 ]
  [ ! -e new/index.json ] || [ "$(jq '.manifests | length' new/index.json)" = 0 ]
}

@test "each end of a copy has its own login, certificates and verification" {
  load ../support/served
  users
  certificate
  mkdir trusted
  cp cert trusted/ca.crt
  registry_certificate=$world/cert registry_key=$world/key registry_users=$world/users
  local plain=$registry plain_pid=$registry_pid secure
  start_registry "$world/secure"
  secure=$registry
  "$LAY" copy -q --dest-cert-dir trusted --dest-creds ann:s3cret:pw app:1 "docker://$secure/app:1" >/dev/null
  "$LAY" copy -q --src-cert-dir trusted --src-creds ann:s3cret:pw "docker://$secure/app:1" "docker://$plain/through:1" >/dev/null
  [ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$plain/through:1")" = "$digest" ]
  printf '{"auths": {"%s": {"auth": "%s"}}}' "$secure" "$(printf ann:s3cret:pw | base64)" >auth.json
  "$LAY" copy -q --src-tls-verify=false --src-authfile auth.json "docker://$secure/app:1" oci:out:1 >/dev/null
  # none of these may pass
  local flags
  for flags in '' '--src-creds ann:s3cret:pw' '--src-cert-dir trusted' '--dest-creds ann:s3cret:pw --src-cert-dir trusted' \
    '--dest-tls-verify=false --src-creds ann:s3cret:pw'; do
    ! "$LAY" copy -q --retry 0 $flags "docker://$secure/app:1" oci:never:1 >/dev/null 2>&1 || { echo "with '$flags' it was copied"; return 1; }
  done
  kill "$plain_pid"
  wait "$plain_pid" || true
}
