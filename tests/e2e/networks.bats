#!/usr/bin/env bats
# Networks that users make, seen from inside the containers on them. Each test has a network namespace of its own that
# plays the host.

load world

setup() {
  open_world
  small_image
}
teardown() { close_world; }

# on_host COMMAND...: runs COMMAND in a network namespace that plays the host, with an uplink that leads nowhere.
on_host() {
  export -f refused has wait_until
  export world
  unshare --net bash -euc 'ip link set lo up
    ip link add up0 type veth peer name up1
    ip addr add 198.51.100.1/24 dev up0
    ip link set up0 up
    ip link set up1 up
    ip route add default via 198.51.100.2
    echo 1 >/proc/sys/net/ipv4/ip_forward
    address() { "$LAY" inspect -f "{{.NetworkSettings.IPAddress}}" "$1"; }
    knows() { grep -qw -- "$2" <<<"$("$LAY" exec "$1" cat /etc/hosts)"; }
    forgot() { ! knows "$@"; }
    fails() { ! "$@" >/dev/null 2>&1; }
    links() { ip -br link | grep -c "^lay" || true; }
    eval "$1"; "$LAY" ps -aq | xargs -r "$LAY" rm -f >/dev/null' on_host "$1"
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
threading.Event().wait(60)" & server=$!
    wait_until 5 test -e "$world/ready"
    timeout 3 bash -c "exec 3<>/dev/tcp/$gateway/5353; cat <&3" | grep -q leak
    has "$("$LAY" run --rm small nc -w 1 198.51.100.1 5353)" leak  # the default bridge does reach it
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
    "$LAY" run -d --name web --network one small nc -ll -p 80 -e echo page >/dev/null
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
    "$LAY" run -d --name db --network two small nc -ll -p 80 -e echo data >/dev/null
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
    "$LAY" network disconnect two web
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
    "$LAY" network create --subnet 10.77.0.0/24 --gateway 10.77.0.254 --ip-range 10.77.0.128/30 back >/dev/null
    for i in 1 2 3 4; do
      "$LAY" run -d --name c$i --network back small sleep 1000 >/dev/null
      has "10.77.0.128 10.77.0.129 10.77.0.130 10.77.0.131" "$(address c$i)"
    done
    refused 125 "all 4 addresses of 10.77.0.128/30" "$LAY" run --rm --network back small true
    "$LAY" run --rm --network back --ip 10.77.0.9 small ip route | grep -q "via 10.77.0.254"
    refused 125 "is none for a container" "$LAY" run --rm --network back --ip 10.77.0.254 small true'
}
