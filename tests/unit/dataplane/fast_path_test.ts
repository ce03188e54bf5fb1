/**
 * The fast path's two programs, run by the real kernel over made frames. What the filter leaves to it the pipeline would
 * have accepted, for a plain claim and under a lease; and the program on the interface takes exactly that packet, once.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { boottimeMs } from "../../../ffi/clock.ts";
import { BpfMemory, BpfProgram } from "../../../ffi/ebpf.ts";
import { fastPathProgram } from "../../../src/dataplane/fast_path_program.ts";
import { KERNEL_CLAIMS, KernelClaims, kernelClaimsBytes } from "../../../src/dataplane/kernel_claims.ts";
import {
  ANOTHERS,
  LINE,
  LINE_BYTES,
  LINES,
  readCounts,
  stateBytes,
} from "../../../src/dataplane/prefilter_state.ts";
import { CLAIM, CONTESTED, FRESH, ORPHANED, RETAINED } from "../../../src/dataplane/shared.ts";
import { TCP_FLAG } from "../../../src/wire/tcp.ts";
import { bpfUnavailable } from "../ffi/ebpf_support.ts";
import { type FrameContent } from "../wire/frames.ts";
import { Bench, bucketOf, contentOf, frameOf, seldom, SERVICES, TAKEN } from "./prefilter_rig.ts";
import { CLIENT4, CLIENT6, PROBE_PORT, VIP4, VIP6 } from "./rig.ts";

if (bpfUnavailable !== undefined) console.log(`skipped: ${bpfUnavailable}`);
const ignore = bpfUnavailable !== undefined;

const BOTH = { fast: new Set([4, 6] as const) };
/** Long enough (ms) for any test here. */
const LEASE_MS = 600_000;

function benchWithLease(changes: ConstructorParameters<typeof Bench>[0] = {}): Bench {
  const bench = new Bench({ ...BOTH, ...changes });
  bench.kernel.renewLease((boottimeMs() + LEASE_MS) | 0);
  return bench;
}

const plain: Record<string, FrameContent> = {
  "a SYN over IPv4": {
    source: CLIENT4,
    destination: VIP4,
    tcp: { sourcePort: 4000, destinationPort: 80, flags: 2 },
  },
  "data over IPv6": {
    source: CLIENT6,
    destination: VIP6,
    tcp: {
      sourcePort: 4000,
      destinationPort: 8000,
      flags: TCP_FLAG.ack,
      options: new Uint8Array(12).fill(1),
      payload: new Uint8Array(1000),
    },
  },
  "a datagram over IPv4": {
    source: CLIENT4,
    destination: VIP4,
    udp: { sourcePort: 4000, destinationPort: 53 },
  },
  "a datagram over IPv6": {
    source: CLIENT6,
    destination: VIP6,
    udp: { sourcePort: 4000, destinationPort: 53 },
  },
};

Deno.test({ name: "plain packets of claimed buckets are left to the fast path, and counted", ignore }, () => {
  using bench = benchWithLease();
  bench.fill(CLAIM);
  let bytes = 0;
  for (const [name, content] of Object.entries(plain)) {
    const frame = frameOf(content);
    const { passes, fast, verdict } = bench.decide(frame);
    assert.deepEqual({ passes, fast, verdict }, { passes: false, fast: true, verdict: "accepted" }, name);
    bytes += frame.length - 14;
  }
  assert.deepEqual(bench.counts, { dropped: 0, fast: 4, newFlows: 1, bytes, taken: 0 });
  bench.kernel.endLease();
  for (const [name, content] of Object.entries(plain)) {
    assert.ok(bench.decide(frameOf(content)).passes, `without a lease, ${name}`);
  }
});

