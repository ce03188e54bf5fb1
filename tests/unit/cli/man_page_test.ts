/** The man page, made from the command line. */
import assert from "node:assert/strict";
import { manPage } from "../../../src/cli/man_page.ts";
import { terminal } from "../../../src/cli/output.ts";
import { buildProgram } from "../../../src/cli/program.ts";

const page = manPage(buildProgram(terminal()), { version: "1.2.3", date: "2026-01-02" });

Deno.test("the man page has a section for every verb that help lists, and none for hidden ones", () => {
  for (const verb of ["run", "check", "explain", "status", "drain", "weight", "keygen", "demo", "version"]) {
    assert.match(page, new RegExp(`^\\.SS vipfarm ${verb} `, "m"));
  }
  assert.ok(!page.includes("lab\\-program"));
});

Deno.test("the man page has options, notes and examples", () => {
  assert.match(page, /^\.B \\-c, \\-\\-config <FILE>$/m);
  assert.match(page, /vipfarm run \\-c /);
  assert.match(page, /Exit codes: 0 done/);
});

Deno.test("no line of text is taken for a macro", () => {
  const macros = /^\.(TH|SH|SS|TP|PP|B|nf|fi)\b/;
  const lines = page.split("\n").filter((line) => /^[.']/.test(line) && !macros.test(line));
  assert.deepEqual(lines, []);
});
