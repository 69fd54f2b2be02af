# Loaded behind world.bash by the stories of networks: a network namespace that plays the host, so that nothing of the
# machine's network is touched or seen, and another machine on its uplink.

# on_host SCRIPT: runs SCRIPT by a shell on the host, whose uplink up0 leads nowhere. What it calls of the story's functions
# has to be exported. The processes `other` and `server` end with it.
on_host() {
  export -f refused has wait_until other_machine there
  export world
  unshare --net bash -euc 'trap "kill \${other:-} \${server:-} 2>/dev/null || true" EXIT
    ip link set lo up
    ip link add up0 type veth peer name up1
    ip addr add 198.51.100.1/24 dev up0
    ip link set up0 up
    ip link set up1 up
    ip route add default via 198.51.100.2
    echo 1 >/proc/sys/net/ipv4/ip_forward
    links() { ip -br link | grep -c "^lay" || true; }
    eval "$1"; "$LAY" ps -aq | xargs -r "$LAY" rm -f >/dev/null' on_host "$1"
}
# on_host_with_other SCRIPT: as on_host, beside the other machine.
on_host_with_other() { on_host "other_machine; $1"; }

# other_machine: on the host: moves the uplink's other end into a namespace of its own; sets `other`, the process in it.
other_machine() {
  unshare --net sleep 300 3>&- & other=$!
  wait_until 5 eval '[ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
  ip link set up1 netns $other
  there ip link set lo up
  there ip addr add 198.51.100.2/24 dev up1
  there ip link set up1 up
}
# there COMMAND...: runs it on the other machine.
there() { nsenter -t "$other" -n "$@"; }
