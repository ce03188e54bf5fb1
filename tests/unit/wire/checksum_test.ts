import assert from "node:assert/strict";
import fc from "fast-check";
import { addToSum, checksum, finishSum, writeTransportChecksum } from "../../../src/wire/checksum.ts";
import vectors from "../../vectors/packets.json" with { type: "json" };

Deno.test("the example of RFC 1071 section 3", () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  assert.equal(finishSum(addToSum(0, bytes, 0, 8)), ~0xddf2 & 0xffff);
});

Deno.test("property: equals the definition in exact integers, also for odd lengths and the largest packet", () => {
  const slow = (bytes: Uint8Array) => {
    let sum = 0n;
    bytes.forEach((byte, i) => sum += BigInt(byte) << (i % 2 === 0 ? 8n : 0n));
    while (sum > 0xffffn) sum = (sum >> 16n) + (sum & 0xffffn);
    return Number(~sum & 0xffffn);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 7 }), (bytes, at) => {
    const placed = new Uint8Array(bytes.length + at + 8).fill(0xff);
    placed.set(bytes, at);
    assert.equal(checksum(placed, at, bytes.length), slow(bytes));
  }));
  const largest = new Uint8Array(65_535).fill(0xff);
  assert.equal(checksum(largest, 0, largest.length), slow(largest));
});

Deno.test("the checksums that scapy wrote are right, and writing them again changes nothing", () => {
  let seen = 0;
  for (const { name, origin, kind, hex, expect } of vectors) {
    // Linux leaves those of TCP and UDP to the network card; a fragment has that of the whole datagram.
    if (origin !== "scapy" || expect === undefined || !("family" in expect) || expect.fragment != null) {
      continue;
    }
    if (kind !== "tcp" && kind !== "udp") continue;
    // scapy computes none behind AH; and of a datagram shorter than its packet only that part counts.
    if (/AH|shorter/.test(name)) continue;
    const bytes = Uint8Array.fromHex(hex);
    const transport = expect.transportOffset!;
    const length = 14 + expect.totalLength! - transport;
    const field = transport + (kind === "tcp" ? 16 : 6);
    const family = expect.family as 4 | 6;
    const rewritten = bytes.slice();
    writeTransportChecksum(
      rewritten,
      family === 4 ? 26 : 22,
      family,
      expect.protocol!,
      transport,
      length,
      field,
    );
    assert.deepEqual(rewritten, bytes, name);
    seen++;
  }
  assert.ok(seen >= 10);
});

Deno.test("a UDP checksum that comes out as 0 is sent as 0xffff, since 0 means none (RFC 768)", () => {
  const packet = new Uint8Array(28 + 2);
  packet.set([0x45], 0);
  // Ports, length and payload are chosen so that the words add up to 0xffff.
  packet.set([0, 0, 0, 0, 0, 10, 0, 0], 20);
  const rest = 0xffff - (17 + 10) - 10;
  packet.set([rest >> 8, rest & 0xff], 28);
  writeTransportChecksum(packet, 12, 4, 17, 20, 10, 26);
  assert.deepEqual([...packet.subarray(26, 28)], [0xff, 0xff]);
});
