/**
 * Extended BPF: array maps that are plain memory to this process, and programs. bpf(2); the kernel's
 * `include/uapi/linux/bpf.h`, `kernel/bpf/syscall.c`, `kernel/bpf/arraymap.c`.
 *
 * Linux 5.5 or later (BPF_F_MMAPABLE). Where unprivileged BPF is off, which is the default of most distributions,
 * CAP_BPF and CAP_PERFMON (before 5.8: CAP_SYS_ADMIN) are needed; a user namespace cannot give them.
 */

import { Descriptor } from "./descriptor.ts";
import { EBPF_INSTRUCTION_BYTES } from "./ebpf_assembler.ts";
import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { bpf_attr } from "./layout/structs.ts";
import { SYSCALLS } from "./layout/syscalls.ts";
import { addressOf, cString, errno, libc } from "./libc.ts";
import { setOption } from "./socket.ts";

/** As much of `union bpf_attr` as is used here; the kernel takes the rest for 0. */
const ATTRIBUTE_BYTES = 72;
/**
 * `enum bpf_attach_type` and `enum tcx_action_base` of Linux 6.6. Not in layout/: the C headers of older systems, which the
 * test of the layout has to compile, do not know them.
 */
const BPF_TCX_INGRESS = 46;
/** What a program on a packet's way gives back: go on to the next program, and then to the kernel. */
export const TCX_NEXT = -1;
/** The verifier's explanation of a refusal: its last lines say why. */
const LOG_BYTES = 1 << 18;
const LOG_LINES_SHOWN = 3;
const SYS_BPF = SYSCALLS[Deno.build.arch].bpf;
const REMEDY =
  "grant CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), on Linux 5.5 or later; before 5.11 also raise RLIMIT_MEMLOCK";

/** A map with one value, which programs and this process share as memory. */
export class BpfMemory {
  readonly bytes: number;
  readonly #descriptor: Descriptor;

  private constructor(descriptor: Descriptor, bytes: number) {
    this.#descriptor = descriptor;
    this.bytes = bytes;
  }

  /** Makes one of zeroes. `name` is for bpftool(8): at most 15 of `[A-Za-z0-9_.]`. Throws {@link SystemError}. */
  static create(name: string, bytes: number): BpfMemory {
    const { attribute, word } = newAttribute();
    word(bpf_attr.offsets.map_type, C.BPF_MAP_TYPE_ARRAY);
    word(bpf_attr.offsets.key_size, 4);
    word(bpf_attr.offsets.value_size, bytes);
    word(bpf_attr.offsets.max_entries, 1);
    word(bpf_attr.offsets.map_flags, C.BPF_F_MMAPABLE);
    setName(attribute, bpf_attr.offsets.map_name, name);
    const fd = bpf(C.BPF_MAP_CREATE, attribute, "create BPF map", `${bytes} bytes`);
    return new BpfMemory(new Descriptor(fd, "BPF map"), bytes);
  }

