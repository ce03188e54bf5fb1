/**
 * A program that is replaced, crashes or is killed with its supervisor, on the lab's real farm: what happens to a
 * thousand open connections that carry numbered data, and to new ones.
 */
import assert from "node:assert/strict";
import { SNAP_BYTES_HEADERS } from "../../src/lab/capture.ts";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { runs } from "./application_support.ts";
import { eventsOf, hasEvent, ignore, ownership, portsWhere } from "./farm_failure_support.ts";
import { http, startFarm, wallMs } from "./farm_support.ts";
import { workerOf } from "./ops_threads.ts";
import { startStreamServer, Streams } from "./streams.ts";

const STREAM_PORT = 8090;
const CONNECTIONS = 1_000;
/** Between two writes of one connection: two thousand packets a second over all, as many back. */
const WRITE_EVERY_MS = 500;
const NUMBERS = 64;
const SERVICES = [
  { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
  { name: "stream", protocol: "tcp", ports: [STREAM_PORT] },
];
/** The hold of a crashed program: src/supervisor/supervisor.ts. */
const HOLD_MS = 5_000;
/** The kernel ends a program with its supervisor, and takes its devices away; a loaded machine gets its time. */
const GONE_MS = 20_000;

/** Three nodes; all the streams are in the kernel of the first, two thirds of them in buckets of the others. */
async function farmWithStreams(count: number): Promise<{ lab: Lab; n1: LabNode; streams: Streams }> {
  const lab = await Lab.create({ nodes: 3, clients: 1, config: { services: SERVICES } });
  try {
    await lab.startServices();
    for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
    const [n1] = lab.nodes;
    await lab.startNode(1);
    await lab.waitForMembers(["n1"]);
    const streams = new Streams(lab, "c1", {
      address: lab.virtualIps.ipv4[0],
      port: STREAM_PORT,
      count,
      everyMs: WRITE_EVERY_MS,
      numbers: NUMBERS,
    });
    await streams.goOn();
    await Promise.all([lab.startNode(2), lab.startNode(3)]);
    await lab.waitForMembers(["n1", "n2", "n3"]);
    await streams.goOn();
    assert.deepEqual((await streams.states()).filter(({ error }) => error !== undefined), []);
    await lab.clients[0].start();
    return { lab, n1, streams };
  } catch (error) {
    await lab.dispose();
    throw error;
  }
}

async function replacedAt(node: LabNode): Promise<string | undefined> {
  return (await eventsOf(node)).find(({ kind }) => kind === "program.replaced")?.at;
}

Deno.test({ name: "SIGUSR2: nobody notices that the program was replaced", ignore }, async () => {
  const { lab, n1, streams } = await farmWithStreams(CONNECTIONS);
  await using _ = lab;
  const supervisor = n1.daemon!.pid;
  const filter = "tcp[tcpflags] & (tcp-syn|tcp-rst) != 0";
  const capture = await lab.capture("c1", "eth0", filter, SNAP_BYTES_HEADERS);
  const views = await n1.farm();
  await streams.states();
  const former = workerOf(n1);
  const attempts = lab.clients[0].request({ ...http(lab), count: 400, everyMs: 20, timeoutMs: 5_000 });
  Deno.kill(supervisor, "SIGUSR2");
  await lab.waitFor(hasEvent(n1, "program.replaced"), 30_000, "the program to be replaced");
  assert.notEqual(workerOf(n1), former);
  assert.equal(n1.daemon!.pid, supervisor);
  await streams.goOn();
  const states = await streams.states();
  const answers = await attempts;
  const synAcks = (lines: readonly string[]) => lines.filter((line) => line.includes("Flags [S.]"));
  const served = answers.filter(({ node }) => node !== undefined);
  // What tcpdump has not read when it is stopped is not in the file.
  await lab.waitFor(
    async () => synAcks(await capture.lines()).length >= served.length,
    30_000,
    "every answer to a SYN to be in the file",
  );
  await capture.stop();

  const seen = await capture.lines();
  assert.deepEqual(states.filter(({ error }) => error !== undefined), [], "streams broken");
  assert.equal(states.length, CONNECTIONS);
  const slowestMs = Math.max(...states.map((state) => state.slowestMs));
  assert.ok(slowestMs < 1_000, `a stream stood still for ${slowestMs} ms`);
  assert.deepEqual(answers.filter(({ error }) => error !== undefined), [], "failed attempts");
  const slowestAttemptMs = Math.max(...answers.map(({ durationMs }) => durationMs));
  const slow = answers.filter(({ durationMs }) => durationMs >= 1_000);
  assert.deepEqual(slow, [], `slow attempts; replaced at ${await replacedAt(n1)}`);
  assert.deepEqual(seen.filter((line) => line.includes("Flags [R")), [], "resets");
  const answered = synAcks(seen).map((line) =>
    / > (\S+): Flags \[S\.\].* ack (\d+)/.exec(line)!.slice(1).join(" ")
  );
  assert.ok(answered.length >= answers.length, `${answered.length} answers to SYNs seen`);
  assert.equal(new Set(answered).size, answered.length, "a SYN was answered twice");
  // The others have seen nothing: same incarnation, same state, at most a heartbeat that was late.
  for (const node of lab.nodes.slice(1)) {
    const kinds = (await eventsOf(node)).filter((event) => event.node === "n1").map(({ kind }) => kind);
    assert.ok(!kinds.some((kind) => /dead|crashed|restarted|left/.test(kind)), kinds.join());
  }
  // What it reports each second may differ: rates, lateness.
  const lasting = ["name", "state", "reason", "incarnation", "weights", "shares"];
  const [before, after] = [views, await n1.farm()].map(({ members }) => {
    const self = members.find((member) => member.self)!;
    return Object.fromEntries(Object.entries(self).filter(([key]) => lasting.includes(key)));
  });
  assert.deepEqual(after, before);
  const { details } = (await eventsOf(n1)).find(({ kind }) => kind === "program.replaced")!;
  const restedMs = Number(details?.paused_ms).toFixed(0);
  console.log(
    `  no heartbeat for ${restedMs} ms; slowest of ${states.length} streams ${slowestMs.toFixed(0)} ms, ` +
      `of ${answers.length} attempts ${slowestAttemptMs.toFixed(0)} ms`,
  );
});

Deno.test({ name: "SIGUSR2 with a program that does not start: the old one goes on", ignore }, async () => {
  const { lab, n1, streams } = await farmWithStreams(50);
  await using _ = lab;
  const former = workerOf(n1);
  const good = await Deno.readTextFile(n1.configPath);
  for (const bad of ["farm: [", good.replace("interval: 100ms", "interval: 150ms").replace("8090", "8091")]) {
    assert.notEqual(bad, good);
    await Deno.writeTextFile(n1.configPath, bad);
    const count = async () =>
      (await eventsOf(n1)).filter(({ kind }) => kind === "program.not_replaced").length;
    const before = await count();
    Deno.kill(n1.daemon!.pid, "SIGUSR2");
    await lab.waitFor(async () => await count() > before, 30_000, "the event that says why");
  }
  const events = (await eventsOf(n1)).filter(({ kind }) => kind === "program.not_replaced");
  assert.match(events[0].message, /has errors/);
  assert.match(events[1].message, /differs/);
  assert.equal(workerOf(n1), former);
  await streams.goOn();
  assert.deepEqual((await streams.states()).filter(({ error }) => error !== undefined), []);
  assert.equal((await n1.ask("GET", "/readyz")).status, 200);
});

Deno.test(
  { name: "SIGKILL of the program alone: new connections go elsewhere, old ones wait", ignore },
  async () => {
    const { lab, n1, streams } = await farmWithStreams(CONNECTIONS);
    await using _ = lab;
    const client = lab.clients[0];
    const owner = await ownership(lab, client.station.ipv4);
    const sources = portsWhere(20_000, 300, (port) => owner(port) === "n1").map((port) => ({ port }));
    const elsewhereMs: number[] = [];
    let slowestMs = 0;
    for (let kill = 0; kill < 3; kill++) {
      await streams.states();
      const attempts = client.request({ ...http(lab), count: 300, sources, everyMs: 5, timeoutMs: 4_000 });
      await new Promise((resolve) => setTimeout(resolve, 300));
      const killedMs = wallMs();
      Deno.kill(workerOf(n1), "SIGKILL");
      const answers = await attempts;
      // A SYN that was lost is repeated a second later: the first one that each answered at once tells when it was there.
      const first = ["n2", "n3"].map((name) =>
        answers.find(({ node, startMs, durationMs }) =>
          node === name && startMs > killedMs && durationMs < 900
        )
      );
      elsewhereMs.push(Math.max(...first.map((answer) => (answer?.startMs ?? Infinity) - killedMs)));
      await lab.waitForMembers(["n1", "n2", "n3"]);
      await streams.goOn();
      const states = await streams.states();
      assert.deepEqual(states.filter(({ error }) => error !== undefined), [], "streams broken");
      slowestMs = Math.max(slowestMs, ...states.map((state) => state.slowestMs));
      // Two crashes within the hold are another story.
      const restMs = killedMs + HOLD_MS + 500 - wallMs();
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    }
    const shown = elsewhereMs.map((each) => each.toFixed(0)).join(", ");
    console.log(
      `  new connections elsewhere after ${shown} ms; ${CONNECTIONS} streams on after ${
        slowestMs.toFixed(0)
      } ms`,
    );
    assert.ok(elsewhereMs.toSorted((a, b) => a - b)[1] <= 100, `new connections elsewhere after ${shown} ms`);
  },
);

Deno.test(
  { name: "a program that is not back within the hold: its connections get resets", ignore },
  async () => {
    const { lab, n1, streams } = await farmWithStreams(200);
    await using _ = lab;
    const mine = (await streams.states()).map(({ port }) => port);
    const good = await Deno.readTextFile(n1.configPath);
    await Deno.writeTextFile(n1.configPath, "farm: [");
    const killedMs = wallMs();
    Deno.kill(workerOf(n1), "SIGKILL");
    await lab.waitFor(
      async () => (await streams.states()).every(({ error }) => error !== undefined),
      HOLD_MS + 25_000,
      "all connections to be reset",
    );
    const tookMs = wallMs() - killedMs;
    const errors = (await streams.states()).map(({ error }) => error);
    assert.equal(errors.length, mine.length);
    // Who writes in the moment of the reset is told that the pipe is broken.
    const others = errors.filter((error) => !/ECONNRESET|EPIPE/.test(error ?? ""));
    assert.deepEqual(others, [], "ends other than by a reset");
    assert.ok(tookMs >= HOLD_MS - 100, `resets after ${tookMs} ms already`);
    // The supervisor tries again and again, and the node comes back when it can.
    await Deno.writeTextFile(n1.configPath, good);
    await lab.waitForMembers(["n1", "n2", "n3"], 40_000);
  },
);

Deno.test({
  name: "SIGKILL of the supervisor: the node is silent, and the host is put back by the next start",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 2, clients: 1 });
  const [n1] = lab.nodes;
  const worker = workerOf(n1);
  const settings = async () =>
    (await lab.exec("n1", ["sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore"])).stdout.trim();
  assert.equal(await settings(), "1");
  await n1.killDaemon();
  await lab.waitFor(() => !runs(worker), GONE_MS, "the program to end with its supervisor");
  const links = async () => (await lab.exec("n1", ["ip", "-br", "address"])).stdout;
  await lab.waitFor(async () => !(await links()).includes("vipfarm0"), GONE_MS, "the virtual IPs to be gone");
  assert.equal(await settings(), "1", "nobody is there to put it back yet");
  await lab.startNode(1);
  await lab.waitForMembers(["n1", "n2"]);
  assert.ok(await hasEvent(n1, "host.leftovers_undone")());
  await n1.stopDaemon();
  assert.equal(await settings(), "0");
});

Deno.test(
  { name: "SIGTERM while the program is being replaced: the node leaves in order", ignore },
  async () => {
    const { lab, n1 } = await farmWithStreams(50);
    await using _ = lab;
    const [, n2] = lab.nodes;
    const children = async () =>
      (await Deno.readTextFile(`/proc/${n1.daemon!.pid}/task/${n1.daemon!.pid}/children`)).trim().split(" ");
    Deno.kill(n1.daemon!.pid, "SIGUSR2");
    await lab.waitFor(async () => (await children()).length === 2, 10_000, "the next program to start");
    const both = await children();
    await n1.stopDaemon();
    for (const pid of both) assert.throws(() => Deno.statSync(`/proc/${pid}`), Deno.errors.NotFound);
    await lab.waitForMembers(["n2", "n3"]);
    const kinds = (await eventsOf(n2)).filter(({ node }) => node === "n1").map(({ kind }) => kind);
    assert.ok(
      kinds.includes("member.left") && !kinds.some((kind) => /dead|crashed/.test(kind)),
      kinds.join(),
    );
  },
);
