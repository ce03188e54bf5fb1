/**
 * What is measured, the same for every contender: three clients at once, each with a wrk or an iperf3.
 */
import { messageOf } from "../../../src/core/errors.ts";
import type { Contender } from "./contender.ts";
import type { Round } from "./report.ts";
import type { Machine, Topology } from "./topology.ts";
import { downloadsInTurns } from "./turns.ts";

/** Where the clients find a contender's HTTP service and, each of them, its own bulk port. */
export interface Endpoint {
  readonly address: string;
  readonly httpPort: number;
  readonly bulkPorts: readonly number[];
}

/** One round's figures of one contender. */
export interface Figures {
  keepAlivePerS: number;
  connectPerS: number;
  latencyP50Us: number;
  latencyP99Us: number;
  downloadGbps: number;
  /** With one client: the cores have room, and the path shows more than what is left of them. */
  downloadOneGbps: number;
  uploadGbps: number;
}

/** Enough to keep two cores busy, few enough that queueing does not hide the path. */
const CONNECTIONS_PER_CLIENT = 16;
/** More than one, so that a contender may spread them; few, so that each stays a bulk stream. */
const STREAMS_PER_CLIENT = 2;
/** A server that refuses this often, with this pause between, is not merely late. */
const BULK_ATTEMPTS = 3, BULK_PAUSE_MS = 1_000;

interface WrkResult {
  requestsPerS: number;
  p50Us: number;
  p99Us: number;
}

function latencyUs(output: string, percentile: string): number {
  const found = output.match(new RegExp(`^\\s+${percentile}%\\s+([\\d.]+)(us|ms|s)$`, "m"));
  if (!found) throw new Error(`wrk printed no ${percentile}% latency:\n${output}`);
  return Number(found[1]) * { us: 1, ms: 1_000, s: 1_000_000 }[found[2] as "us" | "ms" | "s"];
}

/** Reads wrk's report. Any failed request makes the figure worthless, so it is an error. */
export function parseWrk(output: string): WrkResult {
  const rate = output.match(/^Requests\/sec:\s+([\d.]+)$/m);
  if (!rate) throw new Error(`wrk printed no rate:\n${output}`);
  if (/Non-2xx|Socket errors/.test(output)) {
    throw new Error(`wrk saw failed requests:\n${output}`);
  }
  return { requestsPerS: Number(rate[1]), p50Us: latencyUs(output, "50"), p99Us: latencyUs(output, "99") };
}

/** Runs a load generator for the given time and returns what it printed. */
async function load(client: Machine, seconds: number, argv: string[]): Promise<string> {
  // A generator that takes longer than its time by this much hangs on a contender that does not answer.
  const { stdout } = await client.namespace.run(argv, { timeoutMs: (seconds + 15) * 1_000 });
  return stdout;
}

async function wrk(
  client: Machine,
  endpoint: Endpoint,
  seconds: number,
  connections: number,
  close: boolean,
): Promise<WrkResult> {
  return parseWrk(
    await load(client, seconds, [
      ...["wrk", "--latency", "-t1", `-c${connections}`, `-d${seconds}s`],
      ...(close ? ["-H", "Connection: close"] : []),
      `http://${endpoint.address}:${endpoint.httpPort}/`,
    ]),
  );
}

async function requestsPerS(
  clients: readonly Machine[],
  endpoint: Endpoint,
  seconds: number,
  close: boolean,
): Promise<number> {
  const results = await Promise.all(
    clients.map((client) => wrk(client, endpoint, seconds, CONNECTIONS_PER_CLIENT, close)),
  );
  return results.reduce((sum, result) => sum + result.requestsPerS, 0);
}

/** Bits per second that arrived, from iperf3's report. Throws with what iperf3 says if there was no transfer. */
export function receivedBitsPerS(output: string): number {
  const report = JSON.parse(output);
  const rate: unknown = report.end?.sum_received?.bits_per_second;
  if (report.error !== undefined || typeof rate !== "number" || rate <= 0) {
    throw new Error(`iperf3 moved nothing: ${report.error ?? output}`);
  }
  return rate;
}

