/**
 * Who is in the farm, and what this node may claim: the protocol, as a state machine without clock, socket or
 * randomness. Inputs come as calls, outputs are queued as effects. The rules and why they hold are in
 * `README.md` beside this file; numbers in comments here refer to them.
 */

import type { FarmEventInit } from "../core/events.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import {
  type AnswerCode,
  type Heartbeat,
  type HeldNode,
  type Order,
  type OtherVersion,
  REPORT_BYTES_MAX,
  RETAINED_BITMAP_BYTES,
} from "../wire/heartbeat.ts";
import { Conclusions } from "./conclusions.ts";
import { supersededBy, takeWord } from "./hearsay.ts";
import { listsUs } from "./judgement.ts";
import { adopt, delay, type Member, newMember } from "./member.ts";
import { REPORTS_SHOWN_MS } from "./report.ts";
import type { VipReach } from "./reach.ts";
import * as timing from "./timing.ts";

/** The membership of one node. */
export class Membership extends Conclusions {
  /**
   * Takes in a heartbeat that the codec accepted and the replay window has noted. `from` is where it came from, for display.
   */
  receive(message: Heartbeat, nowMs: number, wallMs: number, from = ""): void {
    this.#noticeTime(nowMs);
    if (this.finished) return;
    this.counters.heartbeatsReceived++;
    if (message.sender === this.name) this.#hearOwnName(message, nowMs);
    else this.#hear(message, nowMs, wallMs, from);
    this.evaluate(nowMs);
  }

  /** Lets time pass. To be called at {@link nextTickMs} at the latest, and after every batch of {@link receive}. */
  tick(nowMs: number, _wallMs: number): void {
    this.#noticeTime(nowMs);
    if (this.finished) return;
    this.#detectFailures(nowMs);
    this.orders.expire(nowMs);
    this.departed.expire(nowMs);
    if (nowMs >= this.witnessDueMs()) this.hurry();
    if (this.reportsDueMs !== undefined && nowMs >= this.reportsDueMs) this.viewDirty = true;
    for (const name of this.holds.expire(nowMs)) {
      this.herald.push({ kind: "retained", member: name, gone: true });
      this.say("warning", "member.not_back", `Node ${name} is not back: its connections are lost.`, name);
    }
    this.evaluate(nowMs);
    this.scheduleSend(nowMs);
  }

  /**
   * The heartbeat to send now. The thread may have been stopped since the tick that asked for it, so what that time
   * means is concluded first: no list goes out that is older than its sending, and no lease that has lapsed is renewed.
   */
  override heartbeat(nowMs: number, wallMs: number): Heartbeat {
    this.#noticeTime(nowMs);
    if (!this.finished) this.#detectFailures(nowMs);
    return super.heartbeat(nowMs, wallMs);
  }

  /**
   * Reports what became of a heartbeat. `startedMs` is a time from before {@link heartbeat} was called: the lease
   * counts from there, so that a pause between the two makes it shorter, never longer. Nor does it bring back a lease that
   * lapsed meanwhile (rule 4).
   */
  sent(ok: boolean, startedMs: number, nowMs: number): void {
    this.#noticeTime(nowMs);
    if (ok) {
      this.counters.heartbeatsSent++;
      this.schedule.lastOkMs = Math.max(this.schedule.lastOkMs, startedMs);
    } else {
      this.counters.sendsFailed++;
    }
    if (this.schedule.failing === ok) {
      this.schedule.failing = !ok;
      this.say(
        ok ? "info" : "error",
        ok ? "heartbeat.sent_again" : "heartbeat.not_sent",
        ok
          ? "Heartbeats can be sent again."
          : "No heartbeat can be sent on any network: this node stops answering unless that ends at once.",
      );
    }
    this.flush();
  }

  /** Changes this node's own settings: at once if it may, otherwise as soon as the others know the present ones. */
  setSettings(
    weights: readonly number[],
    options: { readonly draining?: boolean; readonly servicesDigest?: number },
    nowMs: number,
  ): void {
    this.#noticeTime(nowMs);
    this.own.want({ weights: weights.slice(), draining: options.draining ?? false });
    if (options.servicesDigest !== undefined && options.servicesDigest !== this.servicesDigest) {
      this.servicesDigest = options.servicesDigest;
      this.hurry();
    }
    this.evaluate(nowMs);
  }

  /** Says which buckets of a table this node keeps connections of without claiming them. */
  setRetained(table: number, bitmap: Uint8Array | undefined, nowMs: number): void {
    this.#noticeTime(nowMs);
    const before = this.retained.get(table);
    if (bitmap === undefined || bitmap.every((byte) => byte === 0)) {
      if (!this.retained.delete(table)) return;
      if (this.retained.size === 0 && this.own.state === "draining") {
        this.say("info", "self.drained", "This node is drained: it has no open connections left.");
      }
    } else {
      if (before !== undefined && bitmap.every((byte, i) => byte === before[i])) return;
      this.retained.set(table, bitmap.slice(0, RETAINED_BITMAP_BYTES));
    }
    this.hurry();
    this.viewDirty = true;
    this.flush();
  }

