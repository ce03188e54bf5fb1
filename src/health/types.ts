/** What the checks of this node have found, and what they ask for: the answer of `health/` to the rest of the program. */
import { type FailureAction } from "../config/checks_config.ts";

/** `pending` until the first verdict: after a start, a new check, or a start of the application. */
export type CheckState = "up" | "down" | "pending";

/** One check, for status and console. */
export interface CheckStatus {
  readonly name: string;
  readonly kind: string;
  /** Services it applies to; all of them where the file names none. */
  readonly services: readonly string[];
  readonly state: CheckState;
  /** When it got into `state`, ISO 8601. */
  readonly since: string;
  /** What the last run found, in one line: `connected in 0.3 ms`, `connection refused by 127.0.0.1:80`. */
  readonly reason: string;
  /** Absent before the first run. */
  readonly lastDurationMs?: number;
  readonly action: FailureAction;
  /** Failed runs since the daemon started. */
  readonly failures: number;
  /** Runs since the daemon started. */
  readonly runs: number;
  /** Last lines that an `exec` program printed, bounded. */
  readonly output?: string;
}

/** What the checks and rules ask for one service of this node. */
export interface ServiceHealth {
  /** `leave`: no new flows, open connections stay, as in a drain. `fail`: nothing stays. */
  readonly demand: "none" | "leave" | "fail";
  /** With a demand: the node may still serve where no other can (`last_resort: keep` of everything that asks). */
  readonly lastResort: boolean;
  /** Name of the check or rule that asks the most; absent without a demand. */
  readonly check?: string;
  /** Why, in one line; empty without a demand. */
  readonly reason: string;
  /** Takes the place of the configured weight: the least that an `exec` check with `weight_by_exit` gave. */
  readonly weight?: number;
}

/** What the checks and rules ask for the node's application. */
export interface NodeHealth {
  /** Holds as long as its cause does: whoever acts on it decides how often. `stop` outweighs `restart`. */
  readonly demand: "none" | "restart" | "stop";
  /** Name of the check or rule that asks; absent without a demand. */
  readonly check?: string;
  /** Why, in one line; empty without a demand. */
  readonly reason: string;
  /** Since when it asks, ISO 8601; the daemon's start if nothing has asked yet. */
  readonly since: string;
}

/** Everything at one moment. */
export interface HealthState {
  readonly checks: readonly CheckStatus[];
  /** By service name: every service of the file is there. */
  readonly services: Readonly<Record<string, ServiceHealth>>;
  readonly node: NodeHealth;
}
