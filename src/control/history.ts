/** The last minutes of every member, one sample a second, for the console's charts. */
import { type HistoryAnswer, type NodeSeries } from "../admin/detail_schemas.ts";
import { type MemberStatus } from "../admin/source.ts";

/** How often a sample is taken. */
export const SAMPLE_INTERVAL_MS = 1_000;
/** Samples kept: ten minutes. With 32 members less than a megabyte. */
const SAMPLES_MAX = 600;

const SERIES = ["flows_per_s", "packets_per_s", "retained", "claimed", "lateness_ms"] as const;

interface Sample {
  readonly atMs: number;
  /** By name; the numbers in the order of {@link SERIES}. */
  readonly members: ReadonlyMap<string, ReadonlyArray<number | null>>;
}

export class History {
  readonly #samples: Sample[] = [];

  /** Keeps a sample of the members as they stand at `atMs` (wall clock). */
  sample(atMs: number, members: readonly MemberStatus[]): void {
    const heard = members.filter(({ state }) => state !== "dead");
    this.#samples.push({ atMs, members: new Map(heard.map((member) => [member.name, numbersOf(member)])) });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** The samples after the moment `afterMs`, a list for each number of each node. */
  since(afterMs = 0): HistoryAnswer {
    const samples = this.#samples.filter(({ atMs }) => atMs > afterMs);
    const names = new Set(samples.flatMap(({ members }) => [...members.keys()]));
    const series = (name: string, index: number) =>
      samples.map(({ members }) => members.get(name)?.[index] ?? null);
    return {
      interval_ms: SAMPLE_INTERVAL_MS,
      at_ms: samples.map(({ atMs }) => atMs),
      nodes: Object.fromEntries(
        [...names].sort().map((name) => [
          name,
          Object.fromEntries(SERIES.map((key, index) => [key, series(name, index)])) as NodeSeries,
        ]),
      ),
    };
  }
}

function numbersOf(member: MemberStatus): Array<number | null> {
  const claimed = Object.values(member.claimed ?? {});
  return [
    member.flows_per_s ?? null,
    member.packets_per_s ?? null,
    member.retained ?? null,
    claimed.length === 0 ? null : claimed.reduce((sum, share) => sum + share, 0) / claimed.length,
    member.lateness_ms ?? null,
  ];
}
