/**
 * What this node says of itself: one writer, itself; a version that grows with every change.
 *
 * A new version is taken only when every member that matters has listed the one before. So a member that has
 * not listed the current version uses the previous one, never an older one, and a claim that holds under both
 * collides with nobody.
 */

import type { WireState } from "../wire/heartbeat.ts";
import { sameWeights } from "./member.ts";

/** State and weights that the node would like to have. */
export interface WantedSettings {
  readonly weights: readonly number[];
  readonly draining: boolean;
}

/** What {@link OwnSettings.save} gives. */
export interface SavedOwnSettings {
  readonly incarnation: number;
  readonly state: WireState;
  readonly version: number;
  readonly weights: readonly number[];
  readonly previous?: readonly number[];
  readonly wanted: WantedSettings;
}

/** This node's own settings. */
export class OwnSettings {
  state: WireState = "joining";
  version = 1;
  weights: readonly number[];
  /** The weights of the version before, while some member has not listed the current one. */
  previous: readonly number[] | undefined = undefined;
  #wanted: WantedSettings;

  constructor(public incarnation: number, wanted: WantedSettings) {
    this.#wanted = wanted;
    this.weights = wanted.weights.map(() => 0);
  }

  /** Whether it is in the farm: it has joined, and does not leave. */
  get isIn(): boolean {
    return this.state === "up" || this.state === "draining";
  }

  /** Whether it is about to take its first share, and some member may not know that yet. */
  get isEntering(): boolean {
    return this.isIn && this.previous !== undefined && this.previous.every((weight) => weight === 0);
  }

  /** Changes what is wanted. Only the newest counts. */
  want(wanted: WantedSettings): void {
    this.#wanted = wanted;
  }

  /** The weights to take: drained, a node keeps its presence and takes no new flows. */
  get wantedWeights(): readonly number[] {
    const { weights, draining } = this.#wanted;
    return draining ? weights.map((weight, table) => table === 0 ? weight : 0) : weights;
  }

  /** The state that goes with the wanted weights. */
  get wantedState(): "up" | "draining" {
    return this.wantedWeights.some((weight, table) => table > 0 && weight > 0) ? "up" : "draining";
  }

  /** Whether the wanted settings are other than the current ones. */
  get differs(): boolean {
    return this.state !== this.wantedState || !sameWeights(this.weights, this.wantedWeights);
  }

  /** Takes the wanted settings as a new version. The caller has made sure that the current one is listed by all. */
  applyWanted(): void {
    this.previous = this.weights;
    this.weights = this.wantedWeights;
    this.state = this.wantedState;
    this.version++;
  }

  /** Gives up everything, at once: zero weights claim nothing, whatever others believe. Not to be undone. */
  release(state: "leaving" | "left"): void {
    this.previous = undefined;
    this.weights = this.weights.map(() => 0);
    this.state = state;
    this.version++;
  }

  save(): SavedOwnSettings {
    const { incarnation, state, version, weights, previous } = this;
    return { incarnation, state, version, weights, previous, wanted: this.#wanted };
  }

  /** Goes on where another process of this node stopped. */
  restore(saved: SavedOwnSettings): void {
    this.incarnation = saved.incarnation;
    this.state = saved.state;
    this.version = saved.version;
    this.weights = saved.weights;
    this.previous = saved.previous;
    this.#wanted = saved.wanted;
  }

  /** Starts anew under a greater incarnation, with nothing. */
  restart(incarnation: number): void {
    this.incarnation = incarnation;
    this.state = "joining";
    this.version = 1;
    this.weights = this.wantedWeights.map(() => 0);
    this.previous = undefined;
  }
}
