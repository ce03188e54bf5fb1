/** A program that is replaced, or dies and comes back, under a thousand connections and new ones. */

import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { eventsOf, spread } from "../netns/farm_failure_support.ts";
import { bringUp } from "../netns/farm_support.ts";
import { workerOf } from "../netns/ops_threads.ts";
import { startStreamServer, Streams } from "../netns/streams.ts";
import { type Outcome, pick, random, SteadyRequests, type Story, type StoryRun } from "./story.ts";

const CONNECTIONS = 1_000;
const STREAM_PORT = 8090;
const WRITE_EVERY_MS = 500;
/** The hold of a crashed program, and a little. */
const HOLD_MS = 5_500;

interface Kind {
  readonly name: string;
  readonly claim: string;
  readonly times: number;
  /** Whether new connections may be lost: those of the node while nobody knows yet. */
  readonly attemptsMayFail: boolean;
  /** The longest that a stream may stand still. */
  readonly stallMsMax: number;
  /** Does it, and waits until it is over. */
  happen(lab: Lab, node: LabNode): Promise<void>;
}

async function run(kind: Kind, { times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await Lab.create({
    nodes: 3,
    clients: 2,
    config: {
      services: [
        { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
        { name: "stream", protocol: "tcp", ports: [STREAM_PORT] },
      ],
    },
  });
  for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
  await bringUp(lab);
  const resets = await lab.capture(
    "c1",
    "eth0",
    `tcp port ${STREAM_PORT} and tcp[tcpflags] & tcp-rst != 0`,
    128,
  );
  const streams = new Streams(lab, "c1", {
    address: lab.virtualIps.ipv4[0],
    port: STREAM_PORT,
    count: CONNECTIONS,
    everyMs: WRITE_EVERY_MS,
    numbers: 32,
  });
  await streams.goOn();
  await streams.states();
  const requests = new SteadyRequests(lab, 100, 5_000);
  const stalls: number[] = [];
  for (let i = 0; i < times; i++) {
    await kind.happen(lab, pick(lab.nodes, chance));
    await lab.waitForMembers(lab.nodes.map(({ name }) => name), 60_000);
    await streams.goOn();
    const states = await streams.states();
    stalls.push(Math.max(...states.map(({ slowestMs }) => slowestMs)));
    progress(`${i + 1} times, slowest stream of each, ms: ${spread(stalls)}`);
  }
  const answers = await requests.stop();
  await resets.stop();
  const broken = (await streams.states()).filter(({ error }) => error !== undefined);
  const failed = answers.filter(({ error }) => error !== undefined);
  const resetCount = (await resets.lines()).length;
  const failures = broken.slice(0, 5).map(({ port, error }) => `stream of port ${port}: ${error}`);
  if (resetCount > 0) failures.push(`${resetCount} resets of streams`);
  const stalled = stalls.filter((ms) => ms > kind.stallMsMax);
  if (stalled.length > 0) failures.push(`a stream stood still for ${Math.max(...stalled).toFixed(0)} ms`);
  if (failed.length > 0 && !kind.attemptsMayFail) failures.push(`${failed.length} new connections failed`);
  return {
    figures: [
      `${times} times, ${CONNECTIONS} streams, ${broken.length} broken, ${resetCount} resets; slowest stream of each, ` +
      `ms: ${spread(stalls)}; ${answers.length} new connections, ${failed.length} failed, ms: ` +
      spread(answers.map(({ durationMs }) => durationMs)),
    ],
    failures,
  };
}

async function replaced(node: LabNode): Promise<number> {
  return (await eventsOf(node)).filter(({ kind }) => kind === "program.replaced").length;
}

const kinds: Kind[] = [
  {
    name: "replacements",
    claim:
      "the program of a node is replaced (SIGUSR2) 20 times under 1,000 streams and 200 new connections a second: " +
      "no reset, no failed attempt, no stall above one second",
    times: 20,
    attemptsMayFail: false,
    stallMsMax: 1_000,
    async happen(lab, node) {
      const former = workerOf(node);
      Deno.kill(node.daemon!.pid, "SIGUSR2");
      // The new program's list of events begins with its own.
      await lab.waitFor(
        async () => workerOf(node) !== former && await replaced(node) > 0,
        90_000,
        `the program of ${node.name} to be replaced`,
      );
    },
  },
  {
    name: "crashes-of-holders",
    claim:
      "the daemon of a node dies 20 times under 1,000 streams: none breaks, and all go on within the hold of 5 s",
    times: 20,
    attemptsMayFail: true,
    // A program starts in a second, and TCP repeats what was lost meanwhile at growing distances.
    stallMsMax: 5_000,
    async happen(_lab, node) {
      Deno.kill(workerOf(node), "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS));
    },
  },
];

/** Programs replaced and killed while they hold connections. */
export const replacements: readonly Story[] = kinds.map((kind) => ({
  name: kind.name,
  claim: kind.claim,
  times: kind.times,
  run: (storyRun) => run(kind, storyRun),
}));
