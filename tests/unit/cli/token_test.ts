import assert from "node:assert/strict";
import { TokenStore } from "../../../src/admin/tokens.ts";
import { serviceUser } from "../../../src/host/service.ts";
import { token } from "../../../src/cli/token.ts";

class Lines {
  answers: string[] = [];
  notes: string[] = [];
  answer = (text: string) => void this.answers.push(text);
  note = (text: string) => void this.notes.push(text);
  error = () => assert.fail();
}

Deno.test("a token works at once, its file holds only the hash, and nobody else may read it", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/tokens`;
    const lines = new Lines();
    await token("grafana", { role: "monitor", output: file }, lines);
    await token("ops", { role: "control", output: file }, lines);
    const store = await TokenStore.load(file);
    assert.deepEqual(store.find(lines.answers[0]), { name: "grafana", role: "monitor" });
    assert.deepEqual(store.find(lines.answers[1]), { name: "ops", role: "control" });
    assert.equal(Deno.statSync(file).mode! & 0o777, 0o600);
    const text = await Deno.readTextFile(file);
    for (const secret of lines.answers) assert.ok(!text.includes(secret) && secret.length >= 43);
    await assert.rejects(token("ops", { role: "admin", output: file }, lines), {
      message: `make a token: ops has a token already (${file}:2)`,
      remedy: "Delete that line to replace it, or choose another name.",
      exitCode: 1,
    });
    assert.equal(await Deno.readTextFile(file), text, "nothing has changed");
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["tokens"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the daemon can read the file: a new one is its own, an old one stays readable for whom it was", async () => {
  const directory = await Deno.makeTempDir();
  const isRoot = Deno.uid() === 0;
  try {
    const file = `${directory}/tokens`;
    await token("ops", { role: "control", output: file }, new Lines());
    assert.equal(Deno.statSync(file).uid, isRoot ? (await serviceUser())?.uid ?? 0 : Deno.uid());
    await Deno.chmod(file, 0o640);
    if (isRoot) await Deno.chown(file, 0, 12_345);
    const before = Deno.statSync(file);
    await token("grafana", { role: "monitor", output: file }, new Lines());
    const { mode, uid, gid } = Deno.statSync(file);
    assert.deepEqual([mode! & 0o777, uid, gid], [0o640, before.uid, before.gid]);
    await assert.rejects(
      token("me", { role: "admin", output: `${directory}/missing/tokens` }, new Lines()),
      /its directory does not exist/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("without a file the line to add is shown", async () => {
  const lines = new Lines();
  await token("me", { role: "admin" }, lines);
  const line = /^admin me [0-9a-f]{64}$/m.exec(lines.notes.join("\n"))![0];
  assert.deepEqual(TokenStore.parse(line, "f").find(lines.answers[0]), { name: "me", role: "admin" });
  for (const name of ["", "a b", "#x", "x".repeat(64)]) {
    await assert.rejects(token(name, { role: "admin" }, lines), /a name has/);
  }
});
