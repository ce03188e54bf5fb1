/** Nodes that speak another version of the protocol: rule 13 of src/membership/README.md. */
import assert from "node:assert/strict";
import { MEMBERS_MAX } from "../../../src/core/limits.ts";
import { OtherVersions } from "../../../src/membership/other_versions.ts";
import type { OtherVersion } from "../../../src/wire/heartbeat.ts";
import { Bench, Peer, WALL_MS } from "./bench.ts";

const SERVES: OtherVersion = {
  sender: "n2",
  incarnation: 1,
  sequence: 1,
  intervalMs: 100,
  state: "up",
  binding: true,
  settingsVersion: 1,
  servicesDigest: 7,
  wallClockMs: WALL_MS,
  version: 3,
  ownVersion: 2,
};

/** Lets time pass while the other is heard every interval. */
function hear(bench: Bench, what: OtherVersion, durationMs: number): void {
  for (const endMs = bench.nowMs + durationMs; bench.nowMs < endMs; bench.pass(100)) {
    const wallMs = WALL_MS + bench.nowMs;
    bench.act(() => bench.node.otherVersionHeard({ ...what, wallClockMs: wallMs }, bench.nowMs, wallMs));
  }
}

Deno.test("a node waits while it hears one that serves with another version, and joins when that is gone", () => {
  const bench = new Bench();
  hear(bench, SERVES, 5_000);
  assert.equal(bench.state("n1"), "joining");
  assert.equal(bench.reason("n1"), "n2 speaks protocol 3, this node 2");
  assert.equal(bench.node.basis().ownWeights.some((weight) => weight > 0), false);
  bench.pass(1_000);
  assert.equal(bench.state("n1"), "up");
});

Deno.test("it does not wait for one that has left, or that waits itself", () => {
  for (const state of ["left", "leaving", "joining"] as const) {
    const bench = new Bench();
    hear(bench, { ...SERVES, state, binding: false }, 1_000);
    assert.equal(bench.state("n1"), "up", state);
  }
});

Deno.test("of two that are about to serve, the smaller name goes first", () => {
  const announces = { ...SERVES, state: "joining" as const };
  const bench = new Bench();
  hear(bench, announces, 1_000);
  assert.equal(bench.state("n1"), "up");
  const other = new Bench("n3");
  hear(other, announces, 1_000);
  assert.equal(other.state("n3"), "joining");
});

Deno.test("a node that is up goes on, with its members, and says once a minute what it hears", () => {
  const bench = new Bench(), n3 = new Peer("n3");
  bench.pass(2_000, n3);
  for (let i = 0; i < 700; i++) {
    bench.hear(n3);
    hear(bench, SERVES, 100);
  }
  assert.equal(bench.state("n1"), "up");
  assert.equal(bench.state("n3"), "up");
  assert.equal(bench.kinds().filter((kind) => kind === "member.other_version").length, 2);
});

Deno.test("what was recorded long ago keeps nobody out", () => {
  const others = new OtherVersions("n1");
  assert.equal(others.hear(SERVES, 0, WALL_MS + 301_000), undefined);
  assert.equal(others.obstacle(0), undefined);
  assert.match(
    others.hear(SERVES, 0, WALL_MS + 299_000)!,
    /^n2 speaks protocol 3, this node 2: .* Run one version/,
  );
  assert.notEqual(others.obstacle(499), undefined);
  assert.equal(others.obstacle(500), undefined);
});

Deno.test("no more of them are remembered than a farm has members", () => {
  const others = new OtherVersions("n1");
  for (let i = 0; i < MEMBERS_MAX; i++) others.hear({ ...SERVES, sender: `m${i}` }, 0, WALL_MS);
  assert.match(others.obstacle(0)!, /^m0 /);
  others.hear({ ...SERVES, sender: "one.more" }, 0, WALL_MS);
  assert.match(others.obstacle(0)!, /^m1 /);
});
