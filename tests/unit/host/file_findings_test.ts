import assert from "node:assert/strict";
import { readSecretFile } from "../../../src/config/secret_file.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { fileFindings } from "../../../src/host/file_findings.ts";
import { mayRead } from "../../../src/host/service.ts";

const FARM = `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }]
admin: { tokens_file: tokens, tls: { certificate: crt, key: key } }
`;

Deno.test("files that the daemon cannot read are found, for the service's user too", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const config = parseConfig(FARM, `${directory}/farm.yaml`).config!;
    for (const name of ["secret", "tokens", "key", "crt"]) {
      await Deno.writeTextFile(`${directory}/${name}`, "", { mode: 0o600 });
    }
    const whole = await fileFindings(config, undefined);
    assert.deepEqual(whole.map(({ ok, what }) => [ok, what.split(":")[0]]), [
      [true, "admin.tokens_file"],
      [true, "admin.tls.key"],
      [true, "admin.tls.certificate"],
    ]);
    const isOthers = (path: string) => Promise.resolve(!/secret|key/.test(path));
    const service = await fileFindings(config, { name: "vipfarm", mayRead: isOthers });
    const bad = service.filter(({ ok }) => ok === false);
    assert.deepEqual(bad.map(({ remedy }) => remedy!.split(";")[0]), [
      `chown vipfarm ${directory}/secret`,
      `chown vipfarm ${directory}/key`,
    ]);
    await Deno.chmod(`${directory}/key`, 0o644);
    await Deno.remove(`${directory}/tokens`);
    const [tokens, key] = await fileFindings(config, undefined);
    assert.deepEqual([tokens.ok, key.ok], [false, false]);
    assert.match(tokens.what, /^admin\.tokens_file: .*tokens: No such file/);
    assert.match(key.what, /others may read it/);
    assert.match(key.remedy!, /^chmod 600/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test({
  name: "what a user may read depends on file, owner and directories",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    const nobody = { name: "nobody", uid: 65_534, gid: 65_534, home: "/" };
    try {
      const file = `${directory}/key`;
      await Deno.writeTextFile(file, "", { mode: 0o600 });
      await Deno.chmod(directory, 0o755);
      assert.equal(await mayRead(nobody, file), false);
      await Deno.chown(file, nobody.uid, nobody.gid);
      assert.equal(await mayRead(nobody, file), true);
      await Deno.chmod(directory, 0o700);
      assert.equal(await mayRead(nobody, file), false);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("a named pipe in the place of a file is refused and not waited for", async () => {
  const directory = await Deno.makeTempDir();
  await new Deno.Command("mkfifo", { args: ["-m", "600", `${directory}/pipe`] }).output();
  await assert.rejects(readSecretFile("read", `${directory}/pipe`, "admin.tokens_file"), /no regular file/);
  await Deno.remove(directory, { recursive: true });
});
