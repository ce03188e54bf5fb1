import assert from "node:assert/strict";
import { BUCKETS } from "../../../src/core/limits.ts";
import { BUCKET_BITMAP_BYTES, ClaimsPublisher } from "../../../src/dataplane/claims_publisher.ts";
import { CLAIM, CONTESTED, FRESH, ORPHANED, RETAINED, SharedClaims } from "../../../src/dataplane/shared.ts";
import type { ClaimsBasis } from "../../../src/membership/types.ts";

/** How long frames from before a gain are looked for. */
const FRESH_MS = 5_000;

/** Tables 0 (presence) and 1 (a TCP service) of node a. */
class Rig {
  readonly claims = SharedClaims.create(2, 0);
  wallMs = 1_000_000;
  readonly publisher = new ClaimsPublisher(
    new Uint8Array(32).fill(3),
    this.claims,
    [{ keepsConnections: false }, { keepsConnections: true }],
    () => this.wallMs,
  );

  /** Publishes the claims of node a among others that take part in both tables. */
  publish(others: readonly string[], own = 1, contested?: Uint8Array): number[] {
    const basis: ClaimsBasis = {
      ownName: "a",
      ownWeights: [1, own],
      ownPreviousWeights: undefined,
      members: others.map((name) => ({ name, weights: [1, 1] })),
    };
    return this.publisher.publish(basis, () => contested);
  }

  count(flags: number, table = 1): number {
    return this.claims.tables[table].filter((each) => each === flags).length;
  }

  isBeforeGain(wallMs: number): boolean {
    return this.claims.isBeforeGain(wallMs * 1e3);
  }
}

Deno.test("buckets gained are fresh, those kept stay as they are, and the gain has its time", () => {
  const rig = new Rig();
  rig.publish(["b", "c"]);
  const share = rig.count(CLAIM | FRESH);
  assert.ok(Math.abs(share - BUCKETS / 3) < 1000, `${share}`);
  assert.ok(rig.isBeforeGain(rig.wallMs - 0.001) && !rig.isBeforeGain(rig.wallMs));

  rig.wallMs += 10_000;
  rig.publish(["b"]);
  assert.equal(rig.count(CLAIM), share);
  const gained = rig.count(CLAIM | FRESH | ORPHANED);
  assert.ok(Math.abs(share + gained - BUCKETS / 2) < 1000, `${gained}`);
  assert.ok(rig.isBeforeGain(rig.wallMs - 0.001));

  // Soon after, frames from before either gain may still wait: both stay fresh.
  rig.wallMs += 10;
  rig.publish([]);
  assert.equal(rig.count(CLAIM), share);
  assert.equal(rig.count(CLAIM | FRESH | ORPHANED), BUCKETS - share);

  // Nothing gained: the time of the last gain stands.
  const { wallMs } = rig;
  rig.wallMs += 10;
  rig.publish([]);
  assert.ok(!rig.isBeforeGain(wallMs));
});

Deno.test("buckets lost are retained until the kernel is found to hold no connection in them", () => {
  const rig = new Rig();
  assert.deepEqual(rig.publish([]), []);
  assert.deepEqual(rig.publish(["b"]), [1]);
  const lost = rig.count(RETAINED);
  assert.ok(lost > 30_000);
  assert.equal(rig.count(RETAINED, 0), 0, "a table without connections retains nothing");
  const { lossCount } = rig.publisher;
  const first = rig.claims.tables[1].indexOf(RETAINED);
  const held = new Uint8Array(BUCKET_BITMAP_BYTES);
  held[first >> 3] |= 1 << (first & 7);

  rig.publish(["b", "c"]);
  assert.ok(!rig.publisher.prune(1, held, lossCount, 0), "a look from before the latest loss");
  assert.ok(rig.publisher.prune(1, held, rig.publisher.lossCount, 0));
  assert.equal(rig.count(RETAINED), 1);
  const groups = rig.publisher.retainedGroups(1)!;
  assert.equal(groups[first >> 9], 1 << ((first >> 6) & 7));
  assert.ok(rig.publisher.prune(1, new Uint8Array(BUCKET_BITMAP_BYTES), rig.publisher.lossCount, 0));
  assert.equal(rig.publisher.retainedGroups(1), undefined);
});

Deno.test("a bucket is contested before it is claimed: both are written at once", () => {
  const rig = new Rig();
  const contested = new Uint8Array(128).fill(0xff);
  rig.publish([], 1, contested);
  assert.equal(rig.count(CLAIM | FRESH | CONTESTED), BUCKETS);
  rig.publisher.publishContested(() => undefined, false);
  assert.equal(rig.count(CLAIM | FRESH), BUCKETS);
});

Deno.test("a drained node claims nothing and keeps what it may hold", () => {
  const rig = new Rig();
  rig.publish(["b"]);
  const claimed = rig.count(CLAIM | FRESH);
  assert.deepEqual(rig.publish(["b"], 0), [1]);
  assert.equal(rig.count(RETAINED), claimed);
  assert.equal(rig.claims.claimedCount(1), 0);
});

