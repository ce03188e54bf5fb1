/**
 * Reading the configuration: text to YAML to values to {@link FarmConfig}, with every problem of the file at once and
 * each at its line and column.
 */
import { isAlias, LineCounter, parseDocument, visit } from "yaml";
import { type core } from "zod";
import { parseAddress } from "../core/address.ts";
import { type FarmConfig, type Placement } from "./farm_config.ts";
import { Positions } from "./positions.ts";
import { formatPath, formatValue, type Path, type Problem, type Report } from "./problem.ts";
import { besideFile, resolveConfig } from "./resolve.ts";
import { expectedAt, farmFile, keysAt, LATER, schemaAt } from "./schema.ts";
import { inspectSecret } from "./secret.ts";
import { checkMeaning, type ValidValues } from "./semantic.ts";
import { suggest } from "./suggest.ts";

export type * from "./farm_config.ts";
export { formatProblem, type Problem } from "./problem.ts";
export { forNode, weightsOf } from "./resolve.ts";

/** Largest file read: 32 nodes and 32 services with comments take a hundredth of it. */
export const FILE_BYTES_MAX = 1_048_576;
/** References to anchors in one file: enough for repeated settings, too few for an alias bomb. */
const ALIASES_MAX = 100;
/** Problems told in one run: nobody reads more, and a wrong file (a log, say) has one on every line. */
const PROBLEMS_MAX = 200;

/** A configuration if there is one without errors, and everything found on the way. */
export interface Loaded {
  readonly config?: FarmConfig;
  /** Absent if the file could not be read as YAML. */
  readonly placement?: Placement;
  readonly problems: Problem[];
}

/** Positions of configurations that came from a file. Beside the values, which thereby stay plain data. */
const sources = new WeakMap<FarmConfig | Placement, { file: string; positions: Positions }>();

/** A problem of a loaded configuration found later (against this host, say), at the right place of its file. */
export function problemAt(config: FarmConfig | Placement, found: Parameters<Report>[0]): Problem {
  const source = sources.get(config);
  const position = source?.positions.of(found.path, found.atKey) ?? { line: 1, column: 1 };
  return {
    file: source?.file ?? "configuration",
    ...position,
    path: formatPath(found.path),
    message: found.message,
    expected: found.expected,
    severity: found.severity ?? "error",
  };
}

/** Reads and checks a file and the secret that it names. Never throws for what is wrong with either. */
export async function loadConfig(path: string): Promise<Loaded> {
  let text: string;
  try {
    text = await readBounded(path);
  } catch (error) {
    const message = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.PermissionDenied
      ? "the file may not be read by this user"
      : error instanceof RangeError
      ? error.message
      : `the file cannot be read (${error instanceof Error ? error.message : String(error)})`;
    return {
      problems: [{ ...fileProblem(path, message, "a YAML file; `vipfarm init` writes one to start from") }],
    };
  }
  const { secretFile, ...loaded } = parse(text, path);
  const secret = secretFile === undefined ? undefined : await inspectSecret(secretFile);
  if (!secret?.problem || !loaded.placement) return loaded;
  const problems = ordered([
    ...loaded.problems,
    problemAt(loaded.placement, { path: ["secret_file"], ...secret.problem }),
  ]);
  return { ...loaded, problems, config: hasErrors(problems) ? undefined : loaded.config };
}

/** Checks the text of a file; touches no other file. `file` is its name, for messages and relative paths. */
export function parseConfig(text: string, file: string): Loaded {
  const { secretFile: _secretFile, ...loaded } = parse(text, file);
  return loaded;
}

