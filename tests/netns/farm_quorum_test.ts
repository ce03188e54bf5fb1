/** Full cuts of real farms that ask for a quorum, with clients on both sides. */

import assert from "node:assert/strict";
import type { Lab } from "../../src/lab/lab.ts";
import { AnswerCaptures, doublyAnswered, failedBeyond } from "./farm_answers.ts";
import { eventsOf, ignore, metric } from "./farm_failure_support.ts";
import { http, startFarm } from "./farm_support.ts";

/** Suspecting and replacing take half a second; a loaded machine gets its time. */
const REACTION_MS = 20_000;

/** Waits until the node says that it has no quorum, and takes no new flows. */
function withoutQuorum(lab: Lab, name: string): Promise<boolean> {
  return lab.waitFor(
    async () => {
      const self = (await lab.node(name).farm()).members.find((member) => member.self);
      const { status } = await lab.node(name).ask("GET", "/readyz");
      return status === 503 && /has no quorum/.test(self?.reason ?? "");
    },
    REACTION_MS,
    `${name} to miss its quorum`,
  );
}

function withQuorum(lab: Lab, name: string): Promise<boolean> {
  return lab.waitFor(
    async () => (await lab.node(name).ask("GET", "/readyz")).status === 200,
    REACTION_MS,
    `${name} to serve`,
  );
}

/** Waits until n1 has replaced the node. */
function replaced(lab: Lab, name: string): Promise<boolean> {
  return lab.waitFor(
    async () => (await lab.node(1).farm()).members.find((member) => member.name === name)?.state === "dead",
    REACTION_MS,
    `n1 to replace ${name}`,
  );
}

/** The cable between two groups of stations. */
async function cutApart(lab: Lab, side: readonly string[], other: readonly string[]): Promise<void> {
  for (const a of side) for (const b of other) await lab.cutPair(a, b);
}

// Of a cut that comes link by link, n1 misses n3 long before n2 does: as long as n2 hears both, n3 has a majority.
for (const [how, betweenMs] of [["at once", 0], ["link by link", 350]] as const) {
  Deno.test(
    { name: `quorum: majority: cut off alone ${how}, n3 stops before the others answer for it`, ignore },
    async () => {
      await using lab = await startFarm({
        nodes: 3,
        clients: 1,
        config: { nodes: { n1: {}, n2: {}, n3: {} }, quorum: "majority" },
      });
      const captures = await AnswerCaptures.start(lab);
      const [answers] = await Promise.all([
        lab.clients[0].request({ ...http(lab), count: 2_000, everyMs: 2, timeoutMs: 8_000 }),
        (async () => {
          // The client reaches all three: without a quorum both farms would answer it.
          await lab.cutPair("n3", "n1");
          await new Promise((resolve) => setTimeout(resolve, betweenMs));
          await lab.cutPair("n3", "n2");
          await Promise.all([withoutQuorum(lab, "n3"), replaced(lab, "n3")]);
        })(),
      ]);
      assert.ok((await eventsOf(lab.node(3))).some(({ kind }) => kind === "self.no_quorum"));
      await lab.heal();
      await withQuorum(lab, "n3");
      const segments = await captures.stop();
      assert.deepEqual(doublyAnswered(segments), []);
      assert.deepEqual(failedBeyond("n3", answers, segments), []);
    },
  );
}

Deno.test({ name: "quorum: majority: the only one left of three serves nobody", ignore }, async () => {
  await using lab = await startFarm({
    nodes: 3,
    clients: 1,
    config: { nodes: { n1: {}, n2: {}, n3: {} }, quorum: "majority" },
  });
  await Promise.all([lab.node(2).killDaemon(), lab.node(3).killDaemon()]);
  await withoutQuorum(lab, "n1");
  await lab.startNode(2, { wait: false });
  await Promise.all([withQuorum(lab, "n1"), withQuorum(lab, "n2")]);
});

for (const witness of ["10.86.70.101", "fd86:70::101"]) {
  Deno.test(
    { name: `quorum: witness ${witness}: of two nodes the one that reaches it serves`, ignore },
    async () => {
      await using lab = await startFarm({
        nodes: 2,
        clients: 1,
        config: { nodes: { n1: {}, n2: {} }, quorum: { witness } },
      });
      await cutApart(lab, ["n2"], ["n1", "c1"]);
      await Promise.all([withoutQuorum(lab, "n2"), withQuorum(lab, "n1")]);
      await replaced(lab, "n2");
      const answers = await lab.clients[0].request({ ...http(lab), count: 40 });
      assert.deepEqual(new Set(answers.map(({ node, error }) => node ?? error)), new Set(["n1"]));
      await lab.heal();
      await withQuorum(lab, "n2");
      // With both nodes in contact nobody needs the witness.
      await cutApart(lab, ["c1"], ["n1", "n2"]);
      const sent = (name: string) => metric(lab.node(name), "vipfarm_heartbeats_sent_total");
      const losses = async (name: string) =>
        (await eventsOf(lab.node(name))).filter(({ kind }) => kind === "self.no_quorum").length;
      for (const name of ["n1", "n2"]) {
        const before = { sent: await sent(name), losses: await losses(name) };
        await lab.waitFor(
          async () => await sent(name) >= before.sent + 20,
          REACTION_MS,
          `${name} to send on`,
        );
        assert.equal(await losses(name), before.losses);
        await withQuorum(lab, name);
      }
    },
  );
}
