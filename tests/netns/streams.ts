/** Connections that stay open and carry numbered data, from a lab's client to the nodes: farm_failure_stream.ts. */

import assert from "node:assert/strict";
import type { Lab } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import type { LabProcess } from "../../src/lab/process.ts";
import type { StreamState } from "./farm_failure_stream.ts";

const PROGRAM = new URL("./farm_failure_stream.ts", import.meta.url).pathname;
/** Data goes on within milliseconds; a loaded machine gets its time. */
const GO_ON_MS = 30_000;

export type { StreamState };

/** Starts the server, which sends back what it gets; it listens when this returns. */
export async function startStreamServer(lab: Lab, node: string, port: number): Promise<void> {
  const process = spawn(lab, node, ["server", String(port)]);
  const output = lines(process.child.stdout);
  assert.equal((await output.next()).value, "ready");
}

/** Which streams to open. */
export interface StreamOptions {
  readonly address: string;
  readonly port: number;
  readonly count: number;
  /** Between two writes of one connection. */
  readonly everyMs: number;
  /** 32-bit numbers in one write. */
  readonly numbers: number;
}

/** Open connections of one client. */
export class Streams {
  readonly #process: LabProcess;
  readonly #output: AsyncGenerator<string, undefined>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #numbers: number;
  #slowestMs: number[];

  constructor(readonly lab: Lab, client: string, options: StreamOptions) {
    const { address, port, count, everyMs, numbers } = options;
    const args = ["client", address, ...[port, count, everyMs, numbers].map(String)];
    this.#process = spawn(lab, client, args);
    this.#output = lines(this.#process.child.stdout);
    this.#input = this.#process.child.stdin.getWriter();
    this.#numbers = numbers;
    this.#slowestMs = Array(count).fill(0);
  }

  /** States now, with the longest times since the last call. */
  async states(): Promise<StreamState[]> {
    const states = await this.#ask();
    this.#slowestMs.fill(0);
    return states;
  }

  /** Waits until each connection that is not broken has carried two more writes there and back. */
  async goOn(): Promise<void> {
    const before = await this.#ask();
    await this.lab.waitFor(
      async () =>
        (await this.#ask()).every(({ received, error }, i) =>
          error !== undefined || received >= before[i].received + 2 * this.#numbers
        ),
      GO_ON_MS,
      "every stream to go on",
    );
  }

  /** Ends the client, and with it every connection. */
  async close(): Promise<void> {
    await this.#process.kill();
  }

  async #ask(): Promise<StreamState[]> {
    await this.#input.write(new TextEncoder().encode("\n"));
    const { value } = await this.#output.next();
    assert.ok(value !== undefined, "the client of the streams has ended");
    const states: StreamState[] = JSON.parse(value);
    this.#slowestMs = this.#slowestMs.map((former, i) => Math.max(former, states[i].slowestMs));
    return states.map((state, i) => ({ ...state, slowestMs: this.#slowestMs[i] }));
  }
}

function spawn(lab: Lab, namespace: string, args: string[]): LabProcess {
  return lab.spawn(namespace, [Deno.execPath(), "run", "-A", "--quiet", PROGRAM, ...args], {
    stdin: "piped",
    stdout: "piped",
  });
}
