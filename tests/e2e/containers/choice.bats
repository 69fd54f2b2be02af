#!/usr/bin/env bats
# Which containers a command is for, and what lists and waits say of them.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { leave_world; }

sleeper() { "$LAY" run -d --network none "$@" small sh -c 'trap "exit 0" TERM; sleep 1000 & wait' >/dev/null; }
states() { "$LAY" ps -a --sort names --format '{{.Names}}={{.State}}' | paste -sd' '; }

@test "--latest, --cidfile, --filter and --all choose containers, for each command" {
  sleeper --name a -l kind=x --cidfile a.id
  sleeper --name b -l kind=y
  "$LAY" stop --filter label=kind=x >/dev/null
  [ "$(states)" = "a=exited b=running" ]
  "$LAY" start --cidfile a.id >/dev/null
  [ "$(states)" = "a=running b=running" ]
  "$LAY" pause --latest >/dev/null
  [ "$(states)" = "a=running b=paused" ]
  "$LAY" unpause --all >/dev/null
  "$LAY" pause --all >/dev/null
  [ "$(states)" = "a=paused b=paused" ]
  "$LAY" unpause --filter name=a --filter name=b >/dev/null
  "$LAY" kill -l >/dev/null
  "$LAY" wait -l >/dev/null
  [ "$(states)" = "a=running b=exited" ]
  "$LAY" start --all >/dev/null
  [ "$(states)" = "a=running b=running" ]
  run "$LAY" rm -t 5 --cidfile a.id
  [ "$status" = 1 ]
  has "$output" "goes with --force"
  "$LAY" rm -f -t 5 --cidfile a.id >/dev/null
  [ "$(states)" = "b=running" ]
  "$LAY" rm -f --filter label=kind=y >/dev/null
  [ "$(states)" = "" ]
}

@test "--ignore is content when there is none, and ways to choose do not mix" {
  run "$LAY" stop --ignore nobody
  [ "$status" = 0 ]
  run "$LAY" rm --ignore nobody
  [ "$status" = 0 ]
  run "$LAY" rm --ignore --cidfile nowhere
  [ "$status" = 0 ]
  refused 1 "no such file" "$LAY" rm --cidfile nowhere
  refused 1 "no container" "$LAY" stop --latest
  local words
  for words in "stop" "stop -a x" "stop -l x" "rm -a -l" "start" "wait" "wait -l x"; do
    # shellcheck disable=SC2086
    run "$LAY" $words
    ((status == 1 || status == 125)) || { echo "$words: $status"; return 1; }
  done
  run "$LAY" stop nobody
  [ "$status" = 1 ]
}

@test "restart stops and starts: a running one gets another process, a stopped one begins" {
  sleeper --name a --timeout 600
  local before
  before=$("$LAY" inspect -f '{{.State.Pid}}' a)
  "$LAY" exec a touch /kept
  [ "$("$LAY" restart -t 5 a)" = a ]
  [ "$("$LAY" inspect -f '{{.State.Pid}}' a)" != "$before" ]
  "$LAY" exec a ls /kept
  "$LAY" stop a >/dev/null
  "$LAY" container restart a >/dev/null
  [ "$(states)" = "a=running" ]
  "$LAY" run -d --rm --name gone --network none small sleep 1000 >/dev/null
  refused 1 "made with --rm" "$LAY" restart -t 0 gone
  [ "$(states)" = "a=running gone=running" ]
}

@test "wait --condition returns when the container is so, with podman's -1" {
  "$LAY" run -d --name a --network none small sleep 1000 >/dev/null
  [ "$("$LAY" wait --condition running a)" = -1 ]
  "$LAY" wait --condition paused --interval 20ms a >waited 3>&- &
  local pid=$!
  "$LAY" pause a >/dev/null
  timeout 10 tail --pid=$pid -f /dev/null
  [ "$(<waited)" = -1 ]
  "$LAY" unpause a >/dev/null
  "$LAY" kill a >/dev/null
  [ "$("$LAY" wait --condition exited a)" = 137 ]
  [ "$("$LAY" wait --condition stopped,running a)" = 137 ]
  [ "$("$LAY" wait --ignore nobody)" = -1 ]
  run "$LAY" wait --condition odd a
  [ "$status" = 1 ]
}

# looks_at PID: that process waits for a container, and has opened what tells its end.
looks_at() { find "/proc/$1/fd" -lname "*/containers/*/lock" | grep -q .; }

@test "wait --condition ends with a container that is removed, and says its code where its end was wanted" {
  "$LAY" run -d --rm --name a --network none small sh -c 'trap "exit 7" TERM; sleep 1000 & wait' >/dev/null
  "$LAY" run -d --name b --network none small sleep 1000 >/dev/null
  local pids=() pid status=0
  "$LAY" wait --condition exited a >a.exited 3>&- &
  pids+=($!)
  "$LAY" wait --condition created,paused a >a.other 2>a.error 3>&- &
  pids+=($!)
  "$LAY" wait --condition stopped b >b.exited 3>&- &
  pids+=($!)
  "$LAY" wait --ignore --condition created b >b.other 3>&- &
  pids+=($!)
  for pid in "${pids[@]}"; do wait_until 10 looks_at "$pid"; done
  "$LAY" stop a >/dev/null
  "$LAY" rm -f b >/dev/null
  for pid in "${pids[@]}"; do timeout 20 tail --pid="$pid" -f /dev/null || { kill "${pids[@]}"; return 1; }; done
  wait "${pids[0]}"
  wait "${pids[1]}" || status=$?
  [ "$status" = 1 ]
  wait "${pids[2]}"
  wait "${pids[3]}"
  [ "$(<a.exited)" = 7 ]
  [ ! -s a.other ]
  grep -q "no container has" a.error
  [ "$(<b.exited)" = 137 ]
  [ "$(<b.other)" = -1 ]
  local interval
  for interval in 0 0ms 25h 99999999999999999999s 9999999999999999999s 2h; do
    run timeout 20 "$LAY" wait --condition exited --interval "$interval" b
    [ "$status" = 1 ]
    has "$output" "--interval"
  done
}

