/** The view in words: each member's state with the reason, for people. */

import type { DeadMember, Member } from "./member.ts";
import type { OwnSettings } from "./own.ts";
import type { VipReach } from "./reach.ts";
import { SUSPECT_INTERVALS } from "./timing.ts";
import type { MemberState, MemberView } from "./types.ts";

/** What is known of this node beyond its settings. */
export interface OwnCondition {
  readonly name: string;
  /** Why it does not join yet. */
  readonly waitsFor: string;
  /** Why it is silent, if it is. */
  readonly silence: string | undefined;
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly retains: boolean;
  readonly vipFramesSeen: number;
  readonly vipReach: VipReach;
  readonly servicesDigest: number;
  readonly report: string;
}

/** The line of this node itself. */
export function viewOfSelf(own: OwnSettings, condition: OwnCondition): MemberView {
  let state: MemberState;
  let reason: string;
  if (own.state === "joining") {
    state = "joining";
    reason = condition.waitsFor;
  } else if (own.state === "left" || own.state === "leaving") {
    state = "leaving";
    reason = "was asked to stop and has handed over its share";
  } else if (condition.silence !== undefined) {
    state = "silent";
    reason = condition.silence;
  } else {
    state = own.state;
    reason = state === "up" ? "takes its share" : "takes no new flows: its weight is 0 for every service";
  }
  return {
    name: condition.name,
    self: true,
    state,
    reason,
    address: "",
    incarnation: own.incarnation,
    settingsVersion: own.version,
    weights: own.weights,
    retains: condition.retains,
    sinceMs: condition.sinceMs,
    lastHeardMs: condition.nowMs,
    clockDifferenceMs: 0,
    vipFramesSeen: condition.vipFramesSeen,
    vipReach: condition.vipReach,
    servicesDigest: condition.servicesDigest,
    ...(condition.report !== "" && { report: condition.report }),
  };
}

/** The line of another member that is heard. */
export function viewOfMember(member: Member, recording: boolean): MemberView {
  let state: MemberState = member.state === "left" ? "leaving" : member.state;
  let reason: string;
  if (recording) {
    state = "joining";
    reason = "is heard but never answered, and its clock differs by minutes: perhaps a recording";
  } else if (member.suspect) {
    state = "suspect";
    reason = member.reported.has("member.unheard")
      ? `is not heard by this node, but ${member.word?.by} hears it: a fault of the network between the two`
      : `was not heard for more than ${SUSPECT_INTERVALS} intervals of ${member.intervalMs} ms`;
  } else if (!member.confirmed) {
    reason = "is heard, but has not said that it hears this node";
  } else if (state === "joining") {
    reason = "listens before it takes its share";
  } else if (state === "leaving") {
    reason = "was asked to stop and has handed over its share";
  } else if (state === "draining") {
    reason = "takes no new flows: its weight is 0 for every service";
  } else {
    reason = "takes its share";
  }
  return line(member, state, reason, member.sinceMs);
}

/** The line of a member that is gone. */
export function viewOfDead(dead: DeadMember): MemberView {
  return { ...line(dead.member, "dead", dead.reason, dead.diedMs), weights: [], retains: false };
}

function line(member: Member, state: MemberState, reason: string, sinceMs: number): MemberView {
  return {
    name: member.name,
    self: false,
    state,
    reason,
    address: member.address,
    incarnation: member.incarnation,
    settingsVersion: member.settingsVersion,
    weights: member.weights,
    retains: member.retained.length > 0,
    sinceMs,
    lastHeardMs: member.lastHeardMs,
    clockDifferenceMs: member.clockDifferenceMs,
    vipFramesSeen: member.vipFramesSeen,
    vipReach: member.vipReach,
    servicesDigest: member.servicesDigest,
    ...(member.report !== undefined && { report: member.report }),
  };
}
