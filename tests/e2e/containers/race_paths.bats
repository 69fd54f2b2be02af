#!/usr/bin/env bats
# A container swaps folders and files for links to the host's, as fast as it can, while lay enters it, with openat2(2) and
# without.

load ../support/world

setup() {
  open_world
  make_small_root
  gcc -static -O1 -x c -o small/bin/swap - <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(int count, char** names) {
  puts("swapping");
  fflush(stdout);
  for (;;)
    for (int i = 1; i + 1 < count; i += 2) renameat2(AT_FDCWD, names[i], AT_FDCWD, names[i + 1], RENAME_EXCHANGE);
}
C
  # What a link leads to is on the host, and in the container too, with other content.
  canary=$world/canary
  mkdir -p "$canary/etc" "small$canary/etc"
  echo 'evil:x:0:0::/:/bin/sh' | tee "$canary/etc/passwd" >"$canary/etc/group"
  echo 'user:x:4321:4321::/:/bin/sh' | tee "small$canary/etc/passwd" >"small$canary/etc/group"
  "$LAY" import -q ./small small >/dev/null
  before=$(state_of_canary)
}
teardown() { leave_world; }

state_of_canary() { find "$canary" -printf '%p %y %U %G %m %C@\n' | sort; }
is_swapping() { "$LAY" logs c | grep -q swapping; }

# exec_in_race FILTER...: enters again and again through what is swapped.
exec_in_race() {
  local rounds=20 number seen=
  [ -z "${LAY_TESTS_LONG-}" ] || rounds=2000
  "$LAY" run -d --name c --network none small sh -c "
    mkdir -p /w/in; ln -s $canary /link; ln -s $canary/etc/passwd /etc/other; ln -s $canary/etc/group /etc/others
    ln -s ../../../../../../../..$canary /deep; exec swap /w /link /etc/passwd /etc/other /etc/group /etc/others /w /deep" >/dev/null
  wait_until 10 is_swapping
  for ((number = 0; number < rounds; number++)); do
    run timeout -s KILL 10 "$@" "$LAY" exec -u user -w "/w" c sh -c 'id -u; pwd -P'
    case $status:$(xargs <<<"$output") in
      "0:1000 /w" | "0:4321 /w" | "0:1000 $canary" | "0:4321 $canary" | "0:1000 /"* | "0:4321 /"*) seen+=" $(xargs <<<"$output")" ;;
      12[56]:lay:*) ;; # gone for the moment
      *) echo "round $number: $status $output"; return 1 ;;
    esac
  done
  [ "$(xargs -n 2 <<<"$seen" | sort -u | wc -l)" -ge 2 ] || { echo "never swapped: $seen"; return 1; }
  diff <(echo "$before") <(state_of_canary)
}

@test "P01: exec through a working folder and a passwd file that are swapped for links stays inside" { exec_in_race; }
@test "P01: exec through a working folder and a passwd file that are swapped stays inside without openat2" { exec_in_race "$here/without_call.py" openat2; }

# starts_in_race FILTER...: one container swaps in a volume what others have as their mount points and working folder.
starts_in_race() {
  local rounds=15 number started=0
  [ -z "${LAY_TESTS_LONG-}" ] || rounds=2000
  mkdir -p shared/a/b other
  echo inner >other/file
  ln -s "$canary" shared/link
  ln -s "../../../../../..$canary" shared/deep
  "$LAY" run -d --name c --network none -v "$world/shared:/v" small swap /v/a /v/link /v/a /v/deep >/dev/null
  wait_until 10 is_swapping
  for ((number = 0; number < rounds; number++)); do
    run timeout -s KILL 10 "$@" "$LAY" run --rm --network none -v "$world/shared:/v" -v "$world/other:/v/a/b" --tmpfs /v/a/t \
      -w /v/a/made small sh -c 'pwd; true'
    case $status in
      0) started=$((started + 1)) ;;
      125 | 126) ;;
      *) echo "round $number: $status $output"; return 1 ;;
    esac
  done
  ((started > 0))
  diff <(echo "$before") <(state_of_canary)
  [ "$(grep -c "$canary" /proc/self/mountinfo)" = 0 ]
  [ -z "$("$LAY" ps -aq --filter status=exited)" ]
}

@test "P02: mount points in a shared volume that a neighbour swaps for links are never the host's" { starts_in_race; }
@test "P02: mount points that a neighbour swaps for links are never the host's without openat2" { starts_in_race "$here/without_call.py" openat2; }
