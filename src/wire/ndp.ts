/** Neighbour discovery for IPv6 (RFC 4861): solicitations read, advertisements and solicitations written. */

import { copyBytes, writeUint16, writeUint32 } from "./bytes.ts";
import { addToSum, finishSum, pseudoHeaderSum, writeTransportChecksum } from "./checksum.ts";
import { ETHER_TYPE, ETHERNET_HEADER_BYTES, isGroupMac, MAC_BYTES } from "./ethernet.ts";
import { IPV6, IPV6_HEADER_BYTES } from "./ip_offsets.ts";
import { PacketKind, type PacketView, PROTOCOL } from "./view.ts";

export const ND_SOLICIT = 135;
export const ND_ADVERTISE = 136;
/** The hop limit that proves that no router forwarded the message (RFC 4861 section 7.1.1). */
export const ND_HOP_LIMIT = 255;

/** Offsets within both messages. */
export const ND = { flags: 4, target: 8, options: 24 } as const;
/** Flags of an advertisement (section 4.4). */
export const ND_FLAG = { router: 0x80, solicited: 0x40, override: 0x20 } as const;
const OPTION_SOURCE_LINK = 1;
const OPTION_TARGET_LINK = 2;

const MESSAGE_BYTES = 24;
const LINK_OPTION_BYTES = 8;
/** Length of the frame that writeNeighbourAdvertisement makes. */
export const ND_ADVERTISEMENT_FRAME_BYTES = ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES + MESSAGE_BYTES +
  LINK_OPTION_BYTES;

/**
 * Reads a solicitation at `offset`, with every check that section 7.1.1 asks for. The checksum is verified
 * here, unlike elsewhere, because no kernel sees the message after us: we answer it ourselves. A message in
 * fragments must be ignored (RFC 6980) and counts as malformed.
 */
export function parseNeighbourSolicitation(
  bytes: Uint8Array,
  offset: number,
  end: number,
  view: PacketView,
): PacketKind {
  const length = end - offset;
  if (length < MESSAGE_BYTES || view.ttl !== ND_HOP_LIMIT || view.icmpCode !== 0 || view.isFragment) {
    return PacketKind.malformed;
  }
  if (bytes[offset + ND.target] === 0xff) return PacketKind.malformed;
  const link = findSourceLink(bytes, offset + ND.options, end);
  if (link === INVALID_OPTIONS) return PacketKind.malformed;
  const duplicateDetection = isUnspecified(bytes, view.sourceOffset);
  if (duplicateDetection && (link >= 0 || !isSolicitedNode(bytes, view.destinationOffset))) {
    return PacketKind.malformed;
  }
  const pseudo = pseudoHeaderSum(bytes, view.sourceOffset, 6, PROTOCOL.icmpv6, length);
  if (finishSum(addToSum(pseudo, bytes, offset, length)) !== 0) return PacketKind.malformed;
  view.ndTargetOffset = offset + ND.target;
  view.ndSourceLinkOffset = link;
  view.ndDuplicateDetection = duplicateDetection;
  return PacketKind.ndSolicit;
}

const INVALID_OPTIONS = -2;

/** Offset of the MAC in the source link-layer option, -1 without one, INVALID_OPTIONS if one has no length. */
function findSourceLink(bytes: Uint8Array, offset: number, end: number): number {
  let found = -1;
  // Every option is at least 8 bytes long, so the captured length bounds the loop.
  while (offset < end) {
    if (end - offset < LINK_OPTION_BYTES) return INVALID_OPTIONS;
    const optionBytes = bytes[offset + 1] << 3;
    if (optionBytes === 0 || optionBytes > end - offset) return INVALID_OPTIONS;
    if (bytes[offset] === OPTION_SOURCE_LINK && optionBytes === LINK_OPTION_BYTES && found < 0) {
      found = offset + 2;
    }
    offset += optionBytes;
  }
  return found;
}

function isUnspecified(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[offset + i] !== 0) return false;
  return true;
}

/** Whether the address is in ff02::1:ff00:0/104. */
function isSolicitedNode(bytes: Uint8Array, offset: number): boolean {
  if (bytes[offset] !== 0xff || bytes[offset + 1] !== 0x02) return false;
  for (let i = 2; i < 11; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 11] === 1 && bytes[offset + 12] === 0xff;
}

