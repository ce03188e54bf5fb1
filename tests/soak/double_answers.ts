/** Pauses and cuts: whatever happens to the nodes, no SYN is answered by two. Counted from captures on all nodes. */

import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { AnswerCaptures } from "../netns/farm_answers.ts";
import { signalDaemon } from "../netns/farm_failure_support.ts";
import { bringUp } from "../netns/farm_support.ts";
import { addSecondNetwork, cutNodesApart } from "../netns/second_network.ts";
import {
  judgeAnswers,
  type Outcome,
  pick,
  random,
  SteadyRequests,
  type Story,
  type StoryRun,
} from "./story.ts";

const PER_SECOND = 150;
/** Given up before TCP's second repetition: what is not answered, is not the question here. */
const TIMEOUT_MS = 2_500;
const REJOIN_MS_MAX = 60_000;

/** Does something that hurts, for a while, and undoes it. */
type Trouble = (lab: Lab, chance: () => number) => Promise<void>;

const between = (chance: () => number, minMs: number, maxMs: number) => minMs + chance() * (maxMs - minMs);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function run(trouble: Trouble, { times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await Lab.create({
    nodes: 3,
    clients: 1,
    config: {
      heartbeat: { interfaces: ["eth0", "eth1"] },
      services: [{ name: "http", protocol: "tcp", ports: [LAB_PORTS.http] }],
    },
  });
  await addSecondNetwork(lab);
  await bringUp(lab);
  const names = lab.nodes.map(({ name }) => name);
  const captures = await AnswerCaptures.start(lab);
  const requests = new SteadyRequests(lab, PER_SECOND, TIMEOUT_MS);
  for (let i = 0; i < times; i++) {
    await trouble(lab, chance);
    // Now and then the next trouble meets a farm that has not settled.
    if (chance() < 0.7) await lab.waitForMembers(names, REJOIN_MS_MAX);
    if (i % 10 === 9) progress(`${i + 1} times, ${requests.answers.length} requests`);
  }
  await lab.waitForMembers(names, REJOIN_MS_MAX);
  const answers = await requests.stop();
  const { figures, failures } = judgeAnswers(await captures.stop());
  const answered = answers.filter(({ node }) => node !== undefined).length;
  return {
    figures: [`${times} times, ${answers.length} new connections, ${answered} answered`, ...figures],
    failures: answered === 0 ? ["nothing was answered", ...failures] : failures,
  };
}

async function pause(lab: Lab, chance: () => number): Promise<void> {
  const node = pick(lab.nodes, chance);
  await signalDaemon(node, "SIGSTOP");
  await sleep(between(chance, 200, 5_000));
  await signalDaemon(node, "SIGCONT");
}

/** One direction only, on both networks: from one node to another, to all, or from all. */
async function cutOneWay(lab: Lab, chance: () => number): Promise<void> {
  const [from, to] = twoOf(lab.nodes, chance);
  const kind = pick(["between", "out", "in"] as const, chance);
  for (const suffix of ["", "b"]) {
    if (kind === "between") await lab.cutBetween(`${from.name}${suffix}`, `${to.name}${suffix}`);
    else await lab.cut(`${from.name}${suffix}`, kind);
  }
  await sleep(between(chance, 200, 3_000));
  await lab.heal();
}

/** Both directions between all nodes on one network, and short; the other network stays whole, and clients reach all. */
async function cutOneNetwork(lab: Lab, chance: () => number): Promise<void> {
  await cutNodesApart(lab, pick(["", "b"] as const, chance));
  await sleep(between(chance, 200, 2_000));
  await lab.heal();
}

function twoOf(nodes: readonly LabNode[], chance: () => number): [LabNode, LabNode] {
  const first = pick(nodes, chance);
  return [first, pick(nodes.filter((node) => node !== first), chance)];
}

/** Troubles after which no SYN may have two answers. */
export const doubleAnswers: readonly Story[] = [
  {
    name: "pauses",
    claim: "100 pauses of a daemon (SIGSTOP for 0.2 to 5 s): no SYN is answered twice",
    times: 100,
    run: (storyRun) => run(pause, storyRun),
  },
  {
    name: "one-way-cuts",
    claim: "100 cuts in one direction, between two nodes or around one: no SYN is answered twice",
    times: 100,
    run: (storyRun) => run(cutOneWay, storyRun),
  },
  {
    name: "network-cuts",
    claim: "100 cuts of one of two heartbeat networks, both ways: no SYN is answered twice",
    times: 100,
    run: (storyRun) => run(cutOneNetwork, storyRun),
  },
];
