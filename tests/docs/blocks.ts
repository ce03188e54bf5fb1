/**
 * The fenced blocks of the documentation, and what is to be done with each:
 *
 * - `yaml`: a whole file if it has `farm`, else a part that is put into one; it must be valid either way.
 * - `console`: commands after a prompt that names where they run (`n1#`, `client$`), each with the output that must
 *   come; `…` stands for anything within a line, a line of its own for any number of lines. A percentage with tenths may
 *   be one point off: shares are as the farm's secret has them.
 * - any block below `<!-- not run: REASON -->` is not run; without the mark no other language is taken.
 */
import { ROOT } from "../unit/source_tree.ts";

export interface Block {
  /** `docs/01-first-farm.md:12`. */
  readonly place: string;
  readonly language: string;
  readonly text: string;
  /** Why it is not run, if it is marked. */
  readonly notRun?: string;
}

export interface Page {
  readonly name: string;
  readonly blocks: readonly Block[];
}

/** A command of a console block. */
export interface Command {
  /** `n1`, `n2`, …, `client`. */
  readonly where: string;
  readonly text: string;
  /** Lines of output that must come; empty: whatever it says. */
  readonly output: readonly string[];
}

/** The pages that are written by hand, in their order. */
export function pages(): Page[] {
  return [...Deno.readDirSync(`${ROOT}docs`)].filter(({ name }) => name.endsWith(".md")).map(({ name }) =>
    name
  ).sort()
    .map((name) => ({
      name,
      blocks: blocksOf(Deno.readTextFileSync(`${ROOT}docs/${name}`), `docs/${name}`),
    }));
}

/** The blocks of a Markdown text. @throws Error if one does not end */
export function blocksOf(markdown: string, file: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const language = /^\s*```(\S*)\s*$/.exec(lines[i])?.[1];
    if (language === undefined) continue;
    const end = lines.findIndex((line, at) => at > i && /^\s*```\s*$/.test(line));
    if (end < 0) throw new Error(`${file}:${i + 1}: a block that does not end`);
    const notRun = /^\s*<!-- not run: (.+) -->\s*$/.exec(
      lines.slice(0, i).findLast((line) => line.trim() !== "") ?? "",
    )?.[1];
    blocks.push({
      place: `${file}:${i + 1}`,
      language,
      text: lines.slice(i + 1, end).join("\n"),
      ...(notRun !== undefined && { notRun }),
    });
    i = end;
  }
  return blocks;
}

const PROMPT = /^(n\d|client)[#$] (.*)$/;

/** The commands of a console block. @throws Error if it begins with output */
export function commandsOf({ text, place }: Block): Command[] {
  const commands: Array<{ where: string; text: string; output: string[] }> = [];
  for (const line of text.split("\n")) {
    const prompt = PROMPT.exec(line);
    if (prompt !== null) commands.push({ where: prompt[1], text: prompt[2], output: [] });
    else if (commands.length === 0) {
      throw new Error(`${place}: begins with output, where a prompt is expected`);
    } else commands.at(-1)!.output.push(line);
  }
  return commands;
}

/** Whether what came is what stands there: the lines in their order, others may stand before and behind. */
export function isExpected(came: string, expected: readonly string[]): boolean {
  const escape = (text: string) =>
    text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
      .replaceAll(/(\d+)\\\.\d%/g, (_, whole) =>
        `(?:${[-1, 0, 1].map((off) => +whole + off).join("|")})\\.\\d%`);
  const pattern = expected.map((line) =>
    line.trim() === "…"
      ? "(?:.*\\n)*?"
      : `[ \\t]*${
        line.trim().split("…").map((part) => escape(part).replaceAll(/ +/g, " +")).join(".*")
      }[ \\t]*\\n`
  ).join("");
  return new RegExp(`(^|\\n)${pattern}`).test(`${came.trimEnd()}\n`);
}
