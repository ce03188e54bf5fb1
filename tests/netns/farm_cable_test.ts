/** A node whose own cable is pulled: the kernel still takes what it sends, but nobody hears it, and no client reaches it. */

import assert from "node:assert/strict";
import { AnswerCaptures, doublyAnswered } from "./farm_answers.ts";
import { ignore } from "./farm_failure_support.ts";
import { http, startFarm } from "./farm_support.ts";

/** A loaded machine gets its time. */
const REACTION_MS = 30_000;
/** In each, the moment at which the cable is back is another one of the interval. */
const PULLS = 5;

interface Seen {
  readonly members: ReadonlyArray<{ readonly name: string; readonly state: string }>;
  readonly warnings: ReadonlyArray<{ readonly kind: string; readonly message: string }>;
}

Deno.test({
  name: "a node whose cable is out serves nobody, says why, and answers nothing twice when the cable is back",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const [n1, n2] = lab.nodes;
  const states = async (node: typeof n1) => {
    const { members } = await node.api<Seen>("GET", "/api/v1/farm");
    return members.map(({ state }) => state).join();
  };
  const captures = await AnswerCaptures.start(lab);
  let over = false;
  const sending = (async () => {
    while (!over) await lab.clients[0].request({ ...http(lab), count: 100, everyMs: 3, timeoutMs: 300 });
  })();
  sending.catch(() => {}); // it is waited for below
  try {
    for (let pull = 0; pull < PULLS; pull++) {
      await lab.run("bridge", ["ip", "link", "set", "n2", "down"]);
      await lab.waitFor(
        async () => {
          const { warnings } = await n2.api<Seen>("GET", "/api/v1/farm");
          const told = warnings.find(({ kind }) => kind === "heartbeat.network_down");
          return (await n2.ask("GET", "/readyz")).status === 503 &&
            /cannot be sent on eth0 .*serves nobody/.test(told?.message ?? "");
        },
        REACTION_MS,
        "n2 to step back, and to say why",
      );
      await lab.waitFor(async () => await states(n1) === "up,dead,up", REACTION_MS, "n1 to have replaced n2");
      await lab.run("bridge", ["ip", "link", "set", "n2", "up"]);
      for (const node of [n1, n2]) {
        await lab.waitFor(async () => await states(node) === "up,up,up", REACTION_MS, "n2 to be back");
      }
    }
  } finally {
    over = true;
    await sending;
  }
  const segments = await captures.stop();
  assert.deepEqual(doublyAnswered(segments), []);
  const answers = segments.filter(({ syn }) => syn).length;
  assert.ok(answers > PULLS * 100, `${answers} were answered`);
});