Deno.test("connections from before the start are retained, except in buckets that are claimed", () => {
  const rig = new Rig();
  const held = new Uint8Array(BUCKET_BITMAP_BYTES);
  held[0] = 0b101;
  rig.publisher.retain(1, held);
  assert.equal(rig.count(RETAINED), 2);
  assert.equal(rig.publisher.retainedGroups(1)![0], 1);
  rig.publish(["b"]);
  for (const bucket of [0, 2]) {
    const flags = rig.claims.tables[1][bucket];
    assert.ok(flags === RETAINED || flags === (CLAIM | FRESH | RETAINED), `${flags}`);
  }
  rig.publish([]);
  rig.publisher.retain(1, held);
  assert.equal(rig.count(RETAINED), 0);
});

Deno.test("a bucket that is claimed again stays retained until the claim holds and no older frame waits", () => {
  const rig = new Rig();
  const held = new Uint8Array(BUCKET_BITMAP_BYTES).fill(0xff);
  rig.publisher.retain(1, held);
  assert.ok(rig.publisher.retainedGroups(1) !== undefined);
  assert.deepEqual(rig.publish([]), [1], "what is told changes");
  assert.equal(rig.count(CLAIM | FRESH | RETAINED), BUCKETS);
  assert.equal(rig.publisher.retainedGroups(1), undefined, "nobody else needs to know");
  assert.ok(rig.publisher.retainedGroups(1, true) !== undefined);
  const prune = () => rig.publisher.prune(1, held, rig.publisher.lossCount, 0);
  rig.claims.renewLease(100);
  assert.ok(prune());
  assert.equal(rig.count(CLAIM | FRESH | RETAINED), BUCKETS, "gained a moment ago");
  rig.wallMs += FRESH_MS;
  rig.claims.silence(0);
  prune();
  assert.equal(rig.count(CLAIM | FRESH | RETAINED), BUCKETS, "no lease");
  rig.claims.renewLease(100);
  prune();
  assert.equal(rig.count(CLAIM | FRESH), BUCKETS);
  assert.equal(rig.publisher.retainedGroups(1, true), undefined);
});

Deno.test("claims that held no longer begin anew, in time for the lease: what was captured meanwhile is not theirs", () => {
  const rig = new Rig();
  rig.publish(["b"]);
  const isBefore = (wallMs: number) => rig.claims.isBeforeHold(wallMs * 1e3);
  rig.publisher.renewLease(400, 0);
  assert.ok(isBefore(rig.wallMs - 0.001) && !isBefore(rig.wallMs));
  const { wallMs } = rig;
  rig.wallMs += 100;
  rig.publisher.renewLease(500, 100);
  assert.ok(!isBefore(wallMs), "in time: nothing changes");

  for (const givenUp of [false, true]) { // or lapsed
    const fromMs = givenUp ? 600 : 500;
    if (givenUp) rig.claims.silence(fromMs);
    rig.wallMs += 300;
    rig.publisher.renewLease(fromMs + 400, fromMs);
    assert.ok(isBefore(rig.wallMs - 0.001) && !isBefore(rig.wallMs));
  }
  const heldMs = rig.wallMs;
  rig.wallMs += FRESH_MS - 1;
  rig.publisher.expireMarks();
  assert.ok(isBefore(heldMs - 0.001));
  rig.wallMs += 1;
  rig.publisher.expireMarks();
  assert.ok(!isBefore(heldMs - 0.001), "no frame waits for so long");
  rig.publisher.renewLease(2_000, 1_500);
  rig.wallMs -= 3_600_000;
  rig.publisher.expireMarks();
  assert.ok(!isBefore(rig.wallMs), "a wall clock that is set back by an hour leaves nobody deaf");
});

Deno.test("what is gained from a node that is gone is marked for a minute", () => {
  const rig = new Rig();
  rig.publish(["b", "c"]);
  const share = rig.count(CLAIM | FRESH);
  rig.wallMs += 5_000;
  rig.publish(["b"]);
  const gained = rig.count(CLAIM | FRESH | ORPHANED);
  assert.ok(gained > 9_000, `${gained}`);
  assert.equal(rig.count(CLAIM), share);
  rig.wallMs += 59_000;
  rig.publisher.expireMarks();
  rig.publish(["b"]);
  assert.equal(rig.count(CLAIM | ORPHANED), gained);
  rig.wallMs += FRESH_MS;
  rig.publisher.expireMarks();
  assert.equal(rig.count(CLAIM), share + gained);
});

