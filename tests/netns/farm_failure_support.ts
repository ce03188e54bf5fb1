/** What the suites about failing, stopping and drained nodes share: who owns which port, and what nodes tell. */

import assert from "node:assert/strict";
import { readSecret } from "../../src/config/secret.ts";
import { parseAddress } from "../../src/core/address.ts";
import type { FarmEvent } from "../../src/core/events.ts";
import { deriveKeys, type FarmKeys } from "../../src/core/keys.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { AFFINITY, FlowHash } from "../../src/ownership/flow_hash.ts";
import { column } from "../../src/ownership/rendezvous.ts";
import { OwnerTable } from "../../src/ownership/table.ts";
import { farmUnavailable } from "./farm_support.ts";

if (farmUnavailable !== undefined) console.log(`skipped: ${farmUnavailable}`);
/** Whether this machine cannot have a lab. */
export const ignore = farmUnavailable !== undefined;

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

/** What a node has recorded, oldest first; since a moment (wall clock, ms) if one is given. */
export async function eventsOf(node: LabNode, sinceMs = -Infinity): Promise<readonly FarmEvent[]> {
  const { events } = await node.api<{ events: FarmEvent[] }>("GET", "/api/v1/events?format=json");
  return events.filter(({ at }) => Date.parse(at) >= sinceMs);
}

/** Asks whether a node has recorded an event; no while it cannot be asked, as between two programs. */
export function hasEvent(node: LabNode, kind: string): () => Promise<boolean> {
  return async () => (await eventsOf(node).catch(() => [])).some((event) => event.kind === kind);
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

/** `min 1, median 2, p95 3, p99 4, max 5 (of 200)` in whole milliseconds. */
export function spread(values: readonly number[]): string {
  const at = (part: number) => Math.round(quantile(values, part));
  return `min ${at(0)}, median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, max ${
    at(1)
  } (of ${values.length})`;
}

/** The value below which that part of the values lies (nearest rank). */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))];
}

/** A process and all that it has started. */
export async function processesOf(pid: number): Promise<number[]> {
  const children = (await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`)).trim().split(" ").filter(
    Boolean,
  );
  return [pid, ...(await Promise.all(children.map((child) => processesOf(Number(child))))).flat()];
}

/** Signals all processes of a node's daemon: SIGSTOP holds it still, SIGCONT lets it go on. */
export async function signalDaemon(node: LabNode, signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
  for (const pid of await processesOf(node.daemon!.pid)) Deno.kill(pid, signal);
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
