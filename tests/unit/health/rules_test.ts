/** When rules take effect, told as a transcript: facts in, effect out. */
import assert from "node:assert/strict";
import { CHECK_NAME_PATTERN } from "../../../src/config/checks_values.ts";
import { isRuleProblem, readRule, type RuleFacts } from "../../../src/config/rule_expression.ts";
import { inEffectSinceMs, lookAtRule, RULE_BEGIN, takesEffectMs } from "../../../src/health/rules.ts";
import { rule } from "./support.ts";

const CHECKS = ["db", "gateway"];

function facts(
  db: RuleFacts["checks"][string],
  gateway: RuleFacts["checks"][string],
  members = 3,
): RuleFacts {
  return { checks: { db, gateway }, farm: { members }, node: { name: "n1", state: "up" } };
}

Deno.test("a rule takes effect when its condition has held for its time without a break", () => {
  const afterTwo = rule("check.db.down && check.gateway.up", CHECKS, { afterMs: 2_000 });
  let memory = RULE_BEGIN;
  const lines: string[] = [];
  for (
    const [nowMs, db, gateway] of [
      [0, "up", "up"],
      [1_000, "down", "up"],
      [2_500, "down", "down"],
      [3_000, "down", "up"],
      [4_999, "down", "up"],
      [5_000, "down", "up"],
      [9_000, "down", "up"],
      [9_001, "pending", "up"],
    ] as const
  ) {
    memory = lookAtRule(memory, afterTwo, facts(db, gateway), nowMs);
    const since = inEffectSinceMs(memory, afterTwo, nowMs);
    const next = takesEffectMs(memory, afterTwo, nowMs);
    lines.push(
      `${nowMs} db ${db}, gateway ${gateway} -> ` +
        (since !== undefined ? `in effect since ${since}` : next !== undefined ? `from ${next} on` : "no"),
    );
  }
  assert.deepEqual(lines, [
    "0 db up, gateway up -> no",
    "1000 db down, gateway up -> from 3000 on",
    "2500 db down, gateway down -> no",
    "3000 db down, gateway up -> from 5000 on",
    "4999 db down, gateway up -> from 5000 on",
    "5000 db down, gateway up -> in effect since 5000",
    "9000 db down, gateway up -> in effect since 5000",
    "9001 db pending, gateway up -> no",
  ]);
});

Deno.test("a condition sees checks, farm and node", () => {
  const holds = (when: string, members?: number) =>
    rule(when, CHECKS).when.holds(facts("down", "pending", members));
  assert.ok(holds("check.db.down && !check.db.up && !check.db.pending && check.gateway.pending"));
  assert.ok(holds("farm.members < 2", 1));
  assert.ok(!holds("farm.members < 2", 2));
  assert.ok(holds('node.state == "up" && node.name.startsWith("n")'));
  assert.ok(holds("[check.db.down, check.gateway.down].exists(down, down)"));
});

Deno.test("a condition that fails when it is asked does not hold", () => {
  assert.equal(rule("1 / (farm.members - 3) > 0", CHECKS).when.holds(facts("up", "up", 3)), false);
});

Deno.test("check names that JavaScript gives a meaning are names like others, or no names", () => {
  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    assert.ok(!CHECK_NAME_PATTERN.test(name), name);
    assert.ok(isRuleProblem(readRule(`check.${name}.down`, ["other"])), name);
  }
  const names = ["for", "class", "length", "size", "has", "dyn", "bool"];
  for (const name of names) {
    const read = readRule(`check.${name}.down`, names);
    assert.ok(!isRuleProblem(read), name);
    const at = (state: "up" | "down"): RuleFacts => ({
      checks: Object.fromEntries(names.map((each) => [each, state])),
      farm: { members: 1 },
      node: { name: "n1", state: "up" },
    });
    assert.equal(read.holds(at("down")), true, name);
    assert.equal(read.holds(at("up")), false, name);
    assert.ok(isRuleProblem(readRule(`check.${name}.down`, ["other"])), name);
  }
});

Deno.test("an expression that would be too much to evaluate is refused", () => {
  assert.ok(isRuleProblem(readRule(Array(300).fill("check.db.up").join(" || "), CHECKS)));
  assert.ok(isRuleProblem(readRule(`${"(".repeat(100)}check.db.up${")".repeat(100)}`, CHECKS)));
});
