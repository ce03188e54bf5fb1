/**
 * What the supervisor and the worker process say to each other: JSON, one message a line, over the worker's standard
 * input and output. Both may be of different versions, since a worker can be replaced and the supervisor not.
 */
import { type FarmEventInit } from "../core/events.ts";
import { type FarmKeys } from "../core/keys.ts";
import { type SavedMembership } from "../membership/saved.ts";
import { type SavedSender } from "../membership/replay.ts";
import { type ThreadProgress } from "./watchdog.ts";

/** Raised when messages change so that an older partner would misunderstand them. */
export const MESSAGES_FORM = 4;

/** What the host must be like for this node: what outlives a worker. */
export interface HostPlan {
  /** One TUN device for each. */
  readonly interfaces: ReadonlyArray<{ readonly name: string; readonly virtualIps: readonly string[] }>;
}

/** What it takes to say goodbye for a worker that crashed. */
export interface GoodbyePlan {
  readonly node: string;
  readonly keys: Pick<FarmKeys, "farmTag" | "headerKey" | "heartbeatKey">;
  readonly intervalMs: number;
  readonly servicesDigest: number;
  readonly port: number;
  readonly networks: ReadonlyArray<{
    readonly interfaceName: string;
    readonly interfaceIndex: number;
    /** The group, or peers: 4 or 16 bytes each. */
    readonly targets: readonly Uint8Array[];
  }>;
}

/** A TUN device that is ready, by the interface that it is for. */
export interface HostTun {
  readonly interface: string;
  readonly tun: string;
}

/** What one worker hands to the next. */
export interface Snapshot {
  /** Of the configuration: tables and buckets mean the same only if it is equal. */
  readonly identity: string;
  readonly membership: SavedMembership;
  readonly senders: readonly SavedSender[];
  /** UDP flows that stay, by interface; with `save` only, for they are many. */
  readonly flows?: ReadonlyArray<{ readonly interface: string; readonly flows: Uint8Array }>;
  /** Set by orders, in place of the file's. */
  readonly draining: boolean;
  readonly weight?: number;
}

export type ToWorker =
  /** The host is ready. The next incarnation must not be smaller than this. */
  /** `members` are those that the worker before knew: what follows from them can be computed ahead. */
  /** `isRestart`: the one before ended unexpectedly, and nobody is there who could mend what a start is refused for. */
  | {
    do: "go";
    tuns: readonly HostTun[];
    incarnationMin: number;
    members: readonly string[];
    isRestart?: boolean;
  }
  /** Leave the farm and end; the second time: at once. */
  | { do: "stop" }
  | { do: "reload" }
  /** Keep this with the worker's events; it is in the log already. */
  | { do: "record"; event: FarmEventInit }
  /** Say the snapshot with this number, and go on. */
  | { do: "save"; ask: number }
  /** Do once what follows from this, so that it is fast when it counts. */
  | { do: "rehearse"; snapshot: Snapshot }
  /** Stop the protocol, go on with packets, and say the snapshot with this number. */
  | { do: "freeze"; ask: number }
  /** The other program cannot take over: go on. */
  | { do: "thaw" }
  /** Publish what follows from this, and let frames wait from now on. */
  | { do: "takeOver"; snapshot: Snapshot }
  /** Choose the moment up to which this worker decides frames, and end without a goodbye. */
  | { do: "finish" }
  /** Decide the frames that came after this moment (wall clock, µs). */
  | { do: "decideFrom"; cutUs: number }
  /** The former worker decides nothing more: take part in the protocol. */
  | { do: "begin" }
  /** The former worker is gone: serve the admin endpoint. */
  | { do: "serve" };

export type FromWorker =
  | { say: "hello"; form: number; version: string; plan: HostPlan; goodbye: GoodbyePlan }
  /** From now on the others hear of this incarnation. */
  | { say: "incarnation"; incarnation: number }
  /** Names of all members that it knows, itself included. */
  | { say: "members"; names: readonly string[] }
  | { say: "ready" }
  /** Once a second: how far each thread has come, whether the farm counts on this node, and one line of what people should know. */
  | { say: "progress"; threads: ThreadProgress; joined: boolean; line: string }
  | { say: "prepared" }
  | { say: "snapshot"; ask: number; snapshot: Snapshot }
  | { say: "rehearsed" }
  | { say: "tookOver" }
  | { say: "cut"; cutUs: number }
  | { say: "stopped" }
  /** It leaves the farm, as it was told to; drain and scripts may take so long. */
  | { say: "leaving"; withinMs: number }
  /** The others were told that this node leaves: its end is no crash. */
  | { say: "goodbye" }
  | { say: "failed"; problem: string };

/** One of either, by its first key. */
export type Said<Kind extends FromWorker["say"]> = Extract<FromWorker, { say: Kind }>;

/** A message as one line. Bytes and infinities, which JSON has not, are marked. */
export function encodeMessage(message: ToWorker | FromWorker): string {
  return JSON.stringify(message, (_, value) => {
    if (value instanceof Uint8Array) return { $bytes: value.toBase64() };
    if (value === Infinity || value === -Infinity) return { $number: String(value) };
    return value;
  }) + "\n";
}

/** @throws SyntaxError if the line is none of ours */
export function decodeMessage(line: string): unknown {
  return JSON.parse(line, (_, value) => {
    if (typeof value?.$bytes === "string") return Uint8Array.fromBase64(value.$bytes);
    if (typeof value?.$number === "string") return Number(value.$number);
    return value;
  });
}
