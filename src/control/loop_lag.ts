/** How late the timers of this thread are: whatever keeps it busy, collecting garbage included, shows here. */

/** The largest of so much time is told: a scrape a few seconds later still sees it. */
const KEPT_MS = 10_000;
const INTERVAL_MS = 100;

/** Close it at the end. */
export class LoopLag {
  #dueMs: number;
  readonly #seen: Array<{ atMs: number; lagMs: number }> = [];
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(readonly nowMs: () => number = () => performance.now()) {
    this.#dueMs = nowMs() + INTERVAL_MS;
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
  }

  /** The largest lateness of the last seconds. */
  get maxMs(): number {
    return Math.max(0, ...this.#seen.map(({ lagMs }) => lagMs));
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const atMs = this.nowMs();
    this.#seen.push({ atMs, lagMs: Math.max(0, atMs - this.#dueMs) });
    while (this.#seen[0].atMs < atMs - KEPT_MS) this.#seen.shift();
    this.#dueMs = atMs + INTERVAL_MS;
  }
}