Deno.test(
  { name: "random packets: what is left to it, the pipeline would accept for a plain claim", ignore },
  () => {
    using bench = benchWithLease({ uncovered: "owner" });
    // A bucket that is settled: FRESH counts no more.
    const flagsOf = fc.constantFrom(
      0,
      CLAIM,
      CLAIM,
      CLAIM,
      CLAIM | FRESH,
      CLAIM | CONTESTED,
      RETAINED,
      CLAIM | ORPHANED,
    );
    let fast = 0, plainOnes = 0;
    fc.assert(
      fc.property(
        contentOf,
        flagsOf,
        seldom(fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { minLength: 1, maxLength: 4 })),
        seldom(fc.nat(100)),
        (content, flags, changes, cut) => {
          bench.fill(0);
          const at = bucketOf(bench.plan, content);
          if (at !== undefined) bench.setFlags(at.table, at.bucket, flags);
          let frame = frameOf(content);
          for (const [offset, value] of changes ?? []) if (offset < frame.length) frame[offset] = value;
          if (cut !== undefined) frame = frame.slice(0, Math.max(1, cut));
          const broken = changes !== undefined || cut !== undefined;
          const before = bench.counts;
          const decided = bench.decide(frame);
          const { passes, captured, verdict } = decided;
          assert.ok(!(passes && decided.fast));
          if (decided.fast) {
            fast++;
            assert.equal(verdict, "accepted");
            assert.ok(at === undefined || broken || (flags & ~FRESH) === CLAIM, `flags ${flags}`);
            assert.equal(bench.counts.fast, before.fast + 1);
          } else {
            assert.ok(passes || !captured || !TAKEN.includes(verdict), `${verdict} was lost`);
          }
          const covered = at !== undefined && at.table > 0 && content.options === undefined;
          if (covered && !broken && (flags & ~FRESH) === CLAIM && verdict === "accepted") {
            plainOnes++;
            assert.ok(decided.fast, "every plain packet");
          }
        },
      ),
      { numRuns: 6_000 },
    );
    // About 330 and 300, give or take 20: enough that the property has said something.
    assert.ok(fast > 150 && plainOnes > 120, `${fast} fast, ${plainOnes} plain`);
  },
);

Deno.test({
  name: "what is not for it: other flags, services with flows, a family that is off, no lease",
  ignore,
}, () => {
  const content = plain["a datagram over IPv4"];
  const fast = (bench: Bench) => bench.decide(frameOf(content)).fast;
  {
    using bench = benchWithLease();
    for (const other of [FRESH, CONTESTED, RETAINED, ORPHANED, 32, 64, 128]) {
      bench.fill(CLAIM | other);
      assert.equal(fast(bench), other === FRESH, `flag ${other}`);
    }
    bench.fill(CLAIM | FRESH);
    bench.kernel.noteGain();
    assert.ok(!fast(bench), "gained just now");
    bench.fill(CLAIM);
    assert.ok(fast(bench), "another bucket");
    bench.kernel.renewLease((boottimeMs() - 1) | 0);
    assert.ok(!fast(bench), "the lease is over");
    bench.kernel.renewLease((boottimeMs() + LEASE_MS) | 0);
    assert.ok(fast(bench));
    bench.kernel.switchOff();
    assert.ok(!fast(bench), "switched off");
  }
  {
    using bench = benchWithLease({ services: SERVICES.map((each) => ({ ...each, flowTimeoutMs: 1000 })) });
    bench.fill(CLAIM);
    assert.ok(!fast(bench), "a service that keeps flows");
  }
  {
    using bench = benchWithLease({ fast: new Set([6] as const) });
    bench.fill(CLAIM);
    assert.ok(!fast(bench), "only IPv6");
    assert.ok(bench.decide(frameOf(plain["a datagram over IPv6"])).fast);
  }
  {
    using bench = benchWithLease({ fast: undefined });
    bench.fill(CLAIM);
    assert.ok(!fast(bench), "no fast path");
  }
});

