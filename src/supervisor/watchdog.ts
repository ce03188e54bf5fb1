/**
 * Is the worker alive, and every thread of it? Pure: reports and moments in, a sentence out.
 *
 * A thread that hangs ends with no error. The membership thread's lease runs out then, and the packet threads accept
 * nothing; but a packet thread that hangs leaves claims that nobody serves, and a control thread that hangs leaves a
 * node that cannot be asked, drained or stopped, and whose checks do not run.
 *
 * All reports come from the control thread. While it says nothing, nothing is known of the others, and they are not
 * judged: a control thread that is busy must not cost the node's traffic, which goes on without it.
 */

/** How far each thread has come: a number that changes as long as it lives. */
export type ThreadProgress = Readonly<Record<string, number>>;

/** How often a worker reports, in ms. Within this a packet thread sweeps its ring, be there packets or not. */
export const REPORT_INTERVAL_MS = 1_000;
/** Without reports, it is enough to look so often. */
export const LOOK_INTERVAL_MS = 5_000;
/** A packet thread that stands still is a hole for its clients: nothing else notices it. Two intervals of reports are more. */
const PACKETS_STILL_MS_MAX = 1_500;
/** Longer than the lease, which acts first. */
const MEMBERSHIP_STILL_MS_MAX = 6_000;
/** Packets and heartbeats go on without the control thread, which may be busy with requests, or wait for a slow disk. */
const CONTROL_STILL_MS_MAX = 30_000;
/**
 * What counts against a thread that stands still is the time between two reports, an interval at most; but so much if the
 * second is late: whatever delayed it may have stopped the whole process, and the control thread is only the first that runs
 * again.
 */
const LATE_MS = 1.5 * REPORT_INTERVAL_MS, LATE_COUNTS_MS = REPORT_INTERVAL_MS / 2;
/** A program loads, compiles and waits for its host within this, on a busy machine too. */
const START_MS_MAX = 60_000;
/** A look that comes so much later than it must says that this process, perhaps the whole machine, stood still itself. */
const OWN_PAUSE_MS = 1_000;

/** Name under which the membership thread reports; every other one is a packet thread. */
export const MEMBERSHIP_THREAD = "membership";

interface Seen {
  count: number;
  /** How long the count has not changed while reports came, in ms. */
  stillMs: number;
}

/** Watches one worker. */
export class Watchdog {
  readonly #threads = new Map<string, Seen>();
  /** When this began to watch, or the last report came. */
  #reportMs: number;
  #reported = false;
  #lookMs: number;

  constructor(nowMs: number) {
    this.#reportMs = nowMs;
    this.#lookMs = nowMs;
  }

  /** A report has come. Threads that have ended are no longer in it. */
  report(threads: ThreadProgress, nowMs: number): void {
    const elapsedMs = this.#reported ? nowMs - this.#reportMs : 0;
    const sinceMs = elapsedMs < LATE_MS ? Math.min(elapsedMs, REPORT_INTERVAL_MS) : LATE_COUNTS_MS;
    this.#reported = true;
    this.#reportMs = nowMs;
    for (const name of this.#threads.keys()) if (!(name in threads)) this.#threads.delete(name);
    for (const [name, count] of Object.entries(threads)) {
      const seen = this.#threads.get(name);
      if (seen?.count === count) seen.stillMs += sinceMs;
      else this.#threads.set(name, { count, stillMs: 0 });
    }
  }

  /** What stands still, as a sentence; undefined while all is well. Call it with every report, and every {@link LOOK_INTERVAL_MS}. */
  look(nowMs: number): string | undefined {
    const pausedMs = nowMs - this.#lookMs - LOOK_INTERVAL_MS;
    this.#lookMs = nowMs;
    if (pausedMs > OWN_PAUSE_MS) this.#forgive(nowMs);
    const silentMs = nowMs - this.#reportMs;
    if (silentMs > (this.#reported ? CONTROL_STILL_MS_MAX : START_MS_MAX)) {
      return `the ${this.#reported ? "control" : "starting"} thread has not reported for ${
        seconds(silentMs)
      }`;
    }
    for (const [name, { stillMs }] of this.#threads) {
      const stillMsMax = name === MEMBERSHIP_THREAD ? MEMBERSHIP_STILL_MS_MAX : PACKETS_STILL_MS_MAX;
      if (stillMs > stillMsMax) return `the ${name} thread has stood still for ${seconds(stillMs)}`;
    }
    return undefined;
  }

  /** What happened meanwhile cannot be known: everything gets its full time again. */
  #forgive(nowMs: number): void {
    this.#reportMs = nowMs;
    for (const seen of this.#threads.values()) seen.stillMs = 0;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
