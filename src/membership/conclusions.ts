/**
 * What a node concludes from all that it knows, after every input: whether it may join, take the settings that it wants, or
 * must be silent. `state.ts` has the rules that it asks, `membership.ts` the inputs.
 */

import { listsUs, objection } from "./judgement.ts";
import { MembershipState } from "./state.ts";
import * as timing from "./timing.ts";

/** A membership that draws its conclusions. */
export abstract class Conclusions extends MembershipState {
  /** Draws all conclusions from what is known now. */
  protected evaluate(nowMs: number): void {
    const { own } = this;
    if (own.state === "joining") this.#tryJoin(nowMs);
    if (own.isIn) this.#judgeSilence(nowMs);
    if (own.isIn) this.#yield(nowMs);
    if (own.isIn) { // still: it may have had to join anew
      // Rule 1: one change of one's own under way at a time; what is wanted meanwhile is taken together.
      if (this.unlisted(nowMs).length === 0) {
        if (own.previous !== undefined) {
          own.previous = undefined;
          this.claimsDirty = true;
        }
        if (own.differs) this.#applyWanted(nowMs);
      }
      this.joining.upSince(this.ownSinceMs, nowMs);
    }
    if (own.state === "leaving" && !this.handedOver) {
      const waitedMs = nowMs - this.leavingSinceMs;
      if (this.unlisted(nowMs).length === 0 || waitedMs >= timing.HAND_OVER_INTERVALS * this.intervalMs) {
        this.handedOver = true;
        this.herald.push({ kind: "handedOver" });
      }
    }
    this.flush();
  }

  #applyWanted(nowMs: number): void {
    const before = this.own.state;
    this.own.applyWanted();
    // Nobody has to acknowledge: the change is done with.
    if (this.unlisted(nowMs).length === 0) this.own.previous = undefined;
    this.claimsDirty = true;
    this.viewDirty = true;
    this.hurry();
    if (this.own.state !== before) {
      this.ownSinceMs = nowMs;
      this.say(
        "info",
        `self.${this.own.state}`,
        this.own.state === "up" ? "This node takes its share." : "This node takes no new flows.",
      );
    }
  }

  /** Rule 7: listen, then announce, then take weights; as long as something speaks against it, wait. */
  #tryJoin(nowMs: number): void {
    const before = this.joining.waitsFor;
    const step = this.joining.step(() => this.#obstacle(nowMs), nowMs);
    if (this.joining.waitsFor !== before) this.viewDirty = true;
    if (step === "announce") this.hurry(); // whoever hears us and is not in our list stops before we begin
    if (step === "enter") this.#applyWanted(nowMs);
  }

  /** Why this node must not take its share yet. */
  #obstacle(nowMs: number): string | undefined {
    if (this.joining.isNameTaken(nowMs)) return `another node uses the name ${this.name}`;
    if (nowMs - this.schedule.lastOkMs >= this.leaseIntervals() * this.intervalMs) {
      return "cannot send heartbeats";
    }
    const otherVersion = this.otherVersions.obstacle(nowMs);
    if (otherVersion !== undefined) return otherVersion;
    const self = { name: this.name, servicesDigest: this.servicesDigest };
    for (const member of this.members.values()) {
      if (this.isRecording(member, nowMs)) continue;
      const reason = objection(member, this.own, self, this.members);
      if (reason !== undefined) return reason;
    }
    return this.quorumLack(nowMs);
  }

  /** Rules 2 and 11: listed, and with a quorum if one is asked for, or silent. */
  #judgeSilence(nowMs: number): void {
    const silencer = this.silencer(nowMs);
    const lack = silencer === undefined ? this.quorumLack(nowMs) : undefined;
    if (silencer === undefined && lack === undefined) {
      if (this.silence === undefined) return;
      this.silence = undefined;
      this.viewDirty = true;
      const cause = this.lackedQuorum ? "This node has its quorum" : "Every member hears this node";
      this.say("info", "self.listed", `${cause} again: it takes its share.`);
      return;
    }
    if (this.silence === undefined) {
      this.silentSinceMs = nowMs;
      this.counters.silences++;
      this.viewDirty = true;
      this.hurry();
      this.lackedQuorum = silencer === undefined;
      if (silencer !== undefined) {
        const hears = listsUs(silencer, this.own);
        this.silence = `${silencer.name} does not ${hears ? "know the settings of" : "hear"} this node`;
        const until = `it answers nothing until ${silencer.name} does`;
        this.say("warning", "self.silent", `${this.silence}: ${until}.`, silencer.name);
      } else {
        this.silence = lack;
        this.say("error", "self.no_quorum", `This node ${lack}: it answers nothing until that changes.`);
      }
    }
    // It lasts, and the other is alive: with zero weights the rest of the farm covers our share.
    const lasts = silencer === undefined ||
      nowMs - this.aliveMs(silencer) < timing.SUSPECT_INTERVALS * silencer.intervalMs;
    if (lasts && nowMs - this.silentSinceMs >= timing.SILENT_INTERVALS * this.intervalMs) {
      const cause = silencer === undefined ? `it ${lack}` : `${silencer.name} does not hear it`;
      this.rejoin(this.own.incarnation + 1, cause, nowMs);
    }
  }

  /** Rule 14: two that a third hears, but not each other, agree on nothing, so one of them steps back. */
  #yield(nowMs: number): void {
    const cause = this.#strangerCause(nowMs) ?? this.#deafCause(nowMs) ?? this.#replacedCause();
    if (cause !== undefined) this.rejoin(this.own.incarnation + 1, cause, nowMs);
  }

  /** Somebody takes a share whom this node does not know. */
  #strangerCause(nowMs: number): string | undefined {
    const stranger = this.binding() ? this.stranger() : undefined;
    if (stranger === undefined) {
      this.strangerSinceMs = undefined;
      return undefined;
    }
    this.strangerSinceMs ??= nowMs;
    const lasts = nowMs - this.strangerSinceMs >= timing.STRANGER_INTERVALS * this.intervalMs;
    if (!lasts && !this.own.isEntering) return undefined;
    return `${stranger.by} hears ${stranger.name}, which this node does not hear`;
  }

  /** New settings do not reach a member that others keep alive: nobody would take what this node gives up by them. */
  #deafCause(nowMs: number): string | undefined {
    if (this.own.previous === undefined) return undefined;
    const deaf = this.unlisted(nowMs).find((member) =>
      nowMs - member.lastHeardMs >= timing.UNHEARD_INTERVALS * member.intervalMs
    );
    return deaf && `its settings do not reach ${deaf.name}, which ${deaf.word?.by} hears`;
  }

  /** One that is heard has replaced this node; those that are not heard kept it by that one's word. */
  #replacedCause(): string | undefined {
    const by = this.replacer();
    const unheard = by && this.members.values().find((member) => member.confirmed && member.suspect);
    return unheard &&
      `${by.name} has replaced it, and so may ${unheard.name} have, which this node does not hear`;
  }

  /** Starts anew: nothing is claimed, and every member has to list the new incarnation first. */
  protected rejoin(incarnation: number, cause: string, nowMs: number): void {
    this.own.restart(incarnation);
    this.counters.rejoins++;
    for (const member of this.members.values()) {
      member.confirmed = false;
      member.listing = undefined;
    }
    this.silence = undefined;
    this.joining.restart(nowMs);
    this.ownSinceMs = nowMs;
    this.incarnationSinceMs = nowMs;
    this.claimsDirty = true;
    this.viewDirty = true;
    this.hurry();
    this.say("warning", "self.rejoining", `This node joins anew: ${cause}.`);
  }
}
