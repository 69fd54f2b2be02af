#!/usr/bin/env bats
# Beside others on one machine: lay's networks change nothing of anybody's rules, settings, routes and links, tell of whom
# they depend on, and are what was asked for after a restart. Each test has a network namespace that plays the host.

load ../support/world
load ../support/uplink

setup() {
  open_world
  small_image
  export -f others settings
}
teardown() { leave_world; }

# others: every table but lay's, as nft prints it.
others() { nft --stateless list ruleset | awk '/^table/ {keep = $3 !~ /^lay(-|$)/} keep'; }
# settings: of the network as a whole and of links that are not lay's; routes, rules, addresses and links beside them.
settings() {
  (cd /proc/sys/net && grep -rs '' . | grep -vE '/(lay|veth)|/(random_table_perturb|flush|nf_conntrack_count|gc_)|/neigh/lay' | sort)
  ip -o addr show up0; ip rule; ip -6 rule; ip route show table all | grep -v lay; ip -6 route show table all | grep -v lay
  ip -o link | grep -oE '^[0-9]+: (lo|up0)[^ ]* <[^>]*> mtu [0-9]+.*qdisc [a-z]+'
}

# What docker, firewalld and an administrator may have, with sets, maps, counters and a table that is called nearly as lay's.
foreign='
table ip nat {
  chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local counter jump DOCKER; }
  chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
  chain DOCKER { iifname "docker0" counter return; tcp dport 9999 dnat to 172.17.0.2:80; }
}
table inet firewalld {
  set allowed { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }
  map ports { type inet_service : verdict; elements = { 22 : accept }; }
  chain filter_INPUT { type filter hook input priority filter + 10; policy accept; ct state established accept; tcp dport vmap @ports; }
}
table ip6 filter {
  chain FORWARD { type filter hook forward priority filter; policy accept; }
}
table bridge layer2 {
  chain forward { type filter hook forward priority filter; policy accept; ip saddr 192.0.2.66 drop; }
}
table ip my-lay {
  set s { type ipv4_addr; elements = { 192.0.2.1 }; }
}'

@test "N09: nothing of others changes by a byte: rules, settings, routes, rules of routing, links" {
  echo "$foreign" >foreign.nft
  on_host_with_other '
    nft -f "$world/foreign.nft"
    ip addr add 2001:db8::1/64 dev up0 nodad
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    ip rule add from 192.0.2.1 lookup 77
    ip route add 192.0.2.0/24 via 198.51.100.2 table 77
    wait_until 5 eval "! ip addr show up0 | grep -q tentative"
    others >before.rules; settings >before.settings
    [ "$(grep -c ^table before.rules)" = 5 ]
    same() { others | diff before.rules - && settings | diff before.settings -; }
    "$LAY" run -d --name web -p 8080:80 -p 8081:81/udp small sleep 1000 >/dev/null
    others | diff before.rules -
    "$LAY" network create --ipv6 --subnet 10.77.0.0/24 six >/dev/null
    "$LAY" network create --internal vault >/dev/null
    "$LAY" network create -d macvlan -o parent=up0 lan >/dev/null
    "$LAY" run -d --name more --network six --network vault -p "[::]:8082:80" small sleep 1000 >/dev/null
    "$LAY" run -d --name wire --network lan --ip 198.51.100.77 small sleep 1000 >/dev/null
    "$LAY" network connect six web
    others | diff before.rules -
    "$LAY" network disconnect six web
    kill -9 "$(ps -o ppid= -p "$("$LAY" inspect -f "{{.State.Pid}}" more)" | tr -d " ")"
    "$LAY" run --rm --network six small true
    others | diff before.rules -
    "$LAY" rm -f web more wire >/dev/null
    wait_until 10 eval "[ \$(links) = 0 ]"
    wait_until 10 same || { same; exit 1; }
    [ "$(nft list tables | grep -c "lay-\|^table [a-z0-9]* lay$")" = 0 ]'
}

@test "N09: tables of others that are removed, flushed and made while containers run are theirs, and ports go on" {
  echo "$foreign" >foreign.nft
  on_host_with_other '
    "$LAY" run -d --name web -p 8080:80 small nc -ll -p 80 -e echo page >/dev/null
    page() { [ "$(there timeout 3 bash -c "exec 3<>/dev/tcp/198.51.100.1/8080; cat <&3")" = page ]; }
    wait_until 5 page
    nft -f "$world/foreign.nft"
    page
    nft delete table inet firewalld
    others >before.rules
    "$LAY" run -d --name second -p 8081:80 small sleep 1000 >/dev/null
    page
    others | diff before.rules -
    nft flush ruleset
    "$LAY" run --rm small true
    page
    [ -z "$(others)" ]'
}

