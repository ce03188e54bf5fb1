/**
 * The soak suite: what must hold a hundred times over, on real farms. `deno task soak [STORY…] [--times N] [--seed N]
 * [--out FILE]`; without a story, all of them, which takes about an hour and a half. Exit code 1 if one does not hold.
 *
 * The machine should have nothing else to do: takeover times are measured from outside, by processes that need a
 * processor, too.
 */

import { parseArgs } from "node:util";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { doubleAnswers } from "./double_answers.ts";
import { forgeries } from "./forgeries.ts";
import { hogs } from "./hogs.ts";
import { kills } from "./kills.ts";
import { orphans } from "./orphans.ts";
import { plannedChanges } from "./planned_changes.ts";
import { replacements } from "./replacements.ts";
import { stops } from "./stops.ts";
import type { Outcome, Story } from "./story.ts";

export const STORIES: readonly Story[] = [
  plannedChanges,
  ...replacements,
  stops,
  ...kills,
  orphans,
  ...doubleAnswers,
  hogs,
  forgeries,
];

const USAGE = `Usage: deno task soak [STORY...] [--times N] [--seed N] [--out FILE]

${STORIES.map(({ name, times, claim }) => `  ${name} (${times})\n      ${claim}`).join("\n")}
`;

/** One story as it goes into the report. */
function section(story: Story, times: number, minutes: number, { figures, failures }: Outcome): string {
  const verdict = failures.length === 0 ? "held" : "did not hold";
  return [
    `### ${story.name}: ${verdict}`,
    "",
    `${story.claim[0].toUpperCase()}${story.claim.slice(1)}. Run with ${times}, ${
      minutes.toFixed(1)
    } minutes.`,
    "",
    ...figures.map((figure) => `- ${figure}`),
    ...failures.map((failure) => `- **not as it must be**: ${failure}`),
    "",
  ].join("\n");
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      times: { type: "string" },
      seed: { type: "string" },
      out: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const unknown = positionals.filter((name) => !STORIES.some((story) => story.name === name));
  if (values.help || unknown.length > 0) {
    console.error(unknown.length > 0 ? `No story is called ${unknown.join(", ")}.\n\n${USAGE}` : USAGE);
    Deno.exit(unknown.length > 0 ? 2 : 0);
  }
  const unavailable = await labUnavailable();
  if (unavailable !== undefined) {
    console.error(unavailable);
    Deno.exit(4);
  }
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const chosen = STORIES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  let held = true;
  for (const story of chosen) {
    const times = Number(values.times ?? story.times);
    console.log(`${story.name}, ${times} times, seed ${seed}: ${story.claim}`);
    const beganMs = performance.now();
    const outcome = await story.run({ times, seed, progress: (text) => console.log(`  ${text}`) })
      .catch((error): Outcome => ({ figures: [], failures: [String(error?.stack ?? error)] }));
    const text = section(story, times, (performance.now() - beganMs) / 60_000, outcome);
    held &&= outcome.failures.length === 0;
    console.log(text);
    if (values.out !== undefined) await Deno.writeTextFile(values.out, `${text}\n`, { append: true });
  }
  Deno.exit(held ? 0 : 1);
}
