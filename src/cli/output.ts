/** Text on the terminal: answers on stdout, everything about the run itself on stderr. */
import { VipfarmError } from "../core/errors.ts";

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
  const note = (text: string) => void writeAll(Deno.stderr, line(text));
  return {
    answer: (text) => void writeAll(Deno.stdout, line(text)),
    note,
    error: (problem) => {
      note(`vipfarm: ${paint.bold(paint.red("error:"))} ${describe(problem)}`);
      if (problem instanceof VipfarmError && problem.remedy !== undefined) note(`  ${problem.remedy}`);
    },
  };
}

/** Colour is for terminals, unless NO_COLOR is set to anything but nothing (https://no-color.org). */
export function coloursWanted(isTerminal: boolean): boolean {
  return isTerminal && !Deno.env.get("NO_COLOR") && Deno.env.get("TERM") !== "dumb";
}

/** ANSI colours, or none where nobody wants them. */
export function colours(isTerminal: boolean): Record<"red" | "bold", (text: string) => string> {
  const wanted = coloursWanted(isTerminal);
  const code = (on: number, off: number) => (text: string) =>
    wanted ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { red: code(31, 39), bold: code(1, 22) };
}

/** What went wrong, as one text. An error nobody foresaw keeps its stack, which a report of it needs. */
function describe(problem: unknown): string {
  if (problem instanceof VipfarmError) return problem.message;
  if (problem instanceof Deno.errors.PermissionDenied) return problem.message;
  if (problem instanceof Error) return `unexpected: ${problem.stack ?? problem.message}`;
  return String(problem);
}

function line(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** Writes the whole text. Gives false if the reader has gone away (`vipfarm … | head`): that is not an error of ours. */
export function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}
