/** What the tests with real applications share: load from a client, and waiting for events of a node. */
import assert from "node:assert/strict";
import { type FarmEvent } from "../../src/core/events.ts";
import { type Lab } from "../../src/lab/lab.ts";
import { type LabNode } from "../../src/lab/node.ts";
import { lines } from "../../src/lab/lines.ts";
import { type Request } from "./application_load.ts";
import { eventsOf } from "./farm_failure_support.ts";

/** The scripts that come with vipfarm. */
export const SCRIPTS = new URL("../../config/scripts", import.meta.url).pathname;
const LOAD_PROGRAM = new URL("./application_load.ts", import.meta.url).pathname;
/** Everything happens within seconds; a busy machine gets its time. */
export const PATIENCE_MS = 40_000;

/** A client that asks one address again and again. */
export class Load {
  readonly requests: Request[] = [];

  private constructor(readonly lab: Lab) {}

  static start(lab: Lab, address: string, port: number, everyMs: number): Load {
    const load = new Load(lab);
    const process = lab.spawn(
      "c1",
      [Deno.execPath(), "run", "-A", "--quiet", LOAD_PROGRAM, address, `${port}`, `${everyMs}`],
      { stdout: "piped", stderr: "inherit" },
    );
    void (async () => {
      for await (const line of lines(process.child.stdout)) load.requests.push(JSON.parse(line));
    })();
    return load;
  }

  /** Requests that began from then on. */
  since(ms: number): Request[] {
    return this.requests.filter(({ startMs }) => startMs >= ms);
  }

  /** Waits until so many requests in a row, begun from then on, had an answer, one from each of these at least. */
  async good(count: number, from: readonly string[], sinceMs: number): Promise<Request[]> {
    let last: Request[] = [];
    await this.lab.waitFor(
      () => {
        last = this.since(sinceMs).slice(-count);
        const answers = new Set(last.map(({ answer }) => answer));
        return last.length === count && !answers.has(undefined) && from.every((each) => answers.has(each)) &&
          answers.size === from.length;
      },
      PATIENCE_MS,
      `${count} answers from ${from.join(", ")}`,
    );
    return last;
  }
}

/** Waits for the first event of this kind since a moment, whose message says so. */
export async function eventOf(
  lab: Lab,
  node: LabNode,
  kind: string,
  sinceMs: number,
  says = /^/,
): Promise<FarmEvent> {
  let found: FarmEvent | undefined;
  await lab.waitFor(
    async () => {
      const events = await eventsOf(node, sinceMs);
      found = events.find((event) => event.kind === kind && says.test(event.message));
      return found !== undefined;
    },
    PATIENCE_MS,
    `${kind} on ${node.name}`,
  );
  assert.ok(found);
  return found;
}

/** Milliseconds from a moment to an event. */
export function afterMs(event: FarmEvent, sinceMs: number): number {
  return Date.parse(event.at) - sinceMs;
}

/** Whether a process runs: one that waits to be reaped does not. */
export function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
