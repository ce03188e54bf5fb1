/**
 * The farm as the admin endpoint shows it: the membership thread's last view, the packet threads' counters and the
 * claims in shared memory, put into words and numbers. Answers at once, from memory.
 */
import { type EventLog } from "../admin/event_log.ts";
import {
  type DatapathCounters,
  type Explanation,
  type FarmSource,
  type FarmStatus,
  type FarmWarning,
  type HeartbeatCounters,
  type OrderResult,
  type OrderVerb,
  type Readiness,
} from "../admin/source.ts";
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type IpAddress } from "../core/address.ts";
import { type FarmKeys } from "../core/keys.ts";
import { BUCKETS } from "../core/limits.ts";
import { isLastResort, plainWeight } from "../core/weight.ts";
import { PRESENCE } from "../dataplane/plan.ts";
import { type SharedClaims, type SharedCounters } from "../dataplane/shared.ts";
import { type Verdict, VERDICTS } from "../dataplane/verdicts.ts";
import { type ClaimsBasis, type MemberView } from "../membership/types.ts";
import { explainFlow } from "../ownership/explain.ts";
import { AFFINITY } from "../ownership/flow_hash.ts";
import { Columns } from "../ownership/rendezvous.ts";
import { OwnerTable } from "../ownership/table.ts";
import { type FromMembership, type HeartbeatTotals } from "../thread_messages.ts";
import { lanWarnings, networkWarnings } from "./warnings.ts";
import { VERSION } from "../version.ts";
import { formatMac, virtualMac } from "../wire/ethernet.ts";

/** Members that take part in tables: what the membership thread builds claims from, this node included. */
type Voters = ReadonlyArray<{ name: string; weights: readonly number[] }>;

/** What the membership thread tells about the networks. */
type NetworkState = Omit<Extract<FromMembership, { kind: "networks" }>, "kind">;

/** Verdicts of frames that need no virtual MAC to arrive. */
const NOT_FOR_THE_FARM: readonly Verdict[] = [
  "foreign",
  "neighbour_answered",
  "neighbour_not_owner",
  "neighbour_ignored",
];

/** What the running farm is made of. */
export interface FarmParts {
  config: FarmConfig;
  node: NodeConfig;
  keys: FarmKeys;
  events: EventLog;
  claims: SharedClaims;
  dataplanes: ReadonlyArray<{ interface: string; counters: SharedCounters; filtered?: () => number }>;
  order(node: string, verb: OrderVerb, value?: number): Promise<OrderResult>;
  now32(): number;
}

export class Farm implements FarmSource {
  readonly events: EventLog;
  readonly #columns: Columns;
  #members: readonly MemberView[] = [];
  #basis: ClaimsBasis | undefined;
  /** Shares of the current view, computed when first asked for. */
  #shares: Array<Map<string, number>> | undefined;
  #totals: HeartbeatTotals | undefined;
  /** How often the membership thread has told its totals: it lives as long as this grows. */
  membershipReports = 0;
  #networks: NetworkState = { atMs: 0, networks: [], frames: [], finding: undefined };

  constructor(readonly parts: FarmParts) {
    this.events = parts.events;
    this.#columns = new Columns(parts.keys.rendezvousKey);
  }

  /** Takes a new view of the membership thread. */
  update(members: readonly MemberView[], basis: ClaimsBasis): void {
    this.#members = members;
    this.#basis = basis;
    this.#shares = undefined;
  }

  updateTotals(totals: HeartbeatTotals): void {
    this.#totals = totals;
    this.membershipReports++;
  }

  /**
   * Frames for the virtual IPs that this node has seen, whatever became of them. Questions about the addresses are not
   * among them: they are broadcast, and come where nothing else comes.
   */
  vipFramesSeen(): number {
    let seen = 0;
    for (const { captured, filtered, ringDrops, verdicts } of this.counters()) {
      seen += captured + (filtered ?? 0) + ringDrops;
      for (const verdict of NOT_FOR_THE_FARM) seen -= verdicts[verdict];
    }
    return Math.max(0, seen);
  }

  /** Frames for the virtual IPs that the living members have seen since their starts, by name. */
  vipFrames(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#networks.frames.map(({ name, frames }) => [name, frames]));
  }

  /** Takes what the membership thread sees of the networks. */
  updateNetworks(networks: NetworkState): void {
    this.#networks = networks;
  }

  get members(): readonly MemberView[] {
    return this.#members;
  }