@test "N09: a chain that drops is named for every verb that publishes, and not where nothing drops" {
  on_host_with_other '
    said() { "$@" 2>&1 >/dev/null | grep -c "of another tool drops" || true; }
    table() { nft "add table $1 t; add chain $1 t c { type filter hook forward priority 0; policy ${2-drop}; }"; }
    table ip accept
    [ "$(said "$LAY" run --rm -p 8080:80 small true)" = 0 ]
    nft delete table ip t
    for family in ip inet; do
      table $family
      [ "$(said "$LAY" run --rm -p 8080:80 small true)" = 1 ]
      [ "$(said "$LAY" run -d --name web -p 8080:80 small sleep 1000)" = 1 ]
      "$LAY" stop -t 0 web >/dev/null
      [ "$(said "$LAY" start web)" = 1 ]
      "$LAY" rm -f web >/dev/null
      [ "$(said "$LAY" run --rm --network none small true)" = 0 ]
      nft delete table $family t
    done'
}

@test "N09: network connect names a chain that drops as run does" {
  on_host_with_other '
    nft "add table ip t; add chain ip t c { type filter hook forward priority 0; policy drop; }"
    "$LAY" network create --subnet 10.77.0.0/24 back >/dev/null
    "$LAY" run -d --name joins --network none small sleep 1000 >/dev/null
    has "$("$LAY" network connect back joins 2>&1)" "of another tool drops"'
}

@test "N09: a chain of family ip6 that drops is named where the network has IPv6, and only there" {
  on_host_with_other '
    said() { "$@" 2>&1 >/dev/null | grep -c "of another tool drops" || true; }
    nft "add table ip6 filter; add chain ip6 filter FORWARD { type filter hook forward priority 0; policy drop; }"
    [ "$(said "$LAY" run --rm small true)" = 0 ]
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 six >/dev/null
    [ "$(said "$LAY" run --rm --network six small true)" = 1 ]'
}

@test "a network stands beside the bridge of all, whichever was made and used first" {
  on_host_with_other '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name first small sleep 1000 >/dev/null
    "$LAY" run -d --name second --network back small sleep 1000 >/dev/null
    "$LAY" network create forth >/dev/null
    "$LAY" run -d --name third --network forth small sleep 1000 >/dev/null
    [ "$("$LAY" ps -q | wc -l)" = 3 ]'
}

# tells_udp: a server on UDP port 80 in the container's network that answers with the address of who asks.
tells='import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.bind(("", 80))
open("ready", "w").close()
while True: asked.sendto((client := asked.recvfrom(100)[1])[0].encode(), client)'
asks='import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(3)
client.connect((sys.argv[1], int(sys.argv[2])))
client.send(b"?")
print(client.recv(100).decode())'

@test "a UDP port and ranges of them are published, on one address too, and the service sees who asks" {
  echo "$tells" >tells.py
  echo "$asks" >asks.py
  on_host_with_other '
    ip addr add 198.51.100.3/24 dev up0
    "$LAY" run -d --name dns -p 198.51.100.3:5300:80/udp -p 6000-6002:80-82/udp small sleep 1000 >/dev/null
    nsenter -t "$("$LAY" inspect -f "{{.State.Pid}}" dns)" -n python3 "$world/tells.py" 3>&- & server=$!
    wait_until 5 test -e ready
    asks() { "${@:3}" python3 "$world/asks.py" "$1" "$2" 2>/dev/null; }
    [ "$(asks 198.51.100.3 5300 there)" = 198.51.100.2 ]
    [ "$(asks 198.51.100.1 6000 there)" = 198.51.100.2 ]
    [ -z "$(asks 198.51.100.1 5300 there)" ]
    [ -z "$(asks 198.51.100.1 6003 there)" ]
    asks 127.0.0.1 6000 env | grep -q "^10\."
    has "$("$LAY" ps)" "0.0.0.0:6000-6002->80-82/udp"'
}

@test "the MTU of the uplink is that of bridge, port and container, on networks of the user and macvlan too" {
  on_host_with_other '
    ip link set up0 mtu 1342
    there ip link set up1 mtu 1342
    "$LAY" network create --subnet 10.77.0.0/24 back >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 -o mtu=1300 narrow >/dev/null
    "$LAY" network create -d macvlan -o parent=up0 lan >/dev/null
    mtu() { "$LAY" run --rm --network "$1" small cat /sys/class/net/eth0/mtu; }
    [ "$(mtu bridge)" = 1342 ]
    [ "$(mtu lan)" = 1342 ]
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null
    [ "$("$LAY" exec web cat /sys/class/net/eth0/mtu)" = 1342 ]
    "$LAY" network connect narrow web
    [ "$("$LAY" exec web cat /sys/class/net/eth1/mtu)" = 1300 ]'
}

