import assert from "node:assert/strict";
import fc from "fast-check";
import { type ProbedVip, probeSenders, ReachTest, UNREACHED_MS } from "../../../src/membership/reach.ts";

const SECOND = 1_000;

/** Seconds of one node with two virtual IPs. */
class Bench {
  readonly test = new ReachTest();
  readonly probes = [0, 0];
  frames = 0;
  nowMs = 5_000;
  /** What was heard of members that are heard no more. */
  readonly lastHeard = new Map<string, number>();

  /** In each second so many probes come in for each virtual IP, and these members are heard. Gives the last judgement. */
  pass(
    seconds: number,
    came: readonly [number, number],
    heard: readonly string[],
    more: { frames?: number; silent?: readonly string[] } = {},
  ): string {
    let judged = "";
    for (let i = 0; i < seconds; i++) {
      this.nowMs += SECOND;
      came.forEach((count, index) => this.probes[index] += count);
      this.frames += more.frames ?? 0;
      for (const name of heard) this.lastHeard.set(name, this.nowMs);
      const senders = new Map(
        [...heard, ...more.silent ?? []].map((name) => [name, this.lastHeard.get(name)!]),
      );
      const vips = this.probes.map((probes): ProbedVip => ({ probes, frames: this.frames, senders }));
      const { reached, unreached } = this.test.sample(vips, this.nowMs);
      judged = `${reached} ${unreached}`;
    }
    return judged;
  }
}

Deno.test("who gets probes is reached; who gets none for ten seconds, while they are sent, is not", () => {
  const bench = new Bench();
  assert.equal(bench.pass(3, [1, 1], ["n2"]), "3 0");
  assert.equal(bench.pass(UNREACHED_MS / SECOND - 1, [1, 0], ["n2"]), "3 0");
  assert.equal(bench.pass(1, [1, 0], ["n2"]), "1 2");
  assert.equal(bench.pass(60, [0, 0], ["n2"]), "0 3");
  assert.equal(bench.pass(1, [0, 1], ["n2"]), "2 1", "one probe is proof");
});

Deno.test("a node that hears nobody cannot tell, nor one whose peers come and go", () => {
  const bench = new Bench();
  assert.equal(bench.pass(60, [0, 0], []), "0 0");
  for (let i = 0; i < 10; i++) {
    assert.equal(bench.pass(9, [0, 0], ["n2"]), "0 0");
    assert.equal(bench.pass(1, [0, 0], ["n3"]), "0 0");
  }
});

Deno.test("a member that is heard no more proves nothing, however late it counts as gone", () => {
  const bench = new Bench();
  bench.pass(20, [1, 1], ["n2"]);
  assert.equal(bench.pass(60, [0, 0], [], { silent: ["n2"] }), "0 0");
});

Deno.test("probes that something keeps off, while clients' frames come, are no finding", () => {
  const bench = new Bench();
  assert.equal(bench.pass(60, [0, 0], ["n2"], { frames: 1 }), "0 0");
  assert.equal(bench.pass(UNREACHED_MS / SECOND - 1, [0, 0], ["n2"]), "0 0");
  assert.equal(bench.pass(1, [0, 0], ["n2"]), "0 3");
});

Deno.test("a node that stood still judges anew", () => {
  const bench = new Bench();
  bench.pass(20, [1, 1], ["n2"]);
  bench.nowMs += 60_000;
  assert.equal(bench.pass(10, [0, 0], ["n2"]), "0 0");
  assert.equal(bench.pass(2, [0, 0], ["n2"]), "0 3");
});

Deno.test("the 32nd virtual IP has a bit like the others", () => {
  const test = new ReachTest();
  const vips = (probes: number) =>
    Array.from({ length: 32 }, () => ({ probes, frames: 0, senders: new Map([["n2", 0]]) }));
  test.sample(vips(0), 0);
  assert.deepEqual(test.sample(vips(1), SECOND), { reached: 2 ** 32 - 1, unreached: 0 });
});

Deno.test("those send probes on an interface who are heard there, by whichever way", () => {
  const network = (name: string, heard: Record<string, number | undefined>) => ({
    interface: name,
    label: name,
    sending: true,
    heard,
    lost: [],
  });
  const networks = [
    network("eth0", { n2: 100, n3: undefined, n4: 50 }),
    network("eth1", { n3: 200 }),
    network("eth0", { n2: 70, n4: 90 }),
  ];
  const senders = (name: string) => [...probeSenders(name, networks, ["n2", "n3", "n4", "constructor"])];
  assert.deepEqual(senders("eth0"), [["n2", 100], ["n4", 90]]);
  assert.deepEqual(senders("eth1"), [["n3", 200]]);
  assert.deepEqual(senders("eth2"), []);
  assert.deepEqual([...probeSenders("eth0", networks, ["n4"])], [["n4", 90]], "others are not members");
});

Deno.test("no node is both, and none that got a probe or a client's frame within ten seconds is unreached", () => {
  const seconds = fc.array(
    fc.record({
      came: fc.constantFrom("nothing", "probe", "frame"),
      sent: fc.boolean(),
      ms: fc.integer({ min: 500, max: 7_000 }),
    }),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(fc.property(seconds, (steps) => {
    const test = new ReachTest();
    let nowMs = 0, probes = 0, frames = 0, cameMs = -Infinity;
    for (const { came, sent, ms } of steps) {
      nowMs += ms;
      // What came before the first look, or during a pause, counts for nothing.
      if (came !== "nothing" && nowMs > steps[0].ms && ms <= 5_000) {
        if (came === "probe") probes++;
        else frames++;
        cameMs = nowMs;
      }
      const senders = new Map(sent ? [["n2", nowMs]] : []);
      const { reached, unreached } = test.sample([{ probes, frames, senders }], nowMs);
      assert.equal(reached & unreached, 0);
      if (nowMs - cameMs < UNREACHED_MS) assert.equal(unreached, 0);
    }
  }));
});