  /**
   * From its next heartbeat on, this node asks the others to hold its connections, should they miss it; 0 takes that back.
   * For a node that is about to stand still with its kernel alive (rule 10).
   */
  askForHold(holdMs: number): void {
    this.holdMs = holdMs;
  }

  /** The witness of the quorum has answered a question of `sentMs`. */
  witnessAnswered(sentMs: number, nowMs: number): void {
    this.#noticeTime(nowMs);
    this.witnessMs = Math.max(this.witnessMs ?? -Infinity, sentMs);
    this.evaluate(nowMs);
  }

  /** What this node sees of what is sent to the virtual IPs: frames since its start, and probes. Goes out with heartbeats. */
  setLan(framesSeen: number, reach: VipReach): void {
    this.vipFramesSeen = this.framesBefore + framesSeen;
    this.vipReach = reach;
  }

  /**
   * What this node reports of itself from now on, at most {@link REPORT_BYTES_MAX} bytes; one that is `urgent` goes out at
   * once. A longer one is refused: half a report says nothing.
   */
  setReport(text: string, urgent: boolean, nowMs: number): void {
    this.#noticeTime(nowMs);
    const length = new TextEncoder().encode(text).length;
    if (length > REPORT_BYTES_MAX) {
      const text = `This node's report has ${length} of ${REPORT_BYTES_MAX} bytes.`;
      if (!this.report.tooLongTold) this.say("error", "report.too_long", text);
      this.report.tooLongTold = true;
      return;
    }
    if (text !== this.report.text) this.#showReports(nowMs);
    this.report.set(text, urgent);
    if (urgent) this.hurry();
    this.flush();
  }

  /**
   * Sends an order to a node; the outcome comes as the effect `orderResult`, within 5 s.
   * @throws VipfarmError if too many orders are under way
   */
  issueOrder(order: Order, nowMs: number): void {
    this.#noticeTime(nowMs);
    this.orders.issue(order, nowMs);
    this.hurry();
  }

  /** Reports what became of an order that came as the effect `order`. */
  answerOrder(id: string, code: AnswerCode, text: string, nowMs: number): void {
    this.#noticeTime(nowMs);
    this.orders.answer(id, code, text, nowMs);
    this.hurry();
  }

  /** A node of this farm speaks another version of the protocol (rule 13). */
  otherVersionHeard(what: OtherVersion, nowMs: number, wallMs: number): void {
    this.#noticeTime(nowMs);
    const told = this.otherVersions.hear(what, nowMs, wallMs);
    if (told !== undefined) this.say("error", "member.other_version", told, what.sender);
    this.evaluate(nowMs);
  }

  /**
   * A heartbeat of this sender was refused because an older incarnation than this one had sent it. If the node is not
   * heard otherwise, it may have restarted with a clock that went back: the next heartbeats tell it which to exceed.
   */
  staleHeard(sender: { readonly name: string; readonly incarnation: number }, nowMs: number): void {
    if (this.members.has(sender.name) || sender.name === this.name) return;
    const untilMs = nowMs + timing.REPLACE_INTERVALS * this.intervalMs;
    this.departed.remember(sender.name, sender.incarnation, untilMs);
  }

  /** Gives up everything at once and says so; the effect `handedOver` follows. */
  leave(nowMs: number): void {
    this.#noticeTime(nowMs);
    if (this.own.state === "leaving" || this.own.state === "left") return;
    this.own.release("leaving");
    this.silence = undefined;
    this.leavingSinceMs = nowMs;
    this.ownSinceMs = nowMs;
    this.claimsDirty = true;
    this.viewDirty = true;
    this.hurry();
    this.say("info", "self.leaving", "This node leaves the farm and has given up its share.");
    this.evaluate(nowMs);
  }

  /** Says goodbye, a few times; the effect `finished` follows. The others then forget this node without a timeout. */
  goodbye(nowMs: number): void {
    if (this.own.state === "left") return;
    this.leave(nowMs);
    this.own.release("left");
    this.goodbyesLeft = timing.GOODBYES;
    this.schedule.sendAt(nowMs);
    this.claimsDirty = true;
    this.flush();
  }

  // -------------------------------------------------------------------------------------------- hearing