@test "one container after the other has the MTU of the uplink, or the one that the network was made with" {
  on_host_with_other '
    ip link set up0 mtu 1342
    "$LAY" network create --subnet 10.78.0.0/24 -o mtu=1300 narrow >/dev/null
    mtu() { "$LAY" run --rm --network "$1" small cat /sys/class/net/eth0/mtu; }
    for round in 1 2 3; do
      [ "$(mtu bridge)" = 1342 ] || { echo "round $round: $(mtu bridge)"; exit 1; }
      [ "$(mtu narrow)" = 1300 ] || { echo "round $round: $(mtu narrow)"; exit 1; }
    done'
}

@test "what a container was given for names and addresses it has after a restart, beside the names of its network" {
  on_host_with_other '
    "$LAY" network create --subnet 10.77.0.0/24 back >/dev/null
    "$LAY" run -d --name db --network back:ip=10.77.0.8 small nc -ll -p 80 -e echo data >/dev/null
    "$LAY" run -d --name web --network back:ip=10.77.0.99,alias=www --mac-address 02:42:ac:11:00:09 -h box --dns 192.0.2.53 \
      --dns-search corp.example --dns-option ndots:2 --add-host db2:192.0.2.7 --add-host up:host-gateway small sleep 1000 >/dev/null
    seen() { "$LAY" exec web sh -c "cat /etc/resolv.conf /etc/hosts; hostname; cat /sys/class/net/eth0/address; ip -o -4 addr show eth0"; }
    check() {
      for word in "nameserver 192.0.2.53" "search corp.example" "options ndots:2" "192.0.2.7" "10.77.0.99/24" box 02:42:ac:11:00:09 \
        "$(printf "10.77.0.1\tup")"; do has "$(seen)" "$word"; done
      wait_until 5 eval "[ \"\$(\"$LAY\" exec web nc db 80)\" = data ]"
      "$LAY" exec db cat /etc/hosts | grep -w "^10.77.0.99" | grep -qw www
    }
    check
    "$LAY" stop -t 0 web >/dev/null
    "$LAY" run --rm --network back small true
    "$LAY" start web >/dev/null
    check
    kill -9 "$(ps -o ppid= -p "$("$LAY" inspect -f "{{.State.Pid}}" web)" | tr -d " ")"
    wait_until 10 eval "[ -z \"\$(\"$LAY\" ps -q --filter name=web)\" ]"
    "$LAY" start web >/dev/null
    check'
}

@test "one alias of several containers leads to one of them, and to the other when that is gone" {
  on_host_with_other '
    "$LAY" network create --subnet 10.77.0.0/24 back >/dev/null
    for name in one two; do
      "$LAY" run -d --name $name --network back:alias=app small nc -ll -p 80 -e echo $name >/dev/null
    done
    "$LAY" run -d --name client --network back small sleep 1000 >/dev/null
    answer() { "$LAY" exec client nc app 80; }
    wait_until 5 answer
    first=$(answer)
    "$LAY" stop -t 0 $first >/dev/null
    wait_until 5 eval "answer | grep -vx $first | grep -xE \"one|two\""
    "$LAY" stop -t 0 one two >/dev/null
    ! answer 2>/dev/null || exit 1'
}

@test "macvlan: a MAC address and an alias are had, and an address that is taken meanwhile is not given twice" {
  on_host_with_other '
    "$LAY" network create -d macvlan -o parent=up0 lan >/dev/null
    "$LAY" run -d --name web --network lan:ip=198.51.100.40,mac=02:42:ac:11:00:0a,alias=www small sleep 1000 >/dev/null
    has "$("$LAY" exec web ip -o addr show eth0)" 198.51.100.40/24
    [ "$("$LAY" exec web cat /sys/class/net/eth0/address)" = 02:42:ac:11:00:0a ]
    there busybox ping -c 1 -W 2 198.51.100.40 >/dev/null
    has "$("$LAY" run --rm --network lan small cat /etc/hosts)" www
    refused 125 "in use" "$LAY" run --rm --network lan --ip 198.51.100.40 small true
    "$LAY" stop -t 0 web >/dev/null
    there ip addr add 198.51.100.40/24 dev up1
    refused 1 "in use by another machine" "$LAY" start web
    there ip addr del 198.51.100.40/24 dev up1
    "$LAY" start web >/dev/null'
}
