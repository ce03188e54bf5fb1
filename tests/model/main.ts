/** Every search of the model, one line each: `deno task model [WORD]`, WORD being part of a search's name. */
import process from "node:process";
import { SEARCHES } from "./searches.ts";
import { search, whyNot } from "./spin.ts";

const reason = whyNot();
if (reason !== undefined) {
  console.error(reason);
  process.exit(1);
}
for (const each of SEARCHES.filter(({ name }) => name.includes(Deno.args[0] ?? ""))) {
  const found = await search(each);
  const wrong = found.incomplete !== undefined || (found.violation === undefined) !== each.holds;
  if (wrong) process.exitCode = 1;
  console.log(
    `${wrong ? "WRONG" : "ok"}  ${each.name}: ${found.violation ?? "holds"}${
      found.incomplete === undefined ? "" : `, incomplete: ${found.incomplete}`
    }; ${found.states} states, depth ${found.depth}, ${found.seconds} s, ${found.memoryMb} MB  [${
      each.defines.join(" ")
    }]`,
  );
  if (wrong) console.log(found.story.slice(-60).join("\n"));
}
