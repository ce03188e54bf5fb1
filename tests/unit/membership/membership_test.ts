import assert from "node:assert/strict";
import { MEMBERS_MAX } from "../../../src/core/limits.ts";
import { claimsBucket } from "../../../src/membership/claims.ts";
import { REPORTS_SHOWN_MS } from "../../../src/membership/report.ts";
import { ORDERS_MAX } from "../../../src/wire/heartbeat.ts";
import { Bench, pair, Peer, WALL_MS } from "./bench.ts";

Deno.test("alone, a node listens, announces itself, and is up after five intervals", () => {
  const bench = new Bench();
  bench.pass(299);
  assert.equal(bench.last.binding, false, "while it listens, its list binds nobody");
  bench.pass(199);
  assert.equal(bench.last.binding, true, "then it announces itself");
  assert.deepEqual(bench.last.weights, [0, 0]);
  assert.equal(bench.node.leaseDeadlineMs, 0);
  bench.pass(3);
  assert.equal(bench.state("n1"), "up");
  assert.deepEqual(bench.node.basis().ownWeights, [1, 100]);
  assert.equal(bench.node.basis().ownPreviousWeights, undefined, "nobody has to acknowledge");
  assert.ok(bench.node.leaseDeadlineMs > bench.nowMs);
});

Deno.test("with a member, nothing is claimed before it has listed the new weights", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.hear(n2);
  bench.pass(495, n2);
  n2.lastMs = Infinity; // says nothing for a moment
  bench.pass(10);
  assert.equal(bench.last.settingsVersion, 2);
  assert.deepEqual(bench.node.basis().ownPreviousWeights, [0, 0]);
  assert.equal(claimsBucket(bench.node.basis(), 1, (name) => name === "n1" ? 9 : 1), false);
  const effects = bench.hear(n2);
  assert.ok(bench.kinds(effects).includes("claims"));
  assert.equal(bench.node.basis().ownPreviousWeights, undefined);
  assert.equal(claimsBucket(bench.node.basis(), 1, (name) => name === "n1" ? 9 : 1), true);
});

Deno.test("new settings of a member are adopted and acknowledged at once, claims first", () => {
  const { bench, n2 } = pair();
  const effects = bench.hear(n2, { settingsVersion: 3, weights: [1, 300] });
  const kinds = bench.kinds(effects);
  assert.ok(kinds.indexOf("claims") >= 0 && kinds.indexOf("claims") < kinds.indexOf("send"));
  assert.deepEqual(bench.last.heard, [
    { name: "n2", incarnation: 500, settingsVersion: 3, status: "heard", echo: n2.sequence },
  ]);
});

Deno.test("of several own changes one is under way at a time, and the newest is taken next", () => {
  const { bench, n2 } = pair();
  bench.act(() => bench.node.setSettings([1, 50], {}, bench.nowMs));
  assert.equal(bench.last.settingsVersion, 3);
  assert.deepEqual(bench.node.basis().ownPreviousWeights, [1, 100]);
  bench.act(() => bench.node.setSettings([1, 60], {}, bench.nowMs));
  bench.act(() => bench.node.setSettings([1, 70], {}, bench.nowMs));
  assert.deepEqual(bench.node.basis().ownWeights, [1, 50]);
  bench.hear(n2);
  assert.deepEqual(bench.node.basis().ownWeights, [1, 70]);
  assert.deepEqual(bench.node.basis().ownPreviousWeights, [1, 50]);
  bench.hear(n2);
  assert.equal(bench.node.basis().ownPreviousWeights, undefined);
});

Deno.test("missing from a list, or listed as suspect, a node is silent until it is listed", () => {
  const { bench, n2 } = pair();
  for (const status of ["suspect", "missing"] as const) {
    const listed = n2.heartbeat(bench, {}).heard[0];
    const effects = bench.hear(n2, { heard: status === "missing" ? [] : [{ ...listed, status }] });
    assert.ok(effects.some((effect) => effect.kind === "lease" && effect.deadlineMs === 0), status);
    assert.equal(bench.state("n1"), "silent");
    bench.hear(n2);
    assert.equal(bench.state("n1"), "up");
    assert.ok(bench.node.leaseDeadlineMs > bench.nowMs);
  }
});

