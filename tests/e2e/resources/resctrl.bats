#!/usr/bin/env bats
# Classes of resctrl for containers: a folder and a line of mountinfo stand in for the file system, which takes a
# processor with RDT.

load ../support/world

setup() {
  open_world
  small_image
  ! grep -q ' - resctrl ' /proc/self/mountinfo || skip "this machine has resctrl"
  mkdir resctrl
  { cat /proc/self/mountinfo; echo "9999 1 0:99 / $world/resctrl rw - resctrl resctrl rw"; } >mountinfo
}
teardown() { leave_world; }

# lay_there COMMAND...: lay as on a machine where resctrl is mounted.
lay_there() {
  bash -c 'mount --bind "$0" /proc/$$/mountinfo; exec "$@"' "$world/mountinfo" "$LAY" "$@"
}
is_running() { [ "$("$LAY" inspect -f '{{.State.Status}}' "$1" 2>/dev/null)" = running ]; }
rdt_of() { jq -c .linux.intelRdt "$LAY_ROOT"/containers/*/config.json; }

# starts_in_class SCHEMA: starts the container c with this schema; sets `class` and `starter`. The files that the kernel makes
# with a class come while lay is held up behind its mkdir.
starts_in_class() {
  "$LAY" run --name c --network none small sh -c '[ ! -e /again ] || exec sleep 100; touch /again'
  [ "$(lay_there update --l3-cache-schema "$1" c)" = c ]
  class=$world/resctrl/$("$LAY" inspect -f '{{.Id}}' c)
  strace -f -qq -o /dev/null -P "$class" -e trace=mkdirat -e inject=mkdirat:delay_exit=500000 \
    bash -c 'mount --bind "$0" /proc/$$/mountinfo; exec "$@"' "$world/mountinfo" "$LAY" start -a c 3>&- & starter=$!
  wait_until 5 test -d "$class"
  : >"$class/tasks"
  : >"$class/schemata"
  wait_until 5 is_running c
}
# ends_with_class: the container is removed, and its class with it.
ends_with_class() {
  rm "$class"/*  # the kernel's go with their folder
  "$LAY" stop -t 0 c >/dev/null
  wait $starter || true
  [ ! -e "$class" ]
  "$LAY" rm c >/dev/null
}

@test "what a container runs and what exec runs in it enters its own class, which update changes and its end removes" {
  command -v strace >/dev/null || skip "needs strace"
  starts_in_class L3:0=f
  [ "$(rdt_of)" = '{"l3CacheSchema":"L3:0=f"}' ]
  [ "$(cat "$class/schemata")" = L3:0=f ]
  [ "$(cat "$class/tasks")" = 0 ]  # whoever writes it
  : >"$class/tasks"
  lay_there exec c true
  [ "$(cat "$class/tasks")" = 0 ]
  [ "$(lay_there update --l3-cache-schema L3:0=3 c)" = c ]
  [ "$(cat "$class/schemata")" = L3:0=3 ]
  [ "$(rdt_of)" = '{"l3CacheSchema":"L3:0=3"}' ]
  ends_with_class
}

@test "an update that fails elsewhere leaves a class as it was" {
  command -v strace >/dev/null || skip "needs strace"
  starts_in_class L3:0=f
  refused 1 "" lay_there update --l3-cache-schema L3:0=3 --cpuset-cpus 4000 c
  [ "$(cat "$class/schemata")" = L3:0=f ]
  [ "$(rdt_of)" = '{"l3CacheSchema":"L3:0=f"}' ]
  ends_with_class
}

@test "schemata that a killed update has set and not noted are set right by the next update" {
  command -v strace >/dev/null || skip "needs strace"
  starts_in_class L3:0=f
  echo L3:0=3 >"$class/schemata"
  [ "$(lay_there update --l3-cache-schema L3:0=f c)" = c ]
  [ "$(cat "$class/schemata")" = L3:0=f ]
  ends_with_class
}

@test "an update of other limits leaves schemata as an operator wrote them, and does without a class that is gone" {
  command -v strace >/dev/null || skip "needs strace"
  starts_in_class L3:0=f
  echo L3:0=1 >"$class/schemata"
  lay_there update -m 64m c
  [ "$(cat "$class/schemata")" = L3:0=1 ]
  mv "$class" away
  lay_there update --pids-limit 70 c
  refused 1 "of resctrl is gone" lay_there update --l3-cache-schema L3:0=3 c
  mv away "$class"
  [ "$(jq .linux.resources.pids.limit "$LAY_ROOT"/containers/*/config.json)" = 70 ]
  ends_with_class
}

