/**
 * An HTTP server over `node:http`, whose bounds keep slow, greedy and silent clients from holding what others need:
 * `Deno.serve` has none of them.
 */

import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { failureBody } from "./failure.ts";

/** Bounds of one listening socket. */
export interface ListenerLimits {
  /** Connections at once: some dozens of consoles, with all their streams and requests, have room. */
  readonly connectionsMax: number;
  /**
   * Of those, from one address: a single client cannot keep all others out. Some twenty consoles behind one proxy have
   * room. On each connection 64 KiB of requests may come in one piece, which `node:http` reads whole: 4 MB for a moment.
   */
  readonly connectionsOfAddressMax: number;
  /** Time for the headers of a request to arrive, and for a TLS handshake. */
  readonly headersWaitMs: number;
  /** Time for the whole request to arrive. */
  readonly requestWaitMs: number;
  /** A connection on which nothing moves for so long, in neither direction, is closed: a stream speaks every 15 s. */
  readonly idleMs: number;
}

export const LIMITS: ListenerLimits = {
  connectionsMax: 384,
  connectionsOfAddressMax: 128,
  headersWaitMs: 10_000,
  requestWaitMs: 15_000,
  idleMs: 45_000,
};

/** Largest request head: a token and the headers of a browser take two. */
const HEAD_BYTES_MAX = 16 * 1024;
/**
 * Requests of one connection whose answers have not gone out, pipelined (RFC 9112 section 9.3.2), as no browser does. They are kept with
 * their answers for as long as a client does not read, so whoever sends more over TCP is cut off.
 */
export const PIPELINED_MAX = 16;
/** A connection without a request under way is kept so long for the next. */
const KEEP_ALIVE_MS = 10_000;

/** A certificate chain and its key, in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Where a connection comes from; undefined: a Unix socket. */
export type RemoteAddress = string | undefined;

/** Answers a request. */
export type Handler = (request: Request, from: RemoteAddress) => Response | Promise<Response>;

/** One listening socket and its connections. */
export class Listener {
  readonly #server: http.Server | https.Server;
  readonly #answering = new Set<Promise<void>>();
  /** For each connection, the answers that have not gone out. */
  readonly #pipelines = new WeakMap<Socket, Set<http.ServerResponse>>();
  readonly #connections = new Map<string, number>();

  private constructor(handler: Handler, certificate: Certificate | undefined, limits: ListenerLimits) {
    const options = {
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: limits.headersWaitMs,
      requestTimeout: limits.requestWaitMs,
      handshakeTimeout: limits.headersWaitMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(1_000, limits.headersWaitMs / 4),
    };
    const listener = getRequestListener(
      (request, { outgoing }) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#answering.add(promise);
        outgoing.on("close", () => {
          this.#answering.delete(promise);
          resolve();
        });
        return handler(request, addressOf(outgoing.socket as Socket | null));
      },
      // Probes of HTTP/1.0 send no Host.
      { overrideGlobalObjects: false, hostname: "localhost", errorHandler: () => malformed() },
    );
    const take: http.RequestListener = (incoming, outgoing) => {
      if (this.#admit(incoming.socket, outgoing)) void listener(incoming, outgoing);
    };
    this.#server = certificate === undefined
      ? http.createServer(options, take)
      : https.createServer({ ...options, cert: certificate.certificate, key: certificate.key }, take);
    this.#server.maxConnections = limits.connectionsMax;
    this.#server.timeout = limits.idleMs;
    this.#server.on("connection", (socket: Socket) => this.#count(socket, limits.connectionsOfAddressMax));
    // A client that speaks no TLS, or leaves in the middle: nothing of ours went wrong.
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
    this.#server.on("clientError", refuseMalformed);
  }

