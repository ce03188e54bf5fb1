/** Clean stops under new connections. */

import { AnswerCaptures } from "../netns/farm_answers.ts";
import { spread } from "../netns/farm_failure_support.ts";
import { startFarm } from "../netns/farm_support.ts";
import {
  judgeAnswers,
  type Outcome,
  pick,
  random,
  SteadyRequests,
  type Story,
  type StoryRun,
} from "./story.ts";

async function run({ times, seed, progress }: StoryRun): Promise<Outcome> {
  const chance = random(seed);
  await using lab = await startFarm({ nodes: 3, clients: 2 });
  const names = lab.nodes.map(({ name }) => name);
  const captures = await AnswerCaptures.start(lab);
  // The kernel may repeat a SYN twice in that time: an attempt that needs no more has not failed.
  const requests = new SteadyRequests(lab, 100, 8_000);
  for (let i = 0; i < times; i++) {
    const node = pick(lab.nodes, chance);
    await node.stopDaemon();
    await lab.startNode(node.name);
    await lab.waitForMembers(names, 60_000);
    if (i % 5 === 4) progress(`${i + 1} stops, ${requests.answers.length} requests`);
  }
  const answers = await requests.stop();
  const { figures, failures } = judgeAnswers(await captures.stop());
  const failed = answers.filter(({ error }) => error !== undefined);
  return {
    figures: [
      `${times} stops, ${answers.length} new connections, ${failed.length} failed, ms: ` +
      spread(answers.map(({ durationMs }) => durationMs)),
      ...figures,
    ],
    failures: [...failures, ...failed.slice(0, 5).map(({ error, port }) => `port ${port}: ${error}`)],
  };
}

export const stops: Story = {
  name: "stops",
  claim: "20 clean stops under new connections: not one attempt fails",
  times: 20,
  run,
};
