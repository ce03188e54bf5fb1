/**
 * `demo --once`: one walk through what a farm does. Each step says in plain words what happens, does it with the real
 * daemons, checks the claim from the client's side, and prints the figures that were seen.
 */

import type { Answer, RequestBatch, Source } from "./client_protocol.ts";
import { type Lab, LAB_PORTS } from "./lab.ts";
import type { LabNode } from "./node.ts";
import type { Report } from "./report.ts";
import { errorKinds, outageSince, spreadOf } from "./spread.ts";

/** Requests of a spread: enough that the shares are plain to see, few enough for a second. */
const REQUESTS = 300;
/** Addresses and requests for client affinity. */
export const TOUR_CLIENT_ADDRESSES = 20;
const REQUESTS_PER_ADDRESS = 5;
/** Flows whose owner is asked of every node. */
const EXPLAINED_FLOWS = 20;
/** Attempts while a node dies: one every 5 ms, over flows of that node only. */
const PROBE_EVERY_MS = 5;
const PROBE_COUNT = 400;
const PROBE_FLOWS_MIN = 80;
/** Below PROBE_FLOWS_MIN × PROBE_EVERY_MS, so that a port is free again when its turn comes. */
const PROBE_TIMEOUT_MS = 300;
const PROBE_HEAD_START_MS = 300;
/** A dead node's share is answered again within this at default settings. */
const TAKEOVER_MAX_MS = 700;
const SETTLE_TIMEOUT_MS = 15_000;

/** What the steps share. */
export interface Tour {
  readonly lab: Lab;
  readonly report: Report;
  readonly weights: ReadonlyMap<string, number>;
}

/** Walks through all steps. */
export async function runTour(tour: Tour): Promise<void> {
  const first = await requestsSpread(tour);
  await everyNodeKnows(tour, first);
  await sameClientSameNode(tour);
  await ipv6AndUdp(tour);
  const victim = tour.lab.node(tour.lab.nodes.length > 1 ? 2 : 1);
  if (tour.lab.nodes.length > 1) {
    const flows = await flowsOf(tour, victim, first);
    await nodeDies(tour, victim, flows);
    await nodeComesBack(tour, victim, flows);
    await nodeDrains(tour, victim);
  }
  await cleanStop(tour);
}

async function requestsSpread(tour: Tour): Promise<readonly Answer[]> {
  const { lab, report } = tour;
  const vip = lab.virtualIps.ipv4[0];
  report.step(
    "Requests spread over the nodes",
    `The client sends ${REQUESTS} requests to http://${vip}:${LAB_PORTS.http}/, each on a new connection. Every node ` +
      "receives every packet; each keeps those that a hash of the client's address and port gives it and drops the " +
      "rest. The answer says which node it came from.",
  );
  const answers = await request(tour, { address: vip, port: LAB_PORTS.http, count: REQUESTS });
  checkSpread(tour, answers, tour.weights);
  return answers;
}

async function everyNodeKnows(tour: Tour, answers: readonly Answer[]): Promise<void> {
  const { lab, report } = tour;
  report.step(
    "Every node knows who answers whom",
    "Nobody hands requests out: each node works out the owner by itself, and all come to the same result. " +
      `"vipfarm explain CLIENT:PORT" shows it; here it is asked of every node for ${EXPLAINED_FLOWS} of those requests.`,
  );
  const flows = answers.filter((answer) => answer.node !== undefined).slice(0, EXPLAINED_FLOWS);
  const wrong: string[] = [];
  for (const flow of flows) {
    const named = await Promise.all(lab.nodes.map((node) => node.explain(flow.address, flow.port, "http")));
    for (const [i, { owner }] of named.entries()) {
      if (owner !== flow.node) {
        wrong.push(
          `${lab.nodes[i].name} names ${owner} for ${flow.address}:${flow.port}, ${flow.node} answered`,
        );
      }
    }
  }
  const sample = flows[0];
  report.check(
    wrong.length === 0 && flows.length > 0,
    wrong[0] ?? `${flows.length} × ${lab.nodes.length} times the node that had really answered was named, ` +
        `for example ${sample?.node} for ${sample?.address}:${sample?.port}`,
  );
}

