/**
 * Real daemons on real kernels, killed, stopped, paused, drained: what clients see of it, and what goes over the wire.
 */

import assert from "node:assert/strict";
import type { Answer } from "../../src/lab/client_protocol.ts";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { errorKinds, outageSince } from "../../src/lab/spread.ts";
import { AnswerCaptures, Conversations, doublyAnswered, openers, type Segment } from "./farm_answers.ts";
import {
  eventsOf,
  ignore,
  ownership,
  portsWhere,
  processesOf,
  realtimeThreads,
  signalDaemon,
  spread,
} from "./farm_failure_support.ts";
import { http, startFarm, wallMs } from "./farm_support.ts";
import { startStreamServer, Streams } from "./streams.ts";

/** The acceptance limits. */
const KILL_TAKEOVER_MS = 700;
const STOP_TAKEOVER_MS = 100;
/**
 * What a loaded machine may add to a single takeover: processes that should answer wait for a processor. The median of
 * several must keep the limit itself.
 */
const LOADED_MS = 800;

Deno.test({ name: "SIGKILL of a node: the others answer for its share within 700 ms", ignore }, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const [client] = lab.clients;
  const address = client.station.ipv4;
  const ownerOf = await ownership(lab, address);
  const outages: number[] = [], told: number[] = [], silences: number[] = [];
  // The head start is for the client, too: what it has sent before the kill shows that the victim served.
  const probeEveryMs = 10, probes = 210, headStart = 50;
  let firstPort = 10_000;
  for (const victim of ["n3", "n2", "n1", "n3", "n2"]) {
    const ports = portsWhere(firstPort, probes, (port) => ownerOf(port) === victim);
    firstPort = ports.at(-1)! + 1;
    const survivors = lab.nodes.filter((node) => node.name !== victim);
    const probing = client.request({
      ...http(lab),
      count: probes,
      sources: ports.map((port) => ({ address, port })),
      everyMs: probeEveryMs,
      // Shorter than the kernel's first retransmission of a SYN (1 s): each attempt is one SYN.
      timeoutMs: 900,
    });
    await new Promise((resolve) => setTimeout(resolve, headStart * probeEveryMs));
    const killedMs = await lab.node(victim).killDaemon();
    for (const node of survivors) {
      const owner = await lab.waitFor(
        async () => {
          const { owner } = await node.explain(address, ports[0], "http");
          return owner !== victim && owner;
        },
        20_000,
        `${node.name} to name another owner than ${victim}`,
      );
      assert.ok(survivors.some(({ name }) => name === owner), `${node.name} names ${owner}`);
      const death = (await eventsOf(node)).findLast((event) =>
        event.kind === "member.dead" && event.node === victim
      );
      assert.ok(death, `${node.name} has no event of the death of ${victim}`);
      told.push(Date.parse(death.at) - killedMs);
      silences.push(Number(/not heard for (\d+) ms/.exec(death.message)?.[1]));
    }
    const answers = await probing;
    const outage = outageSince(answers, killedMs);
    assert.ok(outage.over, `nobody answers for ${victim}: ${errorKinds(answers)}`);
    const before = answers.filter((answer) => answer.startMs < killedMs - 100);
    assert.deepEqual(new Set(before.map((answer) => answer.node)), new Set([victim]));
    const last = answers.at(-1)!;
    assert.ok(
      last.node !== undefined && last.node !== victim,
      `${last.node ?? last.error} answered at the end`,
    );
    outages.push(outage.lengthMs);
    await lab.startNode(victim);
    await lab.waitForMembers(lab.nodes.map((node) => node.name));
  }
  console.log(`  from SIGKILL to the first answer by another node, ms: ${spread(outages)}`);
  console.log(`  from SIGKILL to the survivors' event, ms: ${spread(told)}`);
  console.log(`  silence that the survivors replaced after, ms: ${spread(silences)}`);
  // The membership thread measures this by its own monotonic clock, from the last heartbeat that it heard.
  for (const silence of silences) assert.ok(silence >= 500, `replaced after ${silence} ms of silence`);
  for (const values of [outages, told]) {
    const median = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
    assert.ok(median <= KILL_TAKEOVER_MS, `median ${median} ms, at most ${KILL_TAKEOVER_MS}`);
    const slowest = Math.max(...values);
    assert.ok(slowest <= KILL_TAKEOVER_MS + LOADED_MS, `slowest ${slowest} ms`);
  }
});