  #hear(message: Heartbeat, nowMs: number, wallMs: number, from: string): void {
    const name = message.sender;
    let member = this.members.get(name);
    if (member !== undefined && message.incarnation < member.incarnation) return;
    if (message.state === "left") {
      if (member !== undefined) this.#hearGoodbye(member, message, nowMs);
      // It crashed again before it was heard again: that is the end of its hold.
      else if (message.holdMs === 0 && this.holds.take(name, message.incarnation, 0, nowMs)) {
        this.herald.push({ kind: "retained", member: name, gone: true });
      }
      return;
    }
    if (this.isOld(message, nowMs)) {
      this.counters.recordings++;
      return;
    }
    if (member === undefined) {
      if (this.members.size >= MEMBERS_MAX - 1) {
        this.#refuse(name, nowMs);
        return;
      }
      member = newMember(name, nowMs);
      this.members.set(name, member);
    }
    const before = this.departed.takeBack(name);
    const counted = member.confirmed, state = member.state;
    const changes = adopt(
      member,
      message,
      { name: this.name, incarnation: this.own.incarnation },
      nowMs,
      wallMs,
    );
    member.address = from;
    this.takeEcho(member);
    if (member.confirmed) takeWord(member, this.members, nowMs);
    if (before?.incarnation === member.incarnation && before.known) member.known = true;
    if (before !== undefined) member.returned = true;
    if (member.listing !== undefined && member.listing.incarnation > this.own.incarnation) {
      this.#exceed(member, member.listing.incarnation, nowMs);
    }
    if (this.isRecording(member, nowMs)) {
      this.counters.recordings++;
      this.herald.tellRecording(member);
    }
    if (changes.settings) this.hurry(); // rule 1: acknowledged at once
    if (member.suspect) {
      member.suspect = member.unheard = false;
      member.reported.delete("member.unheard");
      member.sinceMs = nowMs;
      this.hurry();
      this.viewDirty = true;
      this.say("info", "member.recovered", `Node ${name} is heard again.`, name);
    }
    if (counted !== member.confirmed || (changes.weights && counted)) this.claimsDirty = true;
    // Back from a crash, it says what it retains, and counts from here on.
    const held = member.confirmed && this.holds.end(name);
    if (changes.retained || held) this.herald.push({ kind: "retained", member: name, gone: false });
    if (changes.settings || changes.confirmed || changes.state || changes.retained) this.viewDirty = true;
    if (changes.report) this.#showReports(nowMs);
    // Nothing of an unconfirmed member was told: what it says may be a recording.
    const told = member.returned && changes.confirmed ? "joining" : state;
    if (changes.confirmed) member.returned = false;
    this.herald.tellChanges(member, changes, told, this.servicesDigest);
    if (listsUs(member, this.own)) { // it has heard this incarnation, so this is no recording: it may give orders
      if (this.orders.hearOrders(message.orders, nowMs)) this.hurry();
      this.orders.hearAnswers(message.answers, name);
      for (const hold of message.holds) this.#hearOfHold(hold, nowMs);
      if (this.own.state !== "left") this.schedule.follow(nowMs); // goodbyes keep their distance
    }
  }

  /** Rule 6; with a hold, rule 10: its supervisor speaks for a program that crashed. */
  #hearGoodbye(member: Member, message: Heartbeat, nowMs: number): void {
    member.incarnation = message.incarnation;
    member.sequence = message.sequence;
    this.#hold(member, message.incarnation, message.holdMs, nowMs);
    if (message.holdMs > 0) this.#remove(member, "crashed and restarts", "member.crashed", "warning", nowMs);
    else this.#remove(member, "said goodbye", "member.left", "info", nowMs);
  }

  #hold(member: Member, incarnation: number, holdMs: number, nowMs: number): void {
    if (member.confirmed && this.holds.take(member.name, incarnation, holdMs, nowMs)) {
      this.herald.push({ kind: "retained", member: member.name, gone: false });
    }
  }

  /**
   * Rule 10: a node that crashed before this one came, or that is not heard here. Once it counts here in a later incarnation,
   * it says itself what it retains.
   */
  #hearOfHold(hold: HeldNode, nowMs: number): void {
    if (hold.name === this.name) return;
    const member = this.members.get(hold.name);
    if (member?.confirmed && member.incarnation >= hold.incarnation) return;
    if (this.holds.learn(hold, nowMs)) {
      this.herald.push({ kind: "retained", member: hold.name, gone: false });
    }
  }

  /** Somebody uses our name: the one with the smaller incarnation stays out. */
  #hearOwnName(message: Heartbeat, nowMs: number): void {
    const { incarnation } = this.own;
    const newer = message.incarnation > incarnation ||
      (message.incarnation === incarnation && message.sequence > this.sequence);
    if (!newer || message.state === "left") {
      this.counters.recordings++;
      return;
    }
    if (this.joining.nameTaken(nowMs)) {
      this.say(
        "error",
        "self.name_taken",
        `Another node uses the name ${this.name}: give each node its own (--node, VIPFARM_NODE or the host name).`,
      );
    }
    if (this.own.isIn) {
      this.rejoin(incarnation, "another node uses its name", nowMs);
    }
  }

  /** A member remembers a later incarnation of ours (our clock went back): exceed it. */
  #exceed(member: Member, incarnation: number, nowMs: number): void {
    if (this.joining.isNameTaken(nowMs) || this.own.state === "leaving" || this.own.state === "left") return;
    this.rejoin(incarnation + 1, `${member.name} remembers a later start of it`, nowMs);
  }

  #refuse(name: string, nowMs: number): void {
    this.counters.membersRefused++;
    if (nowMs - this.refusalSaidMs < 60_000) return;
    this.refusalSaidMs = nowMs;
    this.say(
      "error",
      "member.refused",
      `Node ${name} is refused: a farm has at most ${MEMBERS_MAX} members.`,
      name,
    );
  }

  // ------------------------------------------------------------------------------------------------ time

  /**
   * Rule 5: a node that was not running doubts itself first. The time is not counted against others, whose
   * heartbeats may still wait in the socket; beyond the lease, others may have replaced it, so it joins anew.
   */
  #noticeTime(nowMs: number): void {
    const gapMs = nowMs - this.lastInputMs;
    if (gapMs > 0) this.lastInputMs = nowMs;
    if (gapMs > timing.LATE_INTERVALS * this.intervalMs) {
      for (const member of this.members.values()) delay(member, gapMs);
      this.joining.listenAgain(nowMs);
    }
    // Whatever the cause, not running or not being able to send: whoever let its lease lapse may have been replaced.
    if (nowMs - this.schedule.lastOkMs >= this.leaseIntervals() * this.intervalMs) {
      if (this.own.isIn) {
        this.rejoin(
          this.own.incarnation + 1,
          gapMs > timing.LATE_INTERVALS * this.intervalMs
            ? `it did not run for ${Math.round(gapMs)} ms`
            : `it could not send a heartbeat for ${Math.round(nowMs - this.schedule.lastOkMs)} ms`,
          nowMs,
        );
      } else if (this.own.state === "leaving") {
        this.leaseForfeited = true;
      }
    }
  }

  #detectFailures(nowMs: number): void {
    for (const member of [...this.members.values()]) {
      const silentMs = nowMs - member.lastHeardMs;
      const replaceMs = this.replaceIntervals() * member.intervalMs;
      const hearer = member.suspect ? supersededBy(member) : undefined;
      if (hearer !== undefined || (nowMs - this.aliveMs(member) >= replaceMs && !this.losesQuorum(nowMs))) {
        this.counters.deaths++;
        const replaced = member.holdMs > 0;
        const reason = `was not heard for ${Math.round(silentMs)} ms${
          replaced ? " while its program is replaced" : ""
        }${hearer === undefined ? "" : `, and started anew, as ${hearer} says`}`;
        this.#forgetOldAnswer(member);
        if (replaced) this.#hold(member, member.incarnation, member.holdMs, nowMs);
        this.#remove(member, reason, "member.dead", "warning", nowMs);
      } else if (!member.suspect && silentMs >= timing.SUSPECT_INTERVALS * member.intervalMs) {
        member.suspect = true;
        member.sinceMs = nowMs;
        this.counters.suspicions++;
        this.hurry(); // it stops when it hears this
        this.viewDirty = true;
        this.say(
          "warning",
          "member.suspect",
          `Node ${member.name} was not heard for ${Math.round(silentMs)} ms.`,
          member.name,
        );
      } else if (silentMs >= replaceMs) {
        if (!member.unheard) this.#forgetOldAnswer(member);
        member.unheard = true;
        if (silentMs >= timing.UNHEARD_INTERVALS * member.intervalMs && this.herald.tellUnheard(member)) {
          this.viewDirty = true;
        }
      }
    }
  }

  /** Rule 11: what the witness answered when this member had only just fallen silent may be from before a cut. */
  #forgetOldAnswer(member: Member): void {
    const newsMs = this.aliveMs(member) + timing.WITNESS_INTERVALS * member.intervalMs;
    if (this.witnessMs !== undefined && this.witnessMs < newsMs) this.witnessMs = undefined;
  }

  #remove(
    member: Member,
    reason: string,
    kind: string,
    severity: FarmEventInit["severity"],
    nowMs: number,
  ): void {
    if (member.confirmed) this.claimsDirty = true;
    this.members.delete(member.name);
    this.departed.add(member, reason, nowMs);
    if (member.retained.length > 0) this.herald.push({ kind: "retained", member: member.name, gone: true });
    this.hurry();
    this.viewDirty = true;
    this.say(severity, kind, `Node ${member.name} ${reason}: the others take its share.`, member.name);
  }

  #showReports(nowMs: number): void {
    this.reportsDueMs ??= nowMs + REPORTS_SHOWN_MS;
  }
}
