/** From what the schema refuses to problems in the words of the file. */
import { type core } from "zod";
import { formatPath, formatValue, type Path, type Report } from "./problem.ts";
import { expectedAt, keysAt, LATER, schemaAt } from "./schema.ts";
import { suggest } from "./suggest.ts";

/** Turns one finding of the schema into problems in the file's own words. */
export function reportIssue(
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
  if (later) {
    const what = `\`${formatPath(path)}: ${value}\``;
    report({ path, message: `${what} is not in this version`, expected: expectedAt(path) });
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
      : `\`${formatPath(path)}\` is ${formatValue(value)}`,
    expected: meant ? `${expected}; did you mean \`${meant}\`?` : expected,
  });
}

const nameRule = "1 to 63 letters, digits, dots, underscores or hyphens";

function reportUnknownKey(path: Path, container: unknown, report: Report): void {
  const parent = path.slice(0, -1);
  const unknown = String(path.at(-1));
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

/** The value at `path`, or `undefined`. Only own properties count: a file may have a key `__proto__`. */
export function valueAt(content: unknown, path: Path): unknown {
  let value = content;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** A path as a key of a set. */
export function key(path: Path): string {
  return JSON.stringify(path);
}
