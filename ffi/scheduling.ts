/**
 * How soon the kernel runs the calling thread: sched(7), PR_SET_TIMERSLACK(2const).
 *
 * There is no mlockall(2) here, on purpose: V8 gives memory back by madvise(2), which fails on locked pages, and V8 then
 * ends the process ("Check failed: 0 == ret").
 */

import { SystemError } from "./errors.ts";
import * as C from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { sched_param } from "./layout/structs.ts";
import { check, errno, libc } from "./libc.ts";

/**
 * Lets the calling thread run before all others (SCHED_FIFO) with priority 1 to 99. Threads and programs that it starts
 * are not raised. Returns false when the privilege is missing (CAP_SYS_NICE, or RLIMIT_RTPRIO), which is no error: the
 * thread goes on as before. Throws {@link SystemError} for other failures.
 */
export function setRealtimePriority(priority: number): boolean {
  return setScheduler(C.SCHED_FIFO | C.SCHED_RESET_ON_FORK, priority);
}

/** Takes {@link setRealtimePriority} back: the calling thread shares the processors as others do. */
export function setNormalPriority(): boolean {
  return setScheduler(C.SCHED_OTHER, 0);
}

/** Whether the calling thread runs with {@link setRealtimePriority}. */
export function hasRealtimePriority(): boolean {
  return (libc.sched_getscheduler(0) & ~C.SCHED_RESET_ON_FORK) === C.SCHED_FIFO;
}

/** How much later than asked the calling thread may be woken from poll, to save wake-ups: 50,000 ns unless set. */
export function setTimerSlackNs(slackNs: number): void {
  check(libc.prctl(C.PR_SET_TIMERSLACK, BigInt(slackNs), 0n, 0n, 0n), "set timer slack", `${slackNs} ns`);
}

/** See {@link setTimerSlackNs}; 0 for a thread with real-time priority. */
export function timerSlackNs(): number {
  return check(libc.prctl(C.PR_GET_TIMERSLACK, 0n, 0n, 0n, 0n), "read timer slack");
}

function setScheduler(policy: number, priority: number): boolean {
  const parameters = new Uint8Array(sched_param.size);
  new DataView(parameters.buffer).setInt32(sched_param.offsets.sched_priority, priority, true);
  // 0 is the calling thread, not the process.
  if (libc.sched_setscheduler(0, policy, parameters) === 0) return true;
  const failure = errno();
  if (failure === ERRNO.EPERM[0]) return false;
  throw new SystemError({
    operation: "set scheduling of this thread",
    errno: failure,
    value: `priority ${priority}`,
  });
}
