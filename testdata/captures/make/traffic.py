#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the traffic of the captures, between two network namespaces.

Each command is one end of a conversation over ordinary sockets; only `odd` uses
raw ones, to send what a host's own stack would not.
"""

import os
import random
import socket
import struct
import sys
import time

SERVER4, SERVER6 = "10.20.0.1", "fd00:20::1"
DNS_PORT, ECHO_PORT, SINK_PORT = 53, 7, 9


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def serve_dns(family, address):
    """Answers A and AAAA questions, whatever the name."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, DNS_PORT))
    while True:
        query, peer = sock.recvfrom(2048)
        if len(query) < 17:
            continue
        kind = struct.unpack("!H", query[-4:-2])[0]
        data = bytes([10, 20, 0, 1]) if kind == 1 else socket.inet_pton(socket.AF_INET6, SERVER6)
        answer = query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:]
        answer += struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(data)) + data
        sock.sendto(answer, peer)


def serve_echo(family, address):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((address, ECHO_PORT))
    while True:
        data, peer = sock.recvfrom(65535)
        sock.sendto(data, peer)


def serve_sink(family, address):
    """Reads what a connection sends, then answers with its length."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, SINK_PORT))
    sock.listen(64)
    while True:
        connection, _ = sock.accept()
        size = 0
        while data := connection.recv(65536):
            size += len(data)
        connection.sendall(b"%d\n" % size)
        connection.close()


def serve():
    for function in (serve_dns, serve_echo, serve_sink):
        for family, address in ((socket.AF_INET, SERVER4), (socket.AF_INET6, SERVER6)):
            if os.fork() == 0:
                function(family, address)
    while True:
        time.sleep(60)


def set_tos(sock, tos):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)


def ask(server, name, kind, tos=0, source=None):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        set_tos(sock, tos)
        sock.settimeout(2)
        if source:
            sock.bind((source, 0))
        labels = b"".join(bytes([len(l)]) + l.encode() for l in name.split("."))
        query = struct.pack("!HHHHHH", random.getrandbits(16), 0x0100, 1, 0, 0, 0)
        sock.sendto(query + labels + b"\0" + struct.pack("!HH", kind, 1), (server, DNS_PORT))
        return sock.recv(2048)


def send(server, size, tos=0, source=None):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        set_tos(sock, tos)
        if source:
            sock.bind((source, 0))
        sock.connect((server, SINK_PORT))
        sock.sendall(bytes(i & 0xFF for i in range(size)))
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(100)


def echo(server, size, tos=0, source=None, options=()):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        set_tos(sock, tos)
        sock.settimeout(2)
        for option in options:
            sock.setsockopt(*option)
        if source:
            sock.bind((source, 0))
        sock.sendto(bytes(i & 0xFF for i in range(size)), (server, ECHO_PORT))
        return sock.recv(65535)


def web():
    for server in (SERVER4, SERVER6):
        for name in ("www.example.org", "mail.example.net"):
            ask(server, name, 1)
            ask(server, name, 28)


def tos():
    """TCP and UDP over both families with the code points that are in use."""
    for tos in (0x00, 0x04, 0x08, 0x10, 0x20, 0x28, 0x48, 0x88, 0xA0, 0xB8, 0xB9, 0xC0, 0xE0):
        for server in (SERVER4, SERVER6):
            send(server, 200 + tos, tos)
            echo(server, 20 + tos, tos)
            ask(server, "tos%02x.example.org" % tos, 1, tos)


def fragments():
    for server in (SERVER4, SERVER6):
        for size in (1, 100, 1452, 1472, 1473, 2000, 4000, 9000, 20000):
            echo(server, size)
    record_route = struct.pack("!BBB36x", 7, 39, 4) + b"\0"
    time_stamp = struct.pack("!BBBB36x", 68, 40, 5, 0)
    for option in (record_route, time_stamp, b"\1\1\1\0"):
        echo(SERVER4, 64, options=[(socket.IPPROTO_IP, socket.IP_OPTIONS, option)])
    padding = b"\0\0\1\4\0\0\0\0"
    # Option 0x1e is for experiments (RFC 4727): a host that does not know it skips it.
    experiment = b"\0\2\x1e\x14" + bytes(range(20))
    hop, dst = socket.IPV6_HOPOPTS, socket.IPV6_DSTOPTS
    for options in ([hop], [dst], [hop, dst]):
        for value in (padding, experiment):
            for size in (64, 3000):
                echo(SERVER6, size, options=[(socket.IPPROTO_IPV6, o, value) for o in options])


def jumbo():
    for server in (SERVER4, SERVER6):
        send(server, 60000)
        for size in (2000, 3400, 3600, 8000, 8900):
            echo(server, size)


def crowd():
    """Many clients with small requests, and one that floods."""
    random.seed(2)
    clients = ["10.20.1.%d" % i for i in range(1, 61)]
    clients += ["fd00:20::1:%x" % i for i in range(1, 41)]
    flood = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for sock in flood:
        sock.bind(("10.20.9.9", 0))
    for _ in range(900):
        client = random.choice(clients)
        server = SERVER6 if ":" in client else SERVER4
        tos = random.choice((0, 0, 0, 0, 0x20, 0x48, 0xB8))
        what = random.random()
        if what < 0.5:
            ask(server, "host%d.example.org" % random.randrange(500), random.choice((1, 28)), tos, client)
        elif what < 0.75:
            echo(server, random.randrange(1, 60), tos, client)
        else:
            send(server, random.randrange(1, 80), tos, client)
        for _ in range(random.randrange(4)):
            random.choice(flood).sendto(b"flood", (SERVER4, random.choice((80, 443, 5060, 9999))))


def odd():
    """What a firewall should not let through, over an Ethernet packet socket."""
    device, mac, peer = sys.argv[2:5]
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    raw = [bytes.fromhex(m.replace(":", "")) for m in (peer, mac)]

    def frame(payload, ethertype=0x0800):
        sock.send(raw[0] + raw[1] + struct.pack("!H", ethertype) + payload)

    def ip(payload, protocol, source="10.20.0.2", destination=SERVER4, version_ihl=0x45, length=None, fragment=0):
        src, dst = (socket.inet_aton(a) for a in (source, destination))
        length = 20 + len(payload) if length is None else length
        head = struct.pack("!BBHHHBBH4s4s", version_ihl, 0, length, 0x1234, fragment, 64, protocol, 0, src, dst)
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload

    def tcp(flags, sport=40000, dport=80, offset=5):
        return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, offset << 4, flags, 1024, 0, 0)

    def udp(data=b"odd", length=None):
        return struct.pack("!HHHH", 40000, 9, 8 + len(data) if length is None else length, 0) + data

    fin, syn, rst, psh, ack, urg = 1, 2, 4, 8, 16, 32
    for flags in (0, fin, fin | psh | urg, syn | fin, syn | rst, syn | fin | ack, 0x3F, rst, syn, syn | ack, fin | ack, 0xC2):
        for port in (22, 80, 443):
            frame(ip(tcp(flags, dport=port), 6))
    for source in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "192.0.2.7", "224.0.0.1", "240.0.0.1", "255.255.255.255", SERVER4):
        frame(ip(tcp(syn), 6, source))
        frame(ip(udp(), 17, source))
    frame(ip(udp(), 17, "0.0.0.0", "255.255.255.255"))
    for version_ihl in (0x44, 0x40, 0x55, 0x35, 0x4F):
        frame(ip(tcp(syn), 6, version_ihl=version_ihl))
    for length in (0, 10, 19, 41, 1000, 65535):
        frame(ip(tcp(syn), 6, length=length))
    for offset in (0, 4, 15):
        frame(ip(tcp(syn, offset=offset), 6))
    for length in (0, 7, 8, 200):
        frame(ip(udp(length=length), 17))
    for size in (0, 1, 7, 8, 13, 19, 20):
        frame(ip(tcp(syn)[:size], 6))
        frame(ip(udp()[:size], 17))
    for fragment in (0x2000, 0x0001, 0x2001, 0x0002, 0x00B9, 0x4000):
        frame(ip(tcp(syn), 6, fragment=fragment))
        frame(ip(udp(), 17, fragment=fragment))
    for size in (0, 1, 4, 19):
        frame(ip(b"", 17)[:size])
        frame(b"\x60" + bytes(size), 0x86DD)
    frame(b"\0\x2a", 0x8100)
    frame(b"\0\x2a\x08\0" + ip(tcp(syn), 6), 0x8100)
    frame(b"\0\x2a\x08\0" + ip(tcp(syn | fin), 6), 0x8100)
    frame(b"\0\1\x81\0\0\2\x81\0\0\3\x08\0" + ip(udp(), 17), 0x88A8)
    frame(b"\0\1\x81\0\0\2\x08\0" + ip(udp(), 17), 0x88A8)

    def ip6(payload, following, source="fd00:20::2", length=None):
        src, dst = (socket.inet_pton(socket.AF_INET6, a) for a in (source, SERVER6))
        length = len(payload) if length is None else length
        return struct.pack("!IHBB16s16s", 0x60000000, length, following, 64, src, dst) + payload

    for source in ("::1", "ff02::1", "::", "fd00:20::2"):
        frame(ip6(tcp(syn), 6, source), 0x86DD)
    for length in (19, 21, 1000, 65535):
        frame(ip6(tcp(syn), 6, length=length), 0x86DD)
    options = b"\1\4\0\0\0\0"
    for count in (1, 4, 6, 7, 9):
        chain = b"".join(bytes([60]) + b"\0" + options for _ in range(count - 1))
        frame(ip6(chain + b"\6\0" + options + tcp(syn), 60), 0x86DD)
    frame(ip6(b"\6\xff" + options + tcp(syn), 60), 0x86DD)
    for offset in (0x0001, 0x0008, 0x0000):
        frame(ip6(struct.pack("!BBHI", 6, 0, offset, 7) + tcp(syn), 44), 0x86DD)
    for ethertype in (0x0806, 0x88CC, 0x8863, 0x9000, 0x0004):
        frame(bytes(46), ethertype)


if __name__ == "__main__":
    {f.__name__: f for f in (serve, web, tos, fragments, jumbo, crowd, odd)}[sys.argv[1]]()