/** As {@link parseConfig}; `secretFile` is there if that one value is valid, whatever else is not. */
function parse(text: string, file: string): Loaded & { secretFile?: string } {
  const problems: Problem[] = [];
  const lines = new LineCounter();
  let document: ReturnType<typeof parseDocument>;
  let written: unknown;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      logLevel: "error",
    });
    let aliases = 0;
    visit(document, (_key, node) => {
      if (isAlias(node) && ++aliases > ALIASES_MAX) throw new RangeError(`more than ${ALIASES_MAX} aliases`);
    });
    written = document.errors.some(isFatal) ? undefined : document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    // The parser recurses, so nesting is bounded by the stack; toJS throws ReferenceError for alias bombs.
    const problem = error instanceof RangeError && /aliases/.test(error.message)
      ? error.message
      : error instanceof RangeError
      ? "it is nested too deeply"
      : error instanceof Error
      ? error.message
      : String(error);
    return { problems: [fileProblem(file, `the file cannot be read as YAML: ${problem}`, "plain YAML")] };
  }

  const positions = new Positions(document, lines);
  for (const error of [...document.errors, ...document.warnings]) {
    const duplicate = error.code === "DUPLICATE_KEY";
    const key = duplicate ? /^[^:\s]{1,64}/.exec(text.slice(error.pos[0]))?.[0] ?? "" : "";
    problems.push({
      file,
      ...positions.ofOffset(error.pos[0]),
      path: key,
      message: duplicate
        ? `the key \`${key}\` appears twice`
        : `this is not valid YAML: ${oneLine(error.message)}`,
      expected: duplicate ? "each key once" : yamlExpectation(error.code),
      severity: "error",
    });
  }
  if (document.errors.some(isFatal)) return { problems: ordered(problems) };
  if (written === null || written === undefined) {
    problems.push(fileProblem(file, "the file is empty", "a farm; `vipfarm init` writes one to start from"));
    return { problems };
  }

  const content = withoutEmpty(written, []);
  const refused = new Set<string>();
  const report: Report = ({ path, message, expected, severity = "error", atKey }) => {
    problems.push({
      file,
      ...positions.of(path, atKey),
      path: formatPath(path),
      message,
      expected,
      severity,
    });
  };
  const parsed = farmFile.safeParse(content);
  for (const issue of parsed.error?.issues ?? []) reportIssue(issue, [], content, written, refused, report);
  const values: ValidValues = {
    get: (path) => refused.has(key(path)) ? undefined : valueAt(content, path),
    refused: (path) => refused.has(key(path)),
    line: (path) => positions.of(path).line,
  };
  checkMeaning(values, report);

  const secretFile = textAt(values, ["secret_file"]);
  const loaded = {
    placement: placementOf(values),
    problems: ordered(problems),
    ...(secretFile !== undefined && { secretFile: besideFile(file, secretFile) }),
  };
  sources.set(loaded.placement, { file, positions });
  if (hasErrors(problems) || !parsed.success) return loaded;
  const config = resolveConfig(parsed.data, file);
  sources.set(config, { file, positions });
  return { ...loaded, config };
}

function placementOf(values: ValidValues): Placement {
  const main = textAt(values, ["interface"]);
  const list = (path: Path) => {
    const value = values.get(path);
    return Array.isArray(value) ? value : [];
  };
  const virtualIps = list(["virtual_ips"]).map((_, index) => {
    const address = parseAddress(textAt(values, ["virtual_ips", index, "address"]) ?? "");
    const own: Path = ["virtual_ips", index, "interface"];
    const name = values.refused(own) ? undefined : textAt(values, own) ?? main;
    return address && name !== undefined ? { address, interface: name } : undefined;
  });
  const interfaces: Path = ["heartbeat", "interfaces"];
  const nodes = values.get(["nodes"]);
  const names = typeof nodes === "object" && nodes !== null ? Object.keys(nodes) : [];
  return {
    interface: main,
    virtualIps,
    heartbeatInterfaces: list(interfaces).flatMap((_, index) => textAt(values, [...interfaces, index]) ?? []),
    nodeInterfaces: new Map(names.flatMap((name) => {
      const own = textAt(values, ["nodes", name, "interface"]);
      return own === undefined ? [] : [[name, own] as const];
    })),
  };
}

function textAt(values: ValidValues, path: Path): string | undefined {
  const value = values.get(path);
  return typeof value === "string" ? value : undefined;
}

/** Whether any of these keeps a configuration from being used. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === "error");
}

/** Turns one finding of the schema into problems in the file's own words. */
function reportIssue(
  issue: core.$ZodIssue,
  above: Path,
  content: unknown,
  written: unknown,
  refused: Set<string>,
  report: Report,
): void {
  const path: Path = [...above, ...issue.path.map((step) => typeof step === "number" ? step : String(step))];
  if (issue.code === "unrecognized_keys") {
    for (const unknown of issue.keys) reportUnknownKey([...path, unknown], valueAt(content, path), report);
    return;
  }
  if (issue.code === "invalid_union") {
    // Of a value or a list of values, the branch that fits the shape has findings deeper inside.
    const inside = issue.errors.find((branch) =>
      branch.length > 0 && branch.every((each) => each.path.length > 0)
    );
    if (inside) {
      for (const each of inside) reportIssue(each, path, content, written, refused, report);
      return;
    }
  }
  const at = refused.has(key(path));
  refused.add(key(path));
  if (at) return; // one value, one problem: the second finding says the same in other words

  const value = valueAt(content, path);
  const last = path.at(-1);
  if (issue.code === "invalid_key") {
    report({
      path,
      atKey: true,
      message: `the name ${formatValue(last)} cannot be used`,
      expected: nameRule,
    });
    return;
  }
  if (value === undefined) {
    const empty = valueAt(written, path) === null;
    const name = path.length === 0 ? "the file" : `\`${formatPath(path)}\``;
    report({ path, message: `${name} is ${empty ? "empty" : "missing"}`, expected: expectedAt(path) });
    return;
  }
  const later = typeof value === "string" && typeof last === "string" && Object.hasOwn(LATER, last) &&
    LATER[last].includes(value);
  if (later || last === "checks" || last === "application") {
    const what = later ? `\`${formatPath(path)}: ${value}\`` : `\`${last}\``;
    report({ path, atKey: !later, message: `${what} is not in this version`, expected: expectedAt(path) });
    return;
  }
  const expected = expectedAt(path);
  const meant = issue.code === "invalid_value" && typeof value === "string"
    ? suggest(value, issue.values.map(String))
    : undefined;
  report({
    path,
    message: path.length === 0
      ? `the file holds ${formatValue(value)}`
      : `\`${formatPath(path)}\` ${"is"} ${formatValue(value)}`,
    expected: meant ? `${expected}; did you mean \`${meant}\`?` : expected,
  });
}

