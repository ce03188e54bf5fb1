import assert from "node:assert/strict";
import { LOST_MS_MIN, NetworkWatch } from "../../../src/membership/networks.ts";

/** Two networks, at 100 ms: a network counts as lost for a member after one second. */
class Bench {
  nowMs = 0;
  readonly watch: NetworkWatch;
  readonly told: string[] = [];

  constructor(readonly labels = ["eth0", "eth1"]) {
    this.watch = new NetworkWatch(labels.map((label) => ({ interface: label, label })), 100);
  }

  /** Seconds in which each network delivers the members of its list; the watch looks once a second. */
  pass(seconds: number, ...delivered: string[][]): void {
    const present = [...new Set(delivered.flat())];
    for (const endMs = this.nowMs + seconds * 1000; this.nowMs < endMs;) {
      this.nowMs += 100;
      delivered.forEach((names, network) => {
        for (const name of names) this.watch.heard(network, name, this.nowMs);
      });
      if (this.nowMs % 1000 !== 0) continue;
      for (const { kind, message } of this.watch.check(present, this.nowMs)) {
        this.told.push(`${this.nowMs} ${kind.replace("heartbeat.network_", "")}: ${message}`);
      }
    }
  }
}

Deno.test("while both networks deliver everybody, nothing is told", () => {
  const bench = new Bench();
  bench.pass(60, ["n2", "n3"], ["n2", "n3"]);
  assert.deepEqual(bench.told, []);
  assert.deepEqual(bench.watch.report()[1], {
    interface: "eth1",
    label: "eth1",
    sending: true,
    heard: { n2: 60_000, n3: 60_000 },
    lost: [],
  });
});

Deno.test("a network that delivers nobody is told once, and once when it is back", () => {
  const bench = new Bench();
  bench.pass(2, ["n2", "n3"], ["n2", "n3"]);
  bench.pass(30, ["n2", "n3"], []);
  bench.pass(2, ["n2", "n3"], ["n2", "n3"]);
  assert.deepEqual(bench.told, [
    "3000 lost: Nobody is heard on eth1 any more; heartbeats still come by another network.",
    "33000 back: n2, n3 are heard on eth1 again.",
  ]);
});

Deno.test("one member's cable is told by its name", () => {
  const bench = new Bench();
  bench.pass(2, ["n2", "n3"], ["n2", "n3"]);
  bench.pass(5, ["n2", "n3"], ["n3"]);
  assert.deepEqual(bench.told, [
    "3000 partial: n2 is not heard on eth1 any more, but still by another network.",
  ]);
  assert.deepEqual(bench.watch.report()[1].lost, ["n2"]);
});

Deno.test("a network that never worked is told too", () => {
  const bench = new Bench();
  bench.pass(5, ["n2"], []);
  assert.equal(bench.told.length, 1);
  assert.equal(bench.watch.report()[1].heard.n2, undefined);
});

Deno.test("who is heard nowhere is no matter of networks, and is forgotten", () => {
  const bench = new Bench();
  bench.pass(2, ["n2", "n3"], ["n2", "n3"]);
  bench.pass(30, ["n3"], ["n3"]);
  assert.deepEqual(bench.told, []);
  assert.deepEqual(Object.keys(bench.watch.report()[0].heard), ["n3"]);
});

Deno.test("a single network has nothing beside it: nothing is told", () => {
  const bench = new Bench(["eth0"]);
  bench.watch.check(["n2"], 0);
  assert.deepEqual(bench.watch.check(["n2"], 10 * LOST_MS_MIN), []);
});
