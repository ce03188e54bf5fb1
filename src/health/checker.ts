/** What every kind of check is to the one that runs it. */
import { type IpAddress } from "../core/address.ts";
import { type Finding } from "./damping.ts";
import { type Links } from "./links.ts";
import { type ProcessTable } from "./process_table.ts";
import { type Watcher } from "./watcher.ts";

/** One run of a check. */
export interface Run {
  /** Aborted when the time is over, or the check is taken away: the run then ends, with whatever finding. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** Looks at one thing, again and again, never twice at the same time. */
export interface Checker {
  /** What is thrown counts as a failed run, with the error's words as the reason. */
  run(run: Run): Promise<Finding> | Finding;
  close?(): void;
}

/** What checkers are given. */
export interface CheckerParts {
  /** Name of this node. */
  readonly node: string;
  /** Name of the check. */
  readonly check: string;
  readonly watcher: Watcher;
  readonly links: Links;
  readonly processes: ProcessTable;
  /** Name on this node of an interface that the file names; undefined: its main one. */
  interfaceName(name: string | undefined): string;
  /** Members in view, this node included. */
  members(): number;
  nowMs(): number;
  /** The kernel has told of a change: run now. */
  poke(): void;
}

export function good(reason: string): Finding {
  return { good: true, reason };
}

export function bad(reason: string): Finding {
  return { good: false, reason };
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function endpoint(address: IpAddress, port: number): string {
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}
