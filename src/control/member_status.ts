/** One member as the API tells it: the membership's view of it, and what it reports of itself. Pure. */
import { type MemberStatus } from "../admin/source.ts";
import { isLastResort, plainWeight } from "../core/weight.ts";
import { PRESENCE } from "../dataplane/plan.ts";
import { type MemberView } from "../membership/types.ts";
import { type Report } from "./report.ts";

/** What a member is put into words with. */
export interface MemberContext {
  /** Names of the services, in file order. */
  readonly services: readonly string[];
  /** Fraction of a service's buckets meant for a member. */
  share(table: number, name: string): number;
  /** The largest weight that this node's file gives a member for any service, and the digest of that file. */
  weightInFile(name: string): number;
  readonly digest: string;
  /** How long ago a member was last heard, in ms, as of the last look at the networks; undefined: the view knows better. */
  heardAgoMs(name: string): number | undefined;
  /** The clock of the membership, in ms, and the wall clock at the same moment. */
  readonly nowMs: number;
  readonly wallMs: number;
}

/** `report` is of this incarnation; undefined: it has told nothing yet. */
export function memberStatus(
  member: MemberView,
  report: Report | undefined,
  context: MemberContext,
): MemberStatus {
  const { services, share, nowMs, wallMs } = context;
  const byService = <T>(value: (table: number) => T): Record<string, T> =>
    Object.fromEntries(services.map((name, index) => [name, value(index + 1)]));
  return {
    name: member.name,
    state: member.state,
    reason: (member.state === "draining" ? drainReason(member, report, context) : undefined) ?? member.reason,
    self: member.self,
    ...(member.address !== "" && { address: member.address }),
    incarnation: member.incarnation,
    weight: Math.max(0, ...member.weights.slice(PRESENCE + 1).map(plainWeight)),
    weights: byService((table) => plainWeight(member.weights[table] ?? 0)),
    last_resort: services.filter((_, index) => isLastResort(member.weights[index + 1] ?? 0)),
    shares: byService((table) => share(table, member.name)),
    since: new Date(wallMs - Math.max(0, nowMs - member.sinceMs)).toISOString(),
    ...(!member.self && { last_heard_ms: Math.max(0, Math.round(lastHeardMs(member, context))) }),
    // What a dead member told is not true any more.
    ...(report !== undefined && member.state !== "dead" && reported(report, services)),
  };
}

/** The view is as of its last change: for a member that is heard that says nothing. */
function lastHeardMs({ name, state, lastHeardMs }: MemberView, { nowMs, heardAgoMs }: MemberContext): number {
  const isMissed = state === "dead" || state === "suspect";
  return (isMissed ? undefined : heardAgoMs(name)) ?? nowMs - lastHeardMs;
}

/** Why a member takes no new flows, as far as it is known: the membership sees only that all its weights are 0. */
function drainReason(
  { name }: MemberView,
  report: Report | undefined,
  { weightInFile, digest }: MemberContext,
): string | undefined {
  if (report?.state === undefined) return undefined;
  if (report.state !== "up") return report.reason ? `takes no new flows: ${report.reason}` : undefined;
  // With another file, or failed checks, it is not known where the 0 comes from.
  if (report.digest !== digest || (report.down ?? []).length > 0) return undefined;
  return `takes no new flows: weight 0 ${weightInFile(name) > 0 ? "by hand" : "in the configuration file"}`;
}

function reported(report: Report, services: readonly string[]): Partial<MemberStatus> {
  return {
    claimed: Object.fromEntries(services.map((name, index) => [name, report.claimed[index] ?? 0])),
    version: report.version,
    digest: report.digest,
    ...(report.state !== undefined && {
      application: {
        ...(report.application !== undefined && { configured: report.application }),
        state: report.state,
        reason: report.reason ?? "",
      },
    }),
    checks_down: report.down ?? [],
    ...(report.connections !== undefined && { connections: report.connections }),
    retained: Math.round(report.retained),
    flows_per_s: report.flows_per_s,
    packets_per_s: report.packets_per_s,
    lateness_ms: report.lateness_ms,
  };
}
