#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the captures of this directory that are not from elsewhere: real traffic
# between two network namespaces, over a veth pair with every offload off, so
# that what is captured is what would be on a wire.
#
#	sudo ./capture.sh DIRECTORY
#
# Debian: curl, ethtool, iproute2, iputils-ping, python3, tcpdump,
# wireshark-common (editcap), and clang-19 and libbpf-dev for the VLAN tags.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$1" && pwd)
tmp=$(mktemp -d)
client=skep-client-$$ server=skep-server-$$
jobs=

cleanup() {
	for job in $jobs; do kill "$job" 2>/dev/null || true; done
	for ns in $client $server; do
		ip netns pids $ns 2>/dev/null | xargs -r kill 2>/dev/null || true
		ip netns del $ns 2>/dev/null || true
	done
	rm -rf "$tmp"
}
trap cleanup EXIT INT TERM

in_client() { ip netns exec $client "$@"; }
in_server() { ip netns exec $server "$@"; }
traffic() { in_client python3 "$here/traffic.py" "$@"; }

# capture FILE COMMAND...: the command's traffic, in and out, in full packets.
capture() {
	file=$1
	shift
	in_server tcpdump -i veth0 -w "$tmp/$file" -s 0 -B 65536 --immediate-mode -U $tcpdump_options 2>"$tmp/log" &
	tcpdump=$!
	until grep -q 'listening on' "$tmp/log"; do sleep 0.1; done
	"$@" >/dev/null
	sleep 1.5
	kill $tcpdump
	wait $tcpdump || true
	tail -n 3 "$tmp/log"
}
tcpdump_options=

set_mtu() {
	ip -n $client link set veth0 mtu "$1"
	ip -n $server link set veth0 mtu "$1"
}

ip netns add $client
ip netns add $server
for ns in $client $server; do
	ip netns exec $ns sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv4.tcp_timestamps=1 net.ipv4.tcp_ecn=1
	ip -n $ns link set lo up
done
ip link add veth0 netns $server address 02:20:00:00:00:01 type veth peer name veth0 netns $client address 02:20:00:00:00:02
for ns in $client $server; do
	ip netns exec $ns ethtool -K veth0 tx off rx off tso off gso off gro off sg off rxvlan off txvlan off >/dev/null 2>&1 || true
done
ip -n $server addr add 10.20.0.1/16 dev veth0
ip -n $server addr add fd00:20::1/64 dev veth0 nodad
ip -n $client addr add 10.20.0.2/16 dev veth0
ip -n $client addr add fd00:20::2/64 dev veth0 nodad
ip -n $server link set veth0 up
ip -n $client link set veth0 up

mkdir "$tmp/www"
for size in 10 1000 20000; do
	python3 -c "print(('skep ' * $size)[:$size], end='')" >"$tmp/www/$size.txt"
done
in_server python3 -m http.server --directory "$tmp/www" --bind 10.20.0.1 80 >/dev/null 2>&1 &
jobs="$jobs $!"
in_server python3 -m http.server --directory "$tmp/www" --bind fd00:20::1 80 >/dev/null 2>&1 &
jobs="$jobs $!"
in_server python3 "$here/traffic.py" serve &
jobs="$jobs $!"
sleep 1

browse() {
	for host in 10.20.0.1 '[fd00:20::1]'; do
		in_client curl -s "http://$host/" "http://$host/10.txt" "http://$host/1000.txt" "http://$host/20000.txt"
		in_client curl -s -o /dev/null "http://$host/missing" || true
		in_client curl -s --max-time 2 "http://$host:443/" || true
	done
	in_client ping -q -c 3 -i 0.2 10.20.0.1
	in_client ping -q -c 3 -i 0.2 fd00:20::1
	traffic web
}
capture web.pcap browse
editcap -F pcapng -a "1:Starts with the neighbour discovery of two hosts" "$tmp/web.pcap" "$out/web.pcapng"

mark() {
	for tos in 0 0x10 0x28 0x48 0xb8 0xc0; do
		in_client ping -q -c 2 -i 0.1 -s 24 -Q $tos 10.20.0.1
		in_client ping -q -c 2 -i 0.1 -s 24 -Q $tos fd00:20::1
	done
	traffic tos
}
tcpdump_options=--nano
capture tos.pcap mark
gzip -9nc "$tmp/tos.pcap" >"$out/tos.pcap.gz"
tcpdump_options=

split() {
	traffic fragments
	in_client ping -q -c 2 -i 0.1 -s 5000 10.20.0.1
	in_client ping -q -c 2 -i 0.1 -s 5000 fd00:20::1
	in_client ping -q -c 1 -R 10.20.0.1
	set_mtu 1280
	in_client ping -q -c 2 -i 0.1 -s 1400 10.20.0.1
	set_mtu 1500
}
capture fragments.pcap split
cp "$tmp/fragments.pcap" "$out/fragments.pcap"

capture odd.pcap traffic odd veth0 02:20:00:00:00:02 02:20:00:00:00:01
cp "$tmp/odd.pcap" "$out/odd.pcap"

crowd() {
	for i in $(seq 1 60); do ip -n $client addr add 10.20.1.$i/16 dev veth0; done
	for i in $(seq 1 40); do ip -n $client addr add "fd00:20::1:$(printf %x "$i")/64" dev veth0 nodad; done
	ip -n $client addr add 10.20.9.9/16 dev veth0
	traffic crowd
}
capture crowd.pcap crowd
cp "$tmp/crowd.pcap" "$out/crowd.pcap"

set_mtu 9000
capture jumbo.pcap traffic jumbo
editcap -F pcapng "$tmp/jumbo.pcap" "$tmp/jumbo.pcapng"
gzip -9nc "$tmp/jumbo.pcapng" >"$out/jumbo.pcapng.gz"
set_mtu 1500

clang-19 -O2 -g -target bpf -idirafter "/usr/include/$(uname -m)-linux-gnu" -c "$here/vlan.bpf.c" -o "$tmp/vlan.o"
for ns in $client $server; do
	ip netns exec $ns tc qdisc add dev veth0 clsact
	ip netns exec $ns tc filter add dev veth0 egress bpf direct-action object-file "$tmp/vlan.o" section tc/tag
	ip netns exec $ns tc filter add dev veth0 ingress bpf direct-action object-file "$tmp/vlan.o" section tc/untag
done
capture vlan.pcap browse
editcap -F pcapng "$tmp/vlan.pcap" "$out/vlan.pcapng"