  /**
   * Opens it on a Unix socket path or a TCP address.
   * @throws VipfarmError if it cannot be opened
   */
  static async open(
    where: { readonly path: string } | { readonly host: string; readonly port: number },
    handler: Handler,
    certificate?: Certificate,
    limits = LIMITS,
  ): Promise<Listener> {
    const listener = new Listener(handler, certificate, limits);
    await new Promise<void>((resolve, reject) => {
      listener.#server.once("listening", resolve);
      listener.#server.once("error", (error: Error & { code?: string }) => reject(cannotOpen(where, error)));
      listener.#server.listen(where);
    });
    return listener;
  }

  /** The TCP port in use. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** New connections get this certificate, which was checked: whatever it is, it is used. */
  renew({ certificate, key }: Certificate): void {
    if (this.#server instanceof https.Server) this.#server.setSecureContext({ cert: certificate, key });
  }

  /** Takes no new connections; waits for the answers under way at most `graceMs`, and cuts off what is left. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const { promise: graceOver, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    await Promise.race([Promise.all(this.#answering), graceOver]);
    clearTimeout(timer);
    this.#server.closeAllConnections();
    await closed;
  }

  /** Whether a request may be answered: its connection has not sent too many ahead. */
  #admit(socket: Socket, outgoing: http.ServerResponse): boolean {
    if (socket.destroyed) return false;
    let pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) {
      const answers = pipeline = new Set<http.ServerResponse>();
      this.#pipelines.set(socket, answers);
      // Only the first is told that the client has gone: what waits behind it, a stream perhaps, would wait for ever.
      socket.once("close", () => {
        for (const answer of answers) {
          // For a body that is about to be written: it would wait for an event that has been.
          answer.destroyed = true;
          answer.emit("close");
        }
      });
    }
    // Whoever may use the Unix socket may as well stop the daemon.
    if (pipeline.size >= PIPELINED_MAX && addressOf(socket) !== undefined) {
      socket.destroy();
      return false;
    }
    pipeline.add(outgoing);
    outgoing.once("close", () => pipeline.delete(outgoing));
    return true;
  }

  #count(socket: Socket, most: number): void {
    const address = addressOf(socket);
    if (address === undefined) return;
    const count = (this.#connections.get(address) ?? 0) + 1;
    if (count > most) return void socket.destroy();
    this.#connections.set(address, count);
    socket.once("close", () => {
      const left = this.#connections.get(address)! - 1;
      if (left > 0) this.#connections.set(address, left);
      else this.#connections.delete(address);
    });
  }
}

/** IPv4 on a socket for both families comes as `::ffff:192.0.2.1`. */
function addressOf(socket: Socket | null): RemoteAddress {
  return socket?.remoteAddress?.replace(/^::ffff:(?=[0-9.]+$)/i, "");
}

function malformed(): Response {
  const body = failureBody("malformed_request", "this is no request that can be understood", "See /docs.");
  return Response.json(body, { status: 400, headers: { connection: "close" } });
}

/** What the parser of `node:http` refuses, and what comes too slowly, never becomes a request. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
  const late = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const body = JSON.stringify(
    late
      ? failureBody("request_too_slow", "the request did not arrive in time", "Send it at once.")
      : failureBody("malformed_request", "this is no request that can be understood", "See /docs."),
  );
  const status = late ? "408 Request Timeout" : "400 Bad Request";
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function cannotOpen(
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  cause: Error & { code?: string },
): VipfarmError {
  // Deno gives the second in place of the first (EADDRNOTAVAIL of bind(2)); of a path it says something else.
  const isElsewhere = "host" in where && (cause.code === "EADDRNOTAVAIL" || cause.code === "EINVAL");
  return new VipfarmError({
    operation: "open admin endpoint",
    problem: isElsewhere ? "this host does not have the address" : cause.message,
    value: "path" in where ? where.path : `${where.host}:${where.port}`,
    remedy: cause.code === "EADDRINUSE"
      ? "Another program has this address: stop it, or change admin.listen."
      : isElsewhere
      ? "Give an address of this host in admin.listen; 0.0.0.0 and [::] stand for all that it has."
      : "Check admin.listen and the permissions of the runtime directory.",
    exitCode: cause.code === "EACCES" || cause.code === "EPERM" ? EXIT.privilege : EXIT.no,
    cause,
  });
}
