import assert from "node:assert/strict";
import { RuntimeLock } from "../../../src/host/lock.ts";
import { encodeMessage, MESSAGES_FORM } from "../../../src/supervisor/messages.ts";
import { supervise } from "../../../src/supervisor/supervisor.ts";

Deno.test("a supervisor that finds its runtime directory taken leaves the files there alone", async () => {
  const runtimeDir = await Deno.makeTempDir();
  const lock = await RuntimeLock.acquire(runtimeDir);
  try {
    await Deno.writeTextFile(`${runtimeDir}/worker.pid`, "1\n");
    const hello = encodeMessage({
      say: "hello",
      form: MESSAGES_FORM,
      version: "0.1.0",
      plan: { interfaces: [] },
      goodbye: {
        node: "n1",
        keys: { farmTag: new Uint8Array(4), headerKey: new Uint8Array(16), heartbeatKey: new Uint8Array(32) },
        intervalMs: 50,
        servicesDigest: 7,
        port: 4321,
        networks: [],
      },
    });
    // A worker that says hello, and waits for its end.
    const workerArgv = () => ["sh", "-c", `printf %s "$0"; exec cat`, hello];
    await assert.rejects(supervise({ runtimeDir, workerArgv }), /a daemon is running there already/);
    assert.equal(await Deno.readTextFile(`${runtimeDir}/worker.pid`), "1\n");
  } finally {
    await lock.release();
    await Deno.remove(runtimeDir, { recursive: true });
  }
});
