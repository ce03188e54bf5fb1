import assert from "node:assert/strict";
import { consequenceOf, sharesWith } from "../../../../src/admin/console/consequence.ts";
import type { FarmStatus } from "../../../../src/admin/schemas.ts";
import { PlainFarm } from "../farm.ts";

/** Three nodes with these weights in both services; the third with open connections. */
function farmOf(...weights: number[]): FarmStatus {
  const farm = new PlainFarm();
  farm.status.members.forEach((member, i) => {
    member.weight = weights[i];
    for (const service of Object.keys(member.weights)) member.weights[service] = weights[i];
  });
  farm.share();
  farm.status.members[2].connections = 118;
  return farm.status;
}

Deno.test("a drain says whose clients go where, and what stays", () => {
  assert.deepEqual(consequenceOf(farmOf(100, 100, 200), "n3", "drain"), {
    title: "Drain n3?",
    sentences: [
      "n3 serves 50% of new clients.",
      "They will go to n1 (then 50%) and n2 (then 50%).",
      "118 open connections will stay until they end.",
    ],
    lastServing: false,
  });
});

Deno.test("no number is invented: without one, the connections stay all the same", () => {
  const { sentences } = consequenceOf(farmOf(100, 100, 200), "n1", "drain");
  assert.equal(sentences.at(-1), "Its open connections will stay until they end.");
});

Deno.test("the last node that serves is known as such", () => {
  for (const verb of ["drain", "stop", "restart"] as const) {
    const { lastServing, sentences } = consequenceOf(farmOf(0, 0, 100), "n3", verb);
    assert.ok(lastServing, verb);
    if (verb !== "restart") assert.match(sentences[1], /nobody will serve them/);
  }
  assert.ok(consequenceOf(farmOf(0, 0, 100), "n3", "weight", 0).lastServing);
  assert.ok(!consequenceOf(farmOf(0, 0, 100), "n3", "weight", 1).lastServing);
  assert.ok(!consequenceOf(farmOf(0, 0, 100), "n1", "drain").lastServing);
  assert.ok(!consequenceOf(farmOf(0, 0, 100), "n3", "resume").lastServing);
});

Deno.test("a weight says the share before and after", () => {
  const { sentences } = consequenceOf(farmOf(100, 100, 200), "n1", "weight", 300);
  assert.equal(sentences[0], "n1 gets 50% of new clients in place of 25%.");
});

Deno.test("shares follow the weights, over all services", () => {
  const farm = farmOf(100, 100, 200);
  farm.members[0].weights.dns = 0;
  farm.members[0].shares.dns = 0;
  assert.deepEqual([...sharesWith(farm, "n3", 0)], [["n1", 0.25], ["n2", 0.75], ["n3", 0]]);
});
