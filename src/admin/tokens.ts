/**
 * Who may do what over TCP. The tokens file has one line for each token, `role name sha256-hex`; the token itself
 * is never stored. Without a tokens file the endpoint listens on loopback only, and everybody there is trusted.
 */

import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { readSecretFile } from "../config/secret_file.ts";
import { parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { NAME_LENGTH_MAX } from "../core/limits.ts";
import type { EventLog } from "./event_log.ts";
import { ApiFailure } from "./failure.ts";
import { type AdminEnv, overUnixSocket, peerText } from "./guard.ts";
import { type Role, ROLES } from "./roles.ts";

/** Who asks. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

/** Tokens in one file: a person or program each; every attempt compares with all of them. */
const TOKENS_MAX = 256;
/** Longest token: a header that is longer is not one of ours, and is not hashed. */
const TOKEN_LENGTH_MAX = 512;
/** Wrong tokens that one address may send within {@link FAILURE_WINDOW_MS}: a typing mistake or two, and no search. */
const FAILURES_MAX = 10;
const FAILURE_WINDOW_MS = 60_000;
/** Addresses whose failures are remembered: more of them push out the oldest. */
const FAILING_ADDRESSES_MAX = 1024;

interface Token extends Principal {
  readonly hash: Uint8Array;
}

/** The lines of a tokens file that are to hold a token, in words. Empty lines and those that begin with `#` are skipped. */
export function* tokenLines(text: string): Generator<{ number: number; words: readonly string[] }> {
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line !== "" && !line.startsWith("#")) yield { number: index + 1, words: line.split(/\s+/) };
  }
}

/** The tokens of one tokens file. */
export class TokenStore {
  #tokens: readonly Token[];

  private constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /**
   * Reads the text of a tokens file.
   * @throws VipfarmError naming the first line that is wrong.
   */
  static parse(text: string, file: string): TokenStore {
    const tokens: Token[] = [];
    for (const { number, words } of tokenLines(text)) {
      const [role, name, hex] = words;
      const fail = (problem: string): never => {
        throw new VipfarmError({
          operation: "read tokens file",
          problem,
          value: `${file}:${number}`,
          remedy: "Write each line as: role name sha256-hex, where role is monitor, control or admin.",
          exitCode: EXIT.usage,
        });
      };
      if (words.length !== 3) fail("a line has three words");
      if (!ROLES.some((known) => known === role)) fail("unknown role");
      if (name.length > NAME_LENGTH_MAX) fail(`a name has at most ${NAME_LENGTH_MAX} characters`);
      if (!/^[0-9a-f]{64}$/i.test(hex)) fail("the third word must be a SHA-256 in 64 hexadecimal digits");
      if (tokens.length === TOKENS_MAX) fail(`a tokens file has at most ${TOKENS_MAX} tokens`);
      if (tokens.some((token) => token.name === name)) fail("this name was given before");
      tokens.push({ role: role as Role, name, hash: Uint8Array.from(Buffer.from(hex, "hex")) });
    }
    if (tokens.length === 0) {
      throw new VipfarmError({
        operation: "read tokens file",
        problem: "it holds no token",
        value: file,
        remedy: "Add a line, or remove admin.tokens_file and listen on loopback.",
        exitCode: EXIT.usage,
      });
    }
    return new TokenStore(tokens);
  }

  /**
   * Reads a tokens file, which nobody but its owner and group may read and only its owner may write.
   * @throws VipfarmError if it cannot be read, is open to others, or is malformed.
   */
  static async load(file: string): Promise<TokenStore> {
    return TokenStore.parse(await readSecretFile("read tokens file", file, "admin.tokens_file"), file);
  }

  /** From here on the tokens of another store are the ones that are known. */
  replace(other: TokenStore): void {
    this.#tokens = other.#tokens;
  }

  /** Who holds this token. Looks at every token, and at every byte of each, whatever it finds. */
  find(token: string): Principal | undefined {
    const hash = createHash("sha256").update(token).digest();
    let found: Principal | undefined;
    for (const candidate of this.#tokens) {
      if (timingSafeEqual(hash, candidate.hash)) found = { name: candidate.name, role: candidate.role };
    }
    return found;
  }
}

/** Counts wrong tokens by address, and says who has to wait. */
export class FailureLimiter {
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, number[]>();

