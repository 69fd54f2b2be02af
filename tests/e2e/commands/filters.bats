#!/usr/bin/env bats
# Lists that show a part, and the other words that users of docker and podman have for commands.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

# names FILTER...: the names ps -a shows with these filters, in one line.
names() {
  local flags=() filter
  for filter in "$@"; do flags+=(--filter "$filter"); done
  "$LAY" ps -a --format '{{.Names}}' "${flags[@]}" | sort | tr '\n' ' '
}

@test "ps --filter: each key alone, several values are one or the other, several keys all" {
  "$LAY" run --name gone --label tier=web --label old --network none small sh -c 'exit 3' || [ $? -eq 3 ]
  sleep 1 # the time of their making is kept in seconds
  "$LAY" run -d --name up-1 --label tier=web -v "$world:/data" -p 127.0.0.1::80 small sleep 1000 >/dev/null
  sleep 1
  "$LAY" run -d --name up-2 --label tier=db --network none small sleep 1000 >/dev/null
  local id
  id=$("$LAY" inspect -f '{{.Id}}' up-1)
  [ "$(names name=up)" = "up-1 up-2 " ]
  [ "$(names 'name=^up-[1]$')" = "up-1 " ]
  [ "$(names name=gone name=up-2)" = "gone up-2 " ]
  [ "$(names name=up label=tier=web)" = "up-1 " ]
  [ "$(names label=tier=web)" = "gone up-1 " ]
  [ "$(names label=tier=web label=old)" = "gone " ]
  [ "$(names "id=${id:0:12}")" = "up-1 " ]
  [ "$(names status=running)" = "up-1 up-2 " ]
  [ "$(names status=exited status=paused)" = "gone " ]
  [ "$(names exited=3)" = "gone " ]
  [ -z "$(names exited=0)" ]
  [ "$(names ancestor=small)" = "gone up-1 up-2 " ]
  [ "$(names "ancestor=$("$LAY" inspect -f '{{.Id}}' small:latest)")" = "gone up-1 up-2 " ]
  [ -z "$(names ancestor=other)" ]
  [ "$(names before=up-1)" = "gone " ]
  [ "$(names since=up-1)" = "up-2 " ]
  [ "$(names volume=/data)" = "up-1 " ]
  [ "$(names "volume=$world")" = "up-1 " ]
  [ "$(names network=bridge)" = "up-1 " ]
  [ "$(names network=none)" = "gone up-2 " ]
  [ "$(names publish=80)" = "up-1 " ]
  [ -z "$(names publish=80/udp)" ]
  [ "$("$LAY" ps -q --filter status=exited)" = "$("$LAY" ps -aq --filter name=gone)" ] # shown without -a
  [ "$("$LAY" ps -n 2 --format '{{.Names}}' | tr '\n' ' ')" = "up-2 up-1 " ]
  [ "$("$LAY" ps -lq)" = "$("$LAY" ps -q --filter name=up-2)" ]
  [ "$("$LAY" ps -l --filter status=exited --format '{{.Names}}')" = gone ] # of those that fit
  [ -z "$("$LAY" ps -q -n 0)" ]
  [ "$("$LAY" ps --filter name=up-1 --format '{{.Networks}} {{.Mounts}}')" = "[bridge] [$world]" ]
  has "$("$LAY" ps -s --filter name=up-1)" SIZE
  local wrong
  for wrong in status=lost exited=x publish=x name=[ colour=red name; do
    run "$LAY" ps -a --filter "$wrong"
    [ "$status" -ne 0 ] && has "$output" "--filter" || { echo "$wrong: $output"; return 1; }
  done
}

@test "images NAME takes the names that other commands take, and patterns" {
  make_small_root
  for name in app:1 team/app:1 docker.io/library/debian:12 docker.io/team/app:2 localhost/built:1; do
    "$LAY" import -q small "$name" >/dev/null
  done
  named() { "$LAY" images --sort tag --format '{{.Repository}}:{{.Tag}}' "$@" | tr '\n' ' '; }
  for name in debian debian:12 library/debian docker.io/library/debian:12 docker.io/debian docker.io/debian:12 'deb*' '*/library/debian'; do
    [ "$(named "$name")" = "docker.io/library/debian:12 " ]
  done
  [ "$(named team/app)" = "team/app:1 docker.io/team/app:2 " ]
  [ "$(named 'app*')" = "app:1 " ]
  [ "$(named built)" = "localhost/built:1 " ]
  [ -n "$("$LAY" images -q debian:12)" ]
  [ -z "$("$LAY" images -q debian:13)" ]
}

@test "a table of one's own has the names as titles, however they are spaced; images has podman's members" {
  titles=$("$LAY" images --format 'table {{ .Repository }}\t{{.ID | printf "%.3s"}}\tas {{ .Size }}' | head -n 1)
  [[ $titles =~ ^REPOSITORY\ +ID\ +AS\ SIZE$ ]]
  [ "$("$LAY" images --format '{{.Id}}' small)" = "$("$LAY" inspect -f '{{.Id}}' small)" ]
  [ "$("$LAY" images --format '{{.CreatedSince}}' small)" = "$("$LAY" images --format '{{.Created}}' small)" ]
}

@test "ps tells how long a container is up as docker does" {
  "$LAY" run -d --name c --network none small sleep 1000 >/dev/null
  status=$("$LAY" ps --format '{{.Status}}')
  [[ $status == "Up Less than a second" || $status =~ ^Up\ [0-9]+\ seconds?$ ]]
  wait_until 10 eval '[[ $("$LAY" ps --format "{{.Status}}") =~ ^Up\ [0-9]+\ seconds?$ ]]'
}

@test "images --filter: reference, label, before and since; --digests" {
  sleep 1 # the time of their making is kept in seconds
  mkdir upper
  echo x >upper/x
  "$LAY" commit -q ./upper app:1 --base small --label tier=web >/dev/null
  "$LAY" tag small reg.test/team/small:2
  local all=({{.Repository}}:{{.Tag}})
  [ "$("$LAY" images --filter label=tier=web --format "${all[0]}")" = app:1 ]
  [ "$("$LAY" images --filter label=tier=db -q)" = "" ]
  [ "$("$LAY" images --filter reference=app --format "${all[0]}")" = app:1 ]
  [ "$("$LAY" images --filter 'reference=*/team/*:2' --format "${all[0]}")" = reg.test/team/small:2 ]
  [ -z "$("$LAY" images -q --filter dangling=true)" ]
  [ "$("$LAY" images -q --filter dangling=false | wc -l)" -eq 3 ]
  [ "$("$LAY" images --filter since=small --format "${all[0]}")" = app:1 ]
  [ "$("$LAY" images --filter before=app:1 -q | wc -l)" -eq 2 ]
  has "$("$LAY" images --digests)" "$("$LAY" inspect -f '{{.Digest}}' app:1)"
  local wrong
  for wrong in colour=red dangling=perhaps; do
    run "$LAY" images --filter "$wrong"
    [ "$status" -ne 0 ] && has "$output" "--filter" || { echo "$wrong: $output"; return 1; }
  done
}

@test "logs --since and --until: a time, seconds, or how long ago" {
  "$LAY" run -d --name c --network none small sh -c 'echo one; sleep 1.2; echo two; sleep 1.2; echo three; sleep 1000' >/dev/null
  wait_until 20 sh -c "'$LAY' logs c | grep -q three"
  local second
  second=$("$LAY" logs -t c | sed -n '2s/ .*//p')
  [ "$("$LAY" logs --since "$second" c | tr '\n' ' ')" = "two three " ]
  [ "$("$LAY" logs --until "$second" c | tr '\n' ' ')" = "one two " ]
  [ "$("$LAY" logs --since "$(date -d "$second" +%s.%N)" c | tr '\n' ' ')" = "two three " ]
  [ "$(TZ=XYZ+3 "$LAY" logs --since "$(TZ=XYZ+3 date -d "$second" +%FT%T.%N)" c | tr '\n' ' ')" = "two three " ]
  [ "$("$LAY" logs --since "$second" --until "$second" c)" = two ]
  [ "$("$LAY" logs --since 1h10m c | wc -l)" -eq 3 ]
  [ -z "$("$LAY" logs --until 10m c)" ]
  [ "$(timeout 20 "$LAY" logs -f --until "$second" c | tr '\n' ' ')" = "one two " ] # does not wait for the end
  local wrong
  for wrong in yesterday 10x 1h- '' 2026-13-40 9999999999h 9000000000s9000000000s; do
    run "$LAY" logs --since "$wrong" c
    [ "$status" -ne 0 ] && has "$output" "--since" || { echo "$wrong: $output"; return 1; }
  done
}

@test "stop, kill and rm take --all, and refuse names beside it" {
  "$LAY" run -d --name a --stop-timeout 0 --network none small sleep 1000 >/dev/null
  "$LAY" run -d --name b --stop-timeout 0 --network none small sleep 1000 >/dev/null
  [ "$("$LAY" stop --all | sort | tr '\n' ' ')" = "a b " ]
  [ -z "$("$LAY" stop -a)" ]
  "$LAY" start b >/dev/null
  [ "$("$LAY" kill -a)" = b ]
  "$LAY" wait b >/dev/null
  local verb
  for verb in stop kill rm; do
    run "$LAY" "$verb" -a a
    [ "$status" -ne 0 ] && has "$output" "--all"
    run "$LAY" "$verb"
    [ "$status" -ne 0 ] && has "$output" "which container"
  done
  "$LAY" run -d --name c --network none small sh -c 'trap "exit 7" USR1; while :; do sleep 0.1; done' >/dev/null
  "$LAY" stop -s USR1 c >/dev/null
  [ "$("$LAY" inspect -f '{{.State.ExitCode}}' c)" -eq 7 ]
  run "$LAY" stop -s NOSUCH c
  [ "$status" -ne 0 ] && has "$output" NOSUCH
  "$LAY" rm c >/dev/null
  "$LAY" run -i --name c --network none small cat <<<first
  [ "$("$LAY" start -i c <<<second)" = second ]
  "$LAY" rm c >/dev/null
  [ "$("$LAY" rm -a | sort | tr '\n' ' ')" = "a b " ]
  [ -z "$("$LAY" ps -aq)" ]
}

@test "image and container stand before inspect, exists, prune, ls and rm; an unknown word is named whole" {
  "$LAY" run --name small --network none small true
  [ "$("$LAY" image inspect -f '{{.Os}}' small)" = linux ]
  [ "$("$LAY" container inspect -f '{{.State.Status}}' small)" = exited ]
  "$LAY" image exists small
  "$LAY" container exists small
  "$LAY" exists small
  [ "$("$LAY" container ls -aq)" = "$("$LAY" container ps -aq)" ]
  [ "$("$LAY" container prune -f)" = "Removed container: small" ]
  run "$LAY" container exists small
  [ "$status" -eq 1 ] && [ -z "$output" ]
  run "$LAY" container inspect small
  [ "$status" -eq 1 ] && has "$output" "no container of this name"
  "$LAY" image prune -f >/dev/null
  "$LAY" image exists small
  run "$LAY" image frobnicate
  [ "$status" -eq 125 ] && has "$output" "unknown command 'image frobnicate'"
  [ "$("$LAY" version)" = "$("$LAY" --version)" ]
  [ "lay $("$LAY" version -f '{{.Client.Version}}')" = "$("$LAY" version)" ]
}

@test "an image that has a name is not dangling, whatever else leads to it; one without is, and prune leaves it" {
  "$LAY" import -q small keep:1 >/dev/null
  "$LAY" rmi small >/dev/null
  "$LAY" untag keep:1
  "$LAY" images -qf dangling=true | grep -q .
  "$LAY" image prune -f
  "$LAY" prune -f
  "$LAY" images -qf dangling=true | grep -q .
  "$LAY" import -q small keep:1 >/dev/null
  [ -z "$("$LAY" images -qf dangling=true)" ]
  [ "$("$LAY" images -qf dangling=false | sort -u | wc -l)" -eq 1 ]
}

@test "untag names what it takes, all names when none is given" {
  "$LAY" tag small other:2
  [ "$("$LAY" untag small other:2)" = "Untagged: other:2" ]
  "$LAY" tag small other:2
  [ "$("$LAY" untag small | sort)" = $'Untagged: other:2\nUntagged: small:latest' ]
}

@test "a full standard output is told: help, lists, logs, stats and copy" {
  "$LAY" run -d --name c --network none small sh -c "echo line; sleep 1000" >/dev/null
  wait_until 10 eval '[ "$("$LAY" logs c)" = line ]'
  local words
  for words in "run --help" --help images "stats --no-stream" "logs c" "copy -q small:latest oci:x:1"; do
    run bash -c "\"$LAY\" $words 2>&1 >/dev/full"
    [ "$status" -eq 1 ] || { echo "$words: $status"; echo "$output"; false; }
    has "$output" "lay: "
    has "$output" output
  done
}

@test "run names the platform of the image that is here when another is asked for, and who asks" {
  "$LAY" tag small localhost:1/small:1
  local here
  here=$("$LAY" inspect -f '{{.Os}}/{{.Architecture}}' small)
  run "$LAY" run --rm --platform linux/s390x localhost:1/small:1 true
  [ "$status" -eq 125 ]
  has "$output" "image 'localhost:1/small:1' is here for $here, not for linux/s390x, and pulling it failed"
  DOCKER_DEFAULT_PLATFORM=linux/s390x run "$LAY" run --rm localhost:1/small:1 true
  has "$output" "not for linux/s390x (which DOCKER_DEFAULT_PLATFORM asks for)"
}

@test "inspect --size says what a container has written, as ps --size does, and its image with it" {
  "$LAY" run --name c --network none small sh -c 'head -c 300000 /dev/urandom >/more'
  local written
  written=$("$LAY" ps -a --format '{{.Size}} {{.Bytes}}' | cut -d' ' -f3)
  ((written > 300000))
  [ "$("$LAY" inspect c | jq '.[0] | has("SizeRw")')" = false ]
  [ "$("$LAY" inspect -s -f '{{.SizeRw}}' c)" = "$written" ]
  [ "$("$LAY" container inspect --size c | jq '.[0].SizeRootFs')" = $((written + $("$LAY" inspect -f '{{.Size}}' small))) ]
  "$LAY" inspect --size small >/dev/null
  "$LAY" run --name told --network none small sh -c 'head -c 300000 /dev/zero'  >/dev/null
  (($("$LAY" inspect -s -f '{{.SizeRw}}' told) < 100000)) # its log is not the container's own
  local manifest
  manifest=$LAY_ROOT/blobs/sha256/$("$LAY" inspect -f '{{.Digest}}' small | cut -d: -f2)
  echo damaged >"$manifest"
  [ "$("$LAY" inspect -s c | jq -c '.[0] | [.SizeRw, has("SizeRootFs")]')" = "[$written,false]" ]
  rm "$manifest"
  [ "$("$LAY" inspect -s c | jq -c '.[0] | [.SizeRw, has("SizeRootFs")]')" = "[$written,false]" ]
}

@test "a container whose image is gone is not taken for an image of its name, nor the beginning of two ids for none" {
  local words id twin
  mkdir tree
  "$LAY" run --name c --network none small true
  id=$("$LAY" inspect -f '{{.Id}}' c)
  "$LAY" import -q tree c:latest >/dev/null
  rm "$LAY_ROOT/blobs/sha256/$("$LAY" inspect -f '{{.Digest}}' small | cut -d: -f2)"
  for words in "export -o x.tar c" "diff c"; do
    run "$LAY" $words
    [ "$status" -eq 1 ] || { echo "$words: $status $output"; false; }
  done
  [ ! -e x.tar ]
  [ "$("$LAY" inspect -f '{{.Name}}' c)" = c ]
  [[ $id == *0 ]] && twin=${id%?}1 || twin=${id%?}0
  cp -a "$LAY_ROOT/containers/$id" "$LAY_ROOT/containers/$twin"
  for words in export diff inspect exists; do
    run "$LAY" $words "${id:0:20}"
    has "$output" "the beginning of"
  done
  rm -r --one-file-system "$LAY_ROOT/containers/$twin"
}
