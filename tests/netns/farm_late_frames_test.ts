/**
 * A packet thread comes late to frames that it captured while its node was silent. Others have taken over meanwhile and
 * answered them, so the node must not, though it claims these buckets again by then.
 */

import assert from "node:assert/strict";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { AnswerCaptures, doublyAnswered } from "./farm_answers.ts";
import { eventsOf, ignore, ownership, portsWhere, waitForDeath } from "./farm_failure_support.ts";
import { http, startFarm, wallMs } from "./farm_support.ts";
import { packetThread, Tracer } from "./ops_threads.ts";

/** Between a takeover and the moment when the silent node joins anew, the cut has to end: two intervals. */
const INTERVAL_MS = 300;
/** On a busy machine the cut may end too late, and the node joins anew; then it is tried again. */
const TRIES_MAX = 10;
const CONNECTIONS = 60;
const TIMEOUT_MS = 20_000;

Deno.test(
  { name: "frames that waited while their node was silent are not answered a second time", ignore },
  async () => {
    await using lab = await startFarm({
      nodes: 3,
      clients: 1,
      config: { heartbeat: { interval: `${INTERVAL_MS}ms` } },
    });
    const captures = await AnswerCaptures.start(lab);
    for (let tries = 1; !await resumesWithFramesWaiting(lab, lab.node(1), 20_000 + 1_000 * tries); tries++) {
      assert.ok(tries < TRIES_MAX, "the cut never ended between the takeover and the joining anew");
    }
    const segments = await captures.stop();
    assert.ok(segments.some(({ syn, node }) => syn && node === "n1"), "n1 answers");
    assert.deepEqual(doublyAnswered(segments), []);
  },
);

/**
 * The others do not hear the node and replace it; clients connect whose buckets are its own; the others hear it again. All
 * that while its packet thread stands still. Whether the node took up its claims again, and did not join anew.
 */
async function resumesWithFramesWaiting(lab: Lab, node: LabNode, firstPort: number): Promise<boolean> {
  const others = lab.nodes.filter((other) => other !== node);
  const [client] = lab.clients;
  const { ipv4: address } = client.station;
  const ownerOf = await ownership(lab, address);
  const sources = portsWhere(firstPort, CONNECTIONS, (port) => ownerOf(port) === node.name)
    .map((port) => ({ address, port }));
  const tracer = await Tracer.start(lab, node, await packetThread(node));
  const fromMs = wallMs();
  const told = async () => (await eventsOf(node, fromMs)).map(({ kind }) => kind);
  for (const { name } of others) await lab.cutBetween(node.name, name);
  await lab.waitFor(
    async () => (await told()).includes("self.silent"),
    TIMEOUT_MS,
    `${node.name} to be silent`,
  );
  await tracer.hold();
  await waitForDeath(lab, node.name);
  const answers = await client.request({
    ...http(lab),
    count: CONNECTIONS,
    concurrency: CONNECTIONS,
    sources,
  });
  assert.deepEqual(answers.filter(({ error }) => error !== undefined), [], "the others answer all");
  await lab.heal();
  await lab.waitFor(
    async () => (await told()).some((kind) => ["self.listed", "self.rejoining"].includes(kind)),
    TIMEOUT_MS,
    `${node.name} to be heard again, or to join anew`,
  );
  const resumed = !(await told()).includes("self.rejoining");
  await tracer.release();
  await lab.waitForMembers(lab.nodes.map(({ name }) => name), TIMEOUT_MS);
  // New frames wait behind those of before.
  await lab.waitFor(
    async () =>
      (await client.request({ ...http(lab), count: CONNECTIONS })).some((answer) =>
        answer.node === node.name
      ),
    TIMEOUT_MS,
    `${node.name} to answer again`,
  );
  return resumed;
}
