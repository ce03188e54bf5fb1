import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CONFIRM_PROBES,
  CONFIRM_SAMPLES,
  FRAMES_MIN,
  LanTest,
  WINDOW_SAMPLES,
} from "../../../src/membership/lan.ts";
import { REACH_UNKNOWN } from "../../../src/membership/reach.ts";

const VIRTUAL_IPS = [
  { address: "192.0.2.100", mode: "multicast" },
  { address: "2001:db8::100", mode: "unicast" },
] as const;
const [V4, V6] = [1, 2];

/** Counts of some nodes, one sample a second. */
class Bench {
  readonly test = new LanTest(VIRTUAL_IPS, 100);
  readonly counts: Record<string, number> = {};
  readonly told: string[] = [];
  second = 0;

  /** Seconds in which each node sees so many frames. */
  pass(seconds: number, perSecond: Record<string, number>): void {
    for (let i = 0; i < seconds; i++) {
      this.second++;
      const names = Object.keys(perSecond);
      for (const name of names) this.counts[name] = (this.counts[name] ?? 0) + perSecond[name];
      this.#sample(names.map((name) => ({ name, frames: this.counts[name], reach: REACH_UNKNOWN })));
    }
  }

  /** Seconds in which each node is reached by what is sent to these virtual IPs, and not by those. */
  probe(seconds: number, nodes: Record<string, readonly [reached: number, unreached: number]>): void {
    for (let i = 0; i < seconds; i++) {
      this.second++;
      const reaches = Object.entries(nodes);
      this.#sample(
        reaches.map(([name, [reached, unreached]]) => ({ name, frames: 0, reach: { reached, unreached } })),
      );
    }
  }

  #sample(samples: Parameters<LanTest["sample"]>[0]): void {
    const events = this.test.sample(samples);
    for (const { kind, message } of events) this.told.push(`${this.second} ${kind} ${message}`);
  }

  /** Of what was told, in order. */
  get kinds(): string[] {
    return this.told.map((line) => line.split(" ")[1]);
  }

  get kind(): string | undefined {
    return this.test.finding?.kind;
  }
}

Deno.test("a node that sees nothing while two see everything is named, and cleared when it sees again", () => {
  const bench = new Bench();
  bench.pass(30, { n1: 50, n2: 50, n3: 50 });
  bench.pass(30, { n1: 50, n2: 50, n3: 0 });
  assert.equal(bench.kind, "lan.deaf");
  assert.deepEqual(bench.test.finding?.deaf, ["n3"]);
  bench.pass(30, { n1: 50, n2: 50, n3: 50 });
  assert.equal(bench.kind, undefined);
  assert.equal(bench.told.length, 2);
  assert.match(bench.told[0], /^42 lan.deaf n3 gets none .* while n1, n2 do/);
  assert.match(bench.told[1], /^65 lan.ok/);
});

Deno.test("frames that reach one node only are told as that", () => {
  const bench = new Bench();
  bench.pass(30, { n1: 0, n2: 20, n3: 0 });
  assert.equal(bench.kind, "lan.single");
  assert.match(bench.told[0], /reach only n2; n1, n3 get none/);
  assert.match(bench.test.finding!.remedy, /learned the virtual MAC/);
});

Deno.test("of two nodes, the one that gets nothing is told", () => {
  const bench = new Bench();
  bench.pass(30, { n1: 100, n2: 0 });
  assert.equal(bench.kind, "lan.single");
});

Deno.test("little traffic proves nothing", () => {
  const bench = new Bench();
  bench.pass(60, { n1: FRAMES_MIN / WINDOW_SAMPLES - 1, n2: 0, n3: 0 });
  assert.deepEqual(bench.told, []);
});

Deno.test("a burst that one node's count shows a second later is no finding", () => {
  const bench = new Bench();
  bench.pass(20, { n1: 0, n2: 0 });
  bench.pass(1, { n1: 10_000, n2: 0 });
  bench.pass(1, { n1: 0, n2: 10_000 });
  bench.pass(20, { n1: 0, n2: 0 });
  assert.deepEqual(bench.told, []);
});

Deno.test("a finding stays while there is no traffic, and little traffic clears it", () => {
  const bench = new Bench();
  bench.pass(20, { n1: 50, n2: 50, n3: 0 });
  bench.pass(60, { n1: 0, n2: 0, n3: 0 });
  assert.equal(bench.kind, "lan.deaf");
  bench.pass(10, { n1: 1, n2: 1, n3: 1 });
  assert.equal(bench.kind, undefined);
});

Deno.test("a deaf node that leaves is no finding any more; one that starts anew is judged anew", () => {
  const bench = new Bench();
  bench.pass(20, { n1: 50, n2: 50, n3: 0 });
  assert.equal(bench.kind, "lan.deaf");
  bench.pass(1, { n1: 50, n2: 50 });
  assert.equal(bench.kind, undefined);
  bench.counts.n3 = 0;
  bench.pass(WINDOW_SAMPLES, { n1: 50, n2: 50, n3: 0 });
  assert.equal(bench.kind, undefined, "it has not been there for long enough");
  bench.pass(CONFIRM_SAMPLES, { n1: 50, n2: 50, n3: 0 });
  assert.equal(bench.kind, "lan.deaf");
});

const BOTH = V4 | V6;

