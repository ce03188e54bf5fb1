import assert from "node:assert/strict";
import { FrameGate } from "../../../src/dataplane/frame_gate.ts";
import { SharedClaims } from "../../../src/dataplane/shared.ts";

const CUT_US = 1_800_000_000_000_000;
/** Since boot. */
const NOW_MS = 60_000;

Deno.test("two programs of one node: each frame is decided by one of them, whatever its time", () => {
  const former = SharedClaims.create(1, 0), next = SharedClaims.create(1, 0);
  const formerGate = new FrameGate(former), nextGate = new FrameGate(next);
  assert.equal(formerGate.passes(NOW_MS), undefined, "as a rule all are decided");
  former.setWindow("upToCut", CUT_US);
  next.setWindow("afterCut", CUT_US);
  const first = formerGate.passes(NOW_MS), second = nextGate.passes(NOW_MS);
  assert.ok(typeof first === "function" && typeof second === "function");
  for (const afterUs of [-1e6, -1, -0.25, 0, 0.25, 1, 1e6]) {
    assert.notEqual(first(CUT_US + afterUs), second(CUT_US + afterUs), `${afterUs} µs after the cut`);
  }
  assert.ok(first(CUT_US - 1) && second(CUT_US + 1));
});

Deno.test("until it takes over, a program decides nothing; then it lets frames wait", () => {
  const claims = SharedClaims.create(1, 0);
  const gate = new FrameGate(claims);
  claims.setWindow("none");
  const none = gate.passes(NOW_MS);
  assert.ok(typeof none === "function" && !none(CUT_US));
  claims.setWindow("later");
  assert.equal(gate.passes(NOW_MS), "later");
  assert.equal(gate.isOver(NOW_MS), false);
});

Deno.test("the former program ends once every frame up to the cut has been captured; the next one forgets the cut", () => {
  const former = SharedClaims.create(1, 0), next = SharedClaims.create(1, 0);
  former.setWindow("upToCut", CUT_US);
  const gate = new FrameGate(former);
  assert.equal(
    gate.isOver(NOW_MS + 60_000),
    false,
    "not before it has looked at a frame with the cut in mind",
  );
  gate.passes(NOW_MS);
  assert.equal(gate.isOver(NOW_MS + 1), false);
  assert.equal(gate.isOver(NOW_MS + 10), true);
  next.setWindow("afterCut", CUT_US);
  const later = new FrameGate(next);
  later.passes(NOW_MS);
  assert.equal(later.isOver(NOW_MS + 10), false);
  assert.notEqual(later.passes(NOW_MS + 10), undefined);
  assert.equal(later.passes(NOW_MS + 2_000), undefined);
});

Deno.test("a wall clock that is set back right after the cut leaves the next program deaf for a second, not longer", () => {
  const claims = SharedClaims.create(1, 0);
  claims.setWindow("afterCut", CUT_US);
  const gate = new FrameGate(claims);
  const passes = gate.passes(NOW_MS);
  assert.ok(typeof passes === "function" && !passes(CUT_US - 3_600_000_000), "an hour");
  assert.equal(gate.passes(NOW_MS + 1_100), undefined, "every frame passes, whatever its time");
});