Deno.test("a list that binds nobody silences nobody", () => {
  const { bench } = pair();
  bench.hear(new Peer("n3"), { state: "joining", binding: false, weights: [0, 0], heard: [] });
  assert.equal(bench.state("n1"), "up");
});

Deno.test("a heartbeat that is due within half an interval goes out along with a member's", () => {
  const { bench, n2 } = pair();
  const recorded = new Peer("n3");
  const isSentOnHearing = (peer: Peer) =>
    bench.kinds(bench.hear(peer, peer === n2 ? {} : { heard: [], binding: false })).includes("send");
  isSentOnHearing(recorded);
  for (const before = bench.sent.length; bench.sent.length === before;) bench.pass(0.1);
  bench.pass(45);
  assert.equal(isSentOnHearing(n2), false, "due in 55 ms");
  bench.pass(10);
  assert.equal(isSentOnHearing(recorded), false, "of one that never answered nothing is certain");
  assert.equal(isSentOnHearing(n2), true, "due in 45 ms");
  bench.pass(45);
  assert.equal(isSentOnHearing(n2), false, "the next one is due an interval later");
});

Deno.test("suspect after three intervals, replaced after five", () => {
  const { bench, n2 } = pair();
  const heardMs = n2.lastMs;
  bench.pass(heardMs + 299 - bench.nowMs);
  assert.equal(bench.state("n2"), "up");
  bench.pass(2);
  assert.equal(bench.state("n2"), "suspect");
  assert.equal(bench.last.heard[0].status, "suspect", "said at once");
  assert.equal(bench.node.basis().members.length, 1, "but its buckets are still its own");
  bench.pass(200);
  assert.equal(bench.state("n2"), "dead");
  assert.equal(bench.node.basis().members.length, 0);
  assert.equal(bench.node.nextTickMs() < Infinity, true);
});

Deno.test("a member that was suspect is up since it was heard again", () => {
  const { bench, n2 } = pair();
  bench.pass(n2.lastMs + 301 - bench.nowMs);
  assert.equal(bench.state("n2"), "suspect");
  bench.pass(50);
  bench.hear(n2);
  const line = bench.node.view(bench.nowMs).find(({ name }) => name === "n2");
  assert.equal(line?.state, "up");
  assert.equal(line?.sinceMs, bench.nowMs);
});

Deno.test("goodbye is believed at once", () => {
  const { bench, n2 } = pair();
  bench.hear(n2, { state: "left", binding: false, weights: [0, 0] });
  assert.equal(bench.state("n2"), "dead");
  assert.equal(bench.reason("n2"), "said goodbye");
  bench.hear(n2, { state: "left", binding: false, weights: [0, 0] });
  assert.equal(bench.state("n2"), "dead", "the second and third goodbye do not bring it back");
});

Deno.test("a member that remembers a later incarnation is exceeded", () => {
  const { bench, n2 } = pair();
  bench.hear(n2, {
    heard: [{ name: "n1", incarnation: 5000, settingsVersion: 0, status: "remembered", echo: 0 }],
  });
  assert.equal(bench.last.incarnation, 5001);
});

Deno.test("a sender refused for its old incarnation is told which one to exceed", () => {
  const bench = new Bench();
  bench.act(() => bench.node.staleHeard({ name: "n2", incarnation: 900 }, bench.nowMs));
  bench.pass(100);
  assert.deepEqual(bench.last.heard, [
    { name: "n2", incarnation: 900, settingsVersion: 0, status: "remembered", echo: 0 },
  ]);
  bench.pass(600);
  assert.deepEqual(bench.last.heard, [], "for a while only");
});

Deno.test("another list of services keeps a joining node out, and says whose", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  n2.settings = { servicesDigest: 8 };
  bench.hear(n2);
  bench.pass(1000, n2);
  assert.equal(bench.state("n1"), "joining");
  assert.equal(bench.reason("n1"), "n2 runs a different list of services");
  assert.equal(bench.kinds().filter((kind) => kind === "member.services_differ").length, 1, "said once");
});

Deno.test("a joining node waits for a member that does not hear it, and names it", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  n2.settings = { heard: [] };
  bench.hear(n2);
  bench.pass(1000, n2);
  assert.equal(bench.reason("n1"), "n2 does not hear this node");
});

