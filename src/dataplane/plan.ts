/**
 * What a packet thread needs to know of the configuration, as plain data that crosses to a Worker, and the
 * look-up tables made of it there: virtual IP by address, service by (virtual IP, protocol, port).
 */
import { type Affinity } from "../ownership/flow_hash.ts";
import { readInt32 } from "../wire/bytes.ts";

/** One virtual IP on the packet thread's interface. */
export interface PlannedVip {
  /** 4 or 16 bytes. */
  address: Uint8Array;
  /** The virtual MAC, 6 bytes. */
  mac: Uint8Array;
  macIsMulticast: boolean;
}

/** One service; its number is its place in the list plus one, which is also its table of claims. */
export interface PlannedService {
  protocol: "tcp" | "udp";
  ports: ReadonlyArray<{ from: number; to: number }>;
  affinity: Affinity;
  /** Indices into `vips` of the packet thread's own interface. */
  vips: readonly number[];
  /** Its flows stay with their node for this long (ms) after their last packet; undefined: it keeps no flows. */
  flowTimeoutMs?: number;
}

/** Everything one packet thread starts from. */
export interface DataplanePlan {
  interfaceIndex: number;
  interfaceMac: Uint8Array;
  tunDescriptor: number;
  tunName: string;
  wakeDescriptor: number;
  ringFrames: number;
  vips: readonly PlannedVip[];
  /** Frames that are sent once a second (wire/lan_probe.ts), and the UDP port that they go to. */
  probes: readonly Uint8Array[];
  probePort: number;
  services: readonly PlannedService[];
  uncovered: "drop" | "owner";
  flowKey: Uint8Array;
  /** Descriptor of the prefilter's program (prefilter.ts); undefined where the kernel has none. */
  prefilterDescriptor?: number;
  /** Where flows are remembered (flow_table.ts); undefined if no service asks for it. */
  flows?: SharedArrayBuffer;
  claims: SharedArrayBuffer;
  counters: SharedArrayBuffer;
}

/** By service number: how long an idle flow is kept; 0: not at all. */
export function flowTimeoutsMs(services: readonly PlannedService[]): number[] {
  return [0, ...services.map(({ flowTimeoutMs }) => flowTimeoutMs ?? 0)];
}

/** Table 0: presence. It decides ARP, neighbour discovery, ICMP and what no service covers. */
export const PRESENCE = 0;

/** Service number by virtual IP, protocol and port: one load from 64 KiB per virtual IP and protocol. */
export class ServiceTable {
  readonly #tcp: Uint8Array[];
  readonly #udp: Uint8Array[];
  /** Affinity by service number; index 0 is unused by look-ups of services. */
  readonly affinity: Uint8Array;

  constructor(services: readonly PlannedService[], vipCount: number) {
    const empty = () => Array.from({ length: vipCount }, () => new Uint8Array(65_536));
    this.#tcp = empty();
    this.#udp = empty();
    this.affinity = new Uint8Array(services.length + 1);
    services.forEach((service, index) => {
      this.affinity[index + 1] = service.affinity;
      const tables = service.protocol === "tcp" ? this.#tcp : this.#udp;
      for (const vip of service.vips) {
        for (const { from, to } of service.ports) tables[vip].fill(index + 1, from, to + 1);
      }
    });
  }

  /** The service number, or 0 where no service covers the port. */
  tcp(vip: number, port: number): number {
    return this.#tcp[vip][port];
  }

  udp(vip: number, port: number): number {
    return this.#udp[vip][port];
  }
}

/** Virtual IP index by address. At most 32 of them, so a scan beats hashing. */
export class VipTable {
  readonly #v4: Array<{ index: number; word: number }> = [];
  readonly #v6: Array<{ index: number; words: Int32Array }> = [];

  constructor(vips: readonly PlannedVip[]) {
    vips.forEach(({ address }, index) => {
      if (address.length === 4) this.#v4.push({ index, word: readInt32(address, 0) });
      else this.#v6.push({ index, words: Int32Array.from([0, 4, 8, 12], (at) => readInt32(address, at)) });
    });
  }

  /** The index of the virtual IP that stands at `offset`, or -1. */
  find(family: number, bytes: Uint8Array, offset: number): number {
    if (family === 4) {
      const word = readInt32(bytes, offset);
      for (const vip of this.#v4) if (vip.word === word) return vip.index;
      return -1;
    }
    if (family !== 6) return -1;
    // The last word first: virtual IPs of one network differ there.
    const last = readInt32(bytes, offset + 12);
    for (const { index, words } of this.#v6) {
      if (
        words[3] === last && words[2] === readInt32(bytes, offset + 8) &&
        words[1] === readInt32(bytes, offset + 4) && words[0] === readInt32(bytes, offset)
      ) return index;
    }
    return -1;
  }
}
