/** A world for nodes: one clock, events in order of time, and a network that loses, delays and doubles. Seeded. */

/** mulberry32: small, fast, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  integer(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() * values.length)];
  }
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What happens next: a heap by time, then by order of insertion. */
export class Agenda {
  nowMs = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get nextMs(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].atMs;
  }

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const entry = { atMs: Math.max(atMs, this.nowMs), order: this.#order++, run };
    let i = heap.push(entry) - 1;
    for (let up = (i - 1) >> 1; i > 0 && before(entry, heap[up]); up = (i - 1) >> 1) {
      heap[i] = heap[up];
      heap[i = up] = entry;
    }
  }

  /** Runs the next event. */
  step(): void {
    const heap = this.#heap, first = heap[0], last = heap.pop()!;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
        i = child;
      }
      heap[i] = last;
    }
    this.nowMs = first.atMs;
    first.run();
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** How the network treats messages at present. */
export interface Weather {
  loss: number;
  duplication: number;
  delayMsMin: number;
  delayMsMax: number;
  /** Share of messages that take up to `longDelayMs`. */
  longDelays: number;
  longDelayMs: number;
}

export const FAIR_WEATHER: Weather = {
  loss: 0,
  duplication: 0,
  delayMsMin: 0.1,
  delayMsMax: 0.3,
  longDelays: 0,
  longDelayMs: 0,
};
