/**
 * SipHash-c-d (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): a keyed 64-bit hash whose values
 * nobody can steer without the key.
 *
 * The rounds are in WebAssembly (siphash_module.ts). With 32-bit halves in JavaScript a word took three times as long,
 * or seven times where the compiler made a branch of the carry between them. Nothing is allocated per hash.
 *
 * vipfarm uses SipHash-1-3: what is at stake is that clients cannot choose their node, not a signature. Heartbeats
 * are authenticated with HMAC-SHA256.
 */

import { VipfarmError } from "../core/errors.ts";
import { HEARTBEAT_BYTES_MAX } from "../core/limits.ts";
import { type SipHashExports, sipHashModule, STATE_IMPORTS } from "./siphash_module.ts";

/** Bytes of a key. */
export const SIPHASH_KEY_BYTES = 16;

/** Longest message in bytes: nothing longer than a heartbeat is ever hashed. */
export const SIPHASH_MESSAGE_BYTES_MAX = HEARTBEAT_BYTES_MAX;

/** The paper's initialization constants, "somepseudorandomlygeneratedbytes". */
const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n] as const;

/** Compiled once in each thread; an instance with its key takes microseconds. */
const modules = new Map<string, WebAssembly.Module>();

/** A hash function with its key. The result of the last hash stands in {@link low} and {@link high}. */
export class SipHasher {
  /** Low 32 bits of the last result, signed. */
  low = 0;

  readonly #functions: SipHashExports;

  /** @throws VipfarmError if the key has not 16 bytes. */
  constructor(key: Uint8Array, compressionRounds = 1, finalRounds = 3) {
    if (key.length !== SIPHASH_KEY_BYTES) {
      throw new VipfarmError({
        operation: "set up SipHash",
        problem: `the key must have ${SIPHASH_KEY_BYTES} bytes`,
        value: `${key.length} bytes`,
      });
    }
    const name = `${compressionRounds}-${finalRounds}`;
    let module = modules.get(name);
    if (module === undefined) modules.set(name, module = sipHashModule(compressionRounds, finalRounds));
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    // k0 goes into v0 and v2, k1 into v1 and v3.
    const state = INITIAL.map((constant, i) =>
      BigInt.asIntN(64, constant ^ view.getBigUint64((i & 1) * 8, true))
    );
    const globals = STATE_IMPORTS.map((v, i) => [v, new WebAssembly.Global({ value: "i64" }, state[i])]);
    const { exports } = new WebAssembly.Instance(module, { key: Object.fromEntries(globals) });
    this.#functions = exports as unknown as SipHashExports;
  }

  /** High 32 bits of the last result, signed. */
  get high(): number {
    return this.#functions.high();
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
    const { begin, absorb, finish } = this.#functions;
    const end = offset + length;
    let at = offset;
    begin();
    for (; at + 8 <= end; at += 8) absorb(little(bytes, at, 4), little(bytes, at + 4, 4));
    const left = end - at;
    // The last word ends with the length of the message in its top byte.
    absorb(
      little(bytes, at, Math.min(left, 4)),
      little(bytes, at + 4, Math.max(left - 4, 0)) | (length << 24),
    );
    this.low = finish();
  }

  /**
   * Hashes a message of up to seven bytes that is padded already: one 64-bit word as low and high half, with the length in
   * bytes in its top byte. Gives the low half of the result.
   */
  hashWord(low: number, high: number): number {
    return this.low = this.#functions.hashWord(low, high);
  }

  /** The same for a message of 16 to 23 bytes, three words. */
  hashThreeWords(l0: number, h0: number, l1: number, h1: number, l2: number, h2: number): number {
    return this.low = this.#functions.hashThreeWords(l0, h0, l1, h1, l2, h2);
  }
}

/** At most four bytes as one little-endian number, which is how SipHash reads its message on every machine. */
function little(bytes: Uint8Array, offset: number, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value |= bytes[offset + i] << (i * 8);
  return value;
}
