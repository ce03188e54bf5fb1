/**
 * What ownership costs: `deno bench -A tests/bench/ownership_bench.ts`.
 *
 * A bucket is needed for every packet, and its budget is a share of the 100 ns of a whole decision; each iteration
 * here makes 1,000 of them, so that microseconds read as nanoseconds for one. A departure is what clients wait for
 * when a node dies; columns and new tables are made when members join or weights change.
 */

import { column } from "../../src/ownership/rendezvous.ts";
import { AFFINITY, type AffinityName, FlowHash } from "../../src/ownership/flow_hash.ts";
import { OwnerTable, type WeightedMember } from "../../src/ownership/table.ts";

const hash = new FlowHash(crypto.getRandomValues(new Uint8Array(16)));
/**
 * Random bytes to read addresses from, and where the next one is read. The addresses repeat only after 65,536: with
 * fewer, the processor learns the branches of the whole benchmark by heart and shows half the true time.
 */
const packets = crypto.getRandomValues(new Uint8Array(65_536));
let position = 0;
/** Results go here, so that the compiler cannot leave out work as unused. */
let sink = 0;

for (const family of [4, 6] as const) {
  for (const name of Object.keys(AFFINITY) as AffinityName[]) {
    const affinity = AFFINITY[name];
    Deno.bench(`1,000 buckets, IPv${family}, ${name}`, { group: "bucket" }, () => {
      for (let i = 0; i < 1000; i++) {
        position = (position + 61) & 0xffff;
        sink ^= hash.bucket(affinity, packets, Math.min(position, 65_520), family, position);
      }
    });
  }
}

const rendezvousKey = crypto.getRandomValues(new Uint8Array(32));

Deno.bench("column of one member", { group: "column" }, () => {
  sink ^= column(rendezvousKey, "n1").length;
});

const everybody: WeightedMember[] = Array.from({ length: 32 }, (_, i) => {
  const name = `n${i}`;
  return { name, weight: 100, column: column(rendezvousKey, name) };
});

for (const size of [3, 12, 32]) {
  const members = everybody.slice(0, size);
  const table = OwnerTable.build(members);
  Deno.bench(`table of ${size} members`, { group: "table" }, () => {
    sink ^= OwnerTable.build(members).owner[0];
  });
  Deno.bench(`departure of one in ${size}: new owners`, { group: "departure" }, () => {
    sink ^= table.without(1).owner[0];
  });
  Deno.bench(`departure of one in ${size}: new owners, then new runners-up`, { group: "departure" }, () => {
    sink ^= table.without(1).runnerUp[0];
  });
}
