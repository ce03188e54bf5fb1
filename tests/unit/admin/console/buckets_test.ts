import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  arrange,
  BUCKETS,
  decodeBuckets,
  isMoving,
  MOVED_SHOWN_MS,
  NOBODY,
  paint,
  tally,
} from "../../../../src/admin/console/buckets.ts";
import type { BucketsAnswer } from "../../../../src/admin/detail_schemas.ts";

function answer(nodes: string[], owner: (bucket: number) => number, contested: number[] = []): BucketsAnswer {
  const bits = new Uint8Array(BUCKETS / 8);
  for (const bucket of contested) bits[bucket >> 3] |= 1 << (bucket & 7);
  return {
    service: "http",
    node: "n1",
    nodes,
    owners: Buffer.from(Uint8Array.from({ length: BUCKETS }, (_, b) => owner(b))).toString("base64"),
    claimed: null,
    contested: contested.length === 0 ? null : Buffer.from(bits).toString("base64"),
    retained: null,
    counts: { claimed: 0, contested: contested.length, retained: 0, awaited: 0 },
  };
}

Deno.test("what changed hands is marked for a while, though the names come in another order", () => {
  const before = decodeBuckets(answer(["n1", "n2"], (b) => b & 1), undefined, 1_000);
  assert.ok(!before.changedMs.some((at) => at > 0), "the first look knows no change");
  const after = decodeBuckets(answer(["n2", "n1"], (b) => b === 6 ? 0 : 1 - (b & 1)), before, 2_000);
  assert.deepEqual([...after.changedMs.keys()].filter((b) => after.changedMs[b] > 0), [6]);
  assert.ok(isMoving(after, 6, 2_000 + MOVED_SHOWN_MS - 1));
  assert.ok(!isMoving(after, 6, 2_000 + MOVED_SHOWN_MS));
});

Deno.test("the tally counts what each owns, what moves, and what is nobody's", () => {
  const map = decodeBuckets(answer(["n1", "n2"], (b) => b < 3 ? NOBODY : b & 1, [5, 7]), undefined, 0);
  assert.deepEqual(tally(map, 0), [
    { name: "n1", owned: BUCKETS / 2 - 2, moving: 0 },
    { name: "n2", owned: BUCKETS / 2 - 1, moving: 2 },
    { name: null, owned: 3, moving: 0 },
  ]);
});

Deno.test("grouped, each node's buckets stand together, moving ones last, and none is lost", () => {
  const map = decodeBuckets(answer(["n1", "n2"], (b) => b < 3 ? NOBODY : b & 1, [5]), undefined, 0);
  const places = arrange(map, true, 0);
  assert.equal(new Set(places).size, BUCKETS);
  const owners = [...places].map((b) => map.owners[b]);
  assert.deepEqual(owners, [...owners].sort((a, b) => a - b));
  assert.equal(places[BUCKETS - 4], 5, "the moving one is the last of n2, before nobody's three");
});

Deno.test("the picture has each bucket in its owner's colour, and every other pixel of what moves in another", () => {
  const map = decodeBuckets(answer(["n1", "n2"], () => 0, [0, 1]), undefined, 0);
  const pixels = paint(map, arrange(map, false, 0), (owner) => [owner, 10, 20], [1, 2, 3], 0);
  assert.deepEqual([...pixels.slice(0, 12)], [0, 10, 20, 255, 1, 2, 3, 255, 0, 10, 20, 255]);
  assert.equal(pixels.length, BUCKETS * 4);
});
