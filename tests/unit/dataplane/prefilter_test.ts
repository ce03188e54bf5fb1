/**
 * The prefilter's program, run by the real kernel over made frames: it passes what the capture filter passes, less what
 * is provably another node's, and agrees with the pipeline on every frame.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BpfMemory, SocketFilter } from "../../../ffi/ebpf.ts";
import { addressFromBytes, type IpAddress } from "../../../src/core/address.ts";
import { BUCKETS } from "../../../src/core/limits.ts";
import { captureFilter } from "../../../src/dataplane/capture_filter.ts";
import { type PlannedService } from "../../../src/dataplane/plan.ts";
import { Prefilter } from "../../../src/dataplane/prefilter.ts";
import {
  droppedCount,
  interestBytes,
  type PrefilterPlan,
  prefilterProgram,
  stateBytes,
  writePorts,
} from "../../../src/dataplane/prefilter_program.ts";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { EXTENSION } from "../../../src/wire/extension_headers.ts";
import { bpfUnavailable } from "../ffi/ebpf_support.ts";
import { interpret } from "../ffi/bpf_interpreter.ts";
import { type FrameContent, writeFrame } from "../wire/frames.ts";
import { FRAME_OFFSET, Rig, VIP4, VIP6 } from "./rig.ts";

if (bpfUnavailable !== undefined) console.log(`skipped: ${bpfUnavailable}`);
const ignore = bpfUnavailable !== undefined;

const PASSED = 0xffff_ffff;
/** What the kernel takes off the front before the program sees the frame (BPF_PROG_TEST_RUN). */
const IN_FRONT = 14;
/** Longest frame of these tests: test packets must fit in a page with the kernel's own data. */
const FRAME_BYTES_MAX = 2_000;

const vipOf = (address: IpAddress) => ({
  address: address.bytes,
  mac: virtualMac(address, "multicast"),
  macIsMulticast: true,
});
const SERVICES: readonly PlannedService[] = [
  { protocol: "tcp", ports: [{ from: 80, to: 80 }, { from: 8000, to: 8100 }], affinity: 0, vips: [0, 1] },
  { protocol: "udp", ports: [{ from: 53, to: 53 }], affinity: 1, vips: [0, 1] },
  { protocol: "tcp", ports: [{ from: 443, to: 443 }], affinity: 2, vips: [0] },
  { protocol: "udp", ports: [{ from: 443, to: 65_535 }], affinity: 2, vips: [1] },
];
const TABLES = SERVICES.length + 1;
const VIPS = [vipOf(VIP4), vipOf(VIP6)];

/** A loaded program with its maps, and a pipeline that decides by the same claims. */
class Bench implements Disposable {
  readonly plan: PrefilterPlan;
  readonly interest: Uint8Array<ArrayBuffer>;
  readonly rig: Rig;
  readonly #state: Uint8Array<ArrayBuffer>;
  readonly #filter: SocketFilter;
  readonly #classic: ReturnType<typeof captureFilter>;
  readonly #resources = new DisposableStack();

