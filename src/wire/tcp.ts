/** TCP headers (RFC 9293 section 3.1). */

import { readUint16, writeUint16, writeUint32 } from "./bytes.ts";
import { PacketKind, type PacketView } from "./view.ts";

export const TCP_HEADER_BYTES = 20;
export const TCP_FLAG = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;

/** Offsets within the header. */
export const TCP = {
  sourcePort: 0,
  destinationPort: 2,
  sequence: 4,
  acknowledgement: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgentPointer: 18,
} as const;

/**
 * Reads the header at `offset`. A first fragment must hold the fixed 20 bytes, so that nobody hides the flags
 * in a second one (RFC 1858); its options may continue there. The checksum is left to the kernel, which may not
 * even have computed it yet (CHECKSUM_PARTIAL).
 */
export function parseTcp(bytes: Uint8Array, offset: number, end: number, view: PacketView): PacketKind {
  const available = end - offset;
  if (available < TCP_HEADER_BYTES) return PacketKind.malformed;
  const headerBytes = bytes[offset + TCP.dataOffset] >> 4 << 2;
  if (headerBytes < TCP_HEADER_BYTES || headerBytes > available && !view.isFragment) {
    return PacketKind.malformed;
  }
  view.sourcePort = readUint16(bytes, offset + TCP.sourcePort);
  view.destinationPort = readUint16(bytes, offset + TCP.destinationPort);
  view.tcpFlags = bytes[offset + TCP.flags];
  return PacketKind.tcp;
}

/** A TCP segment to write; what is left out is zero or empty. */
export interface TcpSegment {
  sourcePort: number;
  destinationPort: number;
  sequence?: number;
  acknowledgement?: number;
  flags?: number;
  window?: number;
  /** A multiple of 4 bytes, at most 40. */
  options?: Uint8Array;
  payload?: Uint8Array;
}

/** Writes the segment with checksum 0 and returns its length (see writeTransportChecksum in checksum.ts). */
export function writeTcp(out: Uint8Array, offset: number, segment: TcpSegment): number {
  const optionBytes = segment.options?.length ?? 0;
  const headerBytes = TCP_HEADER_BYTES + optionBytes;
  writeUint16(out, offset + TCP.sourcePort, segment.sourcePort);
  writeUint16(out, offset + TCP.destinationPort, segment.destinationPort);
  writeUint32(out, offset + TCP.sequence, segment.sequence ?? 0);
  writeUint32(out, offset + TCP.acknowledgement, segment.acknowledgement ?? 0);
  out[offset + TCP.dataOffset] = headerBytes >> 2 << 4;
  out[offset + TCP.flags] = segment.flags ?? 0;
  writeUint16(out, offset + TCP.window, segment.window ?? 0);
  writeUint16(out, offset + TCP.checksum, 0);
  writeUint16(out, offset + TCP.urgentPointer, 0);
  if (segment.options !== undefined) out.set(segment.options, offset + TCP_HEADER_BYTES);
  if (segment.payload !== undefined) out.set(segment.payload, offset + headerBytes);
  return headerBytes + (segment.payload?.length ?? 0);
}
