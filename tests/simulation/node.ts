/** One node of the simulation: its state machine, its clocks, its socket. */

import type { Membership } from "../../src/membership/membership.ts";
import type { Effect } from "../../src/membership/types.ts";
import { type Heartbeat, PROTOCOL_VERSION } from "../../src/wire/heartbeat.ts";

/** A heartbeat on its way. */
export interface Held {
  readonly message: Heartbeat;
  /** When it was composed: what it says is as old as that. */
  readonly composedMs: number;
  readonly from: SimulatedNode;
}

/** One node: its state machine, its clocks, its socket, and what its packet thread has been told. */
export class SimulatedNode {
  membership: Membership | undefined;
  stalledFromMs: number | undefined;
  stalledUntilMs = 0;
  /** It will be stopped for so long right before the next heartbeat, which it has decided to send. */
  stopBeforeSendMs: number | undefined;
  /** The same, but when that heartbeat is composed, and not yet on its way. */
  stopWithinSendMs: number | undefined;
  /** The heartbeat in whose sending it was stopped, and when that began (own clock). */
  composed: { readonly message: Heartbeat; readonly startedMs: number } | undefined;
  /** What the state machine wants done, and was not done yet. */
  readonly effects: Effect[] = [];
  sendsFail = false;
  /** This node's monotonic clock runs at this rate, from an own start. */
  clockRate = 1;
  clockStartMs = 0;
  wallOffsetMs = 0;
  weights: number[] = [1, 100];
  draining = false;
  /** Of the protocol. */
  version = PROTOCOL_VERSION;
  leaseDeadlineMs = 0;
  /** Bit for each watched bucket. */
  claimed = 0;
  /** What it sent last; an attacker has it too. */
  lastSent: Heartbeat | undefined;
  readonly queue: Held[] = [];
  readonly lastAccepted = new Map<string, { incarnation: number; sequence: number }>();
  /** For each other node: when the newest message was composed that was taken in from it. */
  readonly contactMs = new Map<SimulatedNode, number>();
  generation = 0;

  constructor(readonly name: string) {}

  localMs(nowMs: number): number {
    return this.clockStartMs + nowMs * this.clockRate;
  }

  worldMs(localMs: number): number {
    return (localMs - this.clockStartMs) / this.clockRate;
  }
}
