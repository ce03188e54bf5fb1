/**
 * The map of one interface's programs: a line for each processor, with counters and what the filter hands on to the fast
 * path, and behind them the ports. The programs write the lines, the control thread the ports, before any of them runs.
 */
import { AFFINITY } from "../ownership/flow_hash.ts";
import { type PlannedService, type PlannedVip, PRESENCE } from "./plan.ts";

/** What the programs are made of: the part of a packet thread's plan that says whose packets are whose. */
export interface PrefilterPlan {
  readonly vips: readonly PlannedVip[];
  readonly services: readonly PlannedService[];
  readonly uncovered: "drop" | "owner";
  readonly flowKey: Uint8Array;
  /** UDP port of the probes of the LAN (wire/lan_probe.ts). */
  readonly probePort: number;
  /** Families of packets that the fast path may take; undefined where there is none. */
  readonly fast?: ReadonlySet<4 | 6>;
}

/** Lines: as many as Linux has processors at the most (NR_CPUS on x86-64), so that each has its own. */
export const LINES = 8_192;
export const LINE_BYTES = 64;

/** Offsets in a line, of 64-bit numbers. */
export const LINE = {
  /** Packets dropped for their bucket. */
  dropped: 0,
  /** Packets that the filter left to the fast path: all of them, connection attempts among them, and their bytes. */
  fast: 8,
  newFlows: 16,
  bytes: 24,
  /** Packets that the fast path took. */
  taken: 32,
  /** The packet that the filter left to it last: where its transport header is, or 0, and how that begins. */
  offset: 40,
  beginning: 48,
} as const;

/** In place of an offset: the last packet is another node's. */
export const ANOTHERS = 1;

/** What the lines add up to. */
export type PrefilterCounts = Record<"dropped" | "fast" | "newFlows" | "bytes" | "taken", number>;

/** For each virtual IP that has its own set of services, a byte for each port of TCP, then of UDP. */
export const PORTS_OFFSET = LINES * LINE_BYTES;
export const PORTS = 65_536;
export const PORTS_BYTES = 2 * PORTS;
/** In a port's byte: the service's number, and above it the affinity. */
export const SERVICE_MASK = 0x3f;
export const AFFINITY_SHIFT = 6;
/** In place of a service's number, greater than any: the pipeline decides. */
const PASS = SERVICE_MASK;

/** Virtual IPs with equal services share their ports: each one's place among the sets of services. */
export function portSets({ vips, services }: PrefilterPlan): { indexOf: number[]; sets: number[][] } {
  const sets: number[][] = [];
  const indexOf = vips.map((_, vip) => {
    const set = services.flatMap((service, index) => service.vips.includes(vip) ? [index] : []);
    const known = sets.findIndex((each) => each.join() === set.join());
    return known >= 0 ? known : sets.push(set) - 1;
  });
  return { indexOf, sets };
}

/** Bytes of the map. */
export function stateBytes(plan: PrefilterPlan): number {
  return PORTS_OFFSET + portSets(plan).sets.length * PORTS_BYTES;
}

/** Writes the ports into the map's memory; before the programs run. */
export function writePorts(memory: Uint8Array, plan: PrefilterPlan): void {
  const other = plan.uncovered === "owner" ? PRESENCE | (AFFINITY.client << AFFINITY_SHIFT) : PASS;
  memory.fill(other, PORTS_OFFSET);
  portSets(plan).sets.forEach((set, place) => {
    for (const index of set) {
      const { protocol, ports, affinity } = plan.services[index];
      const start = PORTS_OFFSET + place * PORTS_BYTES + (protocol === "udp" ? PORTS : 0);
      for (const { from, to } of ports) {
        memory.fill((index + 1) | (affinity << AFFINITY_SHIFT), start + from, start + to + 1);
      }
    }
    // Probes are looked for there, also where a service has the port.
    memory[PORTS_OFFSET + place * PORTS_BYTES + PORTS + plan.probePort] = PASS;
  });
}

/** What the programs have counted so far, from the map's memory; all processors' numbers are below `processors`. */
export function readCounts(memory: Uint8Array<ArrayBuffer>, processors: number): PrefilterCounts {
  const words = new Uint32Array(
    memory.buffer,
    memory.byteOffset,
    Math.min(processors, LINES) * LINE_BYTES / 4,
  );
  const sum = (offset: number) => {
    let total = 0;
    for (let word = offset / 4; word < words.length; word += LINE_BYTES / 4) {
      total += words[word] + words[word + 1] * 2 ** 32;
    }
    return total;
  };
  return {
    dropped: sum(LINE.dropped),
    fast: sum(LINE.fast),
    newFlows: sum(LINE.newFlows),
    bytes: sum(LINE.bytes),
    taken: sum(LINE.taken),
  };
}