async function sameClientSameNode(tour: Tour): Promise<void> {
  const { lab, report } = tour;
  const addresses = lab.clients[0].station.ipv4All.slice(0, TOUR_CLIENT_ADDRESSES);
  report.step(
    "A service can keep each client on one node",
    `Port ${LAB_PORTS.sticky} is a service with "affinity: client": only the client's address counts, not its port. ` +
      `${addresses.length} client addresses send ${REQUESTS_PER_ADDRESS} requests each.`,
  );
  const sources = Array.from(
    { length: REQUESTS_PER_ADDRESS },
    () => addresses.map((address) => ({ address })),
  ).flat();
  const answers = await request(tour, {
    address: lab.virtualIps.ipv4[0],
    port: LAB_PORTS.sticky,
    count: sources.length,
    sources,
  });
  const met = new Map<string, Set<string>>();
  for (const { address, node } of answers) {
    if (node !== undefined) met.set(address, (met.get(address) ?? new Set()).add(node));
  }
  const torn = [...met].filter(([, nodes]) => nodes.size > 1);
  const used = new Set([...met.values()].flatMap((nodes) => [...nodes]));
  checkAllAnswered(report, answers);
  report.check(
    met.size === addresses.length && torn.length === 0,
    torn.length > 0
      ? `${torn[0][0]} met ${[...torn[0][1]].join(" and ")}`
      : `each of ${met.size} addresses met one node only; together they met ${[...used].sort().join(", ")}`,
  );
}

async function ipv6AndUdp(tour: Tour): Promise<void> {
  const { lab, report } = tour;
  const [ipv6] = lab.virtualIps.ipv6;
  report.step(
    "IPv6 and UDP too",
    `The same over IPv6 to [${ipv6}]:${LAB_PORTS.http}, then ${REQUESTS} UDP datagrams to each address. A datagram must be ` +
      "answered once: if two nodes kept it, the client would get two answers.",
  );
  checkSpread(
    tour,
    await request(tour, { address: ipv6, port: LAB_PORTS.http, count: REQUESTS }),
    tour.weights,
  );
  for (const address of [lab.virtualIps.ipv4[0], ipv6]) {
    const answers = await request(tour, {
      protocol: "udp",
      address,
      port: LAB_PORTS.echo,
      count: REQUESTS,
      concurrency: 32,
      settleMs: 20,
    });
    const times = (n: number) => answers.filter((answer) => (answer.nodes?.length ?? 0) === n).length;
    report.check(
      times(1) === answers.length,
      `UDP to ${address}: ${times(1)} of ${answers.length} answered once, ${times(0)} never, ` +
        `${answers.length - times(0) - times(1)} more than once`,
    );
  }
}

async function nodeDies(tour: Tour, victim: LabNode, flows: readonly Source[]): Promise<void> {
  const { lab, report } = tour;
  report.step(
    `${victim.name} dies`,
    `The daemon of ${victim.name} is killed (SIGKILL: no goodbye) while the client keeps asking every ` +
      `${PROBE_EVERY_MS} ms, only with connections that ${victim.name} used to answer. The others miss its heartbeats ` +
      "(one every 100 ms, five missed) and take its share.",
  );
  const probing = request(tour, {
    address: lab.virtualIps.ipv4[0],
    port: LAB_PORTS.http,
    count: PROBE_COUNT,
    everyMs: PROBE_EVERY_MS,
    timeoutMs: PROBE_TIMEOUT_MS,
    sources: flows,
  });
  await new Promise((resolve) => setTimeout(resolve, PROBE_HEAD_START_MS));
  const killedMs = await victim.killDaemon();
  const answers = await probing;
  const outage = outageSince(answers, killedMs);
  report.check(
    outage.over && outage.lengthMs <= TAKEOVER_MAX_MS,
    outage.over
      ? `its share was answered again ${
        outage.lengthMs.toFixed(0)
      } ms after the kill (allowed: ${TAKEOVER_MAX_MS} ms); ` +
        `${outage.failed} of ${answers.length} attempts failed in between (${errorKinds(answers)})`
      : `its share was still unanswered after ${PROBE_COUNT * PROBE_EVERY_MS} ms`,
  );
  const rest = without(tour.weights, victim.name);
  const heirs = answers.filter((answer) => answer.startMs > killedMs + outage.lengthMs);
  const byNode = spreadOf(heirs, rest).shares.filter((share) => share.count > 0);
  report.line(
    `     taken over by ${byNode.map((share) => `${share.name} (${share.count})`).join(", ") || "nobody"}`,
  );
  await lab.waitForMembers([...rest.keys()], SETTLE_TIMEOUT_MS);
  checkSpread(
    tour,
    await request(tour, { address: lab.virtualIps.ipv4[0], port: LAB_PORTS.http, count: REQUESTS }),
    rest,
  );
}

