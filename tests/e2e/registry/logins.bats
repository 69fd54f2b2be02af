#!/usr/bin/env bats
# login and logout beside podman's and docker's, the folders of certificates, and lists that come in pages.

load ../support/world
load ../support/served

setup() {
  open_world
  mkdir -p home tree
  echo x >tree/x
  export HOME=$world/home XDG_CONFIG_HOME= XDG_RUNTIME_DIR=$world/none
  unset REGISTRY_AUTH_FILE DOCKER_CONFIG
  pids=()
}
teardown() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  ! mountpoint -q /etc/containers || umount /etc/containers
  ! mountpoint -q /etc/docker || umount /etc/docker
  stop_served
  close_world
}

# secured: lay serve with users; sets served.
secured() {
  users
  serve --access-log none --htpasswd "$world/users" "$@"
}

# fails_with WORDS COMMAND...: it must fail, and say WORDS.
fails_with() {
  local words=$1
  shift
  ! timeout -s KILL 30 "$@" >said 2>&1 || { echo "it succeeded: $*"; return 1; }
  has "$(<said)" "$words"
}

log_in() { "$LAY" login -u ann --password-stdin "$@" <<<s3cret:pw; }

# login_of FILE HOST: who is logged in there, as the file says.
login_of() { jq -r --arg host "$2" '.auths[$host].auth // empty | @base64d' "$1"; }

@test "a login of lay's is one of podman's and skopeo's, and theirs are lay's" {
  secured
  local file=$world/auth.json
  export REGISTRY_AUTH_FILE=$file
  log_in "$served"
  [ "$(login_of "$file" "$served")" = ann:s3cret:pw ]
  [ "$(stat -c %a "$file")" = 600 ]
  [ "$(podman login --get-login "$served")" = ann ]
  [ "$("$LAY" login --get-login "$served")" = ann ]
  skopeo logout "$served"
  refused 1 "" "$LAY" login --get-login "$served"
  skopeo login -u ci --password-stdin --tls-verify=false "$served" <<<s3cret:pw
  [ "$("$LAY" login --get-login "$served")" = ci ]
  "$LAY" import tree app:1 >/dev/null
  "$LAY" push -q app:1 "$served/team/app:1" >/dev/null
  "$LAY" logout "$served"
  [ -z "$(login_of "$file" "$served")" ]
  refused 1 "log" "$LAY" push -q app:1 "$served/team/app:2"
  refused 1 "" skopeo login --get-login "$served" || true
}

@test "a login that is kept and good is asked for no second time, as with podman; logout --all forgets all" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  log_in "$served"
  podman login --tls-verify=false "$served" </dev/null
  has "$("$LAY" login "$served" </dev/null)" "Already logged in to $served"
  printf '{"auths": {"%s": {"auth": "%s"}, "other.invalid/team": {"auth": "%s"}}, "x": "y"}' "$served" \
    "$(printf ann:wrong | base64)" "$(printf a:b | base64)" >auth.json
  fails_with "refused" "$LAY" login "$served" </dev/null
  "$LAY" logout --all
  [ "$(jq -c . auth.json)" = '{"auths":{},"x":"y"}' ]
  "$LAY" logout --all
}

@test "a login of docker's is lay's, and lay's in docker's folder is docker's" {
  secured
  export DOCKER_CONFIG=$world/docker
  mkdir docker
  printf '{"auths": {"%s": {"auth": "%s"}}, "HttpHeaders": {"X": "y"}, "detachKeys": "ctrl-e"}' "$served" \
    "$(printf ann:s3cret:pw | base64)" >docker/config.json
  [ "$("$LAY" login --get-login "$served")" = ann ]
  "$LAY" login -u ci --password-stdin --authfile docker/config.json "$served" <<<s3cret:pw
  [ "$(login_of docker/config.json "$served")" = ci:s3cret:pw ]
  [ "$(jq -r '.HttpHeaders.X + .detachKeys' docker/config.json)" = yctrl-e ]
  "$LAY" logout --authfile docker/config.json "$served"
  [ -z "$(login_of docker/config.json "$served")" ]
  [ "$(jq -r '.HttpHeaders.X' docker/config.json)" = y ]
}

