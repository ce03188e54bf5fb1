import assert from "node:assert/strict";
import fc from "fast-check";
import {
  quorumDeadlineMs,
  quorumProblem,
  type QuorumRule,
  type Votes,
} from "../../../src/membership/quorum.ts";
import { Bench, Peer } from "./bench.ts";

function votes(self: string, echoed: Record<string, number>, witnessMs?: number): Votes {
  const oldestEchoMs = () => Math.min(...Object.values(echoed));
  return { self, echoedMs: (name) => echoed[name], witnessMs, oldestEchoMs, leaseMs: 400, newsMs: 250 };
}

const majority = (...expected: string[]): QuorumRule => ({ kind: "majority", expected });
const witness = (...expected: string[]): QuorumRule => ({ kind: "witness", address: "192.0.2.1", expected });

Deno.test("without a rule a node may always claim", () => {
  assert.equal(quorumDeadlineMs(undefined, votes("n1", {})), Infinity);
});

Deno.test("majority: the vote that is just needed decides, and holds for the lease", () => {
  const five = majority("n1", "n2", "n3", "n4", "n5");
  assert.equal(quorumDeadlineMs(five, votes("n1", { n2: 1000, n3: 900, n4: 100 })), 1300);
  assert.equal(quorumDeadlineMs(five, votes("n1", { n2: 1000 })), -Infinity);
  assert.equal(quorumDeadlineMs(majority("n1", "n2"), votes("n1", { n2: 1000 })), 1400, "both of two");
  assert.equal(quorumDeadlineMs(majority("n1"), votes("n1", {})), Infinity, "the only one");
});

Deno.test("majority: who is not expected counts for nobody, itself included", () => {
  const three = majority("n1", "n2", "n3");
  assert.equal(quorumDeadlineMs(three, votes("n1", { guest: 1000 })), -Infinity);
  assert.equal(quorumDeadlineMs(three, votes("guest", { n1: 1000, n2: 900 })), 1300, "a guest needs two");
  assert.equal(quorumDeadlineMs(three, votes("guest", { n1: 1000 })), -Infinity);
});

Deno.test("witness: needed only while an expected node is missing", () => {
  const two = witness("n1", "n2");
  assert.equal(quorumDeadlineMs(two, votes("n1", { n2: 1000 })), 1400);
  assert.equal(quorumDeadlineMs(two, votes("n1", {}, 700)), 1100);
  assert.equal(quorumDeadlineMs(two, votes("n1", {})), -Infinity);
  assert.equal(
    quorumDeadlineMs(witness(), votes("n1", { n2: 1000 }, 700)),
    1100,
    "nobody is expected: always",
  );
});

Deno.test("witness: an answer from when a member was in contact adds nothing to what that one says", () => {
  const three = witness("n1", "n2", "n3");
  const farms: Record<string, number>[] = [{ n2: 1000, n3: 1100 }, { n2: 1000 }, { guest: 1000, n2: 1100 }];
  for (const echoed of farms) {
    for (const witnessMs of [1000, 1249]) {
      assert.equal(quorumDeadlineMs(three, votes("n1", echoed, witnessMs)), 1400, `${witnessMs}`);
    }
    assert.equal(quorumDeadlineMs(three, votes("n1", echoed, 1250)), 1650, "asked long enough after it");
  }
  assert.equal(quorumDeadlineMs(three, votes("n1", { n2: 1000 }, 900)), 1300, "nor is it younger than it is");
});

Deno.test("witness: what it answered before a member fell silent is forgotten with that member", () => {
  const bench = new Bench("n1", { quorum: witness("n1", "n2") });
  const n2 = new Peer("n2");
  bench.pass(1_200, n2);
  assert.equal(bench.state("n1"), "up");
  const lastMs = n2.lastMs;
  const silentUntil = (ms: number) => bench.pass(lastMs + ms - bench.nowMs);
  bench.act(() => bench.node.witnessAnswered(bench.nowMs, bench.nowMs));
  silentUntil(499);
  assert.equal(bench.node.leaseDeadlineMs, 0, "no answer since n2 was last heard");
  silentUntil(510);
  assert.equal(bench.state("n2"), "dead");
  assert.equal(bench.node.leaseDeadlineMs, 0);
  bench.act(() => bench.node.witnessAnswered(bench.nowMs, bench.nowMs));
  assert.ok(bench.node.leaseDeadlineMs > bench.nowMs);
});

Deno.test("two sides of a cut never have a majority at once, whatever they have heard before", () => {
  const names = ["n1", "n2", "n3", "n4", "n5"];
  const echoes = fc.dictionary(fc.constantFrom(...names), fc.nat(2_000));
  fc.assert(fc.property(fc.subarray(names), fc.constantFrom(...names), echoes, (side, self, echoed) => {
    const expected = majority(...names);
    const here = names.filter((name) => side.includes(name) === side.includes(self));
    const heardHere = Object.fromEntries(Object.entries(echoed).filter(([name]) => here.includes(name)));
    const quorate = quorumDeadlineMs(expected, votes(self, heardHere)) > -Infinity;
    assert.ok(!quorate || 2 * here.length > names.length);
  }));
});

Deno.test("what is missing is said in numbers", () => {
  assert.equal(
    quorumProblem(majority("n1", "n2", "n3"), votes("n1", { n2: 100 }), 1000),
    "has no quorum: 1 of 3 expected nodes are in contact, this one included, and 2 are needed",
  );
  assert.match(
    quorumProblem(witness(), votes("n1", {}), 0),
    /^has no quorum: the witness 192.0.2.1 does not answer$/,
  );
  assert.equal(
    quorumProblem(witness("n1", "n2"), votes("n1", { n2: 100 }, 200), 550),
    "has no quorum: the witness 192.0.2.1 has not answered since a member fell silent, " +
      "and 1 of 2 expected nodes are in contact",
  );
});

Deno.test("who leaves and loses its quorum meanwhile goes on at its pace: there is nothing to notice", () => {
  const bench = new Bench("n1", { quorum: witness() });
  for (let round = 0; round < 10; round++) {
    bench.act(() => bench.node.witnessAnswered(bench.nowMs, bench.nowMs));
    bench.pass(100);
  }
  assert.equal(bench.state("n1"), "up");
  bench.act(() => bench.node.leave(bench.nowMs));
  bench.pass(1_000);
  assert.ok(bench.node.leaseDeadlineMs < bench.nowMs);
  assert.ok(bench.node.nextTickMs() > bench.nowMs, "the thread sleeps");
});
