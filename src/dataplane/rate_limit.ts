/** So many a second, with a reserve for a burst. Allocates nothing. */
export class RateLimit {
  #reserve: number;
  #countedAt32: number | undefined;

  constructor(readonly perSecond: number, readonly burst: number) {
    this.#reserve = burst;
  }

  /** Takes one, if one is left. `now32` is a clock in milliseconds that wraps as an Int32. */
  take(now32: number): boolean {
    const passedMs = this.#countedAt32 === undefined ? 0 : Math.max(0, (now32 - this.#countedAt32) | 0);
    if (passedMs > 0 || this.#countedAt32 === undefined) this.#countedAt32 = now32;
    this.#reserve = Math.min(this.burst, this.#reserve + passedMs * this.perSecond / 1000);
    if (this.#reserve < 1) return false;
    this.#reserve--;
    return true;
  }
}
