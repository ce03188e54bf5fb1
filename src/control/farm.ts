/**
 * The farm as the admin endpoint shows it: the membership thread's last view, the packet threads' counters and the
 * claims in shared memory, put into words and numbers. Answers at once, from memory.
 */
import {
  type BucketsAnswer,
  type CheckAnswer,
  type FlowsAnswer,
  type FlowsQuestion,
  type HistoryAnswer,
  type LogLevel,
} from "../admin/detail_schemas.ts";
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
  type ServiceStatus,
} from "../admin/source.ts";
import { type FarmConfig, type NodeConfig, weightsOf } from "../config/load.ts";
import { type IpAddress } from "../core/address.ts";
import { type FarmKeys } from "../core/keys.ts";
import { BUCKETS } from "../core/limits.ts";
import { type HealthState } from "../health/types.ts";
import { PRESENCE } from "../dataplane/plan.ts";
import { type SharedClaims } from "../dataplane/shared.ts";
import { type ClaimsBasis, type MemberView } from "../membership/types.ts";
import { lastHeardMs } from "../membership/networks.ts";
import { probeSenders, REACH_UNKNOWN, ReachTest, type VipReach } from "../membership/reach.ts";
import { explainFlow } from "../ownership/explain.ts";
import { AFFINITY } from "../ownership/flow_hash.ts";
import { type FromMembership, type HeartbeatTotals } from "../thread_messages.ts";
import { VERSION } from "../version.ts";
import { formatMac, virtualMac } from "../wire/ethernet.ts";
import { bucketMap } from "./bucket_map.ts";
import { configView } from "./config_view.ts";
import { type Connections } from "./connections.ts";
import { type CountedDataplane, datapathCounters, probesSeen, vipFramesSeen } from "./datapath_counters.ts";
import { flowsPage } from "./flow_list.ts";
import { healthSentence } from "./health_sentence.ts";
import { History } from "./history.ts";
import { type LogSwitch } from "./log_switch.ts";
import { memberStatus } from "./member_status.ts";
import { OwnerTables } from "./owner_tables.ts";
import { type Reloaded } from "./reload.ts";
import { type ApplicationView, Reports, shortDigest } from "./reports.ts";
import { configWarnings, fileWarnings, lanWarnings, missingWarnings, networkWarnings } from "./warnings.ts";

/** What the membership thread tells about the networks. */
type NetworkState = Omit<Extract<FromMembership, { kind: "networks" }>, "kind">;

/** What the running farm is made of. */
export interface FarmParts {
  /** The configuration in use: reading it again can change it. */
  config(): FarmConfig;
  /** What became of the file when it was last read again, if that was refused. */
  refusedFile?(): Reloaded | undefined;
  node: NodeConfig;
  keys: FarmKeys;
  events: EventLog;
  claims: SharedClaims;
  dataplanes: readonly CountedDataplane[];
  connections: Connections;
  log: LogSwitch;
  order(node: string, verb: OrderVerb, value?: number): Promise<OrderResult>;
  /** Open connections of this kernel in buckets that have moved away. */
  retained(): number;
  /** What the checks of this node have found. */
  health?(): HealthState;
  /** The application of this node. */
  application?(): ApplicationView;
  now32(): number;
  /** The clock of the membership thread, in ms. */
  nowMs(): number;
}

export class Farm implements FarmSource {
  readonly events: EventLog;
  readonly #owners: OwnerTables;
  readonly #reports: Reports;
  #observeTakeover: (durationMs: number) => void = () => {};
  readonly #history = new History();
  #members: readonly MemberView[] = [];
  readonly #reach = new ReachTest();
  #lan = { vipFramesSeen: 0, vipReach: REACH_UNKNOWN };
  #totals: HeartbeatTotals | undefined;
  #networks: NetworkState = { atMs: 0, networks: [], frames: [], finding: undefined };

