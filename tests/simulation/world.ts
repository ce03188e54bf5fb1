/**
 * A farm of simulated nodes that run the very state machine of the daemon, with the rule of the farm checked after
 * every step: no bucket is claimed by two nodes that can exchange packets.
 *
 * Exactly: two nodes may claim one bucket at a time only if nothing that either of them sent within the last
 * CONTACT_INTERVALS has been taken in by the other. A node whose control thread is stalled claims with its last view
 * (the packet thread goes on), so for it the exemption ends with the lease.
 */

import { claimsBucket } from "../../src/membership/claims.ts";
import { Membership } from "../../src/membership/membership.ts";
import type { QuorumRule } from "../../src/membership/quorum.ts";
import type { Effect, MembershipOptions } from "../../src/membership/types.ts";
import type { Heartbeat } from "../../src/wire/heartbeat.ts";
import { type Held, SimulatedNode } from "./node.ts";
import { Agenda, FAIR_WEATHER, Random, type Weather } from "./network.ts";

/** Nothing that was sent within this time has arrived: then, and only then, two nodes may disagree. */
export const CONTACT_INTERVALS = 1.8;
/** A stalled node claims for its lease, 4 intervals of its own clock, and no longer. */
export const STALL_INTERVALS = 4.05;
/** Buckets that are watched. */
export const BUCKETS_WATCHED = 12;
/** A socket's queue: the kernel keeps some hundred heartbeats for a node that does not read. */
const SOCKET_QUEUE_MAX = 512;
const TRANSCRIPT_LINES_MAX = 4000;

/** Makes the state machine; a broken one for the tests that must fail. */
export type MakeMembership = (options: MembershipOptions) => Membership;

export interface WorldOptions {
  readonly seed: number;
  readonly intervalMs?: number;
  readonly make?: MakeMembership;
  /** Every node asks for it. */
  readonly quorum?: QuorumRule;
  readonly strict?: boolean;
  /** Largest lateness of a wake-up. */
  readonly wakeLateMsMax?: number;
}

/** A broken rule of the farm, with what led there. */
export class Violation extends Error {
  constructor(message: string, readonly transcript: string) {
    super(message);
    this.name = "Violation";
  }
}

export class World {
  readonly random: Random;
  readonly agenda = new Agenda();
  readonly nodes: SimulatedNode[] = [];
  readonly intervalMs: number;
  weather: Weather = { ...FAIR_WEATHER };
  /** "a>b": what a sends does not reach b. */
  readonly cuts = new Set<string>();
  /** Names of the nodes that the witness of the quorum answers. */
  readonly seeWitness = new Set<string>();
  /** How long its answer takes. */
  witnessMs = 0;
  steps = 0;
  /** Longest time that a watched bucket had no claimant, since {@link watchGaps}. */
  longestGapMs = 0;
  readonly #lines: string[] = [];
  readonly #make: MakeMembership;
  readonly #quorum: QuorumRule | undefined;
  /** Whether no bucket may have two owners at all, in contact or not. */
  strict: boolean;
  readonly #wakeLateMsMax: number;
  readonly #scores = new Map<string, number[]>();
  readonly #unclaimedFromMs: (number | undefined)[] = new Array(BUCKETS_WATCHED).fill(undefined);
  #watchingGaps = false;

  constructor(options: WorldOptions) {
    this.random = new Random(options.seed);
    this.intervalMs = options.intervalMs ?? 100;
    this.#make = options.make ?? ((membershipOptions) => new Membership(membershipOptions));
    this.#quorum = options.quorum;
    this.strict = options.strict ?? false;
    this.#wakeLateMsMax = options.wakeLateMsMax ?? 0;
  }

  get nowMs(): number {
    return this.agenda.nowMs;
  }

  get transcript(): string {
    return this.#lines.join("\n");
  }

