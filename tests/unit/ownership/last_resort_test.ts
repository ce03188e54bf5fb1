import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { parseAddress } from "../../../src/core/address.ts";
import { BUCKETS } from "../../../src/core/limits.ts";
import { asLastResort, isLastResort, plainWeight } from "../../../src/core/weight.ts";
import { explainFlow } from "../../../src/ownership/explain.ts";
import { AFFINITY } from "../../../src/ownership/flow_hash.ts";
import { Columns } from "../../../src/ownership/rendezvous.ts";
import { NO_OWNER, OwnerTable } from "../../../src/ownership/table.ts";
import { weight } from "./arbitraries.ts";

const columns = new Columns(new Uint8Array(32).fill(3));
const POOL = Array.from({ length: 10 }, (_, i) => `node-${i}`);

const farm = fc.uniqueArray(
  fc.record({ name: fc.constantFrom(...POOL), weight, failing: fc.boolean() }),
  { minLength: 1, maxLength: 8, selector: ({ name }) => name },
).map((list) =>
  list.map(({ name, weight, failing }) => ({
    name,
    weight: failing ? asLastResort(weight) : weight,
    column: columns.of(name),
  }))
);

const owners = (members: Parameters<typeof OwnerTable.build>[0]) => {
  const table = OwnerTable.build(members);
  return Array.from(table.owner, (index) => index === NO_OWNER ? "" : members[index].name);
};

/** As in table_test.ts: a printed difference of 65,536 values helps nobody. */
function assertSame(found: readonly string[], expected: readonly string[]) {
  const bucket = expected.findIndex((name, bucket) => found[bucket] !== name);
  assert.equal(bucket, -1, `bucket ${bucket}: ${found[bucket]}, not ${expected[bucket]}`);
}

Deno.test("a last resort owns a bucket only where no healthy member has a weight", () => {
  fc.assert(
    fc.property(farm, (members) => {
      const healthy = members.filter(({ weight }) => !isLastResort(weight));
      const without = owners(healthy);
      const all = owners(members);
      if (healthy.some(({ weight }) => weight > 0)) return assertSame(all, without);
      // Nobody is healthy: the farm is shared as if everybody were.
      assertSame(all, owners(members.map((member) => ({ ...member, weight: plainWeight(member.weight) }))));
    }),
    { numRuns: 40 },
  );
});

Deno.test("who owns a bucket wins it against each other member alone: two nodes need not know of a third", () => {
  fc.assert(
    fc.property(farm, fc.integer({ min: 0, max: BUCKETS - 1 }), (members, bucket) => {
      const owner = OwnerTable.build(members).owner[bucket];
      if (owner === NO_OWNER) return;
      for (const other of members) {
        if (other === members[owner]) continue;
        assert.equal(OwnerTable.build([members[owner], other]).owner[bucket], 0);
      }
    }),
    { numRuns: 20 },
  );
});

Deno.test("a departure is taken from the runners-up as ever", () => {
  fc.assert(
    fc.property(farm, fc.nat(), (members, pick) => {
      const leaver = pick % members.length;
      const after = OwnerTable.build(members).without(leaver);
      const built = OwnerTable.build(
        members.map((member, i) => i === leaver ? { ...member, weight: 0 } : member),
      );
      assert.deepEqual(Buffer.compare(after.owner, built.owner), 0);
      assert.deepEqual(Buffer.compare(after.runnerUp, built.runnerUp), 0);
    }),
    { numRuns: 20 },
  );
});

Deno.test("the explanation says who is a last resort", () => {
  const question = {
    client: parseAddress("198.51.100.7")!,
    port: 40_000,
    affinity: AFFINITY.connection,
    flowKey: new Uint8Array(16),
    rendezvousKey: new Uint8Array(32),
  };
  const told = explainFlow(question, [{ name: "n1", weight: asLastResort(100) }, { name: "n2", weight: 1 }]);
  assert.equal(told.owner, "n2");
  assert.match(told.why, /if it leaves, n1 takes over \(score [\d.e-]+, weight 100 as a last resort\)\./);
  assert.match(told.why, /Last resort, for what no healthy member can take: n1\./);
  assert.deepEqual(told.scores.map(({ weight }) => weight), [1, 100]);
});
