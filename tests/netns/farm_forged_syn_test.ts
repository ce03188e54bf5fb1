/**
 * Buckets that several nodes may have connections in: a forged SYN must not end one of them, and a kernel that answers
 * with SYN cookies must get the packets that bring them back.
 */

import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { TCP_FLAG } from "../../src/wire/tcp.ts";
import { ignore } from "./farm_failure_support.ts";
import { ip, RawClient } from "./farm_raw.ts";
import { http } from "./farm_support.ts";
import { startStreamServer, Streams } from "./streams.ts";

const STREAM_PORT = 8090;
/** Half of them are on the node that drains: their groups of buckets are a tenth of all. */
const STREAMS = 200;
const NEW_CONNECTIONS = 200;
const WAIT_MS = 30_000;
/** One service, so that streams and requests share buckets. */
const SERVICES = [{ name: "web", protocol: "tcp", ports: [LAB_PORTS.http, STREAM_PORT] }];

/** Two nodes with open streams on both, the first of which drains. */
async function drained(): Promise<{ lab: Lab; streams: Streams }> {
  const lab = await Lab.create({ nodes: 2, clients: 2, config: { services: SERVICES } });
  try {
    await lab.startServices();
    for (const { name } of lab.nodes) await startStreamServer(lab, name, STREAM_PORT);
    await lab.startNodes();
    await Promise.all(lab.clients.map((client) => client.start()));
    const [address] = lab.virtualIps.ipv4;
    const streams = new Streams(lab, "c1", {
      address,
      port: STREAM_PORT,
      count: STREAMS,
      everyMs: 500,
      numbers: 16,
    });
    await streams.goOn();
    await lab.node(1).api("POST", "/api/v1/nodes/n1/drain");
    await streams.goOn();
    return { lab, streams };
  } catch (error) {
    await lab.dispose();
    throw error;
  }
}

async function assertAllLive(streams: Streams): Promise<void> {
  await streams.goOn();
  assert.deepEqual((await streams.states()).filter(({ error }) => error !== undefined), []);
}

Deno.test({ name: "a SYN that is forged for an open connection ends it on no node", ignore }, async () => {
  const { lab, streams } = await drained();
  await using _ = lab;
  const [address] = lab.virtualIps.ipv4;
  const sockets = await lab.run("c1", [
    "ss",
    "-Htn",
    "state",
    "established",
    "dst",
    `${address}:${STREAM_PORT}`,
  ]);
  const ports = sockets.trim().split("\n").map((line) => Number(/:(\d+)\s+\S+$/.exec(line.trim())![1]));
  assert.equal(ports.length, STREAMS);
  using attacker = await RawClient.open(lab, "c2");
  for (const sourcePort of ports) {
    attacker.send({
      source: ip(lab.clients[0].station.ipv4),
      destination: ip(address),
      tcp: {
        sourcePort,
        destinationPort: STREAM_PORT,
        flags: TCP_FLAG.syn,
        sequence: 1_000_000 + sourcePort,
      },
    });
  }
  const halfOpen = async () =>
    (await lab.run("n2", ["ss", "-Htn", "state", "syn-recv"])).split("\n").filter(Boolean).length;
  await lab.waitFor(async () => await halfOpen() > STREAMS / 5, WAIT_MS, "what the SYNs leave half-open");
  await assertAllLive(streams);
});

Deno.test({ name: "new connections by SYN cookies are made in contested buckets, too", ignore }, async () => {
  const { lab, streams } = await drained();
  await using _ = lab;
  for (const { name } of lab.nodes) await lab.run(name, ["sysctl", "-qw", "net.ipv4.tcp_syncookies=2"]);
  const answers = await lab.clients[1].request({ ...http(lab), count: NEW_CONNECTIONS, timeoutMs: 10_000 });
  assert.deepEqual(answers.filter(({ error }) => error !== undefined), []);
  await assertAllLive(streams);
});
