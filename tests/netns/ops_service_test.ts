/**
 * A farm of three, run as the systemd unit runs it: an ordinary user with the unit's capabilities. It reports ready once
 * it has joined, carries traffic, and keeps every connection through a rolling replacement and through
 * `systemctl restart`; `systemctl stop` leaves nothing.
 */
import assert from "node:assert/strict";
import type { Answer } from "../../src/lab/client_protocol.ts";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { errorKinds } from "../../src/lab/spread.ts";
import { eventsOf, hasEvent, ignore, realtimeThreads } from "./farm_failure_support.ts";
import { http } from "./farm_support.ts";
import { NodeService } from "./ops_service.ts";
import { workerOf } from "./ops_threads.ts";
import { startStreamServer, Streams } from "./streams.ts";

const STREAM_PORT = 8090;
const CONNECTIONS = 500;
const ATTEMPTS_PER_S = 200;
/** Between two writes of one connection, and numbers in one. */
const EVERY_MS = 500, NUMBERS = 64;
/** A SYN that met nobody is repeated after a second, and once more after three. */
const RETRANSMISSION_MS = 1_000;

const NODES = ["n1", "n2", "n3"];

async function hostState(lab: Lab, node: LabNode): Promise<string> {
  const script = "ip -br link; ip -br address; sysctl -a -r '^net[.]ipv[46][.]conf[.]eth0[.]' | sort";
  return await lab.run(node.name, ["sh", "-c", script]);
}