const nameRule = "1 to 63 letters, digits, dots, underscores or hyphens";

function reportUnknownKey(path: Path, container: unknown, report: Report): void {
  const parent = path.slice(0, -1);
  const unknown = String(path.at(-1));
  if (formatPath(parent) === "application") {
    report({
      path: parent,
      atKey: true,
      message: "`application` is not in this version",
      expected: expectedAt(parent),
    });
    return;
  }
  const known = keysAt(parent);
  const present = new Set(Object.keys(container as Record<string, unknown>));
  // A key that stands there already cannot be the one that was meant.
  const meant = suggest(unknown, known.filter((each) => !present.has(each)));
  const elsewhere = meant === undefined ? placesOf(unknown, parent) : [];
  const where = parent.length === 0 ? "" : ` in \`${formatPath(parent)}\``;
  report({
    path,
    atKey: true,
    message: `unknown key ${formatValue(unknown)}${where}`,
    expected: meant !== undefined
      ? `one of ${known.join(", ")}; did you mean \`${meant}\`?`
      : elsewhere.length > 0
      ? `one of ${known.join(", ")}; it belongs under ${elsewhere.map((each) => `\`${each}\``).join(" or ")}`
      : `one of ${known.join(", ")}`,
  });
}

/** Sections that do have a key of this name, if it stands at the wrong level. */
function placesOf(unknown: string, parent: Path): string[] {
  const sections: Path[] = [[], ["virtual_ips", 0], ["services", 0], ["heartbeat"], ["admin"]];
  return sections
    .filter((path) => formatPath(path) !== formatPath(parent) && schemaAt([...path, unknown]) !== undefined)
    .map((path) => path.length === 0 ? "the top of the file" : String(path[0]));
}

/** Without the keys that have no value, as if they were not there; a node without settings is one all the same. */
function withoutEmpty(value: unknown, path: Path): unknown {
  if (Array.isArray(value)) return value.map((each, index) => withoutEmpty(each, [...path, index]));
  if (typeof value !== "object" || value === null) return value;
  const kept: Array<[string, unknown]> = [];
  for (const [key, each] of Object.entries(value)) {
    if (each !== null) kept.push([key, withoutEmpty(each, [...path, key])]);
    else if (path.length === 1 && path[0] === "nodes") kept.push([key, {}]);
    else if (keysAt(path).length > 0 && !keysAt(path).includes(key)) kept.push([key, null]);
  }
  return Object.fromEntries(kept);
}

function valueAt(content: unknown, path: Path): unknown {
  let value = content;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function key(path: Path): string {
  return JSON.stringify(path);
}

/** Errors after which the values cannot be trusted. The others concern one key each. */
function isFatal({ code }: { code: string }): boolean {
  return code !== "DUPLICATE_KEY" && code !== "NON_STRING_KEY";
}

function yamlExpectation(code: string): string {
  if (code === "TAB_AS_INDENT") return "spaces: YAML is not indented with tabs";
  if (code === "MULTIPLE_DOCS") return "one document: take out the `---` between them";
  if (code === "TAG_RESOLVE_FAILED") return "plain values without tags; quote text that begins with `!`";
  if (code === "NON_STRING_KEY") return "a plain word as key";
  return "YAML as in https://yaml.org/spec/1.2.2/; quote text that contains `: ` or `#`";
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 200);
}

function ordered(problems: Problem[]): Problem[] {
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  if (problems.length <= PROBLEMS_MAX) return problems;
  const rest = problems.length - PROBLEMS_MAX;
  const last = problems[PROBLEMS_MAX];
  problems.length = PROBLEMS_MAX;
  problems.push({
    ...last,
    path: "",
    message: `${rest} more problems from here on`,
    expected: "a vipfarm configuration",
  });
  return problems;
}

function fileProblem(file: string, message: string, expected: string): Problem {
  return { file, line: 1, column: 1, path: "", message, expected, severity: "error" };
}

/** The text of a file of at most {@link FILE_BYTES_MAX}; `/dev/stdin` works too, as nothing relies on its size. */
async function readBounded(path: string): Promise<string> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
  let length = 0;
  for (let count: number | null; (count = await file.read(bytes.subarray(length))) !== null && count > 0;) {
    length += count;
  }
  if (length > FILE_BYTES_MAX) throw new RangeError(`the file has more than ${FILE_BYTES_MAX} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch {
    throw new RangeError("the file is not UTF-8 text");
  }
}
