/** What of clients is under way on this node: waiting for its end, and telling where it still is. */
import { boottimeMs } from "../../ffi/clock.ts";
import { type FarmConfig } from "../config/load.ts";
import { type SharedClaims } from "../dataplane/shared.ts";
import { type Connections, type HeldBuckets } from "./connections.ts";
import { type PacketThread } from "./packet_thread.ts";
import { type OptionalPrefilter } from "./prefilter.ts";
import { elapsed } from "./within.ts";

/** Requests under way at a stop may end within this time: new ones go to other nodes already. */
export const STOP_LINGER_MS = 250;
/** Scripts that may run one after the other in a stop: what is under way, `stop`, `stop` by force, `poststop`. */
const STOP_SCRIPTS_MAX = 4;
/** For what stands between them: messages to the others, threads that end. */
const STOP_MARGIN_MS = 10_000;

/** How long a node may take to leave, with what its file asks for. */
export function leaveMsMax({ drainOnStopMs, application }: FarmConfig): number {
  return Math.max(drainOnStopMs, STOP_LINGER_MS) + STOP_SCRIPTS_MAX * (application?.timeoutMs ?? 0) +
    STOP_MARGIN_MS;
}

/** How often it is looked whether requests under way have ended, and which part of the time that takes at most. */
const LOOK_MS = 10, LOOK_SHARE = 0.1;
/** How often the kernel is asked whether retained connections have ended: that may go on for hours. */
const RETAINED_LOOK_MS = 200, RETAINED_LOOK_SHARE = 0.02;

export interface DrainParts {
  readonly claims: SharedClaims;
  readonly dataplanes: readonly PacketThread[];
  connections(): Pick<Connections, "look" | "count">;
  readonly prefilter: Pick<OptionalPrefilter, "settled">;
  /** Services of the farm: tables 1 and up. */
  readonly services: number;
  /** Tells the membership thread which buckets the kernel has connections in. */
  tell(lossCount: number, held: HeldBuckets[]): void;
  /** The kernel cannot be asked. */
  onFailure(error: Error): void;
}

export class Drain {
  #retainedGroups = 0;
  /** Of the last loss of buckets that was told. */
  #lossCount = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of the last look, in ms: a busy server's kernel has 100,000 sockets to walk over, most of them in TIME_WAIT. */
  #lookMs = 0;

  constructor(readonly parts: DrainParts) {}

  /** Groups of buckets that are still retained, as the membership thread told. */
  get retainedGroups(): number {
    return this.#retainedGroups;
  }

  /** Until no new flow comes here and no connection is left, until the deadline, or until nobody waits any more. */
  async drained(deadlineMs: number, calledOff: AbortSignal): Promise<void> {
    while (this.#claimsAny() && boottimeMs() < deadlineMs && !calledOff.aborted) await elapsed(LOOK_MS);
    await this.connectionsEnded(deadlineMs, calledOff);
  }

  /** Until no connection is left, until the deadline, or until nobody waits any more. */
  async connectionsEnded(deadlineMs: number, calledOff?: AbortSignal): Promise<void> {
    await this.packetsDecided();
    while (!calledOff?.aborted) {
      this.#heldBuckets();
      const leftMs = deadlineMs - boottimeMs();
      if (this.parts.connections().count === 0 || leftMs <= 0) return;
      await elapsed(Math.min(leftMs, Math.max(LOOK_MS, this.#lookMs / LOOK_SHARE)));
    }
  }

  /**
   * Until the packet threads have finished what they were deciding when this was called. A packet that was accepted by
   * claims as they were may be on its way into the kernel, where a look at it would miss its connection.
   */
  async packetsDecided(): Promise<void> {
    const { claims, dataplanes } = this.parts;
    const before = dataplanes.map(({ counters }) => counters.sweeps);
    for (const { thread } of dataplanes) thread.wake.signal();
    while (!claims.stopRequested && dataplanes.some(({ counters }, i) => counters.sweeps === before[i])) {
      await elapsed(1);
    }
  }

  /** Buckets were lost: looks which of them the kernel has connections in. */
  look(lossCount: number): void {
    this.#look(lossCount).catch(this.parts.onFailure);
  }

  async #look(lossCount: number): Promise<void> {
    const { claims, prefilter, tell } = this.parts;
    this.#lossCount = lossCount;
    clearTimeout(this.#timer);
    await Promise.all([this.packetsDecided(), prefilter.settled()]);
    if (claims.stopRequested) return;
    tell(lossCount, this.#heldBuckets());
  }

  #heldBuckets(): HeldBuckets[] {
    const startMs = boottimeMs();
    const held = this.parts.connections().look();
    this.#lookMs = boottimeMs() - startMs;
    return held;
  }

  /**
   * The answer to a look, however late it comes: so many groups of buckets are still retained. Looks again until there
   * are none. A look that a further loss has overtaken gets no answer, but the loss asked for another.
   */
  retained(groups: number): void {
    this.#retainedGroups = groups;
    clearTimeout(this.#timer);
    if (groups === 0) return;
    const waitMs = Math.max(RETAINED_LOOK_MS, this.#lookMs / RETAINED_LOOK_SHARE);
    this.#timer = setTimeout(() => this.look(this.#lossCount), waitMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #claimsAny(): boolean {
    const tables = Array.from({ length: this.parts.services }, (_, index) => index + 1);
    return tables.some((table) => this.parts.claims.claimedCount(table) > 0);
  }
}
