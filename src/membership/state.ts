/**
 * What a node knows of itself and the others, and what follows from it without any change: outputs, and the four
 * rules that keep a bucket from having two owners. `membership.ts` has the inputs, which change it.
 */

import type { FarmEventInit } from "../core/events.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import { type HeardMember, type Heartbeat, RETAINED_BITMAP_BYTES } from "../wire/heartbeat.ts";
import { Departed } from "./departed.ts";
import { echoOf, OLD_ECHO_INTERVALS, SentTimes } from "./echo.ts";
import { Herald } from "./herald.ts";
import { Holds } from "./holds.ts";
import { Joining } from "./joining.ts";
import { aliveMs, type Stranger, strangers } from "./hearsay.ts";
import { isListed, isRecording, knowsUs, listsUs, mustAcknowledge } from "./judgement.ts";
import { type Member, restoreMember, saveMember } from "./member.ts";
import { OrderDesk } from "./orders.ts";
import { OtherVersions } from "./other_versions.ts";
import { OwnSettings } from "./own.ts";
import { quorumDeadlineMs, quorumProblem, type QuorumRule, type Votes } from "./quorum.ts";
import { REACH_UNKNOWN } from "./reach.ts";
import { OwnReport } from "./report.ts";
import { SendSchedule } from "./schedule.ts";
import * as timing from "./timing.ts";
import type { SavedMembership } from "./saved.ts";
import type { ClaimsBasis, Effect, MembershipCounters, MembershipOptions, MemberView } from "./types.ts";
import { viewOfDead, viewOfMember, viewOfSelf } from "./view.ts";

/** The state of one node's membership, to be read. */
export abstract class MembershipState {
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
  protected readonly departed = new Departed();
  protected readonly herald = new Herald();
  protected readonly holds = new Holds();
  protected readonly orders: OrderDesk;
  protected readonly otherVersions: OtherVersions;
  protected readonly schedule: SendSchedule;
  protected readonly joining: Joining;
  protected readonly sentTimes = new SentTimes();
  protected readonly report = new OwnReport();
  /** When what others report is shown, if it changed. */
  protected reportsDueMs: number | undefined;
  protected readonly quorum: QuorumRule | undefined;
  /** When the last question was sent that the witness of the quorum has answered. */
  protected witnessMs: number | undefined;
  protected readonly retained = new Map<number, Uint8Array>();
  /** What it asks of the others should they miss it. */
  protected holdMs = 0;
  protected servicesDigest: number;
  protected vipFramesSeen = 0;
  protected vipReach = REACH_UNKNOWN;
  /** Of these, those that another process of this node saw. */
  protected framesBefore = 0;
  protected sequence = 0;

  protected claimsDirty = false;
  protected viewDirty = true;
  protected lastInputMs: number;
  protected ownSinceMs: number;
  /** When this node took the incarnation that it has. */
  protected incarnationSinceMs: number;
  protected deadlineMs = 0;
  protected leaseForfeited = false;
  protected silence: string | undefined;
  protected silentSinceMs = 0;
  protected lackedQuorum = false;
  protected strangerSinceMs: number | undefined;
  protected leavingSinceMs = 0;
  protected handedOver = false;
  protected goodbyesLeft = 0;
  protected finished = false;
  protected refusalSaidMs = -Infinity;

  constructor(options: MembershipOptions) {
    this.name = options.name;
    this.intervalMs = options.intervalMs;
    this.own = new OwnSettings(options.incarnation, {
      weights: options.weights.slice(),
      draining: options.draining ?? false,
    });
    this.servicesDigest = options.servicesDigest;
    this.quorum = options.quorum;
    this.lastInputMs = options.nowMs;
    this.ownSinceMs = options.nowMs;
    this.incarnationSinceMs = options.nowMs;
    this.schedule = new SendSchedule(options.intervalMs, options.nowMs);
    this.joining = new Joining(options.intervalMs, options.nowMs);
    this.otherVersions = new OtherVersions(options.name);
    this.orders = new OrderDesk(options.name, (effect) => this.herald.push(effect));
  }

  /** Everything that another process of this node needs to go on from here, as plain data. */
  save(): SavedMembership {
    return {
      own: this.own.save(),
      joining: this.joining.save(),
      departed: this.departed.save(),
      orders: this.orders.save(),
      members: [...this.members.values()].map(saveMember),
      holds: this.holds.all,
      sequence: this.sequence,
      vipFramesSeen: this.vipFramesSeen,
      lastOkMs: this.schedule.lastOkMs,
      lastInputMs: this.lastInputMs,
      ownSinceMs: this.ownSinceMs,
      incarnationSinceMs: this.incarnationSinceMs,
      witnessMs: this.witnessMs,
      silence: this.silence,
      silentSinceMs: this.silentSinceMs,
    };
  }

