/** How long new connections have no answer when a node, or only its daemon, is killed. */

import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { errorKinds, outageSince } from "../../src/lab/spread.ts";
import { ownership, portsWhere, quantile, spread } from "../netns/farm_failure_support.ts";
import { http, startFarm, wallMs } from "../netns/farm_support.ts";
import { workerOf } from "../netns/ops_threads.ts";
import { type Outcome, pick, random, type Story, type StoryRun } from "./story.ts";

/** Client ports that are gone through; the same port comes again after some minutes. */
const PORTS = { first: 10_000, last: 60_000 };
/** Shorter than the kernel's first retransmission of a SYN (1 s): each attempt is one SYN. */
const TIMEOUT_MS = 900;
/** Attempts before the kill, which show that the victim serves. */
const HEAD_START = 20;
/** A node that crashed within its hold is another story. */
const HOLD_MS = 5_500;

interface Kind {
  readonly name: string;
  readonly claim: string;
  readonly times: number;
  /** Of the farm file. */
  readonly interval: string;
  /** Between two attempts, and how many. */
  readonly everyMs: number;
  readonly attempts: number;
  readonly p99MsMax: number;
  /** Kills; gives the moment. */
  kill(node: LabNode): Promise<number>;
  /** Brings the node back. */
  revive(lab: Lab, node: LabNode, killedMs: number): Promise<void>;
}

async function killNode(node: LabNode): Promise<number> {
  return await node.killDaemon();
}

async function restartNode(lab: Lab, node: LabNode): Promise<void> {
  await lab.startNode(node.name);
}

async function run(kind: Kind, { times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await startFarm({
    nodes: 3,
    clients: 1,
    config: { heartbeat: { interval: kind.interval } },
  });
  const [client] = lab.clients;
  const address = client.station.ipv4;
  const ownerOf = await ownership(lab, address);
  const names = lab.nodes.map(({ name }) => name);
  const gaps: number[] = [], failures: string[] = [];
  let port = PORTS.first;
  for (let kill = 0; kill < times; kill++) {
    const victim = pick(lab.nodes, chance);
    if (port > PORTS.last) port = PORTS.first;
    const ports = portsWhere(port, kind.attempts, (each) => ownerOf(each) === victim.name);
    port = ports.at(-1)! + 1;
    const probing = client.request({
      ...http(lab),
      count: kind.attempts,
      sources: ports.map((each) => ({ address, port: each })),
      everyMs: kind.everyMs,
      timeoutMs: TIMEOUT_MS,
    });
    await new Promise((resolve) => setTimeout(resolve, HEAD_START * kind.everyMs));
    const killedMs = await kind.kill(victim);
    const answers = await probing;
    const outage = outageSince(answers, killedMs);
    const before = answers.filter(({ startMs, durationMs }) => startMs + durationMs < killedMs);
    if (!before.every(({ node }) => node === victim.name)) {
      failures.push(`kill ${kill + 1}: ${victim.name} did not serve alone before: ${errorKinds(before)}`);
    }
    if (outage.over) gaps.push(outage.lengthMs);
    else failures.push(`kill ${kill + 1}: nobody answered for ${victim.name}: ${errorKinds(answers)}`);
    await kind.revive(lab, victim, killedMs);
    await lab.waitForMembers(names, 60_000);
    if (kill % 10 === 9) progress(`${kill + 1} kills, gaps in ms: ${spread(gaps)}`);
  }
  const p99 = gaps.length === 0 ? Infinity : quantile(gaps, 0.99);
  if (p99 > kind.p99MsMax) failures.push(`p99 ${p99.toFixed(0)} ms, at most ${kind.p99MsMax}`);
  return { figures: [`from the kill to the first answer by another node, ms: ${spread(gaps)}`], failures };
}

const kinds: Kind[] = [
  {
    name: "kills",
    claim: "200 nodes killed, one after the other, at default settings: others answer within 600 ms (p99)",
    times: 200,
    interval: "100ms",
    everyMs: 10,
    attempts: 140,
    p99MsMax: 600,
    kill: killNode,
    revive: restartNode,
  },
  {
    name: "kills-fast",
    claim:
      "200 nodes killed, one after the other, with heartbeats every 20 ms: others answer within 150 ms (p99)",
    times: 200,
    interval: "20ms",
    everyMs: 5,
    attempts: 120,
    p99MsMax: 150,
    kill: killNode,
    revive: restartNode,
  },
  {
    name: "crashes",
    claim:
      "only the daemon of a node dies, 50 times: its supervisor says goodbye, others answer within 100 ms (p99)",
    times: 50,
    interval: "100ms",
    everyMs: 5,
    attempts: 120,
    p99MsMax: 100,
    kill(node) {
      const atMs = wallMs();
      Deno.kill(workerOf(node), "SIGKILL");
      return Promise.resolve(atMs);
    },
    async revive(_lab, _node, killedMs) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, killedMs + HOLD_MS - wallMs())));
    },
  },
];

/** Nodes and daemons that die. */
export const kills: readonly Story[] = kinds.map((kind) => ({
  name: kind.name,
  claim: kind.claim,
  times: kind.times,
  run: (storyRun) => run(kind, storyRun),
}));
