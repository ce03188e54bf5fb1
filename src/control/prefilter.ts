/** Whether this daemon has the kernel's prefilter and fast path, and the one sentence each that says why not. */
import { gracePeriod } from "../../ffi/grace_period.ts";
import { messageOf, VipfarmError } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type KernelClaims } from "../dataplane/kernel_claims.ts";
import { Losses } from "../dataplane/losses.ts";
import { type LoadedPrefilter, Prefilter } from "../dataplane/prefilter.ts";
import { type PrefilterPlan } from "../dataplane/prefilter_state.ts";
import { processorsPossible } from "../host/processors.ts";
import { isReversePathStrict } from "../host/sysctls.ts";

/** Set to `off`, the capture filter stays in place, for measuring. */
export const PREFILTER_VARIABLE = "VIPFARM_PREFILTER";
/** Set to `off`, every packet of this node goes by the packet thread, for measuring. */
export const FAST_PATH_VARIABLE = "VIPFARM_FASTPATH";

/** What each is told as, if it is off. */
const OFF = {
  prefilter: "Packets of other nodes are dropped by the daemon, not by the kernel",
  fastpath: "Packets for this node go through the daemon, not straight into the kernel",
} as const;

/** An interface with the fast path. */
interface FastInterface {
  readonly name: string;
  /** Families that it is for. */
  readonly fast: ReadonlySet<4 | 6>;
  readonly loaded: LoadedPrefilter;
  readonly losses: Losses;
}

/** The kernel's part as far as the kernel permits it: without it every call answers `undefined`. */
export class OptionalPrefilter {
  #prefilter: Prefilter | undefined;
  readonly #told = new Set<string>();
  readonly #fast: FastInterface[] = [];

  /** `tableCount` as in `SharedClaims.create`; `record` is told what there is not, each reason once. */
  constructor(tableCount: number, readonly record: (event: FarmEventInit) => void) {
    if (Deno.env.get(PREFILTER_VARIABLE) === "off") this.#tell("prefilter", `${PREFILTER_VARIABLE}=off`);
    else this.#prefilter = this.#attempt("prefilter", () => Prefilter.open(tableCount, processorsPossible()));
  }

  /** What the control thread ends the kernel's lease with. */
  get claims(): KernelClaims | undefined {
    return this.#prefilter?.claims;
  }

  /** Where the membership thread copies the claims to. */
  get claimsDescriptor(): number | undefined {
    return this.#prefilter?.claimsDescriptor;
  }

  /** The programs of one interface: with the fast path, or without it. */
  load(plan: PrefilterPlan, on: { name: string; index: number }): LoadedPrefilter | undefined {
    const prefilter = this.#prefilter;
    if (prefilter === undefined) return undefined;
    const fast = this.#families(on.name);
    const loaded = fast.size === 0
      ? undefined
      : this.#attempt("fastpath", () => prefilter.load({ ...plan, fast }, on.index));
    if (loaded !== undefined) this.#fast.push({ name: on.name, fast, loaded, losses: new Losses() });
    return loaded ?? this.#attempt("prefilter", () => prefilter.load(plan, on.index));
  }

  /** The kernel has taken the program, but the socket did not. */
  refused(why: string): void {
    this.#tell("prefilter", why);
  }

  /**
   * Ends the fast path if packets are left to it and do not arrive: somebody took its program off the interface, or put
   * one before it that takes packets away; or if they would arrive and be dropped by an rp_filter that has become
   * strict. To be called once a second.
   */
  watch(): void {
    for (const { name, fast, loaded, losses } of this.#fast) {
      const counts = loaded.counts();
      if (losses.sample(counts.fast, counts.taken)) {
        this.#endFastPath("packets that the kernel should have taken were lost on the interface");
      } else if (fast.has(4) && isReversePathStrict(name)) {
        this.#endFastPath(
          `${strictness(name)}; set it to 2, then replace or restart the program to have the fast path`,
        );
      }
    }
  }

  /** For as long as this process runs. */
  #endFastPath(why: string): void {
    this.#prefilter?.claims.switchOff();
    this.#tell("fastpath", why);
  }

  /** Waits until packets that the kernel took by claims of before this call are with their sockets. */
  async settled(): Promise<void> {
    if (this.#fast.length > 0) await gracePeriod();
  }

  /** After every thread that uses it. */
  close(): void {
    this.#prefilter?.close();
    this.#prefilter = undefined;
    this.#fast.length = 0;
  }

  /** Families that the fast path is for on this interface. */
  #families(interfaceName: string): Set<4 | 6> {
    if (Deno.env.get(FAST_PATH_VARIABLE) === "off") {
      this.#tell("fastpath", `${FAST_PATH_VARIABLE}=off`);
      return new Set();
    }
    if (!isReversePathStrict(interfaceName)) return new Set([4, 6]);
    this.#tell(
      "fastpath",
      `${
        strictness(interfaceName)
      }; set it to 2 if clients are routed that way, or to have the fast path for IPv4`,
    );
    return new Set([6]);
  }

  #attempt<T>(what: keyof typeof OFF, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const remedy = error instanceof VipfarmError ? error.remedy : undefined;
      const problem = messageOf(error);
      this.#tell(what, remedy === undefined ? problem : `${problem}; ${remedy}`);
      return undefined;
    }
  }

  #tell(what: keyof typeof OFF, why: string): void {
    const message = `${OFF[what]}: ${why}.`;
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.record({ severity: "info", kind: `${what}.off`, message });
  }
}

function strictness(interfaceName: string): string {
  return `net.ipv4.conf.${interfaceName}.rp_filter is strict, so IPv4 from clients that are answered by another ` +
    "interface would be lost";
}
