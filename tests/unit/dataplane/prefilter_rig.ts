/** The prefilter's program in the real kernel beside the capture filter and the pipeline, and frames to ask them about. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BpfMemory, BpfProgram } from "../../../ffi/ebpf.ts";
import { addressFromBytes, type IpAddress } from "../../../src/core/address.ts";
import { boottimeMs } from "../../../ffi/clock.ts";
import { captureFilter } from "../../../src/dataplane/capture_filter.ts";
import { KERNEL_CLAIMS, KernelClaims, kernelClaimsBytes } from "../../../src/dataplane/kernel_claims.ts";
import { type PlannedService } from "../../../src/dataplane/plan.ts";
import { prefilterProgram } from "../../../src/dataplane/prefilter_program.ts";
import {
  LINES,
  type PrefilterCounts,
  type PrefilterPlan,
  readCounts,
  stateBytes,
  writePorts,
} from "../../../src/dataplane/prefilter_state.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { EXTENSION } from "../../../src/wire/extension_headers.ts";
import { interpret } from "../ffi/bpf_interpreter.ts";
import { type FrameContent, writeFrame } from "../wire/frames.ts";
import { FRAME_OFFSET, PROBE_PORT, Rig, VIP4, VIP6 } from "./rig.ts";

export const PASSED = 0xffff_ffff;
/** What the kernel takes off the front before the program sees the frame (BPF_PROG_TEST_RUN). */
const IN_FRONT = 14;
/** Longest frame of these tests: test packets must fit in a page with the kernel's own data. */
const FRAME_BYTES_MAX = 2_000;

export const vipOf = (address: IpAddress) => ({
  address: address.bytes,
  mac: virtualMac(address, "multicast"),
  macIsMulticast: true,
});
export const SERVICES: readonly PlannedService[] = [
  { protocol: "tcp", ports: [{ from: 80, to: 80 }, { from: 8000, to: 8100 }], affinity: 0, vips: [0, 1] },
  { protocol: "udp", ports: [{ from: 53, to: 53 }], affinity: 1, vips: [0, 1] },
  { protocol: "tcp", ports: [{ from: 443, to: 443 }], affinity: 2, vips: [0] },
  { protocol: "udp", ports: [{ from: 443, to: 65_535 }], affinity: 2, vips: [1] },
];
const TABLES = SERVICES.length + 1;
export const VIPS = [vipOf(VIP4), vipOf(VIP6)];

/** A loaded program with its maps, and a pipeline that decides by the same claims. */
export class Bench implements Disposable {
  readonly plan: PrefilterPlan;
  readonly kernel: KernelClaims;
  readonly #claims: Uint8Array<ArrayBuffer>;
  readonly rig: Rig;
  readonly state: Uint8Array<ArrayBuffer>;
  readonly #filter: BpfProgram;
  readonly #classic: ReturnType<typeof captureFilter>;
  readonly #resources = new DisposableStack();

  constructor(changes: Partial<PrefilterPlan> = {}) {
    this.plan = {
      vips: VIPS,
      services: SERVICES,
      uncovered: "drop",
      flowKey: crypto.getRandomValues(new Uint8Array(16)),
      probePort: PROBE_PORT,
      ...changes,
    };
    const interest = this.#resources.use(BpfMemory.create("vft_interest", kernelClaimsBytes(TABLES)));
    const state = this.#resources.use(BpfMemory.create("vft_state", stateBytes(this.plan)));
    this.#claims = this.#resources.use(interest.map()).memory;
    this.kernel = new KernelClaims(this.#claims, boottimeMs);
    this.state = this.#resources.use(state.map()).memory;
    writePorts(this.state, this.plan);
    const code = prefilterProgram(this.plan, { interest: interest.fd, state: state.fd });
    this.#filter = this.#resources.use(BpfProgram.load("socketFilter", "vft_filter", code));
    this.#classic = captureFilter(this.plan.vips);
    this.rig = new Rig({ ...this.plan, services: this.plan.services });
  }

  /** Writes one flag to the pipeline's claims and to the program's copy. */
  setFlags(table: number, bucket: number, flags: number): void {
    this.rig.claims.tables[table][bucket] = flags;
    this.kernel.set(table, bucket, flags);
  }

  fill(flags: number): void {
    for (const table of this.rig.claims.tables) table.fill(flags);
    this.#claims.fill(flags, KERNEL_CLAIMS.flags);
  }

  /** What the program, the capture filter and the pipeline say. `fast`: it is left to the fast path. */
  decide(frame: Uint8Array): { passes: boolean; fast: boolean; captured: boolean; verdict: string } {
    const before = this.counts.fast;
    const packet = new Uint8Array(IN_FRONT + frame.length);
    packet.set(frame, IN_FRONT);
    const { result } = this.#filter.testRun(packet);
    assert.ok(result === 0 || result === PASSED, `result ${result}`);
    this.rig.bytes.set(frame, FRAME_OFFSET);
    return {
      passes: result === PASSED,
      fast: this.counts.fast > before,
      captured: interpret(this.#classic, frame) !== 0,
      verdict: this.rig.decideBytes(frame.length),
    };
  }

  get counts(): PrefilterCounts {
    return readCounts(this.state, LINES);
  }

  get dropped(): number {
    return this.counts.dropped;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/** The frame's bytes, with the virtual MAC or another. */
export function frameOf(content: FrameContent, mac?: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES_MAX);
  const length = writeFrame(bytes, 0, content);
  bytes.set(mac ?? virtualMac(content.destination, "multicast"));
  return bytes.slice(0, length);
}

export const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const portOf = fc.oneof(
  fc.constantFrom(PROBE_PORT, 53, 80, 81, 442, 443, 8000, 8100, 8101, 65_535),
  fc.nat(0xffff),
);
export const payload = fc.uint8Array({ maxLength: 64 }).map((bytes) => bytes.slice());
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
  const probe = fc.constant(new TextEncoder().encode("vipfarm"));
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ sourcePort: portOf, destinationPort: portOf, payload }) },
    fc.record({
      sourcePort: fc.constant(PROBE_PORT),
      destinationPort: fc.constant(PROBE_PORT),
      payload: probe,
    }),
  );
}

/** `undefined`, and now and then what is rare. */
export const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const fragmentOf = fc.record({
  id: fc.nat(0xffff),
  fragmentOffset: fc.constantFrom(0, 8, 64, 1480),
  moreFragments: fc.boolean(),
});
/** Whole packets of both families, with options, extension headers and fragments among them. */
export const contentOf: fc.Arbitrary<FrameContent> = fc.boolean().chain((isV4) =>
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

/** Table and bucket of a plain packet for a virtual IP, as the pipeline decides; undefined where the program must not judge. */
export function bucketOf(
  plan: PrefilterPlan,
  content: FrameContent,
): { table: number; bucket: number } | undefined {
  const { source, destination, fragment, extensions, tcp, udp } = content;
  const ports = tcp ?? udp;
  // Whether it is a probe, the pipeline decides.
  if (udp?.destinationPort === plan.probePort) return undefined;
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

/** Verdicts of frames that the pipeline does something with. */
export const TAKEN = ["accepted", "accepted_held", "neighbour_answered"];
