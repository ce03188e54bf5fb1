/** Handles, poll, eventfd, clocks and scheduling on the kernel that runs the test; no privilege is needed. */

import assert from "node:assert/strict";
import { EXIT } from "../../../src/core/errors.ts";
import { boottimeMs, boottimeMs32, realtimeMs } from "../../../ffi/clock.ts";
import { SystemError } from "../../../ffi/errors.ts";
import { EventFd } from "../../../ffi/eventfd.ts";
import { POLLIN, POLLNVAL, PollSet } from "../../../ffi/poll.ts";
import {
  hasRealtimePriority,
  setNormalPriority,
  setRealtimePriority,
  setTimerSlackNs,
  timerSlackNs,
} from "../../../ffi/scheduling.ts";

Deno.test("an eventfd adds up, is read once, and wakes a poll", () => {
  using event = EventFd.open();
  const poll = new PollSet([{ fd: event.fd, events: POLLIN }]);
  assert.equal(poll.wait(0), 0);
  assert.equal(poll.ready(0), false);
  event.signal();
  event.signal(4);
  assert.equal(poll.wait(-1), 1);
  assert.equal(poll.ready(0), true);
  assert.equal(poll.revents(0), POLLIN);
  assert.equal(event.read(), 5);
  assert.equal(event.read(), 0);
  assert.equal(poll.wait(0), 0);
});

Deno.test("poll tells which of several is ready", () => {
  using first = EventFd.open();
  using second = EventFd.open();
  using third = EventFd.open();
  const poll = new PollSet([first, second, third].map(({ fd }) => ({ fd, events: POLLIN })));
  second.signal();
  assert.equal(poll.wait(1000), 1);
  assert.deepEqual([0, 1, 2].map((index) => poll.ready(index)), [false, true, false]);
  third.signal();
  second.read();
  assert.equal(poll.wait(1000), 1);
  assert.deepEqual([0, 1, 2].map((index) => poll.ready(index)), [false, false, true]);
});

Deno.test("poll waits as long as it is told, fractions included, and reports a bad descriptor", () => {
  const start = boottimeMs();
  assert.equal(new PollSet([]).wait(2.5), 0);
  assert.ok(boottimeMs() - start >= 2.5);
  const poll = new PollSet([{ fd: 1_000_000, events: POLLIN }]);
  assert.equal(poll.wait(1000), 1);
  assert.equal(poll.revents(0), POLLNVAL);
});

Deno.test("a handle closes once, also an adopted one, and then refuses", () => {
  const event = EventFd.open();
  const adopted = EventFd.adopt(event.fd);
  adopted.signal(3);
  adopted.close();
  assert.throws(() => adopted.signal(), /use eventfd: it is closed/);
  assert.equal(event.read(), 3, "the owner's descriptor is still open");
  const { fd } = event;
  event.close();
  using next = EventFd.open();
  assert.equal(next.fd, fd, "the kernel gives the number to the next one");
  event.close();
  next.signal();
  assert.equal(next.read(), 1, "which the second close has left alone");
  assert.throws(() => event.fd, /it is closed/);
  assert.throws(() => event.read(), /it is closed/);
});

Deno.test("the clocks agree with the system's", () => {
  const [uptimeSeconds] = Deno.readTextFileSync("/proc/uptime").split(" ").map(Number);
  const now = boottimeMs();
  assert.ok(Math.abs(now - uptimeSeconds * 1000) < 1000, `${now} ms, /proc/uptime ${uptimeSeconds} s`);
  assert.ok(Math.abs(realtimeMs() - Date.now()) < 1000);
  let last = now;
  for (let count = 0; count < 1000; count++) {
    const next = boottimeMs();
    assert.ok(next >= last);
    last = next;
  }
});

Deno.test("the int32 clock is the other one, wrapped", () => {
  const before = boottimeMs(), wrapped = boottimeMs32(), after = boottimeMs();
  assert.equal(wrapped, wrapped | 0);
  const sinceBefore = (wrapped - (Math.floor(before) | 0)) | 0;
  assert.ok(sinceBefore >= 0 && sinceBefore <= Math.floor(after) - Math.floor(before));
});

Deno.test("timer slack is the thread's", () => {
  const before = timerSlackNs();
  setTimerSlackNs(1000);
  assert.equal(timerSlackNs(), 1000);
  setTimerSlackNs(before);
});

Deno.test("real-time priority is given and taken back, or refused without an error", () => {
  assert.equal(hasRealtimePriority(), false);
  if (setRealtimePriority(1)) {
    assert.equal(hasRealtimePriority(), true);
    assert.equal(setNormalPriority(), true);
  }
  assert.equal(hasRealtimePriority(), false);
  assert.throws(
    () => setRealtimePriority(1000),
    (error: unknown) => error instanceof SystemError && error.is("EINVAL") && error.value === "priority 1000",
  );
});

Deno.test("a system error says what was tried, with which value, why, and what to do", () => {
  const refused = new SystemError({ operation: "create TUN device", errno: 1, value: "vf0" });
  assert.equal(refused.message, "create TUN device: operation not permitted [EPERM] (vf0)");
  assert.match(refused.remedy!, /CAP_NET_ADMIN/);
  assert.equal(refused.exitCode, EXIT.privilege);
  assert.equal(refused.errnoName, "EPERM");
  assert.equal(refused.is("EPERM"), true);
  const explained = new SystemError({ operation: "add address", errno: 22, detail: "Invalid prefix length" });
  assert.equal(explained.message, "add address: invalid argument [EINVAL]: Invalid prefix length");
  assert.equal(explained.exitCode, EXIT.no);
  const unknown = new SystemError({ operation: "do it", errno: 12_345 });
  assert.equal(unknown.message, "do it: errno 12345");
  assert.equal(unknown.errnoName, "errno 12345");
});
