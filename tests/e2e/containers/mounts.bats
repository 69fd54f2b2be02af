#!/usr/bin/env bats
# --mount, --read-only-tmpfs and the options of -v: what the container's own table of mounts says, beside podman's.

load ../support/world
load ../support/oci
load ../support/engines

setup() { open_engine_world; }
teardown() { close_engine_world; }

# flags_of PLACE FLAGS...: what a container of lay's has there.
flags_of() {
  local place=$1
  shift
  "$LAY" run --rm --network none "$@" small sh -c "awk -v place=$place '\$5 == place {print \$6}' /proc/self/mountinfo"
}

# bits FLAGS: those that both engines set only when they are asked to.
bits() { tr , '\n' <<<"$1" | grep -xE 'ro|rw|noexec' | sort | paste -sd,; }

@test "--mount type=bind has podman's and docker's words, and their effect" {
  small_image
  start_podman
  mkdir -p "$world/data/sub"
  echo text >"$world/data/file"
  local words place=/x
  for words in ro readonly readonly=true ro=false ro,noexec rw=false rw bind-propagation=rslave relabel=shared,ro \
    relabel=private bind-nonrecursive,noexec z consistency=cached; do
    local mount=type=bind,source=$world/data,target=$place,$words
    [ "$("$LAY" run --rm --network none --mount "$mount" small cat /x/file)" = text ]
    local theirs=""
    theirs=$(podman run --rm --network none --mount "$mount" localhost/small busybox awk '$5 == "/x" {print $6}' /proc/self/mountinfo)
    [ "$(bits "$(flags_of $place --mount "$mount")")" = "$(bits "$theirs")" ] || { echo "$words: $theirs"; return 1; }
  done
  # docker's spellings, quotation marks as in CSV files, and a relative source
  cp -r data "a,b"
  [ "$(inside --mount 'type=bind,"src=a,b",dst=/x' -- 'cat /x/file')" = text ]
  [ "$(inside --mount 'bind-recursive=disabled,type=bind,src=./data,destination=/x/' -- 'cat /x/file')" = text ]
}

@test "--mount: a propagation, a mount beneath and without it, and device files" {
  small_image
  mkdir -p data/sub
  mount -t tmpfs lay data/sub
  echo below >data/sub/file
  local source=$world/data
  [ "$(inside --mount "type=bind,src=$source,dst=/x" -- 'cat /x/sub/file')" = below ]
  [ "$(inside --mount "type=bind,src=$source,dst=/x,bind-nonrecursive" -- 'ls /x/sub')" = "" ]
  [ "$(inside -v "$source:/x:bind" -- 'ls /x/sub')" = "" ]
  umount data/sub
  local mounts='grep " /x " /proc/self/mountinfo'
  has "$(inside -v "$source:/x" -- "$mounts")" nosuid,nodev
  run inside --mount "type=bind,src=$source,dst=/x,suid,dev" -- "$mounts"
  [[ $output != *nosuid* && $output != *nodev* ]]
  has "$(inside -v "$source:/x:noexec,ro" -- "$mounts")" "ro,nosuid,nodev,noexec"
  "$LAY" run -d --name c --network none -v "$source:/x:rslave" small sleep 1000 >/dev/null
  [ "$("$LAY" inspect -f '{{range .Mounts}}{{.Destination}} {{.Propagation}}{{end}}' c)" = "/x rslave" ]
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  "$LAY" generate quadlet c >c.container
  has "$(cat c.container)" "Volume=$source:/x:rslave"
}

@test "--mount type=tmpfs: size, mode, what the image has there, and what lies beneath" {
  small_image
  local mount=type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770
  run inside --mount $mount -- 'stat -c %a /t; dd if=/dev/zero of=/t/f bs=64k count=100 2>&1; grep " /t " /proc/mounts'
  has "$output" 1770
  has "$output" "No space left"
  has "$output" "rw,nosuid,nodev,noexec"
  [ "$(inside --mount type=tmpfs,dst=/etc,tmpcopyup -- 'touch /etc/new; head -c 4 /etc/passwd')" = root ]
  [ "$(inside --mount type=tmpfs,dst=/etc,tmpcopyup,tmpfs-mode=0711 -- 'stat -c %a /etc')" = 711 ]
  [ "$(inside --tmpfs /bin:ro,exec,tmpcopyup -- 'touch /bin/new 2>/dev/null || echo kept')" = kept ]
  [ "$(inside --tmpfs /etc:notmpcopyup -- 'ls -A /etc')" = "$(inside --tmpfs /etc -- 'ls -A /etc')" ]
  [ "$(inside --mount type=tmpfs,dst=/etc,exec -- 'ls /etc | grep -c passwd; true')" = 0 ]
  # A folder goes before what lies in it, in whatever order they are given
  echo text >file
  [ "$(inside -v "$world/file:/t/deep/file" --mount type=tmpfs,dst=/t -- 'cat /t/deep/file')" = text ]
}

