/**
 * The event log as server-sent events (HTML standard, section 9.2). Chunks are made only when the connection
 * takes them, so that a slow client holds no memory: it reads at its own pace from the ring, and is told what it
 * missed.
 */

import type { Context } from "hono";
import { type EventFilter, wants } from "./event_filter.ts";
import type { EventBatch, EventLog, EventSubscription } from "./event_log.ts";
import { ApiFailure } from "./failure.ts";
import type { AdminEnv } from "./guard.ts";

/** Streams open at once: some dozens of people and programs; each costs a connection and a timer. */
export const STREAMS_MAX = 256;

/** A comment is sent after this much silence, so that both ends and all between know that the stream lives. */
const KEEP_ALIVE_MS = 15_000;

/** A client waits this long before it connects again. */
const RETRY_MS = 1_000;

/** A watcher is sent the farm after this much time without an event. */
const FARM_INTERVAL_MS = 1_000;

/** Changes without an event are told this long after the last farm at the earliest: many may come at once. */
const FARM_GAP_MS = 50;

/** Watchers whose second ends within this time share one text. */
const SHARED_MS = 200;

/** A text that is made for all who ask at about the same time, and anew after a change. */
export function shared(make: () => string, log: EventLog): () => string {
  let kept: { text: string; madeMs: number; changes: number } | undefined;
  return () => {
    const nowMs = performance.now();
    if (kept === undefined || kept.changes !== log.changes || nowMs - kept.madeMs > SHARED_MS) {
      kept = { text: make(), madeMs: nowMs, changes: log.changes };
    }
    return kept.text;
  };
}

/** Tunable for tests; the defaults are the constants of this file. */
export interface StreamOptions {
  readonly streamsMax?: number;
  readonly keepAliveMs?: number;
}

/** Opens streams over one event log, and counts them. */
export class EventStreams {
  readonly #log: EventLog;
  readonly #streamsMax: number;
  readonly #keepAliveMs: number;
  #open = 0;

  constructor(log: EventLog, options: StreamOptions = {}) {
    this.#log = log;
    this.#streamsMax = options.streamsMax ?? STREAMS_MAX;
    this.#keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
  }

  /** Streams open now. */
  get open(): number {
    return this.#open;
  }

  /**
   * An answer that goes on until the client leaves or the server closes: the events that it wants and, with `farm`,
   * every second what that gives.
   * @throws ApiFailure 429 if too many are open.
   */
  answer(
    c: Context<AdminEnv>,
    cursor: string | undefined,
    filter: EventFilter = {},
    farm?: () => string,
  ): Response {
    const headers = { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" };
    if (c.req.raw.method === "HEAD") return c.body(null, 200, headers);
    if (this.#open >= this.#streamsMax) {
      const remedy = "Close another stream, or ask with ?format=json.";
      throw new ApiFailure(429, "too_many_streams", `${this.#streamsMax} event streams are open`, remedy, {
        "retry-after": "5",
      });
    }
    const subscription = this.#log.subscribe(this.#log.position(cursor));
    return c.body(this.#stream(subscription, filter, farm, c.env?.closing), 200, headers);
  }

  #stream(
    subscription: EventSubscription,
    filter: EventFilter,
    farm: (() => string) | undefined,
    closing: AbortSignal | undefined,
  ): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    const end = () => {
      if (subscription.closed) return;
      this.#open--;
      subscription.close();
      closing?.removeEventListener("abort", end);
    };
    this.#open++;
    closing?.addEventListener("abort", end);
    if (closing?.aborted) end();
    let greeted = false;
    let sentMs = performance.now();
    // No chunk is made before it is asked for: the client's pace is ours.
    return new ReadableStream({
      pull: async (controller) => {
        let text = "";
        if (!greeted) {
          greeted = true;
          text = `retry: ${RETRY_MS}\n: run ${this.#log.run}\n\n${
            farm === undefined ? "" : farmEvent(farm())
          }`;
        }
        // Events that the reader does not want end the waiting, but not the silence.
        let intervalMs = farm === undefined ? this.#keepAliveMs : FARM_INTERVAL_MS;
        while (text === "" && !subscription.closed) {
          const batch = await subscription.next(Math.max(1, intervalMs - (performance.now() - sentMs)));
          if (farm !== undefined && batch === undefined && performance.now() - sentMs < FARM_GAP_MS) {
            intervalMs = FARM_GAP_MS;
            continue;
          }
          if (batch !== undefined) text = this.#text(batch, filter);
          if (farm !== undefined) text += farmEvent(farm());
          else if (text === "" && performance.now() - sentMs >= this.#keepAliveMs) text = ": alive\n\n";
        }
        if (subscription.closed) return controller.close();
        sentMs = performance.now();
        controller.enqueue(encoder.encode(text));
      },
      cancel: end,
    }, { highWaterMark: 0 });
  }

  #text(batch: EventBatch, filter: EventFilter): string {
    let text = "";
    if (batch.missed > 0) text += `event: missed\ndata: {"missed":${batch.missed}}\n\n`;
    for (const event of batch.events) {
      if (!wants(filter, event)) continue;
      text += `id: ${this.#log.cursor(event.id)}\ndata: ${JSON.stringify(event)}\n\n`;
    }
    return text;
  }
}

function farmEvent(farm: string): string {
  return `event: farm\ndata: ${farm}\n\n`;
}
