/** IPv6 headers (RFC 8200); the extension headers are walked by extension_headers.ts. */

import type { IpAddress } from "../core/address.ts";
import { readUint16, writeUint16, writeUint32 } from "./bytes.ts";
import { ExtensionWalk, isExtension, WalkEnd } from "./extension_headers.ts";
import { parseIcmpv6 } from "./icmp.ts";
import { IPV6, IPV6_HEADER_BYTES } from "./ip_offsets.ts";
import { parseTcp, TCP_HEADER_BYTES } from "./tcp.ts";
import { parseUdp } from "./udp.ts";
import { PacketKind, type PacketView, PROTOCOL } from "./view.ts";

const PAYLOAD_BYTES_MAX = 65_535;

/** One per thread: each Worker has its own copy of this module. */
const walk = new ExtensionWalk();

/**
 * Reads the packet at `offset`; `end` is the end of the captured bytes, which may include Ethernet padding.
 *
 * Payload length: a GSO super-packet carries its real length up to 65,535. 0 is taken at its word, nothing
 * follows, so a jumbogram (RFC 2675) and BIG TCP come out as malformed: Linux makes them only after an
 * administrator raised gso_max_size or gro_max_size above its default of 65,536, and they do not
 * fit a virtio header's 16-bit lengths. More than was captured is malformed too.
 */
export function parseIpv6(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  const captured = end - offset;
  if (captured < IPV6_HEADER_BYTES) return PacketKind.malformed;
  const totalLength = IPV6_HEADER_BYTES + readUint16(bytes, offset + IPV6.payloadLength);
  if (bytes[offset] >> 4 !== 6 || totalLength > captured) return PacketKind.malformed;
  const packetEnd = offset + totalLength;
  let protocol = bytes[offset + IPV6.nextHeader];
  let transport = offset + IPV6_HEADER_BYTES;
  view.family = 6;
  view.ipOffset = offset;
  view.totalLength = totalLength;
  view.ttl = bytes[offset + IPV6.hopLimit];
  view.sourceOffset = offset + IPV6.source;
  view.destinationOffset = offset + IPV6.destination;
  view.isFragment = false;
  view.moreFragments = false;
  view.fragmentOffset = 0;
  view.fragmentId = 0;
  view.fragmentProtocol = 0;
  if (isExtension(protocol)) {
    const early = readExtensions(bytes, protocol, transport, packetEnd, view);
    if (early !== AT_TRANSPORT) return early;
    protocol = walk.protocol;
    transport = walk.offset;
  }
  view.protocol = protocol;
  view.transportOffset = transport;
  if (protocol === PROTOCOL.tcp) return parseTcp(bytes, transport, packetEnd, view);
  if (protocol === PROTOCOL.udp) return parseUdp(bytes, transport, packetEnd, view);
  if (protocol === PROTOCOL.icmpv6) return parseIcmpv6(bytes, transport, packetEnd, view);
  view.sourcePort = 0;
  view.destinationPort = 0;
  view.tcpFlags = 0;
  return PacketKind.otherIp;
}

const AT_TRANSPORT = -1;

function readExtensions(
  bytes: Uint8Array,
  protocol: number,
  offset: number,
  end: number,
  view: PacketView,
): PacketKind | typeof AT_TRANSPORT {
  const result = walk.run(bytes, protocol, offset, end);
  // A chain that is cut is malformed in a first fragment as well (RFC 7112).
  if (result === WalkEnd.malformed || result === WalkEnd.cut) return PacketKind.malformed;
  if (walk.hasFragmentHeader && (walk.fragmentOffset !== 0 || walk.moreFragments)) {
    view.isFragment = true;
    view.moreFragments = walk.moreFragments;
    view.fragmentOffset = walk.fragmentOffset;
    view.fragmentId = walk.fragmentId;
  }
  if (result === WalkEnd.transport) return AT_TRANSPORT;
  view.protocol = walk.protocol;
  view.transportOffset = walk.offset;
  view.sourcePort = 0;
  view.destinationPort = 0;
  view.tcpFlags = 0;
  // Sent on to further stops: nothing that a service of this address could answer.
  if (result === WalkEnd.unfinishedRoute) return PacketKind.otherIp;
  // As in IPv4: no second fragment inside the TCP header, none beyond the largest packet.
  if (walk.protocol === PROTOCOL.tcp && walk.fragmentOffset < TCP_HEADER_BYTES) return PacketKind.malformed;
  return walk.fragmentOffset + end - walk.offset > PAYLOAD_BYTES_MAX
    ? PacketKind.malformed
    : PacketKind.fragmentRest;
}

/** An IPv6 header to write. */
export interface Ipv6Header {
  source: IpAddress;
  destination: IpAddress;
  nextHeader: number;
  /** Extension headers included. */
  payloadLength: number;
  /** Default 64. */
  hopLimit?: number;
}

/** Writes the header and returns the offset behind it. */
export function writeIpv6Header(out: Uint8Array, offset: number, header: Ipv6Header): number {
  writeUint32(out, offset + IPV6.version, 0x6000_0000);
  writeUint16(out, offset + IPV6.payloadLength, header.payloadLength);
  out[offset + IPV6.nextHeader] = header.nextHeader;
  out[offset + IPV6.hopLimit] = header.hopLimit ?? 64;
  out.set(header.source.bytes, offset + IPV6.source);
  out.set(header.destination.bytes, offset + IPV6.destination);
  return offset + IPV6_HEADER_BYTES;
}
