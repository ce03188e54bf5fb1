import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimit } from "../../../src/dataplane/rate_limit.ts";

const PER_SECOND = 100, BURST = 20;

Deno.test("whenever it is asked, however long ago the last time was: as much as an exact clock would allow", () => {
  const waitMs = fc.oneof(
    fc.integer({ min: 0, max: 50 }),
    fc.integer({ min: 0, max: 2 ** 31 }),
    fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 33 }), fc.array(waitMs, { maxLength: 200 }), (from, waits) => {
      const limit = new RateLimit(PER_SECOND, BURST);
      let nowMs = from, reserve = BURST;
      for (const wait of waits) {
        nowMs += wait;
        reserve = Math.min(BURST, reserve + wait * PER_SECOND / 1000);
        const allowed = reserve >= 1;
        if (allowed) reserve--;
        assert.equal(limit.take(nowMs | 0), allowed, `at ${nowMs} ms`);
      }
    }),
  );
});

Deno.test("an empty reserve fills again after more than 25 days without a question", () => {
  const limit = new RateLimit(PER_SECOND, BURST);
  for (let taken = 0; taken < BURST; taken++) assert.ok(limit.take(0));
  assert.ok(!limit.take(0));
  assert.ok(limit.take((26 * 86_400_000) | 0));
});