async function nodeComesBack(tour: Tour, victim: LabNode, flows: readonly Source[]): Promise<void> {
  const { lab, report } = tour;
  report.step(
    `${victim.name} comes back`,
    "Its daemon is started again, first undoes what the crash left on the host, and gets back exactly the share that it " +
      "had: the hash has no memory, so nothing else moves.",
  );
  const beganMs = performance.now();
  await lab.startNode(victim.name);
  await lab.waitForMembers([...tour.weights.keys()], SETTLE_TIMEOUT_MS);
  const tookMs = performance.now() - beganMs;
  const batch = {
    address: lab.virtualIps.ipv4[0],
    port: LAB_PORTS.http,
    count: flows.length,
    sources: flows,
  };
  const answers = await settled(tour, batch, (answer) => answer.node === victim.name);
  const own = answers.filter((answer) => answer.node === victim.name).length;
  report.check(
    own === flows.length,
    `${own} of ${flows.length} connections that it used to answer are its own again, ${
      seconds(tookMs)
    } after its start` +
      (own === flows.length ? "" : ` (${errorKinds(answers) || "the others went elsewhere"})`),
  );
}

async function nodeDrains(tour: Tour, victim: LabNode): Promise<void> {
  const { lab, report } = tour;
  const asked = lab.node(1);
  report.step(
    `${victim.name} is drained for maintenance, and resumed`,
    `"vipfarm drain ${victim.name}", said to any node (here ${asked.name}), gives it weight 0: it takes no new connection.`,
  );
  const path = `/api/v1/nodes/${victim.name}`;
  const batch = { address: lab.virtualIps.ipv4[0], port: LAB_PORTS.http, count: REQUESTS };
  await asked.api("POST", `${path}/drain`);
  const drained = await settled(tour, batch, (answer) => answer.node !== victim.name);
  checkSpread(tour, drained, without(tour.weights, victim.name));
  await asked.api("POST", `${path}/resume`);
  await lab.waitForMembers([...tour.weights.keys()], SETTLE_TIMEOUT_MS);
  let resumed = await request(tour, batch);
  if (!spreadOf(resumed, tour.weights).shares.every((share) => share.plausible)) {
    resumed = await request(tour, batch);
  }
  checkSpread(tour, resumed, tour.weights);
}

