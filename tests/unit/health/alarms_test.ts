import assert from "node:assert/strict";
import { Alarms } from "../../../src/health/alarms.ts";

Deno.test("alarms ring in their order, never early, together where they fall into one step, and not when taken back", async () => {
  const alarms = new Alarms(() => performance.now());
  const startMs = performance.now();
  const rung: Array<[name: string, atMs: number, turn: number]> = [];
  let turn = 0;
  const last = Promise.withResolvers<void>();
  const ring = (name: string) => () => {
    rung.push([name, performance.now() - startMs, turn]);
    // A promise's continuation comes before the next timer.
    queueMicrotask(() => turn++);
  };
  const step = Math.ceil(startMs / 25 + 3) * 25 - startMs;
  const takeBack = alarms.at(startMs + 40, ring("taken back"));
  alarms.at(startMs + step, ring("b"));
  alarms.at(startMs + step - 1, ring("a"));
  alarms.at(startMs, () => {
    ring("at once")();
    alarms.at(startMs + step + 100, () => last.resolve());
  });
  takeBack();
  await last.promise;
  assert.deepEqual(rung.map(([name]) => name), ["at once", "b", "a"]);
  assert.ok(rung[1][1] >= step && rung[2][1] >= step - 1);
  assert.equal(rung[1][2], rung[2][2], "one wake-up for both");
  alarms.at(performance.now(), () => assert.fail("it rang after the end"));
  alarms.close();
});
