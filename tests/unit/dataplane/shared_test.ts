import assert from "node:assert/strict";
import fc from "fast-check";
import { BUCKETS } from "../../../src/core/limits.ts";
import { CLAIM, CONTESTED, FRESH, RETAINED, SharedClaims } from "../../../src/dataplane/shared.ts";

Deno.test("claims are counted by table, whatever else is marked beside them", () => {
  const claims = SharedClaims.create(3, 0);
  const mark = fc.record({
    bucket: fc.nat(BUCKETS - 1),
    flags: fc.nat(CLAIM | CONTESTED | RETAINED | FRESH),
  });
  fc.assert(fc.property(fc.array(mark), (marks) => {
    claims.tables[1].fill(0);
    for (const { bucket, flags } of marks) claims.tables[1][bucket] = flags;
    assert.equal(claims.claimedCount(1), claims.tables[1].filter((flags) => (flags & CLAIM) !== 0).length);
    assert.equal(claims.claimedCount(0) + claims.claimedCount(2), 0);
  }));
  claims.tables[2].fill(CLAIM | CONTESTED | RETAINED);
  assert.equal(claims.claimedCount(2), BUCKETS);
});

Deno.test("a lease holds up to its deadline, across the wrap of the clock, and not after silence", () => {
  const nearWrap = 0x7fff_fff0;
  const claims = SharedClaims.create(1, nearWrap);
  assert.ok(!claims.leaseHolds(nearWrap));
  claims.renewLease((nearWrap + 100) | 0);
  assert.ok(claims.leaseHolds(nearWrap));
  assert.ok(claims.leaseHolds((nearWrap + 99) | 0));
  assert.ok(!claims.leaseHolds((nearWrap + 100) | 0));
  claims.silence(nearWrap);
  assert.ok(!claims.leaseHolds(nearWrap));
});

Deno.test("a frame is from before a gain, or before claims held, by the microsecond; at first none is", () => {
  const claims = SharedClaims.create(1, 0), reader = new SharedClaims(claims.buffer);
  const nowUs = 1_800_000_000_000_000.25;
  assert.ok(!reader.isBeforeGain(0) && !reader.isBeforeHold(0));
  claims.noteGain(nowUs);
  assert.ok(reader.isBeforeGain(nowUs - 0.25) && !reader.isBeforeGain(nowUs) && !reader.isBeforeHold(0));
  claims.noteHold(nowUs + 1);
  assert.ok(reader.isBeforeHold(nowUs) && !reader.isBeforeHold(nowUs + 1) && !reader.isBeforeGain(nowUs));
  claims.noteHold(-Infinity);
  assert.ok(!reader.isBeforeHold(0));
});

Deno.test("the membership thread's turns change until it has ended, and touch nothing else", () => {
  const claims = SharedClaims.create(1, 0), reader = new SharedClaims(claims.buffer);
  claims.renewLease(1_000);
  claims.setWindow("upToCut", 123.5);
  const before = reader.turns;
  claims.noteTurn();
  assert.notEqual(reader.turns, before);
  claims.endTurns();
  assert.equal(reader.turns, undefined);
  assert.ok(reader.leaseHolds(999));
  assert.deepEqual([reader.window, reader.cutUs], ["upToCut", 123.5]);
});
