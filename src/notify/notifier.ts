/** Tells people of events, by every way that is configured; none holds up another, or the node. */
import { type NotifyConfig } from "../config/application_config.ts";
import { type FarmEvent, type FarmEventInit } from "../core/events.ts";
import { type Channel, channels, type Notice } from "./channels.ts";
import { add, dueMs, EMPTY, failed, type Queue, sent, take } from "./queue.ts";

export interface NotifierParts {
  readonly farm: string;
  readonly node: string;
  nowMs(): number;
  record(event: FarmEventInit): void;
}

const RANK = { info: 0, warning: 1, error: 2 } as const;

/** Whether this configuration wants this event to be told. */
export function isWanted({ severity, events }: NotifyConfig, event: FarmEvent): boolean {
  const { kind } = event;
  // What goes wrong with notifications would be told by notifications.
  if (kind.startsWith("notify.") || RANK[event.severity] < RANK[severity]) return false;
  return events.some((each) => kind === each || kind.startsWith(`${each}.`));
}

export class Notifier {
  #config: NotifyConfig | undefined;
  #ways: Way[] = [];

  constructor(config: NotifyConfig | undefined, readonly parts: NotifierParts) {
    this.configure(config);
  }

  /** Takes up other ways. What waits for the ways of before is left out: they may be gone. */
  configure(config: NotifyConfig | undefined): void {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    this.#config = config;
    for (const way of this.#ways) void way.close();
    this.#ways = config === undefined ? [] : channels(config).map((channel) => new Way(channel, this.parts));
  }

  take(event: FarmEvent): void {
    if (this.#config === undefined || !isWanted(this.#config, event)) return;
    for (const way of this.#ways) way.add({ farm: this.parts.farm, node: this.parts.node, event });
  }

  /** When all that waits has been tried once: so that the last words of a node are told, too. */
  async tried(): Promise<void> {
    await Promise.all(this.#ways.map((way) => way.tried()));
  }

  /** Leaves out what waits, and ends what is on its way. */
  async close(): Promise<void> {
    await Promise.all(this.#ways.map((way) => way.close()));
  }
}

/** One channel with its queue. */
class Way {
  #queue: Queue<Notice> = EMPTY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFull = false;
  readonly #closed = new AbortController();
  #attempt: Promise<void> = Promise.resolve();
  /** Who waits until nothing waits to be tried for the first time. */
  #waiters: Array<() => void> = [];

  constructor(readonly channel: Channel, readonly parts: NotifierParts) {}

  add(notice: Notice): void {
    const { dropped } = this.#queue;
    this.#queue = add(this.#queue, notice);
    if (this.#queue.dropped > dropped && !this.#isFull) {
      this.#isFull = true;
      this.#warn("notify.full", "Too many notifications wait: the oldest are left out.");
    }
    this.#next();
  }

  tried(): Promise<void> {
    return this.#isTried() ? Promise.resolve() : new Promise((resolve) => this.#waiters.push(resolve));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#closed.abort();
    await this.#attempt;
  }

  #isTried(): boolean {
    const { waiting, sending, attempts } = this.#queue;
    return waiting.length === 0 || sending === 0 && attempts > 0;
  }

  #next(): void {
    clearTimeout(this.#timer);
    const atMs = dueMs(this.#queue);
    if (atMs === undefined || this.#closed.signal.aborted) return;
    // In a turn of its own: events that come together go together where the channel can.
    this.#timer = setTimeout(
      () => this.#attempt = this.#send(),
      Math.max(0, Math.ceil(atMs - this.parts.nowMs())),
    );
  }

  async #send(): Promise<void> {
    const taken = take(this.#queue, this.parts.nowMs(), this.channel.countMax);
    this.#queue = taken.queue;
    if (taken.items.length === 0) return this.#next();
    const attempt = await this.channel.send(taken.items, this.#closed.signal);
    if (this.#closed.signal.aborted) return;
    if (attempt.arrived) {
      this.#queue = sent(this.#queue);
      this.#isFull = false;
    } else {
      const { queue, givenUp } = failed(this.#queue, this.parts.nowMs(), attempt.hopeless);
      // The first failure of a row is told, and the end of it; what is between is the same again.
      if (queue.attempts === 1) this.#warn("notify.failed", `${attempt.problem}. It is tried again.`);
      if (givenUp) this.#warn("notify.given_up", `${attempt.problem}. It is left out.`);
      this.#queue = queue;
    }
    if (this.#isTried()) { for (const waiter of this.#waiters.splice(0)) waiter(); }
    this.#next();
  }

  #warn(kind: string, what: string): void {
    this.parts.record({
      severity: "warning",
      kind,
      message: `Notification by ${this.channel.name}: ${what}`,
      details: {
        channel: this.channel.name,
        waiting: this.#queue.waiting.length,
        dropped: this.#queue.dropped,
      },
    });
  }
}
