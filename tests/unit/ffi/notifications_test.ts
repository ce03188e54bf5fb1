/** The kernel's notifications: a set of descriptors, the end of a process, one datagram and its answer. */
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { EpollSet } from "../../../ffi/epoll.ts";
import { EventFd } from "../../../ffi/eventfd.ts";
import { SystemError } from "../../../ffi/errors.ts";
import { POLLIN } from "../../../ffi/layout/constants.ts";
import { ProcessHandle } from "../../../ffi/pidfd.ts";
import { PollSet } from "../../../ffi/poll.ts";
import { UdpQuestion } from "../../../ffi/udp_question.ts";

const LOCAL = Uint8Array.of(127, 0, 0, 1);
const PATIENCE_MS = 10_000;

function readable(fd: number, waitMs = PATIENCE_MS): boolean {
  return new PollSet([{ fd, events: POLLIN }]).wait(waitMs) === 1;
}

Deno.test("a set tells each descriptor once, until it is added again", () => {
  using set = EpollSet.open();
  using a = EventFd.open();
  using b = EventFd.open();
  set.addOnce(a.fd, 7);
  set.addOnce(b.fd, 0xffff_ffff);
  a.signal();
  assert.deepEqual(set.wait(), [7]);
  b.signal();
  assert.deepEqual(set.wait(), [0xffff_ffff], "a is still readable, and not told again");
  set.remove(a.fd);
  set.remove(a.fd);
  set.addOnce(a.fd, 8);
  assert.deepEqual(set.wait(), [8]);
  assert.throws(() => set.addOnce(a.fd, 9), (error) => error instanceof SystemError);
});

Deno.test("a process handle is readable when the process has ended", async () => {
  const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  using handle = ProcessHandle.open(child.pid);
  assert.ok(handle);
  assert.ok(!readable(handle.fd, 0));
  child.kill("SIGKILL");
  assert.ok(readable(handle.fd));
  await child.status;
  assert.equal(ProcessHandle.open(child.pid), undefined, "there is no such process any more");
});

Deno.test("a question by UDP gets its answer, and hears that nobody listens", async () => {
  const server = dgram.createSocket("udp4");
  server.on("message", (message, from) => server.send(`${message} yourself`, from.port, from.address));
  await new Promise<void>((bound) => server.bind(0, "127.0.0.1", bound));
  const { port } = server.address();
  using question = UdpQuestion.send(LOCAL, port, new TextEncoder().encode("hello"));
  let answer: Uint8Array | undefined;
  // The server is in this thread: it answers between two looks.
  while ((answer = question.receive()) === undefined) await new Promise((next) => setTimeout(next, 1));
  assert.equal(new TextDecoder().decode(answer), "hello yourself");
  server.close();

  const refused = UdpQuestion.send(LOCAL, 1, Uint8Array.of(1));
  assert.ok(readable(refused.fd));
  assert.throws(() => refused.receive(), (error) => error instanceof SystemError && error.is("ECONNREFUSED"));
  refused.close();
  assert.throws(() => refused.receive(), /closed/);
});
