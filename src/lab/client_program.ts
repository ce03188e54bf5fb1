/**
 * The client of a lab: reads commands (client_protocol.ts) from standard input, sends the requests from the chosen
 * addresses and ports, and reports who answered. It runs in the client's network namespace.
 */

import dgram from "node:dgram";
import net from "node:net";
import { messageOf } from "../core/errors.ts";
import type { Answer, ClientCommand, ClientReply, RequestBatch, Source } from "./client_protocol.ts";
import { lines } from "./lines.ts";

/** Connections that one client may hold open: below the usual limit of 1,024 descriptors. */
const OPEN_MAX = 900;
/** Requests in one batch: each answer is about 150 bytes, so a reply stays below 10 MB. */
const BATCH_MAX = 65_536;

/**
 * bind(2) or connect(2) failed before anything was sent: that says nothing about the farm, so it is tried again.
 * Seen now and then when a source port is used again soon after an attempt that timed out.
 */
const LOCAL_ERRORS: ReadonlySet<string> = new Set(["EINVAL", "EADDRINUSE", "EADDRNOTAVAIL"]);
const LOCAL_TRIES_MAX = 3;
/** The server has closed the connection. */
const CLOSED = "closed";
/** A server that was asked to close does so at once. */
const CLOSE_TIMEOUT_MS = 200;

/** Serves commands until standard input ends. */
export async function runClientProgram(): Promise<void> {
  const client = new Client();
  const output = new TextEncoder();
  for await (const line of lines(Deno.stdin.readable)) {
    let reply: ClientReply;
    try {
      reply = { answers: await client.obey(JSON.parse(line)) };
    } catch (error) {
      reply = { failure: messageOf(error) };
    }
    const bytes = output.encode(JSON.stringify(reply) + "\n");
    for (let sent = 0; sent < bytes.length;) sent += await Deno.stdout.write(bytes.subarray(sent));
  }
  client.close();
}

class Client {
  #open: Connection[] = [];

  async obey(command: ClientCommand): Promise<readonly Answer[]> {
    if (command.do === "close") return this.close();
    if (command.do === "ask") {
      return await Promise.all(this.#open.map((connection) => connection.ask(command.timeoutMs ?? 2000)));
    }
    const { batch } = command;
    if (!(batch.count >= 0 && batch.count <= BATCH_MAX)) throw new Error(`count must be 0 to ${BATCH_MAX}`);
    if (command.do === "request") {
      return await runBatch(batch, batch.protocol === "tcp" ? requestOnce : datagramOnce);
    }
    if (this.#open.length + batch.count > OPEN_MAX) throw new Error(`more than ${OPEN_MAX} open connections`);
    return await runBatch(batch, async (batch, source) => {
      const connection = new Connection(batch, source);
      const answer = await connection.ask(batch.timeoutMs ?? 2000, "keep-alive");
      this.#open.push(connection);
      return answer;
    });
  }

  close(): readonly Answer[] {
    for (const connection of this.#open) connection.close();
    this.#open = [];
    return [];
  }
}

type Attempt = (batch: RequestBatch, source: Source) => Promise<Answer>;

async function runBatch(batch: RequestBatch, attempt: Attempt): Promise<Answer[]> {
  const answers: Answer[] = new Array(batch.count);
  const sources = batch.sources?.length ? batch.sources : [{}];
  const one = async (i: number) => {
    answers[i] = await attempt(batch, sources[i % sources.length]);
  };
  if (batch.everyMs !== undefined) {
    const beganMs = performance.now();
    const running: Promise<void>[] = [];
    for (let i = 0; i < batch.count; i++) {
      const waitMs = beganMs + i * batch.everyMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      running.push(one(i));
    }
    await Promise.all(running);
    return answers;
  }
  let next = 0;
  const worker = async () => {
    while (next < batch.count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.max(1, batch.concurrency ?? 8) }, worker));
  return answers;
}

async function requestOnce(batch: RequestBatch, source: Source): Promise<Answer> {
  for (let left = LOCAL_TRIES_MAX;;) {
    const connection = new Connection(batch, source);
    try {
      const answer = await connection.ask(batch.timeoutMs ?? 2000, "close");
      // Whoever closes first keeps the port in TIME_WAIT: that should be the server, or a port could not be used again.
      if (answer.node !== undefined) await connection.closedByServer(CLOSE_TIMEOUT_MS);
      if (--left === 0 || !LOCAL_ERRORS.has(answer.error ?? "")) return answer;
    } finally {
      connection.close();
    }
  }
}

/** One TCP connection on which requests are made one after the other. */
class Connection {
  readonly #socket: net.Socket;
  readonly #host: string;
  #text = "";
  #address: string;
  #port: number;
  #failure: string | undefined;
  #connected = false;
  #wake: () => void = () => {};

  constructor(batch: RequestBatch, source: Source) {
    this.#host = batch.address.includes(":")
      ? `[${batch.address}]:${batch.port}`
      : `${batch.address}:${batch.port}`;
    this.#address = source.address ?? "";
    this.#port = source.port ?? 0;
    this.#socket = net.connect({
      host: batch.address,
      port: batch.port,
      localAddress: source.address,
      localPort: source.port,
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("connect", () => {
      this.#connected = true;
      this.#address = this.#socket.localAddress ?? this.#address;
      this.#port = this.#socket.localPort ?? this.#port;
    });
    this.#socket.on("data", (data) => {
      this.#text += data.toString("latin1");
      this.#wake();
    });
    this.#socket.on("error", (error) => this.#fail((error as { code?: string }).code ?? error.message));
    this.#socket.on("close", () => this.#fail(CLOSED));
  }

