"""
Writes packets.json, the golden frames that tests/unit/wire reads: python3 packets.py [CAPTURE.pcap]

An oracle that shares nothing with src/wire: frames are built, and every expected field is read back, by scapy
(2.7 was used; pip install scapy). Frames of origin "linux" were sent by a Linux kernel over a veth pair: they are
taken from the capture if one is named, else kept from the present packets.json. The kind of each frame is
written down here by hand; "malformed" and "other" expect no more than the kind.
"""

import json
import pathlib
import sys

from scapy.all import *  # noqa: F403 (scapy's layers are meant to be used like this)
from scapy.layers.inet6 import *  # noqa: F403
from scapy.layers.ipsec import AH

FILE = pathlib.Path(__file__).with_name("packets.json")

CLIENT, VIP, ROUTER = "198.51.100.7", "192.0.2.100", "203.0.113.1"
CLIENT6, VIP6, ROUTER6 = "2001:db8:1::7", "2001:db8::100", "2001:db8:2::1"
ETHER = Ether(src="52:54:00:ab:cd:ef", dst="03:76:c0:00:02:64")
IN4 = ETHER / IP(src=CLIENT, dst=VIP, ttl=57, id=0x1234)
IN6 = ETHER / IPv6(src=CLIENT6, dst=VIP6, hlim=57)
SYN = TCP(sport=40000, dport=443, seq=0x89ABCDEF, flags="S", window=64240)
QUERY = UDP(sport=50000, dport=53)
OUT4 = IP(src=VIP, dst=CLIENT, ttl=63, flags="DF")
OUT6 = IPv6(src=VIP6, dst=CLIENT6)
ANSWER = TCP(sport=443, dport=40000, seq=1, flags="PA") / (b"x" * 200)
DATA = bytes(range(64))


def patched(frame, *changes):
    """The frame with bytes replaced: (offset, bytes)."""
    raw_bytes = bytearray(bytes(frame))
    for at, replacement in changes:
        raw_bytes[at:at + len(replacement)] = replacement
    return bytes(raw_bytes)


def fragments4(payload, size):
    return fragment(IN4 / payload, fragsize=size)


def solicit(source=CLIENT6, destination="ff02::1:ff00:100", target=VIP6, hop_limit=255, option=True, **fields):
    packet = ETHER / IPv6(src=source, dst=destination, hlim=hop_limit) / ICMPv6ND_NS(tgt=target, **fields)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr="52:54:00:ab:cd:ef") if option else packet


