#!/usr/bin/env bats
# Published ports, names and resolvers, seen from inside and outside. Each test has a network namespace of its own that
# plays the host.

load ../support/world
load ../support/uplink

setup() {
  open_world
  small_image
  export -f says
}
teardown() { leave_world; }

# says PORT TEXT [ADDRESS]: whether what listens there answers TEXT.
says() { [[ $(timeout 3 bash -c "exec 9<>/dev/tcp/${3-127.0.0.1}/$1 || exit; cat <&9" 2>/dev/null) == "$2" ]]; }

@test "a range of ports is published one to one, and ps shows it as a range" {
  on_host '
    "$LAY" run -d --name web -p 127.0.0.1:8000-8002:80-82 small sh -c \
      "for p in 80 81 82; do nc -ll -p \$p -e echo port \$p & done; wait" >/dev/null
    for i in 0 1 2; do wait_until 5 says 800$i "port 8$i"; done
    has "$("$LAY" ps)" "127.0.0.1:8000-8002->80-82/tcp"
    [ "$("$LAY" port web | wc -l)" = 3 ]
    [ "$("$LAY" port web 81)" = 127.0.0.1:8001 ]
    refused 1 "port 83/tcp is not published" "$LAY" port web 83
    refused 1 "port 81/udp is not published" "$LAY" port web 81/udp
    [ "$("$LAY" inspect -f "{{json .NetworkSettings.Ports}}" web | jq -r ".\"80/tcp\"[0].HostPort")" = 8000 ]'
}

