/**
 * When a check runs next, and when its findings become a verdict. Pure: (memory, now, finding) in, memory out; chance
 * comes from outside.
 *
 *   pending ── first good run ──► up ── `fall` failed runs in a row ──► down ── `rise` good runs in a row ──► up
 *      └────── `fall` failed runs in a row ─────────────────────────────►┘
 *
 * While failures are counted, runs follow each other faster: a dead server is known in little more than one interval,
 * and one lost packet removes no node.
 */
import { type CheckTiming } from "../config/checks_config.ts";
import { type KnownCheck } from "./saved.ts";
import { type CheckState } from "./types.ts";

/** What one run found. */
export interface Finding {
  readonly good: boolean;
  /** One line. */
  readonly reason: string;
  /** Weight that the check gives its services. */
  readonly weight?: number;
  /** Last lines that a program printed. */
  readonly output?: string;
}

/** Everything that is remembered of one check. */
export interface CheckMemory {
  readonly state: CheckState;
  readonly sinceMs: number;
  /** Good runs in a row, or failed ones as a negative number. */
  readonly streak: number;
  readonly runs: number;
  readonly failures: number;
  readonly last?: Finding;
  readonly lastDurationMs?: number;
  /** When the next run begins. */
  readonly dueMs: number;
  /** While pending, the check holds its services back: nothing says yet that this node can serve. */
  readonly holdsBack: boolean;
}

/** Part of the interval after which a failed run is repeated until there is a verdict. */
const RETRY_PART = 1 / 5;

/** A check that has not run. `chance` is from 0 (inclusive) to 1. */
export function begin(timing: CheckTiming, nowMs: number, chance: number, holdsBack: boolean): CheckMemory {
  return {
    state: "pending",
    sinceMs: nowMs,
    streak: 0,
    runs: 0,
    failures: 0,
    dueMs: nowMs + timing.startDelayMs + chance * timing.warmUpMs,
    holdsBack,
  };
}

/** A check that another process of this node has run until now: its verdict holds until new runs say otherwise. */
export function goOn(known: KnownCheck, timing: CheckTiming, nowMs: number, chance: number): CheckMemory {
  const { state, weight } = known;
  const sinceMs = Math.min(known.sinceMs, nowMs);
  const isPending = state === "pending";
  return {
    ...begin(timing, sinceMs, chance, isPending),
    state,
    // The application runs already: a start delay counts from where the check began to wait.
    ...(!isPending && { dueMs: nowMs + chance * timing.warmUpMs }),
    last: {
      good: state === "up",
      reason: "as it was found before the program started anew",
      ...(weight !== undefined && { weight }),
    },
  };
}

/** The application was started: what failed before says nothing about it. A check that is up stays up. */
export function beginAnew(
  memory: CheckMemory,
  timing: CheckTiming,
  nowMs: number,
  chance: number,
): CheckMemory {
  if (memory.state === "up") return memory;
  const { dueMs } = begin(timing, nowMs, chance, true);
  return { ...memory, state: "pending", sinceMs: nowMs, streak: 0, dueMs, holdsBack: true };
}

/**
 * After a run that began at `startedMs` and ended at `nowMs`. `chance` puts the second run anywhere in the interval, so
 * that checks which began together do not stay together.
 */
export function afterRun(
  memory: CheckMemory,
  timing: CheckTiming,
  run: { startedMs: number; nowMs: number; finding: Finding; chance: number },
): CheckMemory {
  const { startedMs, nowMs, finding, chance } = run;
  const streak = finding.good ? Math.max(0, memory.streak) + 1 : Math.min(0, memory.streak) - 1;
  const state = verdict(memory.state, timing, streak);
  const open = !finding.good && state !== "down";
  const first = memory.runs === 0 && !open;
  const gapMs = timing.intervalMs * (open ? RETRY_PART : first ? Math.max(RETRY_PART, chance) : 1);
  // A run that began a little late does not put off the next one; one that was asked for ahead of its time begins a new pace.
  const paceMs = Math.min(startedMs, Math.max(memory.dueMs, startedMs - timing.intervalMs * RETRY_PART));
  return {
    state,
    sinceMs: state === memory.state ? memory.sinceMs : nowMs,
    streak,
    runs: memory.runs + 1,
    failures: memory.failures + (finding.good ? 0 : 1),
    last: finding,
    lastDurationMs: nowMs - startedMs,
    dueMs: Math.max(nowMs, paceMs + gapMs),
    holdsBack: memory.holdsBack,
  };
}

function verdict(state: CheckState, { rise, fall }: CheckTiming, streak: number): CheckState {
  if (streak <= -fall) return "down";
  if (state === "pending" && streak > 0) return "up";
  return state === "down" && streak >= rise ? "up" : state;
}
