#!/usr/bin/env bats
# Networks that users make, seen from inside the containers on them. Each test has a network namespace of its own that
# plays the host.

load ../support/world
load ../support/uplink

setup() {
  open_world
  small_image
  export -f tells_client address knows forgot fails gets
}
teardown() { leave_world; }

# tells_client PORT: a server of the other machine that tells each client its address.
tells_client() {
  nsenter -t "$other" -n python3 -c "
import socket, threading
server = socket.create_server(('::', $1), family=socket.AF_INET6, dualstack_ipv6=True)
open('$world/ready', 'w').close()
while True:
  client, address = server.accept()
  client.sendall(address[0].encode()); client.close()" 3>&- & server=$!
  wait_until 5 test -e "$world/ready"
}

address() { "$LAY" inspect -f "{{.NetworkSettings.IPAddress}}" "$1"; }
# knows CONTAINER NAME: whether its hosts file has the name.
knows() { grep -qw -- "$2" <<<"$("$LAY" exec "$1" cat /etc/hosts)"; }
forgot() { ! knows "$@"; }
fails() { ! "$@" >/dev/null 2>&1; }

@test "network create makes ROOT and RUN with all above them" {
  export LAY_RUN=$world/run/deep/run
  "$LAY" --root "$world/new/deep/root" network create deep >/dev/null
  [ "$("$LAY" --root "$world/new/deep/root" network ls --format '{{.Name}}' | grep -v bridge)" = deep ]
  [ "$(stat -c %a "$world/new/deep/root")" = 700 ]
  "$LAY" --root "$world/new/deep/root" network rm deep
}

@test "the bridge of all is inspected as any other network, with the subnet that was chosen" {
  "$LAY" run -d --name c small sleep 1000 >/dev/null
  "$LAY" network inspect bridge >bridge.json
  local address subnet
  address=$("$LAY" inspect -f '{{.NetworkSettings.IPAddress}}' c)
  subnet=$(jq -r '.[0].IPAM.Config[0].Subnet' bridge.json)
  python3 -c 'import ipaddress, sys; assert ipaddress.ip_address(sys.argv[1]) in ipaddress.ip_network(sys.argv[2])' "$address" "$subnet"
  [ "$(jq -r '.[0].IPAM.Config[0].Gateway' bridge.json)" = "$("$LAY" exec c ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')" ]
  [ "$("$LAY" network ls --filter name=bridge --format '{{.Subnet}}')" = "$subnet" ]
}

@test "a subnet in that of the bridge, or of a route of the host, is refused when the network is made" {
  on_host '
    "$LAY" run -d --name c small sleep 1000 >/dev/null
    subnet=$("$LAY" network ls --filter name=bridge --format "{{.Subnet}}")
    refused 1 "overlaps $subnet, which is routed on this machine" "$LAY" network create --subnet "${subnet%/*}/24" inside
    ip link add away type veth peer name away2
    ip link set away up
    ip route add 10.66.0.0/16 dev away
    refused 1 "overlaps 10.66.0.0/16, which is routed on this machine" "$LAY" network create --subnet 10.66.3.0/24 inside
    [ "$("$LAY" network ls -q)" = bridge ]
    ip -6 route add fd66::/48 dev away
    refused 1 "overlaps fd66::/48, which is routed on this machine" "$LAY" network create --subnet fd66:0:0:1::/64 inside
    ip link del away
    [ "$("$LAY" network create --subnet 10.66.3.0/24 inside)" = inside ]
    "$LAY" run --rm --network inside small true
    "$LAY" network rm inside # whose bridge may linger
    [ "$("$LAY" network create --subnet 10.66.3.0/24 inside)" = inside ]
  '
}

@test "a network is made, listed, inspected, used, and goes only when nobody uses it" {
  on_host '
    [ "$("$LAY" network create --subnet 10.77.0.0/24 -o mtu=1400 --label tier=back back)" = back ]
    refused 1 "network '"'back'"' is there already" "$LAY" network create back
    refused 1 "overlaps 10.77.0.0/24 of network" "$LAY" network create --subnet 10.77.0.0/16 other
    [ "$("$LAY" network ls -q | xargs)" = "bridge back" ]
    [ "$("$LAY" network inspect back | jq -r ".[0].IPAM.Config[0].Gateway")" = 10.77.0.1 ]
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null
    has "$(address web)" 10.77.0.
    [ "$("$LAY" exec web cat /sys/class/net/eth0/mtu)" = 1400 ]
    [ "$("$LAY" inspect web | jq -r ".[0].NetworkSettings.Networks.back.Gateway")" = 10.77.0.1 ]
    [ "$("$LAY" network inspect back | jq -r ".[0].Containers[].Name")" = web ]
    refused 1 "is used by container" "$LAY" network rm back
    grep -q "^hint: lay network disconnect back " "$world/refused.err"
    "$LAY" rm -f web >/dev/null
    "$LAY" network rm back
    refused 125 "is not known" "$LAY" run --rm --network back small true
    wait_until 5 eval "[ \$(links) = 0 ]"'
}

@test "a network without a subnet gets one that no route and no other network has" {
  on_host '
    ip route add blackhole 10.99.0.0/16
    "$LAY" network create one >/dev/null
    "$LAY" network create two >/dev/null
    [ "$("$LAY" network inspect one two | jq -r ".[].IPAM.Config[0].Subnet" | xargs)" = "10.100.0.0/16 10.101.0.0/16" ]
    "$LAY" network prune -f >/dev/null
    [ "$("$LAY" network ls -q)" = bridge ]'
}

@test "containers on one network find each other by name, alias and short id, and forget who is gone" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name db --network back:alias=sql small nc -ll -p 80 -e echo data >/dev/null
    id=$("$LAY" run -d --name web --network back --network-alias www small sleep 1000)
    for name in db sql; do
      wait_until 5 eval "[ \"\$(\"$LAY\" exec web nc $name 80)\" = data ]"
    done
    "$LAY" exec db cat /etc/hosts | grep -w "^$(address web)" | grep -w www | grep -w web | grep -qw "${id:0:12}"
    "$LAY" exec web sh -c "echo 9.9.9.9 mine >>/etc/hosts"
    "$LAY" stop -t 0 db >/dev/null
    wait_until 5 forgot web sql
    knows web mine
    "$LAY" start db >/dev/null
    knows web sql'
}

@test "who joins the network of another has its hosts file: later ones come and go in both" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null
    "$LAY" run -d --name side --network container:web --userns auto small sleep 1000 >/dev/null
    "$LAY" run -d --name third --network container:side small sleep 1000 >/dev/null
    "$LAY" run -d --name late --network back small sleep 1000 >/dev/null
    for one in web side third; do knows $one late; done
    cmp <("$LAY" exec web cat /etc/resolv.conf) <("$LAY" exec third cat /etc/resolv.conf)
    "$LAY" rm -f late >/dev/null
    for one in web side third; do wait_until 5 forgot $one late; done
    "$LAY" rm -f web >/dev/null
    refused 1 "no container" "$LAY" restart -t 0 side
    "$LAY" exec third cat /etc/hosts >/dev/null'
}

@test "on the host's network the names of its hosts file are known, behind those of --add-host" {
  echo "192.0.2.7 of-the-host" >hosts
  unshare --mount --propagation private bash -ec '
    mount --bind hosts /etc/hosts
    "$LAY" run --rm --network host --add-host mine:192.0.2.8 -h box small cat /etc/hosts >said
    "$LAY" run --rm --network none small cat /etc/hosts >alone'
  printf "192.0.2.8\tmine\n192.0.2.7 of-the-host\n127.0.1.1\tbox\n" | cmp - said
  [ "$(grep -c of-the-host alone)" = 0 ]
}

