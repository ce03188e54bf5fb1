/**
 * Long-lived connections with numbered data both ways, for the suites: a server that sends back what it gets, and a
 * client that sends 32-bit numbers in order and checks each that comes back. Run in a namespace of a lab:
 *
 *   farm_failure_stream.ts server PORT
 *   farm_failure_stream.ts client ADDRESS PORT CONNECTIONS
 *
 * The client reports on each line of standard input: one JSON array with the state of every connection.
 */

import net from "node:net";
import { lines } from "../../src/lab/lines.ts";

/** Numbers in one write. */
const CHUNK_NUMBERS = 256;
/** Between two writes of one connection: some ten packets a second on each of many. */
const WRITE_EVERY_MS = 50;
/** Numbers that may be under way: a connection that is not answered stops to send. */
const UNDER_WAY_MAX = 65_536;

/** State of one connection. */
export interface StreamState {
  readonly port: number;
  readonly sent: number;
  /** Numbers that came back, each right and in its place. */
  readonly received: number;
  readonly error?: string;
}

class Stream {
  sent = 0;
  received = 0;
  error: string | undefined;
  readonly #socket: net.Socket;
  #rest = new Uint8Array(0);

  constructor(host: string, port: number) {
    this.#socket = net.connect({ host, port });
    this.#socket.setNoDelay(true);
    this.#socket.on("error", (error) => this.error ??= error.message);
    this.#socket.on("close", () => this.error ??= "closed");
    this.#socket.on("data", (data) => this.#check(data));
    this.#socket.on("connect", () => setInterval(() => this.#send(), WRITE_EVERY_MS));
  }

  get state(): StreamState {
    return { port: this.#socket.localPort ?? 0, sent: this.sent, received: this.received, error: this.error };
  }

  #send(): void {
    if (this.error !== undefined || this.sent - this.received > UNDER_WAY_MAX) return;
    const chunk = new DataView(new ArrayBuffer(CHUNK_NUMBERS * 4));
    for (let i = 0; i < CHUNK_NUMBERS; i++) chunk.setUint32(i * 4, this.sent++);
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
      if (number !== this.received) return void (this.error ??= `got ${number} in place of ${this.received}`);
      this.received++;
    }
    this.#rest = bytes.slice(whole);
  }
}

async function client(host: string, port: number, count: number): Promise<void> {
  const streams = Array.from({ length: count }, () => new Stream(host, port));
  for await (const _ of lines(Deno.stdin.readable)) {
    console.log(JSON.stringify(streams.map(({ state }) => state)));
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
  else await client(rest[0], Number(rest[1]), Number(rest[2]));
}
