import assert from "node:assert/strict";
import { echoOf, SentTimes } from "../../../src/membership/echo.ts";

Deno.test("an echo tells when the heartbeat was sent", () => {
  const times = new SentTimes();
  for (let sequence = 1; sequence <= 1000; sequence++) times.note(sequence, 10 * sequence);
  assert.equal(times.at(1000), 10_000);
  assert.equal(times.at(900), 9_000);
  assert.equal(times.at(700), undefined, "too long ago to be remembered");
  assert.equal(times.at(1001), undefined, "not sent yet");
  assert.equal(times.at(2 ** 32 - 1), undefined);
});

Deno.test("numbers beyond 32 bits are told apart by their end", () => {
  const times = new SentTimes(), first = 2 ** 32 - 2;
  for (let i = 0; i < 5; i++) times.note(first + i, i);
  for (let i = 0; i < 5; i++) assert.equal(times.at(echoOf(first + i)), i);
});

Deno.test("before the first heartbeat nothing is known", () => {
  assert.equal(new SentTimes().at(0), undefined);
  assert.equal(new SentTimes().at(5), undefined);
});
