import assert from "node:assert/strict";
import fc from "fast-check";
import { afterFailure } from "../../../src/application/recovery.ts";

const policy = fc.record({
  restarts: fc.integer({ min: 0, max: 10 }),
  withinMs: fc.integer({ min: 1_000, max: 100_000 }),
  backoffMs: fc.integer({ min: 0, max: 5_000 }),
  backoffMsMax: fc.integer({ min: 0, max: 60_000 }),
});

Deno.test("never more restarts within a window than allowed, each after a wait that doubles up to its bound", () => {
  fc.assert(
    fc.property(policy, fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 60 }), (policy, gaps) => {
      let nowMs = 0;
      let attempts: readonly number[] = [];
      const restarts: number[] = [];
      for (const gapMs of gaps) {
        nowMs += gapMs;
        const verdict = afterFailure(policy, attempts, nowMs);
        const recent = restarts.filter((atMs) => nowMs - atMs < policy.withinMs).length;
        if (verdict.kind === "give_up") {
          assert.equal(recent, policy.restarts);
          continue;
        }
        assert.equal(verdict.number, recent + 1);
        const waitMs = recent === 0 ? 0 : Math.min(policy.backoffMs * 2 ** (recent - 1), policy.backoffMsMax);
        assert.equal(verdict.atMs, nowMs + waitMs);
        nowMs = verdict.atMs;
        attempts = verdict.attempts;
        restarts.push(verdict.atMs);
        assert.ok(attempts.length <= policy.restarts);
      }
    }),
  );
});
