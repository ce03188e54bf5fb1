/** Checks and rules as the rest of the program sees them: checked, complete, in units that the names say. */
import { type IpAddress } from "../core/address.ts";
import { type Rule } from "./rule_expression.ts";

/** What becomes of a node whose check or rule says so. */
export type FailureAction = "leave" | "fail" | "restart" | "stop" | "none";

/** When a check runs, and how many runs make a verdict. */
export interface CheckTiming {
  readonly intervalMs: number;
  /** Shorter than the interval. */
  readonly timeoutMs: number;
  /** Good runs in a row until `down` becomes `up`. */
  readonly rise: number;
  /** Failed runs in a row until `up` becomes `down`. */
  readonly fall: number;
  /** Before the first run, and after a start of the application. */
  readonly startDelayMs: number;
  /** The first run comes within this time after the start delay, at random. */
  readonly warmUpMs: number;
}

export interface HttpTarget {
  readonly address: IpAddress;
  readonly port: number;
  readonly method: "GET" | "HEAD" | "OPTIONS";
  readonly path: string;
  /** For the Host header; also the name that TLS asks for, unless `serverName` says another. */
  readonly host: string | undefined;
  readonly status: ReadonlyArray<{ readonly from: number; readonly to: number }>;
  readonly bodyContains: string | undefined;
  readonly bodyMatches: string | undefined;
}

/** What a check looks at. */
export type CheckTarget =
  | { readonly kind: "tcp"; readonly address: IpAddress; readonly port: number }
  | { readonly kind: "http" } & HttpTarget
  | {
    readonly kind: "https";
    readonly serverName: string | undefined;
    readonly verify: boolean;
    /** PEM file; undefined for the authorities that the system trusts. */
    readonly caFile: string | undefined;
  } & HttpTarget
  | { readonly kind: "ping"; readonly address: IpAddress }
  | {
    readonly kind: "interface";
    /** As the file names it; undefined for the node's main interface. */
    readonly name: string | undefined;
    /** Addresses that must be on it. */
    readonly addresses: readonly IpAddress[];
  }
  | {
    readonly kind: "process";
    readonly name: string | undefined;
    /** Pattern of the command line, arguments with a space between. */
    readonly arguments: string | undefined;
    readonly pidFile: string | undefined;
    readonly systemdUnit: string | undefined;
    readonly atLeast: number;
    readonly atMost: number | undefined;
  }
  | {
    readonly kind: "exec";
    readonly command: readonly string[];
    readonly user: string | undefined;
    readonly weightByExit: boolean;
  }
  | {
    readonly kind: "dns";
    readonly server: IpAddress;
    readonly port: number;
    readonly name: string;
    readonly type: "A" | "AAAA";
    /** Addresses of which one must be in the answer; none: any answer will do. */
    readonly expect: readonly IpAddress[];
  }
  | {
    readonly kind: "udp";
    readonly address: IpAddress;
    readonly port: number;
    readonly send: Uint8Array;
    /** What the answer must contain; empty: any answer will do. */
    readonly expect: Uint8Array;
  }
  | { readonly kind: "farm"; readonly members: number; readonly gateway: IpAddress | undefined };

export interface CheckConfig {
  readonly name: string;
  readonly target: CheckTarget;
  readonly timing: CheckTiming;
  /** Names of the services it applies to. */
  readonly services: readonly string[];
  readonly onFailure: FailureAction;
  /** `last_resort: keep`. */
  readonly lastResort: boolean;
}

export interface RuleConfig {
  readonly name: string;
  readonly when: Rule;
  readonly action: Exclude<FailureAction, "none">;
  /** How long `when` must hold without a break. */
  readonly afterMs: number;
  readonly services: readonly string[];
  readonly lastResort: boolean;
}

/** The sections `checks` and `rules`. */
export interface ChecksConfig {
  readonly checks: readonly CheckConfig[];
  readonly rules: readonly RuleConfig[];
  /** Names of all services of the file, in its order. */
  readonly services: readonly string[];
}
