/** Keeps this process's descriptors out of the programs that it starts: close_range(2), Linux 5.11. */

import { SYSCALLS } from "./layout/syscalls.ts";
import { libc } from "./libc.ts";

/** CLOSE_RANGE_CLOEXEC, linux/close_range.h. */
const CLOSE_RANGE_CLOEXEC = 4;
/** Standard input, output and error stay. */
const FIRST = 3;
const LAST = 0xffff_ffff;

/**
 * Marks everything that is open now. Our own descriptors are made that way; those of the runtime's node: modules are not
 * all, and a daemon that inherited a listening socket would keep its address for as long as it lives. An older kernel
 * does nothing.
 */
export function closeOnExec(): void {
  libc.syscallCloseRange(
    SYSCALLS[Deno.build.arch].close_range,
    FIRST,
    LAST,
    CLOSE_RANGE_CLOEXEC,
  );
}
