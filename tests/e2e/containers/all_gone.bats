#!/usr/bin/env bats
# Containers of every kind at once; however each of them ends, nothing of it is left on the machine or in RUN.

load ../support/world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

kinds=(
  "--network none" "--network host" "-p 127.0.0.1::80" "-p 127.0.0.1::53/udp -P --expose 90"
  "--network none --userns auto" "--userns auto -p 127.0.0.1::80" "--userns 0:300000:1000 --network six"
  "--network six" "--network six --network vault" "--network vault" "--network lan"
  "--network none --init --read-only --tmpfs /tmp" "--network none -t" "--network none -v $BATS_TEST_TMPDIR:/v:ro"
  "--network none --cgroup-parent lay-test-$$/deep -m 64m" "--network none --pid host --ipc host --uts host"
  "--network none --device /dev/loop-control --cap-add ALL" "--network none --landlock ro=/" "--network none --time boottime=1d"
  "--network container:base --pid container:base --ipc container:base" "--network none --privileged"
)

# traces: all that lay might leave. RUN keeps empty folders, locks, the choice of the bridge's
# subnet and layers of mount points for the next start.
traces() {
  host_traces
  nft list ruleset
  ip -o addr show | awk '{print $2, $4}'
  ip route show table all; ip -6 route show table all | grep -v '^multicast' || true
  find /sys/fs/cgroup -path "*lay-test-$$*"
  find "$LAY_RUN" \( -type f -o -type s -o -type l \) ! -path '*/points/*' ! -name '*lock' ! -name '*.linger' ! -name network.json \
    ! -path "$LAY_RUN/layers/*" ! -path '*/plans/*'
  grep -o 'lay-e2e[^ ]*' /proc/self/mountinfo || true
  losetup -a; ls /dev/shm
  ls "$LAY_ROOT/containers" | grep -v lock || true
}
# processes: of lay, whose environment names this world's run folder.
processes() {
  local pid
  for pid in $(grep -lsF "LAY_RUN=$LAY_RUN" /proc/[0-9]*/environ | cut -d/ -f3); do
    [ "$(readlink "/proc/$pid/exe")" != "$(realpath "$LAY")" ] || echo "$pid"
  done
}
export -f traces host_traces mounts_below wait_until processes

@test "containers of every kind, that end, are stopped, killed, or lose their supervisor, leave nothing" {
  export world count=${#kinds[@]}
  printf '%s\n' "${kinds[@]}" >kinds
  unshare --net bash -euc '
    ip link set lo up
    ip link add up0 type veth peer name up1
    ip addr add 198.51.100.1/24 dev up0
    ip link set up0 up; ip link set up1 up
    ip route add default via 198.51.100.2
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    wait_until 5 eval "! ip addr show | grep -q tentative"
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 six >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 --internal vault >/dev/null
    "$LAY" network create -d macvlan -o parent=up0 lan >/dev/null
    "$LAY" run --rm --network none small true
    wait_until 10 eval "! grep -qF $LAY_RUN/ /proc/self/mountinfo"
    traces >before
    "$LAY" run -d --name base small sleep 1000 >/dev/null
    number=0
    while read -r kind; do
      "$LAY" run -d --name "c$number" $kind small sleep 1000 >/dev/null </dev/null || { echo "$kind"; exit 1; }
      "$LAY" exec "c$number" true </dev/null
      number=$((number + 1))
    done <kinds
    [ "$("$LAY" ps -q | wc -l)" = $((count + 1)) ]
    for ((number = 0; number < count; number++)); do
      first=$("$LAY" inspect -f "{{.State.Pid}}" "c$number")
      case $((number % 4)) in
        0) "$LAY" stop -t 0 "c$number" >/dev/null ;;
        1) kill -9 "$first" ;;
        2) kill -9 "$(ps -o ppid= -p "$first" | tr -d " ")" ;;
        3) "$LAY" kill "c$number" >/dev/null ;;
      esac
    done
    wait_until 10 eval "[ \"\$(\"$LAY\" ps -q | wc -l)\" = 1 ]"
    "$LAY" ps -aq | xargs "$LAY" rm -f >/dev/null
    "$LAY" run --rm --network none --userns auto small true # which gives back ids that a killed one had
    same() { traces | diff before -; }
    wait_until 15 same || { same; exit 1; }
    wait_until 10 eval "[ -z \"\$(processes)\" ]"
    "$LAY" network rm six vault lan >/dev/null
    [ -z "$(ls "$LAY_RUN/networks")" ]' all_gone
}
