/**
 * The one timer of the control thread. What it does again and again is done at the same moments, once a second: most of
 * it costs less than the wake-up does, so a node that idles wakes seldom.
 */
import { REPORT_INTERVAL_MS } from "../supervisor/watchdog.ts";

/** From one tick to the next, in ms. The supervisor waits for what is told at each. */
export const TICK_MS = REPORT_INTERVAL_MS;
/** The largest lateness of so much time is told: a scrape a few seconds later still sees it. */
const LATENESS_KEPT_MS = 10_000;

/** Close it at the end. */
export class Ticker {
  readonly #works = new Set<() => void>();
  readonly #lateness: number[] = [];
  readonly #timer = setInterval(() => this.#tick(), TICK_MS);
  #dueMs: number;

  constructor(readonly nowMs: () => number = () => performance.now()) {
    this.#dueMs = nowMs() + TICK_MS;
  }

  /** Does the work at every tick from now on. The answer ends it. */
  onTick(work: () => void): () => void {
    this.#works.add(work);
    return () => void this.#works.delete(work);
  }

  /** The largest lateness of the last ticks, in ms: whatever keeps the thread busy, collecting garbage included, shows here. */
  get latenessMsMax(): number {
    return Math.max(0, ...this.#lateness);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#works.clear();
  }

  #tick(): void {
    const atMs = this.nowMs();
    this.#lateness.push(atMs - this.#dueMs);
    if (this.#lateness.length > LATENESS_KEPT_MS / TICK_MS) this.#lateness.shift();
    this.#dueMs = atMs + TICK_MS;
    for (const work of [...this.#works]) work();
  }
}
