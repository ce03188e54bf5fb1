/**
 * SipHash-c-d (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed 64-bit hash whose values
 * nobody can steer without the key.
 *
 * JavaScript has no fast 64-bit integer, so each 64-bit word is two 32-bit halves, `…l` and `…h`. The carry from the
 * lower to the upper half comes from bit operations: a comparison is compiled to a branch that is mispredicted every
 * other time, which more than doubles the time of a hash (51 ns for one word in place of 22) as soon as the input does
 * not repeat itself. The rounds are loops: written out one after the other they were no faster, and loops leave less
 * to check. Nothing is allocated per hash.
 *
 * vipfarm uses SipHash-1-3: what is at stake is that clients cannot choose their node, not a signature. Heartbeats
 * are authenticated with HMAC-SHA256.
 */

import { VipfarmError } from "../core/errors.ts";
import { HEARTBEAT_BYTES_MAX } from "../core/limits.ts";

/** Bytes of a key. */
export const SIPHASH_KEY_BYTES = 16;

/** Longest message in bytes: nothing longer than a heartbeat is ever hashed, so the word buffer never grows. */
export const SIPHASH_MESSAGE_BYTES_MAX = HEARTBEAT_BYTES_MAX;

/** The paper's initialization constants, "somepseudorandomlygeneratedbytes", each as low and high half. */
const INITIAL = [
  ...[0x70736575, 0x736f6d65],
  ...[0x6e646f6d, 0x646f7261],
  ...[0x6e657261, 0x6c796765],
  ...[0x79746573, 0x74656462],
];

/** A hash function with its key. The result of the last hash stands in {@link low} and {@link high}. */
export class SipHasher {
  /** Low 32 bits of the last result, signed. */
  low = 0;
  /** High 32 bits of the last result, signed. */
  high = 0;

  readonly #compressionRounds: number;
  readonly #finalRounds: number;
  /** v0 to v3 before the first word: the constants, keyed. */
  readonly #start = new Int32Array(8);
  /** The message as 64-bit words: low half, high half; the last one carries the length. */
  #words = new Int32Array(8);

  /** @throws VipfarmError if the key has not 16 bytes. */
  constructor(key: Uint8Array, compressionRounds = 1, finalRounds = 3) {
    if (key.length !== SIPHASH_KEY_BYTES) {
      throw new VipfarmError({
        operation: "set up SipHash",
        problem: `the key must have ${SIPHASH_KEY_BYTES} bytes`,
        value: `${key.length} bytes`,
      });
    }
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    // k0 goes into v0 and v2, k1 into v1 and v3.
    for (let i = 0; i < 8; i++) this.#start[i] = INITIAL[i] ^ view.getInt32((i & 3) * 4, true);
    this.#compressionRounds = compressionRounds;
    this.#finalRounds = finalRounds;
  }

