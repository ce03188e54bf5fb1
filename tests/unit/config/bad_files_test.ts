/** Every refused configuration in tests/vectors/config/ gives exactly the messages in the file beside it. */
import assert from "node:assert/strict";
import { formatProblem, parseConfig } from "../../../src/config/load.ts";

const DIRECTORY = new URL("../../vectors/config/", import.meta.url);
const names = [...Deno.readDirSync(DIRECTORY)].map(({ name }) => name).filter((name) =>
  name.endsWith(".bad.yml")
)
  .sort();

for (const name of names) {
  Deno.test(`${name} is refused with its messages`, () => {
    const expected = Deno.readTextFileSync(new URL(name.replace(/\.yml$/, ".txt"), DIRECTORY));
    const { config, problems } = parseConfig(Deno.readTextFileSync(new URL(name, DIRECTORY)), name);
    assert.equal(config, undefined);
    assert.equal(problems.map((problem) => `${formatProblem(problem)}\n`).join(""), expected);
    assert.ok(problems.every(({ severity }) => severity === "error"));
  });
}

Deno.test("there are refused files, each with messages", () => {
  assert.ok(names.length >= 40);
  const texts = [...Deno.readDirSync(DIRECTORY)].filter(({ name }) => name.endsWith(".bad.txt"));
  assert.equal(texts.length, names.length);
});
