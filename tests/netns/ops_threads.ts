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
  await holdThread(lab, node, thread);
  return wallMs();
}

/** Holds a thread still for as long as the process lives that this gives: the kernel lets go of it with that one's end. */
export async function holdThread(lab: Lab, node: LabNode, thread: number): Promise<LabProcess> {
  const program = new URL("./farm_failure_pause.ts", import.meta.url).pathname;
  const tracer = lab.spawn(
    node.name,
    [Deno.execPath(), "run", "-A", "--quiet", program, String(thread)],
    { stdout: "piped" },
  );
  assert.equal((await lines(tracer.child.stdout).next()).value, "held");
  return tracer;
}
