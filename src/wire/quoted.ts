/** The packet that an ICMP error quotes (RFC 792; RFC 4443 section 2.4): a packet of ours, cut anywhere. */

import { readUint16 } from "./bytes.ts";
import { ExtensionWalk, WalkEnd } from "./extension_headers.ts";
import { IPV4, IPV4_HEADER_BYTES, IPV6, IPV6_HEADER_BYTES } from "./ip_offsets.ts";
import { PacketKind, type PacketView, PROTOCOL } from "./view.ts";

const walk = new ExtensionWalk();

/**
 * Reads the quoted packet at `offset`; it is of the same family as the error. Its length field is not compared
 * with anything: the quote is cut, and some stacks quote the header as they had altered it. Without the whole
 * IP header the error is malformed; without ports, it is still an error about that pair of addresses.
 */
export function parseQuoted(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  view.quotedHasPorts = false;
  view.quotedSourcePort = 0;
  view.quotedDestinationPort = 0;
  const whole = view.family === 4
    ? parseQuotedIpv4(bytes, offset, end, view)
    : parseQuotedIpv6(bytes, offset, end, view);
  return whole ? PacketKind.icmpError : PacketKind.malformed;
}

function parseQuotedIpv4(bytes: Uint8Array, offset: number, end: number, view: PacketView): boolean {
  if (end - offset < IPV4_HEADER_BYTES) return false;
  const headerBytes = (bytes[offset] & 0x0f) << 2;
  if (bytes[offset] >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES || end - offset < headerBytes) return false;
  view.quotedFamily = 4;
  view.quotedSourceOffset = offset + IPV4.source;
  view.quotedDestinationOffset = offset + IPV4.destination;
  view.quotedProtocol = bytes[offset + IPV4.protocol];
  const laterFragment = (readUint16(bytes, offset + IPV4.fragment) & 0x1fff) !== 0;
  if (!laterFragment) readQuotedPorts(bytes, offset + headerBytes, end, view);
  return true;
}

function parseQuotedIpv6(bytes: Uint8Array, offset: number, end: number, view: PacketView): boolean {
  if (end - offset < IPV6_HEADER_BYTES || bytes[offset] >> 4 !== 6) return false;
  view.quotedFamily = 6;
  view.quotedSourceOffset = offset + IPV6.source;
  view.quotedDestinationOffset = offset + IPV6.destination;
  const result = walk.run(bytes, bytes[offset + IPV6.nextHeader], offset + IPV6_HEADER_BYTES, end);
  if (result === WalkEnd.malformed) return false;
  view.quotedProtocol = walk.protocol;
  if (result === WalkEnd.transport) readQuotedPorts(bytes, walk.offset, end, view);
  return true;
}

function readQuotedPorts(bytes: Uint8Array, offset: number, end: number, view: PacketView): void {
  const protocol = view.quotedProtocol;
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp || end - offset < 4) return;
  view.quotedHasPorts = true;
  view.quotedSourcePort = readUint16(bytes, offset);
  view.quotedDestinationPort = readUint16(bytes, offset + 2);
}
