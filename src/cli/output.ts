/** Text on the terminal: answers on stdout, everything about the run itself on stderr. */
import { VipfarmError } from "../core/errors.ts";

const encoder = new TextEncoder();

/** Where a verb writes. */
export interface Output {
  /** The answer, for people and pipes. */
  answer(text: string): void;
  /** What to know besides the answer. */
  note(text: string): void;
  /** `vipfarm: error: …` with the remedy on a line of its own. */
  error(problem: unknown): void;
}

/** The terminal, or what stands in for it. Colour only where a person reads it and has not refused it. */
export function terminal(): Output {
  const paint = colours(Deno.stderr.isTerminal());
  const note = (text: string) => writeAll(Deno.stderr, line(text));
  return {
    answer: (text) => writeAll(Deno.stdout, line(text)),
    note,
    error: (problem) => {
      note(`vipfarm: ${paint.bold(paint.red("error:"))} ${describe(problem)}`);
      if (problem instanceof VipfarmError && problem.remedy !== undefined) note(`  ${problem.remedy}`);
    },
  };
}

/** ANSI colours, or none: not on a terminal, or NO_COLOR is set to anything but nothing (https://no-color.org). */
export function colours(isTerminal: boolean): Record<"red" | "yellow" | "bold", (text: string) => string> {
  const wanted = isTerminal && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
  const code = (on: number, off: number) => (text: string) =>
    wanted ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { red: code(31, 39), yellow: code(33, 39), bold: code(1, 22) };
}

/** What went wrong, as one text. An error nobody foresaw keeps its stack, which a report of it needs. */
function describe(problem: unknown): string {
  if (problem instanceof VipfarmError) return problem.message;
  if (problem instanceof Deno.errors.PermissionDenied) return problem.message;
  if (problem instanceof Error) return `unexpected: ${problem.stack ?? problem.message}`;
  return String(problem);
}

function line(text: string): Uint8Array {
  return encoder.encode(text.endsWith("\n") ? text : `${text}\n`);
}

/** A reader that has gone away (`vipfarm … | head`) is not an error of ours. */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  try {
    for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
