/** A farm beside processor hogs and a busy admin endpoint: nobody is taken for dead. */

import type { FarmEvent } from "../../src/core/events.ts";
import { eventsOf, metric } from "../netns/farm_failure_support.ts";
import { startFarm } from "../netns/farm_support.ts";
import { type Outcome, SteadyRequests, type Story, type StoryRun } from "./story.ts";

const HOGS = 4;
const TROUBLES = ["suspicions", "deaths", "silences", "rejoins"] as const;
/** What each node is asked for again and again, all at once. */
const PATHS = ["/api/v1/farm", "/metrics", "/api/v1/events?format=json", "/openapi.json"];

async function run({ times, progress }: StoryRun): Promise<Outcome> {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const troubles = async () =>
    await Promise.all(
      TROUBLES.map(async (name) =>
        (await Promise.all(lab.nodes.map((node) => metric(node, `vipfarm_${name}_total`)))).reduce((a, b) =>
          a + b
        )
      ),
    );
  const seen = new Map<string, number>();
  for (const node of lab.nodes) seen.set(node.name, (await eventsOf(node)).at(-1)?.id ?? 0);
  const before = await troubles();
  const deadline = performance.now() + times * 60_000;
  const hogs = Array.from({ length: HOGS }, () => lab.spawn("c1", ["sh", "-c", "while :; do :; done"]));
  const requests = new SteadyRequests(lab, 50, 5_000);
  let asked = 0;
  const latenessMs: number[] = [];
  const asking = Promise.all(lab.nodes.flatMap((node) =>
    PATHS.map(async (path) => {
      while (performance.now() < deadline) {
        await node.api("GET", path);
        asked++;
      }
    })
  ));
  // It is waited for below.
  asking.catch(() => {});
  while (performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const late = await Promise.all(
      lab.nodes.map((node) => metric(node, "vipfarm_heartbeat_lateness_seconds")),
    );
    latenessMs.push(Math.max(...late) * 1_000);
    const leftS = (deadline - performance.now()) / 1_000;
    progress(
      `${leftS.toFixed(0)} s left, ${asked} admin requests, late at most ${
        Math.max(...latenessMs).toFixed(1)
      } ms`,
    );
  }
  await asking;
  const answers = await requests.stop();
  const after = await troubles();
  await Promise.all(hogs.map((hog) => hog.kill()));
  const events: FarmEvent[] = [];
  for (const node of lab.nodes) {
    events.push(
      ...(await eventsOf(node)).filter(({ id, kind }) =>
        id > seen.get(node.name)! && kind.startsWith("member.")
      ),
    );
  }
  const counted = TROUBLES.map((name, i) => `${name} ${after[i] - before[i]}`).join(", ");
  const slowest = Math.max(...answers.map(({ durationMs }) => durationMs));
  const failed = answers.filter(({ error }) => error !== undefined).length;
  return {
    figures: [
      `${times} minutes, ${HOGS} hogs, ${asked} admin requests: ${counted}; heartbeats late by at most ` +
      `${Math.max(...latenessMs).toFixed(1)} ms; ${answers.length} new connections, ${failed} failed, ` +
      `slowest ${slowest.toFixed(0)} ms`,
    ],
    failures: [
      ...(after[1] > before[1] ? [`${after[1] - before[1]} members were ejected`] : []),
      ...events.filter(({ kind }) => /dead|crashed|left/.test(kind)).map(({ message }) => message).slice(
        0,
        5,
      ),
    ],
  };
}

export const hogs: Story = {
  name: "hogs",
  claim:
    "ten minutes with four processor hogs and constant admin requests: nobody is ejected at default settings",
  times: 10,
  run,
};
