/**
 * The self-test of the LAN: do frames for the virtual IPs reach every node? Heartbeats carry how many each node has
 * seen, so every node can compare, and all come to the same answer. Pure.
 *
 * Told apart are a node that gets none while others get many, and frames that reach one node only, as when a switch has
 * learned the virtual MAC. Nothing is concluded from little traffic: of 100 frames in the window a node that is reached
 * sees nearly all, so that "fewer than 1 of 100, for as long as that" is no chance.
 */

import type { FarmEventInit } from "../core/events.ts";

/** Samples are compared over this many steps of a second: counts travel in heartbeats, and are late by up to two. */
export const WINDOW_SAMPLES = 10;
/** Fewer frames than this in the window prove nothing. */
export const FRAMES_MIN = 100;
/** A node that sees less than this part of what the busiest one sees gets none; a few may be of another kind. */
export const DEAF_RATIO = 0.01;
/** It must look so in this many samples one after the other. */
export const CONFIRM_SAMPLES = 3;
/** A node that sees this part again, and at least so many frames, is reached again. */
export const HEARING_RATIO = 0.5, HEARING_FRAMES_MIN = 5;

/** What one member says that it has seen since its start. */
export interface LanSample {
  readonly name: string;
  readonly frames: number;
}

/** What is wrong with the LAN: whom frames for the virtual IPs reach, and whom not. */
export interface LanFinding {
  /** `lan.deaf`: single nodes get none. `lan.single`: one node gets all. */
  readonly kind: "lan.deaf" | "lan.single";
  readonly deaf: readonly string[];
  readonly hearing: readonly string[];
  readonly message: string;
  readonly remedy: string;
}

/** Compares what the members see. Call {@link sample} once a second. */
export class LanTest {
  readonly #samples: ReadonlyMap<string, number>[] = [];
  /** For how many samples each member has looked deaf. */
  readonly #suspected = new Map<string, number>();
  #deaf: readonly string[] = [];
  #finding: LanFinding | undefined;

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
    return this.#conclude(deaf.sort(), [...seen.keys()].filter((name) => !deaf.includes(name)).sort());
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

  #conclude(deaf: readonly string[], hearing: readonly string[]): FarmEventInit[] {
    const before = this.#finding;
    this.#deaf = deaf;
    // Nobody hears: those who were known to hear are gone, and nothing can be said any more.
    this.#finding = deaf.length === 0 || hearing.length === 0 ? undefined : describe(deaf, hearing);
    if (this.#finding === undefined) {
      return before === undefined ? [] : [{
        severity: "info",
        kind: "lan.ok",
        message: "Frames for the virtual IPs reach every node again, as far as that can be seen.",
      }];
    }
    const { kind, message, remedy } = this.#finding;
    if (before?.message === message) return [];
    return [{ severity: "error", kind, message: `${message} ${remedy}`, details: { deaf, hearing } }];
  }
}

function describe(deaf: readonly string[], hearing: readonly string[]): LanFinding {
  const without = `${deaf.join(", ")} ${
    deaf.length === 1 ? "gets" : "get"
  } none of the frames for the virtual IPs`;
  if (hearing.length === 1) {
    return {
      kind: "lan.single",
      deaf,
      hearing,
      message: `Frames for the virtual IPs reach only ${hearing[0]}; ${without}.`,
      remedy:
        "Has a switch learned the virtual MAC at one port? Look for it in the switch's table, remove it, and let " +
        "nothing send from that address; else the switch, or the hypervisor, must be allowed to flood it.",
    };
  }
  return {
    kind: "lan.deaf",
    deaf,
    hearing,
    message: `${without}, while ${hearing.join(", ")} do: clients of that share get no answer.`,
    remedy:
      "Let the switch flood the virtual MAC to that port too. In a virtual machine, allow promiscuous mode (VMware), " +
      "MAC spoofing (Hyper-V) or the address pair (OpenStack).",
  };
}
