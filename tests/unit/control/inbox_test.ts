import assert from "node:assert/strict";
import { Inbox } from "../../../src/control/inbox.ts";

type Message = { do: string; n: number };

function inbox(): { inbox: Inbox<Message>; take: (kind: string, n: number) => void } {
  const made = new Inbox<Message>((message) => message.do);
  return { inbox: made, take: (kind, n) => made.take({ do: kind, n }) };
}

Deno.test("a handler gets every message of its kind in order, those that came before it first", () => {
  const { inbox: box, take } = inbox();
  const got: number[] = [];
  take("record", 1);
  take("go", 2);
  take("record", 3);
  box.on("record", ({ n }) => got.push(n));
  take("record", 4);
  assert.deepEqual(got, [1, 3, 4]);
  assert.equal(box.keptCount, 1);
});

Deno.test("who waits for a message gets one, whether it has come or comes, and nothing is kept of it", async () => {
  const { inbox: box, take } = inbox();
  take("go", 1);
  assert.equal((await box.once("go")).n, 1);
  const second = box.once("go");
  take("go", 2);
  assert.equal((await second).n, 2);
  assert.equal(box.keptCount, 0);
});