@test "--mount refuses what podman does, and what lay has not, in words" {
  small_image
  start_podman
  local bad
  for bad in dst=/x type=bind,src=/etc,dst=/x,ro=2 type=bind,src=/etc type=foo,dst=/x type=bind,src=/etc,dst=/x,what \
    type=tmpfs,src=/etc,dst=/x type=bind,src=/nowhere,dst=/x type=bind,src=/etc,dst=/x,bind-propagation=odd; do
    run podman run --rm --network none --mount $bad localhost/small true
    [ "$status" = 125 ]
    refused 125 "" "$LAY" run --rm --network none --mount $bad small true
  done
  refused 125 "named volumes are not supported" "$LAY" run --rm --mount type=volume,src=data,dst=/x small true
  refused 125 "images cannot be mounted" "$LAY" run --rm --mount type=image,src=small,dst=/x small true
  refused 125 "owner is not changed" "$LAY" run --rm --mount type=bind,src=/etc,dst=/x,U small true
  refused 125 "reach the host" "$LAY" run --rm --mount type=bind,src=/etc,dst=/x,bind-propagation=shared small true
  refused 125 "reach the host" "$LAY" run --rm -v /etc:/x:rshared small true
  refused 125 "is no size" "$LAY" run --rm --mount type=tmpfs,dst=/x,tmpfs-size=much small true
  refused 125 "is no mode" "$LAY" run --rm --mount type=tmpfs,dst=/x,tmpfs-mode=9 small true
  refused 125 "two mounts" "$LAY" run --rm -v /etc:/x --mount type=bind,src=/usr,dst=/x/ small true
  [ -z "$("$LAY" ps -aq)" ]
}

@test "--mount goes into a bundle, which another runtime runs" {
  small_image
  mkdir data
  echo text >data/file
  "$LAY" bundle --mount "type=bind,src=./data,dst=/x,ro" --mount type=tmpfs,dst=/t,tmpfs-size=1m small made cat /x/file
  jq -e '.mounts[] | select(.destination == "/x") | .options | index("ro") and index("rbind")' made/config.json
  jq -e '.mounts[] | select(.destination == "/t") | .options | index("size=1048576")' made/config.json
  command -v runc >/dev/null || skip "runc is not installed"
  [ "$(runc run -b made "lay-mounts-$$")" = text ]
}

@test "generate takes a path with a colon as --mount, which podman and lay read back" {
  small_image
  mkdir "a:b,c"
  echo text >"a:b,c/file"
  "$LAY" run -d --name c --network none --mount "type=bind,\"src=./a:b,c\",dst=/x,ro" small sleep 1000 >/dev/null
  "$LAY" generate quadlet c >c.container
  local word
  word=$(sed -n 's/^PodmanArgs="\(.*mount.*\)"$/\1/p' c.container)
  [ "$("$LAY" run --rm --network none "${word//\\/}" small cat /x/file)" = text ]
}

@test "--read-only-tmpfs: with --read-only what podman lets be written can be, and keeps what the image has there" {
  small_image
  start_podman
  local try='for place in /run /tmp /var/tmp /dev/shm /etc /; do (echo x >$place/probe) 2>/dev/null && echo $place; done; true'
  mkdir -p small/tmp small/var/tmp small/run
  echo kept >small/tmp/kept
  "$LAY" import -q small small >/dev/null
  [ "$(inside --read-only --read-only-tmpfs -- "$try; cat /tmp/kept")" = $'/run\n/tmp\n/var/tmp\n/dev/shm\nkept' ]
  [ "$(podman run --rm --network none --read-only localhost/small sh -c "$try" | grep -v '^/dev$')" = $'/run\n/tmp\n/var/tmp\n/dev/shm' ]
  [ "$(inside --read-only --read-only-tmpfs=false -- "$try")" = /dev/shm ]
  [ "$(inside --read-only -- "$try")" = /dev/shm ]
  [ "$(inside --read-only --read-only-tmpfs --tmpfs /tmp:size=1m -- 'df /tmp | tail -n 1 | awk "{print \$2}"; ls /tmp')" = 1024 ]
  [ "$(inside --read-only-tmpfs -- 'grep -c " /run " /proc/mounts; true')" = 0 ]
  [ "$(inside --read-only --read-only-tmpfs -u 5:5 -- 'echo x >/tmp/probe && echo written')" = written ]
  # The usual ones lie over what a volume has in their place, but not over where a link of the image leads
  mkdir -p "$world/var/tmp" "$world/data"
  [ "$(inside --read-only --read-only-tmpfs -v "$world/var:/var:ro" -- 'echo x >/var/tmp/probe && echo written')" = written ]
  [ -z "$(ls "$world/var/tmp")" ]
  rm -r small/run && ln -s data small/run && mkdir small/data
  "$LAY" import -q small linked >/dev/null
  "$LAY" run --rm --network none --read-only --read-only-tmpfs -v "$world/data:/data" linked sh -c 'echo x >/data/kept'
  [ -f "$world/data/kept" ]
}
