/**
 * From a flow to its bucket: SipHash-1-3, keyed by the farm, over as much of the client's address as the affinity
 * of the service looks at.
 *
 * | affinity | message, in network order |
 * | --- | --- |
 * | connection | client address, client port |
 * | client | client address |
 * | network | client address with all after the first 24 (IPv4) or 64 bits (IPv6) zeroed |
 *
 * The bucket does not depend on the service, so a client keeps its bucket across services of one affinity. The
 * bucket is the low 16 bits of the hash.
 */

import { BUCKET_MASK } from "../core/limits.ts";
import { SipHasher } from "./siphash.ts";

/** What of a client decides its node; the numbers are those in shared memory. */
export const AFFINITY = { connection: 0, client: 1, network: 2 } as const;

/** The affinities by the names that the configuration uses. */
export type AffinityName = keyof typeof AFFINITY;

/** One of the values of {@link AFFINITY}. */
export type Affinity = (typeof AFFINITY)[AffinityName];

/** Bits of a client's address that make its network. */
export const NETWORK_PREFIX_LENGTH = { 4: 24, 6: 64 } as const;

/** The flow hash of one farm. Not to be shared between threads: it keeps a few bytes of scratch space. */
export class FlowHash {
  readonly #hasher: SipHasher;

  /** @param flowKey 16 bytes; @throws VipfarmError for another length */
  constructor(flowKey: Uint8Array) {
    this.#hasher = new SipHasher(flowKey, 1, 3);
  }

  /**
   * The bucket, 0 to 65,535. Reads the client's address (4 or 16 bytes in network order, which the caller has
   * checked to be there) in place and allocates nothing.
   * @param port client port as a number, looked at only with affinity `connection`
   */
  bucket(affinity: Affinity, bytes: Uint8Array, addressOffset: number, family: 4 | 6, port: number): number {
    const connection = affinity === AFFINITY.connection;
    const network = affinity === AFFINITY.network;
    // The port as its two bytes would be read by a little-endian load.
    const portBytes = connection ? ((port >>> 8) & 0xff) | ((port & 0xff) << 8) : 0;
    const first = little(bytes, addressOffset);
    // Each message ends with its length in the top byte of the last word.
    if (family === 4) {
      const low = network ? first & 0x00ffffff : first;
      return this.#hasher.hashWord(low, connection ? portBytes | (6 << 24) : 4 << 24) & BUCKET_MASK;
    }
    return this.#hasher.hashThreeWords(
      first,
      little(bytes, addressOffset + 4),
      network ? 0 : little(bytes, addressOffset + 8),
      network ? 0 : little(bytes, addressOffset + 12),
      portBytes,
      connection ? 18 << 24 : 16 << 24,
    ) & BUCKET_MASK;
  }
}

/** Four bytes as one little-endian number, which is how SipHash reads its message on every machine. */
function little(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8) | (bytes[offset + 2] << 16) | (bytes[offset + 3] << 24);
}
