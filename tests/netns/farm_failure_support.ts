/** What the suites about failing, stopping and drained nodes share: who owns which port, and who said what. */

import assert from "node:assert/strict";
import { readSecret } from "../../src/config/secret.ts";
import { parseAddress } from "../../src/core/address.ts";
import type { FarmEvent } from "../../src/core/events.ts";
import { deriveKeys, type FarmKeys } from "../../src/core/keys.ts";
import type { Capture } from "../../src/lab/capture.ts";
import type { Answer } from "../../src/lab/client_protocol.ts";
import { Lab, type LabOptions } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { AFFINITY, FlowHash } from "../../src/ownership/flow_hash.ts";
import { column } from "../../src/ownership/rendezvous.ts";
import { OwnerTable } from "../../src/ownership/table.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
/** Whether this machine cannot have a lab. */
export const ignore = unavailable !== undefined;

/** A running farm: services and daemons of all nodes are up. */
export async function startFarm(options: LabOptions): Promise<Lab> {
  const lab = await Lab.create(options);
  try {
    await lab.startServices();
    await lab.startNodes();
    await Promise.all(lab.clients.map((client) => client.start()));
    return lab;
  } catch (error) {
    await lab.dispose();
    throw error;
  }
}

/** The farm's keys, from the lab's secret. */
export async function keysOf(lab: Lab): Promise<FarmKeys> {
  return deriveKeys(await readSecret(`${lab.directory}/secret`), "lab");
}

/** The owner of a client's flow among nodes of equal weight, computed here and not asked of anybody. */
export async function ownership(
  lab: Lab,
  client: string,
  names = lab.nodes.map((node) => node.name),
): Promise<(port: number) => string> {
  const keys = await keysOf(lab);
  const hash = new FlowHash(keys.flowKey);
  const { owner } = OwnerTable.build(
    names.map((name) => ({ name, weight: 100, column: column(keys.rendezvousKey, name) })),
  );
  const address = parseAddress(client);
  assert.ok(address);
  return (port) => names[owner[hash.bucket(AFFINITY.connection, address.bytes, 0, address.family, port)]];
}

/** The first `count` ports from `from` on that satisfy `wanted`. */
export function portsWhere(from: number, count: number, wanted: (port: number) => boolean): number[] {
  const ports: number[] = [];
  for (let port = from; ports.length < count; port++) {
    assert.ok(port < 65_536, "there are not so many ports");
    if (wanted(port)) ports.push(port);
  }
  return ports;
}

/** What a node has recorded, oldest first. */
export async function eventsOf(node: LabNode): Promise<readonly FarmEvent[]> {
  return (await node.api<{ events: FarmEvent[] }>("GET", "/api/v1/events?format=json")).events;
}

/** Waits until every other running node has replaced a member. */
export async function waitForDeath(lab: Lab, name: string): Promise<void> {
  for (const node of lab.nodes) {
    if (!node.daemon?.running || node.name === name) continue;
    await lab.waitFor(
      async () => (await node.farm()).members.find((member) => member.name === name)?.state === "dead",
      20_000,
      `${node.name} to replace ${name}`,
    );
  }
}

/** A counter of `/metrics`; 0 where there is none. `labels` as they stand there. */
export async function metric(node: LabNode, name: string, labels = ""): Promise<number> {
  const text = await node.api<string>("GET", "/metrics");
  const line = text.split("\n").find((line) =>
    line.startsWith(labels === "" ? `${name} ` : `${name}{${labels}} `)
  );
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(" ") + 1));
}

/** The failures among answers, for a message: `timeout 3, ECONNRESET 1`. */
export function failures(answers: readonly Answer[]): string {
  const kinds = new Map<string, number>();
  for (const { error } of answers) if (error !== undefined) kinds.set(error, (kinds.get(error) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => `${kind} ${count}`).join(", ");
}

/** `min 1, median 2, p99 3, max 4` of some durations, in whole milliseconds. */
export function distribution(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]);
  return `min ${at(0)}, median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)} of ${sorted.length}`;
}

/** One TCP segment with SYN or RST that left a node. */
export interface Segment {
  readonly node: string;
  readonly atMs: number;
  readonly clientPort: number;
  readonly syn: boolean;
  readonly rst: boolean;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Of the segment that this answers: the client's clock when it sent that (RFC 7323, TSecr); undefined if it has none. */
  readonly echoedMs: number | undefined;
}

