/** The way into the farm: listen, announce, take weights; longer for a node that comes and goes. */

import {
  ANNOUNCE_INTERVALS,
  FLAP_FACTOR_MAX,
  LISTEN_INTERVALS,
  STABLE_INTERVALS,
  UNCONFIRMED_INTERVALS,
} from "./timing.ts";

const LISTENING = "listens before it takes its share";

/** What {@link Joining.save} gives. */
export interface SavedJoining {
  readonly waitsFor: string;
  readonly listenFromMs: number;
  readonly announceFromMs?: number;
  readonly duplicateUntilMs: number;
  readonly flaps: number;
}

/** How far this node is on its way in. Only meaningful while its state is `joining`. */
export class Joining {
  /** Why it does not take its share yet, as a sentence without subject. */
  waitsFor = LISTENING;
  #listenFromMs: number;
  #announceFromMs: number | undefined;
  #duplicateUntilMs = -Infinity;
  #flaps = 0;

  constructor(readonly intervalMs: number, nowMs: number) {
    this.#listenFromMs = nowMs;
  }

  save(): SavedJoining {
    return {
      waitsFor: this.waitsFor,
      listenFromMs: this.#listenFromMs,
      announceFromMs: this.#announceFromMs,
      duplicateUntilMs: this.#duplicateUntilMs,
      flaps: this.#flaps,
    };
  }

  /** Goes on where another process of this node stopped. */
  restore(saved: SavedJoining): void {
    this.waitsFor = saved.waitsFor;
    this.#listenFromMs = saved.listenFromMs;
    this.#announceFromMs = saved.announceFromMs;
    this.#duplicateUntilMs = saved.duplicateUntilMs;
    this.#flaps = saved.flaps;
  }

  /** Starts over, since the node doubts itself. Each time the listening takes longer. */
  restart(nowMs: number): void {
    this.#flaps++;
    this.waitsFor = LISTENING;
    this.listenAgain(nowMs);
  }

  /** Listens from the beginning: in the time that this node was not running it has heard nothing. */
  listenAgain(nowMs: number): void {
    this.#listenFromMs = nowMs;
    this.#announceFromMs = undefined;
  }

  /** The node has been up since then: after long enough, its earlier flapping is forgotten. */
  upSince(sinceMs: number, nowMs: number): void {
    if (nowMs - sinceMs > STABLE_INTERVALS * this.intervalMs) this.#flaps = 0;
  }

  /** Another node was heard under our name. True: for the first time in a while. */
  nameTaken(nowMs: number): boolean {
    const news = !this.isNameTaken(nowMs);
    this.#duplicateUntilMs = nowMs + UNCONFIRMED_INTERVALS * this.intervalMs;
    return news;
  }

  isNameTaken(nowMs: number): boolean {
    return nowMs < this.#duplicateUntilMs;
  }

  /** Whether the node has told all others that it is about to take its share. */
  get announcing(): boolean {
    return this.#announceFromMs !== undefined;
  }

  /**
   * Goes on as far as it may. `obstacle` says what speaks against it, asked only once listening is over.
   * Gives `announce` when the others must be told, and `enter` when the share may be taken.
   */
  step(obstacle: () => string | undefined, nowMs: number): "wait" | "announce" | "enter" {
    const problem = nowMs < this.#listenUntilMs ? LISTENING : obstacle();
    if (problem !== undefined) {
      this.#announceFromMs = undefined;
      this.waitsFor = problem;
      return "wait";
    }
    if (this.#announceFromMs === undefined) {
      this.#announceFromMs = nowMs;
      this.waitsFor = "announces itself before it takes its share";
      return "announce";
    }
    if (nowMs < this.#announceUntilMs) return "wait";
    this.#announceFromMs = undefined;
    return "enter";
  }

  /** When {@link step} can go on, if nothing is in the way. */
  nextMs(nowMs: number): number {
    if (this.#announceFromMs !== undefined) return this.#announceUntilMs;
    return this.#listenUntilMs > nowMs ? this.#listenUntilMs : Infinity;
  }

  get #listenUntilMs(): number {
    const factor = Math.min(FLAP_FACTOR_MAX, 2 ** Math.max(0, this.#flaps - 1));
    return this.#listenFromMs + LISTEN_INTERVALS * this.intervalMs * factor;
  }

  get #announceUntilMs(): number {
    return this.#announceFromMs! + ANNOUNCE_INTERVALS * this.intervalMs;
  }
}
