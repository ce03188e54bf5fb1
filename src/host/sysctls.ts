/**
 * The kernel must not answer for a virtual IP by itself, on any interface that reaches the clients. What keeps it from
 * that, with the place in the kernel that says how the values of `all` and of the interface combine.
 */

import { VipfarmError } from "../core/errors.ts";
import { interfaceSysctl, readSysctl } from "./sysctl_file.ts";
import type { HostChanges, SysctlChange } from "./undo.ts";

/** rp_filter: packets must come in where the answer to them would go out (ip-sysctl.rst). */
const RP_FILTER_STRICT = 1;

/** One requirement on an interface. */
export interface Requirement {
  readonly family: 4 | 6;
  readonly name: string;
  /** What the daemon sets on the interface. */
  readonly value: number;
  /** Effective values that do. */
  readonly accepts: (effective: number) => boolean;
  /** How `all` and the interface combine: the larger of both (IN_DEV_MAXCONF), or the interface alone. */
  readonly combine: "max" | "own";
  readonly why: string;
}

/** On an interface that reaches clients. */
export const VIP_INTERFACE_REQUIREMENTS: readonly Requirement[] = [
  {
    family: 4,
    name: "drop_unicast_in_l2_multicast",
    value: 1,
    accepts: (effective) => effective !== 0,
    combine: "max", // IN_DEV_ORCONF, include/linux/inetdevice.h
    why: "UDP in frames to a multicast MAC would reach local sockets on every node",
  },
  {
    family: 6,
    name: "drop_unicast_in_l2_multicast",
    value: 1,
    accepts: (effective) => effective !== 0,
    combine: "own", // ip6_rcv_core, net/ipv6/ip6_input.c
    why: "UDP in frames to a multicast MAC would reach local sockets on every node",
  },
  {
    family: 4,
    name: "arp_ignore",
    value: 1,
    // 3 answers for addresses of global scope on any interface, and 4 to 7 are not assigned: arp_ignore(), net/ipv4/arp.c
    accepts: (effective) => effective === 1 || effective === 2 || effective === 8,
    combine: "max",
    why: "the kernel would answer ARP for the virtual IP with this node's own MAC",
  },
  {
    family: 4,
    name: "arp_announce",
    value: 2,
    accepts: (effective) => effective === 2,
    combine: "max",
    why: "ARP requests for replies from the virtual IP would carry it with this node's own MAC",
  },
];

/** Those of them that one setting makes for all interfaces. */
export const FOR_ALL_INTERFACES = VIP_INTERFACE_REQUIREMENTS.filter(({ combine }) => combine === "max");

/** The value that the kernel acts on; `undefined` if the interface does not have the setting. */
export function effectiveValue(interfaceName: string, requirement: Requirement): number | undefined {
  const own = readSysctl(interfaceSysctl(requirement.family, interfaceName, requirement.name));
  if (own === undefined) return undefined;
  if (requirement.combine === "own") return Number(own);
  const all = readSysctl(interfaceSysctl(requirement.family, "all", requirement.name));
  return Math.max(Number(own), Number(all ?? 0));
}

/** Whether the interface drops IPv4 packets that it would not answer by. */
export function isReversePathStrict(interfaceName: string): boolean {
  const modes = ["all", interfaceName].map((name) =>
    Number(readSysctl(interfaceSysctl(4, name, "rp_filter")) ?? 0)
  );
  // The larger one counts (IN_DEV_RPFILTER, include/linux/inetdevice.h).
  return Math.max(...modes) === RP_FILTER_STRICT;
}

/** Requirements that the interface does not meet at present. */
export function unmetRequirements(
  interfaceName: string,
  requirements: readonly Requirement[],
  families: ReadonlySet<4 | 6>,
): Array<{ readonly requirement: Requirement; readonly effective: number | undefined }> {
  return requirements
    .filter(({ family }) => families.has(family))
    .map((requirement) => ({ requirement, effective: effectiveValue(interfaceName, requirement) }))
    .filter(({ requirement, effective }) => effective === undefined || !requirement.accepts(effective));
}

/**
 * Sets what is not met, remembers it for the undo, and looks again at what the kernel will act on.
 * @throws VipfarmError if `all` overrules the interface.
 */
export function applyRequirements(
  changes: HostChanges,
  interfaceName: string,
  requirements: readonly Requirement[],
  families: ReadonlySet<4 | 6>,
): readonly SysctlChange[] {
  const unmet = unmetRequirements(interfaceName, requirements, families);
  const changed = changes.setSysctls(unmet.map(({ requirement: { family, name, value } }) => ({
    path: interfaceSysctl(family, interfaceName, name),
    value: String(value),
  })));
  const [still] = unmetRequirements(interfaceName, requirements, families);
  if (still !== undefined) {
    const { family, name, value, why } = still.requirement;
    throw new VipfarmError({
      operation: `set up ${interfaceName}`,
      problem: `net.ipv${family}.conf.all.${name} overrules the interface: ${why}`,
      value: `effective value ${still.effective}`,
      remedy:
        `Set it to 0: sysctl -w net.ipv${family}.conf.all.${name}=0 (the interface itself gets ${value}).`,
    });
  }
  return changed;
}