Deno.test("probes that reach no node are told with the remedy for the mode, and so is the end of it", () => {
  const bench = new Bench();
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0] });
  assert.equal(bench.told.length, 0);
  bench.probe(20, { n1: [V6, V4], n2: [V6, V4] });
  assert.equal(bench.kind, "lan.none");
  assert.match(bench.test.finding!.message, /^Frames for 192\.0\.2\.100 reach no node/);
  assert.match(bench.test.finding!.remedy, /mode: unicast/);
  assert.doesNotMatch(bench.test.finding!.remedy, /has not learned/);
  bench.probe(20, { n1: [0, BOTH], n2: [0, BOTH] });
  assert.match(bench.test.finding!.message, /192\.0\.2\.100, 2001:db8::100 reach no node/);
  assert.match(bench.test.finding!.remedy, /mode: unicast.*has not learned/);
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0] });
  assert.equal(bench.kind, undefined);
  assert.deepEqual(bench.kinds, ["lan.none", "lan.none", "lan.ok"]);
});

Deno.test("probes that reach single nodes tell who is left out, without a client", () => {
  const bench = new Bench();
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [0, BOTH] });
  assert.match(
    bench.test.finding!.message,
    /^n3 gets none of the frames for the virtual IPs, while n1, n2 do/,
  );
  bench.probe(20, { n1: [0, BOTH], n2: [BOTH, 0], n3: [0, BOTH] });
  assert.equal(bench.kind, "lan.single");
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [V4, V6] });
  assert.match(bench.test.finding!.message, /^n3 gets none of the frames for 2001:db8::100, while/);
});

Deno.test("nodes that find out one after the other are no news of their own", () => {
  const bench = new Bench();
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [BOTH, 0] });
  bench.probe(2, { n1: [0, BOTH], n2: [BOTH, 0], n3: [BOTH, 0] });
  bench.probe(2, { n1: [0, BOTH], n2: [0, BOTH], n3: [BOTH, 0] });
  bench.probe(CONFIRM_PROBES + 1, { n1: [0, BOTH], n2: [0, BOTH], n3: [0, BOTH] });
  assert.equal(bench.kind, "lan.none");
  bench.probe(2, { n1: [BOTH, 0], n2: [0, BOTH], n3: [BOTH, 0] });
  bench.probe(CONFIRM_PROBES + 1, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [BOTH, 0] });
  assert.deepEqual(bench.kinds, ["lan.none", "lan.ok"]);
});

Deno.test("where heartbeats are slow, all nodes get the time that theirs take", () => {
  const test = new LanTest(VIRTUAL_IPS, 10_000);
  const told: string[] = [];
  const pass = (seconds: number, n1: number, n2: number) => {
    for (let i = 0; i < seconds; i++) {
      const reach = (reached: number) => ({ reached, unreached: BOTH & ~reached });
      const samples = [{ name: "n1", frames: 0, reach: reach(n1) }, {
        name: "n2",
        frames: 0,
        reach: reach(n2),
      }];
      told.push(...test.sample(samples).map(({ kind }) => kind));
    }
  };
  pass(30, BOTH, BOTH);
  pass(10, 0, BOTH);
  assert.deepEqual(told, []);
  pass(30, 0, 0);
  assert.deepEqual(told, ["lan.none"]);
});

Deno.test("a finding stays while nobody can tell: a node that starts anew is no good news", () => {
  const bench = new Bench();
  bench.probe(20, { n1: [0, BOTH], n2: [0, BOTH] });
  bench.probe(20, { n1: [0, BOTH] });
  bench.probe(20, { n1: [0, BOTH], n2: [0, 0] });
  bench.probe(20, { n1: [0, BOTH], n2: [0, BOTH], n3: [0, 0] });
  bench.probe(20, { n1: [0, 0], n2: [0, 0] });
  assert.deepEqual(bench.kinds, ["lan.none"]);
  bench.probe(20, { n4: [0, 0] });
  assert.equal(bench.kind, undefined, "those that it was about are gone");
  assert.deepEqual(bench.kinds, ["lan.none"]);
});

Deno.test("who else hears is no news, but is shown", () => {
  const bench = new Bench();
  bench.probe(20, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [0, BOTH] });
  for (let i = 0; i < 10; i++) {
    bench.probe(3, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [0, BOTH], n4: [BOTH, 0] });
    bench.probe(3, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [0, BOTH] });
  }
  bench.probe(1, { n1: [BOTH, 0], n2: [BOTH, 0], n3: [0, BOTH], n4: [BOTH, 0] });
  assert.deepEqual(bench.kinds, ["lan.deaf"]);
  assert.deepEqual(bench.test.finding?.hearing, ["n1", "n2", "n4"]);
});

Deno.test("nodes that are all reached are never reported, whatever the traffic and however late the counts", () => {
  const traffic = fc.array(fc.nat(5_000), { minLength: 20, maxLength: 80 });
  const late = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 80, maxLength: 80 });
  fc.assert(fc.property(traffic, late, late, (frames, lateness2, lateness3) => {
    const test = new LanTest(VIRTUAL_IPS, 100);
    const totals = [0];
    const told = new Map<string, number>();
    const late = (name: string, seconds: number) => {
      const frames = Math.max(told.get(name) ?? 0, totals[Math.max(0, totals.length - 1 - seconds)]);
      told.set(name, frames);
      return { name, frames, reach: REACH_UNKNOWN };
    };
    for (const [second, count] of frames.entries()) {
      totals.push(totals[second] + count);
      const sample = [late("n1", 0), late("n2", lateness2[second]), late("n3", lateness3[second])];
      assert.deepEqual(test.sample(sample), []);
    }
  }));
});
