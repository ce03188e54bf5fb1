/** A node that did not run, or could not send, for a while: what it may still say and claim (rules 4 and 5). */

import assert from "node:assert/strict";
import { type Bench, pair, WALL_MS } from "./bench.ts";

Deno.test("a short pause is not held against the others", () => {
  const { bench, n2 } = pair();
  bench.nowMs += 350; // n2's heartbeats wait in the socket
  bench.act(() => {});
  assert.equal(bench.state("n2"), "up");
  bench.hear(n2);
  assert.equal(bench.node.counters.suspicions, 0);
});

Deno.test("after a pause longer than the lease a node joins anew under a greater incarnation", () => {
  const { bench, n2 } = pair();
  bench.nowMs += 450;
  const effects = bench.act(() => {});
  assert.ok(bench.kinds(effects).includes("self.rejoining"));
  assert.equal(bench.last.incarnation, 1001);
  assert.deepEqual(bench.last.weights, [0, 0]);
  assert.equal(bench.node.leaseDeadlineMs, 0);
  bench.pass(700, n2);
  assert.equal(bench.state("n1"), "up");
});

/** Runs the node until it wants to send, and stops it just before it does. */
function stopBeforeSending(bench: Bench, forMs: number): void {
  bench.nowMs = Math.max(bench.nowMs, bench.node.nextTickMs());
  bench.node.tick(bench.nowMs, WALL_MS + bench.nowMs);
  assert.ok(bench.kinds(bench.node.takeEffects()).includes("send"));
  bench.nowMs += forMs;
}

Deno.test("a lease that lapses between the tick and its heartbeat is not renewed by it", () => {
  const { bench } = pair();
  stopBeforeSending(bench, 600); // n2 has replaced n1 meanwhile
  const heartbeat = bench.node.heartbeat(bench.nowMs, WALL_MS + bench.nowMs);
  assert.deepEqual([heartbeat.state, heartbeat.incarnation, heartbeat.weights], ["joining", 1001, [0, 0]]);
  bench.node.sent(true, bench.nowMs, bench.nowMs);
  assert.equal(bench.node.leaseDeadlineMs, 0, "the claims of before must not come alive");
});

Deno.test("nor is one that lapses while its heartbeat is on its way out", () => {
  const { bench } = pair();
  const deadlineMs = bench.node.leaseDeadlineMs;
  stopBeforeSending(bench, 150); // late, but in time
  const startedMs = bench.nowMs;
  assert.equal(bench.node.heartbeat(startedMs, WALL_MS + startedMs).state, "up");
  bench.nowMs = deadlineMs + 150; // n2 has replaced n1 meanwhile
  bench.node.sent(true, startedMs, bench.nowMs);
  assert.ok(startedMs + 400 > bench.nowMs, "else there would be nothing to bring back");
  assert.equal(bench.node.leaseDeadlineMs, 0);
  assert.equal(bench.state("n1"), "joining");
});

Deno.test("a heartbeat lists as suspect whoever is one when it is sent, not when it was due", () => {
  const { bench, n2 } = pair();
  bench.hear(n2);
  bench.pass(150);
  stopBeforeSending(bench, 190); // short enough to count against n2
  assert.equal(bench.state("n2"), "up");
  const heartbeat = bench.node.heartbeat(bench.nowMs, WALL_MS + bench.nowMs);
  assert.deepEqual(heartbeat.heard.map(({ name, status }) => `${name} ${status}`), ["n2 suspect"]);
});

Deno.test("heartbeats that cannot be sent end the lease, and then the membership", () => {
  const { bench, n2 } = pair();
  const deadlineMs = bench.node.leaseDeadlineMs;
  bench.sendsFail = true;
  bench.pass(200, n2);
  assert.equal(bench.node.leaseDeadlineMs <= deadlineMs + 100, true);
  bench.pass(300, n2);
  assert.equal(bench.state("n1"), "joining");
  bench.pass(1000, n2);
  assert.equal(bench.reason("n1"), "cannot send heartbeats");
  bench.sendsFail = false;
  bench.pass(1000, n2);
  assert.equal(bench.state("n1"), "up");
});
