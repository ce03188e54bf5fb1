/**
 * Classic BPF socket filters: an assembler with labels, and SO_ATTACH_FILTER.
 * Source: the kernel's `Documentation/networking/filter.rst`.
 */

import { Labels } from "./labels.ts";
import * as C from "./layout/constants.ts";
import { sock_filter, sock_fprog } from "./layout/structs.ts";
import { addressOf, check, libc } from "./libc.ts";

/** One instruction; `jt` and `jf` are how many to skip when a condition holds or not. */
export interface BpfInstruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** A return value that keeps the whole packet: more than the longest there is. */
export const BPF_KEEP_ALL = 0xffff_ffff;
/** A filter that lets nothing pass. */
export const BPF_REJECT_ALL: readonly BpfInstruction[] = [{ code: C.BPF_RET | C.BPF_K, jt: 0, jf: 0, k: 0 }];

/** Conditional jumps hold their distance in one byte. */
const JUMP_DISTANCE_MAX = 255;
// `SKF_AD_VLAN_TAG` (linux/filter.h): an absolute load from here reads the tag that the NIC took out of the frame.
const VLAN_TAG_OFFSET = (C.SKF_AD_OFF + C.SKF_AD_VLAN_TAG) >>> 0;

interface Draft {
  code: number;
  k: number;
  whenTrue?: string;
  whenFalse?: string;
}

/** Builds a filter line by line; jumps name labels, forward only, as the kernel wants it. */
export class BpfAssembler {
  readonly #drafts: Draft[] = [];
  readonly #labels = new Labels("assemble packet filter");

  /** Marks the next instruction. */
  label(name: string): this {
    this.#labels.define(name, this.#drafts.length);
    return this;
  }

  /** Loads 1, 2 or 4 bytes (network order) at `offset` from the start of the frame. */
  load(offset: number, bytes: 1 | 2 | 4): this {
    const size = bytes === 1 ? C.BPF_B : bytes === 2 ? C.BPF_H : C.BPF_W;
    return this.#add({ code: C.BPF_LD | size | C.BPF_ABS, k: offset });
  }

  /** Loads the frame's VLAN tag, 0 where it has none. */
  loadVlanTag(): this {
    return this.#add({ code: C.BPF_LD | C.BPF_W | C.BPF_ABS, k: VLAN_TAG_OFFSET });
  }

  /** Goes to `label` when the loaded value equals `k`. */
  jumpIfEqual(k: number, label: string): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_JEQ | C.BPF_K, k, whenTrue: label });
  }

  /** Goes to `label` unless the loaded value equals `k`. */
  jumpUnlessEqual(k: number, label: string): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_JEQ | C.BPF_K, k, whenFalse: label });
  }

  /** Goes to `label` when the loaded value has any bit of `k`. */
  jumpIfBits(k: number, label: string): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_JSET | C.BPF_K, k, whenTrue: label });
  }

  /** Goes to `label`, however far. */
  jump(label: string): this {
    return this.#add({ code: C.BPF_JMP | C.BPF_JA, k: 0, whenTrue: label });
  }

  /** Ends: the packet passes whole. */
  accept(): this {
    return this.#add({ code: C.BPF_RET | C.BPF_K, k: BPF_KEEP_ALL });
  }

  /** Ends: the packet is not for this socket. */
  reject(): this {
    return this.#add({ code: C.BPF_RET | C.BPF_K, k: 0 });
  }

  /** The finished filter. Throws {@link VipfarmError} for unknown labels, jumps back or too far, or its length. */
  assemble(): BpfInstruction[] {
    if (this.#drafts.length === 0 || this.#drafts.length > C.BPF_MAXINSNS) {
      throw this.#labels.error(`a filter has 1 to ${C.BPF_MAXINSNS} instructions`, `${this.#drafts.length}`);
    }
    return this.#drafts.map((draft, index) => {
      const distance = (label: string | undefined): number =>
        label === undefined ? 0 : this.#labels.distance(index, label);
      if (draft.code === (C.BPF_JMP | C.BPF_JA)) {
        return { code: draft.code, jt: 0, jf: 0, k: distance(draft.whenTrue) };
      }
      const jt = distance(draft.whenTrue), jf = distance(draft.whenFalse);
      if (Math.max(jt, jf) > JUMP_DISTANCE_MAX) {
        throw this.#labels.error(
          `a conditional jump is longer than ${JUMP_DISTANCE_MAX}`,
          draft.whenTrue ?? draft.whenFalse ?? "",
        );
      }
      return { code: draft.code, jt, jf, k: draft.k };
    });
  }

  #add(draft: Draft): this {
    this.#drafts.push(draft);
    return this;
  }
}

/** The instructions as the array of `struct sock_filter` that the kernel reads. */
export function encodeFilter(instructions: readonly BpfInstruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(instructions.length * sock_filter.size);
  const view = new DataView(bytes.buffer);
  instructions.forEach(({ code, jt, jf, k }, index) => {
    const offset = index * sock_filter.size;
    view.setUint16(offset + sock_filter.offsets.code, code, true);
    view.setUint8(offset + sock_filter.offsets.jt, jt);
    view.setUint8(offset + sock_filter.offsets.jf, jf);
    view.setUint32(offset + sock_filter.offsets.k, k, true);
  });
  return bytes;
}

/** Attaches a filter to socket `fd`, in place of the one that it had. Throws {@link SystemError}. */
export function attachFilter(fd: number, instructions: readonly BpfInstruction[]): void {
  const code = encodeFilter(instructions);
  const program = new Uint8Array(sock_fprog.size);
  const view = new DataView(program.buffer);
  view.setUint16(sock_fprog.offsets.len, instructions.length, true);
  view.setBigUint64(sock_fprog.offsets.filter, addressOf(code), true);
  check(
    libc.setsockopt(fd, C.SOL_SOCKET, C.SO_ATTACH_FILTER, program, program.length),
    "attach packet filter",
    `${instructions.length} instructions, ${code.length} bytes`,
  );
}
