/**
 * src/ownership against two independent versions of itself on random farms: `oracle.py` (another language, written
 * from the papers; skipped where there is no python3) and `naive.ts` (always).
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BUCKETS } from "../../../src/core/limits.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { LN_ERROR_MAX } from "../../../src/ownership/ln.ts";
import { column } from "../../../src/ownership/rendezvous.ts";
import { NO_OWNER, OwnerTable } from "../../../src/ownership/table.ts";
import { flow, key, members } from "./arbitraries.ts";
import { naiveBucket, naiveRanking } from "./naive.ts";

const ORACLE = new URL("oracle.py", import.meta.url).pathname;

/** Each attempt at a smaller farm would compute its columns anew, for minutes; seed and farm are printed anyway. */
const NO_SHRINKING = { endOnFailure: true };

/** Buckets looked at in each farm: those at both ends, and some between. */
const buckets = fc.array(fc.integer({ min: 0, max: BUCKETS - 1 }), { minLength: 60, maxLength: 60 })
  .map((list) => [0, 1, 255, 256, BUCKETS - 1, ...list]);
const flows = fc.array(flow, { minLength: 40, maxLength: 40 });
const farm = fc.record({ flowKey: key(16), rendezvousKey: key(32), members: members(8), flows, buckets });
type Farm = typeof farm extends fc.Arbitrary<infer F> ? F : never;

const build = ({ rendezvousKey, members }: Farm) =>
  OwnerTable.build(members.map((m) => ({ ...m, column: column(rendezvousKey, m.name) })));

function rankings({ members, buckets }: Farm, table: OwnerTable): string[][] {
  return buckets.map((bucket) =>
    [table.owner[bucket], table.runnerUp[bucket]].filter((index) => index !== NO_OWNER)
      .map((index) => members[index].name)
  );
}

function flowBuckets({ flowKey, flows }: Farm): number[] {
  const hash = new FlowHash(flowKey);
  return flows.map((f) => hash.bucket(AFFINITY[f.affinity], f.client.bytes, 0, f.client.family, f.port));
}

Deno.test("random farms: buckets, owners and runners-up agree with the naive version", () => {
  fc.assert(
    fc.property(farm, (f) => {
      assert.deepEqual(
        flowBuckets(f),
        f.flows.map((one) => naiveBucket(f.flowKey, one.affinity, one.client, one.port)),
      );
      assert.deepEqual(
        rankings(f, build(f)),
        f.buckets.map((bucket) => naiveRanking(f.rendezvousKey, f.members, bucket).slice(0, 2)),
      );
    }),
    { numRuns: 12, ...NO_SHRINKING },
  );
});

interface Answer {
  flow_buckets: number[];
  rankings: string[][];
  draws: number[];
  ln_error_max: number;
}

async function python(args: string[], input: string): Promise<string> {
  const child = new Deno.Command("python3", { args: [ORACLE, ...args], stdin: "piped", stdout: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout } = await child.output();
  assert.ok(success, "the oracle ended with an error");
  return new TextDecoder().decode(stdout);
}

async function pythonIsThere(): Promise<boolean> {
  try {
    return (await new Deno.Command("python3", { args: ["-c", "import decimal"] }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const reason = await pythonIsThere() ? "" : " (skipped: there is no python3 on this machine; install it)";

Deno.test({
  name: `random farms: buckets, owners, runners-up and draws agree with the oracle in Python${reason}`,
  ignore: reason !== "",
  fn: async () => {
    const ask = (f: Farm) => ({
      flow_key: f.flowKey.toHex(),
      rendezvous_key: f.rendezvousKey.toHex(),
      members: f.members,
      flows: f.flows.map((one) => ({ address: one.client.text, port: one.port, affinity: one.affinity })),
      buckets: f.buckets,
    });
    const check = fc.asyncProperty(fc.array(farm, { minLength: 8, maxLength: 8 }), async (farms) => {
      const answers: Answer[] = JSON.parse(await python(["farms"], JSON.stringify(farms.map(ask))));
      farms.forEach((f, i) => {
        const table = build(f);
        assert.deepEqual(flowBuckets(f), answers[i].flow_buckets);
        assert.deepEqual(rankings(f, table), answers[i].rankings);
        const draws = table.members.flatMap((m) => f.buckets.map((bucket) => m.column[bucket]));
        assert.deepEqual(draws, answers[i].draws);
        assert.ok(answers[i].ln_error_max <= LN_ERROR_MAX, `ln is off by ${answers[i].ln_error_max}`);
      });
    });
    await fc.assert(check, { numRuns: 2, ...NO_SHRINKING });
  },
});

for (const [c, d] of [["2", "4"], ["1", "3"]]) {
  Deno.test({
    name: `the oracle in Python gives the values of siphash-${c}-${d}.txt${reason}`,
    ignore: reason !== "",
    fn: async () => {
      const file = new URL(`../../vectors/siphash-${c}-${d}.txt`, import.meta.url);
      const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => !line.startsWith("#"));
      assert.equal(await python(["vectors", c, d], ""), lines.join("\n"));
    },
  });
}