@test "under another runtime, update changes the class that this one has made, by its own name" {
  command -v runc >/dev/null || skip "runc is not installed"
  cat >runc <<'SH'
#!/bin/bash
# runc on a processor without RDT: it makes no class, and the stand-in is made beside it.
for word; do
  [ "$before" != --bundle ] || { jq 'del(.linux.intelRdt)' "$word/config.json" >bare && cat bare >"$word/config.json"; }
  before=$word
done
SH
  echo "exec $(command -v runc) \"\$@\"" >>runc
  chmod +x runc
  "$LAY" run --name c --runtime ./runc --network none small sh -c '[ ! -e /again ] || exec sleep 100; touch /again'
  lay_there update --l3-cache-schema L3:0=f c
  "$LAY" start c
  local id
  id=$("$LAY" inspect -f '{{.Id}}' c)
  mkdir "resctrl/${id:0:20}"
  echo L3:0=f >"resctrl/${id:0:20}/schemata"
  lay_there update --l3-cache-schema L3:0=3 c
  [ "$(cat "resctrl/${id:0:20}/schemata")" = L3:0=3 ]
  "$LAY" rm -f c
}

@test "lay-oci update leaves a class alone that others may be in" {
  mkdir -p resctrl/gold/mon_groups
  : >resctrl/gold/tasks
  echo L3:0=f >resctrl/gold/schemata
  "$LAY" bundle small made sleep 100
  jq '.linux.intelRdt = {closID: "gold"}' made/config.json >changed
  cp changed made/config.json
  lay_there oci --root "$world/oci" run -d -b made g1 <&- 3>&-
  refused 1 "is in class '$world/resctrl/gold' of resctrl, where others may be" \
    lay_there oci --root "$world/oci" update --l3-cache-schema L3:0=3 g1
  [ "$(cat resctrl/gold/schemata)" = L3:0=f ]
  "$LAY" oci --root "$world/oci" delete -f g1
}

@test "a class that does not get its schemata goes again, and nothing has started" {
  refused 125 "memory bandwidth schema 'MB:0=50'" lay_there run --rm --network none --mem-bw-schema MB:0=50 small true
  [ -z "$(ls resctrl)" ]
  [ -z "$("$LAY" ps -aq)" ]
}

@test "a class that others may be in is entered as it is; who runs in none gets one by a new start only" {
  mkdir -p resctrl/gold/mon_groups
  : >resctrl/gold/tasks
  echo L3:0=f >resctrl/gold/schemata
  lay_there run --rm --network none --rdt-class gold small true
  [ "$(cat resctrl/gold/tasks)" = 0 ]
  refused 125 "class 'gold' of resctrl has its own schema" \
    lay_there run --rm --network none --rdt-class gold --l3-cache-schema L3:0=f small true
  refused 125 "there is no class 'silver'" lay_there run --rm --network none --rdt-class silver small true
  refused 125 "is no schema of resctrl" lay_there run --rm --network none --l3-cache-schema f small true
  "$LAY" run -d --name c --network none small sleep 100 >/dev/null
  refused 1 "runs in no class of resctrl of its own" lay_there update --mem-bw-schema MB:0=50 c
  "$LAY" stop -t 0 c >/dev/null
  lay_there update --mem-bw-schema MB:0=50 c
  [ "$(jq -c .linux.intelRdt "$LAY_ROOT"/containers/*/config.json)" = '{"memBwSchema":"MB:0=50"}' ]
  refused 1 "there is no resctrl file system" "$LAY" start c
  has "$(lay_there info --security)" "$world/resctrl"
}

@test "a bundle has the schemata, for a machine that has resctrl" {
  "$LAY" bundle --l3-cache-schema L3:0=f --mem-bw-schema MB:0=50 small made true
  [ "$(jq -c .linux.intelRdt made/config.json)" = '{"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=50"}' ]
}
