/** So many a second, with a reserve for a burst. Allocates nothing. */
export class RateLimit {
  #reserve: number;
  #countedAt32: number | undefined;

  constructor(readonly perSecond: number, readonly burst: number) {
    this.#reserve = burst;
  }

  /**
   * Takes one, if one is left. `now32` is a clock in milliseconds that never goes back and wraps as an Int32: any
   * difference is time that has passed, however long nothing was taken.
   */
  take(now32: number): boolean {
    const passedMs = (now32 - (this.#countedAt32 ?? now32)) >>> 0;
    this.#countedAt32 = now32;
    this.#reserve = Math.min(this.burst, this.#reserve + passedMs * this.perSecond / 1000);
    if (this.#reserve < 1) return false;
    this.#reserve--;
    return true;
  }
}
