/** What this node tells of itself: totals of its threads made into rates, once a second. */
import { type DatapathCounters } from "../admin/source.ts";
import { type Verdict } from "../dataplane/verdicts.ts";
import { type OwnReport } from "./report.ts";

/** Verdicts of packets that this node took. */
const TAKEN: readonly Verdict[] = ["accepted", "accepted_held"];

/** The kernel's connections are counted so often at most. */
const COUNT_INTERVAL_MS = 2_000;
/**
 * Counting takes at most this part of the time. The kernel walks over every socket, those in TIME_WAIT too: 16 ms where
 * there are 57,000 of them. At 2% of the time, that alone made one of a hundred requests wait for 3 ms.
 */
const COUNT_SHARE = 0.002;

/** The number of open connections, counted now and then. */
export class ConnectionCount {
  #count: number | undefined;
  #nextMs = -Infinity;

  get now(): number | undefined {
    return this.#count;
  }

  /** Counts anew if it is time; `nowMs` is read again afterwards. */
  sample(nowMs: () => number, count: () => number): void {
    const startMs = nowMs();
    if (startMs < this.#nextMs) return;
    this.#count = count();
    this.#nextMs = startMs + Math.max(COUNT_INTERVAL_MS, (nowMs() - startMs) / COUNT_SHARE);
  }
}

/** New flows and packets that this node took, per second, between two looks at the totals. */
export class Rates {
  #before: { atMs: number; flows: number; packets: number } | undefined;
  #now = { flows_per_s: 0, packets_per_s: 0 };

  /** The rates of the last full second. */
  get now(): Pick<OwnReport, "flows_per_s" | "packets_per_s"> {
    return this.#now;
  }

  /** Looks at the totals. */
  sample(atMs: number, counters: readonly DatapathCounters[]): void {
    const flows = counters.reduce((sum, { newFlows }) => sum + (newFlows ?? 0), 0);
    const packets = counters.reduce(
      (sum, { verdicts, fastPath }) =>
        sum + (fastPath ?? 0) + TAKEN.reduce((taken, verdict) => taken + (verdicts[verdict] ?? 0), 0),
      0,
    );
    const before = this.#before;
    this.#before = { atMs, flows, packets };
    if (before === undefined || atMs <= before.atMs) return;
    const seconds = (atMs - before.atMs) / 1000;
    this.#now = {
      flows_per_s: Math.max(0, flows - before.flows) / seconds,
      packets_per_s: Math.max(0, packets - before.packets) / seconds,
    };
  }
}
