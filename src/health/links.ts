/**
 * Interfaces and addresses of this host, read once for all checks, and again when the kernel tells of a change.
 *
 * It tells of a lost carrier at once only if it has told nothing of carriers for a second (`linkwatch_schedule_work` in
 * net/core/link_watch.c), and its flags wait as long. The driver knows: it is asked in short intervals.
 */
import { hasCarrier } from "../../ffi/interface.ts";
import { LinkNotifications } from "../../ffi/link_notifications.ts";
import { addresses, type Link, type LinkAddress, links } from "../../ffi/rtnetlink.ts";
import { type Watcher } from "./watcher.ts";

/** Checks that run within this time share one reading. */
const READING_AGE_MS_MAX = 20;
/** Between two questions for the carrier of an interface; one takes some 40 µs of a core. */
const CARRIER_LOOK_MS = 50;

export interface LinkReading {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
}

interface Subscription {
  readonly name: string;
  readonly onChange: () => void;
  carrier: boolean;
}

export class Links {
  readonly #subscriptions = new Set<Subscription>();
  #notifications: LinkNotifications | undefined;
  #takeBack: (() => void) | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #reading: LinkReading | undefined;
  #readMs = -Infinity;

  constructor(readonly watcher: Watcher, readonly nowMs: () => number) {}

  /** What there is now. Throws SystemError. */
  read(): LinkReading {
    const nowMs = this.nowMs();
    if (this.#reading === undefined || nowMs - this.#readMs > READING_AGE_MS_MAX) {
      this.#reading = { links: links(), addresses: addresses() };
      this.#readMs = nowMs;
    }
    return this.#reading;
  }

  /** Calls `onChange` after a change of interfaces or addresses, and of this interface's carrier. The answer ends it. */
  subscribe(name: string, onChange: () => void): () => void {
    const subscription = { name, onChange, carrier: hasCarrier(name) };
    this.#subscriptions.add(subscription);
    if (this.#notifications === undefined) {
      this.#notifications = LinkNotifications.open();
      this.#watch(this.#notifications);
      this.#timer = setInterval(() => this.#askForCarriers(), CARRIER_LOOK_MS);
    }
    return () => {
      this.#subscriptions.delete(subscription);
      if (this.#subscriptions.size === 0) this.close();
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#takeBack?.();
    this.#takeBack = undefined;
    this.#notifications?.close();
    this.#notifications = undefined;
  }

  #watch(notifications: LinkNotifications): void {
    this.#takeBack = this.watcher.once(notifications.fd, () => {
      notifications.drain();
      this.#reading = undefined;
      this.#watch(notifications);
      for (const { onChange } of [...this.#subscriptions]) onChange();
    });
  }

  #askForCarriers(): void {
    const carriers = new Map<string, boolean>();
    for (const subscription of [...this.#subscriptions]) {
      const { name, onChange } = subscription;
      if (!carriers.has(name)) carriers.set(name, hasCarrier(name));
      if (carriers.get(name) === subscription.carrier) continue;
      subscription.carrier = !subscription.carrier;
      this.#reading = undefined;
      onChange();
    }
  }
}