Deno.test("a joining node waits while a member hears somebody that it does not hear", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.hear(n2);
  const n3 = { name: "n3", incarnation: 1, settingsVersion: 2, status: "heard" as const, echo: 0 };
  for (let i = 0; i < 10; i++) {
    bench.pass(100);
    bench.hear(n2, { heard: [...n2.heartbeat(bench, {}).heard, n3] });
  }
  assert.equal(bench.reason("n1"), "n2 hears n3, which this node does not hear");
});

Deno.test("what looks like a recording silences nobody who is up, and gives no orders", () => {
  const { bench, n2 } = pair();
  const ghost = new Peer("n9");
  const order = {
    id: "00000000000000aa",
    target: "n1",
    verb: "drain" as const,
    value: 0,
    issuedBy: "n9",
  };
  const changes = { wallClockMs: WALL_MS - 600_000, heard: [], orders: [order] };
  const effects = [...bench.hear(ghost, changes), ...bench.hear(ghost, changes)];
  assert.equal(bench.state("n1"), "up");
  assert.equal(bench.kinds(effects).includes("order"), false);
  assert.equal(bench.kinds(effects).filter((kind) => kind === "member.recording").length, 1);
  assert.equal(bench.node.counters.recordings, 2);
  assert.deepEqual(bench.node.basis().members.map((member) => member.name), ["n2"]);
  bench.pass(100, n2);
});

Deno.test("a joining node waits for what may be a recording, but not for ever", () => {
  const bench = new Bench(), ghost = new Peer("n9");
  ghost.settings = { wallClockMs: WALL_MS - 600_000, heard: [] };
  bench.hear(ghost);
  bench.pass(2900, ghost);
  assert.equal(bench.state("n1"), "joining");
  bench.pass(800, ghost);
  assert.equal(bench.state("n1"), "up");
});

Deno.test("leaving gives up everything at once and hands over when it is acknowledged", () => {
  const { bench, n2 } = pair();
  const effects = bench.act(() => bench.node.leave(bench.nowMs));
  assert.deepEqual(bench.kinds(effects).filter((kind) => kind === "claims" || kind === "send"), [
    "claims",
    "send",
  ]);
  assert.deepEqual(bench.last.weights, [0, 0]);
  assert.ok(bench.node.leaseDeadlineMs > 0, "open connections go on");
  assert.equal(bench.kinds().includes("handedOver"), false);
  assert.ok(bench.kinds(bench.hear(n2)).includes("handedOver"));
  bench.pass(200, n2);
  const sentBefore = bench.sent.length;
  bench.act(() => bench.node.goodbye(bench.nowMs));
  assert.equal(bench.node.leaseDeadlineMs, 0);
  bench.pass(50);
  assert.deepEqual(bench.sent.slice(sentBefore).map((message) => message.state), ["left", "left", "left"]);
  assert.equal(bench.kinds().at(-1), "finished");
  assert.equal(bench.node.nextTickMs(), Infinity);
});

Deno.test("leaving does not wait for ever", () => {
  const { bench } = pair();
  bench.act(() => bench.node.leave(bench.nowMs));
  bench.pass(201);
  assert.ok(bench.kinds().includes("handedOver"));
});

Deno.test("an order is carried out once, however often it is heard, and answered each time", () => {
  const { bench, n2 } = pair();
  const order = { id: "00000000000000aa", target: "n1", verb: "drain" as const, value: 0, issuedBy: "n2" };
  assert.ok(bench.kinds(bench.hear(n2, { orders: [order] })).includes("order"));
  assert.equal(bench.kinds(bench.hear(n2, { orders: [order] })).includes("order"), false);
  bench.act(() => bench.node.answerOrder(order.id, "done", "drained", bench.nowMs));
  assert.deepEqual(bench.last.answers, [{ id: order.id, code: "done", text: "drained" }]);
  bench.pass(5100, n2);
  assert.deepEqual(bench.last.answers, []);
  bench.hear(n2, { orders: [order] });
  assert.equal(bench.last.answers.length, 1, "asked again, it answers again");
});