  /** `nowMs` is a clock that never goes back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Milliseconds until this address may try again; 0 if it may. */
  waitMs(address: string): number {
    const key = limitKey(address);
    const since = this.#nowMs() - FAILURE_WINDOW_MS;
    const recent = (this.#failures.get(key) ?? []).filter((atMs) => atMs > since);
    if (recent.length === 0) this.#failures.delete(key);
    return recent.length < FAILURES_MAX ? 0 : Math.max(1, recent[0] - since);
  }

  /** Notes a wrong token. Gives true if it was the last that this address may send for now. */
  fail(address: string): boolean {
    const key = limitKey(address);
    const recent = [...(this.#failures.get(key) ?? []), this.#nowMs()].slice(-FAILURES_MAX);
    this.#failures.delete(key); // to the end: the map forgets in the order of the last failure
    if (this.#failures.size >= FAILING_ADDRESSES_MAX) {
      const [oldest] = this.#failures.keys();
      this.#failures.delete(oldest);
    }
    this.#failures.set(key, recent);
    return this.waitMs(address) > 0;
  }
}

/** One host has a whole /64 of IPv6 to try from. */
function limitKey(address: string): string {
  const parsed = parseAddress(address);
  return parsed?.family === 6 ? parsed.bytes.slice(0, 8).join(".") : address;
}

/** What answers without a token: pages without data, and what a load balancer probes. */
const PUBLIC = new Set(["/", "/docs", "/openapi.json", "/healthz", "/readyz"]);

/** What changes a daemon itself, and not only who serves. */
const ADMIN_ONLY = /^\/api\/v1\/(log-level|nodes\/[^/]+\/reload)$/;

/** Finds out who asks, and refuses what their role does not allow. */
export function authorize(
  tokens: TokenStore | undefined,
  limiter: FailureLimiter,
  events: EventLog,
): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    if (overUnixSocket(c)) {
      c.set("principal", { name: localName(c.req.header("x-vipfarm-user")), role: "admin" });
    } else if (tokens === undefined) {
      c.set("principal", { name: "anonymous", role: "admin" });
    } else if (!PUBLIC.has(c.req.path)) {
      const principal = identify(c.req.header("authorization"), peerText(c), tokens, limiter, events);
      const reads = c.req.method === "GET" || c.req.method === "HEAD";
      const needed: Role = reads ? "monitor" : ADMIN_ONLY.test(c.req.path) ? "admin" : "control";
      if (ROLES.indexOf(principal.role) < ROLES.indexOf(needed)) {
        events.record({
          severity: "warning",
          kind: "admin.forbidden",
          message: `${principal.name} (${principal.role}) from ${
            peerText(c)
          } may not ${c.req.method} ${c.req.path}`,
          details: { who: principal.name, role: principal.role, from: peerText(c), needed },
        });
        throw new ApiFailure(
          403,
          "forbidden",
          `the role ${principal.role} does not allow this`,
          `Use a token with the role ${needed}.`,
        );
      }
      c.set("principal", principal);
    } else {
      c.set("principal", { name: "anonymous", role: "monitor" });
    }
    await next();
  };
}

/**
 * Who asks over the Unix socket: `local`, with the name that the command line was run under, through sudo too. Only who
 * may open the socket, and so may do anything, can say so.
 */
function localName(user: string | undefined): string {
  return user !== undefined && /^[A-Za-z0-9._-]{1,32}$/.test(user) ? `local (${user})` : "local";
}

function identify(
  header: string | undefined,
  from: string,
  tokens: TokenStore,
  limiter: FailureLimiter,
  events: EventLog,
): Principal {
  const waitMs = limiter.waitMs(from);
  if (waitMs > 0) {
    throw new ApiFailure(
      429,
      "too_many_attempts",
      "too many wrong tokens from this address",
      "Wait a minute.",
      {
        "retry-after": String(Math.ceil(waitMs / 1000)),
      },
    );
  }
  const challenge = { "www-authenticate": 'Bearer realm="vipfarm"' };
  const token = /^Bearer +([^\s]+)$/i.exec(header ?? "")?.[1];
  if (token === undefined) {
    const remedy =
      "Send the header `Authorization: Bearer TOKEN`; the vipfarm command takes it from VIPFARM_TOKEN.";
    throw new ApiFailure(401, "token_required", "this endpoint asks for a token", remedy, challenge);
  }
  const principal = token.length > TOKEN_LENGTH_MAX ? undefined : tokens.find(token);
  if (principal !== undefined) return principal;
  if (limiter.fail(from)) {
    events.record({
      severity: "warning",
      kind: "admin.locked_out",
      message: `too many wrong tokens from ${from}: it is not listened to for a minute`,
      details: { from },
    });
  }
  const remedy = "Check the token; its SHA-256 must be in the tokens file of this node.";
  throw new ApiFailure(401, "token_unknown", "this token is not known", remedy, challenge);
}