  /**
   * Goes on where another process of this node stopped: for the others nothing has happened but a late heartbeat. Before
   * the first input. The caller has made sure that the other process sends nothing more, and claims nothing that this
   * one does not.
   */
  restore(saved: SavedMembership): void {
    this.own.restore(saved.own);
    this.joining.restore(saved.joining);
    this.departed.restore(saved.departed);
    this.orders.restore(saved.orders);
    for (const member of saved.members) this.members.set(member.name, restoreMember(member));
    this.holds.restore(saved.holds);
    this.sequence = saved.sequence;
    this.vipFramesSeen = this.framesBefore = saved.vipFramesSeen;
    this.schedule.lastOkMs = saved.lastOkMs;
    this.lastInputMs = saved.lastInputMs;
    this.ownSinceMs = saved.ownSinceMs;
    this.incarnationSinceMs = saved.incarnationSinceMs;
    this.witnessMs = saved.witnessMs;
    this.silence = saved.silence;
    this.silentSinceMs = saved.silentSinceMs;
    this.claimsDirty = true;
    this.viewDirty = true;
    this.hurry();
    this.flush();
  }

  /**
   * What is to be done, in order. The order matters: a heartbeat acknowledges settings that were adopted, so the
   * claims given up for them must be published before it goes out.
   */
  takeEffects(): Effect[] {
    return this.herald.take();
  }

  /** When {@link tick} must be called next, on the clock of the inputs. */
  nextTickMs(): number {
    if (this.finished) return Infinity;
    let next = this.schedule.dueMs;
    for (const member of this.members.values()) {
      if (!member.suspect) {
        next = Math.min(next, member.lastHeardMs + timing.SUSPECT_INTERVALS * member.intervalMs);
        continue;
      }
      const dueMs = this.aliveMs(member) + timing.REPLACE_INTERVALS * member.intervalMs;
      next = Math.min(next, this.losesQuorum(this.lastInputMs) ? Math.max(dueMs, this.quorumMs()) : dueMs);
    }
    if (this.own.state === "joining") next = Math.min(next, this.joining.nextMs(this.lastInputMs));
    if (this.own.state === "leaving" && !this.handedOver) {
      next = Math.min(next, this.leavingSinceMs + timing.HAND_OVER_INTERVALS * this.intervalMs);
    }
    if (!this.schedule.hurrying) next = Math.min(next, this.witnessDueMs());
    // Noticed in time; the lease has ended by itself then. A node that leaves draws no conclusion from it.
    if (this.own.isIn && this.deadlineMs !== 0 && this.silence === undefined) {
      next = Math.min(next, this.quorumMs());
    }
    // Then it joins anew, or waits for whoever does not list it to be replaced.
    const silenceEndsMs = this.silentSinceMs + timing.SILENT_INTERVALS * this.intervalMs;
    if (this.own.isIn && this.silence !== undefined && silenceEndsMs > this.lastInputMs) {
      next = Math.min(next, silenceEndsMs);
    }
    return Math.min(next, this.orders.nextMs(), this.holds.nextMs(), this.reportsDueMs ?? Infinity);
  }

  /** What claims follow from; changes are announced by the effect `claims`. */
  basis(): ClaimsBasis {
    return {
      ownName: this.name,
      ownWeights: this.own.weights,
      ownPreviousWeights: this.own.previous,
      members: [...this.members.values()]
        .filter((member) => member.confirmed)
        .sort((a, b) => a.name < b.name ? -1 : 1)
        .map(({ name, weights }) => ({ name, weights })),
    };
  }

  /** Packets may be accepted before this time; 0: none. */
  get leaseDeadlineMs(): number {
    return this.deadlineMs;
  }

  /** This node's incarnation: it changes when the node doubts itself. */
  get incarnation(): number {
    return this.own.incarnation;
  }

