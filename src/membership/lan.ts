/**
 * The self-test of the LAN: do frames for the virtual IPs reach every node? Heartbeats carry what each node sees, so every
 * node can compare, and all come to the same answer. Pure.
 *
 * Two things are compared: whom the probes reach that the nodes send (reach.ts), which needs no client; and how many
 * frames of clients each node has seen, since these may come another way than the probes. Nothing is concluded from few of
 * them: of 100 frames in the window a node that is reached sees nearly all, so that "fewer than 1 of 100, for as long as
 * that" is no chance.
 *
 * Told apart are frames that reach no node, as on a switch that delivers multicast only where it was asked for; one node
 * only, as when a switch has learned the virtual MAC; and all but single nodes.
 */

import type { FarmEventInit } from "../core/events.ts";
import type { MacMode } from "../wire/ethernet.ts";
import type { VipReach } from "./reach.ts";

/** Samples are compared over this many steps of a second: counts travel in heartbeats, and are late by up to two. */
export const WINDOW_SAMPLES = 10;
/** Fewer frames than this in the window prove nothing. */
export const FRAMES_MIN = 100;
/** A node that sees less than this part of what the busiest one sees gets none; a few may be of another kind. */
export const DEAF_RATIO = 0.01;
/** It must look so in this many samples one after the other. */
export const CONFIRM_SAMPLES = 3;
/**
 * And what the probes say, in this many, and as many more as a heartbeat may take: the nodes find out one after the other,
 * each within seconds, and news of a node less would be news for two of them.
 */
export const CONFIRM_PROBES = 5;
/** A node that sees this part again, and at least so many frames, is reached again. */
export const HEARING_RATIO = 0.5, HEARING_FRAMES_MIN = 5;

/** What one member says that it has seen since its start, and sees. */
export interface LanSample {
  readonly name: string;
  readonly frames: number;
  readonly reach: VipReach;
}

/** A virtual IP, as far as the LAN is concerned. */
export interface LanVip {
  readonly address: string;
  readonly mode: MacMode;
}

/** What is wrong with the LAN: whom frames for the virtual IPs reach, and whom not. */
export interface LanFinding {
  /** `lan.deaf`: single nodes get none. `lan.single`: one node gets all. `lan.none`: no node gets any. */
  readonly kind: "lan.deaf" | "lan.single" | "lan.none";
  readonly deaf: readonly string[];
  readonly hearing: readonly string[];
  /** Of what it tells, by which two findings are the same. */
  readonly about: string;
  readonly message: string;
  readonly remedy: string;
}

/** What can be said: something is wrong; or nothing is; or too little is known. */
type Judgement = LanFinding | "well" | "unknown";

/** Compares what the members see. Call {@link sample} once a second. */
export class LanTest {
  readonly #samples: ReadonlyMap<string, number>[] = [];
  /** For how many samples each member has looked deaf. */
  readonly #suspected = new Map<string, number>();
  #deaf: readonly string[] = [];
  #finding: LanFinding | undefined;
  #isByProbes = false;
  /** What the probes say, and for how many samples they have said something else. */
  #byProbes: Judgement = "unknown";
  #changing: { judgement: Judgement; samples: number } | undefined;
  readonly #confirmProbes: number;

  /** The virtual IPs in the order of the file, as the bits of {@link VipReach} count them. */
  constructor(readonly virtualIps: readonly LanVip[], intervalMs: number) {
    this.#confirmProbes = CONFIRM_PROBES + Math.ceil(intervalMs / 1_000);
  }

  /** What is wrong at present, if anything is. */
  get finding(): LanFinding | undefined {
    return this.#finding;
  }

