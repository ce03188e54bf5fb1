/** The state of the page, in one place. `live.ts` fills it; components only read it. */

import { computed, signal } from "@preact/signals";
import type { ChecksAnswer } from "../detail_schemas.ts";
import type { FarmStatus } from "../schemas.ts";
import type { BucketMap } from "./buckets.ts";
import type { History } from "./history.ts";
import { tokenWanted } from "./session.ts";

/** One line of the event log. */
export interface LoggedEvent {
  readonly id: number;
  readonly at: string;
  readonly severity: "info" | "warning" | "error";
  readonly kind: string;
  readonly message: string;
  readonly node?: string;
  /** Unlike `id`, never the same for two events: a restarted daemon counts anew. */
  readonly key: string;
}

/** Whether the node answers. `locked`: it asks for a token. */
export type LinkState = "connecting" | "live" | "lost" | "locked";

/** What is older than this is not shown as fresh: the node tells the farm every second. */
export const STALE_MS = 3_000;

export const farm = signal<FarmStatus | undefined>(undefined);
/** Moment of the newest answer, on the clock of `performance.now()`, and of the wall. */
export const answered = signal<{ atMs: number; date: Date } | undefined>(undefined);
/** Why the last question was not answered; empty if it was. */
export const problem = signal("");
/** When the node is asked again, on the same clock. */
export const nextTryMs = signal(0);
/** Moves on while the page is open, several times a second. */
export const nowMs = signal(performance.now());

export const events = signal<readonly LoggedEvent[]>([]);
export const history = signal<History | undefined>(undefined);
export const checks = signal<ChecksAnswer | undefined>(undefined);
export const buckets = signal<BucketMap | undefined>(undefined);
/** The service whose buckets are shown; empty: there is none yet, or none at all. */
export const bucketService = signal("");

export const link = computed<LinkState>(() => {
  if (tokenWanted.value !== undefined) return "locked";
  if (answered.value === undefined) return problem.value === "" ? "connecting" : "lost";
  const old = nowMs.value - answered.value.atMs > STALE_MS;
  return problem.value !== "" || old ? "lost" : "live";
});

/** What is shown may be acted on. */
export const fresh = computed(() => link.value === "live");
