/** A membership as plain data: what one process of a node hands to the next. */

import type { SavedDeparted } from "./departed.ts";
import type { Hold } from "./holds.ts";
import type { SavedJoining } from "./joining.ts";
import type { SavedMember } from "./member.ts";
import type { SavedOrders } from "./orders.ts";
import type { SavedOwnSettings } from "./own.ts";

/** Everything but what the new process knows better: its name, weights that are wanted, what its kernel retains. */
export interface SavedMembership {
  readonly own: SavedOwnSettings;
  readonly joining: SavedJoining;
  readonly departed: SavedDeparted;
  readonly orders: SavedOrders;
  readonly members: readonly SavedMember[];
  readonly holds: readonly Hold[];
  readonly sequence: number;
  readonly vipFramesSeen: number;
  readonly lastOkMs: number;
  readonly lastInputMs: number;
  readonly ownSinceMs: number;
  readonly incarnationSinceMs: number;
  readonly witnessMs?: number;
  readonly silence?: string;
  readonly silentSinceMs: number;
}
