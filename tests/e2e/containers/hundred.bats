#!/usr/bin/env bats
# A hundred containers at once: what they take, and that nothing is left of them.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

@test "100 containers, one after the other: they run, and stop and rm leave nothing" {
  "$LAY" run --rm small true
  local number
  for ((number = 0; number < 100; number++)); do
    "$LAY" run -d --name "c$number" --network none small sleep 1000 >/dev/null
  done
  [ "$("$LAY" ps -q | wc -l)" = 100 ]
  "$LAY" stats --no-stream --format '{{.PIDs}}' | sort | uniq -c | grep -qx ' *100 1'
  "$LAY" stop -t 0 $("$LAY" ps -q) >/dev/null
  [ "$("$LAY" ps -q)" = "" ]
  "$LAY" rm $("$LAY" ps -aq) >/dev/null
  [ "$("$LAY" ps -aq)" = "" ]
  nothing_of_ours
}

@test "100 containers started by four at a time, with network and ports, and removed by force, leave nothing" {
  export LAY
  seq 100 | xargs -P 4 -I{} sh -c '"$LAY" run -d --name c{} -p 127.0.0.1::80 small sleep 1000 >/dev/null || echo failed {}' >failed
  [ ! -s failed ]
  [ "$("$LAY" ps -q | wc -l)" = 100 ]
  "$LAY" ps -aq | xargs -P 4 -n 10 "$LAY" rm -f >/dev/null
  [ "$("$LAY" ps -aq)" = "" ]
  nothing_of_ours
}

# Neither cgroup nor link, mount, process or folder; layers may linger for a moment.
nothing_of_ours() {
  wait_until 20 no_process
  wait_until 20 nothing_mounted
  wait_until 20 same_traces
  [ -z "$(ls "$LAY_ROOT/containers" | grep -vE '^(names|lock)')" ]
}
no_process() { [ -z "$(processes_of_world)" ]; }
# Their environment names this world's run folder; bats and its children have that as well.
processes_of_world() {
  local pid
  for pid in $(grep -lsF "LAY_RUN=$LAY_RUN" /proc/[0-9]*/environ | cut -d/ -f3); do
    [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$LAY")" ] || echo "$pid"
  done
}

@test "a supervisor has less than a megabyte that is its alone" {
  "$LAY" run -d --name alone --network none small sleep 1000 >/dev/null
  "$LAY" run -d --name linked -p 127.0.0.1::80 small sleep 1000 >/dev/null
  local name
  for name in alone linked; do
    wait_until 10 is_small "$name" || { cat "/proc/$(supervisor_of "$name")/smaps_rollup"; return 1; }
  done
}
supervisor_of() { ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' "$1")" | tr -d ' '; }
is_small() {
  local kibibytes
  kibibytes=$(awk '/^Private_(Clean|Dirty):/ {sum += $2} END {print sum}' "/proc/$(supervisor_of "$1")/smaps_rollup")
  ((0 < kibibytes && kibibytes < 1024))
}
