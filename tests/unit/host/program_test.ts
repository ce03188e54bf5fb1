/** How vipfarm starts itself again. */
import assert from "node:assert/strict";
import { ENTRY_POINTS, entryPoint, isPacked } from "../../../src/entry_points.ts";
import { vipfarmArgv } from "../../../src/host/program.ts";
import { sourceFiles } from "../source_tree.ts";

Deno.test("every Worker is an entry point, and every entry point is there", () => {
  const workers = sourceFiles((path) => /^src\/.*\.worker\.ts$/.test(path)).map(({ path }) => path);
  assert.deepEqual(
    workers,
    ENTRY_POINTS.filter((name) => name.endsWith(".worker")).map((name) => `src/${name}.ts`).sort(),
  );
  for (const name of ENTRY_POINTS) assert.ok(Deno.statSync(entryPoint(name)).isFile, name);
});

Deno.test("no module of the program finds a file by its own place, which a packed program does not have", () => {
  // What is started by hand in a checkout, and what asks whether it is one.
  const allowed = ["src/entry_points.ts", "src/version.ts", "src/config/generate.ts", "src/cli/reference.ts"];
  const others = sourceFiles((path) => /^(src|ffi)\/.*\.tsx?$/.test(path) && !allowed.includes(path))
    .filter(({ text }) => /import\.meta\.(url|dirname|filename)/.test(text));
  assert.deepEqual(others.map(({ path }) => path), []);
});

Deno.test("a checkout starts itself, whatever program it was started by", () => {
  assert.equal(isPacked(), false);
  Deno.env.set("VIPFARM_EXECUTABLE", "/usr/bin/another");
  try {
    const [runtime, ...args] = vipfarmArgv("version");
    assert.equal(runtime, Deno.execPath());
    assert.match(args.join(" "), /^run -A --quiet \/.*\/src\/main\.ts version$/);
  } finally {
    Deno.env.delete("VIPFARM_EXECUTABLE");
  }
});
