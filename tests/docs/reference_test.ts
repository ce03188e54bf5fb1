/** The generated pages of the documentation. */
import assert from "node:assert/strict";
import { referencePages } from "../../src/cli/reference.ts";
import { ROOT } from "../unit/source_tree.ts";

for (const [path, text] of Object.entries(referencePages())) {
  Deno.test(`${path} is what the program says now; if not: deno task schema`, () => {
    assert.equal(Deno.readTextFileSync(`${ROOT}${path}`), text);
  });
}

Deno.test("every section of the configuration and every verb has its place", () => {
  const { "docs/reference/configuration.md": configuration, "docs/reference/cli.md": cli } = referencePages();
  for (
    const section of [
      "heartbeat",
      "services[]",
      "virtual_ips[]",
      "nodes.NAME",
      "checks[].http",
      "application.recovery",
      "admin",
    ]
  ) {
    assert.ok(configuration.includes(`\n## \`${section}\`\n`), section);
  }
  for (const verb of ["run", "init", "status", "drain", "import"]) {
    assert.match(cli, new RegExp(`\n## \`vipfarm ${verb} `));
  }
});

Deno.test("every key of the configuration says what it may be and what it means", () => {
  const { "docs/reference/configuration.md": page } = referencePages();
  for (const [row, what, meaning] of page.matchAll(/^\| \**`[^|]*\| ([^|]*) \|[^|]*\| ([^|]*) ?\|$/gm)) {
    assert.doesNotMatch(what, /^$|anything/, row);
    assert.notEqual(meaning.trim(), "", row);
  }
  for (const [row] of page.matchAll(/^\| `[^`]*` \| duration \|.*$/gm)) {
    assert.match(row, / \d+(s|ms) to \d+(s|m|h)\b|at least \d+ms/, row);
  }
});
