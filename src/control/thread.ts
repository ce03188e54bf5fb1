/** A Worker that sleeps in poll(2), and the way to wake it: every message is followed by one signal. */
import { EventFd } from "../../ffi/eventfd.ts";

/** A thread that does not answer for this long at a stop is not waited for. */
export const STOP_STEP_MS_MAX = 2_000;

/** One worker of the daemon. `To` and `From` are what goes to it and what comes from it. */
export class Thread<To, From> {
  readonly wake: EventFd = EventFd.open();
  readonly #worker: Worker;

  /**
   * Starts the module. `onFailure` is called when the worker ends with an error: it cannot be replaced, and what it
   * did is not done any more.
   */
  constructor(
    module: URL,
    name: string,
    onMessage: (message: From) => void,
    onFailure: (error: Error) => void,
  ) {
    this.#worker = new Worker(module, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<From>) => onMessage(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      onFailure(new Error(`the ${name} thread ended: ${event.message}`));
    };
  }

  /** The first message: the worker does not wait in poll(2) yet, and needs no signal. */
  start(message: To): void {
    this.#worker.postMessage(message);
  }

  send(message: To): void {
    this.#worker.postMessage(message);
    this.wake.signal();
  }

  /** Ends the worker. It must have left its loop: a thread in a system call is not interrupted. */
  close(): void {
    this.#worker.terminate();
    this.wake.close();
  }
}
