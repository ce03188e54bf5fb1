import assert from "node:assert/strict";
import { ManualClock } from "../../../src/core/clock.ts";

Deno.test("a manual clock moves only when told, and only forward", () => {
  const clock = new ManualClock(5);
  clock.advance(0.25);
  assert.equal(clock.nowMs(), 5.25);
  assert.throws(() => clock.advance(-1), RangeError);
  assert.throws(() => clock.advance(NaN), RangeError);
});