@test "a login to a URL, or with a slash at its end, is one to the host; logout takes the same words" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  "$LAY" import tree app:1 >/dev/null
  local words
  for words in "$served/" "http://$served" "https://$served/" "https://$served/v2/" "$served/v1/" "$served/v2"; do
    log_in "$words"
    [ "$("$LAY" login --get-login "$served")" = ann ] || { echo "$words"; cat auth.json; return 1; }
    [ "$("$LAY" login --get-login "$words")" = ann ]
    "$LAY" push -q app:1 "$served/team/app:1" >/dev/null
    "$LAY" logout "$words"
    [ "$(jq -c .auths auth.json)" = '{}' ] || { cat auth.json; return 1; }
  done
  log_in "$served/team/"
  [ "$(login_of auth.json "$served/team")" = ann:s3cret:pw ]
  "$LAY" push -q app:1 "$served/team/app:1" >/dev/null
  refused 1 "log" "$LAY" push -q app:1 "$served/other/app:1"
  refused 1 "names no registry" "$LAY" login -u ann --password-stdin https:// <<<s3cret:pw
}

@test "a password in the place of a host is told to nobody" {
  local verb
  for verb in login logout; do
    refused 1 "by its host alone" "$LAY" "$verb" "https://ann:s3cret:pw@registry.invalid/"
    ! grep -q s3cret refused.err || { cat refused.err; return 1; }
  done
}

@test "an entry of an auth file whose host has a slash behind it is one of the host" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  "$LAY" import tree app:1 >/dev/null
  printf '{"auths": {"%s/": {"auth": "%s"}}}' "$served" "$(printf ann:s3cret:pw | base64)" >auth.json
  [ "$("$LAY" login --get-login "$served")" = ann ]
  "$LAY" push -q app:1 "$served/team/app:1" >/dev/null
  "$LAY" logout "$served"
  [ "$(jq -c .auths auth.json)" = '{}' ] || { cat auth.json; return 1; }
}

@test "an auth file whose words base64 has broken into lines, or with an entry that is null, is read" {
  secured
  "$LAY" import tree app:1 >/dev/null
  jq -n --arg host "$served" '{auths: {other: null, ($host): {auth: "YW5uOnMz\nY3JldDpwdw==\n"}}}' >broken
  "$LAY" push -q --authfile broken app:1 "$served/team/app:1" >/dev/null
  jq -n --arg host "$served" '{auths: {($host): null}}' >null
  refused 1 "log" "$LAY" push -q --authfile null app:1 "$served/team/app:1"
}

@test "a wrong password is kept nowhere, and a right one replaces the one that was there" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  refused 1 "" "$LAY" login -u ann --password-stdin "$served" <<<wrong
  [ ! -e auth.json ] || [ -z "$(login_of auth.json "$served")" ]
  log_in "$served"
  refused 1 "" "$LAY" login -u ann --password-stdin "$served" <<<wrong
  [ "$(login_of auth.json "$served")" = ann:s3cret:pw ]
  "$LAY" login -u ci --password-stdin "$served" <<<s3cret:pw
  [ "$(login_of auth.json "$served")" = ci:s3cret:pw ]
}

@test "a password from a file with a line end of either kind, and with none, is the same" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  local end
  for end in '' '\n' '\r\n'; do
    printf "s3cret:pw$end" | "$LAY" login -u ann --password-stdin "$served"
    [ "$(login_of auth.json "$served")" = ann:s3cret:pw ]
    rm auth.json
  done
}

@test "login keeps in the helper that the file names, logout makes it forget, and no file has the password" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json PATH=$world/bin:$PATH
  mkdir bin kept
  cat >bin/docker-credential-box <<'SH'
#!/bin/sh
box=$(dirname "$0")/../kept
case $1 in
  store) cat >"$box/it" ;;
  get) read -r host; grep -q "\"ServerURL\":\"$host\"" "$box/it" 2>/dev/null && cat "$box/it" || { echo 'credentials not found in native keychain'; exit 1; } ;;
  erase) rm "$box/it" ;;
esac
SH
  chmod +x bin/docker-credential-box
  echo '{"credsStore": "box"}' >auth.json
  log_in "$served"
  [ "$(jq -r '.Username + .Secret' kept/it)" = anns3cret:pw ]
  ! grep -rq "$(printf ann:s3cret:pw | base64)" auth.json home none 2>/dev/null || return 1
  [ "$("$LAY" login --get-login "$served")" = ann ]
  "$LAY" import tree app:1 >/dev/null
  "$LAY" push -q app:1 "$served/team/app:1" >/dev/null
  "$LAY" logout "$served"
  [ ! -e kept/it ]
  refused 1 "" "$LAY" push -q app:1 "$served/team/app:2"
}

