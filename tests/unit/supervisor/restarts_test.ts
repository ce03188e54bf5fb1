import assert from "node:assert/strict";
import { Restarts } from "../../../src/supervisor/restarts.ts";

Deno.test("a program that ends is started at once, then after 1 s, 2 s, at most 30 s", () => {
  const restarts = new Restarts(5_000);
  const waits = Array.from({ length: 8 }, () => restarts.next(500));
  assert.deepEqual(waits, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.equal(restarts.next(4_999), 30_000);
  assert.equal(restarts.next(5_000), 0, "it ran well for a while: the count starts anew");
  assert.equal(restarts.next(500), 1_000);
});
