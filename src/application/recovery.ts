/** How often a failed application is restarted, and when that is given up. Pure. */

export interface RecoveryPolicy {
  readonly restarts: number;
  readonly withinMs: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
}

/** What follows from a failure. */
export type Verdict =
  | {
    readonly kind: "restart";
    readonly number: number;
    readonly atMs: number;
    readonly attempts: readonly number[];
  }
  | { readonly kind: "give_up"; readonly restarts: number };

/**
 * Decides on one failure. The first restart in a window comes at once: most failures are over with it. Each further
 * one waits twice as long as the one before.
 * @param attempts moments of earlier restarts, in order; those that have left the window are forgotten
 */
export function afterFailure(policy: RecoveryPolicy, attempts: readonly number[], nowMs: number): Verdict {
  const recent = attempts.filter((atMs) => nowMs - atMs < policy.withinMs);
  if (recent.length >= policy.restarts) return { kind: "give_up", restarts: recent.length };
  const waitMs = recent.length === 0
    ? 0
    : Math.min(policy.backoffMs * 2 ** (recent.length - 1), policy.backoffMsMax);
  const atMs = nowMs + waitMs;
  return { kind: "restart", number: recent.length + 1, atMs, attempts: [...recent, atMs] };
}
