import assert from "node:assert/strict";
import fc from "fast-check";
import { WEIGHT_MAX } from "../../../src/core/limits.ts";
import { asLastResort, isLastResort, isWeight, plainWeight, weightFactor } from "../../../src/core/weight.ts";

const weight = fc.integer({ min: 0, max: WEIGHT_MAX });

Deno.test("a last resort keeps its weight, and 0 is nobody's last resort", () => {
  fc.assert(fc.property(weight, (weight) => {
    const marked = asLastResort(weight);
    assert.ok(isWeight(weight) && isWeight(marked));
    assert.equal(plainWeight(marked), weight);
    assert.equal(plainWeight(weight), weight);
    assert.equal(isLastResort(marked), weight > 0);
    assert.equal(isLastResort(weight), false);
  }));
});

Deno.test("nothing else is a weight", () => {
  for (const value of [-1, 1.5, NaN, Infinity, 1001, 0x7fff, 0x8000, 0x8000 | 1001, 0xffff, 0x10001]) {
    assert.equal(isWeight(value), false, String(value));
  }
});

Deno.test("the greatest last resort stays below the smallest weight, whatever both draw, and keeps its order exactly", () => {
  const drawMin = 0.04, drawMax = 9e9;
  assert.ok(weightFactor(asLastResort(WEIGHT_MAX)) * drawMax < weightFactor(1) * drawMin);
  fc.assert(fc.property(weight, weight, (a, b) => {
    assert.equal(Math.sign(weightFactor(asLastResort(a)) - weightFactor(asLastResort(b))), Math.sign(a - b));
  }));
});
