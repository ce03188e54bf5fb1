/**
 * Classic BPF socket filters: an assembler with labels, the filter for virtual IPs, and SO_ATTACH_FILTER.
 * Source: the kernel's `Documentation/networking/filter.rst`.
 */

import { VipfarmError } from "../src/core/errors.ts";
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
  readonly #labels = new Map<string, number>();

  /** Marks the next instruction. */
  label(name: string): this {
    if (this.#labels.has(name)) throw assemblyError("the label is defined twice", name);
    this.#labels.set(name, this.#drafts.length);
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
      throw assemblyError(`a filter has 1 to ${C.BPF_MAXINSNS} instructions`, `${this.#drafts.length}`);
    }
    return this.#drafts.map((draft, index) => {
      const distance = (label: string | undefined): number => {
        if (label === undefined) return 0;
        const target = this.#labels.get(label);
        if (target === undefined) throw assemblyError("no such label", label);
        if (target <= index) throw assemblyError("a jump goes back", label);
        return target - index - 1;
      };
      if (draft.code === (C.BPF_JMP | C.BPF_JA)) {
        return { code: draft.code, jt: 0, jf: 0, k: distance(draft.whenTrue) };
      }
      const jt = distance(draft.whenTrue), jf = distance(draft.whenFalse);
      if (Math.max(jt, jf) > JUMP_DISTANCE_MAX) {
        throw assemblyError(
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

function assemblyError(problem: string, value: string): VipfarmError {
  return new VipfarmError({ operation: "assemble packet filter", problem, value });
}

/**
 * The filter of a VIP interface, for Ethernet frames: lets pass, whole,
 * - IPv4 and IPv6 packets to one of `addresses` (4 or 16 bytes each, network order), fragments included,
 * - ARP packets whose target is one of them,
 * - neighbour solicitations (ICMPv6 type 135) whose target is one of them, whatever their destination.
 * Frames of a VLAN belong to that VLAN's own interface and are rejected; priority tags (VLAN 0) are none.
 */
export function virtualIpFilter(addresses: readonly Uint8Array[]): BpfInstruction[] {
  const filter = new BpfAssembler();
  const words = addresses.map((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4));
  });
  let block = 0;
  const acceptIfAt = (offset: number, wordCount: 1 | 4): void => {
    for (const address of words.filter(({ length }) => length === wordCount)) {
      const next = `next-${block++}`;
      address.forEach((word, index) => filter.load(offset + index * 4, 4).jumpUnlessEqual(word, next));
      filter.accept().label(next);
    }
  };
  filter.loadVlanTag().jumpIfBits(0x0fff, "reject").load(12, 2);
  filter.jumpIfEqual(C.ETH_P_IP, "ipv4").jumpIfEqual(C.ETH_P_ARP, "arp").jumpIfEqual(C.ETH_P_IPV6, "to-ipv6");
  filter.label("reject").reject().label("to-ipv6").jump("ipv6");
  filter.label("ipv4");
  acceptIfAt(14 + 16, 1);
  filter.reject().label("arp");
  acceptIfAt(14 + 24, 1);
  filter.reject().label("ipv6");
  acceptIfAt(14 + 24, 4);
  filter.load(14 + 6, 1).jumpUnlessEqual(C.IPPROTO_ICMPV6, "not-solicited");
  filter.load(14 + 40, 1).jumpIfEqual(135, "solicited").label("not-solicited").reject().label("solicited");
  acceptIfAt(14 + 40 + 8, 4);
  return filter.reject().assemble();
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
