/** Whether extended BPF may be used here. */

import { BpfMemory, BpfProgram } from "../../../ffi/ebpf.ts";
import { EbpfAssembler } from "../../../ffi/ebpf_assembler.ts";

/** Why these tests cannot run here, or `undefined`. */
export const bpfUnavailable: string | undefined = probe();

function probe(): string | undefined {
  try {
    using memory = BpfMemory.create("vft_probe", 8);
    using _mapping = memory.map();
    // Reaching into a map by an address that is computed is what needs the privilege.
    const code = new EbpfAssembler().loadMapAddress(1, memory.fd).load(1, 0, 1, 0).exit().assemble();
    using _filter = BpfProgram.load("socketFilter", "vft_probe", code);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
