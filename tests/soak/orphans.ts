/** What clients learn whose node was killed: a reset, as soon as another node has its flows. */

import { Lab } from "../../src/lab/lab.ts";
import { spread } from "../netns/farm_failure_support.ts";
import { startStreamServer, Streams } from "../netns/streams.ts";
import { type Outcome, pick, random, type Story, type StoryRun } from "./story.ts";

const CONNECTIONS = 300;
const STREAM_PORT = 8090;
/** A client learns of a reset when it sends. */
const WRITE_EVERY_MS = 50;
/** Takeover at default settings, and one write. */
const LEARNED_MS_MAX = 700 + WRITE_EVERY_MS;
/** TCP sends again after 200 ms, 400 ms, …: what was lost during the takeover comes by the second of these. */
const RETRANSMISSION_MS = 600;

async function run({ times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await Lab.create({
    nodes: 3,
    clients: 1,
    config: { services: [{ name: "stream", protocol: "tcp", ports: [STREAM_PORT] }] },
  });
  for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
  await lab.startNodes();
  const names = lab.nodes.map(({ name }) => name);
  const learned: number[] = [], failures: string[] = [];
  let silent = 0;
  for (let kill = 0; kill < times; kill++) {
    const streams = new Streams(lab, "c1", {
      address: lab.virtualIps.ipv4[0],
      port: STREAM_PORT,
      count: CONNECTIONS,
      everyMs: WRITE_EVERY_MS,
      numbers: 16,
    });
    await streams.goOn();
    const victim = pick(lab.nodes, chance);
    const theirs = new Set(
      (await lab.run(victim.name, ["ss", "-Htn", "state", "established", `sport = :${STREAM_PORT}`]))
        .trim().split("\n").map((line) => Number(/:(\d+)\s*$/.exec(line.trim())?.[1])),
    );
    const killedMs = await victim.killDaemon();
    await lab.waitFor(
      async () =>
        (await streams.states()).every(({ port, error }) => !theirs.has(port) || error !== undefined),
      20_000,
      `the connections of ${victim.name} to end`,
    ).catch(() => undefined);
    for (const { port, error, brokenAtMs } of await streams.states()) {
      if (!theirs.has(port)) {
        if (error !== undefined) failures.push(`a survivor's connection broke: ${error}`);
      } else if (brokenAtMs === undefined) silent++;
      else if (!/ECONNRESET|EPIPE/.test(error ?? "")) failures.push(`ended by ${error}`);
      else learned.push(brokenAtMs - killedMs);
    }
    await streams.close();
    await lab.startNode(victim.name);
    await lab.waitForMembers(names, 60_000);
    progress(`${kill + 1} kills, resets after ms: ${spread(learned)}`);
  }
  if (learned.length === 0) failures.push("no client learned anything: nothing was tried");
  if (silent > 0) failures.push(`${silent} connections heard nothing within 20 s`);
  const late = learned.filter((ms) => ms > LEARNED_MS_MAX + RETRANSMISSION_MS).length;
  if (late > 0) failures.push(`${late} learned it later than ${LEARNED_MS_MAX + RETRANSMISSION_MS} ms`);
  const inTime = learned.filter((ms) => ms <= LEARNED_MS_MAX).length;
  if (inTime < 0.99 * learned.length) {
    failures.push(`only ${inTime} of ${learned.length} within ${LEARNED_MS_MAX} ms`);
  }
  return {
    figures: [
      `from the kill to the client's error, ms: ${spread(learned)}; ` +
      `${
        (inTime / learned.length * 100).toFixed(1)
      } % within ${LEARNED_MS_MAX} ms, the rest with TCP's next repetition`,
    ],
    failures: failures.slice(0, 10),
  };
}

export const orphans: Story = {
  name: "orphans",
  claim: "clients of a killed node learn it by a reset within the takeover time",
  times: 20,
  run,
};
