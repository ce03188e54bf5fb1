/** What status shows as needing attention, with the remedy. Pure. */
import { type FarmWarning, type MemberStatus } from "../admin/source.ts";
import { type LanFinding } from "../membership/lan.ts";
import { type Reloaded } from "./reload.ts";
import { type NetworkReport } from "../membership/networks.ts";

/** Frames for the virtual IPs that do not reach every node. */
export function lanWarnings(finding: LanFinding | undefined): FarmWarning[] {
  return finding === undefined
    ? []
    : [{ kind: finding.kind, message: finding.message, remedy: finding.remedy }];
}

/** Heartbeat networks that do not deliver. */
export function networkWarnings(networks: readonly NetworkReport[]): FarmWarning[] {
  return networks.flatMap(({ label, sending, heard, lost }): FarmWarning[] => {
    if (!sending) {
      const what = networks.some((each) => each.sending)
        ? "the farm lives by another network"
        : "this node serves nobody until they can";
      return [{
        kind: "heartbeat.network_down",
        message: `Heartbeats cannot be sent on ${label}; ${what}.`,
        remedy: "Is the interface up, with a carrier and an address? See `ip addr`.",
      }];
    }
    if (lost.length === 0) return [];
    const nobody = lost.length === Object.keys(heard).length;
    return [{
      kind: nobody ? "heartbeat.network_lost" : "heartbeat.network_partial",
      message: nobody
        ? `Nobody is heard on ${label}; the farm lives by another network.`
        : `${lost.join(", ")} cannot be heard on ${label}, only by another network.`,
      remedy: "Look at the cable, the switch and the firewall of that network on both sides.",
    }];
  });
}

/** Nodes that the file expects, and of which nothing is known: they may be gone for longer than the dead are shown. */
export function missingWarnings(
  expected: readonly string[],
  members: ReadonlyArray<Pick<MemberStatus, "name">>,
): FarmWarning[] {
  const missing = expected.filter((name) => !members.some((member) => member.name === name));
  if (missing.length === 0 || members.length === 0) return [];
  return [{
    kind: "member.missing",
    message: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} in the file, but not in the farm.`,
    remedy: "Start vipfarm there, or take the name out of `nodes`.",
  }];
}

/** A file that was read again and refused: the next start of the program would meet it. */
export function fileWarnings(refused: Reloaded | undefined): FarmWarning[] {
  if (refused === undefined) return [];
  return [{
    kind: "config.not_reloaded",
    message: `The file is not the one that this node runs by: it was refused (${refused.text}).`,
    remedy: refused.code === "needs_restart"
      ? "Restart vipfarm on one node after the other, or put the former file back."
      : "See what is wrong with `vipfarm check -c FILE`, mend it, and reload: with it the program would not start again.",
  }];
}

/** Nodes that run another configuration than this one. */
export function configWarnings(members: readonly MemberStatus[], digest: string): FarmWarning[] {
  const others = members.filter((member) => member.digest !== undefined && member.digest !== digest);
  if (others.length === 0) return [];
  const names = others.map(({ name }) => name).join(", ");
  return [{
    kind: "config.differs",
    message: `${names} ${others.length === 1 ? "runs" : "run"} another configuration than this node.`,
    remedy:
      "Put the same file on every node, and reload each: `vipfarm reload NODE`. Where that needs a restart, restart those " +
      "that run the old one, one after the other.",
  }];
}
