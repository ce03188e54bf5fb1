/**
 * Numbers of the system calls that have no function in the C library, by machine.
 *
 * `tests/unit/ffi/layout_test.ts` compares them with the C headers of each machine whose compiler is installed.
 */
export const SYSCALLS = {
  x86_64: { bpf: 321, membarrier: 324, pidfd_open: 434, close_range: 436 },
  aarch64: { bpf: 280, membarrier: 283, pidfd_open: 434, close_range: 436 },
} as const;
