import assert from "node:assert/strict";
import { endOfList, processorsPossible } from "../../../src/host/processors.ts";

Deno.test("the kernel's lists of processors are read to their end", () => {
  assert.equal(endOfList("0\n"), 1);
  assert.equal(endOfList("0-63\n"), 64);
  assert.equal(endOfList("0-3,8-11\n"), 12);
  assert.equal(endOfList("0-3,7\n"), 8);
});

Deno.test("all processors of this machine are below the number that may be", () => {
  const running = [...Deno.readTextFileSync("/proc/stat").matchAll(/^cpu(\d+) /gm)].map(([, number]) =>
    +number
  );
  assert.ok(running.length > 0);
  assert.ok(Math.max(...running) < processorsPossible());
});
