/** A farm of plain values behind the admin endpoint, and the endpoint on real sockets. */

import { createAdminApp } from "../../../src/admin/app.ts";
import { EventLog } from "../../../src/admin/event_log.ts";
import { type AdminServer, serveAdmin } from "../../../src/admin/server.ts";
import type {
  DatapathCounters,
  Explanation,
  FarmSource,
  FarmStatus,
  HeartbeatCounters,
  MemberStatus,
  OrderResult,
  OrderVerb,
  Readiness,
} from "../../../src/admin/source.ts";
import type {
  BucketsAnswer,
  CheckAnswer,
  FlowsAnswer,
  FlowsQuestion,
  LogLevel,
} from "../../../src/admin/detail_schemas.ts";
import { bucketMap } from "../../../src/control/bucket_map.ts";
import { flowsPage } from "../../../src/control/flow_list.ts";
import type { IpAddress } from "../../../src/core/address.ts";
import { BUCKETS } from "../../../src/core/limits.ts";
import { VipfarmError } from "../../../src/core/errors.ts";

/** Three nodes, two services. Orders change the values as a farm would: shares follow weights. */
export class PlainFarm implements FarmSource {
  readonly events: EventLog;
  status: FarmStatus;
  readiness: Readiness = { ready: true, reason: "this node takes new flows" };
  datapath: DatapathCounters[] = [
    {
      interface: "eth0",
      captured: 12,
      verdicts: { accepted: 4, not_owner: 8 },
      ringDrops: 1,
      tunWriteErrors: 2,
    },
  ];
  heartbeats: HeartbeatCounters = {
    sent: 100,
    sendErrors: 1,
    received: 198,
    refused: { forged: 3, malformed: 2 },
  };
  readonly orders: Array<{ node: string; verb: OrderVerb; value?: number }> = [];
  unreachable = new Set<string>();
  broken = false;

  constructor(events = new EventLog()) {
    this.events = events;
    this.status = {
      farm: "web",
      node: "n1",
      version: "0.1.0",
      health: "3 of 3 nodes are up; every bucket has an owner.",
      members: ["n1", "n2", "n3"].map((name, index) => member(name, index === 0)),
      services: [
        {
          name: "http",
          virtual_ips: ["192.0.2.100"],
          protocol: "tcp",
          ports: [{ from: 80, to: 80 }, { from: 8000, to: 8100 }],
          affinity: "connection",
        },
        {
          name: "dns",
          virtual_ips: ["192.0.2.100"],
          protocol: "udp",
          ports: [{ from: 53, to: 53 }],
          affinity: "client",
        },
      ],
      warnings: [],
      heartbeat_networks: [{
        network: "eth0 (multicast 239.255.86.70)",
        sending: true,
        members: [{ name: "n2", last_heard_ms: 12 }],
      }],
      virtual_ips: [{
        address: "192.0.2.100",
        mode: "multicast",
        mac: "03:76:c0:00:02:64",
        interface: "eth0",
      }],
    };
    this.share();
  }

  /** Gives everybody the share that the weights say. */
  share(): void {
    for (const service of this.status.services) {
      const total = this.status.members.reduce((sum, { weights }) => sum + weights[service.name], 0);
      for (const entry of this.status.members) {
        entry.shares[service.name] = total === 0 ? 0 : entry.weights[service.name] / total;
        if (entry.self) entry.claimed = { ...entry.shares };
      }
    }
  }

  farm(): FarmStatus {
    if (this.broken) throw new TypeError("the farm is broken");
    return this.status;
  }

  explain(client: IpAddress, port: number | undefined, service: string | undefined): Explanation {
    const serving = this.status.members.filter((entry) => entry.weight > 0);
    if (client.text === "0.0.0.0") {
      throw new VipfarmError({
        operation: "explain",
        problem: "no packet comes from this address",
        remedy: "Give another.",
      });
    }
    const bucket = (client.bytes[client.bytes.length - 1] * 257 + (port ?? 0)) & 0xffff;
    return {
      service,
      affinity: this.status.services.find((entry) => entry.name === service)?.affinity ?? "client",
      bucket,
      owner: serving[bucket % serving.length]?.name,
      runnerUp: serving[(bucket + 1) % serving.length]?.name,
      scores: serving.map((entry, index) => ({
        name: entry.name,
        weight: entry.weight,
        score: index === 0 ? Infinity : 1,
      })),
      why: `bucket ${bucket} scores highest for its owner`,
    };
  }

