/**
 * The one executable file as a user gets it: alone in an empty directory, on a machine that has no Deno, no home and no
 * network; what other users may not do with it; and a new file in the place of one that runs.
 */
import assert from "node:assert/strict";
import { packProgram } from "../../packaging/program.ts";
import { makeSingleFile } from "../../packaging/single_file.ts";
import { Lab } from "../../src/lab/lab.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { REVISION_FILE, VERSION } from "../../src/version.ts";
import { eventsOf } from "./farm_failure_support.ts";

const unavailable = await labUnavailable();
const ignore = unavailable !== undefined;

/** Whatever a user of Debian has beside the administrator's programs; no directory of a Deno. */
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program with this environment and no other, without a network. */
async function runAlone(argv: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--net", "--", ...argv],
    clearEnv: true,
    env: { PATH, NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** A PATH on which this program is another one. */
async function shim(directory: string, program: string, script: string): Promise<string> {
  const first = `${directory}/instead-of-${program}`;
  await Deno.mkdir(first);
  await Deno.writeTextFile(`${first}/${program}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `${first}:${PATH}`;
}

/** Makes the file and another version of it. */
async function makeTwo(directory: string): Promise<{ first: string; second: string }> {
  const program = await packProgram(directory);
  const files: string[] = [];
  for (const name of ["first", "second"]) {
    await Deno.writeTextFile(
      `${program.directory}/${REVISION_FILE}`,
      `${name === "first" ? "1" : "2"}`.repeat(40),
    );
    await Deno.mkdir(`${directory}/${name}`);
    files.push(`${directory}/${name}/vipfarm`);
    await makeSingleFile(program, `${directory}/${name}`, files.at(-1)!);
  }
  return { first: files[0], second: files[1] };
}

Deno.test(
  { name: "the single file needs nothing beside it, and lets no other user in", ignore },
  async (t) => {
    const directory = await Deno.makeTempDir({ prefix: "vf-single-" });
    await Deno.chmod(directory, 0o755);
    try {
      const { first, second } = await makeTwo(directory);
      const empty = `${directory}/empty`;
      await Deno.mkdir(empty);
      const file = `${empty}/vipfarm`;
      await Deno.copyFile(first, file);
      const cache = `${directory}/cache`;
      const env = { CACHE_DIRECTORY: cache };
      const cached = () => [...Deno.readDirSync(cache)].map(({ name }) => `${cache}/${name}`);

      await t.step("it says what it is, from any directory, and leaves nothing but its cache", async () => {
        const { code, out, err } = await runAlone(["env", "--chdir=/", file, "version"], env);
        assert.deepEqual({ code, err }, { code: 0, err: "" });
        assert.match(out, new RegExp(`^vipfarm ${VERSION} \\(revision 111111111111, deno `));
        assert.deepEqual([...Deno.readDirSync(empty)].map(({ name }) => name), ["vipfarm"]);
        assert.equal(cached().length, 1);
        assert.equal(Deno.statSync(cache).mode! & 0o777, 0o700);
        assert.equal(Deno.statSync(cached()[0]).mode! & 0o777, 0o700);
      });

      await t.step("exit codes and words of errors come through", async () => {
        const { code, err } = await runAlone([file, "check", "-c", "/nowhere.yaml"], env);
        assert.equal(code, 1);
        assert.match(err, /nowhere\.yaml/);
      });

      await t.step("the demo, on a real farm of this file's own processes", async () => {
        const temporary = `${directory}/tmp`;
        await Deno.mkdir(temporary);
        const { code, out, err } = await runAlone([file, "demo", "--once"], { ...env, TMPDIR: temporary });
        assert.equal(code, 0, out + err);
        assert.match(out, /All \d+ checks held/);
      });

      await t.step("a user without home starts it from the temporary directory", async () => {
        const temporary = `${directory}/of-nobody`;
        await Deno.mkdir(temporary);
        await Deno.chmod(temporary, 0o1777);
        const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        const { code, out, err } = await runAlone([...asNobody, file, "version"], { TMPDIR: temporary });
        assert.equal(code, 0, err);
        assert.match(out, /^vipfarm /);
        assert.deepEqual([...Deno.readDirSync(temporary)].map(({ name }) => name), ["vipfarm-65534"]);
      });

      await t.step(
        "a cache that others may write, or have made, or that is behind a link, is not used",
        async () => {
          const places = `${directory}/places`;
          await Deno.mkdir(`${places}/open`, { recursive: true });
          await Deno.chmod(`${places}/open`, 0o777);
          await Deno.symlink(cache, `${places}/link`);
          await Deno.mkdir(`${places}/of-nobody`, { mode: 0o700 });
          await Deno.chown(`${places}/of-nobody`, 65534, 65534);
          for (const name of ["open", "link", "of-nobody"]) {
            const { code, err } = await runAlone([file, "version"], {
              TMPDIR: "/proc/nowhere",
              HOME: "/proc/nowhere",
              CACHE_DIRECTORY: `${places}/${name}`,
            });
            assert.equal(code, 1, name);
            assert.match(err, /found no directory to unpack into/);
          }
        },
      );

      await t.step("a damaged file says so and unpacks nothing", async () => {
        const damaged = `${directory}/damaged`;
        const bytes = await Deno.readFile(second);
        bytes[bytes.length - 100] ^= 1;
        await Deno.writeFile(damaged, bytes, { mode: 0o755 });
        const { code, err } = await runAlone([damaged, "version"], env);
        assert.equal(code, 1);
        assert.match(err, /is damaged/);
        assert.equal(cached().length, 1);
      });

      await t.step("other versions and what is left of broken starts go after a day", async () => {
        const tidied = `${directory}/tidied`;
        assert.equal((await runAlone([first, "version"], { CACHE_DIRECTORY: tidied })).code, 0);
        for (const name of ["new.ABCDEFGH", "not-ours"]) await Deno.mkdir(`${tidied}/${name}`);
        const [old] = [...Deno.readDirSync(tidied)].filter(({ name }) => /^[0-9a-f]+$/.test(name));
        const tomorrow = await shim(directory, "date", "echo 9999999999");
        const { code } = await runAlone([second, "version"], { CACHE_DIRECTORY: tidied, PATH: tomorrow });
        assert.equal(code, 0);
        const names = [...Deno.readDirSync(tidied)].map(({ name }) => name);
        assert.equal(names.length, 2);
        assert.ok(names.includes("not-ours") && !names.includes(old.name));
      });

      await t.step("a first start that is interrupted leaves nothing", async () => {
        const interrupted = `${directory}/interrupted`;
        const path = await shim(directory, "sync", "kill -TERM $PPID");
        const { code } = await runAlone([first, "version"], { CACHE_DIRECTORY: interrupted, PATH: path });
        assert.equal(code, 1);
        assert.deepEqual([...Deno.readDirSync(interrupted)], []);
      });

      await t.step("SIGUSR2 takes the file that is now in its place", async () => {
        await using lab = await Lab.create({ nodes: 1 });
        const node = await lab.startNode(1, { program: [file], env });
        const supervisor = node.daemon!.pid;
        // As an administrator should: the new file beside the old one, then renamed over it.
        await Deno.copyFile(second, `${file}.new`);
        await Deno.rename(`${file}.new`, file);
        node.daemon!.signal("SIGUSR2");
        const kinds = async () => (await eventsOf(node).catch(() => [])).map(({ kind }) => kind);
        await lab.waitFor(
          async () => (await kinds()).includes("program.replaced"),
          60_000,
          "the new program",
        );
        const worker = Deno.readTextFileSync(`${node.runtimeDirectory}/worker.pid`).trim();
        const executable = Deno.readLinkSync(`/proc/${worker}/exe`);
        assert.equal(cached().length, 2);
        assert.ok(executable.startsWith(`${cache}/`));
        assert.notEqual(executable, Deno.readLinkSync(`/proc/${supervisor}/exe`));
        await node.stopDaemon();
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