  constructor(readonly parts: FarmParts) {
    this.events = parts.events;
    this.#owners = new OwnerTables(
      parts.keys.rendezvousKey,
      (table) => table > 0 && this.#config.services[table - 1].flowTimeoutMs !== undefined,
    );
    this.#reports = new Reports({
      config: parts.config,
      connections: parts.connections,
      retained: parts.retained,
      claimedShare: (table) => this.#claimedShare(table),
      checks: () => parts.health?.().checks ?? [],
      application: () => parts.application?.(),
      latenessMs: () => this.#totals?.latenessMsMax ?? 0,
      nowMs: parts.nowMs,
    });
  }

  get #config(): FarmConfig {
    return this.parts.config();
  }

  /** Takes a new view of the membership thread. */
  update(members: readonly MemberView[], basis: ClaimsBasis): void {
    this.#noteTakeovers(members);
    this.#members = members;
    this.#owners.update(basis);
    this.events.stir(); // who watches the farm is told
    this.#reports.hear(members);
  }

  /** Keeps a sample of everything; once a second. Gives the members as they stand. */
  sample(wallMs: number): FarmStatus["members"] {
    const counters = this.counters();
    this.#lan = { vipFramesSeen: vipFramesSeen(counters), vipReach: this.#sampleReach(counters) };
    this.#reports.sample(counters);
    const members = this.#memberStatus();
    this.#history.sample(wallMs, members);
    return members;
  }

  /** What the other nodes are told of this one: its report as it is now, and what it saw of the LAN at the last sample. */
  announcement(): { text: string; vipFramesSeen: number; vipReach: VipReach } {
    return { text: this.#reports.text(), ...this.#lan };
  }

  updateTotals(totals: HeartbeatTotals): void {
    this.#totals = totals;
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
    const { node } = this.parts;
    const members = this.#memberStatus();
    return {
      farm: this.#config.farm,
      node: node.name,
      version: VERSION,
      health: healthSentence(members, this.#networks.finding),
      members,
      services: [...this.services()],
      warnings: this.#warnings(members),
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

  services(): readonly ServiceStatus[] {
    return this.#config.services.map((service) => ({
      name: service.name,
      virtual_ips: service.virtualIps.map(({ text }) => text),
      protocol: service.protocol,
      ports: service.ports.map(({ from, to }) => ({ from, to })),
      affinity: service.affinity,
    }));
  }

  checks(): readonly CheckAnswer[] {
    return (this.parts.health?.().checks ?? []).map((check) => ({
      name: check.name,
      kind: check.kind,
      services: [...check.services],
      state: check.state,
      since: check.since,
      reason: check.reason,
      last_duration_ms: check.lastDurationMs ?? null,
      action: check.action,
      failures: check.failures,
      runs: check.runs,
      ...(check.output !== undefined && { output: check.output }),
    }));
  }

  buckets(service: string | undefined): BucketsAnswer {
    const table = this.#tableOf(service);
    const { claims, node } = this.parts;
    return bucketMap(
      node.name,
      service,
      this.#owners.table(table),
      claims.tables[table],
      claims.leaseHolds(this.parts.now32()),
    );
  }

  flows(question: FlowsQuestion): FlowsAnswer {
    const { connections, claims, node } = this.parts;
    return flowsPage((visit) => connections.each(visit), question, {
      node: node.name,
      services: this.#config.services.map(({ name }) => name),
      virtualIps: node.virtualIps.map(({ address }) => address.text),
      flags: (table, bucket) => claims.tables[table][bucket],
      owners: (table) => this.#owners.table(table),
    });
  }

  configuration(): { digest: string; config: Record<string, unknown> } {
    return { digest: this.#digest(), config: configView(this.#config) };
  }

  history(afterMs: number | undefined): HistoryAnswer {
    return this.#history.since(afterMs);
  }

  onTakeover(observe: (durationMs: number) => void): void {
    this.#observeTakeover = observe;
  }

  scriptsRun(): number {
    return this.parts.application?.().scriptsRun ?? 0;
  }

  get logLevel(): LogLevel {
    return this.parts.log.level;
  }

  set logLevel(level: LogLevel) {
    this.parts.log.level = level;
  }

  explain(client: IpAddress, port: number | undefined, service: string | undefined): Explanation {
    const { keys } = this.parts;
    const table = this.#tableOf(service);
    const affinity = table === 0 ? "client" : this.#config.services[table - 1].affinity;
    const answer = explainFlow(
      {
        client,
        port,
        affinity: AFFINITY[affinity],
        grouped: this.#owners.isGrouped(table),
        flowKey: keys.flowKey,
        rendezvousKey: keys.rendezvousKey,
      },
      this.#owners.voters.map(({ name, weights }) => ({ name, weight: weights[table] ?? 0 })),
    );
    return { ...answer, service: table === 0 ? undefined : service, affinity };
  }

  counters(): readonly DatapathCounters[] {
    return datapathCounters(this.parts.dataplanes);
  }

  heartbeatCounters(): HeartbeatCounters {
    const totals = this.#totals;
    return {
      sent: totals?.sent ?? 0,
      sendErrors: totals?.sendErrors ?? 0,
      received: totals?.received ?? 0,
      lost: totals?.lost,
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
    const { services } = this.#config;
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
  #warnings(members: FarmStatus["members"]): FarmWarning[] {
    return [
      ...lanWarnings(this.#networks.finding),
      ...networkWarnings(this.#networks.networks),
      ...missingWarnings(Object.keys(this.#config.nodes), members),
      ...configWarnings(members, this.#digest()),
      ...fileWarnings(this.parts.refusedFile?.()),
    ];
  }

  #memberStatus(): FarmStatus["members"] {
    const context = {
      services: this.#config.services.map(({ name }) => name),
      share: (table: number, name: string) => this.#owners.shares(table).get(name) ?? 0,
      weightInFile: (name: string) => Math.max(0, ...weightsOf(this.#config, name).slice(PRESENCE + 1)),
      digest: this.#digest(),
      heardAgoMs: (name: string) => {
        const { atMs, networks } = this.#networks;
        const heardMs = lastHeardMs(name, networks);
        return heardMs === undefined ? undefined : atMs - heardMs;
      },
      nowMs: this.parts.nowMs(),
      wallMs: Date.now(),
    };
    return this.#members.map((member) => memberStatus(member, this.#reports.of(member), context));
  }

  #digest(): string {
    return shortDigest(this.#config);
  }

  #sampleReach(counters: readonly DatapathCounters[]): VipReach {
    const { node: { virtualIps }, dataplanes, nowMs } = this.parts;
    const { servicesDigest } = this.#config;
    // One with other virtual IPs, or another mode, sends other probes, or expects them elsewhere.
    const members = this.#members.filter((member) =>
      member.state !== "dead" && member.state !== "suspect" && member.servicesDigest === servicesDigest
    ).map(({ name }) => name);
    const probes = probesSeen(virtualIps, dataplanes);
    return this.#reach.sample(
      virtualIps.map(({ interface: name }, index) => ({
        probes: probes[index],
        frames: vipFramesSeen(counters.filter((each) => each.interface === name)),
        senders: probeSenders(name, this.#networks.networks, members),
      })),
      nowMs(),
    );
  }

  /** A view comes after its claims were published: who is dead in it has been replaced. */
  #noteTakeovers(members: readonly MemberView[]): void {
    for (const { name, state, lastHeardMs } of members) {
      const before = this.#members.find((member) => member.name === name)?.state;
      // Who left in order gave its buckets away before it was gone.
      if (state !== "dead" || before === undefined || before === "dead" || before === "leaving") continue;
      this.#observeTakeover(this.parts.nowMs() - lastHeardMs);
    }
  }

  #self(): MemberView | undefined {
    return this.#members.find(({ self }) => self);
  }

  /** The number of a service; presence, if it is none. */
  #tableOf(service: string | undefined): number {
    return this.#config.services.findIndex(({ name }) => name === service) + 1;
  }

  #claimedShare(table: number): number {
    if (!this.parts.claims.leaseHolds(this.parts.now32())) return 0;
    return this.parts.claims.claimedCount(table) / BUCKETS;
  }
}
