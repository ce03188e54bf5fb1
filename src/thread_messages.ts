/**
 * What the control thread and its workers say to each other. Plain data; big and frequent things go through shared
 * memory instead. A message to a worker is followed by one signal on its eventfd: a worker sleeps in poll(2).
 */
import { type VipfarmErrorInit } from "./core/errors.ts";
import { type FarmEventInit } from "./core/events.ts";
import { type FarmKeys } from "./core/keys.ts";
import { type DataplanePlan } from "./dataplane/plan.ts";
import { type PublishedTable } from "./dataplane/claims_publisher.ts";
import { type LanFinding, type LanSample, type LanVip } from "./membership/lan.ts";
import { type NetworkReport } from "./membership/networks.ts";
import { type VipReach } from "./membership/reach.ts";
import { type SavedSender } from "./membership/replay.ts";
import { type SavedMembership } from "./membership/saved.ts";
import { type QuorumRule } from "./membership/quorum.ts";
import { type ClaimsBasis, type MembershipCounters, type MemberView } from "./membership/types.ts";
import { type Answer, type Order, type RejectReason } from "./wire/heartbeat.ts";

/** One network on which heartbeats go. */
export interface HeartbeatNetwork {
  interfaceName: string;
  interfaceIndex: number;
  /** How they go there, for people: `multicast 239.255.86.70`. */
  via: string;
  /** Multicast group to join, 4 or 16 bytes. */
  group?: Uint8Array;
  /** Without a group: the address of this node to bind to, 4 or 16 bytes; zeroes for any. */
  localAddress?: Uint8Array;
  /** Where heartbeats are sent: the group, or peers. */
  targets: Uint8Array[];
}

/** What the kernel holds of one table: one bit for each bucket. */
export interface HeldConnections {
  table: number;
  buckets: Uint8Array;
}

/** Everything the membership thread starts from. */
export interface MembershipPlan {
  name: string;
  incarnation: number;
  intervalMs: number;
  weights: number[];
  draining: boolean;
  retain?: readonly boolean[];
  servicesDigest: number;
  quorum: QuorumRule | undefined;
  port: number;
  networks: HeartbeatNetwork[];
  keys: FarmKeys;
  wakeDescriptor: number;
  tables: PublishedTable[];
  /** In the order of the file. */
  virtualIps: readonly LanVip[];
  claims: SharedArrayBuffer;
  /** Who was there when another process of this node ran: their columns are computed ahead. */
  members: readonly string[];
  /** Connections that this kernel has from before this program was started, as buckets. */
  held: HeldConnections[];
  /** Prepare only: another process of this node takes part. `restore` and `begin` follow. */
  standby: boolean;
  /** Descriptor of the kernel's copy of the claims; undefined where the kernel has no prefilter. */
  kernelClaimsDescriptor?: number;
}

export type ToMembership =
  | { kind: "start"; plan: MembershipPlan }
  /** `retain`: for each table, whether connections in buckets that it loses are kept; all, if it is left out. */
  | { kind: "settings"; weights: number[]; draining: boolean; retain?: readonly boolean[] }
  /** What heartbeats report of this node, about once a second; `urgent`: its state has changed, it goes out at once. */
  | { kind: "report"; text: string; vipFramesSeen: number; vipReach: VipReach; urgent?: boolean }
  | { kind: "order"; order: Order }
  | { kind: "answer"; id: string; code: Answer["code"]; text: string }
  /** What the kernel holds, for each table with connections. */
  | { kind: "connections"; lossCount: number; held: HeldConnections[] }
  /** Say where the protocol stands. */
  | { kind: "save"; ask: number }
  /** Stop the protocol and say where it stands. */
  | { kind: "freeze"; ask: number }
  /** Go on after `freeze`. */
  | { kind: "thaw" }
  /** End after `freeze`: another process goes on. */
  | { kind: "end" }
  /** Do once, ahead of time, what `restore` and the first heartbeat will take. */
  | { kind: "rehearse"; membership: SavedMembership; held: HeldConnections[] }
  /** Claim what another process of this node claims. */
  | { kind: "restore"; membership: SavedMembership; senders: readonly SavedSender[] }
  /** After `restore`: the other process has stopped. */
  | { kind: "begin"; weights: number[]; draining: boolean; retain?: readonly boolean[] }
  | { kind: "leave" }
  | { kind: "goodbye" };

export type FromMembership =
  | { kind: "ready" }
  /** It could not start. As an error of the worker this would arrive as text alone, without its remedy. */
  | { kind: "failed"; failure: VipfarmErrorInit }
  | { kind: "view"; members: MemberView[]; basis: ClaimsBasis }
  | { kind: "event"; event: FarmEventInit }
  | { kind: "order"; order: Order }
  | { kind: "orderResult"; id: string; target: string; code: Answer["code"] | "unanswered"; text: string }
  /** Buckets were lost whose connections the kernel may still have. */
  | { kind: "lost"; lossCount: number }
  /** Number of groups that are still retained, all tables together. */
  | { kind: "retained"; groups: number }
  | { kind: "counters"; counters: HeartbeatTotals }
  /** Once a second: what the membership thread sees of the networks. */
  | {
    kind: "networks";
    atMs: number;
    networks: NetworkReport[];
    /** Frames for the virtual IPs that each living member has seen since its start. */
    frames: LanSample[];
    finding: LanFinding | undefined;
  }
  | { kind: "rehearsed" }
  | { kind: "saved"; ask: number; membership: SavedMembership; senders: SavedSender[]; isFrozen: boolean }
  | { kind: "restored" }
  | { kind: "handedOver" }
  | { kind: "finished" };

/** Totals of the membership thread since its start. */
export interface HeartbeatTotals {
  sent: number;
  sendErrors: number;
  received: number;
  /** By sender, since this process knows of it. */
  lost: Record<string, number>;
  refused: Record<RejectReason, number>;
  membership: MembershipCounters;
  /** Largest lateness of a tick in the last second, in ms. */
  latenessMsMax: number;
}

export type ToDataplane = { kind: "start"; plan: DataplanePlan };
export type FromDataplane = { kind: "ready"; prefilterRefused?: string } | { kind: "ended" };