Deno.test({
  name: "as the unit's user: ready once joined, traffic, rolling upgrade, restart, stop",
  ignore,
}, async () => {
  await using lab = await Lab.create({
    nodes: 3,
    clients: 1,
    config: {
      services: [
        { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
        { name: "echo", protocol: "udp", ports: [LAB_PORTS.echo] },
        { name: "stream", protocol: "tcp", ports: [STREAM_PORT] },
      ],
      nodes: Object.fromEntries(NODES.map((name) => [name, {}])),
      quorum: "majority",
    },
  });
  await lab.startServices();
  for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
  await lab.clients[0].start();
  using s1 = await NodeService.create(lab, 1);
  using s2 = await NodeService.create(lab, 2);
  using s3 = await NodeService.create(lab, 3);
  const services = [s1, s2, s3];
  const before = await Promise.all(lab.nodes.map((node) => hostState(lab, node)));

  // Alone it has no quorum: it runs, says so, and is not ready.
  s1.start();
  await lab.waitFor(() => /quorum/.test(s1.manager.status ?? ""), 30_000, "a status that names the quorum")
    .catch(async (error) => {
      throw new Error(`the daemon's log:\n${await s1.node.log()}`, { cause: error });
    });
  assert.deepEqual(s1.manager.momentsOf(/^READY=1$/), []);
  s2.start();
  s3.start();
  await lab.waitForMembers(NODES, 30_000);
  for (const { manager } of services) {
    await lab.waitFor(() => manager.momentsOf(/^READY=1$/).length === 1, 10_000, "READY=1");
    await lab.waitFor(() => /^up, \d+ % of new flows; All 3/.test(manager.status ?? ""), 10_000, "a share");
  }

  for (const node of lab.nodes) {
    const status = await Deno.readTextFile(`/proc/${workerOf(node)}/status`);
    assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
    assert.match(status, /^CapEff:\t000000c000003000$/m, "no more capabilities than the unit gives");
    const limits = await Deno.readTextFile(`/proc/${workerOf(node)}/limits`);
    const mayBeRealtime = !/^Max realtime priority +0 /m.test(limits);
    assert.equal((await realtimeThreads([workerOf(node)])).length, mayBeRealtime ? 1 : 0);
    const kinds = (await eventsOf(node)).map(({ kind }) => kind);
    assert.ok(!kinds.includes("prefilter.off"), kinds.join());
  }
  for (const protocol of ["tcp", "udp"] as const) {
    for (const address of [lab.virtualIps.ipv4[0], lab.virtualIps.ipv6[0]]) {
      const answers = await lab.clients[0].request({ protocol, address, port: LAB_PORTS.http, count: 60 });
      assert.deepEqual(answers.filter(({ error }) => error !== undefined), [], errorKinds(answers));
      assert.equal(new Set(answers.map(({ node }) => node)).size, 3, `${protocol} ${address}`);
    }
  }

  const streams = [lab.virtualIps.ipv4[0], lab.virtualIps.ipv6[0]].map((address) =>
    new Streams(lab, "c1", {
      address,
      port: STREAM_PORT,
      count: CONNECTIONS / 2,
      everyMs: EVERY_MS,
      numbers: NUMBERS,
    })
  );
  const goOn = () => Promise.all(streams.map((each) => each.goOn()));
  await goOn();
  const capture = await lab.capture(
    "c1",
    "eth0",
    "(tcp[tcpflags] & tcp-rst != 0) or (ip6 and ip6[53] & 4 != 0)",
  );

  const answeredPorts = new Set<number>();
  /** Streams and steady new connections while `during` runs; nothing may break. Gives the longest times. */
  const unbroken = async (what: string, attemptMsMax: number, during: () => Promise<void>) => {
    await Promise.all(streams.map((each) => each.states()));
    let over = false;
    const answers: Answer[] = [];
    const attempting = (async () => {
      const batch = {
        ...http(lab),
        count: ATTEMPTS_PER_S,
        everyMs: 1_000 / ATTEMPTS_PER_S,
        timeoutMs: 8_000,
      };
      while (!over) answers.push(...await lab.clients[0].request(batch));
    })();
    // What fails meanwhile comes first; the client may end by that.
    attempting.catch(() => {});
    await during();
    await goOn();
    over = true;
    await attempting;
    const states = (await Promise.all(streams.map((each) => each.states()))).flat();
    assert.deepEqual(states.filter(({ error }) => error !== undefined), [], `${what}: streams broken`);
    assert.equal(states.length, CONNECTIONS);
    assert.deepEqual(
      answers.filter(({ error }) => error !== undefined),
      [],
      `${what}: ${errorKinds(answers)}`,
    );
    for (const { port } of answers) answeredPorts.add(port);
    const streamMs = Math.max(...states.map(({ slowestMs }) => slowestMs));
    const attemptMs = Math.max(...answers.map(({ durationMs }) => durationMs));
    console.log(
      `  ${what}: ${states.length} streams, longest gap ${
        streamMs.toFixed(0)
      } ms; ${answers.length} attempts, ` +
        `slowest ${attemptMs.toFixed(0)} ms`,
    );
    assert.ok(attemptMs <= attemptMsMax, `${what}: slowest attempt ${attemptMs} ms`);
  };

  await unbroken("rolling upgrade of three nodes", 2 * RETRANSMISSION_MS, async () => {
    for (const node of lab.nodes) {
      const former = workerOf(node);
      Deno.kill(node.daemon!.pid, "SIGUSR2");
      await lab.waitFor(hasEvent(node, "program.replaced"), 90_000, `${node.name} to be replaced`);
      assert.notEqual(workerOf(node), former);
    }
  });
  await unbroken("systemctl restart of one node", 4 * RETRANSMISSION_MS, async () => {
    assert.equal(await s1.end("restart"), 0);
    assert.equal(await hostState(lab, lab.node(1)), before[0], "the host between stop and start");
    s1.start();
    await lab.waitForMembers(NODES, 30_000);
  });
  await capture.stop();
  // Of an attempt that had its answer, the client may say that it knows nothing: what TCP repeated while frames waited for
  // a successor reached a server that had closed, whose acknowledgement found a client that had closed.
  const resets = (await capture.lines()).filter((line) => {
    const [, port] = /\.(\d+) > \S+: Flags \[R\],/.exec(line) ?? [];
    return !answeredPorts.has(Number(port));
  });
  assert.deepEqual(resets, [], "resets");

  for (const [index, service] of services.entries()) {
    assert.equal(await service.end("stop"), 0);
    assert.equal(await hostState(lab, lab.nodes[index]), before[index], `what ${service.node.name} leaves`);
    assert.equal(service.manager.momentsOf(/^STOPPING=1$/).length, index === 0 ? 2 : 1);
  }
});