  counters(): DatapathCounters[] {
    return this.datapath;
  }

  heartbeatCounters(): HeartbeatCounters {
    return this.heartbeats;
  }

  services(): FarmStatus["services"] {
    return this.farm().services;
  }

  logLevel: LogLevel = "info";

  checks(): CheckAnswer[] {
    return [{
      name: "web",
      kind: "http",
      services: ["http"],
      state: "up",
      since: "2026-01-01T00:00:00.000Z",
      reason: "answered 200 in 3 ms",
      last_duration_ms: 3,
      action: "leave",
      failures: 0,
      runs: 12,
    }];
  }

  buckets(service: string | undefined): BucketsAnswer {
    const owner = new Uint8Array(BUCKETS).map((_, bucket) => bucket % 3);
    const members = this.status.members.map(({ name, weight }) => ({
      name,
      weight,
      column: new Float64Array(0),
    }));
    return bucketMap("n1", service, { members, owner }, owner.map((index) => index === 0 ? 1 : 0), true);
  }

  flows(question: FlowsQuestion): FlowsAnswer {
    const client = Uint8Array.of(198, 51, 100, 7);
    return flowsPage(
      (visit) => {
        for (let clientPort = 40_000; clientPort < 40_250; clientPort++) {
          visit({ table: 1, bucket: clientPort & 1023, virtualIp: 0, virtualPort: 80, client, clientPort });
        }
      },
      question,
      {
        node: "n1",
        services: ["http", "dns"],
        virtualIps: ["192.0.2.100"],
        flags: () => 4,
        owners: () => ({ members: [], owner: new Uint8Array(BUCKETS).fill(255) }),
      },
    );
  }

  configuration() {
    return { digest: "0123456789abcdef", config: { farm: "web" } };
  }

  history() {
    return { interval_ms: 1000, at_ms: [], nodes: {} };
  }

  ready(service?: string): Readiness {
    return service === "dns" ? { ready: false, reason: "weight 0 in dns" } : this.readiness;
  }

  order(node: string, verb: OrderVerb, value?: number): Promise<OrderResult> {
    this.orders.push({ node, verb, value });
    if (this.unreachable.has(node)) {
      return Promise.resolve({
        outcome: "refused",
        code: "node_unreachable",
        message: `${node} did not answer`,
        remedy: "Look whether it lives.",
      });
    }
    if (verb === "start" || verb === "stop" || verb === "restart") {
      return Promise.resolve({
        outcome: "refused",
        code: "order_refused",
        message: "no application is configured",
        remedy: "Give the file an `application` (see config/vipfarm.yaml).",
      });
    }
    if (verb === "reload") {
      return Promise.resolve({ outcome: "unchanged", message: `${node}: was so already` });
    }
    const target = this.status.members.find((entry) => entry.name === node)!;
    const weight = verb === "drain" ? 0 : verb === "resume" ? 100 : value ?? 0;
    if (weight === target.weight) {
      return Promise.resolve({ outcome: "unchanged", message: `${node} has weight ${weight} already` });
    }
    target.weight = weight;
    for (const service of Object.keys(target.weights)) target.weights[service] = weight;
    target.state = verb === "drain" ? "draining" : "up";
    this.share();
    return Promise.resolve({ outcome: "done", message: `${node} has weight ${weight} now` });
  }
}

function member(name: string, self: boolean): MemberStatus {
  return {
    name,
    state: "up",
    reason: self ? "this node" : "heard on time",
    self,
    address: `10.0.0.${name.slice(1)}`,
    incarnation: 1,
    weight: 100,
    weights: { http: 100, dns: 100 },
    shares: {},
  };
}

/** A served farm. */
export interface Served {
  readonly farm: PlainFarm;
  readonly server: AdminServer;
  readonly unixPath: string;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
}

/** Serves `farm` on a Unix socket and on loopback while `run` runs. */
export async function withServer(
  options: Parameters<typeof createAdminApp>[1],
  run: (served: Served) => Promise<void>,
  farm = new PlainFarm(),
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const unixPath = `${directory}/admin.sock`;
  const app = createAdminApp(farm, options);
  const listen = { host: "127.0.0.1", port: 0 };
  const server = await serveAdmin({ app, unixPath, listen, tokens: options?.tokens !== undefined });
  try {
    await run({ farm, server, unixPath, url: `http://127.0.0.1:${server.address!.port}` });
  } finally {
    await server.shutdown();
    await Deno.remove(directory, { recursive: true });
  }
}
