/**
 * The kernel's part of the decision, put together: the copy of the claims, and for each interface the program of
 * prefilter_program.ts with its ports and counters. The control thread owns all of it and closes it last.
 *
 * It is not needed for anything but speed. Where the kernel does not permit it, capture_filter.ts stays in place.
 */
import { type BpfMapping, BpfMemory, SocketFilter } from "../../ffi/ebpf.ts";
import {
  droppedCount,
  interestBytes,
  type PrefilterPlan,
  prefilterProgram,
  stateBytes,
  writePorts,
} from "./prefilter_program.ts";

/** What bpftool(8) shows; at most 15 characters. */
const NAMES = { interest: "vipfarm_claims", state: "vipfarm_ports", program: "vipfarm_filter" };

/** One interface's program. */
export interface LoadedPrefilter {
  /** What the packet thread attaches to its socket. */
  readonly descriptor: number;
  /** Packets dropped so far because no service of this node has to do with their buckets. */
  dropped(): number;
}

/** The maps and programs of one daemon. */
export class Prefilter {
  readonly #interest: BpfMemory;
  readonly #resources = new DisposableStack();

  private constructor(interest: BpfMemory) {
    this.#interest = this.#resources.use(interest);
  }

  /** `tableCount` as in `SharedClaims.create`. Throws SystemError where the kernel does not permit it. */
  static open(tableCount: number): Prefilter {
    return new Prefilter(BpfMemory.create(NAMES.interest, interestBytes(tableCount)));
  }

  /** Where the membership thread copies the claims to: {@link mapInterest}. */
  get interestDescriptor(): number {
    return this.#interest.fd;
  }

  /** Loads the program of one interface. Throws SystemError where the kernel does not permit it. */
  load(plan: PrefilterPlan): LoadedPrefilter {
    const state = this.#resources.use(BpfMemory.create(NAMES.state, stateBytes(plan)));
    const { memory } = this.#resources.use(state.map());
    writePorts(memory, plan);
    const code = prefilterProgram(plan, { interest: this.#interest.fd, state: state.fd });
    const program = this.#resources.use(SocketFilter.load(NAMES.program, code));
    return { descriptor: program.fd, dropped: () => droppedCount(memory) };
  }

  close(): void {
    this.#resources.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The copy of the claims as memory of the thread that writes it, from `Prefilter.interestDescriptor`. */
export function mapInterest(descriptor: number, tableCount: number): BpfMapping {
  return BpfMemory.adopt(descriptor, interestBytes(tableCount)).map();
}
