import assert from "node:assert/strict";
import fc from "fast-check";
import type { Answer } from "../../../src/lab/client_protocol.ts";
import { errorKinds, isPlausible, outageSince, spreadOf } from "../../../src/lab/spread.ts";

const at = (startMs: number, node?: string): Answer => ({
  node,
  address: "",
  port: 0,
  startMs,
  durationMs: 0,
});

Deno.test("shares are counted by node and compared with the weights", () => {
  const answers = [at(0, "a"), at(0, "b"), at(0, "b"), at(0), at(0, "x")];
  const { shares, answered, unexpected } = spreadOf(answers, new Map([["a", 100], ["b", 300], ["c", 0]]));
  assert.equal(answered, 4);
  assert.deepEqual(unexpected, ["x"]);
  assert.deepEqual(shares.map(({ name, count, seen, wanted }) => ({ name, count, seen, wanted })), [
    { name: "a", count: 1, seen: 0.25, wanted: 0.25 },
    { name: "b", count: 2, seen: 0.5, wanted: 0.75 },
    { name: "c", count: 0, seen: 0, wanted: 0 },
  ]);
});

Deno.test("a fair choice is plausible, a node that gets nothing or everything is not", () => {
  assert.ok(isPlausible(100, 300, 1 / 3));
  assert.ok(isPlausible(130, 300, 1 / 3));
  assert.ok(!isPlausible(0, 300, 1 / 3));
  assert.ok(!isPlausible(300, 300, 1 / 3));
  assert.ok(!isPlausible(150, 300, 1 / 3));
  assert.ok(isPlausible(0, 300, 0));
  assert.ok(!isPlausible(1, 300, 0), "weight 0 gets nothing at all");
});

Deno.test("the range grows with the root of the number of trials", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 100_000 }),
      fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      (n, p) => {
        const deviation = Math.sqrt(n * p * (1 - p));
        return isPlausible(Math.round(n * p + 4 * deviation), n, p) &&
          !isPlausible(Math.round(n * p + 6 * deviation), n, p);
      },
    ),
  );
});

Deno.test("failures are counted by their kind, in the order of their first", () => {
  const answers = [{ ...at(0), error: "timeout" }, at(1, "a"), { ...at(2), error: "ECONNRESET" }];
  assert.equal(errorKinds([...answers, answers[0]]), "timeout 2, ECONNRESET 1");
  assert.equal(errorKinds([at(0, "a")]), "");
});

Deno.test("an outage lasts until the first answer after which none failed", () => {
  const answers = [at(90, "b"), at(110), at(120, "a"), at(130), at(160, "a"), at(170, "a")];
  assert.deepEqual(outageSince(answers, 100), { failed: 2, lengthMs: 60, over: true });
  assert.deepEqual(outageSince([at(90, "b"), at(110, "a")], 100), { failed: 0, lengthMs: 0, over: true });
  assert.equal(outageSince([at(90, "b"), at(110)], 100).over, false);
});
