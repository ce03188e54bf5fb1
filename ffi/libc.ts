/**
 * The C library through Deno FFI: one symbol table, errno, and memory addresses.
 *
 * Rules that the table follows, each measured:
 * - A call whose parameters are `i32`, `u32`, `buffer` and `pointer` takes V8's fast path. A JavaScript number for
 *   a `usize` leaves it (about 90 ns more), and an `isize` result is a BigInt, which is allocated. So lengths that
 *   stay under 2^31 are declared 32 bits wide: both ABIs zero- or sign-extend on writing a 32-bit register, as any
 *   compiler's code for these machines does.
 * - Functions with `...` in C (`open`, `ioctl`, `prctl`, `fcntl`) are declared with the parameters that are used. On
 *   Linux, both the x86-64 and the arm64 ABI pass variadic integers in the same registers as named ones.
 * - Pointers stored inside structures keep nothing alive: whoever stores one holds the buffer itself too.
 */

import { VipfarmError } from "../src/core/errors.ts";
import { SystemError } from "./errors.ts";

if (Deno.build.os !== "linux" || (Deno.build.arch !== "x86_64" && Deno.build.arch !== "aarch64")) {
  throw new VipfarmError({
    operation: "load the C library",
    problem: "vipfarm needs Linux on x86-64 or arm64",
    value: `${Deno.build.os} ${Deno.build.arch}`,
    remedy: "run it on such a machine",
  });
}

/** The C functions in use. The comment beside each is its C declaration. */
export const libc = Deno.dlopen("libc.so.6", {
  // int *__errno_location(void);
  __errno_location: { parameters: [], result: "pointer" },
  // int open(const char *pathname, int flags, ...);
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // ssize_t read(int fd, void *buf, size_t count);
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // ssize_t writev(int fd, const struct iovec *iov, int iovcnt);
  writev: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // int ioctl(int fd, unsigned long op, ...);
  ioctl: { parameters: ["i32", "u32", "buffer"], result: "i32" },
  // int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *tmo_p, const sigset_t *sigmask);
  ppoll: { parameters: ["buffer", "u32", "buffer", "pointer"], result: "i32" },
  // int epoll_create1(int flags);
  epoll_create1: { parameters: ["i32"], result: "i32" },
  // int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  // int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout);
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  // int eventfd(unsigned int initval, int flags);
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "usize" },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["usize", "usize"], result: "i32" },
  // long sysconf(int name);
  sysconf: { parameters: ["i32"], result: "i32" },
  // int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param);
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // int sched_getscheduler(pid_t pid);
  sched_getscheduler: { parameters: ["i32"], result: "i32" },
  // int prctl(int op, ... /* unsigned long arg2..arg5 */);
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  // int setns(int fd, int nstype);
  setns: { parameters: ["i32", "i32"], result: "i32" },
  // long syscall(long number, ...); as bpf(2): int cmd, union bpf_attr *attr, unsigned int size
  syscallBpf: { name: "syscall", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  // the same as pidfd_open(2): pid_t pid, unsigned int flags
  syscallPidfdOpen: { name: "syscall", parameters: ["i32", "i32", "u32"], result: "i32" },
  // long syscall(long number, ...); as close_range(2): unsigned int first, unsigned int last, int flags
  syscallCloseRange: { name: "syscall", parameters: ["i32", "u32", "u32", "i32"], result: "i32" },
  // long syscall(long number, ...); as membarrier(2): int cmd, unsigned int flags, int cpu_id
  syscallMembarrier: {
    name: "syscall",
    parameters: ["i32", "i32", "u32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // int bind(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int connect(int sockfd, const struct sockaddr *addr, socklen_t addrlen);
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  // int getsockname(int sockfd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int sockfd, int level, int optname, const void *optval, socklen_t optlen);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int getsockopt(int sockfd, int level, int optname, void *optval, socklen_t *optlen);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t tolen);
  sendto: { parameters: ["i32", "buffer", "u32", "i32", "buffer", "u32"], result: "i32" },
  // ssize_t recv(int sockfd, void *buf, size_t len, int flags);
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  // int recvmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags, struct timespec *timeout);
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "pointer"], result: "i32" },
}).symbols;

// errno belongs to the thread. A Worker has its own instance of this module and stays on its thread.
const errnoCell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4));

/** errno of the failed call just made on this thread. Read it before anything else is called. */
export function errno(): number {
  return errnoCell[0];
}

/** Passes on the result of a call that fails with a negative number; throws {@link SystemError} then. */
export function check(result: number, operation: string, value?: string): number {
  if (result < 0) throw new SystemError({ operation, errno: errno(), value });
  return result;
}

/** The address of a buffer's first byte. It keeps nothing alive: hold the buffer while the address is in use. */
export function addressOf(bytes: Uint8Array): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>));
}

/** A string as C wants it: UTF-8 with a zero byte behind. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
