/** Whether this daemon has the kernel's prefilter, and the one sentence that says why not. */
import { VipfarmError } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type LoadedPrefilter, Prefilter } from "../dataplane/prefilter.ts";
import { type PrefilterPlan } from "../dataplane/prefilter_program.ts";

/** Set to `off`, the capture filter stays in place, for measuring. */
export const PREFILTER_VARIABLE = "VIPFARM_PREFILTER";

/** The prefilter as far as the kernel permits it: without it every call answers `undefined`. */
export class OptionalPrefilter {
  #prefilter: Prefilter | undefined;
  #told = false;

  /** `tableCount` as in `SharedClaims.create`; `record` is told, once, if there is none. */
  constructor(tableCount: number, readonly record: (event: FarmEventInit) => void) {
    if (Deno.env.get(PREFILTER_VARIABLE) === "off") this.#tell(`${PREFILTER_VARIABLE}=off`);
    else this.#prefilter = this.#attempt(() => Prefilter.open(tableCount));
  }

  /** Where the membership thread copies the claims to. */
  get interestDescriptor(): number | undefined {
    return this.#prefilter?.interestDescriptor;
  }

  /** The program of one interface. */
  load(plan: PrefilterPlan): LoadedPrefilter | undefined {
    return this.#attempt(() => this.#prefilter?.load(plan));
  }

  /** The kernel has taken the program, but the socket did not. */
  refused(why: string): void {
    this.#tell(why);
  }

  /** After every thread that uses it. */
  close(): void {
    this.#prefilter?.close();
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const remedy = error instanceof VipfarmError ? error.remedy : undefined;
      const problem = error instanceof Error ? error.message : String(error);
      this.#tell(remedy === undefined ? problem : `${problem}; ${remedy}`);
      return undefined;
    }
  }

  #tell(why: string): void {
    if (this.#told) return;
    this.#told = true;
    this.record({
      severity: "info",
      kind: "prefilter.off",
      message: `Packets of other nodes are dropped by the daemon, not by the kernel: ${why}.`,
    });
  }
}
