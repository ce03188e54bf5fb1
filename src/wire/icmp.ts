/** ICMP (RFC 792) and ICMPv6 (RFC 4443): echo requests, and errors with the packet that they quote. */

import { writeUint16, writeUint32 } from "./bytes.ts";
import { checksum } from "./checksum.ts";
import { ND_SOLICIT, parseNeighbourSolicitation } from "./ndp.ts";
import { parseQuoted } from "./quoted.ts";
import { PacketKind, type PacketView } from "./view.ts";

/** Length of an echo or error header; what an error quotes begins behind it. */
export const ICMP_HEADER_BYTES = 8;

/** Offsets within the header. */
export const ICMP = { type: 0, code: 1, checksum: 2, rest: 4 } as const;

export const ICMP_TYPE = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
} as const;

export const ICMPV6_TYPE = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
} as const;

/** Reads the ICMP message at `offset`. The checksum is left to the kernel, which gets the packet. */
export function parseIcmp(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  if (end - offset < ICMP_HEADER_BYTES) return PacketKind.malformed;
  const type = readHeader(bytes, offset, view);
  switch (type) {
    case ICMP_TYPE.echoRequest:
      return PacketKind.icmpEcho;
    case ICMP_TYPE.unreachable:
    case ICMP_TYPE.sourceQuench:
    case ICMP_TYPE.redirect:
    case ICMP_TYPE.timeExceeded:
    case ICMP_TYPE.parameterProblem:
      return parseQuoted(bytes, offset + ICMP_HEADER_BYTES, end, view);
    default:
      return PacketKind.otherIp;
  }
}

/** Reads the ICMPv6 message at `offset`. */
export function parseIcmpv6(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  if (end - offset < ICMP_HEADER_BYTES) return PacketKind.malformed;
  const type = readHeader(bytes, offset, view);
  switch (type) {
    case ICMPV6_TYPE.echoRequest:
      return PacketKind.icmpEcho;
    case ICMPV6_TYPE.unreachable:
    case ICMPV6_TYPE.packetTooBig:
    case ICMPV6_TYPE.timeExceeded:
    case ICMPV6_TYPE.parameterProblem:
      return parseQuoted(bytes, offset + ICMP_HEADER_BYTES, end, view);
    case ND_SOLICIT:
      return parseNeighbourSolicitation(bytes, offset, end, view);
    default:
      return PacketKind.otherIp;
  }
}

function readHeader(bytes: Uint8Array, offset: number, view: PacketView): number {
  view.sourcePort = 0;
  view.destinationPort = 0;
  view.tcpFlags = 0;
  view.icmpCode = bytes[offset + ICMP.code];
  return view.icmpType = bytes[offset + ICMP.type];
}

/** An ICMP or ICMPv6 message to write. */
export interface IcmpMessage {
  type: number;
  code?: number;
  /** The four bytes behind the checksum: identifier and sequence, or MTU. Default 0. */
  rest?: number;
  /** What follows: echo data, or the quoted packet. */
  body?: Uint8Array;
}

/**
 * Writes the message and returns its length. The checksum is that of ICMP; for ICMPv6, which counts the
 * pseudo-header, call writeTransportChecksum (checksum.ts) afterwards.
 */
export function writeIcmp(out: Uint8Array, offset: number, message: IcmpMessage): number {
  const length = ICMP_HEADER_BYTES + (message.body?.length ?? 0);
  out[offset + ICMP.type] = message.type;
  out[offset + ICMP.code] = message.code ?? 0;
  writeUint16(out, offset + ICMP.checksum, 0);
  writeUint32(out, offset + ICMP.rest, message.rest ?? 0);
  if (message.body !== undefined) out.set(message.body, offset + ICMP_HEADER_BYTES);
  writeUint16(out, offset + ICMP.checksum, checksum(out, offset, length));
  return length;
}