/**
 * Sends requests from every client without a pause while `during` runs; gives all answers. `during` may wait until so
 * many more were answered. Captures what the nodes answer: no SYN may have two answers.
 */
async function underRequests(
  lab: Lab,
  during: (answered: (count: number) => Promise<unknown>) => Promise<void>,
): Promise<Answer[]> {
  let over = false;
  const answers: Answer[] = [];
  const captures = await AnswerCaptures.start(lab);
  const sending = Promise.all(lab.clients.map(async (client) => {
    while (!over) {
      // The kernel may repeat a SYN twice in that time: an attempt that needs no more has not failed.
      answers.push(...await client.request({ ...http(lab), count: 100, concurrency: 50, timeoutMs: 8_000 }));
    }
  }));
  // It is waited for below.
  sending.catch(() => {});
  try {
    await during((count) => {
      const enough = answers.length + count;
      return lab.waitFor(() => answers.length >= enough, 30_000, `${count} more answers`);
    });
  } finally {
    over = true;
    await sending;
  }
  const segments = await captures.stop();
  console.log(`  ${answers.length} requests, ${errorKinds(answers) || "none failed"}; ${summary(segments)}`);
  console.log(`  each took ms: ${spread(answers.map((answer) => answer.durationMs))}`);
  assert.deepEqual(doublyAnswered(segments), []);
  return answers;
}

function summary(segments: readonly Segment[]): string {
  const count = (wanted: (segment: Segment) => boolean) => segments.filter(wanted).length;
  return `${count(({ syn }) => syn)} SYN-ACKs, ${count(({ rst }) => rst)} resets`;
}

async function assertNoFailure(lab: Lab, answers: readonly Answer[], what: string): Promise<void> {
  const failed = answers.filter((answer) => answer.error !== undefined);
  if (failed.length > 0) { for (const node of lab.nodes) console.log(`${node.name}:\n${await node.log()}`); }
  const some = failed.slice(0, 5).map(({ startMs, durationMs, port, error }) =>
    `${error} at ${new Date(startMs).toISOString()} from port ${port} after ${Math.round(durationMs)} ms`
  );
  assert.deepEqual(some, [], `${what}: ${errorKinds(failed)} of ${answers.length}`);
  assert.ok(answers.length >= 500, `only ${answers.length} requests`);
  const { size } = new Set(answers.map((answer) => answer.node));
  assert.equal(size, 3, "requests must have met every node");
}

Deno.test({ name: "clean stops: taken over within 100 ms, and no request fails", ignore }, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 4 });
  const [first, ...rest] = lab.nodes;
  const takeovers: number[] = [];
  const answers = await underRequests(lab, async () => {
    for (let cycle = 0; cycle < 5; cycle++) {
      const node = rest[cycle % rest.length];
      const others = lab.nodes.filter((other) => other !== node);
      const stoppedMs = wallMs();
      await node.stopDaemon();
      for (const other of others) {
        const left = (await eventsOf(other)).findLast((event) =>
          event.kind === "member.leaving" && event.node === node.name
        );
        assert.ok(left, `${other.name} was not told that ${node.name} leaves`);
        takeovers.push(Date.parse(left.at) - stoppedMs);
      }
      await lab.startNode(node.name);
      await lab.waitForMembers(lab.nodes.map((each) => each.name));
    }
    assert.ok(first.daemon?.running);
  });
  console.log(`  from SIGTERM to the survivors' event, ms: ${spread(takeovers)}`);
  const median = takeovers.toSorted((a, b) => a - b)[Math.floor(takeovers.length / 2)];
  await assertNoFailure(lab, answers, "clean stops");
  assert.ok(median <= STOP_TAKEOVER_MS, `median ${median} ms`);
  assert.ok(Math.max(...takeovers) <= STOP_TAKEOVER_MS + LOADED_MS, `slowest ${Math.max(...takeovers)} ms`);
});

