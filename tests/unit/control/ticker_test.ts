import assert from "node:assert/strict";
import { TICK_MS, Ticker } from "../../../src/control/ticker.ts";

Deno.test("work is done at every tick, in order, until it is ended", async () => {
  const ticker = new Ticker();
  const done: string[] = [];
  const second = Promise.withResolvers<void>();
  ticker.onTick(() => done.push("always"));
  const endOnce = ticker.onTick(() => {
    done.push("once");
    endOnce();
  });
  ticker.onTick(() => done.length === 3 && second.resolve());
  try {
    await second.promise;
    assert.deepEqual(done, ["always", "once", "always"]);
  } finally {
    ticker.close();
  }
});

Deno.test("a thread that was busy shows as lateness of its ticks", async () => {
  let nowMs = 0;
  const ticker = new Ticker(() => nowMs);
  try {
    assert.equal(ticker.latenessMsMax, 0);
    const ticked = Promise.withResolvers<void>();
    ticker.onTick(() => ticked.resolve());
    nowMs = TICK_MS + 70;
    await ticked.promise;
    assert.equal(ticker.latenessMsMax, 70);
  } finally {
    ticker.close();
  }
});
