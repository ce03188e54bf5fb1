/** UDP headers (RFC 768). */

import { readUint16, writeUint16 } from "./bytes.ts";
import { PacketKind, type PacketView } from "./view.ts";

export const UDP_HEADER_BYTES = 8;

/** Offsets within the header. */
export const UDP = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6 } as const;

/**
 * Reads the header at `offset`. The length field must fit what IP carries, unless this is a first fragment,
 * where it counts the whole datagram. A length of 0 (an IPv6 jumbogram, RFC 2675) is malformed.
 */
export function parseUdp(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  const available = end - offset;
  if (available < UDP_HEADER_BYTES) return PacketKind.malformed;
  const length = readUint16(bytes, offset + UDP.length);
  if (length < UDP_HEADER_BYTES || length > available && !view.isFragment) return PacketKind.malformed;
  view.sourcePort = readUint16(bytes, offset + UDP.sourcePort);
  view.destinationPort = readUint16(bytes, offset + UDP.destinationPort);
  view.tcpFlags = 0;
  return PacketKind.udp;
}

/** A UDP datagram to write. */
export interface UdpDatagram {
  sourcePort: number;
  destinationPort: number;
  payload?: Uint8Array;
}

/** Writes the datagram with checksum 0 and returns its length (see writeTransportChecksum in checksum.ts). */
export function writeUdp(out: Uint8Array, offset: number, datagram: UdpDatagram): number {
  const length = UDP_HEADER_BYTES + (datagram.payload?.length ?? 0);
  writeUint16(out, offset + UDP.sourcePort, datagram.sourcePort);
  writeUint16(out, offset + UDP.destinationPort, datagram.destinationPort);
  writeUint16(out, offset + UDP.length, length);
  writeUint16(out, offset + UDP.checksum, 0);
  if (datagram.payload !== undefined) out.set(datagram.payload, offset + UDP_HEADER_BYTES);
  return length;
}