Deno.test({ name: "drain, resume and weight, asked of any node: no request fails", ignore }, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 4 });
  const [n1, n2, n3] = lab.nodes;
  const answers = await underRequests(lab, async (answered) => {
    for (let cycle = 0; cycle < 3; cycle++) {
      for (const [asked, target] of [[n1, n2], [n2, n2], [n3, n1]]) {
        const path = `/api/v1/nodes/${target.name}`;
        await asked.api("POST", `${path}/drain`);
        await shareIs(lab, target, (share) => share === 0);
        await answered(100);
        await asked.api("POST", `${path}/resume`);
        await shareIs(lab, target, (share) => share > 0.3);
        await answered(100);
        await asked.api("PUT", `${path}/weight`, { weight: 25 });
        await shareIs(lab, target, (share) => share > 0 && share < 0.2);
        await answered(100);
        await asked.api("PUT", `${path}/weight`, { weight: 100 });
        await shareIs(lab, target, (share) => share > 0.3);
        await answered(100);
      }
    }
  });
  await assertNoFailure(lab, answers, "drain, resume and weight");
});

/** Waits until every running node sees that share of a member. */
async function shareIs(lab: Lab, target: LabNode, wanted: (share: number) => boolean): Promise<void> {
  for (const node of lab.nodes) {
    if (!node.daemon?.running) continue;
    await lab.waitFor(
      async () =>
        wanted((await node.farm()).members.find(({ name }) => name === target.name)?.shares.http ?? 0),
      10_000,
      `${node.name} to see another share of ${target.name}`,
    );
  }
}

Deno.test(
  { name: "open connections stay alive and whole while nodes join, drain and change weight", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 3, clients: 1 });
    const [n1, n2, n3] = lab.nodes;
    for (const { name } of lab.nodes) await startStreamServer(lab, name, LAB_PORTS.http);
    await Promise.all([lab.startNode(1), lab.startNode(2)]);
    await lab.waitForMembers(["n1", "n2"]);

    const perFamily = 40;
    const clients = [lab.virtualIps.ipv4[0], lab.virtualIps.ipv6[0]].map((address) =>
      new Streams(lab, "c1", { address, port: LAB_PORTS.http, count: perFamily, everyMs: 50, numbers: 256 })
    );
    const states = async () => (await Promise.all(clients.map((client) => client.states()))).flat();
    const progress = async (what: string) => {
      await Promise.all(clients.map((client) => client.goOn()));
      assert.deepEqual((await states()).filter(({ error }) => error !== undefined), [], what);
    };
    await progress("at first");
    await lab.startNode(3);
    await lab.waitForMembers(["n1", "n2", "n3"]);
    await progress("after a node joined");
    await n1.api("POST", "/api/v1/nodes/n2/drain");
    await shareIs(lab, n2, (share) => share === 0);
    await progress("while the node of half of them is drained");
    await n3.api("POST", "/api/v1/nodes/n1/drain");
    await shareIs(lab, n1, (share) => share === 0);
    await progress("while both of their nodes are drained");
    const retained = (await n3.farm()).members.filter(({ state }) => state === "draining").map(({ name }) =>
      name
    );
    assert.deepEqual(retained, ["n1", "n2"]);
    await n2.api("POST", "/api/v1/nodes/n1/resume");
    await shareIs(lab, n1, (share) => share > 0.4);
    await n2.api("POST", "/api/v1/nodes/n2/resume");
    await shareIs(lab, n2, (share) => share > 0.3);
    await n1.api("PUT", "/api/v1/nodes/n1/weight", { weight: 1 });
    await shareIs(lab, n1, (share) => share < 0.1);
    await progress("after the weight of a node was changed");
    await n3.stopDaemon();
    await progress("after a node left that had none of them");
    const all = await states();
    console.log(
      `  ${all.length} connections, ${
        all.reduce((sum, { received }) => sum + received, 0)
      } numbers there and back`,
    );
  },
);

