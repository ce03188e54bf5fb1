/** How answers spread over nodes, and whether that fits the weights: pure. */

import type { Answer } from "./client_protocol.ts";

/**
 * Standard deviations by which a count may differ from what was expected. A share of a fair hash leaves this range
 * once in 150,000 looks, so a tour with some ten looks is right for practically everybody.
 */
const DEVIATIONS = 4.5;

/** One node's part. */
export interface Share {
  readonly name: string;
  readonly weight: number;
  readonly count: number;
  /** 0 to 1. */
  readonly seen: number;
  readonly wanted: number;
  /** Whether `count` is what chance allows for this weight. */
  readonly plausible: boolean;
}

/** Counts answers by node and compares with the weights. */
export function spreadOf(
  answers: readonly Answer[],
  weights: ReadonlyMap<string, number>,
): { readonly shares: readonly Share[]; readonly answered: number; readonly unexpected: readonly string[] } {
  const counts = new Map<string, number>();
  for (const { node } of answers) if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1);
  const answered = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
  const shares = [...weights].map(([name, weight]): Share => {
    const count = counts.get(name) ?? 0;
    const wanted = total === 0 ? 0 : weight / total;
    return {
      name,
      weight,
      count,
      seen: answered === 0 ? 0 : count / answered,
      wanted,
      plausible: isPlausible(count, answered, wanted),
    };
  });
  const unexpected = [...counts.keys()].filter((name) => !weights.has(name));
  return { shares, answered, unexpected };
}

/** Whether `count` of `trials` fits a probability, by the normal approximation of the binomial distribution. */
export function isPlausible(count: number, trials: number, probability: number): boolean {
  const deviation = Math.sqrt(trials * probability * (1 - probability));
  return Math.abs(count - trials * probability) <= DEVIATIONS * deviation + 0.5;
}

/** `timeout 94, ECONNRESET 1`: how attempts failed. */
export function errorKinds(answers: readonly Answer[]): string {
  const kinds = new Map<string, number>();
  for (const { error } of answers) if (error !== undefined) kinds.set(error, (kinds.get(error) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => `${kind} ${count}`).join(", ");
}

/** The time without answers after a moment, as its attempts saw it. */
export interface Outage {
  readonly failed: number;
  /** From `sinceMs` to the start of the first answered attempt after which none failed; 0 if none failed. */
  readonly lengthMs: number;
  /** Whether attempts were answered at the end. */
  readonly over: boolean;
}

/** The client's own system refused to begin, as it does now and then with a port just used: nothing was sent. */
const NEVER_SENT = "EINVAL";

/** The outage that these attempts saw after a moment (ms since 1970). */
export function outageSince(answers: readonly Answer[], sinceMs: number): Outage {
  const failed = answers.filter((answer) => answer.node === undefined && answer.error !== NEVER_SENT);
  const lastFailureMs = Math.max(...failed.map((answer) => answer.startMs), -Infinity);
  const later = answers.filter((answer) => answer.node !== undefined && answer.startMs > lastFailureMs);
  const firstMs = Math.min(...later.map((answer) => answer.startMs));
  return {
    failed: failed.length,
    lengthMs: failed.length === 0 ? 0 : firstMs - sinceMs,
    over: later.length > 0,
  };
}
