#!/usr/bin/env bats
# What lay is given to start a container with, and to pass on: much of it, sources that change meanwhile, output that
# never ends a line.

load ../support/world

setup() {
  open_world
  small_image
  changer=
}
teardown() {
  [ -z "$changer" ] || { kill "$changer" && wait "$changer"; } 2>/dev/null || true
  leave_world
}

# nothing_runs: no container, and no mount of one.
nothing_runs() { [ -z "$("$LAY" ps -aq)" ] && nothing_mounted; }

@test "P09: a megabyte of environment and 300 mounts reach the container whole" {
  local number flags=()
  mkdir -p volumes
  for ((number = 0; number < 300; number++)); do
    mkdir "volumes/$number"
    echo "$number" >"volumes/$number/number"
    flags+=(-v "$PWD/volumes/$number:/mnt/some/where/$number:ro")
  done
  local value
  value=$(head -c 65536 /dev/zero | tr '\0' x)
  for ((number = 0; number < 16; number++)); do flags+=(-e "BIG$number=$value"); done
  run "$LAY" run --rm --network none "${flags[@]}" small \
    sh -c 'cat /mnt/some/where/*/number | sort -n | uniq | wc -l; env | grep -c "^BIG"; env | wc -c'
  has "$output" $'300\n16\n'
  (("${lines[2]}" > 1048576))
}

@test "P09: an environment that the kernel does not take is told, and nothing is left" {
  local value flags=() number
  value=$(head -c 65536 /dev/zero | tr '\0' x)
  for ((number = 0; number < 16; number++)); do flags+=(-e "BIG$number=$value"); done
  run "$LAY" run --rm --network none --ulimit stack=262144 "${flags[@]}" small true
  ((status == 125 || status == 126))
  has "$output" "Argument list too long"
  wait_until 10 nothing_runs
}

# swap A B: exchanges two names as fast as it can, until it is killed.
swap() {
  python3 -c '
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
while True:
    libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)  # RENAME_EXCHANGE' "$1" "$2" 3>&- &
  changer=$!
}

@test "P10: a source that is swapped for a link to elsewhere is one or the other, whole, and never half" {
  local rounds=40 number
  [ -z "${LAY_TESTS_LONG:-}" ] || rounds=2000
  mkdir one two
  echo one | tee one/a >one/b
  echo two | tee two/a >two/b
  ln -s two link
  mv one source
  swap source link
  for ((number = 0; number < rounds; number++)); do
    run "$LAY" run --rm --network none -v "$PWD/source:/data" small sh -c 'cat /data/a /data/b'
    [[ $status = 0 && ($output = $'one\none' || $output = $'two\ntwo') ]] || { echo "round $number: $output"; return 1; }
  done
}

@test "P10: a source that is a file now and a folder then starts or is refused, and leaves nothing" {
  local rounds=40 number started=0
  [ -z "${LAY_TESTS_LONG:-}" ] || rounds=2000
  echo text >source
  mkdir other
  echo text >other/inner
  swap source other
  for ((number = 0; number < rounds; number++)); do
    run "$LAY" run --rm --network none -v "$PWD/source:/data" small sh -c 'cat /data /data/inner 2>/dev/null || true'
    [[ $status = 0 || $status = 125 ]] || { echo "round $number: $status $output"; return 1; }
    [[ $status = 125 ]] || { [ "$output" = text ]; started=$((started + 1)); }
  done
  ((started > 0))
  kill "$changer"
  wait "$changer" || true
  changer=
  wait_until 10 nothing_runs
}

@test "P10: a source that is gone, or a descriptor of lay's own, is refused by name" {
  run "$LAY" run --rm --network none -v "$PWD/nowhere:/data" small true
  [ "$status" = 125 ]
  has "$output" "nowhere"
  run "$LAY" run --rm --network none -v /proc/self/fd/3:/data small true
  [ "$status" != 0 ]
  wait_until 10 nothing_runs
}

supervisor_of() { ps -o ppid= -p "$("$LAY" inspect -f '{{.State.Pid}}' "$1")" | tr -d ' '; }

@test "E10: output without an end of line fills neither memory nor disk" {
  "$LAY" run -d --name flood --network none small sh -c 'head -c 200000000 /dev/zero | tr "\0" x; sleep 1000' >/dev/null
  local peak log
  wait_until 60 flood_is_over
  peak=$(awk '/^VmHWM/ {print $2}' "/proc/$(supervisor_of flood)/status")
  ((peak < 16384))
  log=$(du -ck "$LAY_ROOT"/containers/*/log* | tail -n 1 | cut -f1)
  ((log <= 33000))
  "$LAY" rm -f flood >/dev/null
}
flood_is_over() { "$LAY" top flood args | grep -q '^sleep' && ! "$LAY" top flood args | grep -q '^head'; }

@test "E10: neither side that stops reading holds the other up for ever" {
  # The container reads nothing of an endless input, and ends.
  run timeout 20 sh -c 'yes 2>/dev/null | "$LAY" run --rm -i --network none small sleep 1'
  [ "$status" = 0 ]
  # The caller reads nothing of an endless output, and goes away: the command hears of it as in a pipe.
  run timeout 20 sh -c '"$LAY" run --rm --network none small sh -c "while echo line; do :; done" | head -n 3'
  has "$output" $'line\nline\nline'
  wait_until 10 nothing_runs
}