  /** Takes the counts of all members that are alive, this node included, and gives what is to be told. */
  sample(members: readonly LanSample[]): FarmEventInit[] {
    this.#samples.push(new Map(members.map(({ name, frames }) => [name, frames])));
    if (this.#samples.length > WINDOW_SAMPLES + 1) this.#samples.shift();
    const seen = this.#seenInWindow();
    const most = Math.max(0, ...seen.values());
    for (const name of [...this.#suspected.keys()]) if (!seen.has(name)) this.#suspected.delete(name);
    const deaf: string[] = [];
    for (const [name, frames] of seen) {
      const suspected = most >= FRAMES_MIN && frames <= most * DEAF_RATIO
        ? (this.#suspected.get(name) ?? 0) + 1
        : 0;
      this.#suspected.set(name, suspected);
      const cleared = frames >= HEARING_FRAMES_MIN && frames >= most * HEARING_RATIO;
      if (suspected >= CONFIRM_SAMPLES || (this.#deaf.includes(name) && !cleared)) deaf.push(name);
    }
    this.#deaf = deaf.sort();
    const hearing = [...seen.keys()].filter((name) => !deaf.includes(name)).sort();
    // Nobody hears: those who were known to hear are gone, and nothing can be said any more.
    const byFrames = deaf.length === 0 || hearing.length === 0
      ? undefined
      : describe(deaf, hearing, "packets of clients");
    const byProbes = this.#followProbes(this.#lookAtProbes(members), members.map(({ name }) => name));
    return this.#conclude(typeof byProbes === "object" ? byProbes : byFrames);
  }

  /** Takes up what the probes say once it has been the same for long enough. */
  #followProbes(judgement: Judgement, present: readonly string[]): Judgement {
    const known = this.#byProbes;
    // A finding stays while nobody can tell, as when a node starts anew, but not when those that it is about are gone.
    const stays = judgement === "unknown" && typeof known === "object" &&
      known.deaf.some((name) => present.includes(name));
    if (stays || isSame(judgement, known)) {
      if (!stays) this.#byProbes = judgement; // with who hears by now
      this.#changing = undefined;
      return this.#byProbes;
    }
    const samples = this.#changing !== undefined && isSame(judgement, this.#changing.judgement)
      ? this.#changing.samples + 1
      : 1;
    this.#changing = samples < this.#confirmProbes ? { judgement, samples } : undefined;
    if (this.#changing === undefined) this.#byProbes = judgement;
    return this.#byProbes;
  }

  /** Of the virtual IPs, what reaches the fewest. */
  #lookAtProbes(members: readonly LanSample[]): Judgement {
    const sides = this.virtualIps.map((vip, index) => {
      const names = (side: keyof VipReach) =>
        members.filter(({ reach }) => ((reach[side] >>> index) & 1) === 1).map(({ name }) => name).sort();
      return { vip, deaf: names("unreached"), hearing: names("reached") };
    });
    const none = sides.filter(({ deaf, hearing }) => hearing.length === 0 && deaf.length > 1);
    if (none.length > 0) {
      return describeNone(none.map(({ vip }) => vip), [...new Set(none.flatMap(({ deaf }) => deaf))].sort());
    }
    const partly = sides.filter(({ deaf, hearing }) => deaf.length > 0 && hearing.length > 0);
    if (partly.length > 0) {
      const worst = partly.reduce((a, b) => b.deaf.length > a.deaf.length ? b : a);
      const same = sides.filter(({ deaf }) => deaf.join() === worst.deaf.join()).map(({ vip }) => vip);
      const what = `frames for ${same.length < sides.length ? addresses(same) : "the virtual IPs"}`;
      return describe(worst.deaf, worst.hearing, what);
    }
    return sides.every(({ hearing }) => hearing.length > 0) ? "well" : "unknown";
  }

  /** Frames that each member saw within the window, of those that were there all the time. */
  #seenInWindow(): Map<string, number> {
    const seen = new Map<string, number>();
    const [first] = this.#samples, last = this.#samples[this.#samples.length - 1];
    if (this.#samples.length <= WINDOW_SAMPLES) return seen;
    for (const [name, now] of last) {
      const counts = this.#samples.map((sample) => sample.get(name));
      // A count that falls is that of a daemon that was started anew.
      const whole = counts.every((count, i) => count !== undefined && (i === 0 || count >= counts[i - 1]!));
      if (whole) seen.set(name, now - first.get(name)!);
    }
    return seen;
  }

  #conclude(finding: LanFinding | undefined): FarmEventInit[] {
    const before = this.#finding, wasByProbes = this.#isByProbes;
    this.#finding = finding;
    this.#isByProbes = finding !== undefined && finding === this.#byProbes;
    if (finding === undefined) {
      // What can only be told no longer is no good news.
      const isGone = before === undefined || wasByProbes && this.#byProbes === "unknown";
      return isGone ? [] : [{
        severity: "info",
        kind: "lan.ok",
        message: "Frames for the virtual IPs reach every node again, as far as that can be seen.",
      }];
    }
    if (before !== undefined && isSame(finding, before)) return [];
    const { kind, deaf, hearing, message, remedy } = finding;
    return [{ severity: "error", kind, message: `${message} ${remedy}`, details: { deaf, hearing } }];
  }
}

/** Whether both are about the same nodes and virtual IPs; who else hears is no news. */
function isSame(a: Judgement, b: Judgement): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.kind === b.kind && a.about === b.about;
}

function describeNone(virtualIps: readonly LanVip[], deaf: readonly string[]): LanFinding {
  const remedies = [
    virtualIps.some(({ mode }) => mode === "multicast") &&
    "A switch or bridge that snoops multicast may deliver them to no port: take mode: unicast, or turn snooping off there.",
    virtualIps.some(({ mode }) => mode === "unicast") &&
    "The switch, or the hypervisor, must flood frames to a unicast MAC that it has not learned.",
  ];
  return {
    kind: "lan.none",
    deaf,
    hearing: [],
    about: addresses(virtualIps),
    message: `Frames for ${addresses(virtualIps)} reach no node: clients get no answer.`,
    remedy: remedies.filter(Boolean).join(" "),
  };
}

function addresses(virtualIps: readonly LanVip[]): string {
  return virtualIps.map(({ address }) => address).join(", ");
}

/** Of `what` is told: frames for some virtual IPs, or packets of clients. */
function describe(deaf: readonly string[], hearing: readonly string[], what: string): LanFinding {
  const without = `${deaf.join(", ")} ${deaf.length === 1 ? "gets" : "get"} none of the ${what}`;
  const about = deaf.join(", ");
  if (hearing.length === 1) {
    return {
      kind: "lan.single",
      deaf,
      hearing,
      about,
      message: `${what[0].toUpperCase()}${what.slice(1)} reach only ${hearing[0]}; ${without}.`,
      remedy:
        "Has a switch learned the virtual MAC at one port? Look for it in the switch's table, remove it, and let " +
        "nothing send from that address; else the switch, or the hypervisor, must be allowed to flood it.",
    };
  }
  return {
    kind: "lan.deaf",
    deaf,
    hearing,
    about,
    message: `${without}, while ${hearing.join(", ")} do: clients of that share get no answer.`,
    remedy:
      "Let the switch flood the virtual MAC to that port too. In a virtual machine, allow promiscuous mode (VMware), " +
      "MAC spoofing (Hyper-V) or the address pair (OpenStack).",
  };
}