/**
 * Writes to the start of `out` the advertisement that answers the solicitation which `view` describes in
 * `bytes`, and returns its length; 0 when the asker gave no individual MAC to answer to. The target is at
 * `virtualMac` (target link-layer option, Override); the frame comes from `nodeMac`, so that no switch learns the
 * virtual MAC. To the asker it is Solicited; a duplicate address detection is answered to all nodes, not
 * Solicited (section 7.2.4). Allocates nothing. `out` must not overlap the solicitation.
 */
export function writeNeighbourAdvertisement(
  out: Uint8Array,
  bytes: Uint8Array,
  view: PacketView,
  nodeMac: Uint8Array,
  virtualMac: Uint8Array,
): number {
  const ip = ETHERNET_HEADER_BYTES;
  const message = ip + IPV6_HEADER_BYTES;
  if (view.ndDuplicateDetection) {
    writeUint16(out, 0, 0x3333);
    writeUint32(out, 2, 1);
    writeAllNodes(out, ip + IPV6.destination);
  } else {
    // Without the option (allowed in unicast solicitations) the frame's own source is the asker.
    const askerMac = view.ndSourceLinkOffset >= 0 ? view.ndSourceLinkOffset : view.linkOffset + 6;
    if (view.ndSourceLinkOffset < 0 && view.linkOffset < 0 || isGroupMac(bytes, askerMac)) return 0;
    copyBytes(out, 0, bytes, askerMac, MAC_BYTES);
    copyBytes(out, ip + IPV6.destination, bytes, view.sourceOffset, 16);
  }
  copyBytes(out, 6, nodeMac, 0, MAC_BYTES);
  writeUint16(out, 12, ETHER_TYPE.ipv6);

  writeUint32(out, ip + IPV6.version, 0x6000_0000);
  writeUint16(out, ip + IPV6.payloadLength, MESSAGE_BYTES + LINK_OPTION_BYTES);
  out[ip + IPV6.nextHeader] = PROTOCOL.icmpv6;
  out[ip + IPV6.hopLimit] = ND_HOP_LIMIT;
  copyBytes(out, ip + IPV6.source, bytes, view.ndTargetOffset, 16);

  const flags = view.ndDuplicateDetection ? ND_FLAG.override : ND_FLAG.solicited | ND_FLAG.override;
  writeMessage(out, message, ND_ADVERTISE, flags, bytes, view.ndTargetOffset);
  writeLinkOption(out, message + ND.options, OPTION_TARGET_LINK, virtualMac);
  finishMessage(out, ip, message, MESSAGE_BYTES + LINK_OPTION_BYTES);
  return ND_ADVERTISEMENT_FRAME_BYTES;
}

/**
 * Writes at `offset` the ICMPv6 message (with checksum) of a solicitation for `target`, behind the IPv6 header
 * at `ipOffset` that is already there, and returns its length. Without `sourceMac` it has no option.
 */
export function writeNeighbourSolicitation(
  out: Uint8Array,
  ipOffset: number,
  offset: number,
  target: Uint8Array,
  sourceMac: Uint8Array | undefined,
): number {
  writeMessage(out, offset, ND_SOLICIT, 0, target, 0);
  if (sourceMac !== undefined) writeLinkOption(out, offset + ND.options, OPTION_SOURCE_LINK, sourceMac);
  const length = MESSAGE_BYTES + (sourceMac === undefined ? 0 : LINK_OPTION_BYTES);
  finishMessage(out, ipOffset, offset, length);
  return length;
}

/** ff02::1 (RFC 4291 section 2.7.1). */
function writeAllNodes(out: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) out[at + i] = 0;
  out[at] = 0xff;
  out[at + 1] = 0x02;
  out[at + 15] = 1;
}

function writeMessage(
  out: Uint8Array,
  at: number,
  type: number,
  flags: number,
  target: Uint8Array,
  targetOffset: number,
): void {
  writeUint32(out, at, type << 24);
  writeUint32(out, at + ND.flags, flags << 24);
  copyBytes(out, at + ND.target, target, targetOffset, 16);
}

function writeLinkOption(out: Uint8Array, at: number, type: number, mac: Uint8Array): void {
  out[at] = type;
  out[at + 1] = 1; // in units of 8 bytes
  copyBytes(out, at + 2, mac, 0, MAC_BYTES);
}

function finishMessage(out: Uint8Array, ip: number, message: number, length: number): void {
  writeTransportChecksum(out, ip + IPV6.source, 6, PROTOCOL.icmpv6, message, length, message + 2);
}