Deno.test("an issued order is repeated until it is answered, or until it is given up", () => {
  const { bench, n2 } = pair();
  const order = { id: "00000000000000bb", target: "n2", verb: "drain" as const, value: 0, issuedBy: "n1" };
  bench.act(() => bench.node.issueOrder(order, bench.nowMs));
  assert.deepEqual(bench.last.orders, [order]);
  const effects = bench.hear(n2, { answers: [{ id: order.id, code: "refused", text: "no" }] });
  assert.deepEqual(effects.find((effect) => effect.kind === "orderResult"), {
    kind: "orderResult",
    id: order.id,
    target: "n2",
    code: "refused",
    text: "no",
  });
  bench.act(() => bench.node.issueOrder({ ...order, id: "00000000000000cc" }, bench.nowMs));
  bench.pass(5001, n2);
  assert.ok(bench.log.some((effect) => effect.kind === "orderResult" && effect.code === "unanswered"));
});

Deno.test("an order more than a heartbeat carries is refused, and room comes back with the answers", () => {
  const { bench, n2 } = pair();
  const order = (n: number) => (
    { id: `00000000000000${n}0`, target: "n2", verb: "drain" as const, value: 0, issuedBy: "n1" }
  );
  const refused = () =>
    bench.log.filter((effect) => effect.kind === "orderResult" && effect.code === "refused");
  for (let n = 1; n <= ORDERS_MAX; n++) bench.act(() => bench.node.issueOrder(order(n), bench.nowMs));
  assert.deepEqual(refused(), []);
  bench.act(() => bench.node.issueOrder(order(ORDERS_MAX + 1), bench.nowMs));
  assert.deepEqual(refused().map((effect) => effect.kind === "orderResult" && effect.id), [
    order(ORDERS_MAX + 1).id,
  ]);
  bench.pass(100, n2);
  assert.equal(bench.last.orders.length, ORDERS_MAX);
  bench.hear(n2, { answers: [{ id: order(1).id, code: "done", text: "" }] });
  bench.act(() => bench.node.issueOrder(order(6), bench.nowMs));
  assert.equal(refused().length, 1);
});

Deno.test("an order for this node itself comes straight back", () => {
  const bench = new Bench();
  const order = { id: "00000000000000dd", target: "n1", verb: "drain" as const, value: 0, issuedBy: "n1" };
  assert.ok(bench.kinds(bench.act(() => bench.node.issueOrder(order, 0))).includes("order"));
  const effects = bench.act(() => bench.node.answerOrder(order.id, "done", "", 0));
  assert.ok(effects.some((effect) => effect.kind === "orderResult" && effect.code === "done"));
});

Deno.test("retained buckets go out with heartbeats and come in as a union", () => {
  const { bench, n2 } = pair();
  const mine = new Uint8Array(128).fill(1), theirs = new Uint8Array(128).fill(2);
  bench.act(() => bench.node.setRetained(1, mine, bench.nowMs));
  assert.deepEqual(bench.last.retained, [{ table: 1, bitmap: mine }]);
  assert.ok(bench.kinds(bench.hear(n2, { retained: [{ table: 1, bitmap: theirs }] })).includes("retained"));
  assert.deepEqual(bench.node.retainedByOthers(1), theirs);
  assert.equal(bench.node.retainedByOthers(0), undefined);
  bench.hear(n2, { state: "left", binding: false, weights: [] });
  assert.equal(bench.node.retainedByOthers(1), undefined, "goodbye ends it");
  bench.act(() => bench.node.setRetained(1, undefined, bench.nowMs));
  assert.deepEqual(bench.last.retained, []);
});

Deno.test("there is room for so many members, and no more", () => {
  const bench = new Bench();
  for (let i = 0; i < MEMBERS_MAX + 5; i++) bench.hear(new Peer(`peer${i}`));
  assert.equal(bench.node.view(bench.nowMs).length, MEMBERS_MAX);
  assert.equal(bench.node.counters.membersRefused, 6);
  assert.equal(bench.kinds().filter((kind) => kind === "member.refused").length, 1);
});

Deno.test("of two nodes with one name the older stays out and says so", () => {
  const { bench } = pair();
  const twin = new Peer("n1");
  twin.incarnation = 2000;
  const effects = bench.hear(twin);
  assert.ok(bench.kinds(effects).includes("self.name_taken"));
  bench.pass(1000);
  assert.equal(bench.state("n1"), "joining");
  assert.equal(bench.reason("n1"), "another node uses the name n1");
});

