/** Another member, as its own heartbeats describe it, and the memory of those that are gone. */

import type { HeardMember, Heartbeat, Retained, WireState } from "../wire/heartbeat.ts";
import type { Word } from "./hearsay.ts";
import { REACH_UNKNOWN, type VipReach } from "./reach.ts";

/** A member that is heard, or was a moment ago. Changed only by the functions of this file and by Membership. */
export interface Member {
  readonly name: string;
  incarnation: number;
  /** Of its last heartbeat: what ours echo. */
  sequence: number;
  /** When this node sent the last heartbeat that the member has echoed. */
  echoedMs: number | undefined;
  state: WireState;
  settingsVersion: number;
  weights: readonly number[];
  binding: boolean;
  intervalMs: number;
  servicesDigest: number;
  /** Whom its last heartbeat lists as heard or suspect. */
  hears: readonly HeardMember[];
  /** How its last heartbeat lists this node, if it does. */
  listing: HeardMember | undefined;
  /** Whether it has listed this node's current incarnation: it hears us, so it is alive now. */
  confirmed: boolean;
  /** Whether it ever listed an incarnation of this run: it is no recording. */
  known: boolean;
  /** It was gone, and that it is back was not told yet. */
  returned: boolean;
  suspect: boolean;
  /** It would have been replaced, but for the word of another. */
  unheard: boolean;
  firstHeardMs: number;
  lastHeardMs: number;
  /** The last that another member said of it which was news here. */
  word: Word | undefined;
  /** When it came into the state that it is in. */
  sinceMs: number;
  retained: readonly Retained[];
  /** Its program is being replaced: for so long its connections are held if it is missed. 0: no. */
  holdMs: number;
  vipFramesSeen: number;
  vipReach: VipReach;
  /** The last one heard. */
  report: string | undefined;
  clockDifferenceMs: number;
  address: string;
  /** Said once: another list of services, a clock that differs, a recording. */
  readonly reported: Set<string>;
}

/** A member that is gone. Shown for a while, and remembered so that its return is recognized. */
export interface DeadMember {
  readonly member: Member;
  readonly diedMs: number;
  readonly reason: string;
}

/** What changed when a heartbeat was taken in. */
export interface Changes {
  /** Settings of a version that was not known before: must be acknowledged. */
  settings: boolean;
  weights: boolean;
  state: boolean;
  retained: boolean;
  report: boolean;
  restarted: boolean;
  /** It lists this node's current incarnation for the first time. */
  confirmed: boolean;
}

/** A member of which nothing is known yet but the name. */
export function newMember(name: string, nowMs: number): Member {
  return {
    name,
    incarnation: -1,
    sequence: 0,
    echoedMs: undefined,
    state: "joining",
    settingsVersion: 0,
    weights: [],
    binding: false,
    intervalMs: 0,
    servicesDigest: 0,
    hears: [],
    listing: undefined,
    confirmed: false,
    known: false,
    returned: false,
    suspect: false,
    unheard: false,
    firstHeardMs: nowMs,
    lastHeardMs: nowMs,
    word: undefined,
    sinceMs: nowMs,
    retained: [],
    holdMs: 0,
    vipFramesSeen: 0,
    vipReach: REACH_UNKNOWN,
    report: undefined,
    clockDifferenceMs: 0,
    address: "",
    reported: new Set(),
  };
}

/** A member as plain data, for another process of this node. */
export type SavedMember = Omit<Member, "reported"> & { readonly reported: readonly string[] };

export function saveMember(member: Member): SavedMember {
  return { ...member, reported: [...member.reported] };
}

export function restoreMember(saved: SavedMember): Member {
  return { ...saved, reported: new Set(saved.reported) };
}

/** Takes a heartbeat into the member; the newest one describes it completely. */
export function adopt(
  member: Member,
  message: Heartbeat,
  own: { readonly name: string; readonly incarnation: number },
  nowMs: number,
  wallMs: number,
): Changes {
  const restarted = message.incarnation !== member.incarnation;
  const changes: Changes = {
    restarted: restarted && member.incarnation >= 0,
    settings: restarted || message.settingsVersion !== member.settingsVersion,
    weights: !sameWeights(member.weights, message.weights),
    state: restarted || message.state !== member.state,
    retained: !sameRetained(member.retained, message.retained),
    report: message.report !== undefined && message.report !== member.report,
    confirmed: false,
  };
  if (restarted) {
    member.confirmed = false;
    member.known = false;
    member.report = undefined;
    member.reported.clear();
  }
  if (changes.state) member.sinceMs = nowMs;
  member.incarnation = message.incarnation;
  member.sequence = message.sequence;
  member.state = message.state;
  member.settingsVersion = message.settingsVersion;
  member.weights = message.weights;
  member.binding = message.binding;
  member.intervalMs = message.intervalMs;
  member.servicesDigest = message.servicesDigest;
  member.retained = message.retained;
  member.holdMs = message.holdMs;
  member.vipFramesSeen = message.vipFramesSeen;
  member.vipReach = message.vipReach;
  member.report = message.report ?? member.report;
  member.clockDifferenceMs = message.wallClockMs - wallMs;
  member.lastHeardMs = nowMs;
  member.hears = message.heard.filter((heard) => heard.status !== "remembered");
  member.listing = message.heard.find((heard) => heard.name === own.name);
  const listed = member.listing;
  if (listed !== undefined && listed.status !== "remembered" && listed.incarnation === own.incarnation) {
    changes.confirmed = !member.confirmed;
    member.confirmed = true;
    member.known = true;
  }
  return changes;
}

/** Forgives the member a time in which this node was not running. */
export function delay(member: Member, gapMs: number): void {
  member.lastHeardMs += gapMs;
  if (member.word !== undefined) member.word = { ...member.word, atMs: member.word.atMs + gapMs };
}

/** Whether two weight vectors are the same; missing weights are 0. */
export function sameWeights(a: readonly number[], b: readonly number[]): boolean {
  for (let i = Math.max(a.length, b.length) - 1; i >= 0; i--) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return false;
  }
  return true;
}

function sameRetained(a: readonly Retained[], b: readonly Retained[]): boolean {
  return a.length === b.length &&
    a.every((entry, i) =>
      entry.table === b[i].table && entry.bitmap.every((byte, at) => byte === b[i].bitmap[at])
    );
}