Deno.test(
  { name: "the program on the interface takes the packet that the note is about, once", ignore },
  () => {
    const plan = {
      vips: [],
      services: [],
      uncovered: "drop",
      flowKey: new Uint8Array(16),
      probePort: PROBE_PORT,
    } as const;
    using state = BpfMemory.create("vft_state", stateBytes(plan));
    using mapping = state.map();
    using program = BpfProgram.load("traffic", "vft_fast", fastPathProgram(state.fd));
    const lines = new DataView(mapping.memory.buffer);
    const frame = frameOf(plain["data over IPv6"]).slice();
    /** On every line, since the kernel chooses the processor. */
    const note = (beginning: Uint8Array) => {
      for (let line = 0; line < LINES; line++) {
        lines.setBigUint64(line * LINE_BYTES + LINE.offset, 54n, true);
        mapping.memory.set(beginning, line * LINE_BYTES + LINE.beginning);
      }
    };
    const notes = () =>
      Array.from({ length: LINES }, (_, line) => lines.getBigUint64(line * LINE_BYTES + LINE.offset, true));
    const run = (packet: Uint8Array<ArrayBuffer>) =>
      assert.equal(program.testRun(packet).result | 0, -1, "it goes on in any case");
    const taken = () => readCounts(mapping.memory, LINES).taken;

    run(frame);
    assert.equal(taken(), 0, "no note");
    note(frame.slice(54, 62));
    run(frame);
    assert.equal(taken(), 1);
    assert.equal(notes().filter((offset) => offset === 0n).length, 1, "the note is taken away");
    for (let byte = 0; byte < 8; byte++) {
      const other = frame.slice();
      other[54 + byte] ^= 1;
      note(frame.slice(54, 62));
      run(other);
      assert.equal(taken(), 1, `another packet, byte ${byte}`);
      assert.equal(notes().filter((offset) => offset === 0n).length, 1, "and the note is gone all the same");
    }
    for (let line = 0; line < LINES; line++) {
      lines.setBigUint64(line * LINE_BYTES + LINE.offset, BigInt(ANOTHERS), true);
    }
    run(frame);
    assert.equal(taken(), 1, "another node's");
    assert.equal(notes().filter((offset) => offset === 0n).length, 1);
    note(frame.slice(54, 62));
    run(frame.slice(0, 60));
    assert.equal(taken(), 1, "too short a packet");
  },
);

Deno.test("the lease is the one that the packet threads have, to the millisecond; a hold keeps it away", () => {
  let nowMs = 2 ** 31 + 5_000.75;
  const memory = new Uint8Array(kernelClaimsBytes(1));
  const claims = new KernelClaims(memory, () => nowMs);
  const control = new DataView(memory.buffer);
  const lease = () => Number(control.getBigInt64(KERNEL_CLAIMS.lease, true)) / 1e6;
  const deadlineMs = 2 ** 31 + 5_400;
  claims.renewLease(deadlineMs | 0);
  assert.equal(lease(), deadlineMs);
  claims.renewLease((nowMs - 1_000) | 0);
  assert.equal(lease(), 2 ** 31 + 4_000, "one that ran out");
  claims.renewLease(deadlineMs | 0);
  claims.hold();
  assert.equal(lease(), 0);
  claims.renewLease(deadlineMs | 0);
  assert.equal(lease(), 0);
  claims.release(true);
  claims.renewLease(deadlineMs | 0);
  assert.equal(lease(), 0, "frames of before may wait in the ring");
  nowMs += 1_001;
  claims.renewLease((deadlineMs + 2_000) | 0);
  assert.equal(lease(), deadlineMs + 2_000);
  claims.hold();
  claims.release(false);
  claims.renewLease((deadlineMs + 2_000) | 0);
  assert.equal(lease(), deadlineMs + 2_000, "nobody else decided meanwhile");
  claims.noteGain();
  assert.equal(Number(control.getBigInt64(KERNEL_CLAIMS.settled, true)) / 1e6, Math.floor(nowMs + 1_000));
});