@test "containers on different networks do not reach each other" {
  on_host '
    "$LAY" network create one >/dev/null
    "$LAY" network create two >/dev/null
    "$LAY" run -d --name db --network one small nc -ll -p 80 -e echo data >/dev/null
    wait_until 5 eval "[ \"\$(\"$LAY\" run --rm --network one small nc $(address db) 80)\" = data ]"
    for network in two bridge; do
      [ "$("$LAY" run --rm --network $network small sh -c "nc -w 1 $(address db) 80; echo end" 2>/dev/null)" = end ]
    done'
}

# gets CONTAINER ADDRESS: whether port 80 there answers.
gets() { [[ $(timeout 3 "$LAY" exec "$1" nc -w 1 "$2" 80 2>/dev/null) == page ]]; }

@test "N02: with icc=false containers reach the host and what is outside, not each other, by whatever way they try" {
  on_host '
    "$LAY" network create --ipv6 -o com.docker.network.bridge.enable_icc=false apart >/dev/null
    "$LAY" network create --ipv6 -o icc=true -o isolate=true near >/dev/null
    [ "$("$LAY" network inspect apart | jq -r ".[0].Options.icc")" = false ]
    refused 1 "neither true nor false" "$LAY" network create -o icc=maybe other
    for network in near apart; do
      "$LAY" run -d --name web-$network --network $network -p 127.0.0.1::80 small nc -ll -p 80 -e echo page >/dev/null
      "$LAY" run -d --name asks-$network --cap-add NET_ADMIN --network $network small sleep 1000 >/dev/null
    done
    ip=$(address web-apart) ip6=$("$LAY" inspect -f "{{.NetworkSettings.GlobalIPv6Address}}" web-apart)
    near6=$("$LAY" inspect -f "{{.NetworkSettings.GlobalIPv6Address}}" web-near)
    wait_until 5 gets asks-near "$(address web-near)"
    wait_until 5 gets asks-near "$near6"
    answers() { [[ $(timeout 3 busybox nc -w 1 "$1" 80 </dev/null) == page ]]; }
    wait_until 5 answers "$ip"
    fails gets asks-apart "$ip"
    fails gets asks-apart "$ip6"
    # The host routes between them no more than the bridge does
    "$LAY" exec asks-apart ip route add "$ip/32" via "$("$LAY" inspect -f "{{.NetworkSettings.Gateway}}" asks-apart)"
    "$LAY" exec asks-apart ip -6 route add "$ip6/128" via "$("$LAY" inspect -f "{{.NetworkSettings.IPv6Gateway}}" asks-apart)"
    fails gets asks-apart "$ip"
    fails gets asks-apart "$ip6"
    nft flush ruleset
    "$LAY" run --rm --network apart small true
    fails gets asks-apart "$ip"
    fails gets asks-apart "$ip6"'
}

@test "N06: with metadata=false nobody on the network reaches 169.254.169.254, which others do" {
  on_host '
    ip addr add 169.254.169.254/32 dev lo
    ip -6 addr add fd00:ec2::254/128 dev lo nodad
    busybox nc -ll -p 80 -e echo page 3>&- & server=$!
    "$LAY" network create --ipv6 -o metadata=false careful >/dev/null
    "$LAY" network create --ipv6 near >/dev/null
    for network in near careful; do
      "$LAY" run -d --name $network --network $network small sleep 1000 >/dev/null
    done
    wait_until 5 gets near 169.254.169.254
    fails gets careful 169.254.169.254
    fails gets careful fd00:ec2::254
    gets careful "$("$LAY" inspect -f "{{.NetworkSettings.Gateway}}" careful)"
    kill $server'
}