def made():
    """(name, kind, frame)"""
    yield "tcp4 SYN with TCP options", "tcp", IN4 / TCP(
        sport=40000, dport=443, flags="S", options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)])
    yield "tcp4 RST ACK", "tcp", IN4 / TCP(sport=65535, dport=1, flags="RA")
    yield "tcp4 every flag", "tcp", IN4 / TCP(sport=1, dport=65535, flags="FSRPAUEC")
    yield "tcp4 with 40 bytes of IP options", "tcp", ETHER / IP(
        src=CLIENT, dst=VIP, options=[IPOption_RR(length=39, routers=["0.0.0.0"] * 9), IPOption_EOL()]) / SYN
    yield "tcp4 padded to 60 bytes by Ethernet", "tcp", bytes(IN4 / SYN).ljust(60, b"\xee")
    yield "tcp4 with the reserved flag and DF", "tcp", ETHER / IP(src=CLIENT, dst=VIP, flags=6) / SYN
    yield "udp4", "udp", IN4 / QUERY / DATA
    yield "udp4 without payload, padded", "udp", bytes(IN4 / QUERY).ljust(60, b"\x00")
    yield "udp4 shorter than its IP packet", "udp", IN4 / UDP(sport=50000, dport=53, len=20) / DATA
    first, middle, last = fragments4(QUERY / (b"f" * 3000), 1480)[:3]
    yield "udp4 first fragment", "udp", first
    yield "udp4 middle fragment", "fragmentRest", middle
    yield "udp4 last fragment", "fragmentRest", last
    yield "udp4 fragment up to byte 65,515", "fragmentRest", ETHER / IP(
        src=CLIENT, dst=VIP, proto=17, id=7, frag=8187) / (b"x" * 19)
    yield "tcp4 first fragment cuts the options", "tcp", ETHER / IP(src=CLIENT, dst=VIP, flags="MF", proto=6, id=9) / (
        bytes(TCP(sport=40000, dport=443, flags="S", dataofs=10))[:20] + b"\x01" * 4)
    yield "icmp4 echo request", "icmpEcho", IN4 / ICMP(id=7, seq=1) / DATA
    yield "icmp4 echo request, first fragment", "icmpEcho", fragments4(ICMP(id=7, seq=1) / (b"p" * 2000), 1480)[0]
    yield "icmp4 echo reply", "otherIp", IN4 / ICMP(type=0, id=7, seq=1) / DATA
    yield "icmp4 fragmentation needed for TCP", "icmpError", (
        ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3, code=4, nexthopmtu=1400) / bytes(OUT4 / ANSWER)[:28])
    yield "icmp4 time exceeded, quoted IP options", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=11) / IP(src=VIP, dst=CLIENT, options=[IPOption_RR(length=11, routers=["0.0.0.0"] * 2)]) / UDP(
            sport=53, dport=50000) / DATA
    yield "icmp4 unreachable, quoted first fragment", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / IP(src=VIP, dst=CLIENT, flags="MF", id=77) / UDP(sport=53, dport=50000, len=3008) / DATA
    yield "icmp4 unreachable, quoted later fragment", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / IP(src=VIP, dst=CLIENT, frag=185, id=77, proto=17) / DATA
    yield "icmp4 unreachable, quoted fragment at byte 32,768", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / IP(src=VIP, dst=CLIENT, frag=4096, id=77, proto=17) / DATA
    yield "icmp4 unreachable, quoted echo reply", "icmpError", (
        ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3, code=1) / OUT4 / ICMP(type=0, id=5) / DATA)
    yield "icmp4 unreachable, quote ends before the ports", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / bytes(OUT4 / ANSWER)[:23]
    yield "icmp4 redirect", "icmpError", (
        ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=5, code=1, gw=ROUTER) / bytes(OUT4 / ANSWER)[:28])
    yield "icmp4 unreachable, quoted header only", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / bytes(OUT4 / ANSWER)[:20]
    yield "icmp4 unreachable, quote ends behind the ports", "icmpError", ETHER / IP(src=ROUTER, dst=VIP) / ICMP(
        type=3, code=1) / bytes(OUT4 / ANSWER)[:24]
    yield "icmp4 echo request without data", "icmpEcho", IN4 / ICMP(id=7, seq=1)
    yield "tcp4 later fragment", "fragmentRest", ETHER / IP(src=CLIENT, dst=VIP, proto=6, id=9, frag=3) / DATA
    yield "gre4 fragment at byte 8", "fragmentRest", ETHER / IP(src=CLIENT, dst=VIP, proto=47, id=9, frag=1) / DATA
    yield "gre4", "otherIp", IN4 / GRE() / DATA
    yield "ipv4 with no payload", "otherIp", ETHER / IP(src=CLIENT, dst=VIP, proto=253)

    yield "tcp6 SYN", "tcp", IN6 / SYN
    yield "tcp6 with traffic class and flow label", "tcp", ETHER / IPv6(src=CLIENT6, dst=VIP6, tc=0xB8, fl=0xABCDE) / SYN
    yield "tcp6 behind hop-by-hop, destination, routing and AH", "tcp", (
        IN6 / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)]) /
        IPv6ExtHdrRouting(type=2, segleft=0, addresses=["2001:db8::9"]) / AH(nh=6, payloadlen=4, spi=1, seq=1, icv=b"\0" * 12) / SYN)
    yield "udp6", "udp", IN6 / QUERY / DATA
    pieces = fragment6(IN6 / IPv6ExtHdrFragment(id=0xFEDCBA98) / QUERY / (b"f" * 3000), 1500)
    yield "udp6 first fragment", "udp", pieces[0]
    yield "udp6 middle fragment", "fragmentRest", pieces[1]
    yield "udp6 last fragment", "fragmentRest", pieces[-1]
    yield "udp6 later fragment behind hop-by-hop", "fragmentRest", (
        IN6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment(id=5, offset=10, m=1, nh=17) / DATA)
    yield "udp6 first fragment, destination options behind", "udp", (
        IN6 / IPv6ExtHdrFragment(id=5, m=1) / IPv6ExtHdrDestOpt() / UDP(sport=50000, dport=53, len=3008) / DATA)
    yield "udp6 atomic fragment", "udp", IN6 / IPv6ExtHdrFragment(id=5) / QUERY / DATA
    yield "udp6 on its way to another stop", "otherIp", (
        IN6 / IPv6ExtHdrRouting(type=2, segleft=1, addresses=["2001:db8::9"]) / QUERY)
    yield "ipv6 no next header", "otherIp", ETHER / IPv6(src=CLIENT6, dst=VIP6, nh=59)
    yield "ipv6 no next header behind destination options", "otherIp", IN6 / IPv6ExtHdrDestOpt(nh=59)
    yield "gre6 fragment at byte 8", "fragmentRest", IN6 / IPv6ExtHdrFragment(id=5, offset=1, m=1, nh=47) / DATA
    yield "udp6 fragment up to byte 65,535", "fragmentRest", (
        IN6 / IPv6ExtHdrFragment(id=5, offset=8190, nh=17) / DATA[:15])
    yield "esp6", "otherIp", ETHER / IPv6(src=CLIENT6, dst=VIP6, nh=50) / DATA
    yield "icmp6 echo request", "icmpEcho", IN6 / ICMPv6EchoRequest(id=7, seq=1, data=DATA)
    yield "icmp6 echo reply", "otherIp", IN6 / ICMPv6EchoReply(id=7, seq=1, data=DATA)
    yield "icmp6 packet too big for TCP", "icmpError", (
        ETHER / IPv6(src=ROUTER6, dst=VIP6) / ICMPv6PacketTooBig(mtu=1300) / OUT6 / ANSWER)
    yield "icmp6 time exceeded, quoted extension headers", "icmpError", ETHER / IPv6(
        src=ROUTER6, dst=VIP6) / ICMPv6TimeExceeded() / OUT6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(
            sport=53, dport=50000) / DATA
    yield "icmp6 unreachable, quoted first fragment", "icmpError", ETHER / IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach(
        ) / OUT6 / IPv6ExtHdrFragment(id=9, m=1) / UDP(sport=53, dport=50000, len=3008) / DATA
    yield "icmp6 unreachable, quoted later fragment", "icmpError", ETHER / IPv6(
        src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / OUT6 / IPv6ExtHdrFragment(id=9, offset=181, nh=17) / DATA
    yield "icmp6 parameter problem, quote ends in the headers", "icmpError", ETHER / IPv6(
        src=ROUTER6, dst=VIP6) / ICMPv6ParamProblem() / bytes(OUT6 / IPv6ExtHdrDestOpt() / QUERY)[:44]
    yield "icmp6 unreachable, quoted header only", "icmpError", ETHER / IPv6(
        src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / bytes(OUT6 / QUERY)[:40]
    yield "icmp6 unreachable, quote ends behind the ports", "icmpError", ETHER / IPv6(
        src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / bytes(OUT6 / QUERY)[:44]
    yield "icmp6 echo request without data", "icmpEcho", IN6 / ICMPv6EchoRequest(id=7, seq=1)
    yield "icmp6 neighbour advertisement", "otherIp", ETHER / IPv6(
        src=CLIENT6, dst=VIP6, hlim=255) / ICMPv6ND_NA(tgt=CLIENT6)

    yield "arp request", "arpRequest", Ether(src="52:54:00:ab:cd:ef", dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc="52:54:00:ab:cd:ef", psrc=CLIENT, pdst=VIP)
    yield "arp probe, padded", "arpRequest", bytes(Ether(src="52:54:00:ab:cd:ef", dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc="52:54:00:ab:cd:ef", psrc="0.0.0.0", pdst=VIP)).ljust(60, b"\0")
    yield "arp request from a group MAC", "arpOther", ETHER / ARP(op=1, hwsrc="03:76:c0:00:02:64", psrc=CLIENT, pdst=VIP)
    yield "arp reply", "arpOther", ETHER / ARP(op=2, hwsrc="52:54:00:ab:cd:ef", psrc=CLIENT, hwdst="52:54:00:12:34:56", pdst=VIP)
    yield "neighbour solicitation", "ndSolicit", solicit()
    yield "neighbour solicitation, unicast, no option", "ndSolicit", solicit(destination=VIP6, option=False)
    yield "neighbour solicitation, duplicate detection", "ndSolicit", solicit(source="::", option=False)
    yield "neighbour solicitation, duplicate detection, nonce", "ndSolicit", (
        solicit(source="::", option=False) / Raw(b"\x0e\x01noncee"))
    yield "neighbour solicitation, option behind another", "ndSolicit", (
        solicit(option=False) / ICMPv6NDOptMTU() / ICMPv6NDOptSrcLLAddr(lladdr="52:54:00:ab:cd:ef"))

    yield "vlan tag", "other", ETHER / Dot1Q(vlan=5) / IP(src=CLIENT, dst=VIP) / SYN
    yield "vlan service tag", "other", ETHER / Dot1AD(vlan=5) / IP(src=CLIENT, dst=VIP) / SYN
    yield "802.3 length and LLC", "other", ETHER.__class__(src=ETHER.src, dst="01:80:c2:00:00:00", type=38) / DATA[:38]
    yield "lldp", "other", ETHER.__class__(src=ETHER.src, dst="01:80:c2:00:00:0e", type=0x88CC) / DATA
    yield "header only", "other", ETHER.__class__(src=ETHER.src, dst=ETHER.dst, type=0x88CC)
    yield "arp with long hardware addresses", "other", patched(ETHER / ARP(op=1), (18, b"\x08"))
    yield "arp with long protocol addresses", "other", patched(ETHER / ARP(op=1), (19, b"\x10"))
    yield "arp for another protocol", "other", patched(ETHER / ARP(op=1), (16, b"\x86\xdd"))
    yield "arp for another link type", "other", ETHER / ARP(hwtype=6, op=1, hwsrc="52:54:00:ab:cd:ef", psrc=CLIENT, pdst=VIP)

    syn4, syn6, query4, query6 = (bytes(p) for p in (IN4 / SYN, IN6 / SYN, IN4 / QUERY / DATA, IN6 / QUERY / DATA))
    bad = {
        "ethernet header cut": syn4[:13],
        "ipv4 header cut": syn4[:33],
        "ipv4 of version 5": patched(syn4, (14, b"\x55")),
        "ipv6 under the ethertype of ipv4": patched(syn4, (14, b"\x65")),
        "ipv4 header length 16": patched(syn4, (14, b"\x44")),
        "ipv4 header longer than the packet": patched(syn4, (14, b"\x4f")),
        "ipv4 total length 0": patched(syn4, (16, b"\x00\x00")),
        "ipv4 total length below the header's": patched(syn4, (16, b"\x00\x13")),
        "ipv4 total length beyond the capture": patched(syn4, (16, b"\x00\x29")),
        "tcp4 cut at 19 bytes": patched(syn4[:53], (16, b"\x00\x27")),
        "tcp4 data offset 4": patched(syn4, (46, b"\x40")),
        "tcp4 data offset beyond the packet": patched(syn4, (46, b"\x60")),
        "tcp4 first fragment cut at 16 bytes": patched(syn4[:50], (16, b"\x00\x24\x00\x00\x20\x00")),
        "tcp4 fragment inside the TCP header": ETHER / IP(src=CLIENT, dst=VIP, proto=6, frag=1) / DATA,
        "udp4 cut at 7 bytes": patched(query4[:41], (16, b"\x00\x1b")),
        "udp4 length 7": patched(query4, (38, b"\x00\x07")),
        "udp4 length 0": patched(query4, (38, b"\x00\x00")),
        "udp4 length beyond the packet": patched(query4, (38, b"\x00\x49")),
        "udp4 fragment beyond byte 65,535": ETHER / IP(src=CLIENT, dst=VIP, proto=17, frag=8191) / DATA,
        "icmp4 cut at 7 bytes": ETHER / IP(src=CLIENT, dst=VIP, proto=1) / bytes(ICMP())[:7],
        "icmp4 error that quotes 19 bytes": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3) / bytes(OUT4)[:19],
        "icmp4 error that quotes ipv6": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3) / bytes(OUT6 / ANSWER),
        "icmp4 error that quotes cut options": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3) / patched(OUT4 / DATA[:10], (0, b"\x4f")),
        "icmp4 error that quotes nothing": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3),
        "icmp4 error that quotes version 5": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3) / patched(OUT4 / DATA, (0, b"\x55")),
        "icmp4 error that quotes a header of 16 bytes": ETHER / IP(src=ROUTER, dst=VIP) / ICMP(type=3) / patched(OUT4 / DATA, (0, b"\x44")),
        "ipv6 header cut": syn6[:53],
        "ipv6 of version 4": patched(syn6, (14, b"\x40")),
        "ipv6 payload length beyond the capture": patched(syn6, (18, b"\x00\x15")),
        "ipv6 payload length 0 (jumbo)": patched(syn6, (18, b"\x00\x00")),
        "tcp6 cut at 19 bytes": patched(syn6[:73], (18, b"\x00\x13")),
        "udp6 length beyond the packet": patched(query6, (58, b"\x00\x49")),
        "ipv6 hop-by-hop behind another header": IN6 / IPv6ExtHdrDestOpt(nh=0) / IPv6ExtHdrHopByHop() / SYN,
        "ipv6 nine extension headers": IN6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()
        / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / SYN,
        "ipv6 extension header beyond the packet": ETHER / IPv6(src=CLIENT6, dst=VIP6, nh=60) / b"\x06\x01\0\0\0\0\0\0",
        "ipv6 fragment header twice": IN6 / IPv6ExtHdrFragment(id=1, m=1) / IPv6ExtHdrFragment(id=2, m=1) / QUERY / DATA,
        "tcp6 fragment inside the TCP header": IN6 / IPv6ExtHdrFragment(id=1, offset=1, nh=6) / DATA,
        "tcp6 first fragment without its header": IN6 / IPv6ExtHdrFragment(id=1, m=1, nh=6) / DATA[:16],
        "icmp6 cut at 7 bytes": ETHER / IPv6(src=CLIENT6, dst=VIP6, nh=58) / DATA[:7],
        "icmp6 error that quotes 39 bytes": ETHER / IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / bytes(OUT6)[:39],
        "icmp6 error that quotes nothing": ETHER / IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach(),
        "icmp6 error that quotes ipv4": ETHER / IPv6(src=ROUTER6, dst=VIP6) / ICMPv6DestUnreach() / bytes(OUT4 / ANSWER),
        "udp6 fragment beyond byte 65,535": IN6 / IPv6ExtHdrFragment(id=5, offset=8190, nh=17) / DATA[:16],
        "arp cut at 27 bytes": bytes(ETHER / ARP())[:41],
        "neighbour solicitation that was forwarded": solicit(hop_limit=254),
        "neighbour solicitation with code 1": solicit(code=1),
        "neighbour solicitation with a wrong checksum": solicit(cksum=0x1234),
        "neighbour solicitation for a group": solicit(target="ff02::1"),
        "neighbour solicitation in a fragment": ETHER / IPv6(src=CLIENT6, dst=VIP6, hlim=255) / IPv6ExtHdrFragment(
            id=1, m=1) / ICMPv6ND_NS(tgt=VIP6),
        "neighbour solicitation cut at 23 bytes": ETHER / IPv6(src=CLIENT6, dst=VIP6, hlim=255, nh=58) / bytes(
            solicit(option=False))[54:77],
        "neighbour solicitation with an option of length 0": solicit(option=False) / Raw(b"\x01\0RT\0\xab\xcd\xef"),
        "neighbour solicitation with an option beyond the end": solicit(option=False) / Raw(b"\x0e\x02RT\0\xab\xcd\xef"),
        "duplicate detection with a source option": solicit(source="::"),
        "duplicate detection to all nodes": solicit(source="::", destination="ff02::1", option=False),
        "duplicate detection to a group beyond the link": solicit(source="::", destination="ff05::1:ff00:100", option=False),
        "duplicate detection to a group that is none of nodes": solicit(source="::", destination="ff02::1:fe00:100", option=False),
        "duplicate detection to another group": solicit(source="::", destination="ff02::2:ff00:100", option=False),
        "duplicate detection to a unicast address": solicit(source="::", destination=VIP6, option=False),
    }
    for name, frame in bad.items():
        yield name, "malformed", frame