/** Filter for the SYN-ACKs and RSTs that a node sends from the virtual IP, over IPv4. */
export function answersFilter(vip: string): string {
  return `src host ${vip} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0`;
}

const ETHERNET_BYTES = 14;

/** Reads the segments of a stopped capture made with {@link answersFilter}; the pcap file is read as it is. */
export async function segmentsOf(node: string, capture: Capture): Promise<Segment[]> {
  const bytes = await capture.bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // pcap(5): magic a1b2c3d4 in the byte order of the writer, with microseconds; 24 bytes, then 16 for each record.
  const little = view.getUint32(0, true) === 0xa1b2c3d4;
  assert.ok(little || view.getUint32(0) === 0xa1b2c3d4, "not a pcap file");
  const segments: Segment[] = [];
  for (let at = 24; at + 16 <= bytes.length;) {
    const atMs = view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / 1000;
    const ip = at + 16 + ETHERNET_BYTES;
    const tcp = ip + (view.getUint8(ip) & 15) * 4;
    const flags = view.getUint8(tcp + 13);
    segments.push({
      node,
      atMs,
      clientPort: view.getUint16(tcp + 2),
      syn: (flags & 2) !== 0,
      rst: (flags & 4) !== 0,
      sequence: view.getUint32(tcp + 4),
      acknowledgement: view.getUint32(tcp + 8),
      echoedMs: echoedTimestamp(view, tcp),
    });
    at += 16 + view.getUint32(at + 8, little);
  }
  return segments;
}

/** TSecr of the timestamps option (RFC 7323 section 3.2) of a TCP header; undefined if it has none. */
function echoedTimestamp(view: DataView, tcp: number): number | undefined {
  const end = tcp + (view.getUint8(tcp + 12) >> 4) * 4;
  for (let at = tcp + 20; at < end;) {
    const kind = view.getUint8(at);
    if (kind === 0) return undefined;
    if (kind === 8) return view.getUint32(at + 6);
    at += kind === 1 ? 1 : Math.max(2, view.getUint8(at + 1));
  }
  return undefined;
}

/**
 * SYNs that more than one answer was given to. A SYN is known by the client's port, its initial sequence number and
 * when it was sent: if an answer is lost, another node may have taken over by the time the client sends the SYN again. The
 * same SYN-ACK sent again by the same node (RFC 6298 section 5) is one answer.
 */
export function doublyAnswered(segments: readonly Segment[]): string[] {
  const answers = new Map<string, Map<string, number>>();
  for (const { node, clientPort, syn, rst, sequence, acknowledgement, echoedMs, atMs } of segments) {
    if (!syn || rst) continue;
    const key = `port ${clientPort}, acknowledgement ${acknowledgement}, sent at ${echoedMs}`;
    const given = answers.get(key) ?? new Map<string, number>();
    const answer = `${node} with ${sequence}`;
    answers.set(key, given.set(answer, Math.min(atMs, given.get(answer) ?? Infinity)));
  }
  return [...answers].filter(([, given]) => given.size > 1).map(([key, given]) => {
    const inOrder = [...given].sort(([, a], [, b]) => a - b);
    const told = inOrder.map(([answer, atMs]) => `${answer} after ${(atMs - inOrder[0][1]).toFixed(0)} ms`);
    return `${key}: ${told.join("; ")}`;
  });
}

/** A process and all that it has started. */
export async function processesOf(pid: number): Promise<number[]> {
  const children = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim().split(" ").filter(
    Boolean,
  );
  return [pid, ...(await Promise.all(children.map((child) => processesOf(Number(child))))).flat()];
}

/** Ids of the threads of these processes that run under SCHED_FIFO. */
export async function realtimeThreads(pids: readonly number[]): Promise<number[]> {
  const threads: number[] = [];
  for (const pid of pids) {
    for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
      // Threads of the runtime come and go.
      const stat = await Deno.readTextFile(`/proc/${pid}/task/${name}/stat`).catch(() => "");
      // proc_pid_stat(5): the policy is field 41; the name, field 2, may contain blanks and ends with the last ")".
      const policy = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[41 - 3];
      if (policy === "1") threads.push(Number(name));
    }
  }
  return threads;
}
