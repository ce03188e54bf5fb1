import assert from "node:assert/strict";
import { EXIT } from "../../../src/core/errors.ts";
import { writeNewFile } from "../../../src/cli/new_file.ts";

Deno.test("a file that could not take its place is not left behind; another one of the name stays", async () => {
  const directory = await Deno.makeTempDir();
  const names = () => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  try {
    await Deno.mkdir(`${directory}/taken`);
    for (const replace of [true, false]) {
      await assert.rejects(
        writeNewFile(`${directory}/taken`, "text", { mode: 0o600, replace }),
        { name: "VipfarmError", problem: "this is a directory", remedy: /^Name a file in it/ },
      );
    }
    assert.deepEqual(names(), ["taken"]);
    await Deno.writeTextFile(`${directory}/old`, "old");
    await assert.rejects(writeNewFile(`${directory}/old`, "text", { mode: 0o600 }), /such a file already/);
    assert.equal(await Deno.readTextFile(`${directory}/old`), "old");
    assert.deepEqual(names(), ["old", "taken"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("whatever keeps a file from being written is told with its path and a remedy", async () => {
  const refused = { name: "VipfarmError", message: /^write file: .*\(\/.*file\)$/, remedy: /elsewhere/ };
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/plain`, "");
    await assert.rejects(writeNewFile(`${directory}/plain/file`, "text", { mode: 0o600 }), refused);
    const makeDirectory = { mode: 0o600, makeDirectory: true };
    await assert.rejects(writeNewFile(`${directory}/plain/new/file`, "text", makeDirectory), refused);
    await writeNewFile(`${directory}/new/file`, "text", makeDirectory);
    assert.equal(await Deno.readTextFile(`${directory}/new/file`), "text");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a directory that this user may not make is a missing privilege", async () => {
  // Root may not either.
  await assert.rejects(writeNewFile("/sys/vipfarm/file", "text", { mode: 0o600, makeDirectory: true }), {
    problem: "this user may not write there",
    exitCode: EXIT.privilege,
  });
});
