/** What the tests of single packets share: servers that tell what arrived, and how to read what was seen. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Lab } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import { ACK, ICMP, ICMPV6, type SeenFrame, SYN, UDP } from "./farm_frames.ts";
import { RawClient } from "./farm_raw.ts";
import { ownMac } from "./farm_support.ts";
import { type Seen, Watch } from "./farm_watch.ts";

/** TCP and UDP port of farm_program.ts. */
export const PORT = 8090;
const PROGRAM = fileURLToPath(new URL("./farm_program.ts", import.meta.url));

/** How to start farm_program.ts. */
export function programArgv(...args: string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--quiet", "--no-config", PROGRAM, ...args];
}

/** What the steps work with. */
export class Farm {
  private constructor(
    readonly watch: Watch,
    readonly client: Lab["clients"][number]["station"],
    /** Sends from the first client, and from the second, which plays a router. */
    readonly raw: RawClient,
    readonly router: RawClient,
    /** Node by the MAC of its own interface. */
    readonly nodeOf: ReadonlyMap<string, string>,
  ) {}

  static async of(lab: Lab): Promise<Farm> {
    const nodes = await Promise.all(
      lab.nodes.map(async ({ name }) => [await ownMac(lab, name), name] as const),
    );
    return new Farm(
      await Watch.start(lab),
      lab.clients[0].station,
      await RawClient.open(lab, "c1"),
      await RawClient.open(lab, "c2"),
      new Map(nodes),
    );
  }
}

/** Starts farm_program.ts on each node. */
export async function startServers(lab: Lab): Promise<void> {
  const addresses = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
  await Promise.all(lab.nodes.map(async ({ name }) => {
    const server = lab.spawn(name, programArgv("server", name, `${PORT}`, ...addresses), {
      stdout: "piped",
      stderr: "inherit",
    });
    const output = lines(server.child.stdout);
    assert.equal((await output.next()).value, "ready", `the server of ${name}`);
    await output.return(undefined);
  }));
}

interface ServerAnswer {
  readonly address: string;
  readonly port: number;
  readonly node: string;
  readonly bytes: number;
  readonly digest: string;
}

/** Answers of farm_program.ts to datagrams. */
export function answersIn(frames: readonly SeenFrame[]): ServerAnswer[] {
  return frames.flatMap(({ packet }) => {
    if (packet?.protocol !== UDP || packet.sourcePort !== PORT) return [];
    const [node, bytes, digest] = new TextDecoder().decode(packet.payload.subarray(8)).split(" ");
    return [{
      address: packet.destination,
      port: packet.destinationPort,
      node,
      bytes: Number(bytes),
      digest,
    }];
  });
}

/** SYN-ACKs of the farm. */
export function synAcksIn(frames: readonly SeenFrame[]): SeenFrame[] {
  return frames.filter(({ packet }) =>
    packet !== undefined && (packet.tcpFlags & (SYN | ACK)) === (SYN | ACK)
  );
}

/** Whether it is ICMP or ICMPv6. */
export function isIcmp(protocol: number | undefined): boolean {
  return protocol === ICMP || protocol === ICMPV6;
}

/** How many such packets each node's kernel was given; nodes without any are left out. */
export function countByNode(seen: Seen, wanted: (frame: SeenFrame) => boolean): Record<string, number> {
  const counts = [...seen.tuns].map(([node, frames]) => [node, frames.filter(wanted).length] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** The path MTU that a node's kernel has learnt for its way from the virtual IP to a client. */
export async function pathMtu(
  lab: Lab,
  node: string,
  family: "ipv4" | "ipv6",
  client: string,
): Promise<number | undefined> {
  const argv = [
    "ip",
    family === "ipv4" ? "-4" : "-6",
    "route",
    "get",
    client,
    "from",
    lab.virtualIps[family][0],
  ];
  const mtu = /\bmtu (\d+)/.exec(await lab.run(node, argv))?.[1];
  return mtu === undefined ? undefined : Number(mtu);
}
