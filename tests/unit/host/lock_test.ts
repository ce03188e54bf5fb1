import assert from "node:assert/strict";
import { EXIT } from "../../../src/core/errors.ts";
import { PID_FILE, runningDaemon, RuntimeLock } from "../../../src/host/lock.ts";

Deno.test("one daemon for each runtime directory; the next may come when it has gone", async () => {
  const parent = await Deno.makeTempDir();
  const directory = `${parent}/run/deep`;
  const lock = await RuntimeLock.acquire(directory);
  assert.equal(await runningDaemon(directory), Deno.pid);
  await assert.rejects(
    RuntimeLock.acquire(directory),
    new RegExp(`a daemon is running there already \\(${directory}, process ${Deno.pid}\\)`),
  );
  await lock.release();
  await lock.release();
  assert.equal(await runningDaemon(directory), undefined);
  await (await RuntimeLock.acquire(directory)).release();
  assert.deepEqual([...Deno.readDirSync(directory)], [], "nothing is left of it");
  await Deno.remove(parent, { recursive: true });
});

Deno.test("a pid file that a killed daemon left is not in the way", async () => {
  const directory = await Deno.makeTempDir();
  await Deno.writeTextFile(`${directory}/${PID_FILE}`, "1\n");
  assert.equal(await runningDaemon(directory), undefined);
  const lock = await RuntimeLock.acquire(directory);
  assert.equal(await Deno.readTextFile(`${directory}/${PID_FILE}`), `${Deno.pid}\n`);
  await lock.release();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a directory that cannot be made names the remedy", async () => {
  await assert.rejects(RuntimeLock.acquire("/proc/vipfarm"), /take the runtime directory.*\/proc\/vipfarm/);
});

Deno.test("a directory that may not be made is a missing privilege", async () => {
  // Root may not either.
  await assert.rejects(RuntimeLock.acquire("/sys/vipfarm"), {
    exitCode: EXIT.privilege,
    remedy: /^Run as root/,
  });
});

Deno.test("a full disk is told with the path", async () => {
  const directory = await Deno.makeTempDir();
  // Every write to it fails as on a full disk: full(4).
  await Deno.symlink("/dev/full", `${directory}/${PID_FILE}`);
  await assert.rejects(RuntimeLock.acquire(directory), {
    message: new RegExp(`${directory}/${PID_FILE}`),
    remedy: /another directory with --runtime-dir/,
  });
  await Deno.remove(directory, { recursive: true });
});
