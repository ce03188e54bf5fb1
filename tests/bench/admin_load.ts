/**
 * Does a busy admin endpoint delay heartbeats or packets? A farm of three real nodes, one of them asked by 200 event
 * streams and 1,000 requests a second; its heartbeats' lateness and the round trips of pings that it answers, with
 * that load and without it, in turns: `deno task bench:admin`. The first run of figures is in src/README.md.
 */
import { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import type { HistoryAnswer } from "../../src/admin/detail_schemas.ts";

export interface LoadOptions {
  readonly streams: number;
  /** Requests a second. */
  readonly perSecond: number;
  readonly durationMs: number;
}

export interface LoadResult {
  /** Streams that were open to the end. */
  readonly streams: number;
  readonly answered: number;
  readonly failed: number;
}

/** Connections that requests go over, one after the other on each. */
const CONNECTIONS = 16;
/** Requests under way at most: a node that cannot keep up is asked less often, which the count of answers shows. */
const UNANSWERED_MAX = 500;
/** How often requests are sent: as many at once as are due. */
const TICK_MS = 5;
/** Pings a second. */
const PINGS_PER_SECOND = 100;
/** Both ways take turns, so that whatever else the machine does falls on both. */
const ROUNDS = 4;
const ROUND_MS = 6_000;
/** What is asked: mostly small questions, and the whole farm now and then, as consoles and probes do. */
const PATHS = [
  "/readyz",
  "/api/v1/explain?client=10.1.2.3&port=4711&service=http",
  "/readyz?service=http",
  "/api/v1/farm",
];

const ANSWER = "HTTP/1.1 200 OK\r\n";

const encoder = new TextEncoder();
const REQUESTS = PATHS.map((path) => encoder.encode(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`));

/** One connection with requests in flight, which counts answers. */
class Asker {
  answered = 0;
  sent = 0;
  #tail = "";

  private constructor(readonly connection: Deno.Conn) {}

  static async open(path: string): Promise<Asker> {
    const asker = new Asker(await Deno.connect({ transport: "unix", path }));
    void asker.#read();
    return asker;
  }

  async ask(request: Uint8Array): Promise<void> {
    this.sent++;
    await this.connection.write(request);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.connection.readable) {
        const text = this.#tail + decoder.decode(chunk, { stream: true });
        const parts = text.split(ANSWER);
        this.answered += parts.length - 1;
        this.#tail = parts[parts.length - 1].slice(1 - ANSWER.length); // less than one: none is counted twice
      }
    } catch {
      // Closed at the end.
    }
  }
}

/** Keeps streams open on a node and asks it so often; gives what was answered. */
export async function measureLoad(node: LabNode, options: LoadOptions): Promise<LoadResult> {
  const path = `${node.runtimeDirectory}/admin.sock`;
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path }, poolMaxIdlePerHost: 0 });
  const leave = new AbortController();
  const bodies = await Promise.all(Array.from({ length: options.streams }, async () => {
    const { body } = await fetch("http://localhost/api/v1/events", { client, signal: leave.signal });
    return body!;
  }));
  let open = bodies.length;
  const streams = bodies.map((body) =>
    body.pipeTo(new WritableStream(), { signal: leave.signal }).catch(() => {}).finally(() => open--)
  );
  const askers = await Promise.all(Array.from({ length: CONNECTIONS }, () => Asker.open(path)));
  const answered = () => askers.reduce((sum, asker) => sum + asker.answered, 0);
  const startMs = performance.now();
  let sent = 0;
  while (performance.now() - startMs < options.durationMs) {
    const due = Math.floor((performance.now() - startMs) * options.perSecond / 1000);
    for (; sent < due && sent - answered() < UNANSWERED_MAX; sent++) {
      await askers[sent % CONNECTIONS].ask(REQUESTS[sent % REQUESTS.length]);
    }
    await new Promise((next) => setTimeout(next, TICK_MS));
  }
  const deadlineMs = performance.now() + 10_000;
  while (answered() < sent && performance.now() < deadlineMs) {
    await new Promise((next) => setTimeout(next, TICK_MS));
  }
  const result = { streams: open, answered: answered(), failed: sent - answered() };
  leave.abort();
  await Promise.all(streams);
  for (const { connection } of askers) connection.close();
  client.close();
  return result;
}

/** What was measured of one way to run, over all its rounds. */
interface Measured {
  readonly latenessMs: number[];
  readonly pingMs: number[];
  lost: number;
  answered: number;
  failed: number;
}

const LOAD: LoadOptions = { streams: 200, perSecond: 1_000, durationMs: ROUND_MS };

/** The node that answers this client's pings. */
async function pingedBy(lab: Lab, client: string): Promise<LabNode> {
  const { owner } = await lab.nodes[0].api<{ owner: string }>("GET", `/api/v1/explain?client=${client}`);
  return lab.nodes.find(({ name }) => name === owner)!;
}

async function round(lab: Lab, node: LabNode, from: string, load: boolean, into: Measured): Promise<void> {
  const { at_ms: before } = await node.api<HistoryAnswer>("GET", "/api/v1/history");
  const count = ROUND_MS / 1000 * PINGS_PER_SECOND;
  const every = String(1 / PINGS_PER_SECOND);
  const argv = ["ping", "-n", "-I", from, "-i", every, "-c", String(count), lab.virtualIps.ipv4[0]];
  const pinging = lab.run(lab.clients[0].name, argv, { timeoutMs: 6 * ROUND_MS });
  if (load) {
    const { answered, failed } = await measureLoad(node, LOAD);
    into.answered += answered;
    into.failed += failed;
  }
  const times = [...(await pinging).matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
  into.pingMs.push(...times);
  into.lost += count - times.length;
  const history = await node.api<HistoryAnswer>("GET", `/api/v1/history?after=${before.at(-1) ?? 0}`);
  into.latenessMs.push(...history.nodes[node.name].lateness_ms.filter((ms) => ms !== null));
}

function line(name: string, { latenessMs, pingMs, lost, answered, failed }: Measured): string {
  const at = (values: number[], quantile: number) => {
    const sorted = values.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))].toFixed(2);
  };
  return `| ${name} | ${at(latenessMs, 0.5)} | ${at(latenessMs, 1)} | ${at(pingMs, 0.5)} | ${
    at(pingMs, 0.99)
  } | ` +
    `${at(pingMs, 1)} | ${lost} | ${answered} | ${failed} |`;
}

if (import.meta.main) {
  await using lab = await Lab.create({ nodes: 3 });
  await lab.startServices();
  await lab.startNodes();
  await lab.waitForMembers(lab.nodes.map(({ name }) => name));
  const from = lab.clients[0].station.ipv4;
  const node = await pingedBy(lab, from);
  const empty = (): Measured => ({ latenessMs: [], pingMs: [], lost: 0, answered: 0, failed: 0 });
  const [idle, loaded] = [empty(), empty()];
  for (let i = 0; i < ROUNDS; i++) {
    await round(lab, node, from, false, idle);
    await round(lab, node, from, true, loaded);
  }
  console.log(
    "| | lateness ms, median second | max | ping ms, median | 99 % | max | lost | answered | failed |",
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
  console.log(line("idle", idle));
  console.log(line(`${LOAD.streams} streams, ${LOAD.perSecond} requests/s`, loaded));
}