  async ask(timeoutMs: number, connection: "close" | "keep-alive" = "keep-alive"): Promise<Answer> {
    const startMs = performance.timeOrigin + performance.now();
    this.#text = "";
    if (this.#failure === undefined) {
      this.#socket.write(`GET / HTTP/1.1\r\nHost: ${this.#host}\r\nConnection: ${connection}\r\n\r\n`);
    }
    const timer = setTimeout(() => this.#fail("timeout"), timeoutMs);
    let node = nodeOf(this.#text);
    while (node === undefined && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
      node = nodeOf(this.#text);
    }
    clearTimeout(timer);
    return {
      ...(node === undefined ? { error: this.#failure } : { node }),
      address: this.#address,
      port: this.#port,
      startMs,
      durationMs: performance.timeOrigin + performance.now() - startMs,
    };
  }

  /** Waits until the server has closed, or the time is over. */
  async closedByServer(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#fail("still open"), timeoutMs);
    while (this.#failure === undefined) await new Promise<void>((resolve) => this.#wake = resolve);
    clearTimeout(timer);
  }

  /** What failed ends with a reset: a connection that lingers would keep its port from the next attempt. */
  close(): void {
    if (this.#connected && this.#failure !== undefined && this.#failure !== CLOSED) {
      this.#socket.resetAndDestroy();
    } else this.#socket.destroy();
  }

  #fail(why: string): void {
    this.#failure ??= why;
    this.#wake();
  }
}

/** The node's name, once the whole answer (header and the short body) has arrived. */
function nodeOf(text: string): string | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  if (length === undefined || text.length < end + 4 + Number(length)) return undefined;
  return /\r\nx-node: (\S+)/i.exec(text)?.[1];
}

/** Sends one datagram from its own socket and collects the names that answer. */
function datagramOnce(batch: RequestBatch, source: Source): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const socket = dgram.createSocket(batch.address.includes(":") ? "udp6" : "udp4");
  const nodes: string[] = [];
  const startMs = performance.timeOrigin + performance.now();
  let durationMs = 0;
  let port = source.port ?? 0;
  const finish = (error?: string) => {
    clearTimeout(timer);
    socket.close();
    resolve({
      ...(nodes.length === 0 ? { error } : { node: nodes[0] }),
      nodes,
      address: source.address ?? "",
      port,
      startMs,
      durationMs,
    });
  };
  let timer = setTimeout(() => finish("timeout"), batch.timeoutMs ?? 2000);
  socket.on("error", (error) => finish((error as { code?: string }).code ?? error.message));
  socket.on("message", (message) => {
    if (nodes.push(message.toString()) > 1) return;
    durationMs = performance.timeOrigin + performance.now() - startMs;
    clearTimeout(timer);
    timer = setTimeout(() => finish(), batch.settleMs ?? 0);
  });
  socket.bind({ address: source.address, port }, () => {
    port = socket.address().port;
    socket.send("who", batch.port, batch.address);
  });
  return promise;
}
