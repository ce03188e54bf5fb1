/**
 * Network namespaces: setns(2), network_namespaces(7). A namespace belongs to the thread, and a synchronous FFI call
 * moves only the thread that makes it; sockets stay in the namespace that they were opened in.
 */

import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from "./layout/constants.ts";
import { check, cString, libc } from "./libc.ts";

/** The calling thread's own namespace. (`/proc/self` would name the main thread's.) */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

/**
 * Moves the calling thread into the network namespace at `path` (`/run/netns/NAME`, `/proc/PID/ns/net`) for good.
 * Other threads of the process, such as those that serve Deno's own sockets, stay where they are.
 * Throws {@link SystemError}: ENOENT, or EPERM without CAP_SYS_ADMIN.
 */
export function enterNetworkNamespace(path: string): void {
  const fd = openNamespace(path);
  try {
    enter(fd, path);
  } finally {
    libc.close(fd);
  }
}

/**
 * Runs `work` with the calling thread in the network namespace at `path`, then moves the thread back. `work` must be
 * synchronous: an `await` in it would run others' code in the wrong namespace. Throws as {@link enterNetworkNamespace}.
 */
export function withNetworkNamespace<Result>(path: string, work: () => Result): Result {
  const home = openNamespace(OWN_NAMESPACE);
  try {
    enterNetworkNamespace(path);
    try {
      return work();
    } finally {
      enter(home, OWN_NAMESPACE);
    }
  } finally {
    libc.close(home);
  }
}

function openNamespace(path: string): number {
  return check(libc.open(cString(path), O_RDONLY | O_CLOEXEC), "open network namespace", path);
}

function enter(fd: number, path: string): void {
  check(libc.setns(fd, CLONE_NEWNET), "enter network namespace", path);
}
