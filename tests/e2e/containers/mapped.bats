#!/usr/bin/env bats
# Ids of user namespaces: nobody shares them, nothing on disk changes its owner for them, and what is mounted inside
# belongs to the container's root. Beside userns.bats, for what many starts and many kinds of mounts do.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

first_id() { "$LAY" exec "$1" cat /proc/self/uid_map | awk '{print $2}'; }

@test "U04: starts in parallel never share ids of the host, and a killed one's are had again" {
  local count=12 i supervisor pids=()
  [ -z "${LAY_TESTS_LONG-}" ] || count=100
  for ((i = 0; i < count; i++)); do
    "$LAY" run -d --name "c$i" --network none --userns auto small sleep 1000 >/dev/null & pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  "$LAY" ps -q | xargs -I{} "$LAY" exec {} cat /proc/self/uid_map /proc/self/gid_map | awk '{print $2, $2 + $3}' | sort -nu >ranges
  [ "$(wc -l <ranges)" = "$count" ]
  awk '$1 < end {exit 1} {end = $2}' ranges # none begins before the one before it ends
  for ((i = 0; i < count; i += 2)); do
    supervisor=$(ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' "c$i")")
    kill -9 $supervisor
  done
  "$LAY" ps -aq | xargs "$LAY" rm -f >/dev/null
  inside --userns auto -- true
  [ "$(ls "$LAY_RUN/ids")" = lock ]
}

@test "U04: what auto has is not given to a MAP, whichever comes first, at a restart neither" {
  local first
  "$LAY" run -d --name auto --network none --userns auto:size=1000 small sleep 1000 >/dev/null
  first=$(first_id auto)
  "$LAY" run -d --name mapped --network none --userns "0:$((first + 1000)):500" small sleep 1000 >/dev/null
  refused 125 "some of the ids" "$LAY" run --rm --network none --userns "0:$((first + 999)):500" small true
  refused 125 "some of the ids" "$LAY" run --rm --network none --uidmap 0:400000000:5 --gidmap "0:$((first + 999)):5" small true
  "$LAY" stop -t 0 auto >/dev/null
  "$LAY" run -d --name taker --network none --userns "0:$first:1000" small sleep 1000 >/dev/null
  "$LAY" start auto >/dev/null
  (($(first_id auto) + 1000 <= first || $(first_id auto) >= first + 1500))
  "$LAY" stop -t 0 taker >/dev/null
  "$LAY" start taker >/dev/null
}

@test "U04: two containers never share ids of the host by a MAP; joining the namespace of one is the way" {
  "$LAY" run -d --name one --network none --uidmap 0:700000:1000 --gidmap 0:800000:1000 small sleep 1000 >/dev/null
  refused 125 "container $("$LAY" inspect -f '{{.Id}}' one | cut -c1-12) has some of the ids 700999-701998" \
    "$LAY" run --rm --network none --userns 0:700999:1000 small true
  inside --userns 0:701000:1000 -- true
  [ "$(inside --userns container:one -- 'cat /proc/self/gid_map' | xargs)" = "0 800000 1000" ]
  "$LAY" stop -t 0 one >/dev/null
  "$LAY" start one >/dev/null
  "$LAY" rm -f one >/dev/null
  inside --userns 0:700999:1000 -- true
}

@test "U04: ids of a killed container with a MAP are free when it is removed" {
  "$LAY" run -d --name killed --network none --userns 0:700000:1000 small sleep 1000 >/dev/null
  kill -9 "$(ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' killed)")"
  "$LAY" rm -f killed >/dev/null
  [ "$(ls "$LAY_RUN/ids")" = lock ]
  inside -- true # the layers of a killed one are unmounted by the next
}

