/** The one place that speaks to the node: requests with the token, refusals as errors, the event stream. */

import type { FailureAnswer } from "../schemas.ts";
import { readServerSentEvents, type ServerSentEvent } from "./server_sent_events.ts";
import { token } from "./session.ts";

/** A request that takes longer counts as lost. */
const ANSWER_WAIT_MS = 2_500;
/** An order waits for the node that it is for; the farm gives up by itself before this. */
const ORDER_WAIT_MS = 15_000;
/** The live view tells the farm every second: a stream that is silent for longer is dead. */
const STREAM_SILENCE_MS = 4_000;

/** The node said no. */
export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly remedy: string) {
    super(message);
  }
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token.peek() !== "") headers.set("authorization", `Bearer ${token.peek()}`);
  return await fetch(path, { ...init, headers });
}

async function refusalOf(response: Response): Promise<Refusal> {
  const body = await response.json().catch(() => undefined) as FailureAnswer | undefined;
  const { code, message, remedy } = body?.error ??
    { code: "unknown", message: `the node answered ${response.status}`, remedy: "See the node's log." };
  return new Refusal(response.status, code, message, remedy);
}

/**
 * Reads one resource.
 * @throws Refusal if the node says no; any other error means that it did not answer.
 */
export async function get<T>(path: string): Promise<T> {
  const response = await ask(path, { signal: AbortSignal.timeout(ANSWER_WAIT_MS) });
  if (!response.ok) throw await refusalOf(response);
  return await response.json() as T;
}

/** Reads a large resource again: undefined if it is still what `tag` stands for. */
export async function getIfChanged<T>(
  path: string,
  tag: string,
): Promise<{ body: T; tag: string } | undefined> {
  const headers: Record<string, string> = tag === "" ? {} : { "if-none-match": tag };
  const response = await ask(path, { headers, signal: AbortSignal.timeout(ANSWER_WAIT_MS) });
  if (response.status === 304) return undefined;
  if (!response.ok) throw await refusalOf(response);
  return { body: await response.json() as T, tag: response.headers.get("etag") ?? "" };
}

/** Gives an order. @throws as {@link get}. */
export async function order<T>(method: "POST" | "PUT", path: string, body?: unknown): Promise<T> {
  const response = await ask(path, {
    method,
    signal: AbortSignal.timeout(ORDER_WAIT_MS),
    ...(body !== undefined && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  });
  if (!response.ok) throw await refusalOf(response);
  return await response.json() as T;
}

/**
 * Follows the live view, with the events after `cursor`, until it ends or `signal` says so. EventSource cannot send
 * a token.
 */
export async function* follow(cursor: string, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
  const silent = new AbortController();
  let silence: number | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => silent.abort(), STREAM_SILENCE_MS);
  };
  try {
    alive();
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (cursor !== "") headers["last-event-id"] = cursor;
    const response = await ask("/api/v1/watch", {
      headers,
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (!response.ok) throw await refusalOf(response);
    yield* readServerSentEvents(response.body!, alive);
  } finally {
    clearTimeout(silence);
    silent.abort();
  }
}