  node(name: string): SimulatedNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }

  addNode(name: string): SimulatedNode {
    const node = new SimulatedNode(name);
    this.nodes.push(node);
    return node;
  }

  note(who: string, text: string): void {
    this.#lines.push(`${this.nowMs.toFixed(1).padStart(9)} ms  ${who.padEnd(3)} ${text}`);
    if (this.#lines.length > TRANSCRIPT_LINES_MAX) this.#lines.splice(0, TRANSCRIPT_LINES_MAX / 2);
  }

  // ------------------------------------------------------------------------------ what happens to nodes

  start(node: SimulatedNode): void {
    if (node.membership !== undefined) return;
    this.note(node.name, "starts");
    node.queue.length = 0;
    node.lastAccepted.clear();
    node.contactMs.clear();
    node.stalledFromMs = undefined;
    node.membership = this.#make({
      name: node.name,
      incarnation: Math.floor(1_800_000_000_000 + this.nowMs + node.wallOffsetMs),
      intervalMs: this.intervalMs,
      weights: node.weights,
      draining: node.draining,
      servicesDigest: 1,
      quorum: this.#quorum,
      nowMs: node.localMs(this.nowMs),
    });
    this.#run(node);
  }

  /** The program dies; with `holdMs`, a supervisor outlives it and says goodbye for it. */
  crash(node: SimulatedNode, holdMs?: number): void {
    if (node.membership === undefined) return;
    this.note(node.name, "is killed");
    this.#gone(node);
    if (holdMs === undefined || node.lastSent === undefined) return;
    const incarnation = Math.max(node.lastSent.incarnation + 1, Math.floor(this.#wallMs(node)));
    const goodbye = { ...node.lastSent, incarnation, sequence: 1, state: "left" as const, holdMs };
    for (const other of this.nodes) if (other !== node) this.inject(other, goodbye);
  }

  stall(node: SimulatedNode, durationMs: number): void {
    if (node.membership === undefined || node.stalledFromMs !== undefined) return;
    this.note(node.name, `does not run for ${durationMs.toFixed(0)} ms`);
    node.stalledFromMs = this.nowMs;
    node.stalledUntilMs = this.nowMs + durationMs;
    const { generation } = node;
    this.agenda.at(node.stalledUntilMs, () => {
      if (node.generation === generation) this.wake(node);
    });
  }

  /** Ends a stall: what was begun is ended, then the socket is read, then time passes. */
  wake(node: SimulatedNode): void {
    if (node.stalledFromMs === undefined || node.membership === undefined) return;
    this.note(node.name, "runs again");
    const { stalledFromMs, leaseDeadlineMs, membership } = node;
    const { incarnation } = membership;
    const lapsed = leaseDeadlineMs !== 0 && node.localMs(this.nowMs) >= leaseDeadlineMs;
    node.stalledFromMs = undefined;
    this.#carryOutAll(node, membership);
    // Nothing that it ends now may bring claims back to life that have lapsed. (By its quorum a lease may lapse, and go on.)
    if (
      lapsed && incarnation === membership.incarnation && this.#quorum === undefined &&
      this.claimedNow(node) !== 0
    ) {
      this.fail(`${node.name} claims again after its lease has lapsed`);
    }
    if (node.stalledFromMs !== undefined) return; // again, in what it does next
    node.stalledFromMs = stalledFromMs;
    this.#check();
    node.stalledFromMs = undefined;
    for (const held of node.queue.splice(0)) this.#takeIn(node, held);
    this.#run(node);
  }

  leave(node: SimulatedNode): void {
    if (node.membership === undefined || node.stalledFromMs !== undefined) return;
    this.note(node.name, "is asked to stop");
    node.membership.leave(node.localMs(this.nowMs));
    this.#run(node);
  }

  settings(node: SimulatedNode, weights: number[], draining: boolean): void {
    node.weights = weights;
    node.draining = draining;
    if (node.membership === undefined || node.stalledFromMs !== undefined) return;
    this.note(node.name, draining ? "is drained" : `gets weight ${weights[1]}`);
    node.membership.setSettings(weights, { draining }, node.localMs(this.nowMs));
    this.#run(node);
  }

  cut(from: SimulatedNode, to: SimulatedNode): void {
    this.cuts.add(`${from.name}>${to.name}`);
  }

  /** Neither hears the other. */
  cutBothWays(a: SimulatedNode, b: SimulatedNode): void {
    this.cut(a, b);
    this.cut(b, a);
  }

  heal(): void {
    this.cuts.clear();
  }

  /** Lets a message arrive out of nowhere, as an attacker's replay does. */
  inject(to: SimulatedNode, message: Heartbeat): void {
    if (to.membership === undefined || !this.#fresh(to, message)) return;
    to.membership.receive(message, to.localMs(this.nowMs), this.#wallMs(to));
    this.#run(to);
  }

  // ---------------------------------------------------------------------------------------------- running

  /** Runs for this long. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.agenda.nextMs <= endMs) this.#step();
    this.agenda.nowMs = endMs;
    this.#check();
  }

  #step(): void {
    this.agenda.step();
    this.steps++;
    this.#check();
  }

  /** Starts to measure how long buckets are without claimant. */
  watchGaps(): void {
    this.#watchingGaps = true;
    this.longestGapMs = 0;
    this.#unclaimedFromMs.fill(undefined);
  }

  /** Whether the packet thread of a node accepts new flows of a watched bucket now. */
  claims(node: SimulatedNode, bucket: number): boolean {
    return (this.claimedNow(node) & (1 << bucket)) !== 0;
  }

  claimedNow(node: SimulatedNode): number {
    return node.membership !== undefined && node.localMs(this.nowMs) < node.leaseDeadlineMs
      ? node.claimed
      : 0;
  }

  /** Names of those who claim each watched bucket. */
  claimants(): string[][] {
    return Array.from(
      { length: BUCKETS_WATCHED },
      (_, bucket) => this.nodes.filter((node) => this.claims(node, bucket)).map((node) => node.name),
    );
  }

  fail(problem: string): never {
    this.note("", problem);
    throw new Violation(problem, this.transcript);
  }

  // --------------------------------------------------------------------------------------------- the rule

  #check(): void {
    let all = 0;
    for (let i = 0; i < this.nodes.length; i++) {
      const a = this.nodes[i], claimed = this.claimedNow(a);
      const both = all & claimed;
      all |= claimed;
      if (both === 0) continue;
      for (let j = 0; j < i; j++) {
        const b = this.nodes[j];
        if ((this.claimedNow(b) & claimed) !== 0 && (this.strict || this.#inContact(a, b))) {
          this.fail(`${b.name} and ${a.name} claim one bucket`);
        }
      }
    }
    if (!this.#watchingGaps) return;
    for (let bucket = 0; bucket < BUCKETS_WATCHED; bucket++) {
      const from = this.#unclaimedFromMs[bucket];
      if (from !== undefined) this.longestGapMs = Math.max(this.longestGapMs, this.nowMs - from);
      this.#unclaimedFromMs[bucket] = all & (1 << bucket) ? undefined : from ?? this.nowMs;
    }
  }

  #inContact(a: SimulatedNode, b: SimulatedNode): boolean {
    const stalledMs = this.nowMs - Math.min(a.stalledFromMs ?? Infinity, b.stalledFromMs ?? Infinity);
    if (stalledMs > STALL_INTERVALS * this.intervalMs) return true; // must have stopped, whatever it could hear
    const contactMs = Math.max(a.contactMs.get(b) ?? -Infinity, b.contactMs.get(a) ?? -Infinity);
    return this.nowMs - contactMs <= CONTACT_INTERVALS * this.intervalMs;
  }

  // -------------------------------------------------------------------------------- what the worker does

  #wallMs(node: SimulatedNode): number {
    return 1_800_000_000_000 + this.nowMs + node.wallOffsetMs;
  }

  #run(node: SimulatedNode): void {
    const { membership } = node;
    if (membership === undefined || node.stalledFromMs !== undefined) return;
    membership.tick(node.localMs(this.nowMs), this.#wallMs(node));
    this.#carryOutAll(node, membership);
    if (node.membership === undefined || node.stalledFromMs !== undefined) return;
    const generation = ++node.generation;
    const wakeMs = node.worldMs(membership.nextTickMs()) + this.random.next() * this.#wakeLateMsMax;
    this.agenda.at(wakeMs, () => {
      if (node.generation === generation) this.#run(node);
    });
  }

  #carryOutAll(node: SimulatedNode, membership: Membership): void {
    for (;;) {
      if (node.effects.length === 0) node.effects.push(...membership.takeEffects());
      const [effect] = node.effects;
      if (effect === undefined) return;
      const stopMs = effect.kind === "send" ? node.stopBeforeSendMs ?? node.stopWithinSendMs : undefined;
      if (stopMs !== undefined) {
        if (node.stopBeforeSendMs === undefined) node.composed = this.#compose(node, membership);
        node.stopBeforeSendMs = node.stopWithinSendMs = undefined;
        return this.stall(node, stopMs);
      }
      node.effects.shift();
      this.#carryOut(node, membership, effect);
    }
  }

  #carryOut(node: SimulatedNode, membership: Membership, effect: Effect): void {
    switch (effect.kind) {
      case "claims": {
        const basis = membership.basis();
        node.claimed = 0;
        for (let bucket = 0; bucket < BUCKETS_WATCHED; bucket++) {
          if (claimsBucket(basis, 1, (name) => this.#score(name, bucket))) node.claimed |= 1 << bucket;
        }
        break;
      }
      case "lease":
        node.leaseDeadlineMs = effect.deadlineMs;
        break;
      case "send": {
        const { message, startedMs } = node.composed ?? this.#compose(node, membership);
        node.composed = undefined;
        node.lastSent = message;
        if (!node.sendsFail) this.#transmit(node, message, node.worldMs(startedMs));
        membership.sent(!node.sendsFail, startedMs, node.localMs(this.nowMs));
        if (this.seeWitness.has(node.name)) this.#answer(node, membership, startedMs);
        break;
      }
      case "event":
        this.note(node.name, effect.event.message);
        break;
      case "handedOver":
        membership.goodbye(node.localMs(this.nowMs));
        break;
      case "finished":
        this.note(node.name, "has left");
        this.#gone(node);
        break;
    }
  }

  #answer(node: SimulatedNode, membership: Membership, askedMs: number): void {
    if (this.witnessMs === 0) return membership.witnessAnswered(askedMs, askedMs);
    this.agenda.at(this.nowMs + this.witnessMs, () => {
      if (node.membership !== membership || node.stalledFromMs !== undefined) return;
      membership.witnessAnswered(askedMs, node.localMs(this.nowMs));
      this.#run(node);
    });
  }

  #compose(node: SimulatedNode, membership: Membership) {
    const startedMs = node.localMs(this.nowMs);
    return { message: membership.heartbeat(startedMs, this.#wallMs(node)), startedMs };
  }

  #gone(node: SimulatedNode): void {
    node.membership = undefined;
    node.stalledFromMs = undefined;
    node.stopBeforeSendMs = node.stopWithinSendMs = undefined;
    node.composed = undefined;
    node.effects.length = 0;
    node.leaseDeadlineMs = 0;
    node.claimed = 0;
    node.generation++;
  }

  #transmit(from: SimulatedNode, message: Heartbeat, composedMs: number): void {
    const { weather, random } = this;
    for (const to of this.nodes) {
      if (to === from || this.cuts.has(`${from.name}>${to.name}`)) continue;
      const copies = random.chance(weather.duplication) ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (random.chance(weather.loss)) continue;
        const delayMs = random.chance(weather.longDelays)
          ? random.between(weather.delayMsMin, weather.longDelayMs)
          : random.between(weather.delayMsMin, weather.delayMsMax);
        const held = { message, composedMs, from };
        this.agenda.at(this.nowMs + delayMs, () => this.#arrive(to, held));
      }
    }
  }

  #arrive(to: SimulatedNode, held: Held): void {
    if (to.membership === undefined) return;
    if (to.stalledFromMs !== undefined) {
      if (to.queue.length < SOCKET_QUEUE_MAX) to.queue.push(held);
      return;
    }
    this.#takeIn(to, held);
    this.#run(to);
  }

  #takeIn(to: SimulatedNode, { message, composedMs, from }: Held): void {
    if (to.membership === undefined || !this.#fresh(to, message)) return;
    if (to.version !== from.version) {
      const what = { ...message, version: from.version, ownVersion: to.version };
      return to.membership.otherVersionHeard(what, to.localMs(this.nowMs), this.#wallMs(to));
    }
    const { recordings } = to.membership.counters;
    to.membership.receive(message, to.localMs(this.nowMs), this.#wallMs(to));
    if (to.membership.counters.recordings > recordings) return; // rules 9 and 12
    to.contactMs.set(from, Math.max(to.contactMs.get(from) ?? -Infinity, composedMs));
  }

  /** What the replay window does; see `src/membership/replay.ts`. */
  #fresh(to: SimulatedNode, message: Heartbeat): boolean {
    const last = to.lastAccepted.get(message.sender);
    if (last !== undefined) {
      if (message.incarnation < last.incarnation) {
        to.membership?.staleHeard(
          { name: message.sender, incarnation: last.incarnation },
          to.localMs(this.nowMs),
        );
        return false;
      }
      if (message.incarnation === last.incarnation && message.sequence <= last.sequence) return false;
    }
    to.lastAccepted.set(message.sender, { incarnation: message.incarnation, sequence: message.sequence });
    return true;
  }

  /** What weight 1 is worth: any fixed random number per name and bucket will do. */
  #score(name: string, bucket: number): number {
    let scores = this.#scores.get(name);
    if (scores === undefined) {
      let seed = 2166136261;
      for (let i = 0; i < name.length; i++) seed = Math.imul(seed ^ name.charCodeAt(i), 16777619);
      const random = new Random(seed);
      scores = Array.from({ length: BUCKETS_WATCHED }, () => -1 / Math.log(random.next()));
      this.#scores.set(name, scores);
    }
    return scores[bucket];
  }
}
