/** Two real nodes that do not hear each other, while a third hears both: clients reach all three. */

import assert from "node:assert/strict";
import { errorKinds } from "../../src/lab/spread.ts";
import { AnswerCaptures, doublyAnswered } from "./farm_answers.ts";
import { hasEvent, ignore } from "./farm_failure_support.ts";
import { http, startFarm } from "./farm_support.ts";

const REACTION_MS = 20_000;

Deno.test(
  { name: "n1 and n3 do not hear each other, n2 hears both: each client has one answer", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 3, clients: 1 });
    const [client] = lab.clients;
    const [n1, , n3] = lab.nodes;
    const member = async (node: typeof n1, name: string) =>
      (await node.farm()).members.find((each) => each.name === name);
    const captures = await AnswerCaptures.start(lab);
    const [answers] = await Promise.all([
      client.request({ ...http(lab), count: 2_000, everyMs: 2, timeoutMs: 8_000 }),
      (async () => {
        await lab.cutPair("n1", "n3");
        for (const node of [n1, n3]) {
          await lab.waitFor(hasEvent(node, "member.unheard"), REACTION_MS, `${node.name} to tell of the cut`);
        }
      })(),
    ]);
    assert.equal(errorKinds(answers), "");
    assert.deepEqual(new Set(answers.map(({ node }) => node)), new Set(["n1", "n2", "n3"]));
    assert.match((await member(n1, "n3"))?.reason ?? "", /is not heard by this node, but n2 hears it/);

    // What one of the two changes the other cannot hear: it joins anew, and the others take its share.
    await n3.api("POST", "/api/v1/nodes/n3/drain");
    await lab.waitFor(
      async () =>
        (await member(n1, "n3"))?.state === "dead" &&
        /n2 hears n1, which this node does not hear/.test((await member(n3, "n3"))?.reason ?? ""),
      REACTION_MS,
      "n3 to step back",
    );
    const without = await client.request({ ...http(lab), count: 200 });
    assert.equal(errorKinds(without), "");
    assert.deepEqual(new Set(without.map(({ node }) => node)), new Set(["n1", "n2"]));

    await lab.heal();
    await n3.api("POST", "/api/v1/nodes/n3/resume");
    await lab.waitForMembers(["n1", "n2", "n3"]);
    const whole = await client.request({ ...http(lab), count: 200 });
    assert.equal(errorKinds(whole), "");
    assert.deepEqual(new Set(whole.map(({ node }) => node)), new Set(["n1", "n2", "n3"]));
    assert.deepEqual(doublyAnswered(await captures.stop()), []);
  },
);
