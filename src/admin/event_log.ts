/**
 * What happened, kept in a ring of fixed size, for any number of readers at their own pace.
 *
 * A reader owns only a position in the ring, no queue. One that is too slow therefore costs nothing: the ring
 * moves on, and the reader is told how many events it missed.
 */

import type { FarmEvent, FarmEventInit, Severity } from "../core/events.ts";
import { EVENTS_KEPT_MAX } from "../core/limits.ts";
import { CURSOR } from "./schemas.ts";

/** Events handed over at once: keeps one write to a client small, and lets others have their turn. */
const BATCH_MAX = 64;

/** Some events in order, and how many before them were lost to this reader. */
export interface EventBatch {
  readonly events: readonly FarmEvent[];
  readonly missed: number;
}

/** A bounded list of events that is written at one end and read by many. */
export class EventLog {
  /** Names this run of the daemon, so that a cursor from an earlier run is not mistaken for one of this. */
  readonly run: string;
  readonly #capacity: number;
  readonly #ring: FarmEvent[] = [];
  readonly #now: () => Date;
  readonly #waiting = new Set<() => void>();
  readonly #counts = new Map<string, { severity: Severity; kind: string; count: number }>();
  #lastId = 0;
  #changes = 0;

  /** `capacity` is the number of events kept; `now` is asked for the wall-clock time of each. */
  constructor(options: { capacity?: number; now?: () => Date } = {}) {
    this.#capacity = options.capacity ?? EVENTS_KEPT_MAX;
    this.#now = options.now ?? (() => new Date());
    this.run = this.#now().getTime().toString(36);
  }

  /** Number of the newest event; 0 if there is none. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Grows with every event, and whenever something changed that has no event of its own. */
  get changes(): number {
    return this.#changes;
  }

  /** Numbers, dates and keeps an event, and wakes who waits for one. */
  record(init: FarmEventInit): FarmEvent {
    const event: FarmEvent = { id: ++this.#lastId, at: this.#now().toISOString(), ...init };
    this.#ring[(event.id - 1) % this.#capacity] = event;
    this.#count(event);
    this.stir();
    return event;
  }

  /** Events recorded since the start, by severity and kind. */
  counts(): ReadonlyArray<{ severity: Severity; kind: string; count: number }> {
    return [...this.#counts.values()];
  }

  /** Kinds are words of this program, so there are few of them. */
  #count({ severity, kind }: FarmEvent): void {
    const key = `${severity} ${kind}`;
    const entry = this.#counts.get(key);
    if (entry === undefined) this.#counts.set(key, { severity, kind, count: 1 });
    else entry.count++;
  }

  /** Wakes who waits, also without an event: what they tell beside the events has changed. */
  stir(): void {
    this.#changes++;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** The events after number `after` that are still kept, oldest first; at most `limit`. */
  list(after = 0, limit = this.#capacity): EventBatch {
    const start = Math.min(Math.max(0, after), this.#lastId);
    const oldest = Math.max(0, this.#lastId - this.#capacity);
    const first = Math.max(start, oldest);
    const events: FarmEvent[] = [];
    for (let id = first + 1; id <= this.#lastId && events.length < limit; id++) {
      events.push(this.#ring[(id - 1) % this.#capacity]);
    }
    return { events, missed: first - start };
  }

  /** Text that stands for event `id`, for a client to resume from. */
  cursor(id: number): string {
    return `${this.run}-${id}`;
  }

  /** The event that a cursor stands for: 0, which is before all, for one of another run, or none at all. */
  position(cursor: string | undefined): number {
    const match = cursor === undefined ? null : CURSOR.exec(cursor);
    if (match === null || match[1] !== this.run) return 0;
    return Math.min(Number(match[2]), this.#lastId);
  }

  /** Starts to read after event `after`. Close the subscription when done. */
  subscribe(after = this.#lastId): EventSubscription {
    return new EventSubscription(this, after, this.#waiting);
  }
}

/** One reader of an {@link EventLog}. */
export class EventSubscription {
  readonly #log: EventLog;
  readonly #waiting: Set<() => void>;
  #after: number;
  /** Changes of the log that the reader knows of: one that comes between two calls of `next` is not lost. */
  #seen: number;
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(log: EventLog, after: number, waiting: Set<() => void>) {
    this.#log = log;
    this.#after = after;
    this.#seen = log.changes;
    this.#waiting = waiting;
  }

  /** What there is to read now, without waiting; undefined if nothing. */
  take(): EventBatch | undefined {
    const batch = this.#log.list(this.#after, BATCH_MAX);
    if (batch.events.length === 0) return undefined;
    this.#after = batch.events[batch.events.length - 1].id;
    return batch;
  }

  /**
   * Waits for something to read, at most `timeoutMs`. Gives undefined when the time is up, the log was stirred
   * without an event, or the subscription was closed. Only one call may wait at a time.
   */
  async next(timeoutMs: number): Promise<EventBatch | undefined> {
    const stirred = this.#seen !== this.#log.changes;
    this.#seen = this.#log.changes;
    const ready = this.#closed ? undefined : this.take();
    if (ready !== undefined || stirred || this.#closed) return ready;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    this.#wake = undefined;
    this.#seen = this.#log.changes;
    return this.#closed ? undefined : this.take();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends the subscription, also under a call of `next` that waits. May be called again. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }
}
