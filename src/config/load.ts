/**
 * Reading the configuration: text to YAML to values to {@link FarmConfig}, with every problem of the file at once and
 * each at its line and column.
 */
import { parseAddress } from "../core/address.ts";
import { messageOf } from "../core/errors.ts";
import { type FarmConfig, type Placement } from "./farm_config.ts";
import { key, reportIssue, valueAt } from "./findings.ts";
import { type Positions } from "./positions.ts";
import { formatPath, type Path, type Problem, type Report } from "./problem.ts";
import { besideFile, resolveConfig } from "./resolve.ts";
import { farmFile, keysAt } from "./schema.ts";
import { inspectSecret } from "./secret.ts";
import { checkMeaning } from "./semantic.ts";
import { type ValidValues } from "./semantic_values.ts";
import { fileProblem, readYaml } from "./yaml_source.ts";

export type * from "./farm_config.ts";
export { formatProblem, type Problem } from "./problem.ts";
export { forNode, weightsOf } from "./resolve.ts";

/** Largest file read: 32 nodes and 32 services with comments take a hundredth of it. */
export const FILE_BYTES_MAX = 1_048_576;
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

/**
 * Reads and checks a file and the secret that it names. Never throws for what is wrong with either.
 * @param isForDaemon it will be read again, in another process
 */
export async function loadConfig(path: string, isForDaemon = false): Promise<Loaded> {
  let text: string;
  try {
    text = await readBounded(path, isForDaemon);
  } catch (error) {
    const message = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.PermissionDenied
      ? "the file may not be read by this user"
      : error instanceof RangeError
      ? error.message
      : `the file cannot be read (${messageOf(error)})`;
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
  const { written, positions, problems } = readYaml(text, file);
  if (written === undefined || !positions) return { problems };
  const content = withoutEmpty(written, []);
  const refused = new Set<string>();
  const report: Report = ({ path, message, expected, severity = "error", atKey, into }) => {
    problems.push({
      file,
      ...positions.of(path, atKey, into),
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
  // A file that is no mapping at all has been told so; what else it lacks is no news.
  if (!values.refused([])) checkMeaning(values, report);

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

/** What stands open already, for one reading: `vipfarm init | vipfarm check -c /dev/stdin`, `<(…)`. */
const OPEN_ALREADY = /^\/(dev\/(stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/;

/** The text of a file of at most {@link FILE_BYTES_MAX}. */
async function readBounded(path: string, isForDaemon: boolean): Promise<string> {
  // To open a named pipe waits for a writer, for ever if need be.
  const mayWait = !(await Deno.stat(path)).isFile;
  if (mayWait && (isForDaemon || !OPEN_ALREADY.test(path))) throw new RangeError("this is no regular file");
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
