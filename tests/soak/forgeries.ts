/** Heartbeats that are not what they seem, in great number. */

import { deriveKeys } from "../../src/core/keys.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { eventsOf, keysOf, metric } from "../netns/farm_failure_support.ts";
import { altered, type Datagrams, forged, random, record, send } from "../netns/farm_heartbeat_forger.ts";
import { startFarm } from "../netns/farm_support.ts";
import { type Outcome, type Story, type StoryRun } from "./story.ts";

const PER_SECOND = 40_000;
/** One call of the sender is bounded in time. */
const FLOOD_MS = 10_000;

/** What must not change: views, and what there is to tell. */
async function views(lab: Lab): Promise<string> {
  return JSON.stringify(
    await Promise.all(lab.nodes.map(async (node) => {
      const { members } = await node.farm();
      const events = (await eventsOf(node)).filter(({ kind }) => kind.startsWith("member."));
      return [members.map(({ name, state, shares }) => [name, state, shares]), events.length];
    })),
  );
}

async function run({ times, progress }: StoryRun): Promise<Outcome> {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const old = await record(lab);
  for (const node of lab.nodes) {
    await node.stopDaemon();
    await lab.startNode(node.name);
    await lab.waitForMembers(lab.nodes.map(({ name }) => name));
  }
  const recorded = await record(lab);
  const keys = await keysOf(lab);
  const kinds: Record<string, Datagrams> = {
    forged: forged(recorded, keys, { ...deriveKeys(random(32), "lab"), farmTag: keys.farmTag }),
    "with the header key": forged(recorded, keys, { ...keys, heartbeatKey: random(32) }),
    altered: altered(recorded, keys),
    replayed: recorded,
    reordered: recorded.toReversed(),
    "of old incarnations": old,
  };
  const mixed = Object.values(kinds).flatMap((datagrams) => datagrams.slice(0, 128));
  const before = await views(lab);
  let sent = 0, durationMs = 0;
  while (sent < times) {
    const flood = await send(lab, mixed, { flood: { durationMs: FLOOD_MS, perSecond: PER_SECOND } });
    sent += flood.count;
    durationMs += flood.durationMs;
    progress(`${sent} sent`);
  }
  const after = await views(lab);
  const deaths = (await Promise.all(lab.nodes.map((node) => metric(node, "vipfarm_deaths_total")))).join(
    ", ",
  );
  return {
    figures: [
      `${sent} sent in ${(durationMs / 1_000).toFixed(0)} s (${Object.keys(kinds).join(", ")}); ` +
      `views ${after === before ? "unchanged" : "changed"}, deaths ${deaths}`,
    ],
    failures: after === before ? [] : [`views changed: ${before} became ${after}`],
  };
}

export const forgeries: Story = {
  name: "forgeries",
  claim: "a million forged, altered, replayed, reordered and outdated heartbeats change no view",
  times: 1_000_000,
  run,
};
