/**
 * What a node tells the others about itself, for people only: any node can then show the whole farm. It travels in the
 * heartbeats as JSON of at most 1,024 bytes; nothing is decided by it.
 */
import { z } from "zod";
import { NAME_LENGTH_MAX, SERVICES_MAX } from "../core/limits.ts";
import { REPORT_BYTES_MAX } from "../wire/heartbeat.ts";

/** Failed checks that are told: the first ones say what is wrong. */
const DOWN_MAX = 4;
/**
 * Lengths that texts are cut to, and how many failed checks are told, one after the other until the report fits. The
 * last always does: what is left then are numbers, and names of bounded length.
 */
const CUTS = [
  { length: 160, downMax: DOWN_MAX },
  { length: 100, downMax: DOWN_MAX },
  { length: 60, downMax: DOWN_MAX },
  { length: 30, downMax: DOWN_MAX },
  { length: 12, downMax: DOWN_MAX },
  { length: 12, downMax: 2 },
  { length: 12, downMax: 0 },
  { length: 0, downMax: 0 },
];
/** Longest text that is taken from another node. */
const TEXT_LENGTH_MAX = 400;
const DIGEST_LENGTH = 16;

const text = z.string().max(TEXT_LENGTH_MAX);
const number = z.number().min(0).max(1e12);

const reportSchema = z.object({
  v: z.literal(1),
  version: z.string().max(NAME_LENGTH_MAX),
  /** Of the application, or of the node where there is none. */
  state: z.string().max(NAME_LENGTH_MAX).optional(),
  reason: text.optional(),
  /** Whether it has an application to start and stop. */
  application: z.boolean().optional(),
  /** Fraction of the buckets that it claims, by service in file order: names would not fit. */
  claimed: z.array(z.number().min(0).max(1)).max(SERVICES_MAX),
  /** Open connections to the services. */
  connections: number.optional(),
  /** Open connections in buckets that have moved away. */
  retained: number,
  flows_per_s: number,
  packets_per_s: number,
  lateness_ms: number,
  /** First digits of the digest of its configuration. */
  digest: z.string().max(DIGEST_LENGTH),
  down: z.array(z.object({ check: z.string().max(NAME_LENGTH_MAX), reason: text })).max(DOWN_MAX).optional(),
});

/** What one node tells about itself. */
export type Report = z.infer<typeof reportSchema>;

/** What a report is made of; texts and lists may be longer than fits. */
export type OwnReport = Omit<Report, "v">;

const encoder = new TextEncoder();

/** The report as it travels: numbers rounded, texts cut until it fits. */
export function composeReport(own: OwnReport): string {
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  let composed = "";
  for (const { length, downMax } of CUTS) {
    const down = own.down?.slice(0, downMax) ?? [];
    const report: Report = {
      v: 1,
      version: cut(own.version, NAME_LENGTH_MAX),
      ...(own.state !== undefined && { state: own.state, reason: cut(own.reason ?? "", length) }),
      application: own.application,
      claimed: own.claimed.map((share) => round(share, 4)),
      connections: own.connections,
      retained: own.retained,
      flows_per_s: round(own.flows_per_s, 1),
      packets_per_s: round(own.packets_per_s, 1),
      lateness_ms: round(own.lateness_ms, 1),
      digest: own.digest.slice(0, DIGEST_LENGTH),
      ...(down.length > 0 && {
        down: down.map(({ check, reason }) => ({ check, reason: cut(reason, length) })),
      }),
    };
    composed = JSON.stringify(report);
    if (encoder.encode(composed).length <= REPORT_BYTES_MAX) break;
  }
  return composed;
}

/** Reads another node's report; undefined if it is not one. Keys that it does not know are left out. */
export function parseReport(composed: string): Report | undefined {
  let value: unknown;
  try {
    value = JSON.parse(composed);
  } catch {
    return undefined;
  }
  return reportSchema.safeParse(value).data;
}

/** One line of at most `length` UTF-16 units, never half of a character: JSON has six bytes for a control character. */
function cut(value: string, length: number): string {
  const line = value.replace(/\p{Cc}+/gu, " ").toWellFormed();
  if (line.length <= length) return line;
  return length === 0 ? "" : `${line.slice(0, length - 1).toWellFormed().replace(/\uFFFD$/, "")}…`;
}