  /**
   * Hashes `length` bytes from `offset` on; the result is in {@link low} and {@link high}.
   * @throws VipfarmError if the message is longer than {@link SIPHASH_MESSAGE_BYTES_MAX} or leaves the buffer
   */
  hash(bytes: Uint8Array, offset: number, length: number): void {
    if (
      !(length >= 0 && length <= SIPHASH_MESSAGE_BYTES_MAX && offset >= 0 && offset + length <= bytes.length)
    ) {
      throw new VipfarmError({
        operation: "hash bytes",
        problem: `at most ${SIPHASH_MESSAGE_BYTES_MAX} bytes inside the buffer can be hashed`,
        value: `${length} bytes from ${offset} on, of ${bytes.length}`,
      });
    }
    const wordCount = (length >>> 3) + 1;
    if (this.#words.length < wordCount * 2) this.#words = new Int32Array(wordCount * 2);
    const words = this.#words;
    words.fill(0, 0, wordCount * 2);
    for (let i = 0; i < length; i++) words[i >>> 2] |= bytes[offset + i] << ((i & 3) * 8);
    words[wordCount * 2 - 1] |= length << 24;
    this.hashWords(words, wordCount);
  }

  /**
   * Hashes a message that is padded already: `wordCount` 64-bit words, each as low and high half. The last word
   * must hold the length of the message in bytes, modulo 256, in its top byte.
   */
  hashWords(words: Int32Array, wordCount: number): void {
    const start = this.#start;
    let v0l = start[0], v0h = start[1], v1l = start[2], v1h = start[3];
    let v2l = start[4], v2h = start[5], v3l = start[6], v3h = start[7];
    let rounds = this.#compressionRounds;
    let wordLow = 0, wordHigh = 0, t = 0;
    // One pass per word, then one more without a word: the finalization.
    for (let word = 0; word <= wordCount; word++) {
      if (word < wordCount) {
        wordLow = words[word * 2];
        wordHigh = words[word * 2 + 1];
      } else {
        wordLow = 0;
        wordHigh = 0;
        v2l ^= 0xff;
        rounds = this.#finalRounds;
      }
      v3l ^= wordLow;
      v3h ^= wordHigh;
      for (let round = 0; round < rounds; round++) {
        // Bit 31 of the carries, without a branch: see the top of the file.
        t = (v0l + v1l) | 0;
        v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~t)) >>> 31)) | 0;
        v0l = t;
        t = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
        v1l = t;
        t = v0l; // rotated by 32: the halves change places
        v0l = v0h;
        v0h = t;

        t = (v2l + v3l) | 0;
        v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~t)) >>> 31)) | 0;
        v2l = t;
        t = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
        v3l = t;

        t = (v0l + v3l) | 0;
        v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~t)) >>> 31)) | 0;
        v0l = t;
        t = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
        v3l = t;

        t = (v2l + v1l) | 0;
        v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~t)) >>> 31)) | 0;
        v2l = t;
        t = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
        v1l = t;
        t = v2l;
        v2l = v2h;
        v2h = t;
      }
      v0l ^= wordLow;
      v0h ^= wordHigh;
    }
    this.low = v0l ^ v1l ^ v2l ^ v3l;
    this.high = v0h ^ v1h ^ v2h ^ v3h;
  }

  /**
   * The same as {@link hashWords} for a single word, in three quarters of the time: one flat loop whose state stays in
   * registers. This is the hash of every IPv4 packet (`tests/bench/ownership_bench.ts`).
   */
  hashWord(wordLow: number, wordHigh: number): void {
    const start = this.#start;
    let v0l = start[0], v0h = start[1], v1l = start[2], v1h = start[3];
    let v2l = start[4], v2h = start[5], v3l = start[6] ^ wordLow, v3h = start[7] ^ wordHigh;
    const compressed = this.#compressionRounds - 1;
    const rounds = this.#compressionRounds + this.#finalRounds;
    let t = 0;
    for (let round = 0; round < rounds; round++) {
      t = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (((v0l & v1l) | ((v0l | v1l) & ~t)) >>> 31)) | 0;
      v0l = t;
      t = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = t;
      t = v0l;
      v0l = v0h;
      v0h = t;

      t = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (((v2l & v3l) | ((v2l | v3l) & ~t)) >>> 31)) | 0;
      v2l = t;
      t = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = t;

      t = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (((v0l & v3l) | ((v0l | v3l) & ~t)) >>> 31)) | 0;
      v0l = t;
      t = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = t;

      t = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (((v2l & v1l) | ((v2l | v1l) & ~t)) >>> 31)) | 0;
      v2l = t;
      t = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = t;
      t = v2l;
      v2l = v2h;
      v2h = t;
      if (round === compressed) {
        v0l ^= wordLow;
        v0h ^= wordHigh;
        v2l ^= 0xff;
      }
    }
    this.low = v0l ^ v1l ^ v2l ^ v3l;
    this.high = v0h ^ v1h ^ v2h ^ v3h;
  }
}
