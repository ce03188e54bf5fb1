/** A pipeline over a buffer in place of the ring, with ports that write down what they are given. */

import { parseAddress } from "../../../src/core/address.ts";
import { HELD, Pipeline } from "../../../src/dataplane/pipeline.ts";
import { type DataplanePlan } from "../../../src/dataplane/plan.ts";
import { CLAIM, SharedClaims, SharedCounters } from "../../../src/dataplane/shared.ts";
import { VERDICTS } from "../../../src/dataplane/verdicts.ts";
import { VIRTIO_HEADER_BYTES } from "../../../src/dataplane/virtio.ts";
import { AFFINITY } from "../../../src/ownership/flow_hash.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { type FrameContent, NODE_MAC, writeFrame } from "../wire/frames.ts";

export const VIP4 = parseAddress("192.0.2.100")!;
export const VIP6 = parseAddress("2001:db8::100")!;
export const CLIENT4 = parseAddress("198.51.100.7")!;
export const CLIENT6 = parseAddress("2001:db8:1::7")!;
/** Service numbers: the order in which the rig lists them. */
export const SERVICE = { web: 1, dns: 2, sticky: 3 } as const;
export const TABLES = 4;

/** Where the rig's frames begin: room for the virtio header before, as in the ring. */
export const FRAME_OFFSET = 64;

/** Covered by no service of the rig's own. */
export const PROBE_PORT = 4886;

export class Rig {
  readonly bytes = new Uint8Array(FRAME_OFFSET + 70_000);
  readonly claims: SharedClaims;
  readonly counters = SharedCounters.create();
  readonly pipeline: Pipeline;
  /** What was written to the TUN device: virtio header and packet. */
  readonly injected: Uint8Array[] = [];
  readonly replies: Uint8Array[] = [];
  /** Connections that the kernel is asked for, as `client port`, and whether it has them. */
  readonly connections = new Set<string>();
  /** And those that are half-open, by client port. */
  readonly halfOpen = new Set<string>();
  /** Half-open connections that the kernel is to forget, as `client port`. */
  readonly abandoned: string[] = [];
  nowMs32 = 1_000;
  /** When the frame was captured: wall clock, µs. */
  capturedUs = 0;
  /** The TUN device takes packets. */
  tunUp = true;

  constructor(changes: Partial<DataplanePlan> = {}) {
    const tables = changes.services === undefined ? TABLES : changes.services.length + 1;
    this.claims = SharedClaims.create(tables, this.nowMs32);
    const vips = [VIP4, VIP6].map((address) => ({
      address: address.bytes,
      mac: virtualMac(address, "multicast"),
      macIsMulticast: true,
    }));
    this.pipeline = new Pipeline(this.bytes, {
      interfaceIndex: 1,
      interfaceMac: NODE_MAC,
      tunDescriptor: -1,
      tunName: "",
      wakeDescriptor: -1,
      ringFrames: 1,
      vips,
      probes: [],
      probePort: PROBE_PORT,
      services: [
        {
          protocol: "tcp",
          ports: [{ from: 80, to: 80 }, { from: 8000, to: 8100 }],
          affinity: AFFINITY.connection,
          vips: [0, 1],
        },
        { protocol: "udp", ports: [{ from: 53, to: 53 }], affinity: AFFINITY.connection, vips: [0, 1] },
        { protocol: "tcp", ports: [{ from: 443, to: 443 }], affinity: AFFINITY.client, vips: [0, 1] },
      ],
      uncovered: "drop",
      flowKey: new Uint8Array(16).fill(7),
      claims: this.claims.buffer,
      counters: this.counters.buffer,
      ...changes,
    }, {
      injectFromRing: (offset, length) => this.#inject(this.bytes, offset, length),
      injectHeld: (bytes, offset, length) => this.#inject(bytes, offset, length),
      reply: (frame) => void this.replies.push(frame.slice()),
      connection: (_family, _local, _localPort, _remote, remotePort) =>
        this.halfOpen.has(`${remotePort}`)
          ? HELD.halfOpen
          : this.connections.has(`${remotePort}`)
          ? HELD.connection
          : HELD.nothing,
      abandonHalfOpen: (_family, _local, _localPort, _remote, remotePort) =>
        void this.abandoned.push(`${remotePort}`),
      now32: () => this.nowMs32,
      capturedUs: () => this.capturedUs,
    });
    this.renewLease();
  }

  /** Sets the flags of every bucket of a table. */
  setAll(table: number, flags: number): void {
    this.claims.tables[table].fill(flags);
  }

  claimAll(): void {
    for (let table = 0; table < TABLES; table++) this.setAll(table, CLAIM);
  }

  renewLease(): void {
    this.claims.renewLease(this.nowMs32 + 400);
  }

  /** Puts a frame into the buffer and decides on it. `virtio` is the header in front of it. */
  decide(content: FrameContent, virtio: readonly number[] = []): string {
    const length = writeFrame(this.bytes, FRAME_OFFSET, content);
    return this.decideBytes(length, virtio);
  }

  /** Decides on the frame that stands in the buffer already. */
  decideBytes(length: number, virtio: readonly number[] = []): string {
    this.bytes.fill(0, FRAME_OFFSET - VIRTIO_HEADER_BYTES, FRAME_OFFSET);
    this.bytes.set(virtio, FRAME_OFFSET - VIRTIO_HEADER_BYTES);
    return VERDICTS[this.pipeline.process(FRAME_OFFSET, length)];
  }

  /** Frames decided, and the sum of all verdicts: equal at any moment. */
  sums(): { captured: number; verdicts: number } {
    const all = this.counters.read();
    return { captured: all.captured, verdicts: VERDICTS.reduce((sum, name) => sum + all[name], 0) };
  }

  #inject(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.tunUp) this.injected.push(bytes.slice(offset, offset + length));
    return this.tunUp;
  }
}
