/**
 * Holds one thread of another process still until that process is killed, as if it hung: `ops_hang.ts THREAD_ID`.
 * ptrace(2) stops a thread alone. Prints a line when it stands still. Whoever traces a thread also has to take note of its
 * end; before that, the kernel does not tell the parent of the process.
 */

import assert from "node:assert/strict";

/** linux/ptrace.h */
const PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207;
/** linux/wait.h: also threads that are no children. */
const WALL = 0x40000000;

const libc = Deno.dlopen("libc.so.6", {
  // long ptrace(enum __ptrace_request op, pid_t pid, void *addr, void *data);
  ptrace: { parameters: ["i32", "i32", "usize", "usize"], result: "i64" },
  // pid_t waitpid(pid_t pid, int *wstatus, int options);
  waitpid: { parameters: ["i32", "pointer", "i32"], result: "i32" },
}).symbols;

const thread = Number(Deno.args[0]);
assert.equal(libc.ptrace(PTRACE_SEIZE, thread, 0n, 0n), 0n, "PTRACE_SEIZE");
assert.equal(libc.ptrace(PTRACE_INTERRUPT, thread, 0n, 0n), 0n, "PTRACE_INTERRUPT");
assert.equal(libc.waitpid(thread, null, WALL), thread);
console.log("held");
// The next change of state is its end.
assert.equal(libc.waitpid(thread, null, WALL), thread);
