/** The examples in config/examples, and the scripts that they use. */
import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";

const EXAMPLES = new URL("../../../config/examples/", import.meta.url);
const SCRIPTS = new URL("../../../config/scripts/", import.meta.url);
/** Where an example expects the scripts. */
const INSTALLED = "/etc/vipfarm/scripts/";
const names = (directory: URL) => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();

for (const name of names(EXAMPLES)) {
  Deno.test(`${name}: valid, and its scripts are there`, () => {
    const text = Deno.readTextFileSync(new URL(name, EXAMPLES));
    const { config, problems } = parseConfig(text, name);
    assert.deepEqual(problems, []);
    assert.ok(config?.application !== undefined && config.checks.checks.length > 0);
    const used = [...text.matchAll(new RegExp(`${INSTALLED}([\\w.-]+)`, "g"))].map(([, script]) => script);
    assert.ok(used.length > 0 || config.application.systemdUnit !== undefined);
    for (const script of used) assert.ok(names(SCRIPTS).includes(script), script);
  });
}

for (const name of names(SCRIPTS)) {
  Deno.test(`${name}: a POSIX shell script that says what it is`, async () => {
    const url = new URL(name, SCRIPTS);
    assert.match(Deno.readTextFileSync(url), /^#!\/bin\/sh\n# [A-Z]/);
    assert.equal((Deno.statSync(url).mode ?? 0) & 0o111, 0o111);
    for (const [program, ...args] of [["sh", "-n"], ["shellcheck", "--severity=style"]]) {
      try {
        const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args, url.pathname] })
          .output();
        assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        console.log(`skipped: ${program} is not installed`);
      }
    }
  });
}
