import assert from "node:assert/strict";
import {
  LOOK_INTERVAL_MS,
  MEMBERSHIP_THREAD,
  REPORT_INTERVAL_MS,
  Watchdog,
} from "../../../src/supervisor/watchdog.ts";

/** Threads that count, until a moment each. */
type Ends = Record<string, number>;

/** Reports from 0 on, looks with each of them and at the pace of looks; gives the first complaint and its moment. */
function watch(
  ends: Ends,
  controlEndsMs: number,
  untilMs: number,
): { atMs: number; text: string } | undefined {
  const watchdog = new Watchdog(0);
  for (let ms = 0; ms <= untilMs; ms += REPORT_INTERVAL_MS) {
    const isReported = ms <= controlEndsMs;
    if (!isReported && ms % LOOK_INTERVAL_MS !== 0) continue;
    if (isReported) {
      const counts = Object.entries(ends).map(([name, endMs]) => [name, Math.min(ms, endMs)]);
      watchdog.report(Object.fromEntries(counts), ms);
    }
    const text = watchdog.look(ms);
    if (text !== undefined) return { atMs: ms, text };
  }
  return undefined;
}

Deno.test("nobody complains while all threads go on", () => {
  assert.equal(
    watch({ "packet (eth0)": Infinity, [MEMBERSHIP_THREAD]: Infinity }, Infinity, 600_000),
    undefined,
  );
});

Deno.test("a packet thread that stands still is named within 3 s", () => {
  const found = watch({ "packet (eth0)": 10_000, [MEMBERSHIP_THREAD]: Infinity }, Infinity, 60_000);
  assert.match(found!.text, /^the packet \(eth0\) thread has stood still for 2\.0 s$/);
  assert.equal(found!.atMs, 12_000);
});

Deno.test("the membership thread gets longer: its lease acts first", () => {
  const found = watch({ "packet (eth0)": Infinity, [MEMBERSHIP_THREAD]: 10_000 }, Infinity, 60_000);
  assert.match(found!.text, /^the membership thread/);
  assert.equal(found!.atMs, 17_000);
});

Deno.test("a control thread that hangs is not taken for packet threads that do, and gets longer than all", () => {
  const found = watch({ "packet (eth0)": Infinity, [MEMBERSHIP_THREAD]: Infinity }, 10_000, 60_000);
  assert.match(found!.text, /^the control thread has not reported for 35\.0 s$/);
});

Deno.test("a control thread that is busy for seconds, again and again, does no harm to the others", () => {
  const watchdog = new Watchdog(0);
  for (let ms = 0; ms <= 600_000; ms += REPORT_INTERVAL_MS) {
    if (ms % 20_000 === 0) watchdog.report({ "packet (eth0)": ms, [MEMBERSHIP_THREAD]: ms }, ms);
    assert.equal(watchdog.look(ms), undefined);
  }
});

Deno.test("a report after a pause of the worker does not blame threads that have not run again yet", () => {
  const watchdog = new Watchdog(0);
  const threads = { "packet (eth0)": 1, [MEMBERSHIP_THREAD]: 1 };
  watchdog.report(threads, 0);
  for (let ms = 0; ms <= 20_000; ms += REPORT_INTERVAL_MS) assert.equal(watchdog.look(ms), undefined);
  watchdog.report(threads, 20_000);
  assert.equal(watchdog.look(20_500), undefined);
  let found: string | undefined;
  for (let ms = 20_500; found === undefined && ms < 30_000; ms += REPORT_INTERVAL_MS) {
    watchdog.report({ ...threads, [MEMBERSHIP_THREAD]: ms }, ms);
    found = watchdog.look(ms);
  }
  assert.match(found!, /^the packet \(eth0\) thread has stood still/);
});

Deno.test("after a pause of seconds a packet thread has two more to run again", () => {
  for (const pausedMs of [1_500, 3_000, 5_500]) {
    const watchdog = new Watchdog(0);
    const complaint = (ms: number) => {
      watchdog.report({ "packet (eth0)": 1 }, ms);
      return watchdog.look(ms);
    };
    for (const ms of [0, pausedMs, pausedMs + 1_000]) assert.equal(complaint(ms), undefined);
    assert.match(complaint(pausedMs + 2_000)!, /^the packet \(eth0\) thread has stood still/);
  }
});

Deno.test("a thread that has ended is not watched", () => {
  const watchdog = new Watchdog(0);
  watchdog.report({ "packet (eth0)": 1, [MEMBERSHIP_THREAD]: 1 }, 0);
  for (let ms = 500; ms < 60_000; ms += 500) {
    watchdog.report({ [MEMBERSHIP_THREAD]: ms }, ms);
    assert.equal(watchdog.look(ms), undefined);
  }
});

Deno.test("after a pause of the whole machine everything gets its full time again", () => {
  const watchdog = new Watchdog(0);
  watchdog.report({ "packet (eth0)": 1 }, 0);
  assert.equal(watchdog.look(0), undefined);
  // Nothing for an hour: neither this process nor the other ran.
  assert.equal(watchdog.look(3_600_000), undefined);
  watchdog.report({ "packet (eth0)": 1 }, 3_600_500);
  assert.equal(watchdog.look(3_600_500), undefined);
  let found: string | undefined;
  for (let ms = 3_601_000; ms < 3_620_000 && found === undefined; ms += 500) {
    watchdog.report({ "packet (eth0)": 1 }, ms);
    found = watchdog.look(ms);
  }
  assert.match(found!, /packet/);
});

Deno.test("a program that never reports is given up after a minute", () => {
  assert.match(watch({}, -1, 120_000)!.text, /^the starting thread has not reported for 65\.0 s$/);
});
