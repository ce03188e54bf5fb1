/** The closing line of `deno test`, read and added up. */

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NO_COUNTS: Counts = { passed: 0, failed: 0, skipped: 0 };

export function countsOf(some: Partial<Counts>): Counts {
  return { ...NO_COUNTS, ...some };
}

export function addCounts(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

const STEPS = String.raw`(?: \(\d+ steps?\))?`;
const SUMMARY = new RegExp(
  String.raw`^(?:ok|FAILED) \| (\d+) passed${STEPS} \| (\d+) failed${STEPS}(?: \| (\d+) ignored${STEPS})?`,
  "gm",
);

/**
 * Counts from the end of what `deno test` printed. success: whether it exited with 0; a run that failed without a
 * failed test (a file that does not compile, a crash) counts as one failure, so that no failure is lost.
 */
export function parseSummary(output: string, success: boolean): Counts {
  // deno-lint-ignore no-control-regex -- colours are escape sequences
  const plain = output.replaceAll(/\x1b\[[\d;]*m/g, "");
  const last = [...plain.matchAll(SUMMARY)].at(-1);
  const [passed, failed, skipped] = last ? last.slice(1).map((count) => Number(count ?? 0)) : [0, 0, 0];
  return { passed, failed: failed === 0 && !success ? 1 : failed, skipped };
}
