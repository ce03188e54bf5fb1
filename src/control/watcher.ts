/**
 * A thread that sleeps in epoll_wait(2) for the control thread, whose event loop knows nothing of pidfds, netlink and
 * our own sockets. Descriptors are added and removed from here, while the thread sleeps.
 */
import { EpollSet } from "../../ffi/epoll.ts";
import { EventFd } from "../../ffi/eventfd.ts";
import { entryPoint } from "../entry_points.ts";
import { type Watcher } from "../health/watcher.ts";

/** What the thread starts from: the set's descriptor. */
export type ToWatch = { epoll: number };
/** Numbers of the descriptors that are ready, or that the thread has ended. */
export type FromWatch = { ready: number[] } | { ended: true };

/** The number that ends the thread. */
export const END_NUMBER = 0;

/** The thread is started with the first descriptor: a node without such checks has none. */
export class WatchThread implements Watcher {
  readonly #set = EpollSet.open();
  readonly #end = EventFd.open();
  readonly #waiting = new Map<number, { fd: number; onReady: () => void }>();
  readonly #onFailure: (error: Error) => void;
  readonly #ended = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #number = END_NUMBER;
  #closed = false;

  constructor(onFailure: (error: Error) => void) {
    this.#onFailure = onFailure;
  }

  once(fd: number, onReady: () => void): () => void {
    this.#worker ??= this.#start();
    // A number is used again after four thousand million others: what waited under it is gone by then.
    const number = this.#number = this.#number % 0xffff_ffff + 1;
    this.#waiting.set(number, { fd, onReady });
    this.#set.addOnce(fd, number);
    return () => {
      if (this.#waiting.delete(number) && !this.#closed) this.#set.remove(fd);
    };
  }

  /** Nothing is told any more. Settles when the thread has ended. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#waiting.clear();
      if (this.#worker === undefined) this.#ended.resolve();
      else this.#end.signal();
    }
    await this.#ended.promise;
    this.#worker?.terminate();
    this.#set.close();
    this.#end.close();
  }

  #start(): Worker {
    const worker = new Worker(entryPoint("watch.worker"), { type: "module", name: "watch" });
    worker.onmessage = ({ data }: MessageEvent<FromWatch>) => {
      if ("ended" in data) return this.#ended.resolve();
      for (const number of data.ready) this.#ready(number);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#ended.resolve();
      this.#onFailure(new Error(`the watch thread ended: ${event.message}`));
    };
    this.#set.addOnce(this.#end.fd, END_NUMBER);
    worker.postMessage({ epoll: this.#set.fd } satisfies ToWatch);
    return worker;
  }

  #ready(number: number): void {
    const waiting = this.#waiting.get(number);
    // It was taken back while the news was on its way.
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    this.#set.remove(waiting.fd);
    waiting.onReady();
  }
}
