/**
 * What happened in the farm, as one list of records for the log, the API, the console and `vipfarm events`.
 */

/** How much an event matters. `error`: somebody has to act. */
export type Severity = "info" | "warning" | "error";

/** One thing that happened. */
export interface FarmEvent {
  /** Counts up from 1 within one run of the daemon. */
  readonly id: number;
  /** Wall-clock time, ISO 8601 in UTC. For people; nothing is decided by it. */
  readonly at: string;
  readonly severity: Severity;
  /** Stable, dotted, lower case, from general to special: `member.joined`. Scripts match on it. */
  readonly kind: string;
  /** One sentence for people. */
  readonly message: string;
  /** The node that it is about, if it is about one. */
  readonly node?: string;
  /** Values behind the message, for programs. Must survive JSON. */
  readonly details?: Record<string, unknown>;
}

/** What the place where something happens says of it; number and time are added by who collects. */
export type FarmEventInit = Omit<FarmEvent, "id" | "at">;

const KIND = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/;

/** Whether `kind` is a well-formed event kind: two or more lower-case words, joined by dots. */
export function isEventKind(kind: string): boolean {
  return KIND.test(kind);
}
