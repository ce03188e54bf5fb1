/** The last minutes, as the node keeps them: joined from answers, and cut to what the charts show. Pure. */

import type { HistoryAnswer, NodeSeries } from "../detail_schemas.ts";

/** What the charts show. */
export const SHOWN_MS = 5 * 60_000;

export type Measure = keyof NodeSeries;
export const MEASURES: readonly Measure[] = [
  "flows_per_s",
  "packets_per_s",
  "retained",
  "claimed",
  "lateness_ms",
];

export interface History {
  readonly atMs: readonly number[];
  readonly nodes: Readonly<Record<string, NodeSeries>>;
}

/** Adds an answer to what is there; samples older than {@link SHOWN_MS} go. */
export function joinHistory(before: History | undefined, answer: HistoryAnswer): History {
  const known = before?.atMs ?? [];
  const last = known.at(-1) ?? -Infinity;
  const from = answer.at_ms.findIndex((at) => at > last);
  const added = from < 0 ? [] : answer.at_ms.slice(from);
  const all = [...known, ...added];
  const oldest = (all.at(-1) ?? 0) - SHOWN_MS;
  const cut = Math.max(0, all.findIndex((at) => at >= oldest));
  const nodes: Record<string, NodeSeries> = {};
  for (const name of new Set([...Object.keys(before?.nodes ?? {}), ...Object.keys(answer.nodes)])) {
    const series = {} as NodeSeries;
    for (const measure of MEASURES) {
      const old = before?.nodes[name]?.[measure] ?? known.map(() => null);
      const more = answer.nodes[name]?.[measure].slice(Math.max(0, from)) ?? added.map(() => null);
      series[measure] = [...old, ...(from < 0 ? [] : more)].slice(cut);
    }
    nodes[name] = series;
  }
  return { atMs: all.slice(cut), nodes };
}

/** The newest value that is known of a series. */
export function latest(series: ReadonlyArray<number | null> | undefined): number | undefined {
  return series?.at(-1) ?? undefined;
}
