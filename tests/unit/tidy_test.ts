/** Rules about the repository's own files that a reader should be able to rely on. */
import assert from "node:assert/strict";
import { importedSpecifiers, sourceFiles } from "./source_tree.ts";

/** A file that is longer does not fit in the head any more. */
const FILE_LINES_MAX = 500;

const text = sourceFiles((path) =>
  /\.(ts|tsx|md|ya?ml|json|sh|service|py|c|css|html|conf)$|^\.ci\//.test(path)
);
const typescript = text.filter(({ path }) => /\.tsx?$/.test(path));

/** `path:line` of every match, so that it can be jumped to. */
function places(files: typeof text, pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, i) => pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])
  );
}

Deno.test("no source file is longer than fits in the head", () => {
  assert.ok(typescript.length > 0, "no source file was found");
  const long = typescript.map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX);
  assert.deepEqual(long, []);
});

Deno.test("nothing is left to be done later", () => {
  // Put together here, so that this file does not find itself.
  assert.deepEqual(
    places(text, new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`)),
    [],
  );
});

Deno.test("no file names a place of the machine on which it was written", () => {
  const homes = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/[a-z]", "/tmp" + "/vf", "_np" + "x/"];
  assert.deepEqual(places(text, new RegExp(`(^|[\\s"'\`=(:])(${homes.join("|")})`)), []);
});

Deno.test("every file of ffi begins with a comment that says its job", () => {
  const silent = typescript.filter(({ path }) => path.startsWith("ffi/")).filter(({ text }) =>
    !/^\/(\*\*?|\/)\s*\S/.test(text)
  );
  assert.deepEqual(silent.map(({ path }) => path), []);
});

Deno.test("every test file asserts something", () => {
  const tests = typescript.filter(({ path }) => path.endsWith("_test.ts"));
  assert.ok(tests.length > 0, "no test file was found");
  const idle = tests.filter(({ text }) =>
    !/\bDeno\.test\b/.test(text) || !/\bassert\w*\b[.(]|\bfc\.assert\(/.test(text)
  );
  assert.deepEqual(idle.map(({ path }) => path), []);
});

Deno.test("no test waits for a fixed time", () => {
  const tests = typescript.filter(({ path }) => path.endsWith("_test.ts"));
  assert.deepEqual(places(tests, /await (?:delay|sleep)\(\s*[\d_]+\s*\)/), []);
});

/** The packages of deno.json by name: `hono/` is a second entry for the same package as `hono`. */
function dependencies(): string[] {
  const { imports } = JSON.parse(sourceFiles((path) => path === "deno.json")[0].text);
  return [...new Set(Object.keys(imports).map((name) => name.replace(/\/$/, "")))];
}

Deno.test("every dependency is imported somewhere", () => {
  const used = new Set(typescript.flatMap(({ text }) => importedSpecifiers(text)));
  const idle = dependencies().filter((name) =>
    ![...used].some((specifier) => specifier === name || specifier.startsWith(`${name}/`))
  );
  assert.deepEqual(idle, []);
});

Deno.test("every dependency is explained in src/README.md", () => {
  const readme = sourceFiles((path) => path === "src/README.md")[0];
  assert.ok(readme, "src/README.md is missing: it says why each dependency is there");
  assert.deepEqual(dependencies().filter((name) => !readme.text.includes(name)), []);
});

Deno.test("every import of a package is by its name in deno.json", () => {
  const byUrl = typescript.flatMap(({ path, text }) =>
    importedSpecifiers(text).filter((specifier) => /^(npm|jsr|https?):/.test(specifier)).map((specifier) =>
      `${path} imports ${specifier}`
    )
  );
  assert.deepEqual(byUrl, []);
});
