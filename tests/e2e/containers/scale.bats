#!/usr/bin/env bats
# What a start takes does not grow with what the store holds, and what lay itself takes while a container runs is little.
# Counted are system calls and processor time, which other programs on the machine do not change.

load ../support/world

setup() {
  command -v strace >/dev/null || skip "needs strace"
  open_world
  small_image
  many=15
  [ -z "${LAY_TESTS_LONG-}" ] || many=1000
}
teardown() { leave_world; }

# calls_of COMMAND...: how many system calls lay and the container's first process make, the least of three; who tidies up in the
# background is not waited for.
calls_of() {
  local _
  for _ in 1 2 3; do
    strace -f -qq -o trace "$@" >/dev/null
    grep -vE 'resumed>|clock_nanosleep|futex|poll' trace | awk '{++calls[$1]} END {for (pid in calls) print calls[pid]}' |
      sort -rn | head -n 2 | awk '{all += $1} END {print all}'
  done | sort -n | head -n 1
}
# spent_by COMMAND...: microseconds of processor time and the peak of memory in KiB, each the least of five. The program that
# counts is small, since what it takes itself before execve counts as well.
spent_by() {
  [ -x spent ] || gcc -static -O1 -x c -o spent - <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char** words) {
  struct rusage usage;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(open("/dev/null", O_WRONLY), 1);
    execv(words[1], words + 1);
    _exit(1);
  }
  int status = 0;
  wait4(pid, &status, 0, &usage);
  printf("%ld %ld\n", (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
         usage.ru_maxrss);
  return status != 0;
}
C
  local _
  for _ in 1 2 3 4 5; do ./spent "$@"; done | awk '!least || $1 < least {least = $1} !peak || $2 < peak {peak = $2} END {print least, peak}'
}

start=("$LAY" run --rm --network none small true)
begin() {
  "${start[@]}"
  calls=$(calls_of "${start[@]}")
  spent=$(spent_by "${start[@]}" | cut -d" " -f1)
}
# grows_little [PERCENT]: system calls may grow by so much, 10 % by default, for those that read longer lists; the processor
# time not to twice and 5 ms.
grows_little() {
  local calls_now spent_now
  calls_now=$(calls_of "${start[@]}")
  spent_now=$(spent_by "${start[@]}" | cut -d" " -f1)
  echo "system calls: $calls, now $calls_now; microseconds: $spent, now $spent_now"
  ((calls_now <= calls + calls * ${1-10} / 100 && spent_now <= 2 * spent + 5000))
}

@test "a start takes no more among many stopped containers, running ones and those of a network" {
  begin
  local number
  for ((number = 0; number < many; number++)); do
    "$LAY" run --name "ended$number" --network none small true
    ((number % 4)) || "$LAY" run -d --name "runs$number" small sleep 1000 >/dev/null
  done
  grows_little
}

@test "a start takes no more among many images and names" {
  begin
  local number
  mkdir -p upper/etc
  for ((number = 0; number < many; number++)); do
    echo "$number" >upper/etc/number
    "$LAY" commit -q ./upper "image$number:1" --base small >/dev/null
    "$LAY" tag "image$number:1" "other$number:2"
  done
  grows_little 5
}

# names COUNT: so many more names of the image `small`; prints what a start takes with them.
names() {
  jq -c --argjson count "$1" '(.manifests[] | select(.annotations."org.opencontainers.image.ref.name" | contains("small"))) as $small |
    .manifests = [range($count) as $n | $small | .annotations."org.opencontainers.image.ref.name" = "a-name-\($n):1"] + [$small]' \
    "$LAY_ROOT/index.json" >index.new
  mv index.new "$LAY_ROOT/index.json"
  echo "$1 names: $(spent_by "${start[@]}") microseconds and KiB"
}
@test "a start takes no more among two thousand names" {
  begin
  local count
  for count in 10 1000 2000; do names "$count"; done
  [ "$("$LAY" images -q | wc -l)" -ge 1 ]
  grows_little 5
}

@test "a start takes no more for each layer of its image than a little, and nothing for those of others" {
  begin
  local number image=small calls_before=$calls spent_before=$spent layers=20
  mkdir -p upper/etc
  for ((number = 0; number < layers; number++)); do
    echo "$number" >"upper/etc/number"
    "$LAY" commit -q ./upper "deep:$number" --base "$image" >/dev/null
    image=deep:$number
  done
  grows_little
  [ "$("$LAY" run --rm --network none "$image" cat /etc/number)" = $((layers - 1)) ]
  start=("$LAY" run --rm --network none "$image" true)
  "${start[@]}"
  calls=$((calls_before + layers * 60)) spent=$spent_before
  grows_little
}

@test "lay run takes less than 10 MB at its peak, in front and detached, with network, port and user namespace" {
  # The first run of an image makes what later ones find.
  "${start[@]}"
  local flags peak
  for flags in "--rm --network none" "--rm -p 127.0.0.1::80" "--rm --network none --userns auto" "-d --rm -p 127.0.0.1::80" \
    "-d --rm --network none -m 64m --read-only --tmpfs /tmp"; do
    peak=$(spent_by "$LAY" run $flags small true | cut -d" " -f2)
    ((0 < peak && peak < 10240)) || { echo "$flags: $peak KiB"; return 1; }
  done
}
