/** IPv4 headers (RFC 791), fragments included. */

import type { IpAddress } from "../core/address.ts";
import { readUint16, writeUint16 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import { parseIcmp } from "./icmp.ts";
import { IPV4, IPV4_DONT_FRAGMENT, IPV4_HEADER_BYTES, IPV4_MORE_FRAGMENTS } from "./ip_offsets.ts";
import { parseTcp, TCP_HEADER_BYTES } from "./tcp.ts";
import { parseUdp } from "./udp.ts";
import { PacketKind, type PacketView, PROTOCOL } from "./view.ts";

const IP_PACKET_BYTES_MAX = 65_535;

/**
 * Reads the packet at `offset`; `end` is the end of the captured bytes, which may include Ethernet padding.
 *
 * Total length: a GSO super-packet carries its real length up to 65,535. 0 means BIG TCP (a longer one, only
 * after an administrator raised gso_ipv4_max_size or gro_ipv4_max_size above its default of 65,536); it does
 * not fit a virtio header's 16-bit lengths and is malformed. More than was captured
 * is malformed too: the rest would have to be made up.
 *
 * The header checksum is not verified: the kernel does that when the packet is handed on.
 */
export function parseIpv4(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  const captured = end - offset;
  if (captured < IPV4_HEADER_BYTES) return PacketKind.malformed;
  const versionAndLength = bytes[offset];
  const headerBytes = (versionAndLength & 0x0f) << 2;
  const totalLength = readUint16(bytes, offset + IPV4.totalLength);
  if (
    versionAndLength >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES || totalLength < headerBytes ||
    totalLength > captured
  ) return PacketKind.malformed;
  const protocol = bytes[offset + IPV4.protocol];
  const transport = offset + headerBytes;
  view.family = 4;
  view.ipOffset = offset;
  view.totalLength = totalLength;
  view.ttl = bytes[offset + IPV4.ttl];
  view.sourceOffset = offset + IPV4.source;
  view.destinationOffset = offset + IPV4.destination;
  view.protocol = protocol;
  view.transportOffset = transport;
  const fragment = readUint16(bytes, offset + IPV4.fragment) & 0x3fff;
  if (fragment === 0) {
    view.isFragment = false;
    view.moreFragments = false;
    view.fragmentOffset = 0;
    view.fragmentId = 0;
    view.fragmentProtocol = 0;
  } else {
    const early = readFragment(bytes, offset, totalLength - headerBytes, fragment, view);
    if (early !== FIRST_FRAGMENT) return early;
  }
  const packetEnd = offset + totalLength;
  if (protocol === PROTOCOL.tcp) return parseTcp(bytes, transport, packetEnd, view);
  if (protocol === PROTOCOL.udp) return parseUdp(bytes, transport, packetEnd, view);
  if (protocol === PROTOCOL.icmp) return parseIcmp(bytes, transport, packetEnd, view);
  view.sourcePort = 0;
  view.destinationPort = 0;
  view.tcpFlags = 0;
  return PacketKind.otherIp;
}

const FIRST_FRAGMENT = -1;

function readFragment(
  bytes: Uint8Array,
  offset: number,
  payloadBytes: number,
  fragment: number,
  view: PacketView,
): PacketKind | typeof FIRST_FRAGMENT {
  view.isFragment = true;
  view.moreFragments = (fragment & IPV4_MORE_FRAGMENTS) !== 0;
  view.fragmentOffset = (fragment & 0x1fff) << 3;
  view.fragmentId = readUint16(bytes, offset + IPV4.id);
  view.fragmentProtocol = view.protocol;
  if (view.fragmentOffset === 0) return FIRST_FRAGMENT;
  view.sourcePort = 0;
  view.destinationPort = 0;
  view.tcpFlags = 0;
  // A piece that begins within the fixed TCP header could overwrite the flags seen in the first (RFC 3128).
  if (view.protocol === PROTOCOL.tcp && view.fragmentOffset < TCP_HEADER_BYTES) return PacketKind.malformed;
  return view.fragmentOffset + payloadBytes > IP_PACKET_BYTES_MAX
    ? PacketKind.malformed
    : PacketKind.fragmentRest;
}

/** An IPv4 header to write; what is left out is zero, but for `ttl`, which is 64. */
export interface Ipv4Header {
  source: IpAddress;
  destination: IpAddress;
  protocol: number;
  payloadLength: number;
  ttl?: number;
  id?: number;
  dontFragment?: boolean;
  moreFragments?: boolean;
  /** In bytes, a multiple of 8. */
  fragmentOffset?: number;
  /** A multiple of 4 bytes, at most 40. */
  options?: Uint8Array;
}

/** Writes the header with its checksum and returns the offset behind it. */
export function writeIpv4Header(out: Uint8Array, offset: number, header: Ipv4Header): number {
  const headerBytes = IPV4_HEADER_BYTES + (header.options?.length ?? 0);
  out[offset] = 0x40 | headerBytes >> 2;
  out[offset + 1] = 0;
  writeUint16(out, offset + IPV4.totalLength, headerBytes + header.payloadLength);
  writeUint16(out, offset + IPV4.id, header.id ?? 0);
  const flags = (header.dontFragment === true ? IPV4_DONT_FRAGMENT : 0) |
    (header.moreFragments === true ? IPV4_MORE_FRAGMENTS : 0);
  writeUint16(out, offset + IPV4.fragment, flags | (header.fragmentOffset ?? 0) >> 3);
  out[offset + IPV4.ttl] = header.ttl ?? 64;
  out[offset + IPV4.protocol] = header.protocol;
  writeUint16(out, offset + IPV4.checksum, 0);
  out.set(header.source.bytes, offset + IPV4.source);
  out.set(header.destination.bytes, offset + IPV4.destination);
  if (header.options !== undefined) out.set(header.options, offset + IPV4_HEADER_BYTES);
  writeUint16(out, offset + IPV4.checksum, checksum(out, offset, headerBytes));
  return offset + headerBytes;
}
