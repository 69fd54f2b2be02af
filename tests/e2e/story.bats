#!/usr/bin/env bats
# The story of the README, as its script tells it.

load world

@test "configured by hand, committed, pushed, pulled and served on another root" {
  open_world
  run "$here/../../examples/takeaway.sh"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = '<h1>Configured by hand, taken away with lay</h1>' ]
  close_world
}