Deno.test("claims are fresh as long as a frame may wait, whether anything is published after it or not", () => {
  const rig = new Rig();
  rig.publish(["b"]);
  const gained = rig.count(CLAIM | FRESH);
  assert.ok(gained > 0);
  rig.wallMs += FRESH_MS - 1;
  rig.publisher.expireMarks();
  assert.equal(rig.count(CLAIM | FRESH), gained);
  rig.wallMs += 1;
  rig.publisher.expireMarks();
  assert.equal(rig.count(CLAIM), gained);
  assert.equal(rig.count(CLAIM | FRESH), 0);
  rig.wallMs += 10_000;
  rig.publish([]);
  assert.equal(rig.count(CLAIM | FRESH | ORPHANED), BUCKETS - gained);
  rig.wallMs += FRESH_MS;
  rig.publisher.expireMarks();
  assert.equal(rig.count(CLAIM | ORPHANED), BUCKETS - gained, "each gain anew");
});

Deno.test("what a node that is gone retained is marked too, what it let go of is not", () => {
  for (const gone of [false, true]) {
    const rig = new Rig();
    rig.publish([], 1, new Uint8Array(128).fill(0xff));
    rig.publisher.publishContested(() => undefined, gone);
    assert.equal(rig.count(CLAIM | FRESH | (gone ? ORPHANED : 0)), BUCKETS);
  }
});

Deno.test("a table that keeps nothing lets go of what it has, and retains nothing of what it loses", () => {
  const rig = new Rig();
  rig.publish([]);
  rig.publish(["b"]);
  assert.ok(rig.count(RETAINED) > 0);
  assert.deepEqual(rig.publisher.keep([true, false]), [1]);
  assert.equal(rig.count(RETAINED), 0);
  assert.deepEqual(rig.publish(["b"], 0), []);
  assert.equal(rig.count(0), BUCKETS);
  assert.deepEqual(rig.publisher.keep([true, true]), []);
  rig.publish(["b"], 1);
  assert.deepEqual(rig.publish(["b"], 0), [1]);
});

/** Node a with a table of UDP flows. */
class FlowRig {
  readonly claims = SharedClaims.create(2, 0);
  wallMs = 1_000_000;
  readonly publisher = new ClaimsPublisher(
    new Uint8Array(32).fill(3),
    this.claims,
    [{ keepsConnections: false }, { keepsConnections: true, flows: true }],
    () => this.wallMs,
  );

  publish(others: readonly string[], contested?: Uint8Array): number[] {
    this.wallMs += 10_000;
    const members = others.map((name) => ({ name, weights: [1, 1] }));
    const basis = { ownName: "a", ownWeights: [1, 1], ownPreviousWeights: undefined, members };
    return this.publisher.publish(basis, () => contested);
  }

  count(flags: number): number {
    return this.claims.tables[1].filter((each) => each === flags).length;
  }
}

Deno.test("a table of flows is owned by whole groups, fairly enough", () => {
  const rig = new FlowRig();
  rig.publish(["b", "c"]);
  const table = rig.claims.tables[1];
  for (let bucket = 0; bucket < BUCKETS; bucket++) assert.equal(table[bucket], table[bucket & ~63]);
  const share = rig.count(CLAIM | FRESH) / BUCKETS;
  assert.ok(Math.abs(share - 1 / 3) < 0.06, `${share}`);
  // Without b the rest is taken from the runners-up: by groups too.
  rig.publish(["c"]);
  for (let bucket = 0; bucket < BUCKETS; bucket++) assert.equal(table[bucket], table[bucket & ~63]);
});

Deno.test("flows: a claim that was contested was never served, so its loss leaves nothing", () => {
  const rig = new FlowRig();
  rig.publish([], new Uint8Array(128).fill(0xff));
  assert.deepEqual(rig.publish(["b"]), []);
  assert.equal(rig.count(RETAINED), 0);
  const served = new FlowRig();
  served.publish([]);
  assert.deepEqual(served.publish(["b"]), [1]);
  assert.ok(served.count(RETAINED) > 0);
});

Deno.test("flows: where a contest ends the claim begins, for frames captured from then on", () => {
  for (const how of ["alone", "with the claims"]) {
    const rig = new FlowRig();
    rig.publish([], new Uint8Array(128).fill(0xff));
    rig.publish([], new Uint8Array(128).fill(0xff));
    assert.equal(rig.count(CLAIM | CONTESTED), BUCKETS);
    if (how === "alone") {
      rig.wallMs += 10_000;
      rig.publisher.publishContested(() => undefined, false);
    } else {
      rig.publish([]);
    }
    assert.equal(rig.count(CLAIM | FRESH), BUCKETS, how);
    assert.ok(rig.claims.isBeforeGain((rig.wallMs - 1) * 1e3), how);
  }
});

Deno.test("flows: a node that falls silent gives up what it retains", () => {
  const rig = new FlowRig();
  rig.publish([]);
  rig.publish(["b"]);
  assert.deepEqual(rig.publisher.releaseFlows(), [1]);
  assert.equal(rig.count(RETAINED), 0);
  assert.deepEqual(rig.publisher.releaseFlows(), []);
});
