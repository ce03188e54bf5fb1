import assert from "node:assert/strict";
import fc from "fast-check";
import { ln, LN_ERROR_MAX } from "../../../src/ownership/ln.ts";
import { naiveLn } from "./naive.ts";

/** Math.log is itself off by up to one unit in the last place in V8, which the comparison has to allow for. */
const MATH_LOG_ERROR_MAX = 2 ** -52;

function assertClose(x: number) {
  const exact = Math.log(x);
  const error = exact === 0 ? Math.abs(ln(x)) : Math.abs(ln(x) - exact) / Math.abs(exact);
  assert.ok(error <= LN_ERROR_MAX + MATH_LOG_ERROR_MAX, `ln(${x}) is off by ${error}`);
}

Deno.test("ln is as exact as it says, over all numbers", () => {
  const number = fc.double({ min: 2 ** -1022, max: Number.MAX_VALUE, noNaN: true });
  fc.assert(fc.property(number, assertClose), { numRuns: 5000 });
});

Deno.test("ln is as exact as it says for what rendezvous asks, and negative there", () => {
  const asked = fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((h) => (h + 0.5) / 2 ** 32);
  fc.assert(
    fc.property(asked, (u) => {
      assertClose(u);
      assert.ok(ln(u) < 0);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("ln holds at its edges", () => {
  const edges = [
    0.5 / 2 ** 32,
    1 - 2 ** -33,
    1 - 2 ** -53,
    1 + 2 ** -52,
    2 ** -1022,
    Number.MAX_VALUE,
    Math.E,
  ];
  edges.push(Math.SQRT2, Math.SQRT1_2, Math.SQRT2 + 2 ** -52, Math.SQRT1_2 - 2 ** -53);
  for (const x of edges) assertClose(x);
  assert.equal(ln(1), 0);
  assert.equal(ln(2), Math.LN2);
  assert.equal(ln(0.5), -Math.LN2);
});

Deno.test("ln keeps to its order of operations, bit by bit", () => {
  const number = fc.double({ min: 2 ** -40, max: 2 ** 40, noNaN: true });
  fc.assert(fc.property(number, (x) => assert.equal(ln(x), naiveLn(x))), { numRuns: 5000 });
});

Deno.test("ln refuses what has no finite logarithm, and subnormal numbers", () => {
  for (const x of [0, -0, -1, NaN, Infinity, -Infinity, 2 ** -1023, Number.MIN_VALUE]) {
    assert.throws(() => ln(x), RangeError, String(x));
  }
});
