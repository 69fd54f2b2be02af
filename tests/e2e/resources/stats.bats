#!/usr/bin/env bats
# What a container takes, as the host's kernel counts it.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

# stat_of NAME TEMPLATE: from one sample.
stat_of() { "$LAY" stats --no-stream --format "$2" "$1"; }

@test "stats counts processor time, memory, processes and traffic of a container" {
  "$LAY" run -d --name busy --network none -m 64m small sh -c 'x=$(head -c 8000000 /dev/zero | cat -v); while :; do :; done' >/dev/null
  "$LAY" run -d --name idle small sleep 1000 >/dev/null
  wait_until 20 grown
  run "$LAY" stats --no-stream
  has "${lines[0]}" "MEM USAGE / LIMIT"
  [ "${#lines[@]}" -eq 3 ]
  has "$output" "67 MB"
  [ "$(stat_of busy '{{.PIDs}}')" = 1 ]
  # shared processors: more than nothing is what can be asked for
  [[ $(stat_of busy '{{.CPUPerc}}') != 0.* ]]
  [ "$(stat_of idle '{{.CPUPerc}}')" = "0.00%" ]
  [ "$(stat_of busy '{{.NetIO}}')" = "0 B / 0 B" ]
  "$LAY" exec idle ping -c 3 -w 5 10.99.0.1 >/dev/null || true
  [ "$(stat_of idle '{{.NetIO}}')" != "0 B / 0 B" ]
  [ "$("$LAY" stats --no-stream --format jsonl busy | python3 -c 'import json,sys; print(json.load(sys.stdin)["Name"])')" = busy ]
}
grown() { [[ $(stat_of busy '{{.MemUsage}}') == *MB\ /* ]]; }

@test "stats goes on each second, and shows one that has ended without numbers" {
  "$LAY" run -d --name kept --network none small sleep 1000 >/dev/null
  run timeout --preserve-status -s INT 3.5 "$LAY" stats --format '{{.Name}} {{.PIDs}}' kept
  [ "${lines[0]}" = "kept 1" ]
  [ "${lines[1]}" = "kept 1" ]
  "$LAY" stop -t 0 kept >/dev/null
  [ "$(stat_of kept '{{.CPUPerc}} {{.PIDs}}')" = "-- --" ]
  [ "$("$LAY" stats --no-stream --format '{{.Name}}')" = "" ]
  [ "$("$LAY" stats -a --no-stream --format '{{.Name}}')" = kept ]
  refused 1 "nosuch" "$LAY" stats --no-stream nosuch
}