LINUX = {  # kind and which packet of the capture, in the order of capture
    "linux arp request": ("arpRequest", lambda p: ARP in p and p[ARP].op == 1),
    "linux arp reply": ("arpOther", lambda p: ARP in p and p[ARP].op == 2),
    "linux tcp4 SYN": ("tcp", lambda p: IP in p and TCP in p and p[TCP].flags == "S"),
    "linux tcp4 SYN ACK": ("tcp", lambda p: IP in p and TCP in p and p[TCP].flags == "SA"),
    "linux tcp4 data": ("tcp", lambda p: IP in p and TCP in p and p[TCP].flags == "PA"),
    "linux tcp4 FIN": ("tcp", lambda p: IP in p and TCP in p and p[TCP].flags == "FA"),
    "linux tcp6 SYN": ("tcp", lambda p: IPv6 in p and TCP in p and p[TCP].flags == "S"),
    "linux tcp6 FIN": ("tcp", lambda p: IPv6 in p and TCP in p and p[TCP].flags == "FA"),
    "linux udp4 first fragment": ("udp", lambda p: IP in p and p[IP].flags.MF and p[IP].frag == 0),
    "linux udp4 last fragment": ("fragmentRest", lambda p: IP in p and not p[IP].flags.MF and p[IP].frag > 0),
    "linux udp4": ("udp", lambda p: IP in p and UDP in p and p[UDP].len == 12),
    "linux icmp4 port unreachable": ("icmpError", lambda p: IP in p and ICMP in p and p[ICMP].type == 3),
    "linux udp6 first fragment": ("udp", lambda p: IPv6ExtHdrFragment in p and p[IPv6ExtHdrFragment].offset == 0),
    "linux udp6 last fragment": ("fragmentRest", lambda p: IPv6ExtHdrFragment in p and not p[IPv6ExtHdrFragment].m),
    "linux udp6": ("udp", lambda p: IPv6 in p and UDP in p and p[UDP].len == 12),
    "linux icmp6 port unreachable": ("icmpError", lambda p: ICMPv6DestUnreach in p),
    "linux icmp4 echo request": ("icmpEcho", lambda p: IP in p and p[IP].ihl == 5 and ICMP in p and p[ICMP].type == 8),
    "linux icmp4 echo request, record route": ("icmpEcho", lambda p: IP in p and p[IP].ihl == 8 and ICMP in p and p[ICMP].type == 8),
    "linux icmp6 echo request": ("icmpEcho", lambda p: ICMPv6EchoRequest in p),
    "linux duplicate address detection": ("ndSolicit", lambda p: ICMPv6ND_NS in p and p[IPv6].src == "::" and p[ICMPv6ND_NS].tgt == VIP6),
    "linux neighbour solicitation": ("ndSolicit", lambda p: ICMPv6ND_NS in p and p[IPv6].src == "2001:db8::7"),
    "linux neighbour advertisement": ("otherIp", lambda p: ICMPv6ND_NA in p),
    "linux multicast listener report": ("otherIp", lambda p: IPv6ExtHdrHopByHop in p),
}


