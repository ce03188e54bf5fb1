/** Checks in a namespace, as a process, and what they tell. */

import assert from "node:assert/strict";
import { lines } from "../../src/core/lines.ts";
import { type FarmEventInit } from "../../src/core/events.ts";
import { type CheckStatus, type HealthState } from "../../src/health/types.ts";
import { type Namespace } from "./ffi_support.ts";

/** A busy machine gets this long; what is measured is asserted apart. */
const PATIENCE_MS = 30_000;
/** Between two looks at a status that is awaited. */
const STATUS_PAUSE_MS = 50;

export interface Told {
  readonly atMs: number;
  readonly state?: HealthState;
  readonly event?: FarmEventInit;
  readonly rssBytes?: number;
}

/** The whole configuration around some checks. */
export function fileWith(checks: string): string {
  return `farm: web
secret_file: secret
interface: va
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }, { name: dns, ports: [53], protocol: udp }]
${checks}`;
}

/** Starts one of our programs in a namespace. */
export function program(namespace: Namespace, file: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command("ip", {
    args: [
      "netns",
      "exec",
      namespace.name,
      Deno.execPath(),
      "run",
      "-A",
      new URL(file, import.meta.url).pathname,
      ...args,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Running checks. */
export class HealthRun {
  readonly told: Told[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  #wake: Array<() => void> = [];

  constructor(namespace: Namespace, readonly directory: string, checks: string) {
    this.#child = program(namespace, "health_program.ts", this.#write(checks));
    this.#input = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** The state as last told. */
  get state(): HealthState {
    const state = this.told.findLast(({ state }) => state !== undefined)?.state;
    assert.ok(state, "nothing was told yet");
    return state;
  }

  check(name: string): CheckStatus {
    const found = this.state.checks.find((each) => each.name === name);
    assert.ok(found, `check ${name} is there`);
    return found;
  }

  /** Waits for something to be told from `since` on (an index of `told`), or already there. */
  async until(what: string, holds: (told: Told) => boolean, since = 0): Promise<Told> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = this.told.slice(since).find(holds);
      if (found !== undefined) return found;
      const leftMs = endMs - performance.now();
      assert.ok(leftMs > 0, `${what}; told last: ${JSON.stringify(this.told.at(-1))}`);
      await this.#news(leftMs);
    }
  }

  /** Waits until the check has this state, told from `since` on. */
  async untilCheck(name: string, state: CheckStatus["state"], since = 0): Promise<Told> {
    return await this.until(
      `check ${name} is ${state}`,
      (told) => told.state?.checks.find((each) => each.name === name)?.state === state,
      since,
    );
  }

  /** Everything as it is now. */
  async status(): Promise<Told> {
    const since = this.told.length;
    await this.#input.write(new TextEncoder().encode("status\n"));
    return await this.until("the status comes", ({ rssBytes }) => rssBytes !== undefined, since);
  }

  /** Waits until the status fulfils a condition. */
  async untilStatus(what: string, holds: (state: HealthState) => boolean): Promise<HealthState> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const { state } = await this.status();
      assert.ok(state);
      if (holds(state)) return state;
      assert.ok(performance.now() < endMs, `${what}; ${JSON.stringify(state)}`);
      await this.#news(STATUS_PAUSE_MS);
    }
  }

  /** Waits until the check has this state for this reason: on a busy machine its time may run out first. */
  async untilReason(name: string, state: CheckStatus["state"], reason: RegExp): Promise<CheckStatus> {
    const find = ({ checks }: HealthState) => checks.find((each) => each.name === name)!;
    const now = await this.untilStatus(
      `check ${name} is ${state}: ${reason}`,
      (status) => find(status).state === state && reason.test(find(status).reason),
    );
    return find(now);
  }

  /** Takes up other checks. */
  async reconfigure(checks: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${this.#write(checks)}\n`));
  }

  /** Ends in order; a process that does not end is killed, and fails the test. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE_MS);
    const { success } = await this.#child.status;
    clearTimeout(timer);
    await this.#reading;
    assert.ok(success, "the checks end in order");
  }

  #write(checks: string): string {
    const path = `${this.directory}/${crypto.randomUUID()}.yaml`;
    Deno.writeTextFileSync(path, fileWith(checks));
    return path;
  }

  async #read(): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      this.told.push(JSON.parse(line));
      for (const wake of this.#wake.splice(0)) wake();
    }
  }

  #news(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
