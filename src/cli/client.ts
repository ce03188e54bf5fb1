/**
 * Talks to a running daemon: over the Unix socket in its runtime directory, which needs no token, or over TCP
 * with the token in `VIPFARM_TOKEN`. Every failure becomes a VipfarmError with the exit code that it ends in.
 */

import type { FarmEvent } from "../core/events.ts";
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";
import type { FailureAnswer } from "../admin/schemas.ts";

/** Where daemons put their socket unless told otherwise. */
export const RUNTIME_DIR_DEFAULT = "/run/vipfarm";

/** A daemon answers from memory; one that needs longer hangs. */
const ANSWER_WAIT_MS = 5_000;
/** An order travels to another node and back, which has a deadline of its own on the way. */
const ORDER_WAIT_MS = 15_000;
/** The daemon sends a comment every 15 s; after more than two of them missing, the stream is dead. */
const STREAM_SILENCE_MS = 40_000;
/** Longest piece of an event stream: far above any event, and a bound on what a wrong server can make us hold. */
const BLOCK_LENGTH_MAX = 1024 * 1024;

/** What is sent as the local user's name, for the trace of an action. */
const USER_NAME = /^[A-Za-z0-9._-]{1,32}$/;

/** How to find the daemon. */
export interface ConnectionOptions {
  /** Base address of an admin endpoint; goes before `runtimeDir`. */
  readonly admin?: string;
  /** Directory with `admin.sock`; {@link RUNTIME_DIR_DEFAULT} unless told. */
  readonly runtimeDir?: string;
  /** Token for `admin`; from `VIPFARM_TOKEN` unless told. */
  readonly token?: string;
}

/** What an event stream brings: that it is open, events with the cursor to resume after them, a number of lost ones. */
export type StreamItem =
  | { readonly kind: "open" }
  | { readonly kind: "event"; readonly event: FarmEvent; readonly cursor: string }
  | { readonly kind: "missed"; readonly missed: number };

/** A client of one daemon. Close it when done. */
export class AdminClient {
  /** Where it connects to, for messages. */
  readonly where: string;
  readonly #base: string;
  readonly #socketPath: string | undefined;
  readonly #http: Deno.HttpClient | undefined;
  readonly #headers: Record<string, string>;

  /** @throws VipfarmError (usage) if `admin` is not an address. */
  constructor(options: ConnectionOptions = {}) {
    this.#headers = {};
    if (options.admin !== undefined) {
      this.#base = baseAddress(options.admin);
      this.where = this.#base;
      const token = options.token ?? Deno.env.get("VIPFARM_TOKEN") ?? "";
      if (token !== "") this.#headers.authorization = `Bearer ${token}`;
      const authority = Deno.env.get("VIPFARM_CA") ?? "";
      if (authority !== "") this.#http = Deno.createHttpClient({ caCerts: [readAuthority(authority)] });
    } else {
      this.#base = "http://localhost";
      this.#socketPath = `${options.runtimeDir ?? RUNTIME_DIR_DEFAULT}/admin.sock`;
      this.where = this.#socketPath;
      this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path: this.#socketPath } });
      const user = Deno.env.get("SUDO_USER") ?? Deno.env.get("USER");
      if (user !== undefined && USER_NAME.test(user)) this.#headers["x-vipfarm-user"] = user;
    }
  }

  /** Reads `path`. `operation` says in an error what was tried. */
  async get<T>(operation: string, path: string): Promise<T> {
    const response = await this.#fetch(operation, path, {}, AbortSignal.timeout(ANSWER_WAIT_MS));
    return await this.#json(operation, response) as T;
  }

