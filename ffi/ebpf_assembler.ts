/**
 * Extended BPF programs: an assembler with labels. One method for each kind of instruction in use.
 * Source: the kernel's `Documentation/bpf/standardization/instruction-set.rst`.
 */

import { Labels } from "./labels.ts";
import * as C from "./layout/constants.ts";
import { __sk_buff } from "./layout/structs.ts";

/** r0 holds results, r1 to r5 arguments (a call leaves nothing in them), r6 to r9 stay, r10 points behind the stack. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
/** What is done with a register; {@link EbpfAssembler.compute}. */
export type Operation = keyof typeof OPERATIONS;
/** When a jump is taken, both sides unsigned; {@link EbpfAssembler.jumpIf}. */
export type Condition = keyof typeof CONDITIONS;

/** Bytes of one instruction; `loadConstant` and `loadMapAddress` take two of them. */
export const EBPF_INSTRUCTION_BYTES = 8;

const OPERATIONS = {
  add: C.BPF_ADD,
  or: C.BPF_OR,
  and: C.BPF_AND,
  xor: C.BPF_XOR,
  move: C.BPF_MOV,
  shiftLeft: C.BPF_LSH,
  shiftRight: C.BPF_RSH,
} as const;
const CONDITIONS = { equal: C.BPF_JEQ, notEqual: C.BPF_JNE, above: C.BPF_JGT } as const;
const SIZES = { 1: C.BPF_B, 2: C.BPF_H, 4: C.BPF_W, 8: C.BPF_DW } as const;
/** Jumps hold their distance in a signed 16-bit number. */
const JUMP_DISTANCE_MAX = 0x7fff;

interface Draft {
  code: number;
  destination?: Register;
  source?: number;
  offset?: number;
  immediate?: number;
  /** Where a jump goes; its distance becomes the offset. */
  target?: string;
}

/** Builds a program line by line; jumps name labels, forward only: loops are not needed here. */
export class EbpfAssembler {
  readonly #drafts: Draft[] = [];
  readonly #labels = new Labels("assemble BPF program");

  /** Marks the next instruction. */
  label(name: string): this {
    this.#labels.define(name, this.#drafts.length);
    return this;
  }

  /** `destination` = `destination` OP `source`, in 64 bits. */
  compute(operation: Operation, destination: Register, source: Register): this {
    return this.#add({ code: C.BPF_ALU64 | OPERATIONS[operation] | C.BPF_X, destination, source });
  }

