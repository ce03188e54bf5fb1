/**
 * Nodes whose program crashed, and whose connections live on in their kernels for a while: their supervisors said
 * goodbye for them, with the time in which they may be back (rule 10).
 */

import { MEMBERS_MAX } from "../core/limits.ts";
import { dropOldest } from "../core/oldest.ts";
import { type HeldNode, HOLD_MS_MAX, RETAINED_BITMAP_BYTES } from "../wire/heartbeat.ts";

/** Every bucket: a node that crashed cannot say any more which ones it has connections in. */
const ALL_BUCKETS: Readonly<Uint8Array> = new Uint8Array(RETAINED_BITMAP_BYTES).fill(0xff);

/** One hold. */
export interface Hold {
  readonly name: string;
  /** Of the goodbye: a later one means that the node is back. */
  readonly incarnation: number;
  readonly untilMs: number;
}

/** The holds that last. */
export class Holds {
  readonly #holds = new Map<string, Hold>();
  /** By name: the incarnation of the last hold that ended here. Others may speak of it for a moment longer. */
  readonly #over = new Map<string, number>();

  /** Takes a goodbye that asks for a hold, or one that ends it (`holdMs` 0). True: something changed. */
  take(name: string, incarnation: number, holdMs: number, nowMs: number): boolean {
    const before = this.#holds.get(name);
    // Repetitions of one goodbye do not make the hold longer.
    if (before !== undefined && incarnation <= before.incarnation) return false;
    if (holdMs <= 0) {
      this.#noteOver(name, incarnation);
      return this.#holds.delete(name);
    }
    if (before === undefined && this.#holds.size >= MEMBERS_MAX) return false;
    this.#holds.set(name, { name, incarnation, untilMs: nowMs + Math.min(holdMs, HOLD_MS_MAX) });
    return before === undefined;
  }

  /** A member tells of a hold. True: it was not known here, for this node came too late to hear the goodbye. */
  learn({ name, incarnation, leftMs }: HeldNode, nowMs: number): boolean {
    if (leftMs === 0 || this.#holds.has(name) || incarnation <= (this.#over.get(name) ?? -1)) return false;
    return this.take(name, incarnation, leftMs, nowMs);
  }

  /** The node is back and has said what it retains. True: its hold was still on. */
  end(name: string): boolean {
    const hold = this.#holds.get(name);
    if (hold !== undefined) this.#noteOver(name, hold.incarnation);
    return this.#holds.delete(name);
  }

  #noteOver(name: string, incarnation: number): void {
    this.#over.delete(name); // to put it at the end
    this.#over.set(name, incarnation);
    dropOldest(this.#over, MEMBERS_MAX);
  }

  /** Ends the holds whose time is over, and gives the names. */
  expire(nowMs: number): string[] {
    const over = [...this.#holds.values()].filter(({ untilMs }) => nowMs >= untilMs).map(({ name }) => name);
    for (const name of over) this.end(name);
    return over;
  }

  /** When {@link expire} has something to do next. */
  nextMs(): number {
    let next = Infinity;
    for (const { untilMs } of this.#holds.values()) next = Math.min(next, untilMs);
    return next;
  }

  /** The buckets that are held, if any: contested, as if the node were there and retained them. */
  get buckets(): Readonly<Uint8Array> | undefined {
    return this.#holds.size === 0 ? undefined : ALL_BUCKETS;
  }

  /** For heartbeats. */
  running(nowMs: number): HeldNode[] {
    return [...this.#holds.values()].map(({ name, incarnation, untilMs }) => ({
      name,
      incarnation,
      leftMs: Math.max(0, Math.floor(untilMs - nowMs)),
    }));
  }

  get all(): readonly Hold[] {
    return [...this.#holds.values()];
  }

  /** Takes over holds of another process of this node. */
  restore(holds: readonly Hold[]): void {
    for (const hold of holds) this.#holds.set(hold.name, hold);
  }
}
