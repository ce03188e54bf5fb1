/**
 * Holds one thread of another process still, as if it hung: `farm_failure_pause.ts THREAD_ID [DURATION_MS]`; without a
 * duration, from when a line comes in until that process, or this one, is killed. SIGSTOP would stop all of its threads;
 * ptrace(2) stops one. Prints a line when it is ready to, and when the thread stands still. Whoever traces a thread also has
 * to take note of its end; before that, the kernel does not tell the parent of the process.
 */

import assert from "node:assert/strict";

/** linux/ptrace.h */
const PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_DETACH = 17;
/** linux/wait.h: also threads that are no children. */
const WALL = 0x40000000;

const libc = Deno.dlopen("libc.so.6", {
  // long ptrace(enum __ptrace_request op, pid_t pid, void *addr, void *data);
  ptrace: { parameters: ["i32", "i32", "usize", "usize"], result: "i64" },
  // pid_t waitpid(pid_t pid, int *wstatus, int options);
  waitpid: { parameters: ["i32", "pointer", "i32"], result: "i32" },
}).symbols;

const [thread, durationMs]: Array<number | undefined> = Deno.args.map(Number);
assert.ok(thread !== undefined, "which thread?");
const trace = (operation: number) =>
  assert.equal(libc.ptrace(operation, thread, 0n, 0n), 0n, `ptrace ${operation}`);
console.log("ready");
if (durationMs === undefined) Deno.stdin.readSync(new Uint8Array(1));
trace(PTRACE_SEIZE);
trace(PTRACE_INTERRUPT);
assert.equal(libc.waitpid(thread, null, WALL), thread);
console.log("held");
if (durationMs === undefined) {
  // The next change of state is its end.
  assert.equal(libc.waitpid(thread, null, WALL), thread);
} else {
  // Without the event loop: ptrace answers only to the operating system's thread that seized.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
  trace(PTRACE_DETACH);
}
