/** Recorded and false heartbeats, and how they get to the nodes. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { FarmKeys } from "../../src/core/keys.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { SipHasher } from "../../src/ownership/siphash.ts";
import { type Heartbeat, HEARTBEAT_HEADER_BYTES, HeartbeatCodec } from "../../src/wire/heartbeat.ts";
import { sealed } from "../unit/wire/sealed.ts";
import { metric } from "./farm_failure_support.ts";
import { readPcap, UDP } from "./farm_frames.ts";
import type { Sending, Sent } from "./farm_heartbeat_sender.ts";

/** The defaults of the configuration. */
const GROUP = [239, 255, 86, 70], PORT = 4886;
const UDP_BYTES = 8;
/** Enough recorded heartbeats of every node. */
const RECORDED_MIN = 30;

/** Payloads of UDP datagrams. */
export type Datagrams = readonly Uint8Array<ArrayBuffer>[];

/** Genuine heartbeats of every node, as a client sees them on the wire, in the order in which they came. */
export async function record(lab: Lab): Promise<Datagrams> {
  const received = await Promise.all(
    lab.nodes.map((node) => metric(node, "vipfarm_heartbeats_received_total")),
  );
  // Probes of the LAN have that port, too.
  const capture = await lab.capture("c1", "eth0", `udp dst port ${PORT} and dst host ${GROUP.join(".")}`);
  // The counters are up to a second old: more must be counted than recorded.
  for (const [i, node] of lab.nodes.entries()) {
    await lab.waitFor(
      async () => await metric(node, "vipfarm_heartbeats_received_total") >= received[i] + 3 * RECORDED_MIN,
      20_000,
      `${node.name} to hear ${RECORDED_MIN} heartbeats of each other`,
    );
  }
  await capture.stop();
  const datagrams = readPcap(await capture.bytes()).flatMap(({ packet }) =>
    packet?.protocol === UDP ? [packet.payload.slice(UDP_BYTES)] : []
  );
  assert.ok(datagrams.length >= RECORDED_MIN * lab.nodes.length, `only ${datagrams.length} recorded`);
  return datagrams;
}

/** What the newest recorded heartbeat of every node says. */
function said(recorded: Datagrams, keys: FarmKeys): Heartbeat[] {
  const codec = codecOf(keys);
  const bySender = new Map<string, Heartbeat>();
  for (const bytes of recorded) {
    const heartbeat = codec.decode(bytes, { judge: () => "fresh" });
    assert.ok(typeof heartbeat !== "string", `a recorded heartbeat is refused: ${heartbeat}`);
    bySender.set(heartbeat.sender, heartbeat);
  }
  return [...bySender.values()];
}

/** Heartbeats of every node with other keys. If they were believed, they would take shares and drive nodes out. */
export function forged(recorded: Datagrams, keys: FarmKeys, forgedKeys: FarmKeys): Datagrams {
  const codec = codecOf(forgedKeys);
  return said(recorded, keys).flatMap((heartbeat) =>
    Array.from({ length: 40 }, (_, i) =>
      codec.encode({
        ...heartbeat,
        state: i % 2 === 0 ? "left" : "up",
        heard: [],
        // Later than the real one: neither a duplicate nor a replay.
        incarnation: heartbeat.incarnation + 3_600_000,
        sequence: i + 1,
      }))
  );
}

/** Heartbeats that would be genuine, of later incarnations, each with one bit changed behind its header. */
export function altered(recorded: Datagrams, keys: FarmKeys): Datagrams {
  const codec = codecOf(keys);
  return said(recorded, keys).flatMap((heartbeat, number) => {
    const later = { ...heartbeat, state: "left", incarnation: heartbeat.incarnation + 3_600_000 } as const;
    const { length } = codec.encode(later);
    return Array.from({ length: length - HEARTBEAT_HEADER_BYTES }, (_, i) => {
      const bytes = codec.encode({ ...later, sequence: i + 1 });
      bytes[HEARTBEAT_HEADER_BYTES + i] ^= 1 << ((i + number) & 7);
      return bytes;
    });
  });
}

function codecOf(keys: FarmKeys): HeartbeatCodec {
  return new HeartbeatCodec({
    farmTag: keys.farmTag,
    heartbeatKey: keys.heartbeatKey,
    headerHash: new SipHasher(keys.headerKey),
  });
}

/** What a node would go on to send if it spoke a later version of the protocol. */
export function ofLaterVersion(
  recorded: Datagrams,
  keys: FarmKeys,
  sender: string,
  count: number,
): Datagrams {
  const codec = codecOf(keys);
  const heartbeat = said(recorded, keys).find((each) => each.sender === sender);
  assert.ok(heartbeat !== undefined);
  return Array.from({ length: count }, (_, i) => {
    const later = { ...heartbeat, incarnation: heartbeat.incarnation + 3_600_000, sequence: i + 1 };
    return sealed(codec.encode(later), keys, (body) => body, 1);
  });
}

/** Sends from the client's namespace. */
export async function send(
  lab: Lab,
  datagrams: Datagrams,
  { flood, perSecond }: Pick<Sending, "flood" | "perSecond"> = {},
): Promise<Sent> {
  const program = new URL("./farm_heartbeat_sender.ts", import.meta.url).pathname;
  const sending: Sending = {
    interfaceName: "eth0",
    group: GROUP,
    port: PORT,
    datagrams: datagrams.map((bytes) => bytes.toBase64()),
    flood,
    perSecond,
  };
  const output = await lab.run("c1", [Deno.execPath(), "run", "-A", "--quiet", program], {
    input: JSON.stringify(sending),
    timeoutMs: 60_000,
  });
  return JSON.parse(output);
}

export function random(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBytes(length));
}
