/** What the figures mean, where a person would have to put several of them together. Pure. */

import type { FarmStatus, MemberStatus } from "../schemas.ts";
import { shareOf } from "./consequence.ts";
import { list, percent } from "./format.ts";
import type { History } from "./history.ts";

/** Something worth a look, with what it may come from. */
export interface Insight {
  readonly message: string;
  readonly remedy: string;
}

/** New flows are compared over this many seconds: long enough that chance evens out. */
const COMPARED_SAMPLES = 30;
/** Below this many new flows in that time, shares are left to chance. */
const FLOWS_MIN = 150;
/** This much more than its share, as a fraction of all, is no chance any more. */
const EXCESS_MIN = 0.2;

/** What is odd about the farm and has no warning of its own. */
export function insightsOf(farm: FarmStatus, history: History | undefined): Insight[] {
  return [...digestInsight(farm), ...versionInsight(farm), ...hotInsight(farm, history)];
}

/** The load of each node, as a fraction of the farm's new flows; undefined while there are too few to tell. */
export function loadShares(farm: FarmStatus, history: History | undefined): Map<string, number> | undefined {
  if (history === undefined || history.atMs.length < COMPARED_SAMPLES) return undefined;
  const flows = farm.members.map(({ name }) => {
    const rates = (history.nodes[name]?.flows_per_s ?? []).slice(-COMPARED_SAMPLES);
    return [name, rates.reduce((sum: number, rate) => sum + (rate ?? 0), 0)] as const;
  });
  const total = flows.reduce((sum, [, count]) => sum + count, 0);
  return total < FLOWS_MIN ? undefined : new Map(flows.map(([name, count]) => [name, count / total]));
}

/** The share that a node held over the time that is compared: shares may have moved meanwhile. */
function heldShare(member: MemberStatus, history: History | undefined): number {
  const held = (history?.nodes[member.name]?.claimed ?? []).slice(-COMPARED_SAMPLES);
  if (held.every((share) => share === null)) return shareOf(member);
  return held.reduce((sum: number, share) => sum + (share ?? 0), 0) / held.length;
}

/** One node hammered, the others idle: the farm's share is even, the clients are not. */
function hotInsight(farm: FarmStatus, history: History | undefined): Insight[] {
  const loads = loadShares(farm, history);
  if (loads === undefined) return [];
  const excess = (member: MemberStatus) => (loads.get(member.name) ?? 0) - heldShare(member, history);
  const hot = farm.members.find((member) => member.state === "up" && excess(member) > EXCESS_MIN);
  if (hot === undefined) return [];
  const sticky = farm.services.filter((service) => service.affinity !== "connection").map(({ name }) => name);
  return [{
    message: `${hot.name} gets ${percent(loads.get(hot.name) ?? 0)} of the new connections, though ` +
      `${percent(heldShare(hot, history))} of the clients are meant for it.`,
    remedy: sticky.length > 0
      ? `Few clients, or one proxy in front of many, with affinity by client (${
        list(sticky)
      }): all of such a ` +
        "client's connections go to one node. Affinity by connection spreads them."
      : "Few clients open most of the connections: look again in half a minute.",
  }];
}

function digestInsight(farm: FarmStatus): Insight[] {
  const own = farm.members.find(({ self }) => self)?.digest;
  const other = farm.members.filter(({ digest }) =>
    digest !== undefined && own !== undefined && digest !== own
  );
  if (other.length === 0) return [];
  return [{
    message: `The configuration of ${list(other.map(({ name }) => name))} differs from that of ${farm.node}.`,
    remedy: "Carry the same file to every node, and reload it there.",
  }];
}

function versionInsight(farm: FarmStatus): Insight[] {
  const other = farm.members.filter(({ version }) => version !== undefined && version !== farm.version);
  if (other.length === 0) return [];
  const told = other.map(({ name, version }) => `${name} runs ${version}`);
  return [{
    message: `Not all nodes run the same version: ${list(told)}, ${farm.node} runs ${farm.version}.`,
    remedy: "That is fine during an upgrade; finish it.",
  }];
}
