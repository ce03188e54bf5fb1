/** Interfaces and addresses of this host, read once for all checks, and again when the kernel tells of a change. */
import { LinkNotifications } from "../../ffi/link_notifications.ts";
import { addresses, type Link, type LinkAddress, links } from "../../ffi/rtnetlink.ts";
import { type Watcher } from "./watcher.ts";

/** Checks that run within this time share one reading. */
const READING_AGE_MS_MAX = 20;

export interface LinkReading {
  readonly links: readonly Link[];
  readonly addresses: readonly LinkAddress[];
}

export class Links {
  readonly #subscribers = new Set<() => void>();
  #notifications: LinkNotifications | undefined;
  #takeBack: (() => void) | undefined;
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

  /** Calls `onChange` after every change. The answer ends it. */
  subscribe(onChange: () => void): () => void {
    this.#subscribers.add(onChange);
    if (this.#notifications === undefined) {
      this.#notifications = LinkNotifications.open();
      this.#watch(this.#notifications);
    }
    return () => {
      this.#subscribers.delete(onChange);
      if (this.#subscribers.size === 0) this.close();
    };
  }

  close(): void {
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
      for (const onChange of [...this.#subscribers]) onChange();
    });
  }
}
