import assert from "node:assert/strict";
import fc from "fast-check";
import { add, dueMs, EMPTY, failed, type Queue, sent, take, WAITING_MAX } from "../../../src/notify/queue.ts";

Deno.test("what comes out is what went in, in order, less what was dropped and counted", () => {
  const act = fc.oneof(
    { weight: 5, arbitrary: fc.constant("add" as const) },
    { weight: 3, arbitrary: fc.constant("take" as const) },
    fc.constant("sent" as const),
    fc.constant("failed" as const),
    fc.constant("hopeless" as const),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 600 }), fc.integer({ min: 1, max: 9 }), (acts, countMax) => {
      let queue: Queue<number> = EMPTY;
      let nowMs = 0, next = 0, onTheWay: readonly number[] = [];
      const arrived: number[] = [];
      for (const act of acts) {
        nowMs += 700;
        if (act === "add") queue = add(queue, next++);
        else if (act === "take") {
          const due = dueMs(queue);
          const taken = take(queue, nowMs, countMax);
          assert.equal(taken.items.length > 0, due !== undefined && due <= nowMs);
          queue = taken.queue;
          if (taken.items.length > 0) onTheWay = taken.items;
        } else if (onTheWay.length > 0) {
          if (act === "sent") arrived.push(...onTheWay);
          queue = act === "sent" ? sent(queue) : failed(queue, nowMs, act === "hopeless").queue;
          onTheWay = [];
        }
        assert.ok(queue.waiting.length <= WAITING_MAX);
        assert.deepEqual(arrived, [...new Set(arrived)].sort((a, b) => a - b));
        assert.equal(arrived.length + queue.waiting.length + queue.dropped, next);
      }
    }),
  );
});

Deno.test("attempts come after 1, 2, 4 s and so on, and end", () => {
  let queue: Queue<string> = add(EMPTY, "news");
  let nowMs = 0;
  const pauses: number[] = [];
  for (;;) {
    queue = take(queue, nowMs, 1).queue;
    const tried = failed(queue, nowMs, false);
    queue = tried.queue;
    if (tried.givenUp) break;
    pauses.push(dueMs(queue)! - nowMs);
    nowMs = dueMs(queue)!;
  }
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000]);
  assert.deepEqual([queue.waiting, queue.dropped], [[], 1]);
});
