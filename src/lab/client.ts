/** A client of the lab: one machine that sends requests to the farm and tells who answered. */

import { VipfarmError } from "../core/errors.ts";
import type { Answer, ClientCommand, ClientReply, RequestBatch } from "./client_protocol.ts";
import { lines } from "./lines.ts";
import type { LabNamespace } from "./namespace.ts";
import type { LabProcess } from "./process.ts";
import { labProgramArgv } from "./program.ts";
import type { Station } from "./topology.ts";

/** Longest wait for the client program to report, beyond what its own time limits allow. */
const REPLY_GRACE_MS = 20_000;

/** Handle of one client station. Commands run one after the other. */
export class LabClient {
  readonly station: Station;
  readonly namespace: LabNamespace;
  #process: LabProcess | undefined;
  #replies: AsyncGenerator<string, undefined> | undefined;
  #input: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(station: Station, namespace: LabNamespace) {
    this.station = station;
    this.namespace = namespace;
  }

  get name(): string {
    return this.station.name;
  }

  /** Starts the client program now, so that the first request does not wait for it. */
  async start(): Promise<void> {
    await this.#command({ do: "close" }, 0);
  }

  /** Sends requests, each on a connection (or socket) of its own, and gives the answers in order. */
  request(batch: RequestBatch): Promise<readonly Answer[]> {
    return this.#command({ do: "request", batch }, worstCaseMs(batch));
  }

  /** Opens connections that stay, with one request on each. */
  open(batch: RequestBatch): Promise<readonly Answer[]> {
    return this.#command({ do: "open", batch }, worstCaseMs(batch));
  }

  /** One more request on every open connection. */
  ask(timeoutMs = 2000): Promise<readonly Answer[]> {
    return this.#command({ do: "ask", timeoutMs }, timeoutMs);
  }

  /** Closes the open connections. */
  async closeAll(): Promise<void> {
    await this.#command({ do: "close" }, 0);
  }

  /** Ends the client program. */
  async dispose(): Promise<void> {
    await this.#process?.kill();
    await this.#replies?.return(undefined);
    this.#process = undefined;
  }

  #command(command: ClientCommand, expectedMs: number): Promise<readonly Answer[]> {
    const result = this.#queue.then(() => this.#exchange(command, expectedMs + REPLY_GRACE_MS));
    this.#queue = result.catch(() => {});
    return result;
  }

  async #exchange(command: ClientCommand, timeoutMs: number): Promise<readonly Answer[]> {
    if (this.#process === undefined || this.#input === undefined || this.#replies === undefined) {
      this.#process = this.namespace.spawn(labProgramArgv("client"), {
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      });
      this.#input = this.#process.child.stdin.getWriter();
      this.#replies = lines(this.#process.child.stdout);
    }
    const process = this.#process;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.signal("SIGKILL");
    }, timeoutMs);
    try {
      await this.#input.write(new TextEncoder().encode(JSON.stringify(command) + "\n"));
      const { value, done } = await this.#replies.next();
      const reply: ClientReply = done
        ? { failure: late ? `no report in ${timeoutMs} ms` : "it ended" }
        : JSON.parse(value);
      if (reply.answers !== undefined) return reply.answers;
      throw new VipfarmError({
        operation: `send requests from ${this.name}`,
        problem: reply.failure ?? "the client program gave no answers",
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

function worstCaseMs(batch: RequestBatch): number {
  const timeoutMs = (batch.timeoutMs ?? 2000) + (batch.settleMs ?? 0);
  if (batch.everyMs !== undefined) return batch.count * batch.everyMs + timeoutMs;
  return Math.ceil(batch.count / (batch.concurrency ?? 8)) * timeoutMs;
}
