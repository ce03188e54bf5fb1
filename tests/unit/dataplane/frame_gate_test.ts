import assert from "node:assert/strict";
import { FrameGate } from "../../../src/dataplane/frame_gate.ts";
import { SharedClaims } from "../../../src/dataplane/shared.ts";

const CUT_US = 1_800_000_000_000_000;

Deno.test("two programs of one node: each frame is decided by one of them, whatever its time", () => {
  const former = SharedClaims.create(1, 0), next = SharedClaims.create(1, 0);
  const formerGate = new FrameGate(former), nextGate = new FrameGate(next);
  assert.equal(formerGate.passes(CUT_US), undefined, "as a rule all are decided");
  former.setWindow("upToCut", CUT_US);
  next.setWindow("afterCut", CUT_US);
  const first = formerGate.passes(CUT_US), second = nextGate.passes(CUT_US);
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
  const none = gate.passes(CUT_US);
  assert.ok(typeof none === "function" && !none(CUT_US));
  claims.setWindow("later");
  assert.equal(gate.passes(CUT_US), "later");
  assert.equal(gate.isOver(CUT_US), false);
});

Deno.test("the former program ends once every frame up to the cut has been captured; the next one forgets the cut", () => {
  const former = SharedClaims.create(1, 0), next = SharedClaims.create(1, 0);
  former.setWindow("upToCut", CUT_US);
  const gate = new FrameGate(former);
  assert.equal(gate.isOver(CUT_US + 1_000), false);
  assert.equal(gate.isOver(CUT_US + 10_000), true);
  next.setWindow("afterCut", CUT_US);
  const later = new FrameGate(next);
  assert.equal(later.isOver(CUT_US + 10_000), false);
  assert.notEqual(later.passes(CUT_US + 10_000), undefined);
  assert.equal(later.passes(CUT_US + 2_000_000), undefined);
  assert.equal(
    later.passes(CUT_US - 3_600_000_000),
    undefined,
    "a clock that goes back does not bring it back",
  );
});
