/**
 * Serves the admin app on a Unix socket for the command line of this host, and on TCP where configured. Ends
 * without waiting for anybody: streams are closed, and what does not finish within a moment is cut off.
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import { isLoopback, type ListenAddress } from "../config/values.ts";
import { parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { certifiedNames } from "./certificate.ts";
import { failureBody } from "./failure.ts";
import type { AdminEnv, Peer } from "./guard.ts";
import {
  type Certificate,
  type Handler,
  Listener,
  type ListenerLimits,
  type RemoteAddress,
} from "./listener.ts";
import { Turns } from "./turns.ts";

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
  /** TLS on the TCP address. */
  readonly certificate?: Certificate;
  /** Bounds of the TCP address; for tests. */
  readonly limits?: ListenerLimits;
  /** Time for answers under way to finish at the end, in ms. */
  readonly graceMs?: number;
}

/** A running admin server. */
export interface AdminServer {
  /** The TCP address in use, if any. */
  readonly address: ListenAddress | undefined;
  /** New TLS connections get this certificate; it was checked (`certificate.ts`). */
  renew(certificate: Certificate): void;
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
  if (listen !== undefined && !options.tokens && !onLoopback(listen.host)) {
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
  const turns = new Turns();
  let certified = options.certificate && certifiedNames(options.certificate);
  const handle = async (request: Request, from: RemoteAddress) => {
    if (!await turns.take()) return busy();
    if (closing.signal.aborted) return closed();
    const peer: Peer = from === undefined ? { kind: "unix" } : { kind: "tcp", address: from };
    return await app.fetch(request, { peer, certified, closing: closing.signal });
  };
  const local = await openPrivately(unixPath, (request) => handle(request, undefined));
  let outer: Listener | undefined;
  try {
    // A connection that has gone already has no address: it is not taken for a local one.
    outer = listen && await Listener.open(
      listen,
      (request, from) => handle(request, from ?? "unknown"),
      options.certificate,
      options.limits,
    );
  } catch (error) {
    await local.close(0);
    throw error;
  }
  let ended: Promise<void> | undefined;
  const shutdown = async () => {
    closing.abort();
    const graceMs = options.graceMs ?? SHUTDOWN_GRACE_MS;
    await Promise.all([local.close(graceMs), outer?.close(graceMs)]);
  };
  return {
    address: outer && { host: listen!.host, port: outer.port },
    renew: (certificate) => {
      outer?.renew(certificate);
      certified = certifiedNames(certificate);
    },
    shutdown: () => ended ??= shutdown(),
  };
}

/** Nobody else may connect, not even in the moment between bind and chmod. */
function openPrivately(path: string, handler: Handler): Promise<Listener> {
  const umask = Deno.umask(0o177);
  try {
    return Listener.open({ path }, handler); // binds before it returns
  } finally {
    Deno.umask(umask);
  }
}

function onLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const address = parseAddress(host);
  return address !== undefined && isLoopback(address);
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

function busy(): Response {
  const body = failureBody(
    "busy",
    "too many requests wait for an answer",
    "Ask again in a moment, and less often.",
  );
  return Response.json(body, { status: 503, headers: { "retry-after": "1", connection: "close" } });
}

function closed(): Response {
  const body = failureBody(
    "closing",
    "this daemon is about to end",
    "Ask another node, or again in a moment.",
  );
  return Response.json(body, { status: 503, headers: { connection: "close" } });
}