  /** `destination` = `destination` OP `constant`, in 64 bits; the constant is a signed 32-bit number. */
  computeConstant(operation: Operation, destination: Register, constant: number): this {
    return this.#add({
      code: C.BPF_ALU64 | OPERATIONS[operation] | C.BPF_K,
      destination,
      immediate: constant,
    });
  }

  /** `destination` = `constant`, 32 bits, the upper half 0. */
  moveWord(destination: Register, constant: number): this {
    return this.#add({ code: C.BPF_ALU | C.BPF_MOV | C.BPF_K, destination, immediate: constant });
  }

  /** `destination` = `constant`, 64 bits. Two instructions. */
  loadConstant(destination: Register, constant: bigint): this {
    return this.#wide(destination, 0, Number(constant & 0xffff_ffffn), Number(constant >> 32n));
  }

  /** `destination` = the address of byte `offset` in the one value of the array map `fd`. Two instructions. */
  loadMapAddress(destination: Register, fd: number, offset = 0): this {
    return this.#wide(destination, C.BPF_PSEUDO_MAP_VALUE, fd, offset);
  }

  /** Turns the lower 16 bits from network order into a number; the rest becomes 0. */
  fromNetwork16(destination: Register): this {
    return this.#add({ code: C.BPF_ALU | C.BPF_END | C.BPF_TO_BE, destination, immediate: 16 });
  }

  /** `destination` = the 1, 2, 4 or 8 bytes at `source` + `offset`, as this machine reads them. */
  load(bytes: 1 | 2 | 4 | 8, destination: Register, source: Register, offset: number): this {
    return this.#add({ code: C.BPF_LDX | SIZES[bytes] | C.BPF_MEM, destination, source, offset });
  }

  /** The lower 1, 2, 4 or 8 bytes of `source` go to `destination` + `offset`. */
  store(bytes: 1 | 2 | 4 | 8, destination: Register, offset: number, source: Register): this {
    return this.#add({ code: C.BPF_STX | SIZES[bytes] | C.BPF_MEM, destination, source, offset });
  }

  /** Adds `source` to the 8 bytes at `destination` + `offset`, in one step for all processors. */
  addAtomically(destination: Register, offset: number, source: Register): this {
    return this.#add({
      code: C.BPF_STX | C.BPF_DW | C.BPF_ATOMIC,
      destination,
      source,
      offset,
      immediate: C.BPF_ADD,
    });
  }

  /** Goes to `label` when `register` compares so with `constant`, of both the lower 32 bits. */
  jumpIf(condition: Condition, register: Register, constant: number, label: string): this {
    return this.#add({
      code: C.BPF_JMP32 | CONDITIONS[condition] | C.BPF_K,
      destination: register,
      immediate: constant,
      target: label,
    });
  }

  /** Goes to `label` when `register` compares so with `other`, in 64 bits. */
  jumpIfRegister(condition: Condition, register: Register, other: Register, label: string): this {
    return this.#add({
      code: C.BPF_JMP | CONDITIONS[condition] | C.BPF_X,
      destination: register,
      source: other,
      target: label,
    });
  }

  /** Goes to `label` when `register` has any bit of `bits`, which are a signed 32-bit number. */
  jumpIfBits(register: Register, bits: number, label: string): this {
    return this.#add({
      code: C.BPF_JMP | C.BPF_JSET | C.BPF_K,
      destination: register,
      immediate: bits,
      target: label,
    });
  }

  /** Goes to `label`. */
  jump(label: string): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_JA, target: label });
  }

  /** `destination` = the VLAN tag that was taken out of the frame, 0 where it had none. `context` is r1 of the start. */
  loadVlanTag(destination: Register, context: Register): this {
    return this.load(4, destination, context, __sk_buff.offsets.vlan_tci);
  }

  /** `destination` = what else the kernel knows of the packet. `context` is r1 of the start. */
  loadContext(field: "len" | "pkt_type" | "vlan_present", destination: Register, context: Register): this {
    return this.load(4, destination, context, __sk_buff.offsets[field]);
  }

  /**
   * Copies `bytes` of the packet from `offset` on to the stack, at r10 + `stackOffset` (negative); goes to `ifShort` when
   * there are not as many. Works wherever the kernel keeps the bytes, and uses r0 to r5 (bpf_skb_load_bytes).
   */
  readPacket(
    context: Register,
    offset: number | { register: Register },
    bytes: number,
    stackOffset: number,
    ifShort: string,
  ): this {
    if (typeof offset === "number") this.computeConstant("move", 2, offset);
    else this.compute("move", 2, offset.register);
    return this.compute("move", 1, context)
      .compute("move", 3, 10).computeConstant("add", 3, stackOffset)
      .computeConstant("move", 4, bytes)
      .#call(C.BPF_FUNC_skb_load_bytes)
      .jumpIf("notEqual", 0, 0, ifShort);
  }

  /** r0 = the number of the processor that this runs on; uses r1 to r5. */
  callProcessorNumber(): this {
    return this.#call(C.BPF_FUNC_get_smp_processor_id);
  }

  /** r0 = nanoseconds since boot, suspensions included (CLOCK_BOOTTIME); uses r1 to r5. */
  callBootTime(): this {
    return this.#call(C.BPF_FUNC_ktime_get_boot_ns);
  }

  /** Makes the packet one of `type` (PACKET_HOST and others, linux/if_packet.h) for the rest of its way; uses r0 to r5. */
  changePacketType(context: Register, type: number): this {
    return this.compute("move", 1, context).computeConstant("move", 2, type)
      .#call(C.BPF_FUNC_skb_change_type);
  }

  /** Ends the program; its result is r0. */
  exit(): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_EXIT });
  }

  /** The finished program as the kernel reads it. Throws {@link VipfarmError} for unknown labels and jumps back. */
  assemble(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#drafts.length * EBPF_INSTRUCTION_BYTES);
    const view = new DataView(bytes.buffer);
    this.#drafts.forEach(
      ({ code, destination = 0, source = 0, offset = 0, immediate = 0, target }, index) => {
        const at = index * EBPF_INSTRUCTION_BYTES;
        view.setUint8(at, code);
        view.setUint8(at + 1, destination | (source << 4));
        view.setInt16(at + 2, target === undefined ? offset : this.#distance(index, target), true);
        view.setInt32(at + 4, immediate | 0, true);
      },
    );
    return bytes;
  }

  #distance(index: number, label: string): number {
    const distance = this.#labels.distance(index, label);
    if (distance > JUMP_DISTANCE_MAX) throw this.#labels.error("a jump is too long", label);
    return distance;
  }

  /** Calls a helper (bpf-helpers(7)): arguments in r1 to r5, its result in r0. */
  #call(helper: number): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_CALL, immediate: helper });
  }

  #wide(destination: Register, source: number, low: number, high: number): this {
    return this.#add({ code: C.BPF_LD | C.BPF_DW | C.BPF_IMM, destination, source, immediate: low })
      .#add({ code: 0, immediate: high });
  }

  #add(draft: Draft): this {
    this.#drafts.push(draft);
    return this;
  }
}
