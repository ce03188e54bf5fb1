/**
 * Time comes from outside: the daemon passes a clock of the kernel (`ffi/clock.ts`), tests pass one that they turn by hand.
 */

/** A clock that moves only when told, and never back. */
export class ManualClock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  /** Milliseconds, with fractions. */
  nowMs(): number {
    return this.#nowMs;
  }

  /** Moves on by `durationMs`; a negative duration throws a RangeError, since the clock never goes back. */
  advance(durationMs: number): void {
    if (!(durationMs >= 0)) throw new RangeError(`a clock cannot be moved by ${durationMs} ms`);
    this.#nowMs += durationMs;
  }
}
