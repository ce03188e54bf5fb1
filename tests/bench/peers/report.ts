/** Medians of the rounds, ratios to `straight`, and the table that is printed and written. */
import type { Figures } from "./measure.ts";

/** No farm at all: the 100 of the ratios. */
const STRAIGHT = "straight";

/** One round of a contender. */
export interface Round {
  readonly figures: Figures;
  /** Of straight, each right after the contender's. */
  readonly straight: Figures;
}

export interface ContenderRounds {
  readonly name: string;
  readonly setup: string;
  readonly rounds: Round[];
}

/** What there is to show of one row: all rounds of a contender, or of straight. */
interface Row {
  readonly name: string;
  readonly rounds: readonly Figures[];
}

function rowsOf(contenders: readonly ContenderRounds[]): Row[] {
  return [
    { name: STRAIGHT, rounds: contenders.flatMap(({ rounds }) => rounds.map(({ straight }) => straight)) },
    ...contenders.map(({ name, rounds }) => ({ name, rounds: rounds.map(({ figures }) => figures) })),
  ];
}

interface Column {
  readonly title: string;
  readonly key: keyof Figures;
  readonly format: (value: number) => string;
  /** Whether a smaller figure is the better one; the ratio is then of latencies and not of rates. */
  readonly smallerIsBetter: boolean;
}

const whole = (value: number) => value.toFixed(0);
const gbps = (value: number) => value.toFixed(2);

export const COLUMNS: readonly Column[] = [
  { title: "requests/s, keep-alive", key: "keepAlivePerS", format: whole, smallerIsBetter: false },
  { title: "requests/s, a connection each", key: "connectPerS", format: whole, smallerIsBetter: false },
  { title: "download, Gbit/s", key: "downloadGbps", format: gbps, smallerIsBetter: false },
  { title: "download, one client, Gbit/s", key: "downloadOneGbps", format: gbps, smallerIsBetter: false },
  { title: "upload, Gbit/s", key: "uploadGbps", format: gbps, smallerIsBetter: false },
  { title: "latency p50, µs", key: "latencyP50Us", format: whole, smallerIsBetter: true },
  { title: "latency p99, µs", key: "latencyP99Us", format: whole, smallerIsBetter: true },
];

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error("the median of no values was asked for");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function medians(rounds: readonly Figures[]): Figures {
  const of = (key: keyof Figures) => median(rounds.map((round) => round[key]));
  return {
    keepAlivePerS: of("keepAlivePerS"),
    connectPerS: of("connectPerS"),
    latencyP50Us: of("latencyP50Us"),
    latencyP99Us: of("latencyP99Us"),
    downloadGbps: of("downloadGbps"),
    downloadOneGbps: of("downloadOneGbps"),
    uploadGbps: of("uploadGbps"),
  };
}

function table(rows: string[][]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row: string[]) =>
    `| ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join(" | ")} |`;
  const rule = `| ${
    widths.map((width, i) => i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)].join("\n");
}

/**
 * Ratios to straight (100), as Markdown: the median of the ratios within each round, because what disturbs a
 * contender's figure disturbs the one of straight right after it.
 */
export function ratioTable(contenders: readonly ContenderRounds[]): string {
  return table([
    ["", ...COLUMNS.map((column) => column.title.replace(/, (Gbit\/s|µs)$/, ""))],
    [STRAIGHT, ...COLUMNS.map(() => "100")],
    ...contenders.map(({ name, rounds }) => {
      const ratio = (key: keyof Figures) =>
        median(rounds.map(({ figures, straight }) => 100 * figures[key] / straight[key]));
      return [name, ...COLUMNS.map(({ key }) => whole(ratio(key)))];
    }),
  ]);
}

/** The medians themselves, as Markdown. */
export function figureTable(contenders: readonly ContenderRounds[]): string {
  return table([
    ["", ...COLUMNS.map((column) => column.title)],
    ...rowsOf(contenders).map(({ name, rounds }) => {
      const own = medians(rounds);
      return [name, ...COLUMNS.map(({ key, format }) => format(own[key]))];
    }),
  ]);
}

/** Smallest and largest round of each figure: how far the medians can be trusted. */
export function spreadTable(contenders: readonly ContenderRounds[]): string {
  return table([
    ["", ...COLUMNS.map((column) => column.title)],
    ...rowsOf(contenders).map(({ name, rounds }) => [
      name,
      ...COLUMNS.map(({ key, format }) => {
        const values = rounds.map((round) => round[key]);
        return `${format(Math.min(...values))}–${format(Math.max(...values))}`;
      }),
    ]),
  ]);
}

export interface Conditions {
  readonly rounds: number;
  /** From a contender's start to its first figure. */
  readonly settle: number;
  readonly seconds: number;
  readonly cores: number;
  readonly kernel: string;
}

/** The whole report, as Markdown. */
export function report(contenders: readonly ContenderRounds[], conditions: Conditions): string {
  return `# vipfarm and its peers, side by side

Written by \`deno task bench:peers\`. Three clients, four servers and whatever stands between them share
${conditions.cores} cores of one machine (Linux ${conditions.kernel}) in network namespaces on one bridge, so compare the
rows with each other and not with other machines. Medians over the rounds (${conditions.rounds}), ${conditions.seconds} s for each
figure, the first of them ${conditions.settle} s after the contender's start. What else runs on the host changes all figures
from one second to the next, so contender and straight are measured in turns, and each ratio is of two figures that
follow each other; downloads in turns of a seventh of a second, ${conditions.seconds} s for each
of the two, of which five sevenths count. For latency, less is better.

## Ratios, straight = 100

${ratioTable(contenders)}

## Medians

${figureTable(contenders)}

## Smallest and largest round

${spreadTable(contenders)}

## How each was set up

- **${STRAIGHT}**: the clients talk to a server of its own, with nothing between. While they do, vipfarm's processes are stopped
  (SIGSTOP); the others do nothing while nobody asks.
${contenders.map(({ name, setup }) => `- **${name}**: ${setup}.`).join("\n")}

Requests: nginx on every node, answering a few bytes; wrk on each of three clients, 16 connections each.
Latency: one client, one request at a time, keep-alive. Bulk: iperf3 on each client (or on one), two TCP streams each,
Gbit/s that arrived: for downloads at the clients' interfaces, headers included, for uploads as the servers say.
xt_cluster hashes the client's address only, hence three clients: its seed, and vipfarm's secret for the bulk service
(affinity \`client\`), are chosen so that each client meets a different node, and HAProxy sends each client's bulk to a
different one. HTTP in vipfarm has affinity \`connection\`.
`;
}
