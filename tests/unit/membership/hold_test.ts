/** A program that crashes or is replaced: rule 10 of src/membership/README.md, and the hand-over of a membership. */
import assert from "node:assert/strict";
import type { Effect } from "../../../src/membership/types.ts";
import { decodeMessage, encodeMessage, type ToWorker } from "../../../src/supervisor/messages.ts";
import { Bench, Peer } from "./bench.ts";

Deno.test("a membership goes on in another process, and the others notice nothing", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.pass(2000, n2);
  // As it goes from process to process.
  const snapshot = { identity: "", membership: bench.node.save(), senders: [], draining: false };
  const message = decodeMessage(encodeMessage({ do: "takeOver", snapshot }));
  const saved = (message as Extract<ToWorker, { do: "takeOver" }>).snapshot.membership;
  const next = new Bench();
  next.nowMs = bench.nowMs;
  next.log.length = 0;
  next.sent.length = 0;
  next.node.restore(saved);
  assert.deepEqual(next.kinds(next.node.takeEffects()).slice(0, 2), ["claims", "lease"]);
  assert.deepEqual(next.node.basis(), bench.node.basis());
  assert.equal(next.node.leaseDeadlineMs, bench.node.leaseDeadlineMs);
  bench.pass(100);
  next.act(() => {});
  const { sequence, state, incarnation, settingsVersion, heard } = next.last;
  assert.deepEqual({ state, incarnation, settingsVersion, heard }, {
    state: bench.last.state,
    incarnation: bench.last.incarnation,
    settingsVersion: bench.last.settingsVersion,
    heard: bench.last.heard,
  });
  assert.equal(sequence, saved.sequence + 1);
  next.pass(1000, n2);
  assert.equal(next.state("n1"), "up");
  assert.ok(!next.kinds().includes("self.rejoining"));
});

/** A node that is up, and a confirmed member that retains something and then is said to have crashed. */
function crashed(holdMs: number): { bench: Bench; n2: Peer; n3: Peer; effects: Effect[] } {
  const bench = new Bench(), n2 = new Peer("n2"), n3 = new Peer("n3");
  bench.pass(2000, n2, n3);
  assert.equal(bench.state("n2"), "up");
  assert.equal(bench.node.retainedByOthers(1), undefined);
  const goodbye = { state: "left" as const, holdMs, heard: [], weights: [0, 0], binding: false, sequence: 1 };
  const effects = bench.hear(n2, { ...goodbye, incarnation: 600 });
  return { bench, n2, n3, effects };
}

Deno.test("a crash: the others take over at once, and every bucket is contested for the hold", () => {
  const { bench, n3, effects } = crashed(5000);
  assert.deepEqual(bench.node.basis().members.map(({ name }) => name), ["n3"]);
  assert.ok(bench.kinds(effects).includes("claims"));
  assert.ok(bench.kinds(effects).includes("member.crashed"));
  assert.deepEqual(bench.node.retainedByOthers(1), new Uint8Array(128).fill(0xff));
  const startMs = bench.nowMs;
  bench.pass(4990, n3);
  assert.notEqual(bench.node.retainedByOthers(1), undefined);
  bench.pass(20, n3);
  assert.equal(bench.node.retainedByOthers(1), undefined, `over ${bench.nowMs - startMs} ms later`);
  assert.ok(bench.kinds().includes("member.not_back"));
});

Deno.test("a hold ends as soon as the node is back and says what it retains", () => {
  const { bench, n2, n3 } = crashed(5000);
  const back = { incarnation: 601, state: "joining" as const, weights: [0, 0], binding: false };
  const retained = [{ table: 1, bitmap: new Uint8Array(128).fill(1, 0, 1) }];
  n2.settings = { ...back, retained };
  bench.pass(50, n3);
  bench.hear(n2, { heard: [] });
  assert.equal(bench.node.retainedByOthers(1)![100], 0xff, "not before it hears us: it could be a recording");
  bench.hear(n2);
  assert.deepEqual(bench.node.retainedByOthers(1), retained[0].bitmap);
  bench.pass(6000, n2, n3);
  assert.ok(!bench.kinds().includes("member.not_back"));
});

Deno.test("a second crash ends the hold; repeated goodbyes do not make it longer", () => {
  const { bench, n2, n3 } = crashed(5000);
  const goodbye = { state: "left" as const, heard: [], weights: [0, 0], binding: false };
  bench.pass(3000, n3);
  bench.hear(n2, { ...goodbye, incarnation: 600, holdMs: 5000 });
  bench.pass(2010, n3);
  assert.equal(bench.node.retainedByOthers(1), undefined);
  const again = crashed(5000);
  again.bench.hear(again.n2, { ...goodbye, incarnation: 700, holdMs: 0 });
  assert.equal(again.bench.node.retainedByOthers(1), undefined);
});

