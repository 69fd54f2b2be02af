#!/usr/bin/env bats
# The story of the README, as its script tells it.

load ../support/world

setup() { open_world; }
teardown() { close_world; }

# takes_away [FLAG]
takes_away() {
  run "$here/../../../examples/takeaway.sh" "$@"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = '<h1>Configured by hand, taken away with lay</h1>' ]
}

@test "configured by hand, committed, pushed, pulled and served on another root" { takes_away; }
@test "configured by hand, committed, pushed to docker-registry, pulled and served on another root" { takes_away --docker-registry; }
