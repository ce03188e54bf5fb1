/** A changing set of descriptors to wait for: epoll(7). One thread waits, another may add and remove meanwhile. */

import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { EPOLL_EVENT } from "./layout/machine_structs.ts";
import { check, errno, libc } from "./libc.ts";

const { size, offsets } = EPOLL_EVENT[Deno.build.arch];
/** Descriptors told by one call; the others come with the next. */
const EVENTS_MAX = 64;

/** A set of descriptors, each with a number that `wait` tells when it is readable, has ended or has failed. */
export class EpollSet {
  readonly #descriptor: Descriptor;
  readonly #event = new Uint8Array(size);
  readonly #eventView = new DataView(this.#event.buffer);
  readonly #events = new Uint8Array(EVENTS_MAX * size);
  readonly #eventsView = new DataView(this.#events.buffer);

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  static open(): EpollSet {
    const fd = check(libc.epoll_create1(C.EPOLL_CLOEXEC), "open epoll set");
    return new EpollSet(new Descriptor(fd, "epoll set"));
  }

  /** A handle for the set that another thread opened; closing it leaves the set open. */
  static adopt(fd: number): EpollSet {
    return new EpollSet(new Descriptor(fd, "epoll set", false));
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Adds a descriptor under a number below 2^32. It is told once: remove and add it to be told again. */
  addOnce(fd: number, number: number): void {
    this.#eventView.setUint32(offsets.events, C.EPOLLIN | C.EPOLLONESHOT, true);
    this.#eventView.setUint32(offsets.data, number, true);
    check(libc.epoll_ctl(this.#descriptor.fd, C.EPOLL_CTL_ADD, fd, this.#event), "watch descriptor", `${fd}`);
  }

  /** Removes a descriptor, which must still be open. One that is not there is no failure. */
  remove(fd: number): void {
    libc.epoll_ctl(this.#descriptor.fd, C.EPOLL_CTL_DEL, fd, this.#event);
  }

  /** Waits without end, and gives the numbers of the descriptors that are ready; none after a signal. */
  wait(): number[] {
    const count = libc.epoll_wait(this.#descriptor.fd, this.#events, EVENTS_MAX, -1);
    if (count < 0) {
      const failure = errno();
      if (failure === ERRNO.EINTR[0]) return [];
      throw new SystemError({ operation: "wait for descriptors", errno: failure });
    }
    const ready: number[] = [];
    for (let i = 0; i < count; i++) ready.push(this.#eventsView.getUint32(i * size + offsets.data, true));
    return ready;
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