  /** Every member with its state and the reason, this node included, by name; then those that died lately. */
  view(nowMs: number): MemberView[] {
    const lines = [...this.members.values()].map((member) =>
      viewOfMember(member, this.isRecording(member, nowMs))
    );
    lines.push(viewOfSelf(this.own, {
      name: this.name,
      waitsFor: this.joining.waitsFor,
      silence: this.silence,
      sinceMs: this.ownSinceMs,
      nowMs,
      retains: this.retained.size > 0,
      vipFramesSeen: this.vipFramesSeen,
      vipReach: this.vipReach,
      servicesDigest: this.servicesDigest,
      report: this.report.text,
    }));
    for (const dead of this.departed.dead) lines.push(viewOfDead(dead));
    return lines.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /**
   * Groups of buckets whose open connections others keep, live or (unless `held` is false) held; `undefined` if there are
   * none.
   */
  retainedByOthers(table: number, held = true): Readonly<Uint8Array> | undefined {
    if (held && this.holds.buckets !== undefined) return this.holds.buckets;
    let union: Uint8Array | undefined;
    for (const member of this.members.values()) {
      if (!member.confirmed) continue;
      for (const retained of member.retained) {
        if (retained.table !== table) continue;
        union ??= new Uint8Array(RETAINED_BITMAP_BYTES);
        for (let i = 0; i < union.length; i++) union[i] |= retained.bitmap[i];
      }
    }
    return union;
  }

  /** The heartbeat to send now. Each call gives a new one: on the effect `send`, call it once. */
  heartbeat(nowMs: number, wallMs: number): Heartbeat {
    const heard: HeardMember[] = [];
    for (const member of this.members.values()) {
      heard.push({
        name: member.name,
        incarnation: member.incarnation,
        settingsVersion: member.settingsVersion,
        // What may be a recording is no sign of life that others could go by.
        status: member.suspect || this.isRecording(member, nowMs) ? "suspect" : "heard",
        echo: echoOf(member.sequence),
      });
    }
    for (const { name, incarnation } of this.departed.remembered) {
      if (heard.length >= MEMBERS_MAX) break;
      if (!this.members.has(name)) {
        heard.push({ name, incarnation, settingsVersion: 0, status: "remembered", echo: 0 });
      }
    }
    this.sentTimes.note(++this.sequence, nowMs);
    const report = this.report.take(nowMs);
    return {
      sender: this.name,
      incarnation: this.own.incarnation,
      sequence: this.sequence,
      intervalMs: this.intervalMs,
      state: this.own.state,
      binding: this.binding(),
      settingsVersion: this.own.version,
      weights: this.own.weights,
      servicesDigest: this.servicesDigest,
      wallClockMs: Math.max(0, Math.floor(wallMs)),
      vipFramesSeen: this.vipFramesSeen,
      vipReach: this.vipReach,
      holdMs: this.holdMs,
      heard,
      retained: this.own.state === "left"
        ? []
        : [...this.retained].map(([table, bitmap]) => ({ table, bitmap })),
      holds: this.holds.running(nowMs),
      orders: this.orders.orders(),
      answers: this.orders.answers(),
      ...(report !== undefined && { report }),
    };
  }

  // ------------------------------------------------------------------------------------------- the rules
  // Protected, so that the simulator can break one at a time and prove that it would notice.

  /** Rule 1: members that have not yet listed this node's current settings, and may claim by older ones. */
  protected unlisted(nowMs: number): Member[] {
    return [...this.members.values()].filter((member) =>
      mustAcknowledge(member, this.own) && !this.isRecording(member, nowMs)
    );
  }

  /** Rule 2: a live member whose list binds us, and does not have us as heard with settings that we claim by. */
  protected silencer(nowMs: number): Member | undefined {
    for (const member of this.members.values()) {
      if (member.binding && !this.knowsUs(member) && !this.isRecording(member, nowMs)) return member;
    }
    return undefined;
  }

  /** Rule 2: whether the member lists us with settings that we claim by. */
  protected knowsUs(member: Member): boolean {
    return knowsUs(member, this.own);
  }

  /** Rule 3: intervals of silence after which a member is replaced; suspected earlier. */
  protected replaceIntervals(): number {
    return timing.REPLACE_INTERVALS;
  }

  /** Rule 14: when a member last gave a sign of life, to this node or to another that told of it. */
  protected aliveMs(member: Member): number {
    return aliveMs(member);
  }

  /** Rule 14: a stranger that this node has to step back for: while it enters any, later one of a smaller name. */
  protected stranger(): Stranger | undefined {
    for (const stranger of strangers(this.name, this.members, (name) => this.departed.last(name))) {
      if (this.own.isEntering || stranger.name < this.name) return stranger;
    }
    return undefined;
  }

  /** Rule 14: a live member that knew this node in its present incarnation, and has taken it out. */
  protected replacer(): Member | undefined {
    return this.members.values().find((member) =>
      member.confirmed && !member.suspect && member.binding && !isListed(member, this.own)
    );
  }

  /** Rule 4: how long a heartbeat that was sent lets this node claim. */
  protected leaseIntervals(): number {
    return timing.LEASE_INTERVALS;
  }

  /** What the quorum is judged by. */
  protected votes(): Votes {
    return {
      self: this.name,
      echoedMs: (name) => this.members.get(name)?.echoedMs,
      oldestEchoMs: () => this.#oldestEchoMs(),
      witnessMs: this.witnessMs,
      leaseMs: timing.LEASE_INTERVALS * this.intervalMs,
      newsMs: timing.WITNESS_INTERVALS * this.intervalMs,
    };
  }

  /** Rule 11: when to ask the witness, because a member's echo is getting old; not if a heartbeat has asked since. */
  protected witnessDueMs(): number {
    if (this.quorum?.kind !== "witness") return Infinity;
    const dueMs = this.#oldestEchoMs() + timing.WITNESS_INTERVALS * this.intervalMs;
    return this.schedule.lastOkMs >= dueMs ? Infinity : dueMs;
  }

  #oldestEchoMs(): number {
    let oldestMs = Infinity;
    for (const { echoedMs, unheard } of this.members.values()) {
      // Who is cut off from this node alone echoes nothing more, and says nothing of a later cut.
      if (!unheard) oldestMs = Math.min(oldestMs, echoedMs ?? Infinity);
    }
    return oldestMs;
  }

