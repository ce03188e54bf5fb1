/**
 * Downloads, contender and straight in turns of a seventh of a second. What else runs on the host changes what a machine
 * moves from one second to the next by more than what is to be told apart, so the two take turns much faster than that:
 * every client has connections to both open all the time, and the load generators whose turn it is not are stopped
 * (SIGSTOP), as is the contender while straight has its turn, if it runs even while nobody asks.
 */
import type { LabProcess } from "../../../src/lab/process.ts";
import { waitFor } from "../../../src/lab/wait.ts";
import type { Contender } from "./contender.ts";
import type { Endpoint } from "./measure.ts";
import { INTERFACE, type Machine, type Topology } from "./topology.ts";

/**
 * Of a turn, so much is left out and so much counts, in ms. A contender is stopped for both together, which must be well
 * below vipfarm's lease of 400 ms: after 240 ms a node now and then had lost it, and packets went the slow way. What was
 * due meanwhile, it does in the part that is left out, and its next heartbeat, 100 ms later, in the part that counts. What
 * the other load's servers still send into its clients' buffers is sent in the part that is left out, too.
 */
const SETTLE_MS = 40, COUNTED_MS = 100;
/** What has not begun to flow after this time will not. */
const FLOW_TIMEOUT_MS = 10_000;
/** A connection that has moved so much is past its slow start. */
const FLOWING_BYTES = 50_000_000;
/** Generators are ended; this only keeps them from going on for ever if the rig is killed. */
const SPARE_S = 60;
const END_TIMEOUT_MS = 10_000;

/** Gbit/s that arrived at the clients. */
export interface Downloads {
  contender: number;
  straight: number;
}

/** The download load of all clients from one endpoint, running or stopped. */
class Load {
  readonly #generators: readonly LabProcess[];

  /** Starts it; logFile: what the generators print. */
  constructor(
    readonly clients: readonly Machine[],
    endpoint: Endpoint,
    { streams, seconds }: { streams: number; seconds: number },
    readonly logFile: string,
  ) {
    this.#generators = clients.map(({ namespace }, i) =>
      namespace.spawn([
        ...["iperf3", "--reverse", "-c", endpoint.address, "-p", `${endpoint.bulkPorts[i]}`],
        ...["-P", `${streams}`, "-t", `${seconds}`, "-i", "0"],
      ], { logFile })
    );
  }

  /** Until every client has received a good deal of it. Throws if one of them ended, or nothing comes. */
  async flows(): Promise<void> {
    const before = this.clients.map(receivedBytes);
    const flowing = () =>
      this.clients.every((client, i) => receivedBytes(client) - before[i] > FLOWING_BYTES);
    await waitFor(() => flowing() || this.#ended !== undefined, FLOW_TIMEOUT_MS, "downloads to flow");
    this.assertRunning();
  }

  /** Its servers go on until the stopped clients' buffers are full. */
  stop(): void {
    for (const generator of this.#generators) generator.signal("SIGSTOP");
  }

  go(): void {
    for (const generator of this.#generators) generator.signal("SIGCONT");
  }

  /** A server that has not heard the end of the test before refuses: an iperf3 then ends at once. */
  assertRunning(): void {
    const ended = this.#ended;
    if (ended === undefined) return;
    const said = Deno.readTextFileSync(this.logFile).split("\n").filter((line) => line.includes("error"));
    throw new Error(
      `${ended.argv.join(" ")} ended with ${ended.status?.code}: ${said.at(-1) ?? "no error told"}`,
    );
  }

  get #ended(): LabProcess | undefined {
    return this.#generators.find(({ running }) => !running);
  }

  /** iperf3 tells its server of its end when it is interrupted. */
  async end(): Promise<void> {
    this.go();
    for (const generator of this.#generators) generator.signal("SIGINT");
    await Promise.all(
      this.#generators.map((generator) => generator.ended(END_TIMEOUT_MS).catch(() => generator.kill())),
    );
  }
}

/** What has arrived at a client, from its namespace's table of interfaces: proc_net(5). */
function receivedBytes({ namespace }: Machine): number {
  const table = Deno.readTextFileSync(`/proc/${namespace.holder.pid}/net/dev`);
  const line = table.split("\n").find((each) => each.trim().startsWith(`${INTERFACE}:`));
  const bytes = Number(line?.split(":")[1].trim().split(/\s+/)[0]);
  if (!Number.isSafeInteger(bytes)) throw new Error(`no bytes of ${INTERFACE} in:\n${table}`);
  return bytes;
}

const total = (clients: readonly Machine[]) =>
  clients.reduce((sum, client) => sum + receivedBytes(client), 0);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Bits that arrive at these clients while a turn is counted, and the ms that it took. */
async function countedPart(clients: readonly Machine[]): Promise<{ bits: number; ms: number }> {
  await sleep(SETTLE_MS);
  const before = total(clients), startMs = performance.now();
  await sleep(COUNTED_MS);
  return { bits: (total(clients) - before) * 8, ms: performance.now() - startMs };
}

/**
 * Downloads by these clients, from a contender that serves and from straight, `seconds` of turns each. The contender runs
 * again when this is done, and is to be settled.
 */
export async function downloadsInTurns(
  contender: Contender,
  topology: Topology,
  clients: readonly Machine[],
  endpoints: { readonly contender: Endpoint; readonly straight: Endpoint },
  streams: number,
  seconds: number,
): Promise<Downloads> {
  const turns = Math.ceil(seconds * 1_000 / (SETTLE_MS + COUNTED_MS));
  const sums = { contender: { bits: 0, ms: 0 }, straight: { bits: 0, ms: 0 } };
  const loads: Load[] = [];
  const open = async (endpoint: Endpoint) => {
    const logFile = `${topology.directory}/downloads.log`;
    const load = new Load(clients, endpoint, { streams, seconds: 3 * seconds + SPARE_S }, logFile);
    loads.push(load);
    await load.flows();
    load.stop();
    return load;
  };
  try {
    const straight = await open(endpoints.straight);
    const own = await open(endpoints.contender);
    const take = async (which: "contender" | "straight", load: Load) => {
      load.go();
      const { bits, ms } = await countedPart(clients);
      load.stop();
      sums[which].bits += bits;
      sums[which].ms += ms;
    };
    for (let turn = 0; turn < turns; turn++) {
      await take("contender", own);
      try {
        await contender.pause?.(topology);
        await take("straight", straight);
      } finally {
        await contender.resume?.(topology);
      }
      for (const load of loads) load.assertRunning();
    }
  } finally {
    await Promise.all(loads.map((load) => load.end()));
  }
  const gbps = ({ bits, ms }: { bits: number; ms: number }) => bits / ms / 1e6;
  return { contender: gbps(sums.contender), straight: gbps(sums.straight) };
}
