/**
 * Network sysctls as files under /proc/sys/net. They belong to the network namespace of the thread that opens them;
 * the synchronous calls here run on the calling thread.
 */

import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";

/**
 * Only settings of one interface (or of all) may be touched, whatever a journal says:
 * `net/ipv4/conf/eth0/arp_ignore`. Slashes separate, because interface names may hold dots.
 */
const SYSCTL_PATH = /^net\/ipv[46]\/conf\/(?!\.{1,2}\/)[^/\s]{1,15}\/[a-z0-9_]+$/;

/** The path of a setting of one interface, or of `all`. */
export function interfaceSysctl(family: 4 | 6, interfaceName: string, name: string): string {
  return checkedPath(`net/ipv${family}/conf/${interfaceName}/${name}`);
}

/** The value without its line end; `undefined` if the kernel or the interface does not have this setting. */
export function readSysctl(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/sys/${checkedPath(path)}`).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw sysctlError("read a sysctl", path, error);
  }
}

/**
 * Sets a value.
 * @returns false if the setting does not exist (its interface is gone).
 * @throws VipfarmError with exit code 4 if the privilege is missing.
 */
export function writeSysctl(path: string, value: string): boolean {
  try {
    // Without `create`: a file that is not there must not be looked for by making it.
    const file = Deno.openSync(`/proc/sys/${checkedPath(path)}`, { write: true });
    try {
      file.writeSync(new TextEncoder().encode(`${value}\n`));
    } finally {
      file.close();
    }
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw sysctlError(`set a sysctl to ${value}`, path, error);
  }
}

function checkedPath(path: string): string {
  if (!SYSCTL_PATH.test(path)) {
    throw new VipfarmError({
      operation: "use a sysctl",
      problem: "it is not a setting of a network interface",
      value: path,
    });
  }
  return path;
}

function sysctlError(operation: string, path: string, cause: unknown): VipfarmError {
  const denied = cause instanceof Deno.errors.PermissionDenied ||
    (cause instanceof Error && /os error (1|13|30)\b/.test(cause.message));
  return new VipfarmError({
    operation,
    problem: messageOf(cause),
    value: path,
    remedy: denied
      ? "Run as root with CAP_NET_ADMIN, with /proc/sys writable (containers often mount it read-only)."
      : undefined,
    exitCode: denied ? EXIT.privilege : EXIT.no,
    cause,
  });
}