# owners_kept FORM: runs, writes, executes and restarts with other ids of the host; no inode of the layers is touched, and
# what the upper gets has the container's own ids.
owners_kept() {
  export LAY_ROOT=$world/root-$1 LAY_LAYER_FORM=$1
  small_image
  inside -- true
  inodes() { find "$LAY_ROOT/layers" "$LAY_ROOT/blobs" -printf '%p %U %G %m %C@\n' | sort; }
  inodes >before
  "$LAY" run -d --name c --network none --userns auto small \
    sh -c 'mkdir /d && echo x >/d/f && ln /d/f /d/hard && busybox mkfifo /d/pipe && ln -s f /d/link && chown -R 1000:100 /d && chown 7:8 /etc/passwd; sleep 1000' >/dev/null
  wait_until 10 eval '"$LAY" exec c stat -c %u:%g /etc/passwd | grep -qx 7:8'
  seen() { "$LAY" exec c sh -c 'stat -c "%n %u:%g %a" /d /d/* /etc/passwd /bin /etc/group; [ /d/f -ef /d/hard ] && echo same'; }
  seen >first
  grep -qx '/d/pipe 1000:100 644' first
  grep -qx same first
  local was
  was=$(first_id c)
  "$LAY" run -d --name other --network none --userns auto small sleep 1000 >/dev/null
  "$LAY" stop -t 0 c >/dev/null
  "$LAY" start c >/dev/null
  seen | diff first -
  [ -z "$(find "$LAY_ROOT"/containers/*/upper ! -uid -65536)" ]
  inodes | diff before -
  "$LAY" commit -q c snap >/dev/null
  "$LAY" rm -f c >/dev/null
  # The committed image looks the same without a user namespace, with another, and under both forms.
  local flags
  for flags in --userns=host --userns=auto "--userns=0:700000:2000"; do
    "$LAY" run --rm --network none "$flags" snap sh -c 'stat -c "%n %u:%g %a" /d /d/* /etc/passwd /bin /etc/group; [ /d/f -ef /d/hard ] && echo same' |
      diff first - || { echo "$flags"; return 1; }
  done
}

@test "no inode of a layer or blob changes for a user namespace, and restarts with other ids see the same: mounted layers" { owners_kept erofs; }
@test "no inode of a layer or blob changes for a user namespace, and restarts with other ids see the same: unpacked layers" { owners_kept tree; }

@test "what is mounted in a user namespace is its root's: tmpfs, shm, terminals, devices, files of /etc" {
  mkdir volume
  run inside --userns auto --tmpfs /mnt:mode=700 --device /dev/loop-control -w /made -v "$world/volume:/v" -- '
    stat -c "%n %u:%g" /mnt /dev/shm /dev /dev/pts /dev/null /dev/loop-control /etc/hosts /etc/hostname /etc/resolv.conf /made / /v
    touch /mnt/x /dev/shm/x /etc/hosts && chown 1000:100 /mnt/x && stat -c "%n %u:%g" /mnt/x; echo end'
  has "$output" end
  local path
  for path in /mnt /dev/shm /dev /dev/pts /dev/null /dev/loop-control /etc/hosts /etc/hostname \
    /etc/resolv.conf /made /; do
    grep -qx "$path 0:0" <<<"$output" || { echo "$path"; echo "$output"; return 1; }
  done
  has "$output" "/mnt/x 1000:100"
  has "$output" "/v 65534:65534"
}

@test "/dev/mqueue of a user namespace is its root's, as runc makes it" {
  [ "$(inside --userns auto -- 'stat -c %u:%g /dev/mqueue')" = 0:0 ]
}

@test "exec into a user namespace has the user, groups and files that are asked for, and a terminal of its own" {
  "$LAY" run -d --name c --network none --userns auto --tmpfs /mnt:mode=1777 small sleep 1000 >/dev/null
  [ "$("$LAY" exec -u user c sh -c 'id -u; id -g; id -G' | xargs)" = "1000 100 100 200" ]
  [ "$("$LAY" exec -u 4242:33 c sh -c 'touch /mnt/mine && stat -c %u:%g /mnt/mine')" = 4242:33 ]
  "$LAY" exec -w /home/user -u user c true 2>/dev/null || [ $? = 125 ] || [ $? = 126 ]
  [[ $(script -qec "'$LAY' exec -t -u user c sh -c 'tty; stat -c %u /dev/pts/0'" /dev/null | tr -d '\r' | xargs) == "/dev/pts/0 1000" ]]
  [ "$("$LAY" exec c sh -c 'echo x >/written && stat -c %u /written')" = 0 ]
  [ "$(stat -c %u "$LAY_ROOT"/containers/*/upper/written)" = 0 ]
  local verb
  for verb in "exec -u 70000 c" "run --rm --network none --userns auto -u 70000 small"; do # beyond the map
    run "$LAY" $verb true
    [ "$status" = 125 ]
    has "$output" "user 70000: the container's user namespace has no such user"
    has "$output" "hint: it has 0-65535;"
  done
  run "$LAY" exec -u 0:70000 c true
  [ "$status" = 125 ]
  has "$output" "group 70000: the container's user namespace has no such group"
}