/** For how long a node does not run: six times what the others wait for it. */
const PAUSE_MS = 3_000;

Deno.test({ name: "SIGSTOP of a daemon for 3 s: at no time do two nodes answer", ignore }, async () => {
  await withPausedNode(async (node) => {
    await signalDaemon(node, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await signalDaemon(node, "SIGCONT");
  });
});

Deno.test({
  name: "a membership thread that hangs for 3 s while the packet thread runs: at no time do two nodes answer",
  ignore,
}, async () => {
  await withPausedNode(async (node) => {
    const threads = await realtimeThreads(await processesOf(node.daemon!.pid));
    assert.equal(
      threads.length,
      1,
      "the membership thread is known by its real-time priority, which takes CAP_SYS_NICE",
    );
    const program = new URL("./farm_failure_pause.ts", import.meta.url).pathname;
    const argv = [Deno.execPath(), "run", "-A", "--quiet", program, String(threads[0]), String(PAUSE_MS)];
    await node.namespace.run(argv);
  });
});

/** A farm under steady new connections, one node of which is held still by `pause`; then holds the captures to the rules. */
async function withPausedNode(pause: (node: LabNode) => Promise<void>): Promise<void> {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const [client] = lab.clients;
  const address = client.station.ipv4;
  const paused = lab.node(3);
  const captures = await AnswerCaptures.start(lab);
  const conversations = await Conversations.start(lab, client);
  const count = 2_000, everyMs = 4;
  const sources = Array.from({ length: count }, (_, i) => ({ address, port: 20_000 + i }));
  const connecting = client.request({ ...http(lab), count, sources, everyMs, timeoutMs: 2_500 });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const pausedMs = wallMs();
  await pause(paused);
  const answers = await connecting;
  await lab.waitForMembers(lab.nodes.map((node) => node.name));
  const segments = await captures.stop();
  const told = await conversations.stop();
  for (const other of lab.nodes.filter((node) => node !== paused)) {
    const kinds = (await eventsOf(other)).filter(({ node }) => node === paused.name).map(({ kind }) => kind);
    assert.ok(kinds.includes("member.dead"), `${other.name} has not replaced the paused node: ${kinds}`);
  }

  const synAcks = segments.filter(({ syn }) => syn);
  const resets = segments.filter(({ rst }) => rst);
  const outage = outageSince(answers, pausedMs);
  console.log(
    `  ${count} connections, ${synAcks.length} SYN-ACKs, ${resets.length} resets of the paused node's connections, ` +
      `${outage.failed} failed (${errorKinds(answers)})`,
  );
  assert.deepEqual(doublyAnswered(segments), []);
  const openedBy = openers(segments);
  // A segment that waits in a ring is overtaken where its bucket turns to the fast path meanwhile (src/README.md): seen is an
  // acknowledgement that came 27 ms late on a busy machine, when all was said. The kernel of that connection then resets what is over.
  const isOver = ({ clientPort, node }: Segment) =>
    openedBy.get(clientPort) === node && answers[clientPort - sources[0].port].node === node;
  const stray = resets.filter((reset) => openedBy.get(reset.clientPort) !== paused.name && !isOver(reset))
    .map((reset) => ({
      ...reset,
      openedBy: openedBy.get(reset.clientPort),
      answer: answers[reset.clientPort - sources[0].port],
      conversation: told(reset.clientPort),
    }));
  assert.deepEqual(stray, [], "resets of connections that were opened on survivors");
  assert.ok(outage.over);
  // The share of one node in three, for half a second, and what it had open: 4 ms apart.
  assert.ok(outage.failed < count / 4, `${outage.failed} attempts failed`);
}
