import assert from "node:assert/strict";
import { writeNewFile } from "../../../src/cli/new_file.ts";

Deno.test("a file that could not take its place is not left behind; another one of the name stays", async () => {
  const directory = await Deno.makeTempDir();
  const names = () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  try {
    await Deno.mkdir(`${directory}/taken`);
    await assert.rejects(writeNewFile(`${directory}/taken`, "text", { mode: 0o600, replace: true }));
    assert.deepEqual(names(), ["taken"]);
    await Deno.writeTextFile(`${directory}/old`, "old");
    await assert.rejects(writeNewFile(`${directory}/old`, "text", { mode: 0o600 }), /such a file already/);
    assert.equal(await Deno.readTextFile(`${directory}/old`), "old");
    assert.deepEqual(names(), ["old", "taken"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
