/** The repository's own files, for the tests that hold rules about them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Never part of the sources: version control, and what .gitignore leaves out. */
const LEFT_OUT = new Set([".git", "node_modules", "dist", "coverage"]);

export interface SourceFile {
  /** Path from the repository's root, with slashes: `src/core/errors.ts`. */
  readonly path: string;
  readonly text: string;
}

function* walk(directory: string): Generator<string> {
  for (const entry of readdirSync(ROOT + directory, { withFileTypes: true })) {
    if (LEFT_OUT.has(entry.name)) continue;
    const path = directory + entry.name;
    if (entry.isDirectory()) yield* walk(`${path}/`);
    else if (entry.isFile()) yield path;
  }
}

/** Every file of the tree whose path passes the filter, in a fixed order. */
export function sourceFiles(filter: (path: string) => boolean): SourceFile[] {
  return [...walk("")].filter(filter).sort().map((path) => ({
    path,
    text: readFileSync(ROOT + path, "utf8"),
  }));
}

/** Source text without its comments. String literals are kept, also those that hold `//`. */
export function withoutComments(text: string): string {
  return text.replaceAll(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_, literal: string | undefined) => literal ?? " ",
  );
}

/** A module that a file names: the specifier as written. */
export function importedSpecifiers(text: string): string[] {
  const code = withoutComments(text);
  const patterns = [
    /\b(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/g,
    /\bimport\s*["']([^"']+)["']/g,
    /\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g,
    // How a Worker's module is named. The URL of another file is no import: the lab starts main.ts as a process.
    /\bnew\s+URL\s*\(\s*["'`]([^"'`]+\.worker\.ts)["'`]\s*,\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) => [...code.matchAll(pattern)].map(([, specifier]) => specifier));
}