Deno.test("a node can start drained", () => {
  const bench = new Bench("n1", { draining: true });
  bench.pass(600);
  assert.equal(bench.state("n1"), "draining");
  assert.deepEqual(bench.last.weights, [1, 0]);
});

Deno.test("many urgent changes make few messages", () => {
  const { bench, n2 } = pair();
  const before = bench.sent.length, fromMs = bench.nowMs;
  for (let version = 3; version < 500; version++) {
    bench.hear(n2, { settingsVersion: version });
    bench.nowMs += 0.5;
  }
  const most = (bench.nowMs - fromMs) / 10 + 5;
  assert.ok(bench.sent.length - before <= most, `${bench.sent.length - before} messages`);
});

Deno.test("equal scores go to the smaller name", () => {
  const basis = {
    ownName: "b",
    ownWeights: [1],
    ownPreviousWeights: undefined,
    members: [{ name: "a", weights: [1] }, { name: "c", weights: [1] }],
  };
  assert.equal(claimsBucket(basis, 0, () => 1), false);
  assert.equal(claimsBucket({ ...basis, ownName: "0" }, 0, () => 1), true);
  assert.equal(claimsBucket(basis, 1, () => 1), false, "no weight, no claim");
});

Deno.test("reports go out once a second, urgent ones at once, and are shown until the next one comes", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.pass(2000, n2);
  const reports = (fromMs: number, sent = bench.sent) =>
    sent.slice(fromMs).map(({ report }) => report).filter((report) => report !== undefined);
  let before = bench.sent.length;
  bench.act(() => bench.node.setReport("a", false, bench.nowMs));
  bench.pass(3000, n2);
  assert.ok([3, 4].includes(reports(before).length), `${reports(before)}`);
  before = bench.sent.length;
  bench.act(() => bench.node.setReport("b", true, bench.nowMs));
  bench.pass(20, n2);
  assert.deepEqual(reports(before), ["b"]);
  const report = (name: string) => bench.node.view(bench.nowMs).find((line) => line.name === name)?.report;
  assert.equal(report("n1"), "b");
  assert.equal(report("n2"), undefined);

  bench.hear(n2, { report: "x" });
  assert.ok(bench.kinds(n2HeardFor(REPORTS_SHOWN_MS + 100)).includes("view"), "news are shown");
  bench.hear(n2);
  assert.equal(report("n2"), "x");
  bench.hear(n2, { report: "y" });
  assert.equal(report("n2"), "y");
  bench.hear(n2, { incarnation: 501 });
  assert.equal(report("n2"), undefined, "what another start of it said is over");

  before = bench.sent.length;
  for (let time = 0; time < 2; time++) {
    bench.act(() => bench.node.setReport("ü".repeat(513), true, bench.nowMs));
  }
  assert.equal(bench.kinds().filter((kind) => kind === "report.too_long").length, 1, "told once");
  assert.equal(report("n1"), "b");

  function n2HeardFor(durationMs: number) {
    const from = bench.log.length;
    bench.pass(durationMs, n2);
    return bench.log.slice(from);
  }
});

Deno.test("the end of a drain is told: of this node, and of others", () => {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.pass(2000, n2);
  const bitmap = new Uint8Array(128).fill(1, 0, 1);
  const told = () => bench.kinds().filter((kind) => kind.endsWith(".drained"));
  bench.act(() => bench.node.setRetained(1, bitmap, bench.nowMs));
  bench.act(() => bench.node.setRetained(1, undefined, bench.nowMs));
  bench.hear(n2, { retained: [{ table: 1, bitmap }] });
  bench.hear(n2);
  assert.deepEqual(told(), [], "connections end all the time");

  bench.act(() => bench.node.setSettings([1, 100], { draining: true }, bench.nowMs));
  n2.settings = { state: "draining", weights: [1, 0], settingsVersion: 3 };
  bench.pass(300, n2);
  bench.act(() => bench.node.setRetained(1, bitmap, bench.nowMs));
  bench.hear(n2, { retained: [{ table: 1, bitmap }] });
  assert.deepEqual(told(), []);
  bench.act(() => bench.node.setRetained(1, undefined, bench.nowMs));
  bench.hear(n2);
  assert.deepEqual(told(), ["self.drained", "member.drained"]);
});
