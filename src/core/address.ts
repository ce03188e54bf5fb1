/**
 * IP addresses as values: bytes in network order, the family, and one canonical text.
 * Packets never pass here (they are read in place); this is for configuration, names and explanations.
 */

import ipaddr from "ipaddr.js";
import { VipfarmError } from "./errors.ts";

/** An IPv4 or IPv6 address. Do not change `bytes`. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  /** Dotted decimal, or RFC 5952 (lower case, longest run of zeros as `::`). Equal addresses have equal text. */
  readonly text: string;
}

/**
 * Reads an address as people write it: four decimal numbers, or any form of RFC 4291 section 2.2.
 * Gives `undefined` for everything else: no octal or hexadecimal IPv4, no zone (`%eth0`), no prefix length.
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (text.includes("%")) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return addressFromBytes(Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray()));
  }
  if (text.includes(":") && ipaddr.IPv6.isValid(text)) {
    return addressFromBytes(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
  }
  return undefined;
}

/**
 * The address in these bytes (copied).
 * @throws VipfarmError unless there are 4 or 16 of them.
 */
export function addressFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) {
    return { family: 4, bytes: bytes.slice(), text: `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` };
  }
  if (bytes.length === 16) {
    return { family: 6, bytes: bytes.slice(), text: formatIpv6(bytes) };
  }
  throw new VipfarmError({
    operation: "read address",
    problem: "an IP address has 4 or 16 bytes",
    value: `${bytes.length} bytes`,
  });
}

/** Whether both are the same address. An IPv4-mapped IPv6 address is not the IPv4 address. */
export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.bytes.every((byte, i) => byte === b.bytes[i]);
}

/**
 * Whether `address` lies in `network`/`prefixLength`; host bits of `network` are ignored, families never mix.
 * @throws VipfarmError if the prefix is longer than the address.
 */
export function inNetwork(address: IpAddress, network: IpAddress, prefixLength: number): boolean {
  const bits = network.bytes.length * 8;
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bits) {
    throw new VipfarmError({
      operation: "compare with network",
      problem: `the prefix length must be 0 to ${bits}`,
      value: `${network.text}/${prefixLength}`,
    });
  }
  if (address.family !== network.family) return false;
  const whole = prefixLength >> 3;
  for (let i = 0; i < whole; i++) {
    if (address.bytes[i] !== network.bytes[i]) return false;
  }
  const rest = prefixLength & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((address.bytes[whole] ^ network.bytes[whole]) & mask) === 0;
}

/** RFC 5952 section 4: no leading zeros, the first longest run of two or more zero groups becomes `::`. */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i] << 8) | bytes[i + 1]);
  // Section 5: addresses that are known to embed an IPv4 address are written with it.
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return `::ffff:${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;

  let best = -1;
  let bestLength = 1; // a single zero group is not shortened (section 4.2.2)
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      best = i;
      bestLength = length;
    }
    if (length > 0) i += length - 1;
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (best < 0) return hex(groups);
  return `${hex(groups.slice(0, best))}::${hex(groups.slice(best + bestLength))}`;
}
