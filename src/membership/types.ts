/** What goes into the membership state machine and what comes out of it, as values. */

import type { FarmEventInit } from "../core/events.ts";
import type { AnswerCode, Order } from "../wire/heartbeat.ts";
import type { QuorumRule } from "./quorum.ts";
import type { VipReach } from "./reach.ts";

/** How a node starts. All times are milliseconds of one monotonic clock. */
export interface MembershipOptions {
  readonly name: string;
  /** Greater than at any earlier start of this node: the wall clock in milliseconds. */
  readonly incarnation: number;
  readonly intervalMs: number;
  /** Wanted weight for each table; [0] is presence and is 1 for a node that takes part. */
  readonly weights: readonly number[];
  /** Start drained: take part, but take no new flows. */
  readonly draining?: boolean;
  readonly servicesDigest: number;
  /** Without it a node takes its share whoever is missing. */
  readonly quorum?: QuorumRule;
  readonly nowMs: number;
}

/** What the worker has to do. Effects must be carried out in the order given: see {@link Membership.takeEffects}. */
export type Effect =
  /** `basis()` changed: build and publish the claims before going on with the next effect. */
  | { readonly kind: "claims" }
  /** Accept packets until then; 0: accept nothing from now on. */
  | { readonly kind: "lease"; readonly deadlineMs: number }
  /** Call `heartbeat()`, encode and send it, and report with `sent()`. */
  | { readonly kind: "send"; readonly urgent: boolean }
  /** Something to tell people. */
  | { readonly kind: "event"; readonly event: FarmEventInit }
  /** `view()` changed. */
  | { readonly kind: "view" }
  /** The buckets that this member retains changed, or it is `gone` with them: see `retainedByOthers()`. */
  | { readonly kind: "retained"; readonly member: string; readonly gone: boolean }
  /** An order for this node: carry it out and call `answerOrder()`. Each order comes once. */
  | { readonly kind: "order"; readonly order: Order }
  /** What became of an order that this node issued. */
  | {
    readonly kind: "orderResult";
    readonly id: string;
    readonly target: string;
    readonly code: AnswerCode | "unanswered";
    readonly text: string;
  }
  /** After `leave()`: the others have taken over. Wait for open connections, then call `goodbye()`. */
  | { readonly kind: "handedOver" }
  /** After `goodbye()`: nothing more will be sent. */
  | { readonly kind: "finished" };

/**
 * What claims follow from. This node claims bucket b of table s if it is the owner among `members` and itself
 * with `ownWeights`, and, if there are `ownPreviousWeights`, with those too. A missing weight is 0.
 */
export interface ClaimsBasis {
  readonly ownName: string;
  readonly ownWeights: readonly number[];
  readonly ownPreviousWeights: readonly number[] | undefined;
  /** The other live members, by name. */
  readonly members: readonly { readonly name: string; readonly weights: readonly number[] }[];
}

/** How a member stands, as this node sees it. `silent` is this node only: somebody does not hear it. */
export type MemberState = "joining" | "up" | "draining" | "suspect" | "leaving" | "silent" | "dead";

/** One line of the view. */
export interface MemberView {
  readonly name: string;
  readonly self: boolean;
  readonly state: MemberState;
  /** Why it is in this state, as a sentence. */
  readonly reason: string;
  /** Where its last heartbeat came from; empty for this node. */
  readonly address: string;
  readonly incarnation: number;
  readonly settingsVersion: number;
  readonly weights: readonly number[];
  /** Whether it keeps open connections in buckets that it does not claim. */
  readonly retains: boolean;
  readonly sinceMs: number;
  readonly lastHeardMs: number;
  /** Its wall clock less ours. */
  readonly clockDifferenceMs: number;
  readonly vipFramesSeen: number;
  readonly vipReach: VipReach;
  /** Over its virtual IPs and services, as {@link MembershipOptions.servicesDigest}. */
  readonly servicesDigest: number;
  /** What it last reported of itself; membership does not read it. */
  readonly report?: string;
}

/** Counts since the start. */
export interface MembershipCounters {
  heartbeatsReceived: number;
  heartbeatsSent: number;
  sendsFailed: number;
  /** Heartbeats of members that never answered and whose wall clock says that they are recordings. */
  recordings: number;
  /** Heartbeats of members for whom there was no room. */
  membersRefused: number;
  suspicions: number;
  deaths: number;
  /** Times that this node fell silent. */
  silences: number;
  /** Times that this node doubted itself and joined anew. */
  rejoins: number;
}