@test "N06: an internal network leads neither to the host nor out, even with a route that was added" {
  on_host '
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip addr add 169.254.169.254/32 dev lo
    "$LAY" network create --internal vault >/dev/null
    "$LAY" run -d --name db --network vault small nc -ll -p 80 -e echo data >/dev/null
    gateway=$("$LAY" network inspect vault | jq -r ".[0].IPAM.Config[0].Gateway")
    wait_until 5 eval "[ \"\$(\"$LAY\" run --rm --network vault small nc $(address db) 80)\" = data ]"
    [ "$("$LAY" run --rm --network vault small cat /proc/net/route | wc -l)" = 2 ]  # a title and the subnet
    python3 -c "
import socket, threading
for address in (\"169.254.169.254\", \"$gateway\", \"198.51.100.1\"):
  server = socket.create_server((address, 5353))
  threading.Thread(target=lambda s=server: [c[0].sendall(b\"leak\") or c[0].close() for c in iter(s.accept, None)], daemon=True).start()
open(\"$world/ready\", \"w\").close()
threading.Event().wait(60)" 3>&- & server=$!
    wait_until 5 test -e "$world/ready"
    timeout 3 bash -c "exec 3<>/dev/tcp/$gateway/5353; cat <&3" | grep -q leak
    wait_until 10 eval "\"$LAY\" run --rm small nc -w 2 198.51.100.1 5353 | grep -q leak"  # the default bridge does reach it
    for address in 169.254.169.254 $gateway 198.51.100.1; do
      out=$("$LAY" run --rm --cap-add NET_ADMIN --network vault small sh -c \
        "ip route add default via $gateway; nc -w 1 $address 5353" 2>&1 || true)
      case $out in *leak*) echo "$address answers"; kill $server; exit 1;; esac
    done
    refused 125 "is internal: no port can be published" "$LAY" run --rm --network vault -p 8080:80 small true
    kill $server'
}

@test "--ip is had or refused, and only on a network that was made" {
  on_host '
    "$LAY" network create --subnet 10.77.0.0/24 back >/dev/null
    "$LAY" run -d --name web --network back --ip 10.77.0.9 small sleep 1000 >/dev/null
    [ "$(address web)" = 10.77.0.9 ]
    refused 125 "address 10.77.0.9 is in use" "$LAY" run --rm --network back:ip=10.77.0.9 small true
    for wrong in 10.77.0.1 10.77.0.255 10.78.0.2 x; do
      refused 125 "is none for a container" "$LAY" run --rm --network back --ip $wrong small true
    done
    refused 125 "need a network that was made" "$LAY" run --rm --ip 10.99.0.9 small true'
}

@test "N08: starts in parallel on one network never get one address" {
  on_host '
    "$LAY" network create back >/dev/null
    pids=
    for i in $(seq 20); do "$LAY" run -d --name c$i --network back small sleep 1000 >/dev/null & pids+=" $!"; done
    for pid in $pids; do wait $pid; done
    [ "$(for i in $(seq 20); do address c$i; done | sort -u | wc -l)" = 20 ]
    for i in $(seq 20); do knows c1 c$i; done'
}

@test "N08: a killed supervisor leaves no link, lease or name after the next command" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name keeps --network back small sleep 1000 >/dev/null
    "$LAY" run -d --name dies --network back small sleep 1000 >/dev/null
    first=$("$LAY" inspect -f "{{.State.Pid}}" dies)
    supervisor=$(awk "/^PPid/ {print \$2}" /proc/$first/status)
    kill -9 $supervisor $first
    wait_until 5 eval "! test -d /proc/$supervisor"
    "$LAY" rm -f dies >/dev/null
    forgot keeps dies
    [ "$(ls "$LAY_RUN"/networks/*/leases | wc -l)" = 1 ]
    "$LAY" rm -f keeps >/dev/null
    wait_until 5 eval "[ \$(links) = 0 ]"
    [ "$(nft list tables | grep -c lay)" = 0 ]'
}

@test "a container on several networks has a link, an address and the names of each" {
  on_host '
    "$LAY" network create --subnet 10.77.0.0/24 one >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 two >/dev/null
    "$LAY" run -d --name db --network two small nc -ll -p 80 -e echo data >/dev/null
    "$LAY" run -d --name web --network one:ip=10.77.0.8 small nc -ll -p 80 -e echo page >/dev/null
    "$LAY" run -d --name both -p 8080:80 --network one:ip=10.77.0.9 --network two:alias=bee,mac=02:00:00:00:00:07 small \
      nc -ll -p 80 -e echo both >/dev/null
    [ "$("$LAY" exec both ip -o -4 addr show eth0 | grep -c 10.77.0.9/24)" = 1 ]
    [ "$("$LAY" exec both ip -o -4 addr show eth1 | grep -c 10.78.0.)" = 1 ]
    [ "$("$LAY" exec both cat /sys/class/net/eth1/address)" = 02:00:00:00:00:07 ]
    has "$("$LAY" exec both ip route)" "default via 10.77.0.1 dev eth0"
    for name in db web; do wait_until 5 eval "\"$LAY\" exec both nc $name 80 | grep -q ."; done
    [ "$("$LAY" exec db nc bee 80)" = both ]
    [ "$("$LAY" exec web nc both 80)" = both ]
    forgot web db
    [ "$(timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3")" = both ]
    [ "$("$LAY" inspect both | jq -r ".[0].NetworkSettings.Networks | map(.IPAddress[0:8]) | join(\" \")")" = "10.77.0. 10.78.0." ]
    [ "$("$LAY" network inspect two | jq -r "[.[0].Containers[].Name] | sort | join(\" \")")" = "both db" ]
    refused 1 "is used by container" "$LAY" network rm two
    "$LAY" stop -t 0 both >/dev/null
    wait_until 5 forgot db bee
    "$LAY" start both >/dev/null
    knows db bee
    [ "$("$LAY" inspect both | jq -r ".[0].NetworkSettings.Networks.one.IPAddress")" = 10.77.0.9 ]'
}

@test "networks that cannot stand beside each other, or one twice, are refused and not forgotten" {
  "$LAY" network create back >/dev/null
  for other in none host container:x ns:/proc/1/ns/net; do
    refused 125 "cannot stand beside" "$LAY" run --rm --network back --network $other small true
  done
  refused 125 "is given twice" "$LAY" run --rm --network back --network back small true
  refused 125 "is not known" "$LAY" run --rm --network back --network forth small true
}

@test "a running container is connected, found by its names there, and disconnected" {
  on_host '
    "$LAY" network create --subnet 10.77.0.0/24 one >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 two >/dev/null
    "$LAY" run -d --name db --network two:ip=10.78.0.8 small nc -ll -p 80 -e echo data >/dev/null
    "$LAY" run -d --name web --network one:ip=10.77.0.9 small nc -ll -p 80 -e echo page >/dev/null
    "$LAY" network connect --alias www --ip 10.78.0.9 two web
    [ "$("$LAY" exec web nc db 80)" = data ]
    [ "$("$LAY" exec db nc www 80)" = page ]
    has "$("$LAY" exec web ip -o -4 addr show eth1)" 10.78.0.9/24
    has "$("$LAY" exec web ip route get 198.51.100.7)" "via 10.77.0.1"
    [ "$("$LAY" inspect web | jq -r ".[0].NetworkSettings.Networks.two.IPAddress")" = 10.78.0.9 ]
    refused 1 "is on network '"'two'"' already" "$LAY" network connect two web
    refused 1 "is in use by container" "$LAY" network connect --ip 10.77.0.9 one db
    [ "$("$LAY" inspect db | jq -r ".[0].NetworkSettings.Networks | keys[]")" = two ]
    # the first network goes: what is left leads out
    "$LAY" network disconnect one web
    fails "$LAY" exec web ip link show eth0
    has "$("$LAY" exec web ip route get 198.51.100.7)" "via 10.78.0.1"
    [ "$("$LAY" inspect -f "{{.NetworkSettings.IPAddress}}" web)" = 10.78.0.9 ]
    fails "$LAY" exec web grep 10.77.0.9 /etc/hosts
    has "$("$LAY" exec web sh -c "grep \$(hostname) /etc/hosts | head -n 1")" 10.78.0.9
    "$LAY" network disconnect two web
    has "$("$LAY" exec web sh -c "grep \$(hostname) /etc/hosts")" 127.0.1.1
    wait_until 5 forgot db www
    forgot web db
    [ "$("$LAY" inspect web | jq -r ".[0].NetworkSettings.Networks | length")" = 0 ]
    refused 1 "is not on network" "$LAY" network disconnect two web
    "$LAY" network connect two web
    knows db web
    has "$("$LAY" exec web ip -o -4 addr show eth0)" 10.78.0.
    "$LAY" rm -f web >/dev/null
    wait_until 5 forgot db web
    "$LAY" rm -f db >/dev/null
    wait_until 5 eval "[ \$(links) = 0 ]"
    wait_until 5 eval "[ \"\$(ls \"$LAY_RUN\"/networks/*/leases | grep -c ^10)\" = 0 ]"
    [ "$(nft list tables | grep -c lay)" = 0 ]'
}

@test "a stopped container is connected and disconnected for its next start" {
  on_host '
    "$LAY" network create --subnet 10.77.0.0/24 one >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 two >/dev/null
    "$LAY" run -d --name web --network none small sleep 1000 >/dev/null
    "$LAY" stop -t 0 web >/dev/null
    "$LAY" network connect --ip 10.77.0.9 one web
    "$LAY" network connect two web
    "$LAY" network disconnect two web
    "$LAY" start web >/dev/null
    [ "$(address web)" = 10.77.0.9 ]
    [ "$("$LAY" exec web ls /sys/class/net | xargs)" = "eth0 lo" ]
    "$LAY" run -d --name shares --network container:web small sleep 1000 >/dev/null
    refused 1 "has no network of its own" "$LAY" network connect two shares
    # connected live, with its address kept over a restart
    "$LAY" network connect --ip 10.78.0.9 two web
    "$LAY" rm -f shares >/dev/null
    "$LAY" stop -t 0 web >/dev/null
    "$LAY" start web >/dev/null
    has "$("$LAY" exec web ip -o -4 addr show eth1)" 10.78.0.9/24'
}

@test "who connects or disconnects a container that is being started waits for it" {
  command -v strace >/dev/null || skip "needs strace"
  on_host '
    "$LAY" network create --subnet 10.77.0.0/24 one >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 two >/dev/null
    is_starting() { ! flock -n "$LAY_ROOT/containers/$id/lock" true; }
    # held where its networks are settled and nobody is to be seen yet
    starts_slowly() {
      timeout 20 strace -D -f -qq -o /dev/null -e trace=clone3 -e inject=clone3:delay_enter=1000000:when=1 \
        "$LAY" start web >/dev/null & start=$!
      wait_until 5 is_starting
    }
    "$LAY" run -d --name web --network one small sleep 1000 >/dev/null
    "$LAY" stop -t 0 web >/dev/null
    id=$("$LAY" inspect -f "{{.Id}}" web)
    starts_slowly
    "$LAY" network connect two web
    wait $start
    [ "$("$LAY" exec web ls /sys/class/net | xargs)" = "eth0 eth1 lo" ]
    "$LAY" stop -t 0 web >/dev/null
    starts_slowly
    "$LAY" network disconnect two web
    wait $start
    [ "$("$LAY" exec web ls /sys/class/net | xargs)" = "eth0 lo" ]
    "$LAY" stop -t 0 web >/dev/null
    starts_slowly
    "$LAY" update --pids-limit 77 web >/dev/null
    wait $start
    [ "$(cat /sys/fs/cgroup/pids/lay/$id/pids.max /sys/fs/cgroup/lay/$id/pids.max 2>/dev/null)" = 77 ]'
}

@test "the bridge of all is left and come back to while a container runs, and its ports go with it" {
  on_host '
    "$LAY" run -d --name web -p 8080:80 small sh -c "while true; do nc -ll -p 80 -e echo page; done" >/dev/null
    page() { timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3"; }
    wait_until 5 eval "page | grep -q page"
    [ "$("$LAY" port web)" = "80/tcp -> 0.0.0.0:8080" ]
    "$LAY" network disconnect bridge web
    fails page
    ports() { "$LAY" port web; "$LAY" ps --format "{{.Ports}}"; "$LAY" inspect web | jq -r ".[0].NetworkSettings.Ports[][].HostPort"; }
    [ -z "$(ports | xargs)" ]
    [ "$("$LAY" exec web ls /sys/class/net | xargs)" = lo ]
    "$LAY" network connect bridge web
    has "$("$LAY" exec web ip -o -4 addr show eth0)" 10.99.
    has "$("$LAY" inspect web | jq -r ".[0].NetworkSettings.Networks.bridge.IPAddress")" 10.99.
    fails page
    [ -z "$(ports | xargs)" ]
    "$LAY" stop -t 0 web >/dev/null
    "$LAY" start web >/dev/null
    wait_until 5 eval "page | grep -q page"'
}

@test "behind an internal network the next one leads out and has the ports" {
  on_host '
    "$LAY" network create --internal vault >/dev/null
    "$LAY" run -d --name web -p 8080:80 --network vault --network bridge small nc -ll -p 80 -e echo page >/dev/null
    has "$("$LAY" exec web ip route | tr -s " ")" "dev eth1 metric 1"
    wait_until 5 eval "timeout 3 bash -c \"exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3\" | grep -q page"'
}

@test "N08: a path that is swapped while a container joins it never leads to another network" {
  on_host '
    "$LAY" run -d --name web small sleep 1000 >/dev/null
    first=$("$LAY" inspect -f "{{.State.Pid}}" web)
    ln -s /proc/$first/ns/net "$world/net"
    ln -s /proc/$first/ns/uts "$world/uts"
    while true; do
      for kind in net uts; do ln -sfn "$world/$kind" "$world/new"; mv -T "$world/new" "$world/path"; done
    done & swapper=$!
    wait_until 5 test -e "$world/path"
    joined=0 rounds=40
    [ -z "${LAY_TESTS_LONG-}" ] || rounds=2000
    for round in $(seq $rounds); do
      out=$("$LAY" run --rm --network "ns:$world/path" small ip -o -4 addr show eth0 2>&1) || true
      case $out in *"$(address web)"*) joined=$((joined + 1)) ;; *"is no network namespace"*) ;; *) echo "$out"; kill $swapper; false ;; esac
    done
    kill $swapper
    [ $joined -gt 0 ]'
}

@test "N08: who holds a live connection is killed, and the next command clears what it had" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name keeps --network back small sleep 1000 >/dev/null
    "$LAY" run -d --name web --network none small sleep 1000 >/dev/null
    "$LAY" network connect back web
    knows keeps web
    for file in "$LAY_RUN"/networks/*/leases/*; do grep -q "\"$("$LAY" inspect -f "{{.Id}}" web)\"" "$file" && lease=$file; done
    inode=$(stat -c %i "$lease")
    holder=$(awk -v inode=":$inode" "\$6 ~ inode\"\$\" {print \$5}" /proc/locks)
    kill -9 $holder
    wait_until 5 eval "! test -d /proc/$holder"
    "$LAY" run --rm --network back small true
    forgot keeps web
    fails "$LAY" exec web ip link show eth0
    fails test -e "$lease"'
}

@test "ns:PATH joins the network of a file, and nothing but a network" {
  on_host '
    "$LAY" run -d --name web small sleep 1000 >/dev/null
    first=$("$LAY" inspect -f "{{.State.Pid}}" web)
    inside() { "$LAY" run --rm --network "$1" small ip -o -4 addr show eth0; }
    has "$(inside ns:/proc/$first/ns/net)" "$(address web)"
    touch "$world/bound"
    mount --bind /proc/$first/ns/net "$world/bound"
    has "$(inside "ns:$world/bound")" "$(address web)"
    umount "$world/bound"
    refused 125 "is no namespace" "$LAY" run --rm --network "ns:$world/bound" small true
    refused 125 "is no network namespace" "$LAY" run --rm --network ns:/proc/$first/ns/ipc small true
    refused 125 "No such file" "$LAY" run --rm --network "ns:$world/nowhere" small true
    refused 125 "is no namespace" "$LAY" run --rm --network ns:/etc/hostname small true
    refused 125 "would change whoever" \
      "$LAY" run --rm --sysctl net.ipv4.ip_forward=1 --network ns:/proc/$first/ns/net small true
    refused 125 "needs the bridge network" "$LAY" run --rm -p 80:80 --network ns:/proc/$first/ns/net small true'
}

@test "--gateway and --ip-range are kept to" {
  on_host '
    refused 1 "is no address within" "$LAY" network create --subnet 10.77.0.0/24 --gateway 10.78.0.1 back
    refused 1 "is no part of" "$LAY" network create --subnet 10.77.0.0/24 --ip-range 10.78.0.0/28 back
    refused 1 "is no address within" \
      "$LAY" --root "$world/none" network create --subnet 10.77.0.0/24 --gateway 10.78.0.1 back
    refused 1 "is no address within" "$LAY" --root "$world/none" network create --gateway 203.0.113.1 back
    refused 1 "is no part of" "$LAY" --root "$world/none" network create --ip-range 203.0.113.0/28 back
    refused 1 "fd01::1" "$LAY" --root "$world/none" network create --subnet fd00::/64 --gateway fd01::1 back
    refused 1 "parent" "$LAY" --root "$world/none" network create -d macvlan back
    [ ! -e "$world/none" ]
    "$LAY" network create --subnet 10.77.0.0/24 --gateway 10.77.0.254 --ip-range 10.77.0.128/30 back >/dev/null
    for i in 1 2 3 4; do
      "$LAY" run -d --name c$i --network back small sleep 1000 >/dev/null
      has "10.77.0.128 10.77.0.129 10.77.0.130 10.77.0.131" "$(address c$i)"
    done
    refused 125 "all 4 addresses of 10.77.0.128/30" "$LAY" run --rm --network back small true
    "$LAY" run --rm --network back --ip 10.77.0.9 small ip route | grep -q "via 10.77.0.254"
    refused 125 "is none for a container" "$LAY" run --rm --network back --ip 10.77.0.254 small true'
}

@test "a network with IPv6 gives addresses, names and a way out under the host's address" {
  on_host '
    other_machine
    ip addr add 2001:db8::1/64 dev up0 nodad
    ip -6 route add default via 2001:db8::2
    there ip addr add 2001:db8::2/64 dev up1 nodad
    tells_client 8000
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 back >/dev/null
    [ "$("$LAY" network inspect back | jq -r ".[0].EnableIPv6, .[0].IPAM.Config[1].Gateway" | xargs)" = "true fd00:77::1" ]
    echo 1 >/proc/sys/net/ipv6/conf/up0/accept_ra
    echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
    "$LAY" run -d --name db --network back:ip=10.77.0.8,ip6=fd00:77::abcd small nc -ll -p 80 -e echo data >/dev/null 2>"$world/said"
    has "$(cat "$world/said")" "turned on net.ipv6.conf.all.forwarding"
    [ "$(cat /proc/sys/net/ipv6/conf/up0/accept_ra)" = 2 ]  # the uplink goes on believing its router
    nft delete table ip6 "$(nft list tables ip6 | grep -o "lay-.*")"  # by somebody else: the next start makes it again
    "$LAY" run -d --name web --network back --ip 10.77.0.9 small nc -ll -p 80 -e echo page >/dev/null
    has "$("$LAY" exec web ip -o -6 addr show eth0)" fd00:77::9/64
    fails grep tentative <<<"$("$LAY" exec web ip -o -6 addr show eth0)"
    [ "$("$LAY" inspect db | jq -r ".[0].NetworkSettings.Networks.back.GlobalIPv6Address")" = fd00:77::abcd ]
    "$LAY" exec web cat /etc/hosts | grep -w "^fd00:77::abcd" | grep -qw db
    wait_until 5 eval "[ \"\$(\"$LAY\" exec web nc fd00:77::abcd 80)\" = data ]"
    refused 125 "fd00:77::abcd is in use" "$LAY" run --rm --network back --ip6 fd00:77::abcd small true
    refused 125 "is none of fd00:77::/64" "$LAY" run --rm --network back --ip6 fd00:78::9 small true
    [ "$("$LAY" exec web nc 2001:db8::2 8000)" = 2001:db8::1 ]
    # In from outside comes nothing, also by one who routes there
    there ip -6 route add fd00:77::/64 via 2001:db8::1
    fails there timeout 2 bash -c "exec 3<>/dev/tcp/fd00:77::9/80"
    timeout 2 bash -c "exec 3<>/dev/tcp/fd00:77::9/80; cat <&3" | grep -q page
    kill $server $other
    "$LAY" rm -f db web >/dev/null
    wait_until 5 eval "[ \$(links) = 0 ]"
    [ "$(nft list tables | grep -c lay)" = 0 ]'
}

# write_clients: `asks ADDRESS PORT` and `asks_udp` print what a server tells there, in any namespace.
write_clients() {
  mkdir -p "$world/bin"
  cat >"$world/bin/asks" <<'END'
#!/usr/bin/env python3
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as server: print(server.recv(100).decode())
END
  cat >"$world/bin/asks_udp" <<'END'
#!/usr/bin/env python3
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
  client.settimeout(3); client.connect((sys.argv[1], int(sys.argv[2]))); client.send(b"?")
  print(client.recv(100).decode())
END
  chmod +x "$world"/bin/*
  PATH=$world/bin:$PATH
}
# tells_in CONTAINER: a server on port 80 of its network, which tells each client its address, by TCP and UDP.
tells_in() {
  rm -f "$world/ready"
  nsenter -t "$("$LAY" inspect -f "{{.State.Pid}}" "$1")" -n python3 -c "
import socket, threading
server = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)
asked = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
asked.bind(('::', 80))
def answer():
  while True: asked.sendto((client := asked.recvfrom(100)[1])[0].encode(), client)
threading.Thread(target=answer, daemon=True).start()
open('$world/ready', 'w').close()
while True:
  client, address = server.accept()
  client.sendall(address[0].encode()); client.close()" >/dev/null 2>&1 3>&- & server=$!
  wait_until 5 test -e "$world/ready"
}
# on_host6 COMMAND...: as on_host, with another machine by IPv6 too.
on_host6() {
  write_clients
  export -f tells_in
  on_host_with_other "ip addr add 2001:db8::1/64 dev up0 nodad
    there ip addr add 2001:db8::2/64 dev up1 nodad
    [ ! -e /proc/sys/net/bridge/bridge-nf-call-ip6tables ] || echo 0 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
    $1"
}

@test "a port is published on IPv6 too where the container has it, and clients keep their addresses" {
  on_host6 '
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 six >/dev/null
    "$LAY" run -d --name web --network six -p 8080:80 -p 8080:80/udp small sleep 1000 >/dev/null
    tells_in web
    [ "$(there asks 2001:db8::1 8080)" = 2001:db8::2 ]
    [ "$(there asks 198.51.100.1 8080)" = ::ffff:198.51.100.2 ]
    [ "$(there asks_udp 2001:db8::1 8080)" = 2001:db8::2 ]
    # the host itself by any address, a neighbour, and the container itself
    [ "$(asks ::1 8080)" = fd00:77::1 ]
    [ "$(asks_udp ::1 8080)" = fd00:77::1 ]
    [ "$(asks 2001:db8::1 8080)" = 2001:db8::1 ]
    [ "$(asks 127.0.0.1 8080)" = ::ffff:10.77.0.1 ]
    "$LAY" run -d --name peer --network six small sleep 1000 >/dev/null
    from() { nsenter -t "$("$LAY" inspect -f "{{.State.Pid}}" "$1")" -n asks 2001:db8::1 8080; }
    [ "$(from peer)" = fd00:77::1 ]
    [ "$(from web)" = fd00:77::1 ]
    # to nothing but what is published
    there ip route add fd00:77::/64 via 2001:db8::1
    fails there asks fd00:77::2 80
    has "$("$LAY" ps)" "0.0.0.0:8080->80/tcp, 0.0.0.0:8080->80/udp, [::]:8080->80/tcp, [::]:8080->80/udp"
    [ "$("$LAY" port web 80 | xargs)" = "0.0.0.0:8080 [::]:8080" ]
    [ "$("$LAY" inspect web | jq -r ".[0].NetworkSettings.Ports.\"80/tcp\"[].HostIp" | xargs)" = "0.0.0.0 ::" ]
    # who has it on one family has it
    refused 125 "port 8080/tcp is already in use" "$LAY" run --rm --network six -p "[::]:8080:80" small true
    refused 125 "port 8080/tcp is already in use" "$LAY" run --rm -p 8080:80 small true
    # a table that somebody flushed is made again with it
    nft flush table ip6 "$(nft list tables ip6 | grep -o "lay.*")"
    fails there asks 2001:db8::1 8080
    "$LAY" run --rm --network six small true
    [ "$(there asks 2001:db8::1 8080)" = 2001:db8::2 ]
    [ "$(asks ::1 8080)" = fd00:77::1 ]
    "$LAY" rm -f web >/dev/null
    wait_until 5 fails asks ::1 8080
    fails there asks 2001:db8::1 8080
    [ "$(nft list ruleset | grep -c 8080)" = 0 ]'
}

@test "a port is published on one IPv6 address alone" {
  on_host6 '
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 six >/dev/null
    "$LAY" network create --subnet 10.78.0.0/24 four >/dev/null
    "$LAY" run -d --name web --network four --network six -p "[::1]:8081:80" -p "[2001:db8::1]:8082:80" \
      -p "[::]:8083:80" -p 0.0.0.0:8084:80 small sleep 1000 >/dev/null
    tells_in web
    [ "$(asks ::1 8081)" = fd00:77::1 ]
    fails there asks 2001:db8::1 8081
    fails asks 127.0.0.1 8081
    [ "$(there asks 2001:db8::1 8082)" = 2001:db8::2 ]
    fails asks ::1 8082
    [ "$(there asks 2001:db8::1 8083)" = 2001:db8::2 ]
    fails there asks 198.51.100.1 8083
    has "$(there asks 198.51.100.1 8084)" 198.51.100.2
    fails there asks 2001:db8::1 8084
    refused 125 "has no address 2001:db8::7" "$LAY" run --rm --network six -p "[2001:db8::7]:80:80" small true
    [ "$("$LAY" port web 80 | sort | xargs)" = "0.0.0.0:8084 [2001:db8::1]:8082 [::1]:8081 [::]:8083" ]'
}

@test "where br_netfilter gets in the way of ::1, that is said or left alone" {
  [[ -e /proc/sys/net/bridge/bridge-nf-call-ip6tables ]] || skip "this kernel has no br_netfilter"
  on_host6 '
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables
    "$LAY" network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 six >/dev/null
    refused 125 "br_netfilter" "$LAY" run --rm --network six -p "[::1]:8080:80" small true
    "$LAY" run -d --name web --network six -p 8080:80 small sleep 1000 >/dev/null
    tells_in web
    [ "$(there asks 2001:db8::1 8080)" = 2001:db8::2 ]
    has "$(asks 127.0.0.1 8080)" 10.77.0.1
    # refused at once, so that programs that try ::1 first go on with 127.0.0.1
    [ "$(asks ::1 8080 2>&1 | grep -c refused)" = 1 ]
    has "$(asks localhost 8080)" 10.77.0.1'
}

@test "N02: on a network with IPv6 nobody takes another's address or believes a router beside lay's" {
  on_host '
    "$LAY" network create --ipv6 back >/dev/null
    "$LAY" run -d --name evil --cap-add NET_ADMIN --cap-add NET_RAW --network back small sleep 1000 >/dev/null 2>&1
    gateway=$("$LAY" network inspect back | jq -r ".[0].IPAM.Config[1].Gateway")
    case $gateway in fd*::1) ;; *) false;; esac
    [ "$("$LAY" exec evil cat /proc/sys/net/ipv6/conf/eth0/accept_ra)" = 0 ]
    bridge=$(ip -br link | grep -o "^lay-[0-9a-f]*")
    [ "$(cat /proc/sys/net/ipv6/conf/$bridge/accept_ra)" = 0 ]
    wait_until 5 eval "\"$LAY\" exec evil ping -6 -c 1 -W 1 $gateway >/dev/null"
    own=$("$LAY" inspect evil | jq -r ".[0].NetworkSettings.Networks.back.GlobalIPv6Address")
    "$LAY" exec evil ip -6 addr add ${gateway}bad/64 dev eth0
    "$LAY" exec evil ip -6 addr del $own/64 dev eth0
    fails "$LAY" exec evil ping -6 -c 1 -W 1 $gateway
    "$LAY" exec evil ip -6 addr add $own/64 dev eth0
    "$LAY" exec evil ip -6 addr del ${gateway}bad/64 dev eth0
    "$LAY" exec evil ping -6 -c 1 -W 1 $gateway >/dev/null'
}

@test "N06: an internal network with IPv6 leads neither to the host nor out" {
  on_host '
    "$LAY" network create --internal --subnet fd00:77::/64 vault >/dev/null
    "$LAY" run -d --name db --network vault small nc -ll -p 80 -e echo data >/dev/null
    address6=$("$LAY" inspect db | jq -r ".[0].NetworkSettings.Networks.vault.GlobalIPv6Address")
    wait_until 5 eval "[ \"\$(\"$LAY\" run --rm --network vault small nc $address6 80)\" = data ]"
    timeout 3 bash -c "exec 3<>/dev/tcp/$address6/80; cat <&3" | grep -q data
    ip addr add 2001:db8::1/64 dev up0 nodad
    for target in fd00:77::1 2001:db8::1; do
      fails "$LAY" run --rm --cap-add NET_ADMIN --network vault small sh -c \
        "ip -6 route add default via fd00:77::1; ping -6 -c 1 -W 1 $target"
    done'
}

@test "a macvlan network puts containers on the wire of a link, at addresses that nobody has" {
  on_host '
    other_machine
    there ip addr add 198.51.100.5/24 dev up1
    tells_client 8000
    refused 1 "needs a parent link" "$LAY" network create -d macvlan lan
    refused 1 "is not there" "$LAY" network create -d macvlan -o parent=nowhere lan
    "$LAY" network create -d macvlan -o parent=up0 --ip-range 198.51.100.4/30 lan >/dev/null
    [ "$("$LAY" network inspect lan | jq -r ".[0].IPAM.Config[0] | .Subnet, .Gateway" | xargs)" = "198.51.100.0/24 198.51.100.2" ]
    for i in 1 2 3; do "$LAY" run -d --name c$i --network lan small nc -ll -p 80 -e echo c$i >/dev/null; done
    [ "$(for i in 1 2 3; do address c$i; done | sort | xargs)" = "198.51.100.4 198.51.100.6 198.51.100.7" ]
    [ "$("$LAY" exec c1 nc 198.51.100.2 8000)" = "::ffff:$(address c1)" ]  # on the wire itself: no address is translated
    [ "$(there timeout 3 bash -c "exec 3<>/dev/tcp/$(address c2)/80; cat <&3")" = c2 ]
    [ "$("$LAY" exec c1 nc c3 80)" = c3 ]
    has "$("$LAY" exec c1 ip route)" "default via 198.51.100.2 dev eth0"
    refused 125 "addresses of 198.51.100.4/30 are in use" "$LAY" run --rm --network lan small true
    refused 125 "is in use by another machine" "$LAY" run --rm --network lan --ip 198.51.100.5 small true
    [ "$("$LAY" run --rm --network lan --ip 198.51.100.9 small ip -o -4 addr show eth0 | grep -c 198.51.100.9/24)" = 1 ]
    refused 125 "no port can be published" "$LAY" run --rm --network lan -p 80:80 small true
    [ "$(ip -br link | grep -c ^lay)" = 0 ]
    was=$(address c2)
    "$LAY" network disconnect lan c2
    fails "$LAY" exec c2 ip link show eth0
    fails there timeout 2 bash -c "exec 3<>/dev/tcp/$was/80"
    "$LAY" network connect lan c2
    [ "$("$LAY" exec c2 ip -o -4 addr show eth0 | grep -c 198.51.100)" = 1 ]
    "$LAY" rm -f c1 c2 c3 >/dev/null
    no_lease() { [ "$(ls "$LAY_RUN"/networks/*/leases | wc -l)" = 0 ]; }
    wait_until 5 no_lease'
}

@test "a macvlan network has IPv6 too, at addresses that nobody on the wire has" {
  on_host '
    other_machine
    refused 1 "has no IPv6 subnet" "$LAY" network create -d macvlan -o parent=up0 --ipv6 lan
    ip addr add 2001:db8:1::1/64 dev up0 nodad
    ip addr add 2001:db8:1::6/128 dev up0 nodad
    ip -6 route add default via 2001:db8:1::2
    there ip addr add 2001:db8:1::2/64 dev up1 nodad
    there ip addr add 2001:db8:1::4/64 dev up1 nodad
    there ip addr add 198.51.100.5/24 dev up1
    "$LAY" network create -d macvlan -o parent=up0 --ipv6 --ip-range 198.51.100.4/30 lan >/dev/null
    [ "$("$LAY" network inspect lan | jq -r ".[0].IPAM.Config[1] | .Subnet, .Gateway" | xargs)" = "2001:db8:1::/64 2001:db8:1::2" ]
    "$LAY" run -d --name c --cap-add NET_RAW --network lan small sleep 1000 >/dev/null
    [ "$(address c)" = 198.51.100.7 ]  # of the others one of their two addresses is taken
    [ "$("$LAY" inspect c | jq -r ".[0].NetworkSettings.Networks.lan.GlobalIPv6Address")" = 2001:db8:1::7 ]
    "$LAY" exec c ping -6 -c 1 -W 2 2001:db8:1::2 >/dev/null
    has "$("$LAY" exec c ip -6 route)" "default via 2001:db8:1::2 dev eth0"
    refused 125 "2001:db8:1::4 is in use by another machine" "$LAY" run --rm --network lan --ip 198.51.100.20 --ip6 2001:db8:1::4 small true
    refused 125 "2001:db8:1::4 is in use by another machine" "$LAY" run --rm --network lan --ip 198.51.100.4 small true
    "$LAY" run --rm --network lan --ip 198.51.100.20 --ip6 2001:db8:1::99 small ip -o -6 addr show eth0 | grep -q 2001:db8:1::99/64
    "$LAY" rm -f c >/dev/null
    "$LAY" network create -d macvlan -o parent=up0 --subnet 203.0.113.0/24 --subnet fd00:9::/64 --gateway fe80::1 far >/dev/null
    has "$("$LAY" run --rm --network far small ip -6 route)" "default via fe80::1 dev eth0"
    refused 1 "is no address within fd00:8::/64" "$LAY" network create --subnet fd00:8::/64 --gateway fe80::1 back
    "$LAY" network create --subnet fd00:8::/64 --gateway fd00:8::5 back >/dev/null
    has "$("$LAY" run --rm --network back small ip -6 route 2>/dev/null)" "default via fd00:8::5 dev eth0"'
}

@test "an address that this machine has on a line to a peer is not given to a container, that of the peer is asked for" {
  on_host '
    other_machine
    ip addr add 2001:db8:1::1/64 dev up0 nodad
    ip addr add 2001:db8:1::8 peer 2001:db8:1::9 dev up0 nodad
    ip -6 route add default via 2001:db8:1::2
    "$LAY" network create -d macvlan -o parent=up0 --ipv6 lan >/dev/null
    refused 125 "2001:db8:1::8 is in use" "$LAY" run --rm --network lan --ip 198.51.100.20 --ip6 2001:db8:1::8 small true
    "$LAY" run --rm --network lan --ip 198.51.100.20 --ip6 2001:db8:1::9 small true'
}

@test "a wire that is flooded does not keep a start from going on" {
  command -v strace >/dev/null || skip "needs strace"
  on_host '
    other_machine
    nsenter -t $other -n python3 -c "
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((\"up1\", 0x0806))
frame = b\"\xff\" * 6 + b\"\x02\" * 6 + b\"\x08\x06\" + b\"\0\" * 50
while True: wire.send(frame)" 3>&- & server=$!
    "$LAY" network create -d macvlan -o parent=up0 lan >/dev/null
    # Each frame takes longer to read than the next one to come
    timeout -s KILL 20 strace -f -qq -o /dev/null -e trace=recvfrom -e inject=recvfrom:delay_enter=500 \
      "$LAY" run --rm --network lan --ip 198.51.100.20 small true'
}

@test "N08: lay is killed at each message to the kernel about a bridge, and the next start has a whole one" {
  command -v strace >/dev/null || skip "needs strace"
  "$LAY" network create --ipv6 --subnet 10.77.0.0/24 six >/dev/null
  export network6; network6=$("$LAY" network inspect six | jq -r '.[0].IPAM.Config[1].Gateway')
  local step killed=0
  for step in {1..60}; do
    # a machine and a RUN of its own each time: no bridge is there yet
    rm -f trace
    LAY_RUN=$world/run.$step unshare --net bash -euc '
      ip link set lo up
      strace -D -f -qq -o trace -e trace=sendmsg -e "inject=sendmsg:signal=KILL:when=$1" \
        "$LAY" run --rm --network six small true >/dev/null 2>&1 || true
      "$LAY" run --rm --cap-add NET_RAW --network six small sh -c "ping -c1 10.77.0.1 && ping -c1 $network6" >/dev/null' \
      step $step || { echo "killed at message $step"; return 1; }
    grep -q "killed by SIGKILL" trace || break
    killed=$((killed + 1))
  done
  echo "$killed messages"
  [ $killed -ge 8 ]
  [ $killed -lt 60 ]
}

@test "N08: a bridge that had to take another subnet is whole wherever lay is killed" {
  command -v strace >/dev/null || skip "needs strace"
  local call step killed=0
  for call in sendmsg renameat; do
    for step in {1..60}; do
      rm -f trace
      LAY_RUN=$world/run.$call.$step unshare --net bash -euc '
        ip link set lo up
        "$LAY" run --rm small true >/dev/null 2>&1
        ip link del "$(ip -br link | grep -o "^lay-[^ ]*")"
        ip route add blackhole 10.99.0.0/16
        strace -D -f -qq -o trace -e "trace=$1" -e "inject=$1:signal=KILL:when=$2" \
          "$LAY" run --rm small true >/dev/null 2>&1 || true
        gateway=$("$LAY" run --rm --cap-add NET_RAW small sh -c "ip route | grep ^default | cut -d\" \" -f3")
        "$LAY" run --rm --cap-add NET_RAW small ping -c1 -W2 "$gateway" >/dev/null
        [[ $gateway != 10.99.* ]]' \
        step $call $step || { echo "killed at $call $step"; return 1; }
      grep -q "killed by SIGKILL" trace || break
      killed=$((killed + 1))
    done
    [ $step -lt 60 ]
  done
  echo "$killed steps"
  [ $killed -ge 10 ]
}

@test "N08: a macvlan parent that vanishes takes the link, and a start without it says so" {
  on_host '
    ip link add wire0 type veth peer name wire1
    ip link set wire0 up
    ip link set wire1 up
    "$LAY" network create -d macvlan -o parent=wire0 --subnet 192.0.2.0/24 lan >/dev/null
    "$LAY" run -d --name web --network lan small sleep 1000 >/dev/null
    ip link del wire0
    [ "$("$LAY" exec web ls /sys/class/net | xargs)" = lo ]
    "$LAY" stop -t 0 web >/dev/null
    refused 1 "the parent link '"'wire0'"' is not there" "$LAY" start web
    refused 125 "the parent link '"'wire0'"' is not there" "$LAY" run --rm --network lan small true
    [ "$(ls "$LAY_RUN"/networks/*/leases | wc -l)" = 0 ]
    ip link add wire0 type veth peer name wire1
    refused 1 "Network is down" "$LAY" start web
    grep -q "ip link set wire0 up" "$world/refused.err"
    ip link set wire0 up
    "$LAY" start web >/dev/null
    "$LAY" rm -f web >/dev/null
    "$LAY" network rm lan'
}

@test "a network whose making fails at any step is not there afterwards" {
  command -v strace >/dev/null || skip "needs strace"
  local call step failed=0
  for call in sendmsg fsync renameat; do
    for step in {1..30}; do
      if strace -f -qq -o trace -e trace=$call -e inject=$call:error=EIO:when=$step "$LAY" network create back >out 2>said; then
        "$LAY" network rm back >/dev/null
      else
        failed=$((failed + 1))
        [ "$("$LAY" network ls -q | xargs)" = bridge ] || { echo "failed at $call $step:"; cat said; return 1; }
      fi
      grep -q INJECTED trace || break
    done
    [ $step -lt 30 ]
  done
  echo "$failed steps"
  [ $failed -ge 4 ]
}

@test "a network that is made while the first container starts has another subnet than the bridge" {
  command -v strace >/dev/null || skip "needs strace"
  # each order of: choose, write down or make the link, look again
  for late in create:renameat create:sendmsg run:sendmsg run:renameat; do
    on_host "
      late=$late"'
      slowly() {
        local verb=$1; shift
        [ "${late%:*}" = $verb ] || { sleep 0.3; "$@"; return; }
        strace -qq -o /dev/null -e trace=${late#*:} -e "inject=${late#*:}:delay_enter=300000" "$@"
      }
      slowly create "$LAY" network create back >/dev/null & maker=$!
      slowly run "$LAY" run -d --name c --network bridge small sleep 100 >/dev/null 2>&1
      wait $maker
      bridge=$(ip -o -4 addr | grep -o "inet [0-9.]*/[0-9]* .* lay" | grep -o "[0-9]*\.[0-9]*\." | head -n1)
      subnet=$("$LAY" network inspect back | jq -r ".[0].IPAM.Config[0].Subnet")
      echo "$late: bridge $bridge network $subnet"
      [ -n "$bridge" ]
      case $subnet in "$bridge"*) false;; esac
      "$LAY" run --rm --network back small true 2>/dev/null
      "$LAY" rm -f c >/dev/null
      "$LAY" network rm back >/dev/null'
  done
}

@test "a network can be made before there is any image" {
  export LAY_ROOT=$world/root-new
  "$LAY" network create back >/dev/null
  mkdir tree && touch tree/file
  "$LAY" import tree one:1 >/dev/null
  [ "$("$LAY" network ls -q | xargs)" = "bridge back" ]
}

@test "network prune asks first, and where nobody can answer it wants -f" {
  "$LAY" network create one >/dev/null
  refused 1 "no terminal to ask at" "$LAY" network prune
  for answer in n y; do
    run script -qec "\"$LAY\" network prune" /dev/null <<<"$answer"
    has "$output" "[y/N]"
    [ $status = "$([ $answer = n ] && echo 1 || echo 0)" ]
    [ "$("$LAY" network ls -q | grep -c one)" = "$([ $answer = n ] && echo 1 || echo 0)" ]
  done
}

@test "a network that is removed leaves nothing in RUN, after containers were on it either" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null
    [ -n "$(ls "$LAY_RUN/networks")" ]
    "$LAY" rm -f web >/dev/null
    "$LAY" network rm back >/dev/null
    [ -z "$(ls "$LAY_RUN/networks")" ]
    [ "$(links)" = 0 ]
    [ "$(nft list tables | grep -c lay)" = 0 ]'
}

@test "a network is not removed from under a container that is being made" {
  for round in $(seq 10); do
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null 2>&1 & pid=$!
    "$LAY" network rm back >/dev/null 2>&1 || true
    if wait $pid; then
      [ "$("$LAY" network ls -q | grep -c back)" = 1 ]
      [ "$("$LAY" inspect -f '{{.State.Running}}' web)" = true ]
      "$LAY" rm -f web >/dev/null
      "$LAY" network rm back >/dev/null
    else
      [ "$("$LAY" ps -aq | wc -l)" = 0 ]
    fi
  done
}

@test "a start says whose hosts file could not be written" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name full --network back small sleep 1000 >/dev/null
    "$LAY" exec full sh -c "head -c 2000000 /dev/zero | tr \"\\0\" x >>/etc/hosts"
    "$LAY" run -d --name web --network back small sleep 1000 >/dev/null 2>"$world/said"
    has "$(cat "$world/said")" "the hosts file of container '"'full'"' does not tell"
    knows web full'
}

@test "a container whose hosts file cannot be written leaves its network all the same, and it is said" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" network create other >/dev/null
    "$LAY" run -d --name full --network back --network other small sleep 1000 >/dev/null
    "$LAY" exec full sh -c "head -c 2000000 /dev/zero | tr \"\\0\" x >>/etc/hosts"
    "$LAY" network disconnect back full 2>"$world/said"
    has "$(cat "$world/said")" "the hosts file of container '"'full'"' still has names of a network that it left"
    [ "$(wc -l <"$world/said")" -eq 1 ]
    [ "$("$LAY" inspect full | jq -c ".[0].NetworkSettings.Networks | keys")" = "[\"other\"]" ]
    "$LAY" network connect back full 2>/dev/null
    fails "$LAY" network connect back full'
}