def linux():
    if len(sys.argv) > 1:
        capture = [Ether(bytes(p)) for p in rdpcap(sys.argv[1])]
        for name, (kind, wanted) in LINUX.items():
            yield name, kind, next(p for p in capture if wanted(p))
    else:
        for entry in json.loads(FILE.read_text()):
            if entry["origin"] == "linux":
                yield entry["name"], entry["kind"], bytes.fromhex(entry["hex"])


def expected(kind, frame):
    """What scapy finds in the frame; addresses as text, everything else as numbers."""
    packet = Ether(frame)
    if kind in ("malformed", "other"):
        return {}
    if kind.startswith("arp"):
        arp = packet[ARP]
        return {"operation": arp.op, "senderMac": arp.hwsrc, "senderIp": arp.psrc, "targetIp": arp.pdst}
    ip = packet[IP] if IP in packet else packet[IPv6]
    fields = {"family": ip.version, "source": ip.src, "destination": ip.dst}
    if ip.version == 4:
        fields |= {"totalLength": ip.len, "ttl": ip.ttl, "protocol": ip.proto, "transportOffset": 14 + ip.ihl * 4}
        more, offset, identifier = int(ip.flags.MF), ip.frag * 8, ip.id
    else:
        fields |= {"totalLength": 40 + ip.plen, "ttl": ip.hlim}
        layer, at = ip, 54
        while True:
            above = layer.payload
            # Behind a later fragment scapy stops as well; a route that goes on ends the walk.
            if isinstance(layer, IPv6ExtHdrFragment) and layer.offset > 0:
                break
            if not isinstance(above, (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrFragment, AH)):
                break
            if isinstance(above, IPv6ExtHdrRouting) and above.segleft > 0:
                break
            at += len(above) - len(above.payload)
            layer = above
        fields |= {"protocol": layer.nh, "transportOffset": at}
        header = ip.getlayer(IPv6ExtHdrFragment) if kind != "icmpError" else None
        more, offset, identifier = (header.m, header.offset * 8, header.id) if header else (0, 0, 0)
    fragmented = bool(more or offset)
    fields["fragment"] = {"id": identifier, "offset": offset, "more": bool(more)} if fragmented else None
    if kind in ("tcp", "udp"):
        # Parsed by itself: scapy does not look into IPv6 first fragments.
        transport = (TCP if kind == "tcp" else UDP)(frame[fields["transportOffset"]:])
        fields |= {"sourcePort": transport.sport, "destinationPort": transport.dport}
        if kind == "tcp":
            fields["tcpFlags"] = int(transport.flags)
    if kind in ("icmpEcho", "icmpError"):
        fields |= {"icmpType": frame[fields["transportOffset"]], "icmpCode": frame[fields["transportOffset"] + 1]}
    if kind == "icmpError":
        fields["quoted"] = quoted(frame[fields["transportOffset"] + 8:], ip.version)
    if kind == "ndSolicit":
        option = packet.getlayer(ICMPv6NDOptSrcLLAddr)
        fields |= {"target": packet[ICMPv6ND_NS].tgt, "sourceLink": option.lladdr if option else None,
                   "duplicateDetection": ip.src == "::"}
    return fields