async function cleanStop(tour: Tour): Promise<void> {
  const { lab, report } = tour;
  const last = lab.nodes.at(-1)!;
  report.step(
    "Clean stop",
    `${last.name} is stopped in order (SIGTERM) while the client keeps asking: it says goodbye, and the others take over ` +
      "without waiting for missed heartbeats. Then all the others are stopped.",
  );
  if (lab.nodes.length > 1) {
    const probing = request(tour, {
      address: lab.virtualIps.ipv4[0],
      port: LAB_PORTS.http,
      count: PROBE_COUNT,
      everyMs: PROBE_EVERY_MS,
      // Long enough for the kernel's own second try of a connection (1 s), which is what a browser would see.
      timeoutMs: 2500,
    });
    await new Promise((resolve) => setTimeout(resolve, PROBE_HEAD_START_MS));
    await last.stopDaemon();
    const answers = await probing;
    const slowest = Math.max(...answers.map((answer) => answer.durationMs));
    const failed = answers.filter((answer) => answer.node === undefined);
    report.check(
      failed.length === 0,
      `${answers.length - failed.length} of ${answers.length} requests answered across the stop` +
        (failed.length > 0 ? ` (${failed[0].error})` : `, the slowest in ${slowest.toFixed(0)} ms`),
    );
  }
  await Promise.all(lab.nodes.map((node) => node.stopDaemon()));
  const addresses = await Promise.all(lab.nodes.map((node) => lab.run(node.name, ["ip", "-o", "address"])));
  const vips = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
  const left = lab.nodes.filter((_, i) => vips.some((vip) => addresses[i].includes(` ${vip}/`)));
  report.check(
    left.length === 0,
    left.length === 0
      ? "all daemons ended with exit code 0, and no node has the virtual IPs any more"
      : `${left.map((node) => node.name).join(", ")} still has a virtual IP`,
  );
}

/** Flows that one node answers: those seen, and more requests until there are enough. */
async function flowsOf(tour: Tour, node: LabNode, seen: readonly Answer[]): Promise<Source[]> {
  const flows = new Map<number, Source>();
  let answers = seen;
  for (let round = 0; round < 40; round++) {
    for (const { node: name, address, port } of answers) {
      if (name === node.name) flows.set(port, { address, port });
    }
    if (flows.size >= PROBE_FLOWS_MIN) break;
    answers = await request(tour, {
      address: tour.lab.virtualIps.ipv4[0],
      port: LAB_PORTS.http,
      count: REQUESTS,
    });
  }
  return [...flows.values()].slice(0, PROBE_FLOWS_MIN);
}

/** Sends a batch, and again until every answer pleases: a change needs some heartbeats to reach every node. */
async function settled(
  tour: Tour,
  batch: Omit<RequestBatch, "protocol">,
  pleases: (answer: Answer) => boolean,
): Promise<readonly Answer[]> {
  const deadlineMs = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const answers = await request(tour, batch);
    if (answers.every(pleases) || performance.now() > deadlineMs) return answers;
  }
}

function request(
  tour: Tour,
  batch: Omit<RequestBatch, "protocol"> & { protocol?: RequestBatch["protocol"] },
): Promise<readonly Answer[]> {
  return tour.lab.clients[0].request({ protocol: "tcp", ...batch });
}

function checkSpread(tour: Tour, answers: readonly Answer[], weights: ReadonlyMap<string, number>): void {
  const { report } = tour;
  const { shares, unexpected } = spreadOf(answers, weights);
  report.table(
    ["node", "weight", "answered", "share", "by weight"],
    shares.map(({ name, weight, count, seen, wanted }) => [
      name,
      String(weight),
      String(count),
      percent(seen),
      percent(wanted),
    ]),
  );
  checkAllAnswered(report, answers);
  const odd = shares.filter((share) => !share.plausible);
  report.check(
    odd.length === 0 && unexpected.length === 0,
    unexpected.length > 0
      ? `${unexpected.join(", ")} answered, which should not take new requests`
      : odd.length > 0
      ? `${odd.map((share) => share.name).join(", ")} answered more or fewer than chance explains`
      : "each share is what its weight promises, as near as chance allows",
  );
}

function checkAllAnswered(report: Report, answers: readonly Answer[]): void {
  const failed = answers.filter((answer) => answer.node === undefined);
  report.check(
    failed.length === 0 && answers.length > 0,
    failed.length === 0
      ? `all ${answers.length} requests were answered`
      : `${failed.length} of ${answers.length} requests were not answered (${errorKinds(answers)})`,
  );
}

function without(weights: ReadonlyMap<string, number>, name: string): Map<string, number> {
  return new Map([...weights].filter(([other]) => other !== name));
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}

/** A duration for people. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