@test "restart --running takes what runs, and nothing beside it" {
  sleeper --name a --cidfile a.id
  sleeper --name b
  "$LAY" stop b >/dev/null
  local before words
  before=$("$LAY" inspect -f '{{.State.Pid}}' a)
  for words in "b" "--latest" "--cidfile a.id" "--filter name=b"; do
    # shellcheck disable=SC2086
    refused 125 "--running goes without" "$LAY" restart --running $words
  done
  [ "$("$LAY" inspect -f '{{.State.Pid}}' a)" = "$before" ]
  [ "$("$LAY" restart --running --all)" = a ]
  [ "$("$LAY" inspect -f '{{.State.Pid}}' a)" != "$before" ]
  [ "$(states)" = "a=running b=exited" ]
}

@test "what was chosen stays chosen when its name goes to another container meanwhile" {
  local verb name first second pid
  mkdir signs
  for verb in stop restart; do
    first=a second=b
    for name in a b; do
      "$LAY" run -d --name $name --network none --stop-timeout 3 -v "$world/signs:/signs" small \
        sh -c "trap 'touch /signs/$name' TERM; touch /signs/$name.ready; while :; do sleep 0.1; done" >id.$name
      wait_until 5 test -e signs/$name.ready
    done
    [[ $(<id.a) < $(<id.b) ]] || { first=b second=a; }
    # The second of them, while the first has still to stop
    "$LAY" $verb --all >done 2>told 3>&- &
    pid=$!
    wait_until 5 test -e signs/$first
    "$LAY" run -d --replace --name "$second" --network none small sleep 1000 >/dev/null
    wait "$pid" || true
    [ $verb = stop ] || has "$(<told)" "no container" # stop has asked it to end by then
    [ "$("$LAY" inspect -f '{{.State.Status}}' "$second")" = running ]
    "$LAY" rm -fa >/dev/null
    rm signs/*
  done
}

@test "--ignore hides that there is no container" {
  "$LAY" run -d --name a --network none small sleep 1000 >/dev/null
  "$LAY" kill a >/dev/null
  "$LAY" wait a >/dev/null
  run "$LAY" rm --ignore a nobody
  [ "$status" = 0 ]
  [ "$output" = a ]
  "$LAY" run -d --name b --network none small sleep 1000 >/dev/null
  run "$LAY" stop -t 0 --ignore nobody b
  [ "$status" = 0 ]
  [ "$output" = b ]
}

@test "lists are sorted and lose their titles as they are told" {
  "$LAY" run -d --name b --network none small sleep 1000 >/dev/null
  "$LAY" run -d --name a --network none small sleep 1000 >/dev/null
  [ "$("$LAY" ps --sort names --format '{{.Names}}' | paste -sd' ')" = "a b" ]
  [ "$("$LAY" ps --sort created --format '{{.Names}}' | paste -sd' ')" = "b a" ]
  "$LAY" exec b dd if=/dev/urandom of=/large bs=1000 count=1000 2>/dev/null
  [ "$("$LAY" ps --sort size --format '{{.Names}}' | paste -sd' ')" = "a b" ]
  [ "$("$LAY" ps --noheading | wc -l)" = 2 ]
  run "$LAY" ps --sort odd
  [ "$status" = 1 ]
  head -c 2000000 /dev/urandom >small/large
  "$LAY" import -q ./small large:1 >/dev/null
  [ "$("$LAY" images --sort size --format '{{.Repository}}' | paste -sd' ')" = "small large" ]
  [ "$("$LAY" images --sort repository --format '{{.Repository}}' | paste -sd' ')" = "large small" ]
  [ "$("$LAY" images --noheading | wc -l)" = 2 ]
  touch -d '+1 hour' small/large  # an image is as old as its newest file
  "$LAY" import -q ./small newest:1 >/dev/null
  [ "$("$LAY" images --sort created --format '{{.Repository}}' | head -n 1)" = newest ]
  "$LAY" rmi newest:1 >/dev/null
  "$LAY" network create --label kind=x --subnet 10.231.7.0/24 front >/dev/null
  [ "$("$LAY" network ls -q --filter label=kind=x)" = front ]
  [ "$("$LAY" network ls -q -f name=ridg)" = bridge ]
  [ "$("$LAY" network ls -n --no-trunc -f name=front | awk '{print length($1)}')" = 64 ]
  [ "$("$LAY" network ls -q -f driver=macvlan)" = "" ]
}

@test "of containers made within one second the latest is the one made last" {
  local number
  for number in 1 2 3 4; do "$LAY" run -d --name "c$number" --network none small true >/dev/null; done
  [ "$("$LAY" ps -l --format '{{.Names}}')" = c4 ]
  "$LAY" rm -f --latest >/dev/null
  [ "$("$LAY" ps -l --format '{{.Names}}')" = c3 ]
  [ "$("$LAY" ps -a --sort created --format '{{.Names}}' | paste -sd' ')" = "c1 c2 c3" ]
}
