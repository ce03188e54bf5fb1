import assert from "node:assert/strict";
import { addCounts, countsOf, NO_COUNTS, parseSummary } from "../summary.ts";

Deno.test("the closing line of deno test is read, with and without steps, colours and ignored tests", () => {
  const plain = "running 3 tests\n\nok | 3 passed | 0 failed (12ms)\n\n";
  assert.deepEqual(parseSummary(plain, true), { passed: 3, failed: 0, skipped: 0 });
  const steps = "FAILED | 2 passed (1 step) | 2 failed (3 steps) | 1 ignored (7ms)\n";
  assert.deepEqual(parseSummary(steps, false), { passed: 2, failed: 2, skipped: 1 });
  const coloured = "\x1b[0m\x1b[32mok\x1b[0m | 41 passed | 0 failed | 2 ignored \x1b[38;5;245m(1s)\x1b[0m\n";
  assert.deepEqual(parseSummary(coloured, true), { passed: 41, failed: 0, skipped: 2 });
});

Deno.test("the last such line counts, not one that a test printed", () => {
  const output = "ok | 1 passed | 0 failed (1ms)\nFAILED | 5 passed | 1 failed (2ms)\n";
  assert.deepEqual(parseSummary(output, false), { passed: 5, failed: 1, skipped: 0 });
});

Deno.test("a run that failed without a failed test is still a failure", () => {
  assert.deepEqual(parseSummary("error: Type checking failed.", false), countsOf({ failed: 1 }));
  assert.deepEqual(parseSummary("ok | 4 passed | 0 failed (1ms)", false), {
    passed: 4,
    failed: 1,
    skipped: 0,
  });
});

Deno.test("counts add up", () => {
  assert.deepEqual(addCounts(NO_COUNTS, countsOf({ passed: 2, skipped: 1 })), {
    passed: 2,
    failed: 0,
    skipped: 1,
  });
});
