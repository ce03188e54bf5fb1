/**
 * The kernel's part of the decision, put together: the copy of the claims, and for each interface the programs of
 * prefilter_program.ts and fast_path_program.ts with their ports and counters. The control thread owns all of it and
 * closes it last.
 *
 * It is not needed for anything but speed. Where the kernel does not permit it, capture_filter.ts stays in place.
 */
import { boottimeMs } from "../../ffi/clock.ts";
import { BpfLink, BpfMemory, BpfProgram } from "../../ffi/ebpf.ts";
import { fastPathProgram } from "./fast_path_program.ts";
import { KernelClaims, kernelClaimsBytes } from "./kernel_claims.ts";
import { prefilterProgram } from "./prefilter_program.ts";
import {
  type PrefilterCounts,
  type PrefilterPlan,
  readCounts,
  stateBytes,
  writePorts,
} from "./prefilter_state.ts";

/** What bpftool(8) shows; at most 15 characters. */
const NAMES = {
  claims: "vipfarm_claims",
  state: "vipfarm_ports",
  filter: "vipfarm_filter",
  fastPath: "vipfarm_fast",
};

/** One interface's programs. */
export interface LoadedPrefilter {
  /** What the packet thread attaches to its socket. */
  readonly descriptor: number;
  /** Whether packets go by the fast path. */
  readonly isFast: boolean;
  counts(): PrefilterCounts;
}

/** The maps and programs of one daemon. */
export class Prefilter {
  /** The control thread's hand on the claims' copy: to end the fast path. */
  readonly claims: KernelClaims;
  readonly #claims: BpfMemory;
  readonly #processors: number;
  readonly #resources = new DisposableStack();

  private constructor(claims: BpfMemory, processors: number) {
    this.#claims = this.#resources.use(claims);
    this.#processors = processors;
    this.claims = new KernelClaims(this.#resources.use(claims.map()).memory, boottimeMs);
  }

  /**
   * `tableCount` as in `SharedClaims.create`; all processors' numbers are below `processors`. Throws SystemError where the
   * kernel does not permit it.
   */
  static open(tableCount: number, processors: number): Prefilter {
    return new Prefilter(BpfMemory.create(NAMES.claims, kernelClaimsBytes(tableCount)), processors);
  }

  /** Where the membership thread copies the claims to: {@link mapKernelClaims}. */
  get claimsDescriptor(): number {
    return this.#claims.fd;
  }

  /** Loads the programs of one interface, the fast path's if `plan.fast`. Throws SystemError where the kernel does not permit it. */
  load(plan: PrefilterPlan, interfaceIndex: number): LoadedPrefilter {
    const resources = new DisposableStack();
    try {
      const state = resources.use(BpfMemory.create(NAMES.state, stateBytes(plan)));
      const { memory } = resources.use(state.map());
      writePorts(memory, plan);
      // There before the filter leaves anything to it.
      if (plan.fast !== undefined) {
        const program = resources.use(BpfProgram.load("traffic", NAMES.fastPath, fastPathProgram(state.fd)));
        resources.use(BpfLink.onIngress(program, interfaceIndex));
      }
      const code = prefilterProgram(plan, { interest: this.#claims.fd, state: state.fd });
      const filter = resources.use(BpfProgram.load("socketFilter", NAMES.filter, code));
      this.#resources.use(resources.move());
      const counts = () => readCounts(memory, this.#processors);
      return { descriptor: filter.fd, isFast: plan.fast !== undefined, counts };
    } finally {
      resources.dispose();
    }
  }

  close(): void {
    this.#resources.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The copy of the claims for the thread that writes it, from `Prefilter.claimsDescriptor`; for as long as the process lives. */
export function mapKernelClaims(descriptor: number, tableCount: number): KernelClaims {
  const mapping = BpfMemory.adopt(descriptor, kernelClaimsBytes(tableCount)).map();
  return new KernelClaims(mapping.memory, boottimeMs);
}
