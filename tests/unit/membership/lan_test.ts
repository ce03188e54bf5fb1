import assert from "node:assert/strict";
import fc from "fast-check";
import { CONFIRM_SAMPLES, FRAMES_MIN, LanTest, WINDOW_SAMPLES } from "../../../src/membership/lan.ts";

/** Counts of some nodes, one sample a second. */
class Bench {
  readonly test = new LanTest();
  readonly counts: Record<string, number> = {};
  readonly told: string[] = [];
  second = 0;

  /** Seconds in which each node sees so many frames. */
  pass(seconds: number, perSecond: Record<string, number>): void {
    for (let i = 0; i < seconds; i++) {
      this.second++;
      const names = Object.keys(perSecond);
      for (const name of names) this.counts[name] = (this.counts[name] ?? 0) + perSecond[name];
      const events = this.test.sample(names.map((name) => ({ name, frames: this.counts[name] })));
      for (const { kind, message } of events) this.told.push(`${this.second} ${kind} ${message}`);
    }
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

Deno.test("nodes that are all reached are never reported, whatever the traffic and however late the counts", () => {
  const traffic = fc.array(fc.nat(5_000), { minLength: 20, maxLength: 80 });
  const late = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 80, maxLength: 80 });
  fc.assert(fc.property(traffic, late, late, (frames, lateness2, lateness3) => {
    const test = new LanTest();
    const totals = [0];
    const told = new Map<string, number>();
    const late = (name: string, seconds: number) => {
      const frames = Math.max(told.get(name) ?? 0, totals[Math.max(0, totals.length - 1 - seconds)]);
      told.set(name, frames);
      return { name, frames };
    };
    for (const [second, count] of frames.entries()) {
      totals.push(totals[second] + count);
      const sample = [late("n1", 0), late("n2", lateness2[second]), late("n3", lateness3[second])];
      assert.deepEqual(test.sample(sample), []);
    }
  }));
});
