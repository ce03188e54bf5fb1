import assert from "node:assert/strict";
import { measure } from "../../bench/checks.ts";

for (const kind of ["tcp", "http", "process"]) {
  Deno.test(`the benchmark of checks runs: ${kind}`, async () => {
    const { runsPerSecond, share, down } = await measure(kind, 20, 1);
    assert.equal(down, 0);
    assert.ok(runsPerSecond > 5 && runsPerSecond < 60, `${runsPerSecond} runs a second`);
    assert.ok(share > 0 && share < 1, `${share} of a core`);
  });
}
