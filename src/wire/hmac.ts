/**
 * HMAC-SHA-256 (RFC 2104, FIPS 198-1) of short messages under one key. `createHmac` makes two streams for each code,
 * which costs more than the hashing does, in time and in garbage; two calls of `hash` with the key put before do the same.
 */
import { hash } from "node:crypto";

/** Of SHA-256, in bytes: FIPS 180-4. */
const BLOCK = 64, DIGEST = 32;
const INNER = 0x36, OUTER = 0x5c;

/** Not to be shared between threads. */
export class HmacSha256 {
  readonly #inner: Uint8Array<ArrayBuffer>;
  readonly #outer: Uint8Array<ArrayBuffer>;

  /** @param key at most a block of 64 bytes long; @param messageBytesMax of the longest message */
  constructor(key: Uint8Array, messageBytesMax: number) {
    if (key.length > BLOCK) throw new RangeError(`a key of ${key.length} bytes: at most ${BLOCK}`);
    this.#inner = new Uint8Array(BLOCK + messageBytesMax);
    this.#outer = new Uint8Array(BLOCK + DIGEST);
    for (let i = 0; i < BLOCK; i++) {
      this.#inner[i] = (key[i] ?? 0) ^ INNER;
      this.#outer[i] = (key[i] ?? 0) ^ OUTER;
    }
  }

  /** The code of a message, 32 bytes. Throws RangeError if the message is longer than was said. */
  digest(message: Uint8Array): Uint8Array {
    this.#inner.set(message, BLOCK);
    this.#outer.set(hash("sha256", this.#inner.subarray(0, BLOCK + message.length), "buffer"), BLOCK);
    return hash("sha256", this.#outer, "buffer");
  }
}
