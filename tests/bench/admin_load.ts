/**
 * Does a busy admin endpoint delay heartbeats or packets? A farm of three real nodes, one of them asked by 200 event
 * streams and 1,000 requests a second; its heartbeats' lateness and the round trips of pings that it answers, without
 * load, with it, and without it again: `deno task bench:admin`. The first run of figures is in src/README.md.
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
/** How often requests are sent: as many at once as are due. */
const TICK_MS = 5;
/** Pings a second in each phase. */
const PINGS_PER_SECOND = 100;
const PHASE_MS = 15_000;
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
  const startMs = performance.now();
  let sent = 0;
  while (performance.now() - startMs < options.durationMs) {
    const due = Math.floor((performance.now() - startMs) * options.perSecond / 1000);
    for (; sent < due; sent++) await askers[sent % CONNECTIONS].ask(REQUESTS[sent % REQUESTS.length]);
    await new Promise((next) => setTimeout(next, TICK_MS));
  }
  const answered = () => askers.reduce((sum, asker) => sum + asker.answered, 0);
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

interface Phase {
  readonly name: string;
  readonly load?: LoadOptions;
}

const PHASES: readonly Phase[] = [
  { name: "idle" },
  { name: "200 streams, 1,000 requests/s", load: { streams: 200, perSecond: 1_000, durationMs: PHASE_MS } },
  { name: "idle again" },
];

/** A client's address whose pings this node answers. */
async function addressOf(lab: Lab, node: LabNode): Promise<string> {
  for (const address of lab.clients[0].station.ipv4) {
    const { owner } = await node.api<{ owner: string }>("GET", `/api/v1/explain?client=${address}`);
    if (owner === node.name) return address;
  }
  throw new Error(`${node.name} owns no client's address`);
}

async function runPhase(lab: Lab, node: LabNode, from: string, { name, load }: Phase): Promise<string> {
  const { at_ms: before } = await node.api<HistoryAnswer>("GET", "/api/v1/history");
  const count = PHASE_MS / 1000 * PINGS_PER_SECOND;
  const ping = [
    "ping",
    "-n",
    "-I",
    from,
    "-i",
    String(1 / PINGS_PER_SECOND),
    "-c",
    String(count),
    lab.virtualIps.ipv4[0],
  ];
  const pinging = lab.run(lab.clients[0].name, ping, { timeoutMs: 3 * PHASE_MS });
  const loaded = load === undefined ? undefined : await measureLoad(node, load);
  const times = [...(await pinging).matchAll(/time=([\d.]+) ms/g)].map(([, ms]) => Number(ms)).sort((a, b) =>
    a - b
  );
  const at = (quantile: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * quantile))].toFixed(3);
  const history = await node.api<HistoryAnswer>("GET", `/api/v1/history?after=${before.at(-1) ?? 0}`);
  const lateness = history.nodes[node.name].lateness_ms.filter((ms) => ms !== null).sort((a, b) => a - b);
  const asked = loaded === undefined ? "" : `${loaded.answered} answered, ${loaded.failed} not`;
  return `| ${name} | ${lateness[lateness.length >> 1].toFixed(1)} | ${lateness.at(-1)!.toFixed(1)} | ${
    at(0.5)
  } | ` +
    `${at(0.99)} | ${at(1)} | ${count - times.length} | ${asked} |`;
}

if (import.meta.main) {
  await using lab = await Lab.create({ nodes: 3, addressesPerClient: 20 });
  await lab.startServices();
  await lab.startNodes();
  await lab.waitForMembers(lab.nodes.map(({ name }) => name));
  const [node] = lab.nodes;
  const from = await addressOf(lab, node);
  console.log(
    "| phase | heartbeat lateness ms, median second | max | ping ms, median | 99 % | max | lost | requests |",
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
  for (const phase of PHASES) console.log(await runPhase(lab, node, from, phase));
}
