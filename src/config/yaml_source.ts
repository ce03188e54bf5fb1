/** From text to plain values, with the position of each: YAML 1.2, bounded. */
import { isAlias, LineCounter, parseDocument, visit } from "yaml";
import { Positions } from "./positions.ts";
import { type Problem } from "./problem.ts";

/** References to anchors in one file: enough for repeated settings, too few for an alias bomb. */
const ALIASES_MAX = 100;

/** What a text holds. */
export interface YamlSource {
  /** The values as JavaScript has them; absent if they cannot be trusted. */
  readonly written?: unknown;
  readonly positions?: Positions;
  readonly problems: Problem[];
}

/** Reads one YAML document. Never throws: what is wrong with the text is a problem at its place. */
export function readYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      logLevel: "error",
    });
    const positions = new Positions(document, lines);
    const found = [...document.errors, ...document.warnings];
    // One bracket that is left open makes errors of what follows it, too.
    const [syntax] = found.filter(({ code }) => !NAMED.has(code)).sort((a, b) => a.pos[0] - b.pos[0]);
    const told = found.filter((each) => each === syntax || NAMED.has(each.code));
    const problems: Problem[] = told.map(({ code, message, pos }) => ({
      file,
      ...positions.ofOffset(pos[0]),
      path: "",
      ...explain(code, message, text.slice(pos[0], pos[1] + KEY_LENGTH_MAX)),
      severity: "error",
    }));

    let aliases = 0;
    visit(document, (_key, node, ancestors) => {
      if (!isAlias(node)) return;
      aliases++;
      const named = aliases <= ALIASES_MAX ? node.resolve(document) : null;
      const unknown = named === undefined;
      const endless = ancestors.some((each) => each === named);
      if (!unknown && !endless && aliases !== ALIASES_MAX + 1) return;
      problems.push({
        file,
        ...positions.ofOffset(node.range?.[0] ?? 0),
        path: "",
        message: endless
          ? `the alias *${node.source} stands within the value that it repeats`
          : unknown
          ? `the alias *${node.source} has no anchor before it`
          : `there are more than ${ALIASES_MAX} aliases`,
        expected: endless
          ? "an alias of another value"
          : unknown
          ? `&${node.source} at an earlier value`
          : "fewer; write the values out",
        severity: "error",
      });
      return visit.BREAK;
    });

    // A key that stands there twice leaves the rest of the values readable.
    if (
      problems.length > document.errors.length || document.errors.some(({ code }) => code !== "DUPLICATE_KEY")
    ) {
      return { problems };
    }
    const written: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    if (written !== null && written !== undefined) return { written, positions, problems };
    return { problems: [...problems, fileProblem(file, "the file is empty", EMPTY_EXPECTED)] };
  } catch (error) {
    // The parser recurses, so the stack bounds the nesting. toJS throws a ReferenceError where aliases multiply.
    if (error instanceof RangeError) {
      return { problems: [fileProblem(file, "the file is nested too deeply", "plain YAML")] };
    }
    if (!(error instanceof ReferenceError)) throw error;
    return {
      problems: [fileProblem(file, "the file grows too large by aliases of aliases", "values written out")],
    };
  }
}

const EMPTY_EXPECTED = "a farm; `vipfarm init` writes one to start from";
/** Longest key that a message quotes. */
const KEY_LENGTH_MAX = 64;

/** A problem of the file as a whole. */
export function fileProblem(file: string, message: string, expected: string): Problem {
  return { file, line: 1, column: 1, path: "", message, expected, severity: "error" };
}

/** What {@link explain} has words of its own for. */
const NAMED: ReadonlySet<string> = new Set([
  "DUPLICATE_KEY",
  "TAB_AS_INDENT",
  "MULTIPLE_DOCS",
  "NON_STRING_KEY",
  "TAG_RESOLVE_FAILED",
]);

function explain(code: string, message: string, at: string): Pick<Problem, "message" | "expected"> {
  switch (code) {
    case "DUPLICATE_KEY":
      return { message: `the key \`${/^[^:\s]*/.exec(at)?.[0]}\` appears twice`, expected: "each key once" };
    case "TAB_AS_INDENT":
      return { message: "this line is indented with a tab", expected: "spaces" };
    case "MULTIPLE_DOCS":
      return { message: "a second document begins here", expected: "one document; take out the line `---`" };
    case "NON_STRING_KEY":
      return { message: "this key is not a word", expected: "the name of a setting" };
    case "TAG_RESOLVE_FAILED":
      return { message: "this value has a tag", expected: "a plain value; quote text that begins with `!`" };
    default:
      return {
        message: `this is not valid YAML: ${message.replaceAll(/\s+/g, " ").slice(0, 200)}`,
        expected: expectedInstead(code, message),
      };
  }
}

function expectedInstead(code: string, message: string): string {
  if (/^Missing closing|and end with a/.test(message)) return "every quote and bracket closed";
  if (code === "BAD_INDENT" || message.startsWith("Sequence item without")) {
    return "the settings of one level in one column, and `- ` before each item of a list";
  }
  return "YAML 1.2; quote text that contains `: ` or ` #`, and begin the settings of one level in one column";
}
