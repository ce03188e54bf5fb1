import assert from "node:assert/strict";
import { measure } from "../../bench/checks.ts";

for (const kind of ["tcp", "http", "process"]) {
  Deno.test(`the benchmark of checks runs: ${kind}`, async () => {
    const { runsPerSecond, share, down } = await measure(kind, 20, 1);
    assert.equal(down, 0);
    assert.ok(runsPerSecond > 0 && runsPerSecond < 60, `${runsPerSecond} runs a second`);
    // What else the process does at this moment counts, too: other tests, the compiler, the garbage collector. Only
    // the number of processors is a bound, give or take a tick of the clock that the kernel accounts by.
    assert.ok(share > 0 && share < navigator.hardwareConcurrency + 0.1, `${share} of a core`);
  });
}
