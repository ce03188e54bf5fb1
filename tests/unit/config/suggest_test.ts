import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, suggest } from "../../../src/config/suggest.ts";

Deno.test("edit distance of known pairs", () => {
  const pairs: Array<[string, string, number]> = [
    ["", "", 0],
    ["abc", "abc", 0],
    ["kitten", "sitting", 3],
    ["ab", "ba", 1],
    ["wieght", "weight", 1],
    ["", "abc", 3],
  ];
  for (const [a, b, distance] of pairs) assert.equal(editDistance(a, b), distance, `${a} ${b}`);
});

Deno.test("edit distance is symmetric, zero only for equal words, and bounded by the longer one", () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(fc.property(word, word, (a, b) => {
    const distance = editDistance(a, b);
    assert.equal(distance, editDistance(b, a));
    assert.equal(distance === 0, a === b);
    assert.ok(distance <= Math.max(a.length, b.length));
    assert.ok(distance >= Math.abs(a.length - b.length));
  }));
});

Deno.test("what was meant, and nothing where nothing is near", () => {
  const keys = ["virtual_ips", "virtual_ip", "weight", "interface", "heartbeat"];
  assert.equal(suggest("virtualip", keys), "virtual_ip");
  assert.equal(suggest("Virtual-IPs", keys), "virtual_ips");
  assert.equal(suggest("wieght", keys), "weight");
  assert.equal(suggest("heart", keys), "heartbeat");
  assert.equal(suggest("zebra", keys), undefined);
  assert.equal(suggest("x".repeat(100_000), keys), undefined);
});
