/**
 * The way from a captured frame to numbers. A packet is read once, front to back, by one call:
 *
 *     parseEthernet → parseArp                                     (arp.ts)
 *                   → parseIpv4 ┐                                  (ipv4.ts)
 *                   → parseIpv6 ┤→ extension headers               (ipv6.ts, extension_headers.ts)
 *                               ├→ parseTcp, parseUdp              (tcp.ts, udp.ts)
 *                               └→ parseIcmp, parseIcmpv6          (icmp.ts)
 *                                  ├→ parseQuoted                  (quoted.ts)
 *                                  └→ parseNeighbourSolicitation   (ndp.ts)
 *
 * Every step compares with the captured length before it reads, so no input reads outside the frame or throws.
 * Nothing is allocated: results go into the PacketView (view.ts).
 */

import { parseArp } from "./arp.ts";
import { readUint16 } from "./bytes.ts";
import { ETHER_TYPE, ETHERNET, ETHERNET_HEADER_BYTES } from "./ethernet.ts";
import { parseIpv4 } from "./ipv4.ts";
import { parseIpv6 } from "./ipv6.ts";
import { PacketKind, type PacketView } from "./view.ts";

export { PACKET_KIND_NAMES, PacketKind, PacketView, PROTOCOL } from "./view.ts";

/**
 * Reads the frame of `length` captured bytes at `offset`. A VLAN tag in the frame makes it `other`: a VIP
 * interface is one LAN, and a tagged frame belongs to another. (A tag that the kernel took out of the frame
 * shows only in the ring's header.) Never throws; a range outside the buffer is malformed.
 */
export function parseEthernet(
  bytes: Uint8Array,
  offset: number,
  length: number,
  view: PacketView,
): PacketKind {
  const end = offset + length;
  view.linkOffset = offset;
  view.family = 0;
  if (length < ETHERNET_HEADER_BYTES || offset < 0 || end > bytes.length) {
    return view.kind = PacketKind.malformed;
  }
  switch (readUint16(bytes, offset + ETHERNET.etherType)) {
    case ETHER_TYPE.ipv4:
      return view.kind = parseIpv4(bytes, offset + ETHERNET_HEADER_BYTES, end, view);
    case ETHER_TYPE.ipv6:
      return view.kind = parseIpv6(bytes, offset + ETHERNET_HEADER_BYTES, end, view);
    case ETHER_TYPE.arp:
      return view.kind = parseArp(bytes, offset + ETHERNET_HEADER_BYTES, end, view);
    default:
      return view.kind = PacketKind.other;
  }
}

/** Reads the IP packet of `length` captured bytes at `offset`, of the version that its first byte says. */
export function parseIp(bytes: Uint8Array, offset: number, length: number, view: PacketView): PacketKind {
  const end = offset + length;
  view.linkOffset = -1;
  view.family = 0;
  if (length < 1 || offset < 0 || end > bytes.length) return view.kind = PacketKind.malformed;
  switch (bytes[offset] >> 4) {
    case 4:
      return view.kind = parseIpv4(bytes, offset, end, view);
    case 6:
      return view.kind = parseIpv6(bytes, offset, end, view);
    default:
      return view.kind = PacketKind.malformed;
  }
}
