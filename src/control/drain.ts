/** Waiting until nothing of a client is under way on this node any more. */
import { boottimeMs } from "../../ffi/clock.ts";
import { type SharedClaims } from "../dataplane/shared.ts";
import { type Connections } from "./connections.ts";
import { type PacketThread } from "./packet_thread.ts";

/** Requests under way at a stop may end within this time: new ones go to other nodes already. */
export const STOP_LINGER_MS = 250;
/** How often it is looked whether requests under way have ended. */
const LOOK_MS = 10;

export interface DrainParts {
  readonly claims: SharedClaims;
  readonly dataplanes: readonly PacketThread[];
  connections(): Connections;
  /** Services of the farm: tables 1 and up. */
  readonly services: number;
}

export class Drain {
  constructor(readonly parts: DrainParts) {}

  /** Until no new flow comes here and no connection is left, or until the deadline. */
  async drained(deadlineMs: number): Promise<void> {
    while (this.#claimsAny() && boottimeMs() < deadlineMs) await elapsed(LOOK_MS);
    await this.connectionsEnded(deadlineMs);
  }

  /** Until no connection is left, or until the deadline. */
  async connectionsEnded(deadlineMs: number): Promise<void> {
    await this.packetsDecided();
    const connections = this.parts.connections();
    for (;;) {
      connections.look();
      if (connections.count === 0 || boottimeMs() >= deadlineMs) return;
      await elapsed(LOOK_MS);
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

  #claimsAny(): boolean {
    const tables = Array.from({ length: this.parts.services }, (_, index) => index + 1);
    return tables.some((table) => this.parts.claims.claimedCount(table) > 0);
  }
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
