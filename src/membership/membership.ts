/**
 * Who is in the farm, and what this node may claim: the protocol, as a state machine without clock, socket or
 * randomness. Inputs come as calls, outputs are queued as effects. The rules and why they hold are in
 * `README.md` beside this file; numbers in comments here refer to them.
 */

import type { FarmEventInit } from "../core/events.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import type { AnswerCode, HeardMember, Heartbeat, Order, Retained } from "../wire/heartbeat.ts";
import { RETAINED_BITMAP_BYTES } from "../wire/heartbeat.ts";
import { adopt, type DeadMember, type Member, newMember } from "./member.ts";
import { OrderDesk } from "./orders.ts";
import { OwnSettings } from "./own.ts";
import * as timing from "./timing.ts";
import type { ClaimsBasis, Effect, MembershipCounters, MembershipOptions, MemberView } from "./types.ts";
import { viewOfDead, viewOfMember, viewOfSelf } from "./view.ts";

/** The membership of one node. */
export class Membership {
  readonly name: string;
  readonly intervalMs: number;
  readonly counters: MembershipCounters = {
    heartbeatsReceived: 0,
    heartbeatsSent: 0,
    sendsFailed: 0,
    recordings: 0,
    membersRefused: 0,
    suspicions: 0,
    deaths: 0,
    silences: 0,
    rejoins: 0,
  };

  protected readonly own: OwnSettings;
  protected readonly members = new Map<string, Member>();
  readonly #dead = new Map<string, DeadMember>();
  readonly #remembered = new Map<string, { readonly incarnation: number; readonly untilMs: number }>();
  readonly #orders: OrderDesk;
  readonly #retained = new Map<number, Uint8Array>();
  #servicesDigest: number;
  #vipFramesSeen = 0;

  #effects: Effect[] = [];
  #claimsDirty = false;
  #viewDirty = true;

  #lastInputMs: number;
  #ownSinceMs: number;
  #sequence = 0;
  /** Until then, urgent heartbeats are paid for at one per URGENT_SPACING. */
  #urgentPaidMs = -Infinity;
  #nextSendMs: number;
  #urgent = true;
  #lastSentOkMs = -Infinity;
  #sendsFail = false;
  #leaseDeadlineMs = 0;
  #leaseForfeited = false;

  #listenFromMs: number;
  #announceFromMs: number | undefined;
  #waitsFor = "listens before it takes its share";
  #flaps = 0;
  #duplicateUntilMs = -Infinity;
  #silence: string | undefined;
  #silentSinceMs = 0;
  #leavingSinceMs = 0;
  #handedOver = false;
  #goodbyesLeft = 0;
  #finished = false;
  #refusalSaidMs = -Infinity;

  constructor(options: MembershipOptions) {
    this.name = options.name;
    this.intervalMs = options.intervalMs;
    this.own = new OwnSettings(options.incarnation, {
      weights: options.weights.slice(),
      draining: options.draining ?? false,
    });
    this.#servicesDigest = options.servicesDigest;
    this.#lastInputMs = options.nowMs;
    this.#ownSinceMs = options.nowMs;
    this.#listenFromMs = options.nowMs;
    this.#nextSendMs = options.nowMs;
    this.#orders = new OrderDesk(options.name, (effect) => this.#effects.push(effect));
  }

  // ---------------------------------------------------------------------------------------------- inputs

