/**
 * Part of `deno task schema`: writes docs/reference from the definitions that the program itself works with: the schema of the
 * configuration and the command line. A test holds the files up to date.
 */
import { jsonSchema } from "../config/schema.ts";
import { DURATION_PATTERN, NAME_PATTERN } from "../config/values.ts";
import { notesOf, sentence, verbHelps } from "./help_text.ts";
import { terminal } from "./output.ts";
import { buildProgram } from "./program.ts";

/** The parts of a JSON Schema that the configuration uses. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** A list of schemas: those of the first elements, as a path with its arguments has them. */
  readonly items?: Schema | readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
}

/** The generated pages by their path from the top of the repository. */
export function referencePages(): Record<string, string> {
  return {
    "docs/reference/configuration.md": configurationPage(jsonSchema() as Schema),
    "docs/reference/cli.md": commandLinePage(),
  };
}

// ---- configuration ----

const CONFIGURATION_HEAD = `# Configuration

One YAML file, the same on every node. Every key, with what it may be and its default; a key in bold must be there. \`vipfarm check\` names
every mistake with line and column; \`config/vipfarm.schema.json\` lets an editor complete and check while you type.

What comes up often:

- a **duration** is a number with its unit, without a space between: \`100ms\`, \`1.5s\`, \`5m\`, \`1h\`. It comes to whole milliseconds.
- a **name** has 1 to 63 letters, digits, dots, underscores or hyphens; in quotes if it looks like a number. An interface is named as the
  host names it.
- an **address** is IPv4 or IPv6, without prefix length; IPv6 in quotes where YAML would read it otherwise.
- a file that is named without a leading \`/\` is looked for beside this one.

This page is made from the schema (\`deno task schema\`).
`;

function configurationPage(schema: Schema): string {
  const tables = sections(schema, "").map(({ path, description, rows }) =>
    [
      path === "" ? "## Top level" : `## \`${path}\``,
      "",
      ...(description ? [sentence(description), ""] : []),
      "| key | is | default | meaning |",
      "| --- | --- | --- | --- |",
      ...rows,
      "",
    ].join("\n")
  );
  return `${CONFIGURATION_HEAD}\n${tables.join("\n")}`;
}

interface Section {
  readonly path: string;
  readonly description?: string;
  readonly rows: readonly string[];
}

/** A table for each mapping, in the order of the file; what is nested comes after what it is nested in. */
function sections(schema: Schema, path: string): Section[] {
  const properties = Object.entries(schema.properties ?? {});
  const rows = properties.map(([key, value]) => {
    const name = schema.required?.includes(key) ? `**\`${key}\`**` : `\`${key}\``;
    const given = value.default === undefined ? "" : `\`${plain(value.default)}\``;
    return `| ${name} | ${cell(kindOf(value))} | ${given} | ${cell(value.description ?? "")} |`;
  });
  const nested = properties.flatMap(([key, value]) =>
    mappingsIn(value, path === "" ? key : `${path}.${key}`).flatMap(({ mapping, at }) =>
      sections(mapping, at)
    )
  );
  return [{ path, description: path === "" ? undefined : schema.description, rows }, ...nested];
}

/** The mappings that a value may be or hold, with the place at which they stand. */
function mappingsIn(value: Schema, at: string): Array<{ mapping: Schema; at: string }> {
  if (value.properties !== undefined) return [{ mapping: value, at }];
  if (value.items !== undefined) return [value.items].flat().flatMap((each) => mappingsIn(each, `${at}[]`));
  if (typeof value.additionalProperties === "object") {
    return mappingsIn(value.additionalProperties, `${at}.NAME`);
  }
  return (value.anyOf ?? []).flatMap((each) => mappingsIn(each, at));
}

/** What a value is, in words. */
function kindOf(value: Schema): string {
  if (value.enum !== undefined) return value.enum.map((each) => `\`${each}\``).join(", ");
  if (value.const !== undefined) return `\`${plain(value.const)}\``;
  if (value.pattern === DURATION_PATTERN.source) return "duration";
  if (value.pattern === NAME_PATTERN.source) return "name";
  if (value.type === "array") return `list: ${listed(value.items)}`;
  if (value.properties !== undefined) return "mapping";
  if (typeof value.additionalProperties === "object") {
    return `mapping of names: ${kindOf(value.additionalProperties)}`;
  }
  if (value.anyOf?.every(({ format }) => format === "ipv4" || format === "ipv6")) return "address";
  if (value.anyOf !== undefined) return [...new Set(value.anyOf.map(kindOf))].join(" or ");
  if (value.type === "integer") return bounds(value);
  if (value.format === "uri") return "URL";
  return { string: "text", boolean: "`true`, `false`" }[value.type ?? ""] ?? value.type ?? "anything";
}

/** What the elements are, each kind once: a path and its arguments are all text. */
function listed(items: Schema["items"]): string {
  return [...new Set([items ?? {}].flat().map(kindOf))].join(", ");
}

function bounds({ minimum, maximum }: Schema): string {
  return minimum === undefined || maximum === undefined ? "whole number" : `${minimum} to ${maximum}`;
}

/** As it would stand in the file. */
function plain(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

// ---- command line ----

function commandLinePage(): string {
  const program = buildProgram(terminal());
  const verbs = verbHelps(program).map((verb) => {
    const options = verb.options.filter(({ flags }) => flags !== "-h, --help");
    return [
      `## \`vipfarm ${verb.usage}\``,
      "",
      sentence(verb.description),
      "",
      ...table("argument", verb.arguments.map(({ name, description }) => [name, description])),
      ...table("option", options.map(({ flags, description }) => [flags, description])),
      ...(verb.notes === "" ? [] : [literal(verb.notes)]),
    ].join("\n");
  });
  return [
    "# Command line\n",
    `${sentence(program.description())}\n`,
    literal(notesOf(program)),
    "This page is made from the command line itself (`deno task schema`); `vipfarm help VERB` says the same.\n",
    ...verbs,
  ].join("\n");
}

function table(head: string, rows: ReadonlyArray<readonly [string, string]>): string[] {
  if (rows.length === 0) return [];
  return [
    `| ${head} | |`,
    "| --- | --- |",
    ...rows.map(([name, text]) => `| \`${cell(name)}\` | ${cell(text)} |`),
    "",
  ];
}

function literal(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\`\n`;
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(referencePages())) {
    const file = new URL(`../../${path}`, import.meta.url);
    Deno.mkdirSync(new URL("./", file), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
}
