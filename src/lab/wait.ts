/** Waiting for something to become true, with a bound and a message that tells what was missing. */

import { VipfarmError } from "../core/errors.ts";

/** First and longest pause between two looks: quick answers are seen soon, slow ones cost little. */
const PAUSE_FIRST_MS = 5;
const PAUSE_LONGEST_MS = 50;

/**
 * Looks again and again until `condition` gives something truthy, and gives that. An error thrown by the condition
 * counts as "not yet"; the last one becomes the cause of the time-out.
 * @throws VipfarmError after `timeoutMs`, naming `what`.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  timeoutMs: number,
  what: string,
): Promise<Exclude<T, false | undefined | null | 0 | "">> {
  const deadlineMs = performance.now() + timeoutMs;
  let pauseMs = PAUSE_FIRST_MS;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, false | undefined | null | 0 | "">;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadlineMs) {
      const last = cause instanceof Error ? `; last: ${cause.message}` : "";
      throw new VipfarmError({
        operation: `wait for ${what}`,
        problem: "it did not happen in time",
        value: `${timeoutMs} ms${last}`,
        cause,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(pauseMs * 2, PAUSE_LONGEST_MS);
  }
}
