/**
 * Requests take turns with everything else that their thread has to do. Many that come in one piece (pipelined, RFC
 * 9112 section 9.3.2) would otherwise be answered in a row, and messages and timers would wait until the last.
 */

import { setImmediate } from "node:timers";

/** Requests that are begun in one turn of the event loop: some ten milliseconds of work. */
const PER_TURN = 16;
/** Requests that wait for a turn at most: more are refused. */
const WAITING_MAX = 1_024;

export class Turns {
  #left = PER_TURN;
  #scheduled = false;
  #waiting: Array<() => void> = [];

  /** Waits for a turn; gives false if too many wait already. */
  async take(): Promise<boolean> {
    this.#schedule();
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    if (this.#waiting.length >= WAITING_MAX) return false;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return true;
  }

  /** The next turn begins once the event loop has come around. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const next = this.#waiting.splice(0, PER_TURN);
      this.#left = PER_TURN - next.length;
      if (next.length > 0) this.#schedule();
      for (const resolve of next) resolve();
    });
  }
}
