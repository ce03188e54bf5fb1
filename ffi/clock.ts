/**
 * The kernel's clocks, in milliseconds, without allocation: clock_gettime(2), answered by the vDSO.
 *
 * Time between threads and for every deadline is CLOCK_BOOTTIME: it never jumps, all threads share it, and it goes
 * on while the machine is suspended, so that a lease is over when a suspended node wakes up.
 */

import { CLOCK_BOOTTIME, CLOCK_REALTIME } from "./layout/constants.ts";
import { timespec } from "./layout/structs.ts";
import { libc } from "./libc.ts";

const time = new Uint8Array(timespec.size);
// Seconds since boot or since 1970 fit in the low word (until 2106), nanoseconds always do.
const words = new Uint32Array(time.buffer);

/** Milliseconds since boot, suspension included, with fractions. */
export function boottimeMs(): number {
  libc.clock_gettime(CLOCK_BOOTTIME, time);
  return words[0] * 1000 + words[2] / 1_000_000;
}

/**
 * Whole milliseconds since boot as an int32 that wraps every 49.7 days: for shared memory (`Atomics` on an
 * Int32Array). Compare two of them by the sign of `(a - b) | 0`, which holds while they are under 24 days apart.
 */
export function boottimeMs32(): number {
  libc.clock_gettime(CLOCK_BOOTTIME, time);
  return (Math.imul(words[0], 1000) + ((words[2] / 1_000_000) | 0)) | 0;
}

/** Milliseconds since 1970 by the wall clock, with fractions. For people and logs only: it may jump. */
export function realtimeMs(): number {
  libc.clock_gettime(CLOCK_REALTIME, time);
  return words[0] * 1000 + words[2] / 1_000_000;
}