  farm(): FarmStatus {
    const { config, node } = this.parts;
    const shares = this.#sharesNow();
    return {
      farm: config.farm,
      node: node.name,
      version: VERSION,
      health: this.#health(),
      members: this.#members.map((member) => ({
        name: member.name,
        state: member.state,
        reason: member.reason,
        self: member.self,
        ...(member.address !== "" && { address: member.address }),
        incarnation: member.incarnation,
        weight: this.#weightOf(member),
        weights: this.#byService((table) => plainWeight(member.weights[table] ?? 0)),
        last_resort: config.services.filter((_, index) => isLastResort(member.weights[index + 1] ?? 0))
          .map(({ name }) => name),
        shares: this.#byService((table) => shares[table].get(member.name) ?? 0),
        ...(member.self && { claimed: this.#byService((table) => this.#claimedShare(table)) }),
      })),
      services: config.services.map((service) => ({
        name: service.name,
        virtual_ips: service.virtualIps.map(({ text }) => text),
        protocol: service.protocol,
        ports: service.ports.map(({ from, to }) => ({ from, to })),
        affinity: service.affinity,
      })),
      warnings: this.#warnings(),
      heartbeat_networks: this.#networks.networks.map(({ label, sending, heard }) => ({
        network: label,
        sending,
        members: Object.entries(heard).sort(([a], [b]) => a < b ? -1 : 1).map(([name, heardMs]) => ({
          name,
          last_heard_ms: heardMs === undefined
            ? null
            : Math.max(0, Math.round(this.#networks.atMs - heardMs)),
        })),
      })),
      virtual_ips: node.virtualIps.map(({ address, mode, interface: name }) => ({
        address: address.text,
        mode,
        mac: formatMac(virtualMac(address, mode)),
        interface: name,
      })),
    };
  }

  explain(client: IpAddress, port: number | undefined, service: string | undefined): Explanation {
    const { config, keys } = this.parts;
    const index = config.services.findIndex(({ name }) => name === service);
    const affinity = index < 0 ? "client" : config.services[index].affinity;
    const table = index + 1;
    const answer = explainFlow(
      {
        client,
        port,
        affinity: AFFINITY[affinity],
        flowKey: keys.flowKey,
        rendezvousKey: keys.rendezvousKey,
      },
      this.#voters().map(({ name, weights }) => ({ name, weight: weights[table] ?? 0 })),
    );
    return { ...answer, service: index < 0 ? undefined : service, affinity };
  }

  counters(): readonly DatapathCounters[] {
    return this.parts.dataplanes.map(({ interface: name, counters, filtered }) => {
      const all = counters.read();
      return {
        interface: name,
        captured: all.captured,
        filtered: filtered?.(),
        verdicts: Object.fromEntries(VERDICTS.map((verdict) => [verdict, all[verdict]])),
        ringDrops: all.ring_drops,
        tunWriteErrors: all.inject_failed,
      };
    });
  }

  heartbeatCounters(): HeartbeatCounters {
    const totals = this.#totals;
    return {
      sent: totals?.sent ?? 0,
      sendErrors: totals?.sendErrors ?? 0,
      received: totals?.received ?? 0,
      refused: totals?.refused ?? {},
      latenessMsMax: totals?.latenessMsMax,
      membership: totals?.membership,
    };
  }

  ready(service?: string): Readiness {
    if (!this.parts.claims.leaseHolds(this.parts.now32())) {
      const self = this.#self();
      return { ready: false, reason: self?.reason ?? "the daemon is starting" };
    }
    const { services } = this.parts.config;
    const claiming = services.some(({ name }, index) =>
      (service === undefined || name === service) && this.#claimedShare(index + 1) > 0
    );
    if (claiming) return { ready: true, reason: "this node takes new flows" };
    return { ready: false, reason: "this node takes no new flows: its weight is 0, or it is draining" };
  }

  order(node: string, verb: OrderVerb, value?: number): Promise<OrderResult> {
    return this.parts.order(node, verb, value);
  }

  /** What somebody should look at although the farm serves. */
  #warnings(): FarmWarning[] {
    return [...lanWarnings(this.#networks.finding), ...networkWarnings(this.#networks.networks)];
  }

  /** The state of the farm in one sentence, worst news first. */
  #health(): string {
    const present = this.#members.filter(({ state }) => state !== "dead");
    const serving = present.filter(({ state }) => state === "up");
    const self = this.#self();
    if (self === undefined) return "This node is starting.";
    if (serving.length === 0) {
      return self.state === "joining"
        ? "This node is joining; no other serves that it can hear."
        : "No node takes new connections.";
    }
    const nodes = (count: number) => count === 1 ? "1 node" : `${count} nodes`;
    const troubled = this.#members.filter(({ state }) => state !== "up");
    const main = `${nodes(serving.length)} of ${this.#members.length} ${
      serving.length === 1 ? "serves" : "serve"
    }`;
    if (troubled.length === 0) {
      return serving.length === 1
        ? `The only node serves; nobody takes over if it fails.`
        : `All ${serving.length} nodes serve.`;
    }
    return `${main}; ${troubled.map(({ name, state }) => `${name} is ${state}`).join(", ")}.`;
  }

  #self(): MemberView | undefined {
    return this.#members.find(({ self }) => self);
  }

  /** The weight that a node asks for where no service has its own: the largest, which is what `weight` sets. */
  #weightOf(member: MemberView): number {
    return Math.max(0, ...member.weights.slice(PRESENCE + 1).map(plainWeight));
  }

  #voters(): Voters {
    const basis = this.#basis;
    if (basis === undefined) return [];
    return [{ name: basis.ownName, weights: basis.ownWeights }, ...basis.members];
  }

  #sharesNow(): Array<Map<string, number>> {
    return this.#shares ??= this.parts.claims.tables.map((_, table) => {
      const voters = this.#voters();
      const counts = OwnerTable.build(
        voters.map(({ name, weights }) => ({
          name,
          weight: weights[table] ?? 0,
          column: this.#columns.of(name),
        })),
      ).counts();
      return new Map(voters.map(({ name }, index) => [name, counts[index] / BUCKETS]));
    });
  }

  #claimedShare(table: number): number {
    if (!this.parts.claims.leaseHolds(this.parts.now32())) return 0;
    return this.parts.claims.claimedCount(table) / BUCKETS;
  }

  #byService(value: (table: number) => number): Record<string, number> {
    return Object.fromEntries(this.parts.config.services.map(({ name }, index) => [name, value(index + 1)]));
  }
}
