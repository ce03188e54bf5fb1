/**
 * What a node claimed, and until when, for whoever wants to check a real run against the rules: one JSON object for
 * each line, times in ms since boot, appended to the file that VIPFARM_TRACE names. Nodes on one machine share that
 * clock, so their traces can be laid beside each other. Without the variable, nothing of this runs.
 */
import { type ClaimsBasis } from "../membership/types.ts";

/** One line. */
export type TraceLine =
  /** A program begins, and claims nothing yet. */
  | { readonly kind: "start"; readonly atMs: number; readonly node: string }
  /** Claims as before until `fromMs`, as the basis says from `toMs` on, and anything of both between. */
  | { readonly kind: "claims"; readonly fromMs: number; readonly toMs: number; readonly basis: ClaimsBasis }
  /** Claims hold until the deadline; 0: not any more. */
  | { readonly kind: "lease"; readonly atMs: number; readonly deadlineMs: number };

export class ClaimsTrace {
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();

  private constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, append: true });
  }

  /** The trace that the environment asks for, if it does. @throws if the file cannot be opened */
  static open(): ClaimsTrace | undefined {
    const path = Deno.env.get("VIPFARM_TRACE");
    return path === undefined ? undefined : new ClaimsTrace(path);
  }

  /** Appends a line, whole or not at all: a killed program leaves no half of one behind. */
  write(line: TraceLine): void {
    this.#file.writeSync(this.#encoder.encode(JSON.stringify(line) + "\n"));
  }
}
