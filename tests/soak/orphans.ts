/**
 * What clients learn whose node was killed: a reset, to the first packet that they send once another node has their flows.
 * When they send it is up to their TCP.
 */

import { Lab } from "../../src/lab/lab.ts";
import { eventsOf, spread } from "../netns/farm_failure_support.ts";
import { RST, type SeenFrame, TCP } from "../netns/farm_frames.ts";
import { Tap } from "../netns/farm_tap.ts";
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
/** A client's TCP waits for longer than this between two repetitions by then (200 ms, doubled each time: RFC 6298). */
const ANSWERED_MS_MAX = 300;
/** How many must meet a reset at once: a packet may have been under way while the claims were written. */
const AT_ONCE = 0.99;

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
  let silent = 0, atOnce = 0;
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
    const tap = await Tap.start(lab, "c1", "eth0", `tcp port ${STREAM_PORT}`);
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
    const deaths = await Promise.all(
      lab.nodes.filter((node) => node !== victim).map(async (node) =>
        (await eventsOf(node, killedMs)).find(({ kind }) => kind === "member.dead")?.at ?? ""
      ),
    );
    if (deaths.includes("")) failures.push("a survivor does not know of the death");
    atOnce += answeredAtOnce(await tap.stop(), theirs, Math.max(...deaths.map((at) => Date.parse(at))));
    await streams.close();
    await lab.startNode(victim.name);
    await lab.waitForMembers(names, 60_000);
    progress(`${kill + 1} kills, resets after ms: ${spread(learned)}`);
  }
  if (learned.length === 0) failures.push("no client learned anything: nothing was tried");
  if (silent > 0) failures.push(`${silent} connections heard nothing within 20 s`);
  const late = learned.filter((ms) => ms > LEARNED_MS_MAX + RETRANSMISSION_MS).length;
  if (late > 0) failures.push(`${late} learned it later than ${LEARNED_MS_MAX + RETRANSMISSION_MS} ms`);
  const told = `${atOnce} of ${learned.length} by the first packet after the takeover`;
  if (!(atOnce >= AT_ONCE * learned.length)) failures.push(`only ${told}`);
  const inTime = learned.filter((ms) => ms <= LEARNED_MS_MAX).length;
  return {
    figures: [
      `from the kill to the client's error, ms: ${spread(learned)}; ${told}; ` +
      `${
        (inTime / learned.length * 100).toFixed(1)
      } % within ${LEARNED_MS_MAX} ms, which is up to TCP's repetitions`,
    ],
    failures: failures.slice(0, 10),
  };
}

/** Of these clients' ports, how many got a reset by the first packet that was sent after the takeover, or before. */
function answeredAtOnce(
  frames: readonly SeenFrame[],
  ports: ReadonlySet<number>,
  takenOverMs: number,
): number {
  const asked = new Map<number, number>(), reset = new Map<number, number>();
  for (const { atMs, packet } of frames) {
    if (packet?.protocol !== TCP) continue;
    const { sourcePort, destinationPort, tcpFlags } = packet;
    if (destinationPort === STREAM_PORT) {
      if (atMs >= takenOverMs && !asked.has(sourcePort)) asked.set(sourcePort, atMs);
    } else if ((tcpFlags & RST) !== 0 && !reset.has(destinationPort)) reset.set(destinationPort, atMs);
  }
  return [...ports].filter((port) => {
    const resetMs = reset.get(port);
    return resetMs !== undefined && resetMs <= (asked.get(port) ?? Infinity) + ANSWERED_MS_MAX;
  }).length;
}

export const orphans: Story = {
  name: "orphans",
  claim: "clients of a killed node learn it by a reset, to the first packet after the takeover",
  times: 20,
  run,
};
