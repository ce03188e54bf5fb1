import assert from "node:assert/strict";
import { cutRuleset, cutsOf } from "../../../src/lab/cuts.ts";

Deno.test("a direction stands for the cuts seen from the station", () => {
  assert.deepEqual(cutsOf("n1", "out"), [{ from: "n1" }]);
  assert.deepEqual(cutsOf("n1", "in"), [{ to: "n1" }]);
  assert.deepEqual(cutsOf("n1", "both"), [{ from: "n1" }, { to: "n1" }]);
});

Deno.test("the ruleset replaces the former one and drops by bridge port", () => {
  const text = cutRuleset([{ from: "n1" }, { to: "n2" }, { from: "n1", to: "n3" }]);
  assert.deepEqual(text.split("\n").slice(0, 2), ["table bridge lab_cuts", "delete table bridge lab_cuts"]);
  assert.deepEqual(text.match(/.*drop$/gm)?.map((line) => line.trim()), [
    'iifname "n1" drop',
    'oifname "n2" drop',
    'iifname "n1" oifname "n3" drop',
  ]);
});

Deno.test("no cuts leave a ruleset that drops nothing", () => {
  assert.ok(!cutRuleset([]).includes("drop"));
});
