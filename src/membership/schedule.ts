/** When heartbeats go out: one per interval, along with the others', and urgent ones between, in bursts that have a bound. */

import { FOLLOW_INTERVALS, URGENT_BURST, URGENT_SPACING_INTERVALS } from "./timing.ts";

/** The timetable of one node's heartbeats, and whether they went out. */
export class SendSchedule {
  /** Start of the last heartbeat that went out. */
  lastOkMs = -Infinity;
  failing = false;
  #urgent = true;
  #nextMs: number;
  /** Until then, urgent heartbeats are paid for, at one per URGENT_SPACING. */
  #paidMs = -Infinity;

  constructor(readonly intervalMs: number, nowMs: number) {
    this.#nextMs = nowMs;
  }

  /** Something changed that others must know soon. */
  hurry(): void {
    this.#urgent = true;
  }

  /** An urgent heartbeat is to go out. */
  get hurrying(): boolean {
    return this.#urgent;
  }

  /** Sends at this time, whatever else is planned. */
  sendAt(atMs: number): void {
    this.#nextMs = atMs;
  }

  /**
   * A member's heartbeat came: if ours is due soon, it goes along. So all nodes send at about the same time, after an
   * interval or two, and each wakes once for all of them, whatever their number.
   */
  follow(nowMs: number): void {
    if (this.#nextMs - nowMs <= FOLLOW_INTERVALS * this.intervalMs) {
      this.#nextMs = Math.min(this.#nextMs, nowMs);
    }
  }

  /** When the next heartbeat goes out. */
  get dueMs(): number {
    const soonestMs = this.#paidMs - (URGENT_BURST - 1) * this.spacingMs;
    return this.#urgent ? Math.min(this.#nextMs, soonestMs) : this.#nextMs;
  }

  get spacingMs(): number {
    return URGENT_SPACING_INTERVALS * this.intervalMs;
  }

  /** Takes the heartbeat that is due, if one is. */
  take(nowMs: number): "periodic" | "urgent" | undefined {
    if (nowMs < this.dueMs) return undefined;
    const kind = nowMs < this.#nextMs ? "urgent" : "periodic";
    this.#urgent = false;
    this.#nextMs = nowMs + this.intervalMs;
    this.#paidMs = Math.max(this.#paidMs, nowMs) + this.spacingMs;
    return kind;
  }
}
