import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBytes, parseAddress } from "../../../src/core/address.ts";
import { BUCKETS } from "../../../src/core/limits.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { flow, key } from "./arbitraries.ts";
import { naiveBucket } from "./naive.ts";

const KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const address = (text: string) => parseAddress(text) ?? assert.fail(text);

Deno.test("buckets stay what they are: nodes of different versions must agree on them", () => {
  const hash = new FlowHash(KEY);
  const bucket = (affinity: keyof typeof AFFINITY, text: string, port: number) => {
    const { bytes, family } = address(text);
    return hash.bucket(AFFINITY[affinity], bytes, 0, family, port);
  };
  const found = [
    bucket("connection", "192.0.2.1", 40_000),
    bucket("client", "192.0.2.1", 40_000),
    bucket("network", "192.0.2.1", 40_000),
    bucket("connection", "2001:db8::1", 40_000),
    bucket("client", "2001:db8::1", 40_000),
    bucket("network", "2001:db8::1", 40_000),
  ];
  assert.deepEqual(found, [15863, 15049, 21004, 6901, 5236, 6760]); // from oracle.py
});

Deno.test("the bucket agrees with BigInt arithmetic over a message built byte by byte", () => {
  fc.assert(
    fc.property(key(16), flow, fc.nat(40), (k, { client, port, affinity }, offset) => {
      const packet = new Uint8Array(offset + client.bytes.length + 3).fill(0xee);
      packet.set(client.bytes, offset);
      const bucket = new FlowHash(k).bucket(AFFINITY[affinity], packet, offset, client.family, port);
      assert.equal(bucket, naiveBucket(k, affinity, client, port));
    }),
    { numRuns: 500 },
  );
});

Deno.test("affinity decides what of a client matters", () => {
  const hash = new FlowHash(KEY);
  const bucket = (affinity: keyof typeof AFFINITY, text: string, port: number) => {
    const { bytes, family } = address(text);
    return hash.bucket(AFFINITY[affinity], bytes, 0, family, port);
  };
  for (
    const [one, near, far] of [
      ["192.0.2.1", "192.0.2.254", "192.0.3.1"],
      ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"],
    ]
  ) {
    assert.notEqual(bucket("connection", one, 1024), bucket("connection", one, 1025));
    assert.equal(bucket("client", one, 1024), bucket("client", one, 1025));
    assert.notEqual(bucket("client", one, 1), bucket("client", near, 1));
    assert.equal(bucket("network", one, 1), bucket("network", near, 2));
    assert.notEqual(bucket("network", one, 1), bucket("network", far, 1));
  }
});

Deno.test("neighbouring ports and addresses spread evenly over the buckets", () => {
  const hash = new FlowHash(KEY);
  const bins = 256;
  const samples = BUCKETS;
  for (const family of [4, 6] as const) {
    for (const vary of ["port", "address"] as const) {
      const bytes = addressFromBytes(new Uint8Array(family === 4 ? 4 : 16)).bytes;
      const counts = new Array<number>(bins).fill(0);
      for (let i = 0; i < samples; i++) {
        if (vary === "address") {
          bytes[bytes.length - 1] = i & 255;
          bytes[bytes.length - 2] = i >> 8;
        }
        const affinity = vary === "port" ? AFFINITY.connection : AFFINITY.client;
        counts[hash.bucket(affinity, bytes, 0, family, i) >> 8]++;
      }
      // Binomial: 256 expected in each bin, standard deviation 16; six of them are exceeded once in 2e6 tests.
      const worst = Math.max(...counts.map((count) => Math.abs(count - samples / bins)));
      assert.ok(worst < 6 * 16, `IPv${family}, varying ${vary}: off by ${worst} of ${samples / bins}`);
    }
  }
});

Deno.test("hashing a flow allocates nothing", () => {
  const hash = new FlowHash(KEY);
  const bytes = new Uint8Array(32);
  const growth = () => {
    const before = Deno.memoryUsage().heapUsed;
    for (let i = 0; i < 300_000; i++) {
      bytes[3] = i;
      hash.bucket(AFFINITY.connection, bytes, 0, 4, i & 0xffff);
      hash.bucket(AFFINITY.connection, bytes, 0, 6, i & 0xffff);
    }
    return Deno.memoryUsage().heapUsed - before;
  };
  // One number of 16 bytes per hash would be 9.6 MB; the engine's own work is much less. The smallest of a
  // few tries leaves out compilation; a collection in between makes the growth negative, which proves nothing.
  const grown = Array.from({ length: 8 }, growth).filter((bytes) => bytes >= 0);
  assert.ok(grown.length > 0 && Math.min(...grown) < 1_000_000, `grew by ${grown.join(", ")} bytes`);
});
