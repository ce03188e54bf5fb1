/** ARP for IPv4 over Ethernet (RFC 826). */

import { copyBytes, readUint16, writeUint16 } from "./bytes.ts";
import { ETHER_TYPE, ETHERNET_HEADER_BYTES, isGroupMac, MAC_BYTES, writeEthernetHeader } from "./ethernet.ts";
import { PacketKind, type PacketView } from "./view.ts";

export const ARP_BYTES = 28;
/** Length of an ARP frame without padding; the NIC pads it to 60. */
export const ARP_FRAME_BYTES = ETHERNET_HEADER_BYTES + ARP_BYTES;
export const ARP_OPERATION = { request: 1, reply: 2 } as const;

/** Offsets within the message. */
export const ARP = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLength: 4,
  protocolLength: 5,
  operation: 6,
  senderMac: 8,
  senderIp: 14,
  targetMac: 18,
  targetIp: 24,
} as const;

const HARDWARE_ETHERNET = 1;

/**
 * Reads the message at `offset`. Anything but IPv4 over Ethernet is `other`. A request whose sender claims a
 * group MAC is `arpOther`: an answer to it would go to many hosts.
 */
export function parseArp(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  if (end - offset < ARP_BYTES) return PacketKind.malformed;
  if (
    readUint16(bytes, offset + ARP.hardwareType) !== HARDWARE_ETHERNET ||
    readUint16(bytes, offset + ARP.protocolType) !== ETHER_TYPE.ipv4 ||
    bytes[offset + ARP.hardwareLength] !== 6 || bytes[offset + ARP.protocolLength] !== 4
  ) return PacketKind.other;
  view.arpOperation = readUint16(bytes, offset + ARP.operation);
  view.arpSenderMacOffset = offset + ARP.senderMac;
  view.arpSenderIpOffset = offset + ARP.senderIp;
  view.arpTargetIpOffset = offset + ARP.targetIp;
  const answerable = view.arpOperation === ARP_OPERATION.request &&
    !isGroupMac(bytes, view.arpSenderMacOffset);
  return answerable ? PacketKind.arpRequest : PacketKind.arpOther;
}

/** The content of an ARP frame. */
export interface ArpMessage {
  operation: number;
  /** Ethernet addresses of the frame. */
  destinationMac: Uint8Array;
  sourceMac: Uint8Array;
  /** Addresses in the message. */
  senderMac: Uint8Array;
  senderIp: Uint8Array;
  targetMac: Uint8Array;
  targetIp: Uint8Array;
}

/** Writes a whole frame at `offset` and returns its length, ARP_FRAME_BYTES. */
export function writeArp(out: Uint8Array, offset: number, message: ArpMessage): number {
  const at = writeEthernetHeader(out, offset, message.destinationMac, message.sourceMac, ETHER_TYPE.arp);
  writeFixedPart(out, at, message.operation);
  out.set(message.senderMac, at + ARP.senderMac);
  out.set(message.senderIp, at + ARP.senderIp);
  out.set(message.targetMac, at + ARP.targetMac);
  out.set(message.targetIp, at + ARP.targetIp);
  return ARP_FRAME_BYTES;
}

/**
 * Writes to the start of `out` the frame that answers the request which `view` describes in `bytes`, and
 * returns its length. The requested address is at `virtualMac`; the frame itself comes from `nodeMac`, so that
 * no switch learns the virtual MAC. Allocates nothing. `out` must not overlap the request.
 */
export function writeArpReply(
  out: Uint8Array,
  bytes: Uint8Array,
  view: PacketView,
  nodeMac: Uint8Array,
  virtualMac: Uint8Array,
): number {
  copyBytes(out, 0, bytes, view.arpSenderMacOffset, MAC_BYTES);
  copyBytes(out, 6, nodeMac, 0, MAC_BYTES);
  writeUint16(out, 12, ETHER_TYPE.arp);
  const at = ETHERNET_HEADER_BYTES;
  writeFixedPart(out, at, ARP_OPERATION.reply);
  copyBytes(out, at + ARP.senderMac, virtualMac, 0, MAC_BYTES);
  copyBytes(out, at + ARP.senderIp, bytes, view.arpTargetIpOffset, 4);
  copyBytes(out, at + ARP.targetMac, bytes, view.arpSenderMacOffset, MAC_BYTES);
  copyBytes(out, at + ARP.targetIp, bytes, view.arpSenderIpOffset, 4);
  return ARP_FRAME_BYTES;
}

function writeFixedPart(out: Uint8Array, at: number, operation: number): void {
  writeUint16(out, at + ARP.hardwareType, HARDWARE_ETHERNET);
  writeUint16(out, at + ARP.protocolType, ETHER_TYPE.ipv4);
  out[at + ARP.hardwareLength] = 6;
  out[at + ARP.protocolLength] = 4;
  writeUint16(out, at + ARP.operation, operation);
}
