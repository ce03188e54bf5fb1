/** One interface with virtual IPs, and the thread that serves it. */
import { interfaceByName } from "../../ffi/interface.ts";
import { addresses } from "../../ffi/rtnetlink.ts";
import { type TunDevice } from "../../ffi/tun.ts";
import { messageOf } from "../core/errors.ts";
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type LoadedPrefilter } from "../dataplane/prefilter.ts";
import { FlowTable } from "../dataplane/flow_table.ts";
import { flowTimeoutsMs } from "../dataplane/plan.ts";
import { SharedClaims, SharedCounters } from "../dataplane/shared.ts";
import { entryPoint } from "../entry_points.ts";
import { type Snapshot } from "../supervisor/messages.ts";
import { type FromDataplane, type ToDataplane } from "../thread_messages.ts";
import { planProbes, planServices, planVips } from "./plan.ts";
import { type OptionalPrefilter } from "./prefilter.ts";
import { Thread } from "./thread.ts";

/**
 * Frames that may wait for a packet thread while it is not running, 16 MiB of them. A host takes a processor away from a
 * virtual machine for 100 ms and more; whatever does not fit, its clients repeat after 200.
 */
const RING_FRAMES = 8_192;

/** Run states, as dataplane/packet_loop.ts sets them. */
const RUNS = 1, DONE = 2;

/** What a packet thread is made of. */
export interface PacketThreadParts {
  interface: string;
  node: NodeConfig;
  config: FarmConfig;
  tun: TunDevice;
  flowKey: Uint8Array;
  claims: SharedClaims;
  prefilter: OptionalPrefilter;
  onFailure(error: Error): void;
}

export class PacketThread {
  readonly interface: string;
  readonly counters: SharedCounters = SharedCounters.create();
  readonly thread: Thread<ToDataplane, FromDataplane>;
  /** Frames are captured. */
  readonly ready: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  /** UDP flows that it remembers, if a service asks for it. */
  readonly flows: FlowTable | undefined;
  readonly #interfaceIndex: number;
  /** The kernel's part of the decisions; undefined where it has none. */
  prefilter?: LoadedPrefilter;

  /** Whether it captures frames. */
  get isRunning(): boolean {
    return this.counters.runState === RUNS;
  }

  /** Whether it decides nothing any more. */
  get isDone(): boolean {
    return this.counters.runState === DONE;
  }

  /** Starts it; it is to be closed after it has ended. */
  constructor(parts: PacketThreadParts) {
    const { tun, config, node, flowKey, claims } = parts;
    this.interface = parts.interface;
    this.thread = new Thread<ToDataplane, FromDataplane>(
      entryPoint("dataplane.worker"),
      `packet (${this.interface})`,
      (message) => this.#hear(message, parts.prefilter),
      parts.onFailure,
    );
    const { index, mac } = interfaceByName(this.interface);
    this.#interfaceIndex = index;
    const vips = planVips(node, this.interface);
    const services = planServices(config.services, vips);
    const { uncovered, heartbeat: { port: probePort } } = config;
    const timeoutsMs = flowTimeoutsMs(services);
    if (timeoutsMs.some((timeoutMs) => timeoutMs > 0)) this.flows = FlowTable.create(timeoutsMs);
    this.prefilter = parts.prefilter.load({ vips, services, uncovered, flowKey, probePort }, {
      name: this.interface,
      index,
    });
    this.thread.start({
      kind: "start",
      plan: {
        interfaceIndex: index,
        interfaceMac: mac,
        tunDescriptor: tun.fd,
        tunName: tun.name,
        wakeDescriptor: this.thread.wake.fd,
        ringFrames: RING_FRAMES,
        vips,
        probes: planProbes(vips, probePort, mac, addresses(index)),
        probePort,
        services,
        uncovered,
        flowKey,
        prefilterDescriptor: this.prefilter?.descriptor,
        flows: this.flows?.buffer,
        claims: claims.buffer,
        counters: this.counters.buffer,
      },
    });
  }

  /** What has become of the interface, if it is no longer the one that frames are captured on. */
  interfaceLoss(): string | undefined {
    try {
      if (interfaceByName(this.interface).index === this.#interfaceIndex) return undefined;
      return `interface ${this.interface} was replaced by another of that name`;
    } catch (error) {
      return `interface ${this.interface} is gone: ${messageOf(error)}`;
    }
  }

  #hear(message: FromDataplane, prefilter: OptionalPrefilter): void {
    if (message.kind === "ended") return this.ended.resolve();
    if (message.prefilterRefused !== undefined) {
      this.prefilter = undefined;
      prefilter.refused(message.prefilterRefused);
    }
    this.ready.resolve();
  }
}

/** The UDP flows that packet threads keep, for the process that takes over. */
export function savedFlows(threads: readonly PacketThread[], now32: number): NonNullable<Snapshot["flows"]> {
  return threads.flatMap(({ interface: name, flows }) =>
    flows === undefined ? [] : [{ interface: name, flows: flows.save(now32) }]
  );
}
