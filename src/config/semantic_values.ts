/** What the checks of meaning share: the values to look at, and the problems that come up everywhere. */
import { type IpAddress, parseAddress } from "../core/address.ts";
import { formatPath, formatValue, type Path, type Report } from "./problem.ts";
import { suggest } from "./suggest.ts";
import { formatDuration, parseDurationMs } from "./values.ts";

/** The file's values, less those that the schema refused. */
export interface ValidValues {
  /** The value at `path`, or `undefined` where there is none or it was refused. */
  get(path: Path): unknown;
  /** Whether the schema refused the value at `path`. */
  refused(path: Path): boolean;
  /** Line of a path, for messages that name a second place. */
  line(path: Path): number;
}

/** Reports a duration outside of these bounds, both included. */
export function checkDuration(
  values: ValidValues,
  report: Report,
  path: Path,
  minMs: number,
  maxMs: number,
): void {
  const text = values.get(path);
  if (typeof text !== "string") return;
  const durationMs = parseDurationMs(text);
  if (durationMs !== undefined && durationMs >= minMs && durationMs <= maxMs) return;
  report({
    path,
    message: `${name(path)} is ${text}`,
    expected: `${formatDuration(minMs)} to ${formatDuration(maxMs)}, in whole milliseconds`,
  });
}

/** Reports every path whose normalized text an earlier one has. */
export function reportRepeated(
  values: ValidValues,
  report: Report,
  paths: readonly Path[],
  what: string,
  normalize: (text: string) => string | undefined,
): void {
  const first = new Map<string, Path>();
  for (const path of paths) {
    const value = values.get(path);
    const text = typeof value === "string" ? normalize(value) : undefined;
    if (text === undefined) continue;
    const earlier = first.get(text);
    if (earlier) {
      report({
        path,
        message: `the ${what} ${formatValue(text)} is already on line ${values.line(earlier)}`,
        expected: "each one once",
      });
    } else first.set(text, path);
  }
}

/** Paths of the elements of the list at `path`. */
export function items(values: ValidValues, path: Path): Path[] {
  const value = values.get(path);
  return Array.isArray(value) ? value.map((_, index) => [...path, index]) : [];
}

/** Keys of the mapping at `path`. */
export function keys(values: ValidValues, path: Path): string[] {
  const value = values.get(path);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

/** The address at `path`, if there is a valid one. */
export function addressAt(values: ValidValues, path: Path): IpAddress | undefined {
  const value = values.get(path);
  return typeof value === "string" ? parseAddress(value) : undefined;
}

/** A path as it stands in a message. */
export function name(path: Path): string {
  return `\`${formatPath(path)}\``;
}

/** What is expected in place of a word that is none of these names: the one that was probably meant, or all of them. */
export function expectedName(what: string, word: string, names: readonly string[]): string {
  if (names.length === 0) return `${what} of this file (there is none)`;
  const meant = suggest(word, names);
  return meant === undefined
    ? `${what} of this file: ${names.join(", ")}`
    : `${what} of this file; did you mean \`${meant}\`?`;
}
