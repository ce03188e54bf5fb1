/** What comes from the other nodes, listened to as the daemon would: who is there, of which farm, with which clock. */
import { realtimeMs } from "../../ffi/clock.ts";
import { addresses } from "../../ffi/rtnetlink.ts";
import { UdpSocket } from "../../ffi/udp_socket.ts";
import { type FarmConfig } from "../config/load.ts";
import { readSecret } from "../config/secret.ts";
import { addressFromBytes, type IpAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { deriveKeys } from "../core/keys.ts";
import { SipHasher } from "../ownership/siphash.ts";
import { type Heartbeat, HeartbeatCodec, type RejectReason } from "../wire/heartbeat.ts";
import type { Finding } from "./finding.ts";

/** Whoever is there is heard within so many heartbeat intervals, two lost heartbeats included. */
const LISTEN_INTERVALS = 3;
/** And others are listened for at least this long. */
const LISTEN_MS_MIN = 500;
/** Wall clocks may differ so much before logs of two nodes cannot be read side by side. */
const CLOCK_MS_MAX = 2_000;

/** One message that came in. */
export interface Heard {
  readonly from: string;
  readonly message: Heartbeat | RejectReason;
  /** This host's wall clock when it was read. */
  readonly atMs: number;
}

/** The group or address, and what was heard there. */
export interface Listened {
  readonly where: string;
  readonly heard: readonly Heard[];
}

/**
 * Opens the sockets of one heartbeat interface as the daemon would, and listens.
 * @throws VipfarmError if one cannot be opened
 */
export async function listen(
  config: FarmConfig,
  link: { readonly index: number; readonly name: string },
): Promise<Listened[]> {
  const families = new Set(addresses(link.index).map(({ family }) => family));
  const sockets: Array<{ readonly where: string; readonly socket: UdpSocket }> = [];
  try {
    for (const { where, open } of socketsOf(config, link, families)) sockets.push({ where, socket: open() });
    const listenMs = Math.max(LISTEN_INTERVALS * config.heartbeat.intervalMs, LISTEN_MS_MIN);
    await new Promise((resolve) => setTimeout(resolve, listenMs));
    const codec = await codecOf(config);
    return sockets.map(({ where, socket }) => ({ where, heard: readAll(socket, codec) }));
  } finally {
    for (const { socket } of sockets) socket.close();
  }
}

function socketsOf(
  { heartbeat: { groups, port, peers } }: FarmConfig,
  { index: interfaceIndex, name: interfaceName }: { readonly index: number; readonly name: string },
  families: ReadonlySet<4 | 6>,
): Array<{ where: string; open: () => UdpSocket }> {
  if (peers.length === 0) {
    const group = groupInUse(groups, families);
    const options = { interfaceIndex, interfaceName, group: group.bytes, port };
    const where = `heartbeat group ${group.text} port ${port} joined on ${interfaceName}`;
    return [{ where, open: () => UdpSocket.openMulticast(options) }];
  }
  const used = new Set(peers.map(({ family }) => family));
  return [...used].filter((family) => families.has(family)).map((family) => {
    const localAddress = new Uint8Array(family === 4 ? 4 : 16);
    const where = `UDP port ${port} for heartbeats is free on ${interfaceName} (IPv${family})`;
    return {
      where,
      open: () => UdpSocket.openUnicast({ interfaceIndex, interfaceName, localAddress, port }),
    };
  });
}

/** The one of its two groups that a node uses on an interface with addresses of these families. */
export function groupInUse(
  { ipv4, ipv6 }: FarmConfig["heartbeat"]["groups"],
  families: ReadonlySet<4 | 6>,
): IpAddress {
  return families.has(4) && ipv4 !== undefined ? ipv4 : ipv6;
}

/** What to say of another host that is the same node. */
export function nameTaken(name: string, from: string): { problem: string; remedy: string } {
  return {
    problem: `another host (${from}) is the node ${name} already`,
    remedy: "Give each node a name of its own, with --node or VIPFARM_NODE.",
  };
}

/** Without the secret, it can only be told that somebody is there. */
async function codecOf({ secretFile, farm }: FarmConfig): Promise<HeartbeatCodec | undefined> {
  try {
    const keys = deriveKeys(await readSecret(secretFile), farm);
    return new HeartbeatCodec({ ...keys, headerHash: new SipHasher(keys.headerKey) });
  } catch (error) {
    if (error instanceof VipfarmError) return undefined;
    throw error;
  }
}

function readAll(socket: UdpSocket, codec: HeartbeatCodec | undefined): Heard[] {
  const heard: Heard[] = [];
  for (let count; (count = socket.receiveBatch()) > 0;) {
    for (let i = 0; i < count; i++) {
      heard.push({
        from: addressFromBytes(socket.sourceAddress(i).slice()).text,
        // Nothing is done with it: a recording does no harm here.
        message: codec?.decode(socket.message(i), { judge: () => "fresh" }) ?? "foreignFarm",
        atMs: realtimeMs(),
      });
    }
  }
  return heard;
}

/** What is odd about what was heard, and who was. Pure. */
export function judgeHeard(config: FarmConfig, nodeName: string, { where, heard }: Listened): Finding[] {
  const findings: Finding[] = [];
  const nodes = new Map<string, { from: string; message: Heartbeat; atMs: number }>();
  const refused = new Map<RejectReason, Set<string>>();
  for (const { from, message, atMs } of heard) {
    if (typeof message !== "string") nodes.set(message.sender, { from, message, atMs });
    else refused.set(message, (refused.get(message) ?? new Set()).add(from));
  }
  const names = [...nodes.keys()];
  findings.push({
    ok: true,
    what: `${where}; ${
      names.length === 0 ? "no other node is heard (there may be none yet)" : `heard: ${names.join(", ")}`
    }`,
  });
  for (const [name, { from, message, atMs }] of nodes) {
    if (name === nodeName) {
      const { problem, remedy } = nameTaken(name, from);
      findings.push({ ok: false, what: problem, remedy });
    }
    const aheadMs = message.wallClockMs - atMs;
    if (Math.abs(aheadMs) > CLOCK_MS_MAX) {
      const differs = `${(Math.abs(aheadMs) / 1000).toFixed(0)} s ${aheadMs > 0 ? "ahead of" : "behind"}`;
      findings.push({
        ok: "warning",
        what:
          `the clock of ${name} is ${differs} this host's; the farm does not need them, people who read logs do`,
        remedy: "Run systemd-timesyncd or chrony on both.",
      });
    }
    if (message.servicesDigest !== config.servicesDigest) {
      findings.push({
        ok: "warning",
        what: `${name} has other virtual IPs or services in its file`,
        remedy: "Use the same file on every node: vipfarm invite and vipfarm join carry it.",
      });
    }
  }
  const foreign = refused.get("foreignFarm");
  if (foreign !== undefined) {
    findings.push({
      ok: "warning",
      what: `another farm sends to the same group and port: ${[...foreign].join(", ")}`,
      remedy:
        "If it is meant to be this one, name and secret must be the same. Else give each a heartbeat.port of its own.",
    });
  }
  const version = refused.get("version");
  if (version !== undefined) {
    findings.push({
      ok: "warning",
      what: `a version of vipfarm that this one does not understand runs on ${[...version].join(", ")}`,
      remedy: "Install the same version on all nodes, or one that is next to theirs.",
    });
  }
  return findings;
}
