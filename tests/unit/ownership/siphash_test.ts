import assert from "node:assert/strict";
import fc from "fast-check";
import { SIPHASH_MESSAGE_BYTES_MAX, SipHasher } from "../../../src/ownership/siphash.ts";
import { key } from "./arbitraries.ts";
import { naiveSipHash } from "./naive.ts";

const VECTOR_KEY = Uint8Array.from({ length: 16 }, (_, i) => i);

async function vectors(file: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL(`../../vectors/${file}`, import.meta.url));
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function hashHex(hasher: SipHasher, bytes: Uint8Array, offset: number, length: number): string {
  hasher.hash(bytes, offset, length);
  const out = new DataView(new ArrayBuffer(8));
  out.setInt32(0, hasher.low, true);
  out.setInt32(4, hasher.high, true);
  return new Uint8Array(out.buffer).toHex();
}

for (const [c, d] of [[2, 4], [1, 3]]) {
  Deno.test(`SipHash-${c}-${d} gives the 64 values on file, also from the middle of a dirty buffer`, async () => {
    const expected = await vectors(`siphash-${c}-${d}.txt`);
    assert.equal(expected.length, 64);
    const hasher = new SipHasher(VECTOR_KEY, c, d);
    const buffer = new Uint8Array(80).fill(0xa5);
    for (let i = 0; i < 64; i++) buffer[7 + i] = i;
    // From long to short, so that a word left over from before would show.
    for (let length = 63; length >= 0; length--) {
      assert.equal(hashHex(hasher, buffer, 7, length), expected[length], `length ${length}`);
    }
  });
}

Deno.test("SipHash agrees with BigInt arithmetic for any key, message and rounds", () => {
  const rounds = fc.integer({ min: 1, max: 4 });
  fc.assert(fc.property(key(16), fc.uint8Array({ maxLength: 300 }), rounds, rounds, (k, message, c, d) => {
    const hasher = new SipHasher(k, c, d);
    hasher.hash(message, 0, message.length);
    const value = (BigInt(hasher.high >>> 0) << 32n) | BigInt(hasher.low >>> 0);
    assert.equal(value, naiveSipHash(k, message, c, d));
  }));
});

for (const [words, minLength, maxLength] of [[1, 0, 7], [3, 16, 23]]) {
  Deno.test(`hashing a message of ${words} padded words is hashing its bytes`, () => {
    const rounds = fc.integer({ min: 1, max: 4 });
    const message = fc.uint8Array({ minLength, maxLength });
    fc.assert(fc.property(key(16), message, rounds, rounds, (k, message, c, d) => {
      const hasher = new SipHasher(k, c, d);
      hasher.hash(message, 0, message.length);
      const expected = [hasher.low, hasher.high];
      const padded = new DataView(new ArrayBuffer(8 * words));
      message.forEach((byte, i) => padded.setUint8(i, byte));
      padded.setUint8(8 * words - 1, message.length);
      const halves = Array.from({ length: 2 * words }, (_, i) => padded.getInt32(4 * i, true));
      const [l0, h0, l1, h1, l2, h2] = halves;
      const low = words === 1 ? hasher.hashWord(l0, h0) : hasher.hashThreeWords(l0, h0, l1, h1, l2, h2);
      assert.deepEqual([low, hasher.low, hasher.high], [expected[0], ...expected]);
    }));
  });
}

Deno.test("a key inside a larger buffer is read where it stands", () => {
  const large = new Uint8Array(40);
  large.set(VECTOR_KEY, 11);
  const message = Uint8Array.of(1, 2, 3);
  const there = hashHex(new SipHasher(large.subarray(11, 27)), message, 0, 3);
  assert.equal(there, hashHex(new SipHasher(VECTOR_KEY), message, 0, 3));
});

Deno.test("a key of another length, and a message that is too long or leaves its buffer, are refused", () => {
  assert.throws(() => new SipHasher(new Uint8Array(15)), /must have 16 bytes \(15 bytes\)/);
  const hasher = new SipHasher(VECTOR_KEY);
  const large = new Uint8Array(SIPHASH_MESSAGE_BYTES_MAX + 1);
  hasher.hash(large, 1, SIPHASH_MESSAGE_BYTES_MAX);
  assert.throws(
    () => hasher.hash(large, 0, SIPHASH_MESSAGE_BYTES_MAX + 1),
    new RegExp(`at most ${SIPHASH_MESSAGE_BYTES_MAX} bytes`),
  );
  assert.throws(() => hasher.hash(large.subarray(0, 8), 4, 5), /inside the buffer.*5 bytes from 4 on, of 8/);
  assert.throws(() => hasher.hash(large, -1, 4), /inside the buffer/);
  assert.throws(() => hasher.hash(large, 0, NaN), /inside the buffer/);
});