/** Gbit/s that arrived at the servers, from all clients together. */
async function uploadGbps(
  clients: readonly Machine[],
  endpoint: Endpoint,
  seconds: number,
): Promise<number> {
  const rates = await Promise.all(clients.map(async (client, i) =>
    receivedBitsPerS(
      await load(client, seconds, [
        ...["iperf3", "--json", "-c", endpoint.address, "-p", `${endpoint.bulkPorts[i]}`],
        ...["-P", `${STREAMS_PER_CLIENT}`, "-t", `${seconds}`],
      ]),
    )
  ));
  return rates.reduce((sum, rate) => sum + rate, 0) / 1e9;
}

/**
 * Tries again, a bounded number of times, what an iperf3 server refuses because it has not yet heard the end of
 * the test before: behind a proxy that takes a while.
 */
async function insist<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  for (let left = BULK_ATTEMPTS - 1; left > 0; left--) {
    try {
      return await attempt();
    } catch (error) {
      console.error(`${what} again: ${messageOf(error)}`);
      await new Promise((resolve) => setTimeout(resolve, BULK_PAUSE_MS));
    }
  }
  return await attempt();
}

/** One measurement: seconds of load, and what they say. */
type Measurement = (
  clients: readonly Machine[],
  endpoint: Endpoint,
  seconds: number,
) => Promise<Partial<Figures>>;

/** Of contender and straight one after the other. */
const MEASUREMENTS: readonly Measurement[] = [
  async (clients, endpoint, seconds) => ({
    keepAlivePerS: await requestsPerS(clients, endpoint, seconds, false),
  }),
  async (clients, endpoint, seconds) => ({
    connectPerS: await requestsPerS(clients, endpoint, seconds, true),
  }),
  // Latency is measured alone and one request at a time: under load it says only how long the queues are.
  async ([client], endpoint, seconds) => {
    const { p50Us, p99Us } = await wrk(client, endpoint, seconds, 1, false);
    return { latencyP50Us: p50Us, latencyP99Us: p99Us };
  },
  async (clients, endpoint, seconds) => ({
    uploadGbps: await insist("upload", () => uploadGbps(clients, endpoint, seconds)),
  }),
];

/**
 * All figures of a contender, which serves at the endpoint, and of straight: in turns, one measurement at a time, each
 * so many seconds long.
 */
export async function measure(
  contender: Contender,
  topology: Topology,
  endpoint: Endpoint,
  seconds: number,
): Promise<Round> {
  const { clients, straight } = topology;
  const round = { figures: {} as Figures, straight: {} as Figures };
  for (const measurement of MEASUREMENTS) {
    Object.assign(round.figures, await measurement(clients, endpoint, seconds));
    await contender.pause?.(topology);
    Object.assign(round.straight, await measurement(clients, straight, seconds));
    await contender.resume?.(topology);
    await contender.settle?.(topology);
  }
  const endpoints = { contender: endpoint, straight };
  for (const [key, some] of [["downloadGbps", clients], ["downloadOneGbps", clients.slice(0, 1)]] as const) {
    const downloads = await insist(
      `download (${some.length} clients)`,
      () => downloadsInTurns(contender, topology, some, endpoints, STREAMS_PER_CLIENT, seconds),
    );
    await contender.settle?.(topology);
    round.figures[key] = downloads.contender;
    round.straight[key] = downloads.straight;
  }
  topology.assertRunning();
  return round;
}

/** The node that answers each client's request, by the body that each node's server sends. */
export function answeringNodes(clients: readonly Machine[], endpoint: Endpoint): Promise<string[]> {
  const url = `http://${endpoint.address}:${endpoint.httpPort}/`;
  return Promise.all(clients.map(async ({ namespace }) => {
    const { stdout } = await namespace.run(["curl", "-sS", "--max-time", "2", url]);
    return stdout.trim();
  }));
}
