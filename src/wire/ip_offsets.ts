/** Offsets within the IPv4 header (RFC 791 section 3.1) and the IPv6 header (RFC 8200 section 3). */

export const IPV4_HEADER_BYTES = 20;
export const IPV4 = {
  versionAndLength: 0,
  totalLength: 2,
  id: 4,
  /** Flags (3 bits) and fragment offset (13 bits, in units of 8 bytes). */
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
} as const;
export const IPV4_DONT_FRAGMENT = 0x4000;
export const IPV4_MORE_FRAGMENTS = 0x2000;

export const IPV6_HEADER_BYTES = 40;
export const IPV6 = {
  version: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
} as const;
