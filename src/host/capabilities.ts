/** Which privileges this process has, and what the daemon needs them for. Pure but for one file. */

import { EXIT, VipfarmError } from "../core/errors.ts";
import { REALTIME_PRIORITY } from "../core/limits.ts";
import type { Finding } from "./finding.ts";

/** Bits of the capability words, from linux/capability.h. */
const CAPABILITIES = [
  { name: "CAP_NET_ADMIN", bit: 12n, needed: true, use: "the TUN device, addresses and sysctls" },
  { name: "CAP_NET_RAW", bit: 13n, needed: true, use: "the packet socket" },
  { name: "CAP_SYS_NICE", bit: 23n, needed: false, use: "heartbeats on time when all processors are busy" },
  {
    name: "CAP_BPF",
    bit: 39n,
    needed: false,
    use: "dropping other nodes' packets and taking this one's in the kernel",
  },
  { name: "CAP_PERFMON", bit: 38n, needed: false, use: "the same: its filter computes addresses" },
] as const;
/** What it takes to run scripts as another user (`user:`), and to end them. */
const FOR_OTHER_USERS = [
  { name: "CAP_SETUID", bit: 7n, needed: true, use: "scripts of another user" },
  { name: "CAP_SETGID", bit: 6n, needed: true, use: "scripts of another user" },
  { name: "CAP_KILL", bit: 5n, needed: false, use: "ending scripts of another user that take too long" },
] as const;

/**
 * Findings from the texts of /proc/self/status and /proc/self/limits; `changesUser`: the file names users that scripts run
 * as.
 */
export function capabilityFindings(status: string, limits: string, changesUser = false): Finding[] {
  const effective = effectiveCapabilities(status);
  const mayHurry = realtimePriorityMax(limits) >= REALTIME_PRIORITY;
  return [...CAPABILITIES, ...(changesUser ? FOR_OTHER_USERS : [])].map(
    ({ name, bit, needed, use }): Finding => {
      if (has(effective, bit)) return { ok: true, what: `${name} is there, for ${use}` };
      // sched_setscheduler(2): either will do.
      if (name === "CAP_SYS_NICE" && mayHurry) return { ok: true, what: `LimitRTPRIO is there, for ${use}` };
      return {
        ok: needed ? false : "warning",
        what: `${name} is missing: it is for ${use}`,
        remedy: remedy([name]),
      };
    },
  );
}

/**
 * Makes sure that the daemon can do what it is there for, before it changes anything. `status` is the text of
 * /proc/self/status.
 * @throws VipfarmError with exit code 4 naming every capability that is missing.
 */
export function requireCapabilities(status: string): void {
  const effective = effectiveCapabilities(status);
  const missing = CAPABILITIES.filter(({ bit, needed }) => needed && !has(effective, bit));
  if (missing.length === 0) return;
  throw new VipfarmError({
    operation: "start the daemon",
    problem: `a privilege is missing: ${missing.map(({ name, use }) => `${name}, for ${use}`).join("; ")}`,
    remedy: remedy(missing.map(({ name }) => name)),
    exitCode: EXIT.privilege,
  });
}

function effectiveCapabilities(status: string): bigint {
  const hexadecimal = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return BigInt(`0x${hexadecimal ?? "0"}`);
}

/** From the soft limit (getrlimit(2), RLIMIT_RTPRIO). */
function realtimePriorityMax(limits: string): number {
  const soft = /^Max realtime priority\s+(\w+)/m.exec(limits)?.[1];
  return soft === "unlimited" ? Infinity : Number(soft ?? 0);
}

function has(capabilities: bigint, bit: bigint): boolean {
  return (capabilities >> bit & 1n) === 1n;
}

function remedy(names: readonly string[]): string {
  const containers = names.map((name) => `--cap-add ${name.replace("CAP_", "")}`).join(" ");
  return `Run as root, or give the service AmbientCapabilities=${
    names.join(" ")
  } (systemd), ${containers} (containers).`;
}
