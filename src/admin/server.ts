/**
 * Serves the admin app on a Unix socket for the command line of this host, and on TCP where configured. Ends
 * without waiting for anybody: streams are closed, and what does not finish within a moment is cut off.
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { failureBody } from "./failure.ts";
import type { AdminEnv, ListenAddress, Peer } from "./guard.ts";

/** Time for answers under way to finish at the end: they come from memory, but for orders to other nodes. */
const SHUTDOWN_GRACE_MS = 1_000;

/** What is served where. */
export interface AdminServerOptions {
  readonly app: OpenAPIHono<AdminEnv>;
  /** Path of the Unix socket; one that a dead daemon left there is replaced. */
  readonly unixPath: string;
  /** TCP address besides it; port 0 takes a free one. */
  readonly listen?: ListenAddress;
  /** Whether TCP requests need a token. Without, only loopback is served. */
  readonly tokens?: boolean;
  /** Time for answers under way to finish at the end, in ms. */
  readonly graceMs?: number;
}

/** A running admin server. */
export interface AdminServer {
  /** The TCP address in use, if any. */
  readonly address: ListenAddress | undefined;
  /** Stops listening, ends streams and waits at most about a second. May be called again. */
  shutdown(): Promise<void>;
}

/**
 * Starts to serve.
 * @throws VipfarmError if a socket cannot be opened, another daemon has it, or TCP would be open to others
 * without a token.
 */
export async function serveAdmin(options: AdminServerOptions): Promise<AdminServer> {
  const { app, unixPath, listen } = options;
  if (listen !== undefined && !options.tokens && !isLoopback(listen.host)) {
    throw new VipfarmError({
      operation: "open admin endpoint",
      problem: "others could steer the farm without a token",
      value: `admin.listen ${listen.host}:${listen.port}`,
      remedy: "Set admin.tokens_file, or listen on 127.0.0.1.",
      exitCode: EXIT.usage,
    });
  }
  await removeStaleSocket(unixPath);
  const closing = new AbortController();
  const cutOff = new AbortController();
  const answering = new Set<Promise<void>>();
  const handle = (request: Request, info: Deno.ServeHandlerInfo<Deno.Addr>) => {
    if (closing.signal.aborted) return closed();
    const sent: Promise<void> = info.completed.catch(() => {}).finally(() => answering.delete(sent));
    answering.add(sent);
    return app.fetch(request, { peer: peerOf(info.remoteAddr), closing: closing.signal });
  };
  const common = { signal: cutOff.signal, onListen() {} };
  const local = open(unixPath, () => {
    // Nobody else may connect, not even in the moment between bind and chmod.
    const umask = Deno.umask(0o177);
    try {
      return Deno.serve({ path: unixPath, ...common }, handle);
    } finally {
      Deno.umask(umask);
    }
  });
  const finished: Promise<void>[] = [local.finished];
  let address: ListenAddress | undefined;
  try {
    if (listen !== undefined) {
      const tcp = open(
        `${listen.host}:${listen.port}`,
        () => Deno.serve({ hostname: listen.host, port: listen.port, ...common }, handle),
      );
      finished.push(tcp.finished);
      address = { host: tcp.addr.hostname, port: tcp.addr.port };
    }
  } catch (error) {
    cutOff.abort();
    await local.finished;
    throw error;
  }
  let ended: Promise<void> | undefined;
  const shutdown = async () => {
    closing.abort();
    // HttpServer.shutdown() waits for clients as long as they like, and its signal has no effect after that
    // (Deno 2.9 throws). So wait here for the answers under way, then end everything by the signal.
    const { promise: graceOver, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, options.graceMs ?? SHUTDOWN_GRACE_MS);
    await Promise.race([Promise.all(answering), graceOver]);
    clearTimeout(timer);
    cutOff.abort();
    await Promise.all(finished);
  };
  return { address, shutdown: () => ended ??= shutdown() };
}

function peerOf(address: Deno.Addr): Peer {
  if (address.transport === "unix" || address.transport === "unixpacket") return { kind: "unix" };
  return { kind: "tcp", address: "hostname" in address ? address.hostname : "unknown" };
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const address = parseAddress(host);
  return address !== undefined && (address.family === 4 ? address.bytes[0] === 127 : address.text === "::1");
}

/** Runs `start`, and says what could not be opened if it throws. */
function open<T>(what: string, start: () => T): T {
  try {
    return start();
  } catch (cause) {
    const inUse = cause instanceof Deno.errors.AddrInUse;
    throw new VipfarmError({
      operation: "open admin endpoint",
      problem: cause instanceof Error ? cause.message : String(cause),
      value: what,
      remedy: inUse
        ? "Another program has this address: stop it, or change admin.listen."
        : "Check admin.listen and the permissions of the runtime directory.",
      exitCode: cause instanceof Deno.errors.PermissionDenied ? EXIT.privilege : EXIT.no,
      cause,
    });
  }
}

/** Makes room for the socket: removes one that nobody answers, and nothing else. */
async function removeStaleSocket(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const refuse = (problem: string, remedy: string) =>
    new VipfarmError({ operation: "open admin endpoint", problem, value: path, remedy });
  if (!info.isSocket) throw refuse("something that is no socket is in its place", "Move it away.");
  const answered = await Deno.connect({ transport: "unix", path }).then((connection) => {
    connection.close();
    return true;
  }, () => false);
  if (answered) {
    throw refuse("another daemon answers on this socket", "Stop it, or use another --runtime-dir.");
  }
  await Deno.remove(path);
}

function closed(): Response {
  const body = failureBody(
    "closing",
    "this daemon is about to end",
    "Ask another node, or again in a moment.",
  );
  return Response.json(body, { status: 503, headers: { connection: "close" } });
}