@test "a port of a container that was stopped refuses connections at once" {
  on_host '
    for i in 1 2 3; do
      "$LAY" run -d --name web -p 127.0.0.1:8000:80 small nc -ll -p 80 -e echo page >/dev/null
      wait_until 5 says 8000 page
      "$LAY" stop -t 0 web
      # Also no first packet is lost, which would be sent again only after a second
      python3 -c "
import socket, time
begin = time.monotonic()
try: socket.create_connection((\"127.0.0.1\", 8000), 3)
except ConnectionRefusedError: assert time.monotonic() - begin < 0.5
else: raise SystemExit(1)"
      "$LAY" rm web >/dev/null
    done'
}

@test "a range of host ports for one port gives each container another one, until all are taken" {
  on_host '
    for name in one two; do "$LAY" run -d --name $name -p 8000-8001:80 small nc -ll -p 80 -e echo $name >/dev/null; done
    [ "$("$LAY" port one 80)" = 0.0.0.0:8000 ]
    [ "$("$LAY" port two 80)" = 0.0.0.0:8001 ]
    wait_until 5 says 8000 one
    wait_until 5 says 8001 two
    refused 125 "all ports from 8000/tcp to 8001 are already in use" "$LAY" run --rm -p 8000-8001:80 small true'
}

@test "-P publishes what the image exposes on free ports, which lay port tells" {
  "$LAY" import "$world/small" exposing --cmd '["/bin/sh"]' --expose 80-81 --expose 53/udp >/dev/null
  on_host '
    "$LAY" run -d --name web -P --expose 90 exposing sh -c "nc -ll -p 80 -e echo eighty & nc -ll -p 90 -e echo ninety & wait" >/dev/null
    port() { "$LAY" port web "$1" | sed "s/.*://"; }
    [ "$("$LAY" port web | sed "s/ .*//" | sort | xargs)" = "53/udp 80/tcp 81/tcp 90/tcp" ]
    wait_until 5 says "$(port 80)" eighty
    wait_until 5 says "$(port 90)" ninety
    "$LAY" stop -t 0 web >/dev/null
    [ -z "$("$LAY" port web)" ]'
  refused 125 "-P needs the bridge network" "$LAY" run --rm -P --network none exposing true
}

@test "an IPv6 host address is refused in words where the container has no IPv6" {
  refused 125 "the container has no IPv6 address" "$LAY" run --rm -p '[::1]:8080:80' small true
  "$LAY" network create four >/dev/null
  refused 125 "the container has no IPv6 address" "$LAY" run --rm -p '[::]:8080:80' --network four small true
  refused 125 "not an IPv6 address" "$LAY" run --rm -p '[::g]:8080:80' small true
  refused 125 "2 host ports for 3 of the container" "$LAY" run --rm -p 8000-8001:80-82 small true
}

@test "900 ports can be published at once" {
  on_host '
    ulimit -Sn 1024
    "$LAY" run -d --name many -p 20000-20898:20000-20898/udp -p 8080:80 small nc -ll -p 80 -e echo many >/dev/null
    [ "$("$LAY" port many | wc -l)" = 900 ]
    wait_until 5 says 8080 many
    has "$("$LAY" ps)" "0.0.0.0:20000-20898->20000-20898/udp"'
}

@test "--dns, --dns-search and --dns-option decide what resolv.conf says, --add-host what hosts says" {
  run "$LAY" run --rm --network none --dns 192.0.2.53 --dns 2001:db8::53 --dns-search corp.example --dns-search . \
    --dns-option ndots:2 --add-host db:192.0.2.7 --add-host six=2001:db8::7 small cat /etc/resolv.conf /etc/hosts
  [ "$status" = 0 ]
  has "$output" $'nameserver 192.0.2.53\nnameserver 2001:db8::53'
  has "$output" $'search corp.example'
  has "$output" $'options ndots:2'
  has "$output" $'192.0.2.7\tdb'
  has "$output" $'2001:db8::7\tsix'
  on_host '
    has "$("$LAY" run --rm --add-host host.docker.internal:host-gateway small sh -c \
      "grep host.docker.internal /etc/hosts; ip route")" "$(printf "10.99.0.1\thost.docker.internal\ndefault via 10.99.0.1")"'
  has "$("$LAY" run --rm --network host --add-host me:host-gateway small cat /etc/hosts)" $'127.0.0.1\tme'
  refused 125 "without a network there is no way to the host" \
    "$LAY" run --rm --network none --add-host me:host-gateway small true
}

@test "--no-hosts and --dns none leave the image's own files in sight" {
  echo 'the image says so' | tee "$world/small/etc/hosts" >"$world/small/etc/resolv.conf"
  "$LAY" import "$world/small" own >/dev/null
  [ "$("$LAY" run --rm --network none --no-hosts --dns none own cat /etc/hosts /etc/resolv.conf)" = \
    $'the image says so\nthe image says so' ]
  run "$LAY" run --rm --network none own cat /etc/hosts /etc/resolv.conf
  [[ $output != *'the image says so'* ]]
  refused 125 "--add-host cannot add" "$LAY" run --rm --no-hosts --add-host a:192.0.2.1 own true
}

@test "the host's name servers on loopback give way to those that systemd-resolved asks, or to public ones" {
  resolver() { unshare --mount bash -euc 'mount --bind "$1" /etc/resolv.conf
    mkdir -p /run/systemd/resolve && [ ! -e /run/systemd/resolve/resolv.conf ] && mount -t tmpfs none /run/systemd/resolve
    [ -z "$2" ] || echo "nameserver $2" >/run/systemd/resolve/resolv.conf
    "$LAY" run --rm --network none small cat /etc/resolv.conf' resolver "$@"; }
  echo 'nameserver 127.0.0.53' >stub
  [ "$(resolver stub 192.0.2.99)" = 'nameserver 192.0.2.99' ]
  has "$(resolver stub '')" 'nameserver 1.1.1.1'
  printf 'nameserver 127.0.0.1\nnameserver 192.0.2.1\n' >mixed
  [ "$(resolver mixed 192.0.2.99)" = 'nameserver 192.0.2.1' ]
}

@test "--mac-address is that of the container's link" {
  on_host '
    has "$("$LAY" run --rm --mac-address 02:42:AC:11:00:02 small ip link show eth0)" "link/ether 02:42:ac:11:00:02"
    "$LAY" run -d --name web --mac-address 02:42:ac:11:00:03 small sleep 60 >/dev/null
    [ "$("$LAY" inspect -f "{{.NetworkSettings.MacAddress}}" web)" = 02:42:ac:11:00:03 ]
    refused 125 "is not the MAC address of one station" "$LAY" run --rm --mac-address 01:42:ac:11:00:02 small true'
  refused 125 "--mac-address needs a network" "$LAY" run --rm --network none --mac-address 02:42:ac:11:00:02 small true
}

@test "N07: control characters, spaces and ';' in host names, hosts and resolver settings are refused" {
  local bad
  for bad in $'a\nb' 'a b' 'a;b' $'a\x1bb'; do
    refused 125 "is no host name" "$LAY" run --rm --hostname "$bad" small true
    refused 125 "host entry" "$LAY" run --rm --add-host "$bad:192.0.2.1" small true
    refused 125 "host entry" "$LAY" run --rm --add-host "db:192.0.2.1$bad" small true
    refused 125 "name server" "$LAY" run --rm --dns "192.0.2.1$bad" small true
    refused 125 "search domain" "$LAY" run --rm --dns-search "$bad" small true
    refused 125 "resolver option" "$LAY" run --rm --dns-option "$bad" small true
    refused 125 "" "$LAY" run --rm --network "$bad" small true
  done
}

@test "N09: turning forwarding on is said, in front and detached" {
  on_host '
    echo 0 >/proc/sys/net/ipv4/ip_forward
    has "$("$LAY" run --rm small true 2>&1)" "turned on net.ipv4.ip_forward"
    [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
    [ -z "$("$LAY" run --rm small true 2>&1)" ]
    echo 0 >/proc/sys/net/ipv4/ip_forward
    has "$("$LAY" run -d small sleep 60 2>&1)" "turned on net.ipv4.ip_forward"'
}

@test "N09: another tool's chain that drops forwarded packets is named in one line, and left alone" {
  on_host '
    nft "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"
    before=$(nft list table ip filter)
    run=$("$LAY" run --rm small true 2>&1)
    [ "$(wc -l <<<"$run")" = 1 ]
    has "$run" "nftables chain '"'ip filter FORWARD'"' of another tool drops"
    [ "$(nft list table ip filter)" = "$before" ]
    [ "$(nft list tables | grep -vc lay)" = 1 ]'
}

@test "N09: a policy of iptables-legacy that drops forwarded packets is named, until its rules let the bridge through" {
  command -v iptables-legacy >/dev/null || skip "iptables-legacy is not installed"
  on_host '
    iptables-legacy -P FORWARD DROP || exit 0 # this kernel has no such tables
    run=$("$LAY" run --rm -p 127.0.0.1:8000:80 small true 2>&1)
    [ "$(wc -l <<<"$run")" = 1 ]
    has "$run" "chain '"'FORWARD'"' of iptables-legacy drops"
    # Rules that no forwarded packet meets, and one for all links but ours
    bridge=$(sed -E "s/.*-I FORWARD -i ([^ ]+).*/\1/" <<<"$run")
    iptables-legacy -N mine
    for chain in INPUT mine; do iptables-legacy -A $chain -i "$bridge" -j ACCEPT; done
    for chain in OUTPUT mine; do iptables-legacy -A $chain -o "$bridge" -j ACCEPT; done
    iptables-legacy -A FORWARD ! -i "$bridge" -j ACCEPT
    iptables-legacy -A FORWARD ! -o "$bridge" -j ACCEPT
    [ "$("$LAY" run --rm -p 127.0.0.1:8000:80 small true 2>&1)" = "$run" ]
    iptables-legacy -I FORWARD -j mine
    [ -z "$("$LAY" run --rm -p 127.0.0.1:8000:80 small true 2>&1)" ]
    for chain in INPUT OUTPUT FORWARD; do iptables-legacy -F $chain; done
    eval "${run#*allow it: }"
    [ -z "$("$LAY" run --rm -p 127.0.0.1:8000:80 small true 2>&1)" ]
    iptables-legacy -P FORWARD ACCEPT
    iptables-legacy -F FORWARD
    [ -z "$("$LAY" run --rm -p 127.0.0.1:8000:80 small true 2>&1)" ]'
}

@test "N01: no process of lay has an abstract socket, which a container on the host's network could reach" {
  on_host '
    "$LAY" run -d --name web -p 8080:80 small sleep 60 >/dev/null
    "$LAY" serve --listen 127.0.0.1:0 >url 2>/dev/null &
    server=$!
    wait_until 5 test -s url
    "$LAY" exec web sleep 60 &
    wait_until 5 eval "\"$LAY\" exec web ps | grep -c \"sleep 60\" | grep -qx 2"
    unix=$("$LAY" run --rm --network host small cat /proc/net/unix)
    kill $server
    has "$unix" RefCount
    [[ $unix != *@* ]]'
}