  /** Sends an action, with a JSON body if one is given. */
  async send<T>(operation: string, method: "POST" | "PUT", path: string, body?: unknown): Promise<T> {
    const content = body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await this.#fetch(
      operation,
      path,
      { method, ...content },
      AbortSignal.timeout(ORDER_WAIT_MS),
    );
    return await this.#json(operation, response) as T;
  }

  /**
   * What happened after `after` (everything kept, unless given), then what happens, until the daemon goes or
   * `signal` is aborted; both end the iteration without an error.
   * @throws VipfarmError if the stream cannot be opened.
   */
  async *events(
    after: string | undefined,
    signal: AbortSignal,
    filter = new URLSearchParams(),
  ): AsyncGenerator<StreamItem> {
    const operation = "follow events";
    const silent = new AbortController();
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (after !== undefined) headers["last-event-id"] = after;
    let timer = setTimeout(() => silent.abort(), ANSWER_WAIT_MS);
    try {
      const both = AbortSignal.any([signal, silent.signal]);
      const response = await this.#fetch(operation, `/api/v1/events?${filter}`, { headers }, both);
      if (!response.ok || response.body === null) {
        await this.#json(operation, response);
        return;
      }
      yield { kind: "open" };
      let text = "";
      try {
        for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
          clearTimeout(timer);
          timer = setTimeout(() => silent.abort(), STREAM_SILENCE_MS);
          const blocks = (text + piece).split("\n\n");
          text = blocks.pop()!;
          if (text.length > BLOCK_LENGTH_MAX) return;
          for (const block of blocks) {
            const item = parseBlock(block);
            if (item !== undefined) yield item;
          }
        }
      } catch {
        // The connection ended: the caller sees the end of the stream, and decides.
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Gives up the connection. */
  close(): void {
    this.#http?.close();
  }

  async #fetch(operation: string, path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    try {
      return await fetch(this.#base + path, {
        ...init,
        headers: { ...this.#headers, ...init.headers as Record<string, string> },
        client: this.#http,
        redirect: "error", // a token is not sent on
        signal,
      });
    } catch (cause) {
      throw this.#unreachable(operation, cause);
    }
  }

  async #json(operation: string, response: Response): Promise<unknown> {
    let body: unknown;
    try {
      body = await response.json();
    } catch (cause) {
      throw new VipfarmError({
        operation,
        problem: "what answers there does not answer like vipfarm",
        value: this.where,
        remedy: "Check the address.",
        exitCode: EXIT.unreachable,
        cause,
      });
    }
    if (response.ok) return body;
    const error = (body as Partial<FailureAnswer> | null)?.error;
    throw new VipfarmError({
      operation,
      problem: error?.message ?? `the daemon answered ${response.status}`,
      remedy: error?.remedy,
      exitCode: exitCodeOf(response.status),
    });
  }

  #unreachable(operation: string, cause: unknown): VipfarmError {
    const text = cause instanceof Error
      ? `${cause.message} ${(cause.cause as Error | undefined)?.message}`
      : "";
    const denied = text.includes("os error 13");
    const untrusted = text.includes("invalid peer certificate");
    const plain = text.includes("InvalidContentType"); // rustls: the answer was no TLS record
    const problem = cause instanceof DOMException && cause.name === "TimeoutError"
      ? "the daemon does not answer"
      : denied
      ? "this user may not connect to the daemon"
      : untrusted
      ? `its certificate is not trusted: ${/certificate: (\S+)/.exec(text)?.[1]}`
      : plain
      ? "what answers there does not speak TLS"
      : "no daemon can be reached";
    const remedy = denied
      ? "Run this as the user that runs the daemon (root)."
      : untrusted
      ? "Use a name or address that the certificate has. If your own authority has signed it, name that one's certificate in VIPFARM_CA."
      : plain
      ? `Try ${this.#base.replace("https:", "http:")}.`
      : this.#socketPath === undefined
      ? "Check the address and that the daemon runs there (admin.listen in its file)."
      : "Start it with `vipfarm run`, or name its --runtime-dir or its --admin URL.";
    const exitCode = denied ? EXIT.privilege : EXIT.unreachable;
    return new VipfarmError({ operation, problem, value: this.where, remedy, exitCode, cause });
  }
}

/** The certificate that the endpoint's own is checked against, where no public authority has signed it. */
function readAuthority(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (cause) {
    throw new VipfarmError({
      operation: "connect to the daemon",
      problem: messageOf(cause),
      value: `VIPFARM_CA=${file}`,
      remedy: "Name a file with a certificate in PEM, or unset VIPFARM_CA.",
      exitCode: EXIT.usage,
      cause,
    });
  }
}

function baseAddress(text: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url !== undefined && (url.protocol === "http:" || url.protocol === "https:")) return url.origin;
  throw new VipfarmError({
    operation: "connect to the daemon",
    problem: "this is not the address of an admin endpoint",
    value: text,
    remedy: "Give it like http://127.0.0.1:9010.",
    exitCode: EXIT.usage,
  });
}

function exitCodeOf(status: number): number {
  if (status === 401 || status === 403) return EXIT.privilege;
  if (status === 400 || status === 404) return EXIT.usage;
  return EXIT.no;
}

function parseBlock(block: string): StreamItem | undefined {
  const fields: Record<string, string> = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields.data === undefined) return undefined;
  const data: unknown = JSON.parse(fields.data);
  if (fields.event === "missed") return { kind: "missed", missed: (data as { missed: number }).missed };
  return { kind: "event", event: data as FarmEvent, cursor: fields.id ?? "" };
}