  /** A handle for the map `fd` that another thread created; closing this handle leaves the descriptor open. */
  static adopt(fd: number, bytes: number): BpfMemory {
    return new BpfMemory(new Descriptor(fd, "BPF map", false), bytes);
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * The value itself, without a copy, mapped into this process. Each call maps anew: a thread that writes maps for
   * itself, and no other's end pulls the memory from under it. Throws {@link SystemError}.
   */
  map(): BpfMapping {
    return BpfMapping.open(this.fd, this.bytes);
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The memory of a map, for as long as it is open: also when the map's descriptors are closed. */
export class BpfMapping {
  /** `close` detaches it: then it, and every view made from its buffer, has length 0. */
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly #address: bigint;
  #mapped: number;

  private constructor(address: bigint, bytes: number, mapped: number) {
    this.#address = address;
    this.#mapped = mapped;
    const pointer = Deno.UnsafePointer.create(address)!;
    this.memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes));
  }

  /** Maps the value of map `fd`; used by {@link BpfMemory.map}. */
  static open(fd: number, bytes: number): BpfMapping {
    const pageBytes = libc.sysconf(C._SC_PAGESIZE);
    const mapped = Math.ceil(bytes / pageBytes) * pageBytes;
    const address = libc.mmap(0n, BigInt(mapped), C.PROT_READ | C.PROT_WRITE, C.MAP_SHARED, fd, 0n);
    if (address === 0xffff_ffff_ffff_ffffn) {
      throw new SystemError({ operation: "map BPF memory", errno: errno(), value: `${mapped} bytes` });
    }
    return new BpfMapping(address, bytes, mapped);
  }

  /** Detaches the views and unmaps. A second call does nothing. */
  close(): void {
    if (this.#mapped === 0) return;
    // Reading unmapped memory would end the process. transfer() detaches the buffer from every view first.
    this.memory.buffer.transfer(0);
    libc.munmap(this.#address, BigInt(this.#mapped));
    this.#mapped = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What programs are for: a filter on a socket, or a look at each packet that comes in on an interface. */
const PROGRAM_TYPES = {
  socketFilter: C.BPF_PROG_TYPE_SOCKET_FILTER,
  traffic: C.BPF_PROG_TYPE_SCHED_CLS,
} as const;
export type ProgramType = keyof typeof PROGRAM_TYPES;

/** A program, loaded: the kernel has proved that it ends and reads nothing that it must not. */
export class BpfProgram {
  readonly #descriptor: Descriptor;

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /**
   * Loads what `EbpfAssembler.assemble` made. Throws {@link SystemError}; after a refusal it is loaded once more with
   * a log (which slows every load down), and the error ends with the verifier's last lines.
   */
  static load(type: ProgramType, name: string, program: Uint8Array<ArrayBuffer>): BpfProgram {
    const { attribute, word, address } = newAttribute();
    // No helper is used that asks for a GPL-compatible program.
    const license = cString("Apache-2.0");
    word(bpf_attr.offsets.prog_type, PROGRAM_TYPES[type]);
    word(bpf_attr.offsets.insn_cnt, program.length / EBPF_INSTRUCTION_BYTES);
    address(bpf_attr.offsets.insns, program);
    address(bpf_attr.offsets.license, license);
    setName(attribute, bpf_attr.offsets.prog_name, name);
    const value = `${program.length / EBPF_INSTRUCTION_BYTES} instructions`;
    let fd = libc.syscallBpf(SYS_BPF, C.BPF_PROG_LOAD, attribute, ATTRIBUTE_BYTES);
    if (fd < 0) {
      const failure = errno();
      const log = new Uint8Array(LOG_BYTES);
      word(bpf_attr.offsets.log_level, 1);
      word(bpf_attr.offsets.log_size, LOG_BYTES);
      address(bpf_attr.offsets.log_buf, log);
      fd = libc.syscallBpf(SYS_BPF, C.BPF_PROG_LOAD, attribute, ATTRIBUTE_BYTES);
      if (fd < 0) {
        const detail = lastLines(log);
        throw new SystemError({
          operation: "load BPF program",
          errno: failure,
          value,
          detail,
          remedy: REMEDY,
        });
      }
    }
    return new BpfProgram(new Descriptor(fd, "BPF program"));
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /**
   * Runs the program on a packet without a socket: what it returns, and nanoseconds for each of `repeat` runs. The kernel
   * takes 14 bytes off the front as an Ethernet header, and the program sees the rest (BPF_PROG_TEST_RUN).
   */
  testRun(packet: Uint8Array<ArrayBuffer>, repeat = 1): { result: number; durationNs: number } {
    const { attribute, word, address, read } = newAttribute();
    word(bpf_attr.offsets["test.prog_fd"], this.fd);
    word(bpf_attr.offsets["test.data_size_in"], packet.length);
    word(bpf_attr.offsets["test.repeat"], repeat);
    address(bpf_attr.offsets["test.data_in"], packet);
    bpf(C.BPF_PROG_TEST_RUN, attribute, "run BPF program", `${packet.length} bytes`);
    return {
      result: read(bpf_attr.offsets["test.retval"]),
      durationNs: read(bpf_attr.offsets["test.duration"]),
    };
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Attaches a loaded filter to a socket, in place of the one that it had. The socket keeps the program: its descriptor
 * may be closed. Throws {@link SystemError}.
 */
export function attachProgram(socket: number, program: number): void {
  const value = new Uint8Array(new Int32Array([program]).buffer);
  setOption(socket, C.SOL_SOCKET, C.SO_ATTACH_BPF, value, "attach BPF program", `descriptor ${program}`);
}

/** A program on the way of each packet that comes in on an interface, for as long as this is open. */
export class BpfLink {
  readonly #descriptor: Descriptor;

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /**
   * Puts a `traffic` program behind those that are there already (tcx ingress; Linux 6.6 or later, CAP_NET_ADMIN). It is not
   * pinned: the kernel takes it off when this process ends, however it ends. Throws {@link SystemError}.
   */
  static onIngress(program: BpfProgram, interfaceIndex: number): BpfLink {
    const { attribute, word } = newAttribute();
    word(bpf_attr.offsets["link_create.prog_fd"], program.fd);
    word(bpf_attr.offsets["link_create.target_ifindex"], interfaceIndex);
    word(bpf_attr.offsets["link_create.attach_type"], BPF_TCX_INGRESS);
    const remedy = "use Linux 6.6 or later, with CAP_NET_ADMIN";
    const fd = bpf(C.BPF_LINK_CREATE, attribute, "attach BPF program", `interface ${interfaceIndex}`, remedy);
    return new BpfLink(new Descriptor(fd, "BPF link"));
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function bpf(
  command: number,
  attribute: Uint8Array<ArrayBuffer>,
  operation: string,
  value: string,
  remedy = REMEDY,
): number {
  const result = libc.syscallBpf(SYS_BPF, command, attribute, ATTRIBUTE_BYTES);
  if (result < 0) throw new SystemError({ operation, errno: errno(), value, remedy });
  return result;
}

/** A `union bpf_attr` of zeroes and the ways to fill it. */
function newAttribute() {
  const attribute = new Uint8Array(ATTRIBUTE_BYTES);
  const view = new DataView(attribute.buffer);
  return {
    attribute,
    word: (offset: number, value: number) => view.setUint32(offset, value, true),
    address: (offset: number, bytes: Uint8Array) => view.setBigUint64(offset, addressOf(bytes), true),
    read: (offset: number) => view.getUint32(offset, true),
  };
}

function setName(attribute: Uint8Array, offset: number, name: string): void {
  attribute.set(new TextEncoder().encode(name).subarray(0, C.BPF_OBJ_NAME_LEN - 1), offset);
}

function lastLines(log: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(log.subarray(0, log.indexOf(0)));
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("processed "));
  return lines.length === 0 ? undefined : lines.slice(-LOG_LINES_SHOWN).join("; ").replaceAll(/\s+/g, " ");
}
