/**
 * Fragments of one datagram follow the decision of the first, in whatever order they come: only the first carries
 * the ports. Decisions are remembered by (source, destination, protocol, identification) in IPv4 (RFC 791) and by the
 * same without the protocol in IPv6 (RFC 8200 section 4.5);
 * later fragments that come early are copied aside until the first decides. Both are bounded: a flood of fragments
 * costs other fragments, never memory and never whole packets.
 */
import { VIRTIO_HEADER_BYTES } from "./virtio.ts";

/** Datagrams remembered at once. At 10 Gbit/s of 3,000-byte datagrams that is about a millisecond of history. */
const ENTRIES = 1024;
/** Early fragments held at once: 64 reordered datagrams of a jumbo frame each. */
const HELD = 64;
/** A held fragment: virtio header and an IP packet of one jumbo frame. */
const HELD_BYTES = VIRTIO_HEADER_BYTES + 9_216;
/** A sender's fragments leave within microseconds of each other; a second covers every path worth the name. */
const HELD_MS_MAX = 1_000;
/** How long a decision stands: below the 30 s in which kernels reassemble, above any plausible reordering. */
const DECISION_MS_MAX = 5_000;

const KEY_BYTES = 16 + 16 + 4 + 1;

/** What is known of a datagram. */
export const FRAGMENT_UNKNOWN = 0;
export const FRAGMENT_ACCEPT = 1;
export const FRAGMENT_DROP = 2;

/** Receives each held fragment that its first fragment released: memory address offset and length in `heldBytes`. */
export type ReleaseHeld = (offset: number, length: number) => void;

/** The memory of one packet thread's fragments. No allocation after construction. */
export class FragmentTable {
  readonly heldBytes: Uint8Array<ArrayBuffer> = new Uint8Array(HELD * HELD_BYTES);
  readonly #keys = new Uint8Array(ENTRIES * KEY_BYTES);
  readonly #decision = new Uint8Array(ENTRIES);
  readonly #decidedAt = new Int32Array(ENTRIES);
  readonly #heldLength = new Int32Array(HELD);
  readonly #heldAt = new Int32Array(HELD);
  readonly #heldKeys = new Uint8Array(HELD * KEY_BYTES);
  readonly #key = new Uint8Array(KEY_BYTES);
  #heldCount = 0;
  #expired = 0;

  /** Fragments held now. */
  get heldCount(): number {
    return this.#heldCount;
  }

  /** Held fragments given up since the last call. */
  takeExpired(): number {
    const expired = this.#expired;
    this.#expired = 0;
    return expired;
  }

  /** Selects the datagram that the following calls are about. */
  select(
    bytes: Uint8Array,
    sourceOffset: number,
    destinationOffset: number,
    addressBytes: number,
    protocol: number,
    id: number,
  ): void {
    const key = this.#key;
    key.fill(0, 0, 32);
    for (let i = 0; i < addressBytes; i++) {
      key[i] = bytes[sourceOffset + i];
      key[16 + i] = bytes[destinationOffset + i];
    }
    key[32] = id >>> 24;
    key[33] = id >>> 16;
    key[34] = id >>> 8;
    key[35] = id;
    key[36] = protocol;
  }

  /** The decision on the selected datagram, if its first fragment came lately. */
  decision(now32: number): number {
    const slot = this.#slot();
    if (this.#decision[slot] === FRAGMENT_UNKNOWN) return FRAGMENT_UNKNOWN;
    if (((now32 - this.#decidedAt[slot]) | 0) > DECISION_MS_MAX) return FRAGMENT_UNKNOWN;
    return this.#sameKey(this.#keys, slot * KEY_BYTES) ? this.#decision[slot] : FRAGMENT_UNKNOWN;
  }

  /** Remembers the first fragment's decision and hands over, or forgets, what was held for it. */
  decide(accept: boolean, now32: number, release: ReleaseHeld): void {
    const slot = this.#slot();
    this.#keys.set(this.#key, slot * KEY_BYTES);
    this.#decision[slot] = accept ? FRAGMENT_ACCEPT : FRAGMENT_DROP;
    this.#decidedAt[slot] = now32;
    if (this.#heldCount === 0) return;
    for (let held = 0; held < HELD; held++) {
      if (this.#heldLength[held] === 0 || !this.#sameKey(this.#heldKeys, held * KEY_BYTES)) continue;
      if (accept) release(held * HELD_BYTES, this.#heldLength[held]);
      else this.#expired++;
      this.#free(held);
    }
  }

  /**
   * Copies an early fragment aside (`length` bytes at `offset`: virtio header and IP packet). False when there is
   * no room.
   */
  hold(bytes: Uint8Array, offset: number, length: number, now32: number): boolean {
    if (length > HELD_BYTES) return false;
    for (let held = 0; held < HELD; held++) {
      if (this.#heldLength[held] !== 0) continue;
      const to = held * HELD_BYTES;
      for (let i = 0; i < length; i++) this.heldBytes[to + i] = bytes[offset + i];
      this.#heldKeys.set(this.#key, held * KEY_BYTES);
      this.#heldLength[held] = length;
      this.#heldAt[held] = now32;
      this.#heldCount++;
      return true;
    }
    return false;
  }

  /** Gives up the fragments that waited too long; call at least once a second while any is held. */
  expire(now32: number): void {
    for (let held = 0; held < HELD && this.#heldCount > 0; held++) {
      if (this.#heldLength[held] === 0 || ((now32 - this.#heldAt[held]) | 0) <= HELD_MS_MAX) continue;
      this.#free(held);
      this.#expired++;
    }
  }

  #free(held: number): void {
    this.#heldLength[held] = 0;
    this.#heldCount--;
  }

  /** FNV-1a over the key. A crafted collision costs the crafter's own fragments or another's one datagram. */
  #slot(): number {
    let hash = 0x811c9dc5 | 0;
    for (let i = 0; i < KEY_BYTES; i++) hash = Math.imul(hash ^ this.#key[i], 0x01000193);
    return (hash ^ (hash >>> 16)) & (ENTRIES - 1);
  }

  #sameKey(keys: Uint8Array, offset: number): boolean {
    for (let i = 0; i < KEY_BYTES; i++) if (keys[offset + i] !== this.#key[i]) return false;
    return true;
  }
}