  /**
   * Takes in a heartbeat that the codec accepted and the replay window has noted. `from` is where it came from, for display.
   */
  receive(message: Heartbeat, nowMs: number, wallMs: number, from = ""): void {
    this.#noticeTime(nowMs);
    if (this.#finished) return;
    this.counters.heartbeatsReceived++;
    if (message.sender === this.name) this.#hearOwnName(message, nowMs);
    else this.#hear(message, nowMs, wallMs, from);
    this.#evaluate(nowMs);
  }

  /** Lets time pass. To be called at {@link nextTickMs} at the latest, and after every batch of {@link receive}. */
  tick(nowMs: number, _wallMs: number): void {
    this.#noticeTime(nowMs);
    if (this.#finished) return;
    this.#detectFailures(nowMs);
    this.#orders.expire(nowMs);
    for (const [name, { untilMs }] of this.#remembered) if (nowMs >= untilMs) this.#remembered.delete(name);
    for (const [name, { diedMs }] of this.#dead) {
      if (nowMs - diedMs >= timing.DEAD_SHOWN_MS) this.#dead.delete(name);
    }
    this.#evaluate(nowMs);
    this.#scheduleSend(nowMs);
  }

  /** The heartbeat to send now. Each call gives a new one: on the effect `send`, call it once. */
  heartbeat(_nowMs: number, wallMs: number): Heartbeat {
    const heard: HeardMember[] = [];
    for (const member of this.members.values()) {
      heard.push({
        name: member.name,
        incarnation: member.incarnation,
        settingsVersion: member.settingsVersion,
        status: member.suspect ? "suspect" : "heard",
      });
    }
    for (const [name, { incarnation }] of this.#remembered) {
      if (heard.length >= MEMBERS_MAX) break;
      if (!this.members.has(name)) {
        heard.push({ name, incarnation, settingsVersion: 0, status: "remembered" });
      }
    }
    return {
      sender: this.name,
      incarnation: this.own.incarnation,
      sequence: ++this.#sequence,
      intervalMs: this.intervalMs,
      state: this.own.state,
      binding: this.#binding(),
      settingsVersion: this.own.version,
      weights: this.own.weights,
      servicesDigest: this.#servicesDigest,
      wallClockMs: Math.max(0, Math.floor(wallMs)),
      vipFramesSeen: this.#vipFramesSeen,
      heard,
      retained: this.own.state === "left"
        ? []
        : [...this.#retained].map(([table, bitmap]): Retained => ({ table, bitmap })),
      orders: this.#orders.orders(),
      answers: this.#orders.answers(),
    };
  }

  /**
   * Reports what became of a heartbeat. `startedMs` is a time from before {@link heartbeat} was called: the lease
   * counts from there, so that a pause between the two makes it shorter, never longer.
   */
  sent(ok: boolean, startedMs: number): void {
    if (ok) {
      this.counters.heartbeatsSent++;
      this.#lastSentOkMs = Math.max(this.#lastSentOkMs, startedMs);
    } else {
      this.counters.sendsFailed++;
    }
    if (this.#sendsFail === ok) {
      this.#sendsFail = !ok;
      this.#say(
        ok ? "info" : "error",
        ok ? "heartbeat.sent_again" : "heartbeat.not_sent",
        ok
          ? "Heartbeats can be sent again."
          : "No heartbeat can be sent on any network: this node stops answering unless that ends at once.",
      );
    }
    this.#flush();
  }

  /** Changes this node's own settings: at once if it may, otherwise as soon as the others know the present ones. */
  setSettings(
    weights: readonly number[],
    options: { readonly draining?: boolean; readonly servicesDigest?: number },
    nowMs: number,
  ): void {
    this.#noticeTime(nowMs);
    this.own.want({ weights: weights.slice(), draining: options.draining ?? false });
    if (options.servicesDigest !== undefined && options.servicesDigest !== this.#servicesDigest) {
      this.#servicesDigest = options.servicesDigest;
      this.#urgent = true;
    }
    this.#evaluate(nowMs);
  }

  /** Says which buckets of a table this node keeps connections of without claiming them. */
  setRetained(table: number, bitmap: Uint8Array | undefined, nowMs: number): void {
    this.#noticeTime(nowMs);
    const before = this.#retained.get(table);
    if (bitmap === undefined || bitmap.every((byte) => byte === 0)) {
      if (!this.#retained.delete(table)) return;
    } else {
      if (before !== undefined && bitmap.every((byte, i) => byte === before[i])) return;
      this.#retained.set(table, bitmap.slice(0, RETAINED_BITMAP_BYTES));
    }
    this.#urgent = true;
    this.#viewDirty = true;
    this.#flush();
  }

  /** Counts frames to the virtual IPs; goes out with heartbeats. */
  setVipFramesSeen(count: number): void {
    this.#vipFramesSeen = count;
  }

  /**
   * Sends an order to a node; the outcome comes as the effect `orderResult`, within 5 s.
   * @throws VipfarmError if too many orders are under way
   */
  issueOrder(order: Order, nowMs: number): void {
    this.#noticeTime(nowMs);
    this.#orders.issue(order, nowMs);
    this.#urgent = true;
  }

  /** Reports what became of an order that came as the effect `order`. */
  answerOrder(id: string, code: AnswerCode, text: string, nowMs: number): void {
    this.#noticeTime(nowMs);
    this.#orders.answer(id, code, text, nowMs);
    this.#urgent = true;
  }

  /**
   * A heartbeat of this sender was refused because an older incarnation than this one had sent it. If the node is not
   * heard otherwise, it may have restarted with a clock that went back: the next heartbeats tell it which to exceed.
   */
  staleHeard(sender: { readonly name: string; readonly incarnation: number }, nowMs: number): void {
    if (this.members.has(sender.name) || sender.name === this.name) return;
    if (this.#remembered.size >= MEMBERS_MAX && !this.#remembered.has(sender.name)) return;
    this.#remembered.set(sender.name, {
      incarnation: sender.incarnation,
      untilMs: nowMs + timing.REPLACE_INTERVALS * this.intervalMs,
    });
  }

  /** Gives up everything at once and says so; the effect `handedOver` follows. */
  leave(nowMs: number): void {
    this.#noticeTime(nowMs);
    if (this.own.state === "leaving" || this.own.state === "left") return;
    this.own.release("leaving");
    this.#silence = undefined;
    this.#leavingSinceMs = nowMs;
    this.#ownSinceMs = nowMs;
    this.#claimsDirty = true;
    this.#viewDirty = true;
    this.#urgent = true;
    this.#say("info", "self.leaving", "This node leaves the farm and has given up its share.");
    this.#evaluate(nowMs);
  }

  /** Says goodbye, a few times; the effect `finished` follows. The others then forget this node without a timeout. */
  goodbye(nowMs: number): void {
    if (this.own.state === "left") return;
    this.leave(nowMs);
    this.own.release("left");
    this.#goodbyesLeft = timing.GOODBYES;
    this.#nextSendMs = nowMs;
    this.#claimsDirty = true;
    this.#flush();
  }

  // --------------------------------------------------------------------------------------------- outputs

  /**
   * What is to be done, in order. The order matters: a heartbeat acknowledges settings that were adopted, so the
   * claims given up for them must be published before it goes out.
   */
  takeEffects(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When {@link tick} must be called next, on the clock of the inputs. */
  nextTickMs(): number {
    if (this.#finished) return Infinity;
    let next = this.#sendDueMs();
    for (const member of this.members.values()) {
      const intervals = member.suspect ? timing.REPLACE_INTERVALS : timing.SUSPECT_INTERVALS;
      next = Math.min(next, member.lastHeardMs + intervals * member.intervalMs);
    }
    if (this.own.state === "joining") {
      if (this.#announceFromMs !== undefined) {
        next = Math.min(next, this.#announceFromMs + timing.ANNOUNCE_INTERVALS * this.intervalMs);
      } else {
        const listenUntilMs = this.#listenFromMs + this.#listenMs();
        if (listenUntilMs > this.#lastInputMs) next = Math.min(next, listenUntilMs);
      }
    }
    if (this.own.state === "leaving" && !this.#handedOver) {
      next = Math.min(next, this.#leavingSinceMs + timing.HAND_OVER_INTERVALS * this.intervalMs);
    }
    return Math.min(next, this.#orders.nextMs());
  }

  /** What claims follow from; changes are announced by the effect `claims`. */
  basis(): ClaimsBasis {
    return {
      ownName: this.name,
      ownWeights: this.own.weights,
      ownPreviousWeights: this.own.previous,
      members: [...this.members.values()]
        .filter((member) => this.#counts(member))
        .sort((a, b) => a.name < b.name ? -1 : 1)
        .map(({ name, weights }) => ({ name, weights })),
    };
  }

  /** Packets may be accepted before this time; 0: none. */
  get leaseDeadlineMs(): number {
    return this.#leaseDeadlineMs;
  }

  /** This node's incarnation: it changes when the node doubts itself. */
  get incarnation(): number {
    return this.own.incarnation;
  }

  /** Every member with its state and the reason, this node included, by name; then those that died lately. */
  view(nowMs: number): MemberView[] {
    const lines = [...this.members.values()].map((member) =>
      viewOfMember(member, this.#isRecording(member, nowMs))
    );
    lines.push(viewOfSelf(this.own, {
      name: this.name,
      waitsFor: this.#waitsFor,
      silence: this.#silence,
      sinceMs: this.#ownSinceMs,
      nowMs,
      retains: this.#retained.size > 0,
      vipFramesSeen: this.#vipFramesSeen,
    }));
    for (const dead of this.#dead.values()) lines.push(viewOfDead(dead));
    return lines.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Groups of buckets whose open connections other live members keep; `undefined` if there are none. */
  retainedByOthers(table: number): Uint8Array | undefined {
    let union: Uint8Array | undefined;
    for (const member of this.members.values()) {
      if (!this.#counts(member)) continue;
      for (const retained of member.retained) {
        if (retained.table !== table) continue;
        union ??= new Uint8Array(RETAINED_BITMAP_BYTES);
        for (let i = 0; i < union.length; i++) union[i] |= retained.bitmap[i];
      }
    }
    return union;
  }

  // ------------------------------------------------------------------------------------------- the rules
  // Protected, so that the simulator can break one at a time and prove that it would notice.

  /** Rule 1: members that have not yet listed this node's current settings, and may claim by older ones. */
  protected unlisted(nowMs: number): Member[] {
    const { incarnation, version } = this.own;
    return [...this.members.values()].filter((member) => {
      const listing = member.listing;
      const lists = listing?.incarnation === incarnation && listing.status !== "remembered";
      if (lists && listing.settingsVersion === version) return false;
      // Whoever binds may claim, from the moment that we list it, with the settings that came with our list:
      // so it counts even before it has answered. Whoever binds nobody claims nothing, and before it may it hears
      // from us again, which tells it our settings as they are then.
      return member.binding ? !this.#isRecording(member, nowMs) : lists && listing.status === "heard";
    });
  }

  /** Rule 2: a live member whose list binds us, and does not have us as heard with settings that we claim by. */
  protected silencer(nowMs: number): Member | undefined {
    for (const member of this.members.values()) {
      if (member.binding && !this.knowsUs(member) && !this.#isRecording(member, nowMs)) return member;
    }
    return undefined;
  }

  /** Rule 3: intervals of silence after which a member is replaced; suspected earlier. */
  protected replaceIntervals(): number {
    return timing.REPLACE_INTERVALS;
  }

  /** Rule 4: how long a heartbeat that was sent lets this node claim. */
  protected leaseIntervals(): number {
    return timing.LEASE_INTERVALS;
  }

  // -------------------------------------------------------------------------------------------- hearing

  #hear(message: Heartbeat, nowMs: number, wallMs: number, from: string): void {
    const name = message.sender;
    let member = this.members.get(name);
    if (member !== undefined && message.incarnation < member.incarnation) return;
    if (message.state === "left") {
      if (member !== undefined) this.#remove(member, "said goodbye", "member.left", "info", nowMs);
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
    const dead = this.#dead.get(name);
    this.#dead.delete(name);
    this.#remembered.delete(name);
    const counted = this.#counts(member), state = member.state;
    const changes = adopt(
      member,
      message,
      { name: this.name, incarnation: this.own.incarnation },
      nowMs,
      wallMs,
    );
    member.address = from;
    if (dead?.member.incarnation === member.incarnation && dead.member.known) member.known = true;
    if (member.listing !== undefined && member.listing.incarnation > this.own.incarnation) {
      this.#exceed(member, member.listing.incarnation, nowMs);
    }
    if (this.#isRecording(member, nowMs)) {
      this.counters.recordings++;
      this.#sayOnce(
        member,
        "recording",
        "warning",
        "member.recording",
        () =>
          `Heartbeats of ${name} are ignored: it never answered, and its clock differs by ` +
          `${seconds(member.clockDifferenceMs)}. They may be a recording.`,
      );
    }
    if (changes.settings) this.#urgent = true; // rule 1: acknowledged at once
    if (member.suspect) {
      member.suspect = false;
      this.#urgent = true;
      this.#viewDirty = true;
      this.#say("info", "member.recovered", `Node ${name} is heard again.`, name);
    }
    if (counted !== this.#counts(member) || (changes.weights && counted)) this.#claimsDirty = true;
    if (changes.retained) this.#effects.push({ kind: "retained", member: name });
    if (changes.settings || changes.confirmed || changes.state || changes.retained) this.#viewDirty = true;
    this.#tellChanges(member, changes.restarted, state);
    if (this.listsUs(member)) { // it has heard this incarnation, so this is no recording: it may give orders
      if (this.#orders.hearOrders(message.orders, nowMs)) this.#urgent = true;
      this.#orders.hearAnswers(message.answers, name);
    }
  }

  #tellChanges(member: Member, restarted: boolean, before: Member["state"]): void {
    const name = member.name;
    if (restarted) this.#say("info", "member.restarted", `Node ${name} starts anew.`, name);
    if (member.confirmed && member.state !== before) {
      if (member.state === "up") {
        this.#say(
          "info",
          before === "draining" ? "member.resumed" : "member.joined",
          before === "draining" ? `Node ${name} takes new flows again.` : `Node ${name} takes its share.`,
          name,
        );
      } else if (member.state === "draining") {
        this.#say("info", "member.draining", `Node ${name} takes no new flows.`, name);
      } else if (member.state === "leaving") {
        this.#say("info", "member.leaving", `Node ${name} leaves the farm.`, name);
      }
    }
    if (Math.abs(member.clockDifferenceMs) > timing.CLOCK_DIFFERENCE_MS) {
      this.#sayOnce(
        member,
        "clock",
        "warning",
        "member.clock_differs",
        () =>
          `The clock of ${name} differs from ours by ${
            seconds(member.clockDifferenceMs)
          }: logs cannot be compared.`,
      );
    } else if (Math.abs(member.clockDifferenceMs) < timing.CLOCK_DIFFERENCE_MS / 2) {
      member.reported.delete("clock");
    }
    if (member.servicesDigest === this.#servicesDigest) {
      member.reported.delete("services");
    } else {
      this.#sayOnce(
        member,
        "services",
        "error",
        "member.services_differ",
        () => `Node ${name} runs a different list of services: give both nodes the same file.`,
      );
    }
  }

  /** Somebody uses our name: the one with the smaller incarnation stays out. */
  #hearOwnName(message: Heartbeat, nowMs: number): void {
    const { incarnation } = this.own;
    const newer = message.incarnation > incarnation ||
      (message.incarnation === incarnation && message.sequence > this.#sequence);
    if (!newer || message.state === "left") {
      this.counters.recordings++;
      return;
    }
    if (this.#duplicateUntilMs < nowMs) {
      this.#say(
        "error",
        "self.name_taken",
        `Another node uses the name ${this.name}: give each node its own (--node, VIPFARM_NODE or the host name).`,
      );
    }
    this.#duplicateUntilMs = nowMs + timing.UNCONFIRMED_INTERVALS * this.intervalMs;
    if (this.own.state === "up" || this.own.state === "draining") {
      this.#rejoin(incarnation, "another node uses its name", nowMs);
    }
  }

  /** A member remembers a later incarnation of ours (our clock went back): exceed it. */
  #exceed(member: Member, incarnation: number, nowMs: number): void {
    if (nowMs < this.#duplicateUntilMs || this.own.state === "leaving" || this.own.state === "left") return;
    this.#rejoin(incarnation + 1, `${member.name} remembers a later start of it`, nowMs);
  }

  #refuse(name: string, nowMs: number): void {
    this.counters.membersRefused++;
    if (nowMs - this.#refusalSaidMs < 60_000) return;
    this.#refusalSaidMs = nowMs;
    this.#say(
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
    const gapMs = nowMs - this.#lastInputMs;
    if (gapMs > 0) this.#lastInputMs = nowMs;
    if (gapMs > timing.LATE_INTERVALS * this.intervalMs) {
      for (const member of this.members.values()) member.lastHeardMs += gapMs;
      this.#listenFromMs = Math.max(this.#listenFromMs, nowMs);
      this.#announceFromMs = undefined;
    }
    // Whatever the cause, not running or not being able to send: whoever let its lease lapse may have been replaced.
    if (nowMs - this.#lastSentOkMs >= this.leaseIntervals() * this.intervalMs) {
      if (this.own.state === "up" || this.own.state === "draining") {
        this.#rejoin(
          this.own.incarnation + 1,
          gapMs > timing.LATE_INTERVALS * this.intervalMs
            ? `it did not run for ${Math.round(gapMs)} ms`
            : `it could not send a heartbeat for ${Math.round(nowMs - this.#lastSentOkMs)} ms`,
          nowMs,
        );
      } else if (this.own.state === "leaving") {
        this.#leaseForfeited = true;
      }
    }
  }

  #detectFailures(nowMs: number): void {
    for (const member of [...this.members.values()]) {
      const silentMs = nowMs - member.lastHeardMs;
      if (silentMs >= this.replaceIntervals() * member.intervalMs) {
        this.counters.deaths++;
        const reason = `was not heard for ${Math.round(silentMs)} ms`;
        this.#remove(member, reason, "member.dead", "warning", nowMs);
      } else if (!member.suspect && silentMs >= timing.SUSPECT_INTERVALS * member.intervalMs) {
        member.suspect = true;
        member.sinceMs = nowMs;
        this.counters.suspicions++;
        this.#urgent = true; // it stops when it hears this
        this.#viewDirty = true;
        this.#say(
          "warning",
          "member.suspect",
          `Node ${member.name} was not heard for ${Math.round(silentMs)} ms.`,
          member.name,
        );
      }
    }
  }

  #remove(
    member: Member,
    reason: string,
    kind: string,
    severity: FarmEventInit["severity"],
    nowMs: number,
  ): void {
    if (this.#counts(member)) this.#claimsDirty = true;
    this.members.delete(member.name);
    this.#dead.delete(member.name);
    this.#dead.set(member.name, { member, diedMs: nowMs, reason });
    if (this.#dead.size > timing.DEAD_SHOWN_MAX) {
      for (const oldest of this.#dead.keys()) {
        this.#dead.delete(oldest);
        break;
      }
    }
    if (member.retained.length > 0) this.#effects.push({ kind: "retained", member: member.name });
    this.#urgent = true;
    this.#viewDirty = true;
    this.#say(severity, kind, `Node ${member.name} ${reason}: the others take its share.`, member.name);
  }

  // ---------------------------------------------------------------------------------------- conclusions

  /** Draws all conclusions from what is known now. */
  #evaluate(nowMs: number): void {
    const { own } = this;
    if (own.state === "joining") this.#tryJoin(nowMs);
    if (own.state === "up" || own.state === "draining") this.#judgeSilence(nowMs);
    if (own.state === "up" || own.state === "draining") {
      // Rule 1: one change of one's own under way at a time; what is wanted meanwhile is taken together.
      if (this.unlisted(nowMs).length === 0) {
        if (own.previous !== undefined) {
          own.previous = undefined;
          this.#claimsDirty = true;
        }
        if (own.differs) this.#applyWanted(nowMs);
      }
      if (nowMs - this.#ownSinceMs > timing.STABLE_INTERVALS * this.intervalMs) this.#flaps = 0;
    }
    if (own.state === "leaving" && !this.#handedOver) {
      const waitedMs = nowMs - this.#leavingSinceMs;
      if (this.unlisted(nowMs).length === 0 || waitedMs >= timing.HAND_OVER_INTERVALS * this.intervalMs) {
        this.#handedOver = true;
        this.#effects.push({ kind: "handedOver" });
      }
    }
    this.#flush();
  }

  #applyWanted(nowMs: number): void {
    const before = this.own.state;
    this.own.applyWanted();
    // Nobody has to acknowledge: the change is done with.
    if (this.unlisted(nowMs).length === 0) this.own.previous = undefined;
    this.#claimsDirty = true;
    this.#viewDirty = true;
    this.#urgent = true;
    if (this.own.state !== before) {
      this.#ownSinceMs = nowMs;
      this.#say(
        "info",
        `self.${this.own.state}`,
        this.own.state === "up" ? "This node takes its share." : "This node takes no new flows.",
      );
    }
  }

  /** Rule 7: listen, then announce, then take weights; as long as something speaks against it, wait. */
  #tryJoin(nowMs: number): void {
    const obstacle = nowMs - this.#listenFromMs < this.#listenMs()
      ? "listens before it takes its share"
      : this.#obstacle(nowMs);
    if (obstacle !== undefined) {
      this.#announceFromMs = undefined;
      this.#wait(obstacle);
      return;
    }
    if (this.#announceFromMs === undefined) {
      this.#announceFromMs = nowMs;
      this.#urgent = true; // this list binds: whoever hears us and is not in it stops before we begin
      this.#wait("announces itself before it takes its share");
    }
    if (nowMs - this.#announceFromMs < timing.ANNOUNCE_INTERVALS * this.intervalMs) return;
    this.#announceFromMs = undefined;
    this.#silence = undefined;
    this.#applyWanted(nowMs);
  }

  #wait(reason: string): void {
    if (reason === this.#waitsFor) return;
    this.#waitsFor = reason;
    this.#viewDirty = true;
  }

  /** Why this node must not take its share yet. */
  #obstacle(nowMs: number): string | undefined {
    if (nowMs < this.#duplicateUntilMs) return `another node uses the name ${this.name}`;
    if (nowMs - this.#lastSentOkMs >= this.leaseIntervals() * this.intervalMs) {
      return "cannot send heartbeats";
    }
    for (const member of this.members.values()) {
      if (this.#isRecording(member, nowMs)) continue;
      // Two that join at once and differ: the smaller name goes first, so that one of them serves.
      const precedes = member.state !== "joining" || member.name < this.name;
      if (member.servicesDigest !== this.#servicesDigest && precedes) {
        return `${member.name} runs a different list of services`;
      }
      if (!this.listsUs(member)) return `${member.name} does not hear this node`;
      if (member.listing?.settingsVersion !== this.own.version) {
        return `${member.name} has not acknowledged this node yet`;
      }
      if (member.state !== "up" && member.state !== "draining") continue;
      const unheard = member.hears.find((name) => name !== this.name && !this.members.has(name));
      if (unheard !== undefined) return `${member.name} hears ${unheard}, which this node does not hear`;
    }
    return undefined;
  }

  /** Rule 2: listed or silent. */
  #judgeSilence(nowMs: number): void {
    const silencer = this.silencer(nowMs);
    if (silencer === undefined) {
      if (this.#silence === undefined) return;
      this.#silence = undefined;
      this.#viewDirty = true;
      this.#say("info", "self.listed", "Every member hears this node again: it takes its share.");
      return;
    }
    if (this.#silence === undefined) {
      this.#silentSinceMs = nowMs;
      this.counters.silences++;
      this.#viewDirty = true;
      this.#urgent = true;
      const hears = this.listsUs(silencer);
      this.#silence = `${silencer.name} does not ${hears ? "know the settings of" : "hear"} this node`;
      this.#say(
        "warning",
        "self.silent",
        `${this.#silence}: it answers nothing until ${silencer.name} does.`,
        silencer.name,
      );
    }
    // It lasts, and the other is alive: with zero weights the rest of the farm covers our share.
    const heardLately = nowMs - silencer.lastHeardMs < timing.SUSPECT_INTERVALS * silencer.intervalMs;
    if (heardLately && nowMs - this.#silentSinceMs >= timing.SILENT_INTERVALS * this.intervalMs) {
      this.#rejoin(this.own.incarnation + 1, `${silencer.name} does not hear it`, nowMs);
    }
  }

  /** Starts anew: nothing is claimed, and every member has to list the new incarnation first. */
  #rejoin(incarnation: number, cause: string, nowMs: number): void {
    this.own.restart(incarnation);
    this.counters.rejoins++;
    this.#flaps++;
    for (const member of this.members.values()) {
      member.confirmed = false;
      member.listing = undefined;
    }
    this.#silence = undefined;
    this.#listenFromMs = nowMs;
    this.#announceFromMs = undefined;
    this.#ownSinceMs = nowMs;
    this.#waitsFor = "listens before it takes its share";
    this.#claimsDirty = true;
    this.#viewDirty = true;
    this.#urgent = true;
    this.#say("warning", "self.rejoining", `This node joins anew: ${cause}.`);
  }

  // --------------------------------------------------------------------------------------------- helpers

  /** Whether the member has listed our current incarnation as heard. */
  protected listsUs(member: Member): boolean {
    return member.listing?.incarnation === this.own.incarnation && member.listing.status === "heard";
  }

  /**
   * Whether it lists us with the current settings, or with the previous ones while we claim by both. After a cut it
   * may know older ones: meanwhile we could not wait for it.
   */
  protected knowsUs(member: Member): boolean {
    if (!this.listsUs(member)) return false;
    const behind = this.own.version - member.listing!.settingsVersion;
    return behind === 0 || (behind === 1 && this.own.previous !== undefined);
  }

  /** Rule 9: whether the member's weights count. Whoever has not answered us may be a recording. */
  #counts(member: Member): boolean {
    return member.confirmed;
  }

  /** Rule 9: never answered, and its clock says that it was recorded long ago. */
  #isRecording(member: Member, nowMs: number): boolean {
    if (member.known || Math.abs(member.clockDifferenceMs) <= timing.RECORDING_AGE_MS) return false;
    // A joining node has nothing to lose by waiting for an answer, for a while.
    return this.own.state !== "joining" ||
      nowMs - member.firstHeardMs > timing.UNCONFIRMED_INTERVALS * this.intervalMs;
  }

  /** Whether others that miss themselves in our list must stop: we claim something, or are about to. */
  #binding(): boolean {
    return this.#announceFromMs !== undefined || this.own.weights.some((weight) => weight > 0);
  }

  #listenMs(): number {
    const factor = Math.min(timing.FLAP_FACTOR_MAX, 2 ** Math.max(0, this.#flaps - 1));
    return timing.LISTEN_INTERVALS * this.intervalMs * factor;
  }

  #sendDueMs(): number {
    return this.#urgent ? Math.min(this.#nextSendMs, this.#urgentFromMs()) : this.#nextSendMs;
  }

  /** Urgent heartbeats may come in a burst, and at a distance of URGENT_SPACING in the long run. */
  #urgentFromMs(): number {
    const burst = timing.URGENT_BURST - 1;
    return this.#urgentPaidMs - burst * timing.URGENT_SPACING_INTERVALS * this.intervalMs;
  }

  #scheduleSend(nowMs: number): void {
    if (nowMs < this.#sendDueMs()) return;
    this.#effects.push({ kind: "send", urgent: nowMs < this.#nextSendMs });
    this.#urgent = false;
    this.#urgentPaidMs = Math.max(this.#urgentPaidMs, nowMs) +
      timing.URGENT_SPACING_INTERVALS * this.intervalMs;
    this.#nextSendMs = nowMs + this.intervalMs;
    if (this.own.state !== "left") return;
    this.#nextSendMs = nowMs + timing.URGENT_SPACING_INTERVALS * this.intervalMs;
    if (--this.#goodbyesLeft === 0) {
      this.#finished = true;
      this.#effects.push({ kind: "finished" });
    }
  }

  /** Queues what changed, in the safe order: a lease ends before and begins after the claims are rebuilt. */
  #flush(): void {
    const { state } = this.own;
    const granted =
      (state === "up" || state === "draining" || (state === "leaving" && !this.#leaseForfeited)) &&
      this.#silence === undefined && this.#lastSentOkMs > -Infinity;
    const deadlineMs = granted ? this.#lastSentOkMs + this.leaseIntervals() * this.intervalMs : 0;
    const changed = deadlineMs !== this.#leaseDeadlineMs;
    this.#leaseDeadlineMs = deadlineMs;
    if (changed && deadlineMs === 0) this.#effects.push({ kind: "lease", deadlineMs });
    if (this.#claimsDirty) this.#effects.push({ kind: "claims" });
    if (changed && deadlineMs !== 0) this.#effects.push({ kind: "lease", deadlineMs });
    if (this.#viewDirty) this.#effects.push({ kind: "view" });
    this.#claimsDirty = false;
    this.#viewDirty = false;
  }

  #say(severity: FarmEventInit["severity"], kind: string, message: string, node?: string): void {
    this.#effects.push({
      kind: "event",
      event: node === undefined ? { severity, kind, message } : { severity, kind, message, node },
    });
  }

  #sayOnce(
    member: Member,
    key: string,
    severity: FarmEventInit["severity"],
    kind: string,
    message: () => string,
  ): void {
    if (member.reported.has(key)) return;
    member.reported.add(key);
    this.#say(severity, kind, message(), member.name);
  }
}

function seconds(durationMs: number): string {
  return `${(Math.abs(durationMs) / 1000).toFixed(1)} s`;
}
