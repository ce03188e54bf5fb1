/** When a worker that ended is started again: at once, then after 1 s, 2 s, 4 s, at most 30 s. Pure. */

const FIRST_MS = 1_000;
const LAST_MS = 30_000;

/** Counts ends that nobody asked for. */
export class Restarts {
  #count = 0;

  /** A worker that ran for `stableMs` starts the count anew. */
  constructor(readonly stableMs: number) {}

  /** How long to wait before the next start, after a worker that ran for so long. */
  next(ranMs: number): number {
    if (ranMs >= this.stableMs) this.#count = 0;
    const count = this.#count++;
    return count === 0 ? 0 : Math.min(LAST_MS, FIRST_MS * 2 ** (count - 1));
  }
}
