/** A counter that wakes another thread's poll: eventfd(2). */

import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { check, errno, libc } from "./libc.ts";

/** An eventfd. Threads share it by its number: one opens and closes it, the others `adopt` it. */
export class EventFd {
  readonly #descriptor: Descriptor;
  readonly #value = new Uint8Array(8);
  readonly #words = new Uint32Array(this.#value.buffer);

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /** Opens a new one with count 0. */
  static open(): EventFd {
    const fd = check(libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "open eventfd");
    return new EventFd(new Descriptor(fd, "eventfd"));
  }

  /** A handle for the eventfd `fd` that another thread opened; closing this handle leaves the descriptor open. */
  static adopt(fd: number): EventFd {
    return new EventFd(new Descriptor(fd, "eventfd", false));
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Adds `count` (1 to 2^31) and wakes whoever waits for it. */
  signal(count = 1): void {
    this.#words[0] = count;
    this.#words[1] = 0;
    // EAGAIN means that the counter is full: the reader is awake already, and nothing is lost by not adding.
    if (libc.write(this.#descriptor.fd, this.#value, 8) < 0 && errno() !== ERRNO.EAGAIN[0]) {
      throw new SystemError({ operation: "signal eventfd", errno: errno() });
    }
  }

  /** Takes the count and sets it to 0; 0 when nobody signalled. Never blocks. */
  read(): number {
    if (libc.read(this.#descriptor.fd, this.#value, 8) === 8) return this.#words[0];
    if (errno() === ERRNO.EAGAIN[0]) return 0;
    throw new SystemError({ operation: "read eventfd", errno: errno() });
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
