/** The model of the hand-over, searched exhaustively: the short form. `deno task model` runs the long one. */
import assert from "node:assert/strict";
import { SEARCHES } from "./searches.ts";
import { type Finding, search, whyNot } from "./spin.ts";

/** Searches that run beside each other. */
const LANES = 2;

const reason = whyNot();
const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;
const short = SEARCHES.filter(({ long }) => !long);

let findings: Promise<Map<string, Finding | Error>> | undefined;

/** Carries out all searches of the short form, when the first of them is asked for. */
async function searchAll(): Promise<Map<string, Finding | Error>> {
  const found = new Map<string, Finding | Error>(), waiting = [...short];
  const lane = async () => {
    for (let next; (next = waiting.shift()) !== undefined;) {
      found.set(next.name, await search(next).catch((error: Error) => error));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return found;
}

for (const { name, holds } of short) {
  Deno.test({
    name: `model: ${name}${skipped}`,
    ignore: reason !== undefined,
    fn: async () => {
      const found = (await (findings ??= searchAll())).get(name);
      if (found === undefined || found instanceof Error) throw found;
      if (holds) {
        assert.equal(found.violation, undefined, found.story.slice(-60).join("\n"));
        assert.equal(found.incomplete, undefined);
        assert.ok(found.states > 10_000, `only ${found.states} states were reached: the model is stuck`);
      } else {
        assert.match(found.violation ?? "nothing was found", /^assertion violated/);
      }
    },
  });
}
