/** The chain of IPv6 extension headers (RFC 8200 section 4), for packets and for packets quoted in errors. */

import { readInt32, readUint16, writeUint16, writeUint32 } from "./bytes.ts";

/**
 * How many extension headers one packet may have. RFC 8200 recommends each at most once and destination
 * options twice: six. Eight leaves room; a longer chain only costs time and is refused.
 */
export const EXTENSION_HEADERS_MAX = 8;

export const EXTENSION = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  authentication: 51,
  destinationOptions: 60,
} as const;

export const FRAGMENT_HEADER_BYTES = 8;

/** Why a walk ended. */
export const WalkEnd = {
  /** At a protocol that is no extension header (known or not, ESP and "no next header" included). */
  transport: 0,
  /** At a fragment header with an offset: what follows is a later piece of the payload. */
  laterFragment: 1,
  /** At a routing header that names further stops: the destination address is not the last one. */
  unfinishedRoute: 2,
  /** At the end of the bytes, in the middle of the chain. */
  cut: 3,
  /** At something that RFC 8200 forbids, or a chain too long. */
  malformed: 4,
} as const;
export type WalkEnd = typeof WalkEnd[keyof typeof WalkEnd];

/** Where a walk stands; reused, so that a walk allocates nothing. */
export class ExtensionWalk {
  /** The protocol of the header at `offset`. */
  protocol = 0;
  offset = 0;
  hasFragmentHeader = false;
  /** In bytes. */
  fragmentOffset = 0;
  moreFragments = false;
  /** 32 bits as a signed integer. */
  fragmentId = 0;

  /** Walks from the header of type `protocol` at `offset`; reads nothing at or behind `end`. */
  run(bytes: Uint8Array, protocol: number, offset: number, end: number): WalkEnd {
    const start = offset;
    this.hasFragmentHeader = false;
    this.fragmentOffset = 0;
    this.moreFragments = false;
    this.fragmentId = 0;
    for (let count = 0;; count++) {
      this.protocol = protocol;
      this.offset = offset;
      if (!isExtension(protocol)) return WalkEnd.transport;
      if (count === EXTENSION_HEADERS_MAX) return WalkEnd.malformed;
      if (end - offset < 8) return WalkEnd.cut;
      // Hop-by-hop options stand right behind the IPv6 header or nowhere (RFC 8200 section 4.1).
      if (protocol === EXTENSION.hopByHop && offset !== start) return WalkEnd.malformed;
      if (protocol === EXTENSION.fragment) {
        // A second one would have to be reassembled out of a reassembly: nobody sends that honestly.
        if (this.hasFragmentHeader) return WalkEnd.malformed;
        this.hasFragmentHeader = true;
        const word = readUint16(bytes, offset + 2);
        this.fragmentOffset = word & 0xfff8;
        this.moreFragments = (word & 1) !== 0;
        this.fragmentId = readInt32(bytes, offset + 4);
      } else if (protocol === EXTENSION.routing && bytes[offset + 3] !== 0) {
        return WalkEnd.unfinishedRoute;
      }
      const next = offset + extensionBytes(bytes, protocol, offset);
      if (next > end) return WalkEnd.cut;
      protocol = bytes[offset];
      offset = next;
      if (this.fragmentOffset !== 0) {
        this.protocol = protocol;
        this.offset = offset;
        return WalkEnd.laterFragment;
      }
    }
  }
}

/** Whether the parser steps over headers of this type. */
export function isExtension(protocol: number): boolean {
  return protocol === EXTENSION.hopByHop || protocol === EXTENSION.routing ||
    protocol === EXTENSION.fragment || protocol === EXTENSION.authentication ||
    protocol === EXTENSION.destinationOptions;
}

/** Length of the header at `offset`: in units of 8 less one, of AH in units of 4 less two (RFC 4302). */
function extensionBytes(bytes: Uint8Array, protocol: number, offset: number): number {
  if (protocol === EXTENSION.fragment) return FRAGMENT_HEADER_BYTES;
  const units = bytes[offset + 1];
  return protocol === EXTENSION.authentication ? units + 2 << 2 : units + 1 << 3;
}

/** Writes a fragment header and returns the offset behind it. `fragmentOffset` is in bytes, a multiple of 8. */
export function writeFragmentHeader(
  out: Uint8Array,
  offset: number,
  header: { nextHeader: number; fragmentOffset: number; moreFragments: boolean; id: number },
): number {
  out[offset] = header.nextHeader;
  out[offset + 1] = 0;
  writeUint16(out, offset + 2, header.fragmentOffset & 0xfff8 | (header.moreFragments ? 1 : 0));
  writeUint32(out, offset + 4, header.id);
  return offset + FRAGMENT_HEADER_BYTES;
}

/**
 * Writes an options or routing header with `body` behind its two first bytes, filled up with PadN options to a
 * multiple of 8, and returns the offset behind it.
 */
export function writeExtensionHeader(
  out: Uint8Array,
  offset: number,
  nextHeader: number,
  body: Uint8Array,
): number {
  const length = 2 + body.length + 7 & ~7;
  out[offset] = nextHeader;
  out[offset + 1] = (length >> 3) - 1;
  out.set(body, offset + 2);
  const padding = length - 2 - body.length;
  const at = offset + 2 + body.length;
  out.fill(0, at, at + padding);
  if (padding >= 2) {
    out[at] = 1; // PadN (RFC 8200 section 4.2); a single byte of padding is Pad1, the 0 that stands there
    out[at + 1] = padding - 2;
  }
  return offset + length;
}