@test "stop is done with every container, whatever keeps the ports of one from being free at once" {
  on_host '
    "$LAY" network create back >/dev/null
    "$LAY" run -d --name one --network back -p 8080:80 small sleep 1000 >/dev/null
    "$LAY" run -d --name two -p 8081:80 small sleep 1000 >/dev/null
    "$LAY" stop -t 0 one >/dev/null
    definition=$(grep -rl "\"back\"" "$LAY_ROOT/networks")
    cp "$definition" "$world/definition"
    echo junk >"$definition"
    [ "$("$LAY" stop -t 0 one two 2>"$world/said" | xargs)" = "one two" ]
    has "$(cat "$world/said")" "the ports of container '"'one'"' are not free at once"
    fails bash -c "exec 3<>/dev/tcp/127.0.0.1/8081"
    cp "$world/definition" "$definition"'
}

@test "N08: many containers on one network, each with an address of its own, leave nothing" {
  on_host '
    count=20
    [ -z "${LAY_TESTS_LONG-}" ] || count=200
    "$LAY" network create back >/dev/null
    for batch in $(seq 0 9); do
      pids=
      for i in $(seq $((count / 10))); do
        "$LAY" run -d --name c$((batch * count / 10 + i)) --network back small sleep 1000 >/dev/null & pids+=" $!"
      done
      for pid in $pids; do wait $pid; done
    done
    [ "$("$LAY" network inspect back | jq -r ".[0].Containers[].IPv4Address" | sort -u | wc -l)" = $count ]
    for i in $(seq $count); do knows c1 c$i; done
    # Every second supervisor is killed, with its container
    for i in $(seq 1 2 $count); do
      first=$("$LAY" inspect -f "{{.State.Pid}}" c$i)
      kill -9 $(awk "/^PPid/ {print \$2}" /proc/$first/status) $first
    done
    "$LAY" ps -aq | xargs "$LAY" rm -f >/dev/null
    "$LAY" network rm back
    wait_until 10 eval "[ \$(links) = 0 ]"
    [ "$(ls "$LAY_RUN"/networks/*/leases | grep -c ^10)" = 0 ]
    [ "$(nft list tables | grep -c lay)" = 0 ]'
}
