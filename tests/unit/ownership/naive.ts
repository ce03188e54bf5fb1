/**
 * The ownership package once more, as plainly as possible: BigInt SipHash on whole messages, a logarithm by loops,
 * HMAC from its definition, nothing cached. Slow, and shares no code with src/ownership.
 */

import { createHash } from "node:crypto";
import type { IpAddress } from "../../../src/core/address.ts";
import type { AffinityName } from "../../../src/ownership/flow_hash.ts";

const rotate = (x: bigint, n: number) => BigInt.asUintN(64, (x << BigInt(n)) | (x >> BigInt(64 - n)));
const word = (bytes: number[]) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
const ascii = (text: string) => text.split("").reduce((sum, c) => (sum << 8n) | BigInt(c.charCodeAt(0)), 0n);

/** SipHash-c-d as an unsigned 64-bit number. */
export function naiveSipHash(key: Uint8Array, message: Uint8Array, c = 1, d = 3): bigint {
  const k0 = word([...key.subarray(0, 8)]);
  const k1 = word([...key.subarray(8)]);
  let [v0, v1, v2, v3] = [
    ...[ascii("somepseu") ^ k0, ascii("dorandom") ^ k1],
    ...[ascii("lygenera") ^ k0, ascii("tedbytes") ^ k1],
  ];
  const rounds = (count: number) => {
    for (; count > 0; count--) {
      v0 = BigInt.asUintN(64, v0 + v1);
      v1 = rotate(v1, 13) ^ v0;
      v0 = rotate(v0, 32);
      v2 = BigInt.asUintN(64, v2 + v3);
      v3 = rotate(v3, 16) ^ v2;
      v0 = BigInt.asUintN(64, v0 + v3);
      v3 = rotate(v3, 21) ^ v0;
      v2 = BigInt.asUintN(64, v2 + v1);
      v1 = rotate(v1, 17) ^ v2;
      v2 = rotate(v2, 32);
    }
  };
  const padded = [...message];
  while (padded.length % 8 !== 7) padded.push(0);
  padded.push(message.length % 256);
  for (let i = 0; i < padded.length; i += 8) {
    const m = word(padded.slice(i, i + 8));
    v3 ^= m;
    rounds(c);
    v0 ^= m;
  }
  v2 ^= 0xffn;
  rounds(d);
  return v0 ^ v1 ^ v2 ^ v3;
}

/** ln in the order of operations that src/ownership/ln.ts lays down, the exponent found by halving and doubling. */
export function naiveLn(x: number): number {
  let k = 0;
  while (x >= 2) [x, k] = [x / 2, k + 1];
  while (x < 1) [x, k] = [x * 2, k - 1];
  if (x > Math.SQRT2) [x, k] = [x / 2, k + 1];
  const s = (x - 1) / (2 + (x - 1));
  const z = s * s;
  let sum = 2 / 21;
  for (let denominator = 19; denominator >= 3; denominator -= 2) sum = sum * z + 2 / denominator;
  return k * 0.6931471803691238 + (2 * s + (s * z * sum + k * 1.9082149292705877e-10));
}

/** HMAC-SHA256 as RFC 2104 defines it, for keys of at most 64 bytes. */
export function naiveHmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const pad = (byte: number) => Uint8Array.from({ length: 64 }, (_, i) => (key[i] ?? 0) ^ byte);
  const inner = createHash("sha256").update(pad(0x36)).update(message).digest();
  return new Uint8Array(createHash("sha256").update(pad(0x5c)).update(inner).digest());
}

/** What a member draws for a bucket. */
export function naiveDraw(rendezvousKey: Uint8Array, name: string, bucket: number): number {
  const memberKey = naiveHmac(rendezvousKey, new TextEncoder().encode(name)).subarray(0, 16);
  const message = Uint8Array.of(bucket & 255, bucket >> 8, 0, 0);
  const top = Number(naiveSipHash(memberKey, message) >> 32n);
  return 1 / -naiveLn((top + 0.5) / 2 ** 32);
}

/** Names of the eligible members, the owner first. */
export function naiveRanking(
  rendezvousKey: Uint8Array,
  members: readonly { name: string; weight: number }[],
  bucket: number,
): string[] {
  return members.filter((member) => member.weight > 0)
    .map(({ name, weight }) => ({ name, score: weight * naiveDraw(rendezvousKey, name, bucket) }))
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .map((member) => member.name);
}

/** The bucket of a flow. */
export function naiveBucket(
  flowKey: Uint8Array,
  affinity: AffinityName,
  client: IpAddress,
  port: number,
): number {
  let message = [...client.bytes];
  if (affinity === "connection") message.push(port >> 8, port & 255);
  if (affinity === "network") {
    message = message.map((byte, i) => i < (client.family === 4 ? 3 : 8) ? byte : 0);
  }
  return Number(naiveSipHash(flowKey, Uint8Array.from(message)) % 65_536n);
}
