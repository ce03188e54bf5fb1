/** The Internet checksum (RFC 1071), and the pseudo-headers of IPv4 (RFC 9293) and IPv6 (RFC 8200 section 8.1). */

import { readUint16, writeUint16 } from "./bytes.ts";

/**
 * Adds `length` bytes as 16-bit words in network order to `sum`; an odd last byte counts as the high one.
 * The result is not folded: at most 65,535 bytes at a time keep it below 2^31, well within exact numbers.
 */
export function addToSum(sum: number, bytes: Uint8Array, offset: number, length: number): number {
  const even = offset + (length & ~1);
  for (let at = offset; at < even; at += 2) sum += readUint16(bytes, at);
  if ((length & 1) !== 0) sum += bytes[even] << 8;
  return sum;
}

/** Folds a sum to 16 bits and complements it: the value for a checksum field; 0 over data with a right one. */
export function finishSum(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

/** The checksum of `length` bytes. */
export function checksum(bytes: Uint8Array, offset: number, length: number): number {
  return finishSum(addToSum(0, bytes, offset, length));
}

/** The sum over a pseudo-header whose two addresses lie one after the other, as they do in an IP header. */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  addressesOffset: number,
  family: 4 | 6,
  protocol: number,
  transportLength: number,
): number {
  return addToSum(protocol + transportLength, bytes, addressesOffset, family === 4 ? 8 : 32);
}

/**
 * Fills the checksum field at `fieldOffset` of the transport header at `transportOffset`, whose IP header with
 * the source address at `addressesOffset` is already there. UDP's rule that 0 is sent as 0xffff is applied to
 * UDP only (RFC 768).
 */
export function writeTransportChecksum(
  out: Uint8Array,
  addressesOffset: number,
  family: 4 | 6,
  protocol: number,
  transportOffset: number,
  transportLength: number,
  fieldOffset: number,
): void {
  writeUint16(out, fieldOffset, 0);
  const pseudo = pseudoHeaderSum(out, addressesOffset, family, protocol, transportLength);
  const value = finishSum(addToSum(pseudo, out, transportOffset, transportLength));
  writeUint16(out, fieldOffset, value === 0 && protocol === 17 ? 0xffff : value);
}
