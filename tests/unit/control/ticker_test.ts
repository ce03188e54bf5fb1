import assert from "node:assert/strict";
import { TICK_MS, Ticker } from "../../../src/control/ticker.ts";

Deno.test("work is done at its interval, all of it at the same moments, until it is ended", async () => {
  const ticker = new Ticker();
  const done: string[] = [];
  const third = Promise.withResolvers<void>();
  const endSeldom = ticker.every(2 * TICK_MS, () => done.push("seldom"));
  ticker.every(TICK_MS, () => done.push("often"));
  ticker.every(3 * TICK_MS, () => third.resolve());
  const endOnce = ticker.every(TICK_MS, () => {
    done.push("once");
    endOnce();
  });
  try {
    await third.promise;
    assert.deepEqual(done, ["often", "once", "seldom", "often", "often"]);
    endSeldom();
    const fourth = Promise.withResolvers<void>();
    ticker.every(4 * TICK_MS, () => fourth.resolve());
    await fourth.promise;
    assert.deepEqual(done.slice(5), ["often"]);
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
    ticker.every(TICK_MS, () => ticked.resolve());
    nowMs = TICK_MS + 70;
    await ticked.promise;
    assert.equal(ticker.latenessMsMax, 70);
  } finally {
    ticker.close();
  }
});