  constructor(changes: Partial<PrefilterPlan> = {}) {
    this.plan = {
      vips: VIPS,
      services: SERVICES,
      uncovered: "drop",
      flowKey: crypto.getRandomValues(new Uint8Array(16)),
      ...changes,
    };
    const interest = this.#resources.use(BpfMemory.create("vft_interest", interestBytes(TABLES)));
    const state = this.#resources.use(BpfMemory.create("vft_state", stateBytes(this.plan)));
    this.interest = this.#resources.use(interest.map()).memory;
    this.#state = this.#resources.use(state.map()).memory;
    writePorts(this.#state, this.plan);
    const code = prefilterProgram(this.plan, { interest: interest.fd, state: state.fd });
    this.#filter = this.#resources.use(SocketFilter.load("vft_filter", code));
    this.#classic = captureFilter(this.plan.vips);
    this.rig = new Rig({ ...this.plan, services: this.plan.services });
  }

  /** Writes one flag to the pipeline's claims and to the program's copy. */
  setFlags(table: number, bucket: number, flags: number): void {
    this.rig.claims.tables[table][bucket] = flags;
    this.interest[table * BUCKETS + bucket] = flags;
  }

  fill(flags: number): void {
    for (const table of this.rig.claims.tables) table.fill(flags);
    this.interest.fill(flags);
  }

  /** What the program, the capture filter and the pipeline say. */
  decide(frame: Uint8Array): { passes: boolean; captured: boolean; verdict: string } {
    const packet = new Uint8Array(IN_FRONT + frame.length);
    packet.set(frame, IN_FRONT);
    const { result } = this.#filter.testRun(packet);
    assert.ok(result === 0 || result === PASSED, `result ${result}`);
    this.rig.bytes.set(frame, FRAME_OFFSET);
    return {
      passes: result === PASSED,
      captured: interpret(this.#classic, frame) !== 0,
      verdict: this.rig.decideBytes(frame.length),
    };
  }

  get dropped(): number {
    return droppedCount(this.#state);
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/** The frame's bytes, with the virtual MAC or another. */
function frameOf(content: FrameContent, mac?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES_MAX);
  const length = writeFrame(bytes, 0, content);
  bytes.set(mac ?? virtualMac(content.destination, "multicast"));
  return bytes.slice(0, length);
}

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const portOf = fc.oneof(fc.constantFrom(53, 80, 81, 442, 443, 8000, 8100, 8101, 65_535), fc.nat(0xffff));
const payload = fc.uint8Array({ maxLength: 64 }).map((bytes) => bytes.slice());
const transport = fc.oneof(
  { weight: 4, arbitrary: fc.record({ tcp: tcpSegment() }) },
  { weight: 2, arbitrary: fc.record({ udp: udpDatagram() }) },
  fc.record({ icmp: fc.record({ type: fc.constantFrom(0, 8, 128, 135, 3), code: fc.constant(0) }) }),
  fc.record({ raw: fc.record({ protocol: fc.constantFrom(1, 47, 50, 58), payload }) }),
);

function tcpSegment() {
  const flags = fc.constantFrom(0x02, 0x10, 0x12, 0x18, 0x04);
  return fc.record({ sourcePort: portOf, destinationPort: portOf, flags, payload });
}

function udpDatagram() {
  return fc.record({ sourcePort: portOf, destinationPort: portOf, payload });
}

/** `undefined`, and now and then what is rare. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const fragmentOf = fc.record({
  id: fc.nat(0xffff),
  fragmentOffset: fc.constantFrom(0, 8, 64, 1480),
  moreFragments: fc.boolean(),
});
/** Whole packets of both families, with options, extension headers and fragments among them. */
const contentOf: fc.Arbitrary<FrameContent> = fc.boolean().chain((isV4) =>
  fc.tuple(
    bytesOf(isV4 ? 4 : 16).map((bytes) => addressFromBytes(bytes)),
    fc.oneof(
      { weight: 9, arbitrary: fc.constant(isV4 ? VIP4 : VIP6) },
      bytesOf(isV4 ? 4 : 16).map((bytes) => addressFromBytes(bytes)),
    ),
    transport,
    seldom(fragmentOf),
    seldom(fc.integer({ min: 1, max: 10 })),
  ).map(([source, destination, rest, fragment, words]): FrameContent => ({
    source,
    destination,
    ...rest,
    ...(fragment !== undefined && (fragment.moreFragments || fragment.fragmentOffset > 0) && { fragment }),
    ...(words !== undefined && (isV4
      ? { options: new Uint8Array(words * 4).fill(1) }
      : { extensions: [{ type: EXTENSION.destinationOptions, body: new Uint8Array(6) }] })),
  }))
);

/** Table and bucket of a plain packet for a virtual IP, as DESIGN has it; undefined where the program must not judge. */
function bucketOf(plan: PrefilterPlan, content: FrameContent): { table: number; bucket: number } | undefined {
  const { source, destination, fragment, extensions, tcp, udp } = content;
  const ports = tcp ?? udp;
  if (ports === undefined || fragment !== undefined || extensions !== undefined) return undefined;
  const vip = destination === VIP4 ? 0 : destination === VIP6 ? 1 : -1;
  const index = plan.services.findIndex((service) =>
    service.protocol === (tcp ? "tcp" : "udp") && service.vips.includes(vip) &&
    service.ports.some(({ from, to }) => ports.destinationPort >= from && ports.destinationPort <= to)
  );
  if (vip < 0 || index < 0 && plan.uncovered === "drop") return undefined;
  const affinity = index < 0 ? AFFINITY.client : plan.services[index].affinity;
  const bucket = new FlowHash(plan.flowKey)
    .bucket(affinity, source.bytes, 0, source.family, ports.sourcePort);
  return { table: index + 1, bucket };
}

const TAKEN = ["accepted", "accepted_held", "neighbour_answered"];

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
    using prefilter = Prefilter.open(services.length + 1);
    const loaded = prefilter.load({ vips, services, uncovered: "drop", flowKey: new Uint8Array(16) });
    assert.ok(loaded.descriptor > 0);
    assert.equal(loaded.dropped(), 0);
  }
});
