import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Turns } from "../../../src/admin/turns.ts";

Deno.test("many requests at once leave room for others between them, come in order, and are bounded", async () => {
  const turns = new Turns();
  const done: number[] = [];
  const doneAtTurn: number[] = [];
  const asked = Array.from({ length: 1_200 }, async (_, index) => {
    if (!await turns.take()) return false;
    done.push(index);
    return true;
  });
  while (done.length < 1_040) {
    await new Promise<void>((next) => setImmediate(() => next()));
    doneAtTurn.push(done.length);
  }
  const granted = await Promise.all(asked);
  assert.equal(granted.filter(Boolean).length, 16 + 1_024);
  assert.deepEqual(done, done.toSorted((a, b) => a - b));
  for (const [turn, count] of doneAtTurn.entries()) {
    assert.ok(count - (doneAtTurn[turn - 1] ?? 16) <= 32, `${count} after turn ${turn}`);
  }
});
