/** Threads of a running worker, and how one of them is made to hang. */

import assert from "node:assert/strict";
import { lines } from "../../src/lab/lines.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import type { LabProcess } from "../../src/lab/process.ts";
import { realtimeThreads } from "./farm_failure_support.ts";
import { wallMs } from "./farm_support.ts";

/** Process id of the worker. */
export function workerOf(node: LabNode): number {
  return Number(Deno.readTextFileSync(`${node.runtimeDirectory}/worker.pid`).trim());
}

/** The packet thread: of the threads that Deno names `worker-N`, the one without real-time priority. */
export async function packetThread(node: LabNode): Promise<number> {
  const pid = workerOf(node);
  const realtime = await realtimeThreads([pid]);
  const found: number[] = [];
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    // Threads of the runtime come and go.
    const comm = await Deno.readTextFile(`/proc/${pid}/task/${name}/comm`).catch(() => "");
    if (comm.startsWith("worker-") && !realtime.includes(Number(name))) found.push(Number(name));
  }
  assert.equal(found.length, 1, `packet threads: ${found}`);
  return found[0];
}

/** Makes a thread hang until its process is killed; gives the moment. */
export async function hang(lab: Lab, node: LabNode, thread: number): Promise<number> {
  const tracer = await Tracer.start(lab, node, thread);
  await tracer.hold();
  return wallMs();
}

/** Stands by to hold a thread still, at once. */
export class Tracer {
  readonly #process: LabProcess;
  readonly #said: AsyncGenerator<string, undefined>;

  private constructor(process: LabProcess) {
    this.#process = process;
    this.#said = lines(process.child.stdout);
  }

  static async start(lab: Lab, node: LabNode, thread: number): Promise<Tracer> {
    const program = new URL("./farm_failure_pause.ts", import.meta.url).pathname;
    const argv = [Deno.execPath(), "run", "-A", "--quiet", program, String(thread)];
    const tracer = new Tracer(lab.spawn(node.name, argv, { stdin: "piped", stdout: "piped" }));
    await tracer.#hear("ready");
    return tracer;
  }

  async hold(): Promise<void> {
    const writer = this.#process.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    await this.#hear("held");
  }

  /** Lets go: the kernel does it when a tracer ends. */
  async release(): Promise<void> {
    await this.#process.kill();
  }

  async #hear(expected: string): Promise<void> {
    assert.equal((await this.#said.next()).value, expected);
  }
}
