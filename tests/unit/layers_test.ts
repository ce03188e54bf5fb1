import assert from "node:assert/strict";
import { impurities, layerViolations, moduleOf } from "./layers.ts";
import { importedSpecifiers, sourceFiles } from "./source_tree.ts";

const program = sourceFiles((path) => /\.tsx?$/.test(path) && /^(src|ffi)\//.test(path));

Deno.test("imports point one way", () => {
  assert.ok(program.length > 0, "no source file was found");
  assert.deepEqual(layerViolations(program), []);
});

Deno.test("the pure modules reach no clock, socket, timer or chance", () => {
  assert.deepEqual(impurities(program), []);
});

const file = (path: string, text: string) => [{ path, text }];

Deno.test("an import that points upwards is caught, in whatever form it is written", () => {
  for (
    const text of [
      'import { build } from "../membership/view.ts";',
      'import type {\n  View,\n} from "../membership/view.ts";',
      'export * from "../membership/view.ts";',
      'import "../membership/view.ts";',
      'const view = await import("../membership/view.ts");',
    ]
  ) {
    assert.deepEqual(layerViolations(file("src/wire/arp.ts", text)), [
      "src/wire/arp.ts imports ../membership/view.ts: wire is below membership",
    ]);
  }
});

Deno.test("a Worker's module counts as an import, the path of a program that is started does not", () => {
  const worker = 'new Worker(new URL("../dataplane.worker.ts", import.meta.url), { type: "module" });';
  assert.equal(layerViolations(file("src/dataplane/loop.ts", worker)).length, 1);
  assert.equal(layerViolations(file("src/lab/node.ts", 'new URL("../main.ts", import.meta.url)')).length, 0);
});

Deno.test("modules of one layer must not know each other", () => {
  assert.equal(layerViolations(file("src/wire/arp.ts", 'import "../../ffi/libc.ts";')).length, 1);
  assert.equal(layerViolations(file("src/host/vip.ts", 'import "../dataplane/shared.ts";')).length, 1);
});

Deno.test("the lab knows only what it is allowed to", () => {
  assert.equal(layerViolations(file("src/lab/lab.ts", 'import "../host/vip.ts";')).length, 0);
  assert.equal(layerViolations(file("src/lab/lab.ts", 'import "../config/load.ts";')).length, 1);
});

Deno.test("the program imports no test, and a folder without a layer is refused", () => {
  assert.equal(layerViolations(file("src/core/a.ts", 'import "../../tests/setup.ts";')).length, 1);
  assert.match(layerViolations(file("src/misc/a.ts", 'import "../core/errors.ts";'))[0], /in no layer/);
});

Deno.test("imports that point downwards, packages and comments are fine", () => {
  const text = `
    // import "../app.ts";
    /* import "../admin/server.ts"; */
    import { z } from "zod";
    import { VipfarmError } from "../core/errors.ts";
    const address = "http://192.0.2.1/"; // not a comment before this
  `;
  assert.deepEqual(layerViolations(file("src/config/load.ts", text)), []);
  assert.deepEqual(importedSpecifiers(text), ["zod", "../core/errors.ts"]);
});

Deno.test("each file has its module", () => {
  assert.equal(moduleOf("src/main.ts"), "main");
  assert.equal(moduleOf("src/app.ts"), "app");
  assert.equal(moduleOf("src/dataplane.worker.ts"), "app");
  assert.equal(moduleOf("src/control/farm.ts"), "app");
  assert.equal(moduleOf("src/version.ts"), "version");
  assert.equal(moduleOf("src/core/errors.ts"), "core");
  assert.equal(moduleOf("src/admin/console/page.ts"), "admin");
  assert.equal(moduleOf("ffi/libc.ts"), "ffi");
  assert.equal(moduleOf("tests/setup.ts"), undefined);
});

Deno.test("a clock, chance or a system call in a pure module is caught, one in a comment is not", () => {
  assert.deepEqual(impurities(file("src/membership/view.ts", "const now = Date.now(); // Math.random()")), [
    "src/membership/view.ts uses Date.now",
  ]);
  assert.equal(
    impurities(file("src/ownership/table.ts", 'import { libc } from "../../ffi/libc.ts";')).length,
    1,
  );
  assert.equal(impurities(file("src/app.ts", "setTimeout(() => {}, 1);")).length, 0);
});
