/**
 * The prefilter's program, run by the real kernel over made frames: it passes what the capture filter passes, less what
 * is provably another node's, and agrees with the pipeline on every frame.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBytes } from "../../../src/core/address.ts";
import { type PlannedService } from "../../../src/dataplane/plan.ts";
import { Prefilter } from "../../../src/dataplane/prefilter.ts";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { processorsPossible } from "../../../src/host/processors.ts";
import { AFFINITY } from "../../../src/ownership/flow_hash.ts";
import { bpfUnavailable } from "../ffi/ebpf_support.ts";
import { type FrameContent } from "../wire/frames.ts";
import {
  Bench,
  bucketOf,
  bytesOf,
  contentOf,
  frameOf,
  seldom,
  SERVICES,
  TAKEN,
  vipOf,
} from "./prefilter_rig.ts";
import { PROBE_PORT, VIP4, VIP6 } from "./rig.ts";

if (bpfUnavailable !== undefined) console.log(`skipped: ${bpfUnavailable}`);
const ignore = bpfUnavailable !== undefined;

Deno.test({
  name: "a plain packet passes exactly if its bucket has any flag; all else as it is captured",
  ignore,
}, () => {
  for (const uncovered of ["drop", "owner"] as const) {
    using bench = new Bench({ uncovered });
    let filtered = 0, judged = 0;
    fc.assert(
      fc.property(
        contentOf,
        fc.constantFrom(0, CLAIM, CONTESTED, RETAINED, CLAIM | CONTESTED),
        fc.constantFrom(0, CLAIM),
        seldom(bytesOf(6)),
        (content, flags, elsewhere, mac) => {
          bench.fill(elsewhere);
          const at = bucketOf(bench.plan, content);
          if (at !== undefined) bench.setFlags(at.table, at.bucket, flags);
          const before = bench.dropped;
          const { passes, captured, verdict } = bench.decide(frameOf(content, mac));
          const others = at !== undefined && flags === 0;
          assert.equal(passes, captured && !others, `${JSON.stringify({ at, flags, verdict })}`);
          if (others && captured) {
            filtered++;
            assert.equal(bench.dropped, before + 1, "it is counted");
            assert.equal(verdict, "not_owner", "what the pipeline would have said");
          } else {
            assert.equal(bench.dropped, before, "nothing else is counted");
          }
          if (at !== undefined && captured) judged++;
        },
      ),
      { numRuns: 5_000 },
    );
    assert.ok(filtered > 50 && judged - filtered > 250, `${filtered} of ${judged} filtered`);
  }
});

Deno.test({ name: "broken and cut frames: nothing is dropped that the pipeline would take", ignore }, () => {
  using bench = new Bench({ uncovered: "owner" });
  let taken = 0;
  fc.assert(
    fc.property(
      contentOf,
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }),
      seldom(fc.nat(100)),
      fc.boolean(),
      (content, changes, cut, claimed) => {
        bench.fill(claimed ? CLAIM : 0);
        const frame = frameOf(content);
        for (const [offset, value] of changes) if (offset < frame.length) frame[offset] = value;
        const { passes, captured, verdict } = bench.decide(frame.slice(0, Math.max(1, cut ?? frame.length)));
        if (passes) assert.ok(captured, "only what the capture filter passes");
        if (claimed) assert.equal(passes, captured, "a node that claims everything sees everything");
        if (captured && TAKEN.includes(verdict)) {
          taken++;
          assert.ok(passes, verdict);
        }
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(taken > 100, `${taken} were taken`);
});

Deno.test({ name: "its buckets are those of the flow hash, whatever the key", ignore }, () => {
  for (let key = 0; key < 12; key++) {
    for (const affinity of [AFFINITY.connection, AFFINITY.client, AFFINITY.network]) {
      const services = [{ ...SERVICES[0], affinity }];
      using bench = new Bench({ services });
      for (let flow = 0; flow < 20; flow++) {
        const isV4 = flow % 2 === 0;
        const source = addressFromBytes(crypto.getRandomValues(new Uint8Array(isV4 ? 4 : 16)));
        const sourcePort = (key * 7919 + flow * 104_729) & 0xffff;
        const content: FrameContent = {
          source,
          destination: isV4 ? VIP4 : VIP6,
          tcp: { sourcePort, destinationPort: 80, flags: 0x10 },
        };
        const { table, bucket } = bucketOf(bench.plan, content)!;
        bench.fill(0);
        bench.setFlags(table, bucket, CLAIM);
        assert.ok(bench.decide(frameOf(content)).passes, `affinity ${affinity}, bucket ${bucket}`);
        bench.fill(CLAIM);
        bench.setFlags(table, bucket, 0);
        assert.ok(!bench.decide(frameOf(content)).passes, `affinity ${affinity}, bucket ${bucket}`);
      }
    }
  }
});

Deno.test({ name: "ARP and solicitations for a virtual IP pass, for other addresses not", ignore }, () => {
  using bench = new Bench();
  const arp = (target: Uint8Array) => {
    const bytes = new Uint8Array(60);
    bytes.set([0x08, 0x06], 12);
    bytes.set(target, 38);
    return bytes;
  };
  const solicitation = (target: Uint8Array) => {
    const bytes = new Uint8Array(86);
    bytes.set([0x86, 0xdd, 0x60], 12);
    bytes.set([58], 20);
    bytes.set([135], 54);
    bytes.set(target, 62);
    return bytes;
  };
  for (const [make, address] of [[arp, VIP4], [solicitation, VIP6]] as const) {
    assert.ok(bench.decide(make(address.bytes)).passes);
    for (let i = 0; i < address.bytes.length; i++) {
      const other = address.bytes.slice();
      other[i] ^= 1;
      assert.ok(!bench.decide(make(other)).passes, `byte ${i}`);
    }
  }
  const tagged = arp(VIP4.bytes);
  tagged.set([0x81, 0x00], 12);
  assert.ok(!bench.decide(tagged).passes, "a tag that stands in the frame");
});

Deno.test({ name: "the kernel takes the largest plan, and one family alone", ignore }, () => {
  const v4 = Array.from({ length: 32 }, (_, i) => vipOf(addressFromBytes(Uint8Array.of(192, 0, 2, i))));
  const v6 = Array.from({ length: 32 }, (_, i) => {
    const bytes = VIP6.bytes.slice();
    bytes[15] = i;
    return vipOf(addressFromBytes(bytes));
  });
  for (const vips of [v4, v6, [...v4.slice(16), ...v6.slice(16)]]) {
    const services: PlannedService[] = Array.from({ length: 32 }, (_, i) => ({
      protocol: i % 2 === 0 ? "tcp" : "udp",
      ports: [{ from: 1000 + i, to: 1000 + i }],
      affinity: (i % 3) as 0 | 1 | 2,
      // Every virtual IP has services of its own.
      vips: [i],
    }));
    using prefilter = Prefilter.open(services.length + 1, processorsPossible());
    const plan = {
      vips,
      services,
      uncovered: "drop",
      flowKey: new Uint8Array(16),
      probePort: PROBE_PORT,
    } as const;
    const loaded = prefilter.load(plan, 1);
    assert.ok(loaded.descriptor > 0);
    assert.deepEqual(loaded.counts(), { dropped: 0, fast: 0, newFlows: 0, bytes: 0, taken: 0 });
  }
});
