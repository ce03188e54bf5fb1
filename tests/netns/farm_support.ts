/** What the tests of a whole farm share: bringing one up, asking every node, and reading its counters. */

import assert from "node:assert/strict";
import { vipfarmArgv } from "../../src/host/program.ts";
import { Lab, LAB_PORTS, type LabOptions, type StartOptions } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";

/** Why farms cannot be made here; undefined if they can. */
export const farmUnavailable: string | undefined = await labUnavailable();

/** The key is the same in each run: with fixed ports, what is owned by whom does not depend on chance. */
const SECRET = "a farm of three nodes, for tests";
/** Joining and claiming take a second; a loaded machine gets its time. */
const SETTLE_TIMEOUT_MS = 30_000;

/** Questions that an admin endpoint is asked in a row without waiting for answers. */
const QUESTIONS_MAX = 100;

/** A lab with everything running and every bucket claimed by one node. */
export async function startFarm(options: LabOptions, start: StartOptions = {}): Promise<Lab> {
  const lab = await Lab.create(options);
  try {
    await Deno.writeTextFile(`${lab.directory}/secret`, btoa(SECRET) + "\n", { mode: 0o600 });
    await bringUp(lab, start);
    return lab;
  } catch (error) {
    await lab.dispose();
    throw error;
  }
}

/** Starts everything in a lab, and waits until every bucket is claimed by one node. */
export async function bringUp(lab: Lab, start: StartOptions = {}): Promise<void> {
  await withLogs(lab, async () => {
    await Promise.all([lab.startServices(), lab.startNodes(start)]);
    await Promise.all(lab.clients.map((client) => client.start()));
    await waitForClaims(lab);
  });
}

/** Shows what the nodes have logged if `run` fails. */
export async function withLogs(lab: Lab, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    for (const node of lab.nodes) console.log(`log of ${node.name}:\n${await node.log()}`);
    throw error;
  }
}

/** The HTTP service on the first virtual IP, for a batch of requests. */
export function http(lab: Lab) {
  return { protocol: "tcp", address: lab.virtualIps.ipv4[0], port: LAB_PORTS.http } as const;
}

/** What runs the daemon of a node. */
export function runArgv(node: LabNode): string[] {
  const { configPath, name, runtimeDirectory } = node;
  return vipfarmArgv("run", "-c", configPath, "--node", name, "--runtime-dir", runtimeDirectory);
}

/** Milliseconds since 1970, as the clients count. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

interface Claims {
  readonly members: ReadonlyArray<{ self: boolean; claimed?: Readonly<Record<string, number>> }>;
}

/** Waits until the nodes' claims of each service add up to everything. */
async function waitForClaims(lab: Lab): Promise<void> {
  await lab.waitFor(
    async () => {
      const total: Record<string, number> = {};
      for (const node of lab.nodes) {
        const { members } = await node.api<Claims>("GET", "/api/v1/farm");
        const claimed = members.find(({ self }) => self)?.claimed ?? {};
        for (const [service, share] of Object.entries(claimed)) {
          total[service] = (total[service] ?? 0) + share;
        }
      }
      const shares = Object.values(total);
      return shares.length > 0 && shares.every((share) => share === 1);
    },
    SETTLE_TIMEOUT_MS,
    "the nodes to claim all buckets",
  );
}

/** A flow to ask about; without a port, whose the client's pings are. */
export interface Flow {
  readonly address: string;
  readonly port?: number;
}

/** What every node says: whose each flow is. @throws if they do not all say the same. */
export async function owners(
  lab: Lab,
  service: string | undefined,
  flows: readonly Flow[],
): Promise<string[]> {
  const told = await Promise.all(lab.nodes.map((node) => ownersByAll(node, service, flows)));
  for (const [i, answers] of told.entries()) {
    assert.deepEqual(answers, told[0], `${lab.nodes[i].name} and ${lab.nodes[0].name} say the same`);
  }
  return told[0];
}

/** Asks one node about any number of flows, a few connections' worth. */
async function ownersByAll(
  node: LabNode,
  service: string | undefined,
  flows: readonly Flow[],
): Promise<string[]> {
  const named: string[] = [];
  for (let from = 0; from < flows.length; from += QUESTIONS_MAX) {
    named.push(...await ownersBy(node, service, flows.slice(from, from + QUESTIONS_MAX)));
  }
  return named;
}

/** Asks one node about many flows over one connection, without waiting between the questions (RFC 9112, 9.3.2). */
async function ownersBy(
  node: LabNode,
  service: string | undefined,
  flows: readonly Flow[],
): Promise<string[]> {
  const connection = await Deno.connect({ transport: "unix", path: `${node.runtimeDirectory}/admin.sock` });
  try {
    const questions = flows.map(({ address, port }, i) => {
      const query = new URLSearchParams({
        client: address,
        ...(port !== undefined && { port: String(port) }),
        ...(service !== undefined && { service }),
      });
      const last = i === flows.length - 1 ? "Connection: close\r\n" : "";
      return `GET /api/v1/explain?${query} HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`;
    });
    const asking = new Blob(questions).stream().pipeTo(connection.writable, { preventClose: true });
    const text = await new Response(connection.readable).text();
    await asking;
    const named = [...text.matchAll(/"bucket":\d+,"owner":(?:"([^"]+)"|null)/g)].map(([, name]) => name);
    assert.equal(named.length, flows.length, `${node.name} explains each flow: ${text.slice(0, 400)}`);
    return named;
  } finally {
    try {
      connection.close();
    } catch {
      // Reading to the end has closed it.
    }
  }
}

/** What a node's packet thread counted, and what its kernel dropped before. */
export interface Counters {
  readonly captured: number;
  /** Dropped by the kernel because another node owns it; 0 where the kernel has no prefilter. */
  readonly filtered: number;
  /** Taken by the kernel for this node before they were captured; 0 where it has no fast path. */
  readonly fast: number;
  readonly ringDrops: number;
  readonly verdicts: Readonly<Record<string, number>>;
}

/** Reads a node's `/metrics`. */
export async function counters(node: LabNode): Promise<Counters> {
  const text = await node.api<string>("GET", "/metrics");
  const value = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);
  const verdicts = text.matchAll(/^vipfarm_packets_total\{.*verdict="(\w+)".*\} (\S+)$/gm);
  return {
    captured: value("vipfarm_packets_captured_total"),
    filtered: value("vipfarm_packets_filtered_total") || 0,
    fast: value("vipfarm_packets_fast_total") || 0,
    ringDrops: value("vipfarm_ring_drops_total"),
    verdicts: Object.fromEntries([...verdicts].map(([, name, count]) => [name, Number(count)])),
  };
}

/** What was counted between two readings. */
export function since(before: Counters, after: Counters): Counters {
  return {
    captured: after.captured - before.captured,
    filtered: after.filtered - before.filtered,
    fast: after.fast - before.fast,
    ringDrops: after.ringDrops - before.ringDrops,
    verdicts: Object.fromEntries(
      Object.entries(after.verdicts).map(([name, count]) => [name, count - (before.verdicts[name] ?? 0)]),
    ),
  };
}

/** Frames that were seen, but for those that the nodes send each other. */
export function ofClients({ captured, filtered, fast, verdicts }: Counters): number {
  return captured + filtered + fast - verdicts.lan_probe;
}

/** The MAC of a station's own interface. */
export async function ownMac(lab: Lab, name: string): Promise<string> {
  const [link] = JSON.parse(await lab.run(name, ["ip", "-json", "link", "show", "eth0"]));
  return link.address;
}

/** How often each value occurs. */
export function tally<Key>(values: Iterable<Key>): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