def quoted(data, family):
    ip = IP(data) if family == 4 else IPv6(data)
    fields = {"source": ip.src, "destination": ip.dst}
    layer = ip
    while isinstance(layer.payload, (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)):
        if len(data) - 40 < 8:  # the quote ends inside this header, of which scapy makes what it can
            break
        layer = layer.payload
    later = ip.frag > 0 if family == 4 else isinstance(layer, IPv6ExtHdrFragment) and layer.offset > 0
    protocol = layer.proto if family == 4 else layer.nh
    at = ip.ihl * 4 if family == 4 else len(data) - len(layer.payload)
    fields["protocol"] = protocol
    cut = len(data) < at + 4 or isinstance(layer.payload, Raw) and protocol == 60
    fields["ports"] = None
    if protocol in (6, 17) and not later and not cut:
        fields["ports"] = [int.from_bytes(data[at:at + 2], "big"), int.from_bytes(data[at + 2:at + 4], "big")]
    return fields


def main():
    entries = []
    for origin, source in (("linux", linux()), ("scapy", made())):
        for name, kind, frame in source:
            data = bytes(frame)
            entries.append({"name": name, "origin": origin, "kind": kind, "hex": data.hex(), **(
                {"expect": expected(kind, data)} if kind not in ("malformed", "other") else {})})
    FILE.write_text("[\n" + ",\n".join("  " + json.dumps(e) for e in entries) + "\n]\n")
    print(f"{len(entries)} frames")


main()
