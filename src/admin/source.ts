/**
 * What the admin endpoint needs to know and to do, as one interface. The control thread implements it over the
 * running farm; tests implement it over plain values. Nothing here knows HTTP.
 */

import type { IpAddress } from "../core/address.ts";
import type { MembershipCounters } from "../membership/types.ts";
import type {
  BucketsAnswer,
  CheckAnswer,
  FlowsAnswer,
  FlowsQuestion,
  HistoryAnswer,
  LogLevel,
} from "./detail_schemas.ts";
import type { EventLog } from "./event_log.ts";
import type { FarmStatus, ServiceStatus } from "./schemas.ts";

export type { FarmStatus, FarmWarning, MemberStatus, ServiceStatus } from "./schemas.ts";

/** Who serves a flow, and why. */
export interface Explanation {
  /** The service whose table decided; undefined: the table of presence (ARP, ping, uncovered ports). */
  readonly service: string | undefined;
  readonly affinity: "connection" | "client" | "network";
  readonly bucket: number;
  /** undefined: no member takes new flows. */
  readonly owner?: string;
  /** Who owns the bucket if the owner leaves. */
  readonly runnerUp?: string;
  readonly scores: ReadonlyArray<{ readonly name: string; readonly weight: number; readonly score: number }>;
  /** One sentence for people. */
  readonly why: string;
}

/** Totals of one packet thread since its start. They only grow. */
export interface DatapathCounters {
  /** Name of the interface. */
  readonly interface: string;
  /** Frames taken from the ring: equals the sum of `verdicts`. */
  readonly captured: number;
  /** Frames of other nodes that the kernel dropped before they were captured; undefined: it has no prefilter. */
  readonly filtered?: number;
  /** Name of the verdict → frames. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Frames that the kernel dropped because the ring was full. */
  readonly ringDrops: number;
  /** Writes to the TUN device that failed. */
  readonly tunWriteErrors: number;
  /** TCP connections that began here. */
  readonly newFlows?: number;
  /** Packets that the kernel itself handed on, without this program. */
  readonly fastPath?: number;
}

/** Totals of the membership thread since its start. They only grow. */
export interface HeartbeatCounters {
  readonly sent: number;
  readonly sendErrors: number;
  /** Accepted as genuine. */
  readonly received: number;
  /** Member → heartbeats of it that never arrived. */
  readonly lost?: Readonly<Record<string, number>>;
  /** Reason → datagrams that changed nothing: forged, replayed, of another farm, malformed. */
  readonly refused: Readonly<Record<string, number>>;
  /** Largest lateness of a tick of the membership thread in the last second, in ms. */
  readonly latenessMsMax?: number;
  readonly membership?: Pick<
    MembershipCounters,
    "suspicions" | "deaths" | "silences" | "rejoins" | "recordings" | "membersRefused"
  >;
}

/** Whether this node takes new flows, and why (not). */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** What can be asked of a node. */
export type OrderVerb = "drain" | "resume" | "start" | "stop" | "restart" | "reload" | "weight";

/** What became of an order: carried out (or nothing to do), or refused with a reason and a remedy. */
export type OrderResult =
  | { readonly outcome: "done" | "unchanged"; readonly message: string }
  | {
    readonly outcome: "refused";
    /** Stable and lower case, for scripts: `node_unreachable`. */
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
  };

/** The farm behind the admin endpoint. Every call but `order` answers at once, from memory. */
export interface FarmSource {
  /** The farm as this node sees it. */
  farm(): FarmStatus;
  /**
   * Who serves a flow. `service` is a name that `farm()` lists, or undefined; `port` is given whenever that
   * service's affinity needs it.
   * @throws VipfarmError if that cannot be told.
   */
  explain(client: IpAddress, port: number | undefined, service: string | undefined): Explanation;
  readonly events: EventLog;
  /** One entry for each packet thread. */
  counters(): readonly DatapathCounters[];
  heartbeatCounters(): HeartbeatCounters;
  /** Member → frames for the virtual IPs that it has seen since its start, as its heartbeats say. */
  vipFrames?(): Readonly<Record<string, number>>;
  /** `service` is a name that `farm()` lists; undefined: any service. */
  ready(service?: string): Readiness;
  /** The services alone: what is asked often needs no more. */
  services(): readonly ServiceStatus[];
  /** The checks of this node. */
  checks(): readonly CheckAnswer[];
  /** `service` is a name that `services()` lists; undefined: the table of presence. */
  buckets(service: string | undefined): BucketsAnswer;
  /** Open connections to the services, read from the kernel. */
  flows(question: FlowsQuestion): FlowsAnswer;
  /** The configuration in use, without secrets, and its digest. */
  configuration(): { readonly digest: string; readonly config: Record<string, unknown> };
  /** Samples after a moment (ms since 1970); undefined: all that are kept. */
  history(afterMs: number | undefined): HistoryAnswer;
  /** Tells `observe` of each takeover of a dead member's buckets: ms since its last heartbeat. */
  onTakeover?(observe: (durationMs: number) => void): void;
  /** Runs of the application's scripts since the start. */
  scriptsRun?(): number;
  /** The least severe that goes to the log. */
  logLevel: LogLevel;
  /** `node` is a name that `farm()` lists; `value` is the weight of `weight`. Settles within a deadline of its own. */
  order(node: string, verb: OrderVerb, value?: number): Promise<OrderResult>;
}