Deno.test("a goodbye without a hold leaves nothing contested", () => {
  const { bench, effects } = crashed(0);
  assert.equal(bench.node.retainedByOthers(1), undefined);
  assert.ok(bench.kinds(effects).includes("member.left"));
});

Deno.test("who came too late for the goodbye learns of the hold from the others, once", () => {
  const bench = new Bench(), n3 = new Peer("n3");
  const holds = [{ name: "n2", incarnation: 600, leftMs: 3000 }];
  bench.hear(n3, { holds, heard: [] });
  assert.equal(bench.node.retainedByOthers(1), undefined, "it could be a recording");
  n3.settings = { holds };
  const effects = bench.hear(n3);
  assert.ok(bench.kinds(effects).includes("retained"));
  assert.deepEqual(bench.node.retainedByOthers(1), new Uint8Array(128).fill(0xff));
  bench.pass(2900, n3);
  assert.equal(bench.last.holds[0]?.name, "n2");
  assert.notEqual(bench.node.retainedByOthers(1), undefined);
  bench.pass(300, n3);
  assert.equal(bench.node.retainedByOthers(1), undefined, "over, although the other still speaks of it");
  assert.deepEqual(bench.last.holds, []);

  const later = [{ name: "n2", incarnation: 700, leftMs: 3000 }];
  bench.hear(n3, { holds: later });
  assert.notEqual(bench.node.retainedByOthers(1), undefined, "another crash");
  bench.hear(new Peer("n2"), { incarnation: 701 });
  assert.equal(bench.node.retainedByOthers(1), undefined, "it is back");
  bench.hear(n3, { holds: later });
  assert.equal(bench.node.retainedByOthers(1), undefined);
});

/** A node whose peer asks for a hold, as one does whose program is about to be replaced, and is not heard any more. */
function missed(holdMs: number): { bench: Bench; n2: Peer; n3: Peer } {
  const bench = new Bench(), n2 = new Peer("n2"), n3 = new Peer("n3");
  bench.pass(2000, n2, n3);
  bench.hear(n2, { holdMs });
  assert.equal(bench.node.retainedByOthers(1), undefined, "nothing is contested while it is heard");
  bench.pass(600, n3);
  assert.deepEqual(bench.node.basis().members.map(({ name }) => name), ["n3"]);
  return { bench, n2, n3 };
}

Deno.test("a node that is missed while its program is replaced is replaced, and its connections are held", () => {
  const { bench, n2, n3 } = missed(20_000);
  assert.deepEqual(bench.node.retainedByOthers(1), new Uint8Array(128).fill(0xff));
  const order = bench.kinds().slice(bench.kinds().lastIndexOf("retained"));
  assert.ok(order.includes("claims"), "contested before it is claimed");
  assert.match(bench.reason("n2"), /not heard for \d+ ms while its program is replaced/);
  assert.equal(bench.last.holds[0]?.name, "n2");
  bench.pass(5_000, n3);
  // It comes as one that joins anew; the same if its program went on after all.
  n2.settings = { incarnation: 501, state: "joining", weights: [0, 0], binding: false };
  bench.hear(n2);
  assert.equal(bench.node.retainedByOthers(1), undefined, "it says itself what it retains");
  bench.pass(20_000, n2, n3);
  assert.ok(!bench.kinds().includes("member.not_back"));
});

Deno.test("a node that is missed without having asked for a hold, or after it took that back, has none", () => {
  assert.equal(missed(0).bench.node.retainedByOthers(1), undefined);
  const bench = new Bench(), n2 = new Peer("n2"), n3 = new Peer("n3");
  bench.pass(2000, n2, n3);
  bench.hear(n2, { holdMs: 20_000 });
  bench.hear(n2, { holdMs: 0 });
  bench.pass(600, n3);
  assert.equal(bench.node.retainedByOthers(1), undefined);
});

Deno.test("a request for a hold goes out with each heartbeat until it is taken back, and not to the next process", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.pass(2000, n2);
  bench.node.askForHold(20_000);
  bench.pass(200, n2);
  assert.equal(bench.last.holdMs, 20_000);
  const next = new Bench();
  next.nowMs = bench.nowMs;
  next.node.restore(bench.node.save());
  next.pass(200, n2);
  assert.equal(next.last.holdMs, 0);
  bench.node.askForHold(0);
  bench.pass(200, n2);
  assert.equal(bench.last.holdMs, 0);
});
