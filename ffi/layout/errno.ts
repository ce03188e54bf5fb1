/**
 * errno numbers by name, with their meaning in words; the same on x86-64 and arm64 (`asm-generic/errno.h`).
 *
 * Only numbers that the calls of `ffi/` can return according to their man pages; any other is shown as a number.
 * `tests/unit/ffi/layout_test.ts` compares the numbers with the C headers.
 */
export const ERRNO = {
  EPERM: [1, "operation not permitted"],
  ENOENT: [2, "no such file or directory"],
  ESRCH: [3, "no such process"],
  EINTR: [4, "interrupted by a signal"],
  EIO: [5, "input/output error"],
  ENXIO: [6, "no such device or address"],
  EBADF: [9, "bad file descriptor"],
  EAGAIN: [11, "would block"],
  ENOMEM: [12, "out of memory"],
  EACCES: [13, "permission denied"],
  EFAULT: [14, "bad address"],
  EBUSY: [16, "device or resource busy"],
  EEXIST: [17, "exists already"],
  ENODEV: [19, "no such device"],
  EINVAL: [22, "invalid argument"],
  ENFILE: [23, "too many open files in the system"],
  EMFILE: [24, "too many open files in this process"],
  ENOTTY: [25, "not possible on this kind of descriptor"],
  ENOSPC: [28, "no space left"],
  ERANGE: [34, "out of range"],
  EPROTO: [71, "protocol error"],
  EBADFD: [77, "descriptor in the wrong state"],
  ENOTSOCK: [88, "not a socket"],
  EDESTADDRREQ: [89, "destination address required"],
  EMSGSIZE: [90, "message too long"],
  ENOPROTOOPT: [92, "no such option"],
  EPROTONOSUPPORT: [93, "protocol not supported"],
  EOPNOTSUPP: [95, "operation not supported"],
  EAFNOSUPPORT: [97, "address family not supported"],
  EADDRINUSE: [98, "address in use"],
  EADDRNOTAVAIL: [99, "address not available"],
  ENETDOWN: [100, "network is down"],
  ENETUNREACH: [101, "network is unreachable"],
  ENOBUFS: [105, "no buffer space available"],
  ENOTCONN: [107, "not connected"],
  ETIMEDOUT: [110, "timed out"],
  ECONNREFUSED: [111, "connection refused"],
  EHOSTUNREACH: [113, "no route to host"],
} as const satisfies Record<string, readonly [number, string]>;

/** A name in {@link ERRNO}. */
export type ErrnoName = keyof typeof ERRNO;

const NAMES = new Map<number, ErrnoName>(
  (Object.keys(ERRNO) as ErrnoName[]).map((name) => [ERRNO[name][0], name]),
);

/** The name of an errno number, or `undefined` where the table has none. */
export function errnoName(errno: number): ErrnoName | undefined {
  return NAMES.get(errno);
}
