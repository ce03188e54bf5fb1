/** Waiting for several descriptors at once: ppoll(2), without allocation per call. */

import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { pollfd, timespec } from "./layout/structs.ts";
import { errno, libc } from "./libc.ts";
import { SystemError } from "./errors.ts";

export { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT };

/** A descriptor and the events (`POLLIN`, `POLLOUT`) to wait for. */
export interface PollEntry {
  readonly fd: number;
  readonly events: number;
}

/** A fixed set of descriptors to wait for. It owns none of them. */
export class PollSet {
  readonly #fds: Uint8Array<ArrayBuffer>;
  readonly #words: Int16Array;
  readonly #timeout = new Uint8Array(timespec.size);
  readonly #timeoutWords = new Int32Array(this.#timeout.buffer);
  readonly #count: number;

  constructor(entries: readonly PollEntry[]) {
    this.#count = entries.length;
    this.#fds = new Uint8Array(entries.length * pollfd.size);
    this.#words = new Int16Array(this.#fds.buffer);
    const view = new DataView(this.#fds.buffer);
    entries.forEach(({ fd, events }, index) => {
      view.setInt32(index * pollfd.size + pollfd.offsets.fd, fd, true);
      view.setInt16(index * pollfd.size + pollfd.offsets.events, events, true);
    });
  }

  /**
   * Waits until a descriptor is ready or `timeoutMs` (fractions count; negative or infinite: for ever) is over.
   * Returns how many are ready: 0 also when a signal interrupted the wait. Throws {@link SystemError} otherwise.
   */
  wait(timeoutMs: number): number {
    let ready: number;
    if (timeoutMs < 0 || timeoutMs === Infinity) {
      ready = libc.ppoll(this.#fds, this.#count, null, null);
    } else {
      const seconds = Math.floor(timeoutMs / 1000);
      this.#timeoutWords[0] = seconds;
      this.#timeoutWords[1] = 0;
      this.#timeoutWords[2] = (timeoutMs - seconds * 1000) * 1_000_000;
      ready = libc.ppoll(this.#fds, this.#count, this.#timeout, null);
    }
    if (ready >= 0) return ready;
    const failure = errno();
    // The kernel writes no revents when it fails: those of the wait before must not be read again.
    for (let index = 0; index < this.#count; index++) this.#words[index * 4 + 3] = 0;
    if (failure === ERRNO.EINTR[0]) return 0;
    throw new SystemError({
      operation: "wait for descriptors",
      errno: failure,
      value: `${this.#count} descriptors`,
    });
  }

  /** Whether anything (also an error) was reported for entry `index` by the last `wait`. */
  ready(index: number): boolean {
    return this.#words[index * 4 + 3] !== 0;
  }

  /** The events that the last `wait` reported for entry `index`, 0 for none. */
  revents(index: number): number {
    return this.#words[index * 4 + 3];
  }
}
