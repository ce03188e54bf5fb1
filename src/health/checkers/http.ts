/**
 * An HTTP server gives a good answer: one request of HTTP/1.1 (RFC 9112), of whose answer no more is read than is asked
 * for. `fetch` could choose neither the name that TLS asks for nor its authorities, and follows redirections.
 */
import tls from "node:tls";
import { type HttpTarget } from "../../config/checks_config.ts";
import { bad, type Checker, endpoint, good, type Run } from "../checker.ts";
import { connect } from "../connect.ts";
import { type Finding } from "../damping.ts";
import { ANSWER_BYTES_MAX, readAnswer } from "../http_answer.ts";

type Target = HttpTarget & TlsTarget;
type TlsTarget = { kind: "http" } | {
  kind: "https";
  serverName: string | undefined;
  verify: boolean;
  caFile: string | undefined;
};

/** A way to the server and back. */
interface Stream {
  write(bytes: Uint8Array): Promise<void>;
  /** The next bytes; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  close(): void;
}

const READ_BYTES = 4_096;

export function httpChecker(target: Target): Checker {
  const request = new TextEncoder().encode(
    `${target.method} ${target.path} HTTP/1.1\r\nHost: ${target.host ?? hostOf(target)}\r\n` +
      "User-Agent: vipfarm\r\nAccept: */*\r\nConnection: close\r\n\r\n",
  );
  const wantsBody = target.bodyContains !== undefined || target.bodyMatches !== undefined;
  const pattern = target.bodyMatches === undefined ? undefined : new RegExp(target.bodyMatches, "u");
  return {
    async run({ signal }: Run) {
      const stream = target.kind === "http" ? await plain(target, signal) : await secured(target, signal);
      try {
        await stream.write(request);
        const received = new Received();
        for (;;) {
          const answer = readAnswer(received.bytes, false, target.method);
          if (typeof answer === "string") return bad(`${endpoint(target.address, target.port)}: ${answer}`);
          if (answer !== undefined && (!wantsBody || answer.complete || received.full)) {
            return judge(target, pattern, answer.status, answer.body);
          }
          const bytes = await stream.read();
          if (bytes === undefined) break;
          received.push(bytes);
        }
        const answer = readAnswer(received.bytes, true, target.method);
        if (answer === undefined || typeof answer === "string") {
          return bad(`${endpoint(target.address, target.port)}: ${answer ?? "the answer ends too early"}`);
        }
        return judge(target, pattern, answer.status, answer.body);
      } finally {
        stream.close();
      }
    },
  };
}

function judge(target: Target, pattern: RegExp | undefined, status: number, body: Uint8Array): Finding {
  if (!target.status.some(({ from, to }) => status >= from && status <= to)) {
    const wanted = target.status.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`).join(", ");
    return bad(`status ${status}, expected ${wanted}`);
  }
  if (target.bodyContains === undefined && pattern === undefined) return good(`status ${status}`);
  const text = new TextDecoder().decode(body);
  if (target.bodyContains !== undefined && !text.includes(target.bodyContains)) {
    return bad(`status ${status}, but the body does not contain ${JSON.stringify(target.bodyContains)}`);
  }
  if (pattern !== undefined && !pattern.test(text)) {
    return bad(`status ${status}, but the body does not match ${pattern.source}`);
  }
  return good(`status ${status}, with the body that was expected`);
}

/** What came, in bounded room, which is small for most answers. */
class Received {
  #buffer = new Uint8Array(0);
  #length = 0;

  push(bytes: Uint8Array): void {
    const length = Math.min(ANSWER_BYTES_MAX, this.#length + bytes.length);
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(ANSWER_BYTES_MAX, 2 * length));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes.subarray(0, length - this.#length), this.#length);
    this.#length = length;
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  get full(): boolean {
    return this.#length === ANSWER_BYTES_MAX;
  }
}

async function plain({ address, port }: Target, signal: AbortSignal): Promise<Stream> {
  const connection = await connect(address, port, signal);
  const close = () => {
    signal.removeEventListener("abort", close);
    try {
      connection.close();
    } catch {
      // It is closed already.
    }
  };
  signal.addEventListener("abort", close, { once: true });
  const buffer = new Uint8Array(READ_BYTES);
  return {
    async write(bytes) {
      for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    },
    async read() {
      const count = await connection.read(buffer);
      return count === null ? undefined : buffer.subarray(0, count);
    },
    close,
  };
}

async function secured(target: Target & { kind: "https" }, signal: AbortSignal): Promise<Stream> {
  const { address, port, caFile, verify } = target;
  const ca = caFile === undefined ? undefined : await Deno.readTextFile(caFile);
  // The time may be over: who listens to the signal from here on would hear nothing any more.
  signal.throwIfAborted();
  const name = target.serverName ?? target.host;
  const socket = tls.connect({
    host: address.text,
    port,
    // Without a name, the certificate must be for the address.
    ...(name !== undefined && { servername: name.replace(/\.$/, "") }),
    ...(ca !== undefined && { ca: [ca] }),
    rejectUnauthorized: verify,
    ALPNProtocols: ["http/1.1"],
  });
  const close = () => {
    signal.removeEventListener("abort", close);
    socket.destroy();
  };
  signal.addEventListener("abort", close, { once: true });
  // The iterator tells errors and the end; it must be there before either.
  const chunks = socket[Symbol.asyncIterator]();
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed")));
    });
  } catch (error) {
    close();
    throw error;
  }
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => socket.write(bytes, (error) => error ? reject(error) : resolve())),
    async read() {
      const { value, done } = await chunks.next();
      return done ? undefined : value;
    },
    close,
  };
}

function hostOf({ address, port, kind }: Target): string {
  const host = address.family === 4 ? address.text : `[${address.text}]`;
  return port === (kind === "http" ? 80 : 443) ? host : `${host}:${port}`;
}