@test "R11: a helper that is missing, fails, hangs or talks nonsense ends it before any request with a login" {
  users
  registry_users=$world/users
  start_registry "$world/registry"
  local port=$(free_port) name
  python3 "$here/../../support/fault_proxy.py" "$port" "$(free_port)" "${registry#*:}" "$world/requests" '[]' >proxy.log 2>&1 3>&- &
  pids+=($!)
  wait_until 10 curl -sS "http://127.0.0.1:$port/v2/"
  export REGISTRY_AUTH_FILE=$world/auth.json PATH=$world/bin:$PATH
  mkdir bin
  printf '#!/bin/sh\nexit 3\n' >bin/docker-credential-fails
  printf '#!/bin/sh\necho "{\\"Username\\": 5}"\n' >bin/docker-credential-nonsense
  printf '#!/bin/sh\nkill -9 $$\n' >bin/docker-credential-dies
  chmod +x bin/*
  for name in missing fails nonsense dies ../../bin/sh '-x' 'a;touch${IFS}pwned'; do
    # The file behind has a login for everybody's use, which is not what was asked for
    jq -n --arg host "localhost:$port" --arg name "$name" --arg auth "$(printf ann:s3cret:pw | base64)" \
      '{auths: {($host): {auth: $auth}}, credHelpers: {($host): $name}}' >auth.json
    rm -f requests
    fails_with helper "$LAY" pull -q --retry 0 "localhost:$port/team/app:1"
    [ ! -e requests ] || [ -z "$(jq -r .authorization requests | tr -d '\n')" ]
  done
  [ ! -e pwned ]
}

@test "R12: no password is seen in arguments, state, logs or errors of what uses it" {
  secured
  export REGISTRY_AUTH_FILE=$world/auth.json
  "$LAY" import tree app:1 >/dev/null
  log_in "$served" >said 2>&1
  strace -f -qq -s 4096 -e trace=execve,openat,rename,renameat2,unlink -o calls "$LAY" push -q app:1 "$served/team/app:1" >>said 2>&1
  strace -f -qq -s 4096 -e trace=execve -o more "$LAY" login -u ann --password-stdin "$served" <<<s3cret:pw >>said 2>&1
  ! "$LAY" push -q --creds ann:wr0ng app:1 "$served/team/app:2" >>said 2>&1 || return 1
  ! "$LAY" inspect --creds ann:wr0ng "docker://$served/team/app:1" >>said 2>&1 || return 1
  ! grep -rE "s3cret|wr0ng|$(printf ann:s3cret:pw | base64)" said calls more serve.log "$LAY_ROOT" "$LAY_RUN" || return 1
}

# two_registries: two names of one registry with users, and a proxy that writes down who got which header: sets first, second.
two_registries() {
  users
  registry_users=$world/users
  start_registry "$world/registry"
  local port=$(free_port) other=$(free_port)
  python3 "$here/../../support/fault_proxy.py" "$port" "$other" "${registry#*:}" "$world/requests" '[]' >proxy.log 2>&1 3>&- &
  pids+=($!)
  wait_until 10 curl -sS "http://127.0.0.1:$port/v2/"
  first=localhost:$port second=localhost:$other
}
# asked_with_login: the ports that saw a login.
asked_with_login() { [[ ! -e requests ]] || jq -r 'select(.authorization != "") | .port' requests | sort -u; }

# lose NAME...: what the store has of these images' layers.
lose() {
  local name
  for name in "$@"; do
    rm "$LAY_ROOT/blobs/$("$LAY" inspect "$name" | jq -r '.[0].Layers[-1].digest' | tr : /)"
    rm -r --one-file-system "$LAY_ROOT/layers/$("$LAY" inspect "$name" | jq -r '.[0].RootFS.Layers[0][7:]')"
  done
}

@test "fsck --repair sends --creds to no registry when several have to be asked, and to the one that has" {
  two_registries
  export REGISTRY_AUTH_FILE=$world/none.json
  local name place
  for name in first second; do
    echo "$name" >tree/x
    "$LAY" import tree app:1 >/dev/null
    "$LAY" push -q --creds ann:s3cret:pw app:1 "${!name}/team/$name:1" >/dev/null
    "$LAY" rmi app:1 >/dev/null
    "$LAY" pull -q --creds ann:s3cret:pw "${!name}/team/$name:1" >/dev/null
  done
  lose "$first/team/first:1" "$second/team/second:1"
  rm requests
  for place in --authfile "$first" "$second"; do fails_with "$place" "$LAY" fsck -q --repair --creds ann:s3cret:pw; done
  [ ! -e requests ]

  for place in "$first" "$second"; do log_in --authfile both.json "$place"; done
  "$LAY" fsck -q --repair --authfile both.json >/dev/null
  "$LAY" fsck -q

  lose "$second/team/second:1"
  rm requests
  "$LAY" fsck -q --repair --creds ann:s3cret:pw >/dev/null
  [ "$(asked_with_login)" = "${second#*:}" ]
  "$LAY" fsck -q
}

@test "copy sends the login of each end to that end alone" {
  two_registries
  export REGISTRY_AUTH_FILE=$world/none.json
  "$LAY" import tree app:1 >/dev/null
  "$LAY" push -q --creds ann:s3cret:pw app:1 "$first/team/app:1" >/dev/null
  local all place login
  for all in '' --all; do
    rm requests
    fails_with log "$LAY" copy -q --retry 0 $all --src-creds ann:s3cret:pw "docker://$first/team/app:1" "docker://$second/other:1"
    [ "$(asked_with_login)" = "${first#*:}" ]
    rm requests
    fails_with log "$LAY" copy -q --retry 0 $all --dest-creds ann:s3cret:pw "docker://$first/team/app:1" "docker://$second/other:1"
    ! asked_with_login | grep -qx "${first#*:}" || return 1
    rm -f requests
    "$LAY" copy -q $all --src-creds ann:s3cret:pw --dest-creds ci:s3cret:pw "docker://$first/team/app:1" "docker://$second/other:${all#--}x"
    for place in "$first ann" "$second ci"; do
      login="Basic $(printf %s:s3cret:pw "${place#* }" | base64)"
      place=${place% *}
      [ "$(jq -r --argjson port "${place#*:}" 'select(.port == $port and .authorization != "") | .authorization' requests | sort -u)" = "$login" ] ||
        { cat requests; return 1; }
    done
  done
}

@test "pull sends --creds to no registry when a short name may be of several" {
  two_registries
  printf 'unqualified-search-registries = ["%s", "%s"]\n' "$first" "$second" >registries.conf
  export CONTAINERS_REGISTRIES_CONF=$world/registries.conf
  refused 1 "$second" "$LAY" pull -q --creds ann:s3cret:pw app:1
  [ -z "$(asked_with_login)" ]
  printf 'unqualified-search-registries = ["%s"]\n' "$second" >registries.conf
  fails_with "app" "$LAY" pull -q --creds ann:s3cret:pw app:1
  [ "$(asked_with_login)" = "${second#*:}" ]
}

@test "inspect and rmi send --creds to no registry when their names are of several" {
  two_registries
  local verb
  for verb in inspect rmi; do
    refused 1 "--authfile" "$LAY" "$verb" --creds ann:s3cret:pw "docker://$first/team/app:1" "docker://$second/team/app:1"
  done
  [ -z "$(asked_with_login)" ]
  fails_with "manifest unknown" "$LAY" inspect --creds ann:s3cret:pw "docker://$second/team/app:1" "docker://$second/team/app:2"
  [ "$(asked_with_login)" = "${second#*:}" ]
}

# fill_folder FOLDER [WRONG]: the authority and a client's certificate for $served in FOLDER/HOST:PORT.
fill_folder() {
  mkdir -p "$1/$served"
  cp "${2:-cert}" "$1/$served/ca.crt"
}

@test "an authority is found in each certs.d folder, the first that is there goes before the others" {
  certificate
  mv cert wrong
  certificate
  serve --access-log none --tls-cert cert --tls-key key
  local look=("$LAY" tags --retry 0 "$served/none") folder folders=("$HOME/.config/containers/certs.d")
  for folder in /etc/containers /etc/docker; do
    [[ ! -d $folder ]] || { mount -t tmpfs lay "$folder" && folders+=("$folder/certs.d"); }
  done
  for folder in "${folders[@]}"; do
    fails_with certificate "${look[@]}"
    fill_folder "$folder"
    fails_with 'no repository' "${look[@]}"
    rm -r "$folder"
  done
  # as skopeo does, with one of the first two
  fill_folder "$HOME/.config/containers/certs.d" wrong
  [[ ! -d /etc/docker ]] || fill_folder /etc/docker/certs.d
  fails_with certificate "${look[@]}"
  fails_with certificate skopeo list-tags "docker://$served/none"
}

@test "a login to a repository asks its registry, with the authority that is trusted for that" {
  certificate
  secured --tls-cert cert --tls-key key
  fill_folder "$HOME/.config/containers/certs.d"
  export REGISTRY_AUTH_FILE=$world/auth.json
  log_in "$served"
  log_in "$served/team"
  [ "$(login_of auth.json "$served/team")" = ann:s3cret:pw ]
  fails_with "refused" "$LAY" login -u ann --password-stdin "$served/team" <<<wrong
  # docker.io is a name for another host, for its repositories too
  https_proxy=http://127.0.0.1:1 fails_with "proxy" "$LAY" login -u ann --password-stdin docker.io/me <<<wrong
}

@test "certificates of another port's folder or of a name like it are not taken" {
  certificate
  serve --access-log none --tls-cert cert --tls-key key
  local folder name
  for name in localhost "localhost:1" "${served}0" "x$served" "${served#local}"; do
    folder=$HOME/.config/containers/certs.d/$name
    mkdir -p "$folder"
    cp cert "$folder/ca.crt"
  done
  fails_with certificate "$LAY" tags --retry 0 "$served/none"
}

@test "a client's certificate without its key, or a key without it, is told and nothing is asked" {
  certificate
  serve --access-log "$world/access" --tls-cert cert --tls-key key
  local folder=$HOME/.config/containers/certs.d/$served
  fill_folder "$HOME/.config/containers/certs.d"
  cp cert "$folder/client.cert"
  fails_with "has no key" "$LAY" tags --retry 0 "$served/none"
  rm "$folder/client.cert"
  cp key "$folder/client.key"
  fails_with "has no client certificate" "$LAY" tags --retry 0 "$served/none"
  [ ! -s access ]
}

@test "R10: certificates that were named and are not there end it before any request" {
  certificate
  serve --access-log "$world/access" --tls-cert cert --tls-key key
  SSL_CERT_FILE=$world/absent fails_with absent "$LAY" tags --retry 0 "$served/none"
  mkdir bad
  echo nonsense >bad/ca.crt
  fails_with bad "$LAY" tags --retry 0 --cert-dir bad "$served/none" || fails_with certificate "$LAY" tags --retry 0 --cert-dir bad "$served/none"
  export SSL_CERT_FILE=$world/cert
  fails_with 'no repository' "$LAY" tags --retry 0 "$served/none"
  wait_until 10 grep -q /v2/none/tags/list access  # the answer comes before its line
  : >access
  fails_with absent "$LAY" tags --retry 0 --cert-dir absent "$served/none"
  [ ! -s access ]
}

# paged COUNT STYLE: sets paged (host:port).
paged() {
  local port=$(free_port)
  python3 "$here/../../support/paged_registry.py" "$port" "$(free_port)" "$1" "$2" >paged.log 2>&1 3>&- &
  pids+=($!)
  paged=localhost:$port
  wait_until 10 curl -sS "http://127.0.0.1:$port/v2/"
}

# lists STYLE: lay and skopeo list all tags of such pages.
lists() {
  paged 2345 "$1"
  skopeo list-tags --tls-verify=false --creds ann:s3cret:pw "docker://$paged/x" | jq -r '.Tags[]' >theirs
  "$LAY" tags --creds ann:s3cret:pw "$paged/x" >tags
  [ "$(wc -l <theirs)" = 2345 ] || { echo "$1: skopeo lists $(wc -l <theirs)"; return 1; }
  cmp theirs tags || { echo "$1: lay lists $(wc -l <tags)"; return 1; }
}

@test "tags beyond 2,000 are listed over all pages, whatever address leads to the next" {
  lists path
  lists absolute
}

@test "tags are listed over all pages when each asks for a login" { lists basic; }

@test "tags are listed over all pages whose Link has no quotes or other parameters" {
  lists bare
  lists more
}

@test "tags are listed over all pages whose Link is a folded header" { lists folded; }

@test "tags are listed over all pages whose Link leads back as well" {
  paged 2345 second
  [ "$("$LAY" tags "$paged/x" | sort -u | wc -l)" = 2345 ]
}

@test "a page of another origin is refused, and what came before is not taken for all" {
  paged 745 elsewhere
  fails_with elsewhere "$LAY" tags "$paged/x"
}