  /** Rule 11: until when this node may claim, by its quorum. */
  protected quorumMs(): number {
    return quorumDeadlineMs(this.quorum, this.votes());
  }

  /**
   * Rule 11: whether its quorum ends in a moment, unless it is renewed. Whoever is being cut off might be that much too early
   * with replacing somebody for whom its own voters vote.
   */
  protected losesQuorum(nowMs: number): boolean {
    const quorumMs = this.quorumMs();
    return nowMs < quorumMs && quorumMs < nowMs + timing.QUORUM_MARGIN_INTERVALS * this.intervalMs;
  }

  /** Why this node may not claim for want of a quorum; `undefined`: it has one, or needs none. */
  protected quorumLack(nowMs: number): string | undefined {
    if (this.quorum === undefined || nowMs < this.quorumMs()) return undefined;
    return quorumProblem(this.quorum, this.votes(), nowMs);
  }

  /**
   * Rule 12: it claims to hear this node, but by a heartbeat of long ago: late beyond use, or recorded. Whatever an earlier
   * incarnation sent was sent before this one began.
   */
  protected isOld(message: Heartbeat, nowMs: number): boolean {
    const listing = message.heard.find((heard) => heard.name === this.name);
    if (listing?.status !== "heard" || listing.incarnation > this.own.incarnation) return false;
    const sentMs = listing.incarnation === this.own.incarnation
      ? this.sentTimes.at(listing.echo)
      : this.incarnationSinceMs;
    const intervalMs = Math.max(this.intervalMs, message.intervalMs);
    return sentMs !== undefined && nowMs - sentMs > OLD_ECHO_INTERVALS * intervalMs;
  }

  /** Rule 11: its vote. */
  protected takeEcho(member: Member): void {
    if (!listsUs(member, this.own)) return;
    const sentMs = this.sentTimes.at(member.listing!.echo);
    if (sentMs !== undefined) member.echoedMs = Math.max(member.echoedMs ?? -Infinity, sentMs);
  }

  protected isRecording(member: Member, nowMs: number): boolean {
    return isRecording(member, this.own, this.intervalMs, nowMs);
  }

  /** Whether others that miss themselves in our list must stop: we claim something, or are about to. */
  protected binding(): boolean {
    return this.joining.announcing || this.own.weights.some((weight) => weight > 0);
  }

  protected scheduleSend(nowMs: number): void {
    const kind = this.schedule.take(nowMs);
    if (kind === undefined) return;
    this.herald.push({ kind: "send", urgent: kind === "urgent" });
    if (this.own.state !== "left") return;
    this.schedule.sendAt(nowMs + this.schedule.spacingMs);
    if (--this.goodbyesLeft === 0) {
      this.finished = true;
      this.herald.push({ kind: "finished" });
    }
  }

  protected hurry(): void {
    this.schedule.hurry();
  }

  /** Queues what changed, in the safe order: a lease ends before and begins after the claims are rebuilt. */
  protected flush(): void {
    const granted = (this.own.isIn || (this.own.state === "leaving" && !this.leaseForfeited)) &&
      this.silence === undefined && this.schedule.lastOkMs > -Infinity;
    const leaseMs = this.schedule.lastOkMs + this.leaseIntervals() * this.intervalMs;
    const deadlineMs = granted ? Math.max(0, Math.min(leaseMs, this.quorumMs())) : 0;
    const changed = deadlineMs !== this.deadlineMs;
    this.deadlineMs = deadlineMs;
    if (changed && deadlineMs === 0) this.herald.push({ kind: "lease", deadlineMs });
    if (this.claimsDirty) this.herald.push({ kind: "claims" });
    if (changed && deadlineMs !== 0) this.herald.push({ kind: "lease", deadlineMs });
    if (this.viewDirty) {
      this.herald.push({ kind: "view" });
      this.reportsDueMs = undefined;
    }
    this.claimsDirty = false;
    this.viewDirty = false;
  }

  protected say(severity: FarmEventInit["severity"], kind: string, message: string, node?: string): void {
    this.herald.say(severity, kind, message, node);
  }
}
