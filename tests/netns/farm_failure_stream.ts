/**
 * Long-lived connections with numbered data both ways, for the suites: a server that sends back what it gets, and a
 * client that sends 32-bit numbers in order and checks each that comes back. Run in a namespace of a lab:
 *
 *   farm_failure_stream.ts server PORT
 *   farm_failure_stream.ts client ADDRESS PORT CONNECTIONS MS_BETWEEN_WRITES NUMBERS_IN_ONE
 *
 * The client reports on each line of standard input: one JSON array with the state of every connection.
 */

import net from "node:net";
import { lines } from "../../src/lab/lines.ts";

/** Numbers that may be under way: a connection that is not answered stops to send. */
const UNDER_WAY_MAX = 65_536;

/** State of one connection. */
export interface StreamState {
  readonly port: number;
  readonly sent: number;
  /** Numbers that came back, each right and in its place. */
  readonly received: number;
  /** The longest time that a number was under way since the last report, in ms; what still is, counts too. */
  readonly slowestMs: number;
  readonly error?: string;
  /** When it broke, in ms since 1970. */
  readonly brokenAtMs?: number;
}

class Stream {
  sent = 0;
  received = 0;
  error: string | undefined;
  brokenAtMs: number | undefined;
  #port = 0;
  readonly #socket: net.Socket;
  #rest = new Uint8Array(0);
  /** Of each write under way: the number after its last one, and when it was written. */
  readonly #underWay: Array<{ end: number; atMs: number }> = [];
  #slowestMs = 0;

  constructor(host: string, port: number, readonly everyMs: number, readonly numbers: number) {
    this.#socket = net.connect({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.#break(error.message));
    this.#socket.on("close", () => this.#break("closed"));
    this.#socket.on("data", (data) => this.#check(data));
    // Not all at one moment.
    const start = () => setTimeout(() => setInterval(() => this.#send(), everyMs), Math.random() * everyMs);
    this.#socket.on("connect", () => {
      this.#port = this.#socket.localPort ?? 0;
      start();
    });
  }

  /** The state, and a new beginning for `slowestMs`. */
  report(): StreamState {
    const { sent, received, error, brokenAtMs } = this;
    const oldest = this.#underWay[0];
    const slowestMs = Math.max(this.#slowestMs, oldest === undefined ? 0 : performance.now() - oldest.atMs);
    this.#slowestMs = 0;
    return { port: this.#port, sent, received, slowestMs, error, brokenAtMs };
  }

  #break(error: string): void {
    if (this.error !== undefined) return;
    this.error = error;
    this.brokenAtMs = performance.timeOrigin + performance.now();
  }

  #send(): void {
    if (this.error !== undefined || this.sent - this.received > UNDER_WAY_MAX) return;
    const chunk = new DataView(new ArrayBuffer(this.numbers * 4));
    for (let i = 0; i < this.numbers; i++) chunk.setUint32(i * 4, this.sent++);
    this.#underWay.push({ end: this.sent, atMs: performance.now() });
    this.#socket.write(new Uint8Array(chunk.buffer));
  }

  #check(data: Uint8Array): void {
    const bytes = new Uint8Array(this.#rest.length + data.length);
    bytes.set(this.#rest);
    bytes.set(data, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const whole = bytes.length & ~3;
    for (let at = 0; at < whole; at += 4) {
      const number = view.getUint32(at);
      if (number !== this.received) return this.#break(`got ${number} in place of ${this.received}`);
      this.received++;
    }
    this.#rest = bytes.slice(whole);
    while (this.#underWay.length > 0 && this.#underWay[0].end <= this.received) {
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - this.#underWay.shift()!.atMs);
    }
  }
}

async function client(
  host: string,
  port: number,
  count: number,
  everyMs: number,
  numbers: number,
): Promise<void> {
  const streams = Array.from({ length: count }, () => new Stream(host, port, everyMs, numbers));
  for await (const _ of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(streams.map((stream) => stream.report())));
  }
}

function server(port: number): void {
  // Both families; whatever comes goes back.
  net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  }).listen(port, "::", () => console.log("ready"));
}

if (import.meta.main) {
  const [what, ...rest] = Deno.args;
  if (what === "server") server(Number(rest[0]));
  else await client(rest[0], ...rest.slice(1).map(Number) as [number, number, number, number]);
}
