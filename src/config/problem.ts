/** What is wrong in a configuration file, and where. */

/** Steps from the top of the file to a value: keys and list positions. */
export type Path = ReadonlyArray<string | number>;

/** One problem. An error keeps the configuration from being used; a warning does not. */
export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The key it is about, such as `services[0].ports[1]`; empty for the file as a whole. */
  readonly path: string;
  /** What is wrong. */
  readonly message: string;
  /** What was expected, with the remedy where there is one. */
  readonly expected: string;
  readonly severity: "error" | "warning";
}

/** Takes what was found at a path; the position in the file is added by who knows it. */
export type Report = (found: {
  path: Path;
  message: string;
  expected: string;
  severity?: "error" | "warning";
  /** Point to the key, not to its value. */
  atKey?: boolean;
  /** Point this many characters into the value, where the text stands in the file as it is. */
  into?: number;
}) => void;

/** `file:line:column: what is wrong, what was expected`, on one line. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, message, expected } = problem;
  const label = severity === "warning" ? "warning: " : "";
  return `${file}:${line}:${column}: ${label}${message}, expected ${expected}`;
}

/** `services[0].ports[1]`. Keys that are not plain words are quoted. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[\w-]{1,64}$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${formatValue(step)}]`;
  }
  return text;
}

/** Longest quotation of a value in a message, in characters: one that still fits on a line. */
const QUOTED_MAX = 60;

/** A value as it can stand in a message: on one line, short, text in quotes, control characters escaped. */
export function formatValue(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty mapping" : "a mapping";
  if (typeof value !== "string") return String(value);
  const text = value.length > QUOTED_MAX ? `${value.slice(0, QUOTED_MAX)}…` : value;
  // JSON leaves C1 controls, line separators and text direction marks as they are; a terminal acts on them.
  return JSON.stringify(text).replaceAll(
    /[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
