import assert from "node:assert/strict";
import { Losses } from "../../../src/dataplane/losses.ts";

function sampled(seconds: ReadonlyArray<readonly [left: number, taken: number]>): boolean[] {
  const losses = new Losses();
  let left = 0, taken = 0;
  return seconds.map(([more, arrived]) => losses.sample(left += more, taken += arrived));
}

Deno.test("three lossy seconds end the fast path, quiet ones between them or not", () => {
  assert.deepEqual(sampled([[100, 100], [100, 0], [0, 0], [100, 40], [1, 0]]), [
    false,
    false,
    false,
    false,
    true,
  ]);
});

Deno.test("a packet between two counters, and what another program takes away now and then, do not", () => {
  assert.deepEqual(
    sampled([[1, 0], [1, 2], [1, 0], [1, 0], [100, 60], [1, 0], [1, 0]]),
    Array(7).fill(false),
  );
});
