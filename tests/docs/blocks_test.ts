/** Every block of the documentation is tried or says why not; the files in it are valid. */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { parseConfig } from "../../src/config/load.ts";
import { ROOT } from "../unit/source_tree.ts";
import { blocksOf, commandsOf, isExpected, pages } from "./blocks.ts";

/** What a part is put into. */
const BASE = {
  farm: "web",
  secret_file: "/etc/vipfarm/secret",
  interface: "eth0",
  virtual_ips: [{ address: "192.0.2.100" }],
  services: [{ name: "http", ports: [80, 443] }],
};

Deno.test("every block is run, or says why it is not", () => {
  const blocks = pages().flatMap((page) => page.blocks);
  assert.ok(blocks.length > 20);
  const idle = blocks.filter(({ language, notRun }) =>
    notRun === undefined && !["yaml", "console"].includes(language)
  );
  assert.deepEqual(idle.map(({ place, language }) => `${place}: ${language}`), []);
  for (const block of blocks) {
    if (block.language === "console" && block.notRun === undefined) commandsOf(block);
  }
});

for (const { name, blocks } of pages()) {
  const files = blocks.filter(({ language, notRun }) => language === "yaml" && notRun === undefined);
  Deno.test({ name: `the ${files.length} files of ${name} are valid`, ignore: files.length === 0 }, () => {
    for (const { place, text } of files) {
      const values = parse(text);
      const whole = "farm" in values ? text : stringify({ ...BASE, ...values });
      assert.deepEqual(
        parseConfig(whole, place).problems.filter(({ severity }) => severity === "error"),
        [],
        place,
      );
    }
  });
}

Deno.test("links between the pages, and to files of the repository, lead somewhere", () => {
  for (const directory of ["docs", "docs/reference"]) {
    for (const { name } of Deno.readDirSync(`${ROOT}${directory}`)) {
      if (!name.endsWith(".md")) continue;
      const text = Deno.readTextFileSync(`${ROOT}${directory}/${name}`);
      for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
        assert.ok(Deno.statSync(new URL(target, `file://${ROOT}${directory}/`)), `${name}: ${target}`);
      }
    }
  }
});

Deno.test("blocks, prompts and expected output are read as they are meant", () => {
  const [one, two] = blocksOf(
    "a\n```yaml\nx: 1\n```\n<!-- not run: no host -->\n```sh\nreboot\n```\n",
    "p.md",
  );
  assert.deepEqual(one, { place: "p.md:2", language: "yaml", text: "x: 1" });
  assert.equal(two.notRun, "no host");
  const console = { place: "p.md:1", language: "console", text: "n1# vipfarm status\nweb  …\nclient$ true" };
  assert.deepEqual(commandsOf(console), [
    { where: "n1", text: "vipfarm status", output: ["web  …"] },
    { where: "client", text: "true", output: [] },
  ]);
  assert.ok(isExpected("before\nweb   50.0 %\nafter\n", ["web …"]));
  assert.ok(isExpected("a\nb\nc\nd\n", ["a", "…", "d"]));
  assert.ok(!isExpected("web\n", ["wep"]));
  assert.ok(!isExpected("b\na\n", ["a", "b"]));
  for (const share of ["32.9", "33.3", "34.0"]) {
    assert.ok(isExpected(`n1  ${share}%  up\n`, ["n1 33.3%…"]), share);
  }
  for (const share of ["31.9", "35.0", "3.3", "33"]) {
    assert.ok(!isExpected(`n1  ${share}%  up\n`, ["n1 33.3%…"]), share);
  }
});
