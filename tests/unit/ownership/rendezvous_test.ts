import assert from "node:assert/strict";
import fc from "fast-check";
import { BUCKETS } from "../../../src/core/limits.ts";
import { column, Columns, COLUMNS_KEPT_MAX, Draws } from "../../../src/ownership/rendezvous.ts";
import { key, name } from "./arbitraries.ts";
import { naiveDraw } from "./naive.ts";

const KEY = new Uint8Array(32).fill(7);

Deno.test("a draw is what the naive version draws, bit by bit", () => {
  const bucket = fc.integer({ min: 0, max: BUCKETS - 1 });
  fc.assert(fc.property(key(32), name, bucket, (k, member, b) => {
    assert.equal(new Draws(k, member).draw(b), naiveDraw(k, member, b));
  }));
});

Deno.test("a column holds the draws of all buckets, all positive and finite", () => {
  const values = column(KEY, "n1");
  const draws = new Draws(KEY, "n1");
  assert.equal(values.length, BUCKETS);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    assert.equal(values[bucket], draws.draw(bucket));
    assert.ok(values[bucket] > 0.04 && values[bucket] < 9e9);
  }
});

Deno.test("names and keys draw differently", () => {
  const first = (k: Uint8Array, member: string) => new Draws(k, member).draw(0);
  assert.notEqual(first(KEY, "n1"), first(KEY, "n2"));
  assert.notEqual(first(KEY, "n1"), first(new Uint8Array(32), "n1"));
});

Deno.test("columns are computed once, and the one unused for longest goes first", () => {
  const columns = new Columns(KEY);
  const first = columns.of("n0");
  const second = columns.of("n1");
  const fresh = column(KEY, "n0");
  assert.ok(first.every((draw, bucket) => draw === fresh[bucket]));
  for (let i = 2; i < COLUMNS_KEPT_MAX; i++) columns.of(`n${i}`);
  assert.ok(columns.of("n0") === first); // now n1 is the oldest
  columns.of("one more");
  assert.equal(columns.size, COLUMNS_KEPT_MAX);
  assert.ok(columns.of("n0") === first);
  const again = columns.of("n1"); // computed anew: not the same array, but the same draws
  assert.ok(again !== second && again.every((draw, bucket) => draw === second[bucket]));
});
