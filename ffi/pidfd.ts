/** A process as a descriptor that becomes readable when the process ends: pidfd_open(2). Needs no privilege. */

import { Descriptor } from "./descriptor.ts";
import { SystemError } from "./errors.ts";
import { ERRNO } from "./layout/errno.ts";
import { SYSCALLS } from "./layout/syscalls.ts";
import { errno, libc } from "./libc.ts";

const { pidfd_open } = SYSCALLS[Deno.build.arch];

/** One process. The number is not given to another process while nobody has looked at it through this. */
export class ProcessHandle {
  readonly #descriptor: Descriptor;

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /** Undefined if there is no such process. Throws {@link SystemError}. */
  static open(pid: number): ProcessHandle | undefined {
    const fd = libc.syscallPidfdOpen(pidfd_open, pid, 0);
    if (fd >= 0) return new ProcessHandle(new Descriptor(fd, "process handle"));
    const failure = errno();
    if (failure === ERRNO.ESRCH[0]) return undefined;
    throw new SystemError({ operation: "watch process", errno: failure, value: `${pid}` });
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
