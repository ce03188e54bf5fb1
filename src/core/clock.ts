/**
 * Time comes from outside: the daemon passes a clock of the kernel, tests pass one that they turn by hand.
 */

/** A clock that never goes back. */
export interface Clock {
  /** Milliseconds since a fixed, arbitrary moment, with fractions. Comparable only with the same clock. */
  nowMs(): number;
}

/** A clock that moves only when told. For tests, simulations and replays. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Moves on by `durationMs`; a negative duration throws a RangeError, since the clock never goes back. */
  advance(durationMs: number): void {
    if (!(durationMs >= 0)) throw new RangeError(`a clock cannot be moved by ${durationMs} ms`);
    this.#nowMs += durationMs;
  }
}
