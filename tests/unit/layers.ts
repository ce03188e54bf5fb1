/** The rule that imports point one way (src/README.md tells why), as data and as a check over files. */
import { posix } from "node:path";
import { importedSpecifiers, type SourceFile, withoutComments } from "./source_tree.ts";

/**
 * The layers from the bottom up. A module may import its own and those of lower rows; modules of one row do not
 * know each other.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ["core", "entry_points"],
  ["wire", "ffi", "config", "version"],
  ["ownership", "import"],
  ["membership"],
  ["dataplane", "host"],
  ["health", "application", "notify"],
  ["admin"],
  ["supervisor"],
  ["app"],
  ["lab"],
  ["cli"],
  ["main"],
];

/** The lab runs the daemon as a process, from outside: it knows less than its row allows. */
const ONLY: Readonly<Record<string, readonly string[]>> = { lab: ["core", "ffi", "host", "wire"] };

/** Pure modules: the same input gives the same output, so that they run under a simulator. */
export const PURE_MODULES = ["ownership", "membership"];

/** The pure parts of modules that also act. */
export const PURE_FILES = ["damping", "demands", "dns_message", "health_events", "http_answer", "rules"].map((
  name,
) => `src/health/${name}.ts`);

/** What a pure module may not name: each reaches a clock, a socket, a timer or chance. */
const IMPURE =
  /\bDeno\.|\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\bfetch\(|\bcrypto\.(?:getRandomValues|randomUUID)\b|\brandomBytes\b|\bnode:(?:fs|net|dgram|http|os|child_process|timers)\b/g;

/** The module of a path of ours; undefined for what is no part of the program (tests). */
export function moduleOf(path: string): string | undefined {
  if (path === "src/main.ts") return "main";
  if (path === "src/version.ts") return "version";
  if (path === "src/entry_points.ts") return "entry_points";
  if (path.startsWith("ffi/")) return "ffi";
  const [top, module, rest] = path.split("/");
  if (top !== "src" || module === undefined) return undefined;
  // Files right under src, and the control thread's, put the parts together: the application and its workers.
  return rest === undefined || module === "control" ? "app" : module;
}

function rank(module: string): number {
  return LAYERS.findIndex((row) => row.includes(module));
}

/** What is wrong with one module's import of another; undefined if nothing is. */
export function violation(from: string, to: string): string | undefined {
  if (from === to) return undefined;
  if (rank(from) < 0) return `${from} is in no layer: give it one in tests/unit/layers.ts`;
  if (rank(to) < 0) return `${to} is in no layer: give it one in tests/unit/layers.ts`;
  const only = ONLY[from];
  if (only !== undefined) return only.includes(to) ? undefined : `${from} may import only ${only.join(", ")}`;
  if (rank(to) === rank(from)) return `${from} and ${to} are of one layer and must not know each other`;
  return rank(to) < rank(from) ? undefined : `${from} is below ${to}`;
}

/** Every import among these files that points the wrong way. */
export function layerViolations(files: readonly SourceFile[]): string[] {
  const found: string[] = [];
  for (const { path, text } of files) {
    const from = moduleOf(path);
    if (from === undefined) continue;
    for (const specifier of importedSpecifiers(text)) {
      // Packages, and data that has no imports of its own.
      if (!specifier.startsWith(".") || specifier.endsWith(".json")) continue;
      const target = posix.join(posix.dirname(path), specifier);
      const to = moduleOf(target);
      const problem = to === undefined ? `${target} is no part of the program` : violation(from, to);
      if (problem !== undefined) found.push(`${path} imports ${specifier}: ${problem}`);
    }
  }
  return found;
}

/** Every use of a clock, a socket, a timer or chance in the pure modules. */
export function impurities(files: readonly SourceFile[]): string[] {
  return files.filter(({ path }) => PURE_MODULES.includes(moduleOf(path) ?? "") || PURE_FILES.includes(path))
    .flatMap(({ path, text }) => {
      const uses = [...withoutComments(text).matchAll(IMPURE)].map(([use]) => `${path} uses ${use}`);
      const imports = importedSpecifiers(text).filter((specifier) =>
        moduleOf(posix.join(posix.dirname(path), specifier)) === "ffi"
      );
      return [...uses, ...imports.map((specifier) => `${path} imports ${specifier}`)];
    });
}
