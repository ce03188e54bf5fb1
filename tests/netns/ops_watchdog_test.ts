/**
 * Threads that hang, on the lab's real farm: the supervisor notices, the node is silent, others take over, and it comes
 * back; and what systemd hears of all this, from a socket like its own.
 */
import assert from "node:assert/strict";
import { errorKinds } from "../../src/lab/spread.ts";
import { FakeServiceManager } from "../unix_datagrams.ts";
import { eventsOf, ignore } from "./farm_failure_support.ts";
import { http, startFarm, wallMs } from "./farm_support.ts";
import { hang, packetThread, workerOf } from "./ops_threads.ts";

/** From the hang to the kill: src/supervisor/watchdog.ts, and what a busy machine adds. */
const NOTICED_MS_MAX = { packet: 6_000, control: 36_000 };
const WATCHDOG_USEC = 4_000_000;
/** What systemd is told is there at once; a loaded machine gets its time. */
const TOLD_MS = 30_000;

Deno.test({
  name: "a thread that hangs or is killed: the watchdog notices, others take over, the node comes back",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 2, clients: 1 });
  const n1 = lab.node(1), other = lab.node(2);
  await n1.stopDaemon();
  using manager = new FakeServiceManager(`${lab.directory}/notify`);
  await lab.startNode(1, {
    env: { NOTIFY_SOCKET: `${lab.directory}/notify`, WATCHDOG_USEC: String(WATCHDOG_USEC) },
  });
  await lab.waitForMembers(["n1", "n2"]);
  await lab.waitFor(() => manager.momentsOf(/^READY=1$/).length === 1, TOLD_MS, "READY=1");
  await lab.waitFor(
    () => /^up, (4\d|5\d) % of new flows; All 2/.test(manager.status ?? ""),
    TOLD_MS,
    "a share",
  );
  assert.equal(manager.momentsOf(/^READY=1$/).length, 1);

  /** After `harm`: noticed in time and by name, taken over, and back. */
  const survives = async (harm: () => Promise<number>, why: RegExp | undefined, noticedMsMax: number) => {
    const former = workerOf(n1);
    const known = (await eventsOf(other)).length;
    const atMs = await harm();
    await lab.waitFor(
      async () =>
        (await eventsOf(other)).slice(known).some(({ node, kind }) =>
          node === "n1" && /crashed|dead|left/.test(kind)
        ),
      noticedMsMax + 10_000,
      "the other node to take over",
    );
    const tookMs = wallMs() - atMs;
    const answers = await lab.clients[0].request({ ...http(lab), count: 60, timeoutMs: 4_000 });
    assert.deepEqual(answers.filter(({ error }) => error !== undefined), [], errorKinds(answers));
    await lab.waitForMembers(["n1", "n2"], 40_000);
    assert.notEqual(workerOf(n1), former);
    assert.ok(tookMs <= noticedMsMax, `taken over after ${tookMs} ms`);
    if (why !== undefined) {
      const told = (await eventsOf(n1)).filter(({ kind }) => kind === "program.wedged");
      assert.match(told.at(-1)?.message ?? "(nothing)", why);
    }
    return tookMs;
  };

  const packetMs = await survives(
    async () => await hang(lab, n1, await packetThread(n1)),
    /^The program hangs: the packet \(eth0\) thread has stood still/,
    NOTICED_MS_MAX.packet,
  );
  const controlMs = await survives(
    async () => await hang(lab, n1, workerOf(n1)),
    /^The program hangs: the control thread has not reported/,
    NOTICED_MS_MAX.control,
  );
  const killedMs = await survives(
    async () => {
      Deno.kill(await packetThread(n1), "SIGKILL");
      return wallMs();
    },
    undefined,
    NOTICED_MS_MAX.packet,
  );
  console.log(
    `  taken over ${packetMs.toFixed(0)} ms after a packet thread hung, ${
      controlMs.toFixed(0)
    } ms after a control ` +
      `thread did, ${killedMs.toFixed(0)} ms after a packet thread was killed`,
  );
  // systemd was fed all the time, since the supervisor dealt with it, and heard what was going on.
  const fed = manager.momentsOf(/^WATCHDOG=1$/);
  const gaps = fed.slice(1).map((moment, index) => moment - fed[index]);
  assert.ok(
    Math.max(...gaps) < WATCHDOG_USEC / 1e3,
    `longest time without WATCHDOG=1: ${Math.max(...gaps)} ms`,
  );
  const ends = manager.momentsOf(/^STATUS=the program ended \(the control thread/);
  assert.equal(ends.length, 1);
  // Also at the look that found the hanging thread, not only at the next one.
  const fedAt = fed.findLast((moment) => moment <= ends[0]) ?? 0;
  assert.ok(
    ends[0] - fedAt < WATCHDOG_USEC / 1e3 / 2,
    `last WATCHDOG=1 ${ends[0] - fedAt} ms before the end`,
  );
  await n1.stopDaemon();
  assert.equal(manager.momentsOf(/^STOPPING=1$/).length, 1);
});
