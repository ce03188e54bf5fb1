import assert from "node:assert/strict";
import fc from "fast-check";
import { EventLog } from "../../../src/admin/event_log.ts";
import type { FarmEventInit } from "../../../src/core/events.ts";

const event = (message: string): FarmEventInit => ({ severity: "info", kind: "test.happened", message });

Deno.test("events are numbered from 1, dated and counted by severity", () => {
  const log = new EventLog({ now: () => new Date("2030-01-02T03:04:05Z") });
  log.record(event("a"));
  log.record({ ...event("b"), severity: "error", node: "n2", details: { x: 1 } });
  assert.deepEqual(log.list().events, [
    { id: 1, at: "2030-01-02T03:04:05.000Z", severity: "info", kind: "test.happened", message: "a" },
    {
      id: 2,
      at: "2030-01-02T03:04:05.000Z",
      severity: "error",
      kind: "test.happened",
      message: "b",
      node: "n2",
      details: { x: 1 },
    },
  ]);
  assert.deepEqual(log.counts(), [
    { severity: "info", kind: "test.happened", count: 1 },
    { severity: "error", kind: "test.happened", count: 1 },
  ]);
});

Deno.test("the ring keeps the newest events, and a reader learns how many it missed", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 0, max: 60 }),
    fc.integer({ min: -5, max: 80 }),
    (capacity, count, after) => {
      const log = new EventLog({ capacity });
      for (let i = 0; i < count; i++) log.record(event(`${i + 1}`));
      const { events, missed } = log.list(after);
      const from = Math.min(Math.max(after, 0), count);
      const expected = Array.from({ length: count }, (_, i) => i + 1).filter((id) => id > from);
      assert.deepEqual(events.map(({ id }) => id), expected.slice(-capacity));
      assert.equal(missed, expected.length - events.length);
      assert.deepEqual(events.map(({ message }) => message), events.map(({ id }) => `${id}`));
    },
  ));
});

Deno.test("a cursor resumes in the same run, and means everything in another", () => {
  const log = new EventLog({ now: () => new Date(1_000_000) });
  for (let i = 0; i < 5; i++) log.record(event("x"));
  assert.equal(log.position(log.cursor(3)), 3);
  assert.equal(log.position(log.cursor(99)), 5);
  const earlier = new EventLog({ now: () => new Date(5) });
  for (const other of [undefined, "", "3", "nonsense", earlier.cursor(3)]) {
    assert.equal(log.position(other), 0);
  }
});

Deno.test("a subscription gives what came, then waits for what comes", async () => {
  const log = new EventLog();
  log.record(event("old"));
  const reader = log.subscribe(0);
  assert.deepEqual((await reader.next(1000))?.events.map(({ message }) => message), ["old"]);
  const waiting = reader.next(60_000);
  log.record(event("new"));
  assert.deepEqual((await waiting)?.events.map(({ message }) => message), ["new"]);
  assert.equal(await reader.next(1), undefined);
  reader.close();
});

Deno.test("closing a subscription ends a wait, and it gives nothing after that", async () => {
  const log = new EventLog();
  const reader = log.subscribe();
  const waiting = reader.next(60_000);
  reader.close();
  assert.equal(await waiting, undefined);
  log.record(event("late"));
  assert.equal(await reader.next(60_000), undefined);
  assert.equal(reader.closed, true);
});

Deno.test("every reader sees every event once, in order, at its own pace; a slow one is told of its loss", () => {
  const log = new EventLog({ capacity: 100 });
  const quick = log.subscribe();
  const slow = log.subscribe();
  const seen: number[] = [];
  for (let i = 0; i < 350; i++) {
    log.record(event("x"));
    for (const { id } of quick.take()?.events ?? []) seen.push(id);
  }
  assert.deepEqual(seen, Array.from({ length: 350 }, (_, i) => i + 1));
  const first = slow.take()!;
  assert.equal(first.missed, 250);
  assert.equal(first.events[0].id, 251);
  const second = slow.take()!;
  assert.equal(second.missed, 0);
  assert.equal(first.events.length + second.events.length, 100);
  assert.equal(slow.take(), undefined);
});

Deno.test("a change without an event wakes the reader, also one that comes while nobody waits", async () => {
  const log = new EventLog();
  const subscription = log.subscribe();
  const waiting = subscription.next(60_000);
  log.stir();
  assert.equal(await waiting, undefined);
  log.stir();
  assert.equal(await subscription.next(60_000), undefined);
  log.record({ severity: "info", kind: "test.event", message: "an event" });
  assert.equal((await subscription.next(60_000))?.events.length, 1);
});
