/** A failed system call as a typed error: what was tried, with which value, the errno by name, what to do. */

import { EXIT, VipfarmError } from "../src/core/errors.ts";
import { ERRNO, type ErrnoName, errnoName } from "./layout/errno.ts";

/** What a {@link SystemError} is made of. */
export interface SystemErrorInit {
  /** What was tried, as a verb phrase: `attach TUN device`. */
  readonly operation: string;
  /** The errno of the failed call, positive. */
  readonly errno: number;
  /** The value that it was tried with: an interface name, an address. */
  readonly value?: string;
  /** More about what went wrong, such as the kernel's own words (netlink extended acknowledgement). */
  readonly detail?: string;
  /** What to do; by default the remedy that usually fits the errno. */
  readonly remedy?: string;
}

const REMEDIES: Partial<Record<ErrnoName, string>> = {
  EPERM: "run as root, or grant CAP_NET_ADMIN and CAP_NET_RAW",
  EACCES: "run as root, or grant CAP_NET_ADMIN and CAP_NET_RAW; check the permissions of the file",
  ENODEV:
    "check the interface's name with `ip link`; it may have been removed or be in another network namespace",
  ENXIO:
    "check the interface's name with `ip link`; it may have been removed or be in another network namespace",
  EBUSY: "another process holds it: stop that process, or choose another name",
  EADDRINUSE: "another program uses this address and port: find it with `ss -lnp`, or choose another port",
  EADDRNOTAVAIL: "the address is not on this host (or IPv6 duplicate address detection has not finished): " +
    "check with `ip address`",
  EAFNOSUPPORT: "this kernel has that protocol family switched off: enable it, or leave its addresses out",
  EPROTONOSUPPORT: "this kernel lacks that protocol: load its module, or use a kernel that has it",
  ENOPROTOOPT: "this kernel is too old for that option: vipfarm needs Linux 5.10 or later",
  EMFILE: "raise the limit of open files (`ulimit -n`, LimitNOFILE= of the systemd unit)",
  ENFILE: "raise the sysctl fs.file-max",
  ENOMEM: "free memory, or lower the number of ring frames",
  ENOBUFS: "raise the sysctls net.core.rmem_max and net.core.optmem_max",
  ENETDOWN: "bring the interface up with `ip link set dev NAME up`",
};

/** A system call failed. `exitCode` is `EXIT.privilege` when a privilege was missing. */
export class SystemError extends VipfarmError {
  /** The errno, positive. */
  readonly errno: number;
  /** The errno by name (`EPERM`), or `errno 123` where the table has none. */
  readonly errnoName: string;

  constructor(init: SystemErrorInit) {
    const name = errnoName(init.errno);
    const words = name === undefined ? `errno ${init.errno}` : `${ERRNO[name][1]} [${name}]`;
    super({
      operation: init.operation,
      problem: init.detail === undefined ? words : `${words}: ${init.detail}`,
      value: init.value,
      remedy: init.remedy ?? (name === undefined ? undefined : REMEDIES[name]),
      exitCode: name === "EPERM" || name === "EACCES" ? EXIT.privilege : undefined,
    });
    this.name = "SystemError";
    this.errno = init.errno;
    this.errnoName = name ?? `errno ${init.errno}`;
  }

  /** Whether this is the error of that name. */
  is(name: ErrnoName): boolean {
    return this.errno === ERRNO[name][0];
  }
}
