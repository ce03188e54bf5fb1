/**
 * Which buckets this node has open connections in. The kernel's own socket table is the flow table, beside those that the
 * packet threads keep for UDP: they are read when buckets were lost, and again until nothing is left of them.
 */
import { boottimeMs32 } from "../../ffi/clock.ts";
import { SockDiag } from "../../ffi/sock_diag.ts";
import { BUCKET_BITMAP_BYTES } from "../dataplane/claims_publisher.ts";
import { type FlowTable } from "../dataplane/flow_table.ts";
import { type PlannedService, type PlannedVip, ServiceTable, VipTable } from "../dataplane/plan.ts";
import { CLAIM, RETAINED, type SharedClaims } from "../dataplane/shared.ts";
import { type Affinity, FlowHash } from "../ownership/flow_hash.ts";
import { firstOfGroup, GROUP_BUCKETS } from "../ownership/rendezvous.ts";
import { type OpenConnection } from "./flow_list.ts";

/** Buckets with connections, for one table. */
export interface HeldBuckets {
  table: number;
  /** One bit for each bucket. */
  buckets: Uint8Array;
}

/** Connections to the virtual IPs, as buckets. */
export class Connections {
  readonly #diag = SockDiag.open();
  readonly #vips: VipTable;
  readonly #services: ServiceTable;
  readonly #flowHash: FlowHash;
  readonly #tables: number[];
  readonly #families: Array<4 | 6>;
  #count = 0;
  #retained = 0;

  /** `services` in file order, with indices into `vips`: all of this node's virtual IPs. */
  constructor(
    vips: readonly PlannedVip[],
    services: readonly PlannedService[],
    flowKey: Uint8Array,
    readonly claims: SharedClaims,
    /** Those of the packet threads. */
    readonly flowTables: () => readonly FlowTable[] = () => [],
  ) {
    this.#vips = new VipTable(vips);
    this.#services = new ServiceTable(services, vips.length);
    this.#flowHash = new FlowHash(flowKey);
    this.#tables = services.flatMap(({ protocol, flowTimeoutMs }, index) =>
      protocol === "tcp" || flowTimeoutMs !== undefined ? [index + 1] : []
    );
    this.#families = ([4, 6] as const).filter((family) =>
      vips.some(({ address }) => address.length === (family === 4 ? 4 : 16))
    );
  }

  /** Open connections found by the last look, over all services, and UDP flows that are kept. */
  get count(): number {
    return this.#count;
  }

  /** Those of them that stayed although their buckets moved away. */
  get retained(): number {
    return this.#retained;
  }

  /** Reads the kernel's TCP sockets, half-open ones included, and the UDP flows, and sorts them into buckets. */
  look(): HeldBuckets[] {
    const held = new Map(this.#tables.map((table) => [table, new Uint8Array(BUCKET_BITMAP_BYTES)]));
    this.#count = 0;
    this.#retained = 0;
    this.each(({ table, bucket }) => {
      held.get(table)![bucket >> 3] |= 1 << (bucket & 7);
      this.#countOne(table, bucket);
    });
    for (const flows of this.flowTables()) {
      flows.each(boottimeMs32(), (table, bucket) => {
        // They are owned, and so retained, by whole groups.
        const first = firstOfGroup(bucket);
        held.get(table)!.fill(0xff, first >> 3, (first + GROUP_BUCKETS) >> 3);
        this.#countOne(table, bucket);
      });
    }
    return [...held].map(([table, buckets]) => ({ table, buckets }));
  }

  #countOne(table: number, bucket: number): void {
    this.#count++;
    if ((this.claims.tables[table][bucket] & (RETAINED | CLAIM)) === RETAINED) this.#retained++;
  }

  /** Visits every open connection to a service of the farm. */
  each(visit: (connection: OpenConnection) => void): void {
    for (const family of this.#families) {
      this.#diag.dumpTcp(family, (local, virtualPort, client, clientPort) => {
        const virtualIp = this.#vips.find(family, local, 0);
        const table = virtualIp < 0 ? 0 : this.#services.tcp(virtualIp, virtualPort);
        // A program of this host: its packets stay here, and no filter sees them.
        if (table === 0 || this.#vips.find(family, client, 0) >= 0) return;
        const affinity = this.#services.affinity[table] as Affinity;
        const bucket = this.#flowHash.bucket(affinity, client, 0, family, clientPort);
        visit({ table, bucket, virtualIp, virtualPort, client, clientPort });
      });
    }
  }

  close(): void {
    this.#diag.close();
  }
}
