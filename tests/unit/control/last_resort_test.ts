import assert from "node:assert/strict";
import { LastResortWatch } from "../../../src/control/last_resort.ts";
import { type FarmEventInit } from "../../../src/core/events.ts";
import { asLastResort } from "../../../src/core/weight.ts";
import { type ClaimsBasis } from "../../../src/membership/types.ts";

const basis = (...weights: number[][]): ClaimsBasis => ({
  ownName: "n1",
  ownWeights: [1, ...weights[0]],
  ownPreviousWeights: undefined,
  members: weights.slice(1).map((each, i) => ({ name: `n${i + 2}`, weights: [1, ...each] })),
});

Deno.test("told once when no healthy node is left for a service, and once when there is one again", () => {
  const events: FarmEventInit[] = [];
  const watch = new LastResortWatch(["http", "dns"], (event) => events.push(event));
  const sick = asLastResort(100);
  watch.look(basis([100, 100], [100, 100]));
  watch.look(basis([sick, 100], [100, 100]));
  assert.equal(events.length, 0);
  watch.look(basis([sick, 100], [sick, 100]));
  watch.look(basis([sick, 0], [0, 0]));
  watch.look(basis([sick, 100], [100, 100]));
  assert.deepEqual(events.map(({ kind, details }) => [kind, details?.service]), [
    ["service.last_resort", "http"],
    ["service.healthy", "http"],
  ]);
  assert.match(events[0].message, /^No node passes its checks for http/);
});
