/**
 * What every request passes before anything looks at it: who it says it speaks to (DNS rebinding), where it
 * comes from (requests forged by a web page), how large and how slow its body may be, and the headers that keep
 * a browser from doing more with an answer than it should.
 */

import type { Context, MiddlewareHandler } from "hono";
import { isLoopback, type ListenAddress } from "../config/values.ts";
import { parseAddress, sameAddress } from "../core/address.ts";
import { ApiFailure } from "./failure.ts";
import type { Principal } from "./tokens.ts";

/** Largest request body: the largest that the API takes is a few dozen bytes. */
export const BODY_BYTES_MAX = 64 * 1024;

/** Time for a body to arrive: one that needs longer only holds memory and a connection. */
export const BODY_WAIT_MS = 10_000;

/** Where a request comes from. */
export type Peer =
  | { readonly kind: "unix" }
  | { readonly kind: "tcp"; readonly address: string };

/** What the server tells the app of each request, and what middleware tells the handlers. */
export interface AdminEnv {
  Bindings: {
    /** Absent: unknown, and trusted as little as TCP. */
    peer?: Peer;
    /** Host names of the certificate in use, which a request may be meant for. */
    certified?: readonly string[];
    /** Aborted when the server shuts down: streams end. */
    closing?: AbortSignal;
  };
  Variables: { principal: Principal };
}

/** Who asks, for people: the address, or the Unix socket. */
export function peerText(c: Context<AdminEnv>): string {
  const peer = c.env?.peer;
  return peer === undefined ? "unknown" : peer.kind === "unix" ? "the Unix socket" : peer.address;
}

/** Whether the request came over the Unix socket, which only the owner of the runtime directory can open. */
export function overUnixSocket(c: Context<AdminEnv>): boolean {
  return c.env?.peer?.kind === "unix";
}

/** The name in a Host header, without port and brackets, in lower case; undefined if the header is not one. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?$/.exec(host.toLowerCase());
  return match === null ? undefined : (match[1] ?? match[2]).replace(/\.$/, "");
}

/**
 * Whether a request for this host can be meant for us. With DNS rebinding, a page makes its own name resolve to
 * our address and so becomes same-origin with us; what gives it away is that its name is in the Host header.
 * An address cannot be rebound, so behind a wildcard listener every address passes. Nor can `certified` names, those of
 * our certificate: whoever has them resolved elsewhere is known by the certificate that is missing there.
 */
export function hostAllowed(
  host: string,
  listen: ListenAddress | undefined,
  certified: readonly string[] = [],
): boolean {
  const name = hostName(host);
  if (name === undefined) return false;
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (listen !== undefined && name === listen.host.toLowerCase()) return true;
  const address = parseAddress(name);
  if (address === undefined) return certified.some((each) => isNamed(name, each));
  if (isLoopback(address)) return true;
  const own = listen === undefined ? undefined : parseAddress(listen.host);
  return own !== undefined && (own.bytes.every((byte) => byte === 0) || sameAddress(own, address));
}

/** Whether a certificate for this name is one for the host: `*` stands for the first label (RFC 6125 section 6.4.3). */
function isNamed(host: string, certified: string): boolean {
  return host === certified || (certified.startsWith("*.") && host.replace(/^[^.]+/, "*") === certified);
}

/** Refuses requests for a foreign Host, and actions that a foreign web page makes a browser send. */
export function checkOrigin(listen: ListenAddress | undefined): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    // No browser can open a Unix socket, and none leaves Host out: neither can have been tricked by a page.
    const host = c.req.header("host");
    if (!overUnixSocket(c) && host !== undefined) {
      if (!hostAllowed(host, listen, c.env?.certified) || !sameAuthority(c.req.url, host)) {
        throw new ApiFailure(
          403,
          "host_not_allowed",
          "this name is not one that the admin endpoint answers to",
          "Use localhost, the address in admin.listen, or with TLS a name that the certificate has.",
        );
      }
    }
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      const origin = c.req.header("origin");
      const site = c.req.header("sec-fetch-site");
      const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
      if (!own || site === "cross-site" || site === "same-site") {
        throw new ApiFailure(
          403,
          "origin_not_allowed",
          "a page of another origin may not act on the farm",
          "Act from the console of this node, or from a program that sends no Origin header.",
        );
      }
    }
    await next();
  };
}

/** The request line may carry a name of its own (RFC 9112 section 3.2.2): it must be the Host header's. */
function sameAuthority(url: string, host: string): boolean {
  if (!URL.canParse(url) || !URL.canParse(`http://${host}`)) return false;
  return new URL(url).host === new URL(`http://${host}`).host;
}

/** Reads the body whole, within {@link BODY_BYTES_MAX} and {@link BODY_WAIT_MS}, before a handler sees it. */
export function boundBody(waitMs: number): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const raw = c.req.raw;
    if (raw.body === null || raw.method === "GET" || raw.method === "HEAD") return await next();
    if (Number(c.req.header("content-length") ?? 0) > BODY_BYTES_MAX) throw tooLarge();
    const reader = raw.body.getReader();
    const chunks: Uint8Array[] = [];
    let size = 0;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(tooSlow(waitMs)), waitMs);
    try {
      while (true) {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (done) break;
        size += value.length;
        if (size > BODY_BYTES_MAX) throw tooLarge();
        chunks.push(value);
      }
    } catch (error) {
      reader.cancel().catch(() => {}); // the connection is given up anyway
      if (error instanceof ApiFailure) throw error;
      throw new ApiFailure(400, "malformed_request", "the body could not be read", "Send the body whole.");
    } finally {
      clearTimeout(timer);
    }
    c.req.raw = new Request(raw.url, {
      method: raw.method,
      headers: raw.headers,
      body: await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer(),
    });
    await next();
  };
}

function tooLarge(): ApiFailure {
  const remedy = "Send only what /docs shows.";
  return new ApiFailure(413, "body_too_large", `a body has at most ${BODY_BYTES_MAX} bytes`, remedy, {
    connection: "close",
  });
}

function tooSlow(waitMs: number): ApiFailure {
  const message = `the body did not arrive within ${waitMs} ms`;
  return new ApiFailure(408, "body_too_slow", message, "Send the body at once.", { connection: "close" });
}

/** Headers for every answer. Pages replace the policy by their own, which allows their own script and style. */
export const securityHeaders: MiddlewareHandler<AdminEnv> = async (c, next) => {
  await next();
  const headers = c.res.headers;
  if (!headers.has("content-security-policy")) {
    headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  }
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-resource-policy", "same-origin");
  // Elsewhere browsers ignore it, and complain.
  if (trustworthy(c.req.url)) headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cache-control", "no-store");
};

/** Whether browsers trust the way to this address (W3C Secure Contexts, section 3.1): encrypted, or not left the host. */
function trustworthy(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(hostname);
}
