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
  /** The clock of the membership, in ms, and the wall clock at the same moment. */
  readonly nowMs: number;
  readonly wallMs: number;
}

/** `report` is of this incarnation; undefined: it has told nothing yet. */
export function memberStatus(
  member: MemberView,
  report: Report | undefined,
  { services, share, nowMs, wallMs }: MemberContext,
): MemberStatus {
  const byService = <T>(value: (table: number) => T): Record<string, T> =>
    Object.fromEntries(services.map((name, index) => [name, value(index + 1)]));
  return {
    name: member.name,
    state: member.state,
    reason: member.reason,
    self: member.self,
    ...(member.address !== "" && { address: member.address }),
    incarnation: member.incarnation,
    weight: Math.max(0, ...member.weights.slice(PRESENCE + 1).map(plainWeight)),
    weights: byService((table) => plainWeight(member.weights[table] ?? 0)),
    last_resort: services.filter((_, index) => isLastResort(member.weights[index + 1] ?? 0)),
    shares: byService((table) => share(table, member.name)),
    since: new Date(wallMs - Math.max(0, nowMs - member.sinceMs)).toISOString(),
    ...(!member.self && { last_heard_ms: Math.max(0, Math.round(nowMs - member.lastHeardMs)) }),
    // What a dead member told is not true any more.
    ...(report !== undefined && member.state !== "dead" && reported(report, services)),
  };
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
