/** What the demo prints: steps in plain words, tables of figures, and a mark for each thing that was checked. */

/** Width that fits every terminal and mail. */
const TEXT_WIDTH = 96;

const CODES = { bold: "1", dim: "2", red: "31", green: "32", cyan: "36" } as const;

/** Whether colours suit: standard output is a terminal, and nobody asked for none (no-color.org). */
export function coloursWanted(): boolean {
  return Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
}

/** Prints and keeps count of what failed. */
export class Report {
  /** Checks that did not hold. */
  failures = 0;
  checks = 0;
  #steps = 0;
  readonly #colours: boolean;
  readonly #print: (line: string) => void;

  constructor(colours = coloursWanted(), print: (line: string) => void = console.log) {
    this.#colours = colours;
    this.#print = print;
  }

  paint(style: keyof typeof CODES, text: string): string {
    return this.#colours ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
  }

  line(text = ""): void {
    this.#print(text);
  }

  /** Heading of the next step, and what it is about. */
  step(title: string, explanation: string): void {
    this.#print("");
    this.#print(this.paint("bold", `${++this.#steps}. ${title}`));
    for (const line of wrap(explanation, TEXT_WIDTH - 3)) this.#print(`   ${line}`);
  }

  /** One thing that was checked, with the figures seen. Gives what it was given. */
  check(holds: boolean, text: string): boolean {
    this.checks++;
    if (!holds) this.failures++;
    const [first, ...rest] = wrap(text, TEXT_WIDTH - 5);
    this.#print(`   ${holds ? this.paint("green", "✓") : this.paint("red", "✗")} ${first}`);
    for (const line of rest) this.#print(`     ${line}`);
    return holds;
  }

  /** A table; numbers stand right, text left. */
  table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
    const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
    const right = head.map((_, i) => rows.every((row) => /^[-\d.,]+( \S+)?$/.test(row[i])));
    const format = (row: readonly string[]) =>
      row.map((cell, i) => right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join("   ")
        .trimEnd();
    this.#print(`     ${this.paint("dim", format(head))}`);
    for (const row of rows) this.#print(`     ${format(row)}`);
  }
}

/** Breaks text between words. */
export function wrap(text: string, width: number): string[] {
  const result: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      result.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  result.push(line);
  return result;
}
