/** Whether packets that the filter leaves to the fast path arrive there. Pure. */

/** Seconds in a row in which most did not: it is not a matter of when both were counted. */
const LOSSY_SECONDS_MAX = 3;

export class Losses {
  #left = 0;
  #taken = 0;
  #lossySeconds = 0;

  /** Looks at both totals, once a second. True once the fast path loses what it is given. */
  sample(left: number, taken: number): boolean {
    const leftNow = left - this.#left;
    const takenNow = taken - this.#taken;
    this.#left = left;
    this.#taken = taken;
    // A second without packets says nothing.
    if (leftNow > 0) this.#lossySeconds = takenNow * 2 < leftNow ? this.#lossySeconds + 1 : 0;
    return this.#lossySeconds >= LOSSY_SECONDS_MAX;
  }
}
