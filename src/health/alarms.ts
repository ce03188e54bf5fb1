/**
 * Calls at given times, in steps of the clock: what falls into one step is called together. Waking up is most of what a
 * check costs, and 500 checks a second would wake this thread 500 times.
 */

/** Forty wake-ups a second at most, and nothing is later by more than this. */
const STEP_MS = 25;

export class Alarms {
  readonly #steps = new Map<number, Set<() => void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The step that the timer is set for. */
  #next = Infinity;

  constructor(readonly nowMs: () => number) {}

  /** Calls once, at `dueMs` or up to a step later. The answer takes it back. */
  at(dueMs: number, call: () => void): () => void {
    const step = Math.ceil(dueMs / STEP_MS);
    const calls = this.#steps.get(step) ?? new Set();
    this.#steps.set(step, calls.add(call));
    if (step < this.#next) this.#set(step);
    return () => {
      calls.delete(call);
    };
  }

  /** Calls nothing any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#steps.clear();
  }

  #set(step: number): void {
    clearTimeout(this.#timer);
    this.#next = step;
    // Timers may be early by a part of a millisecond.
    const waitMs = Math.max(0, Math.ceil(step * STEP_MS - this.nowMs()));
    this.#timer = setTimeout(() => this.#ring(), waitMs);
  }

  #ring(): void {
    this.#next = Infinity;
    const now = this.nowMs() / STEP_MS;
    const due = [...this.#steps].filter(([step]) => step <= now).sort(([a], [b]) => a - b);
    for (const [step] of due) this.#steps.delete(step);
    for (const [, calls] of due) for (const call of calls) call();
    let next = Infinity;
    for (const step of this.#steps.keys()) next = Math.min(next, step);
    if (next < this.#next) this.#set(next);
  }
}
