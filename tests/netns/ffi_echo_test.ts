/** Echo questions to a real kernel, in another namespace. */

import assert from "node:assert/strict";
import { EchoSocket } from "../../ffi/echo_socket.ts";
import { POLLIN } from "../../ffi/layout/constants.ts";
import { PollSet } from "../../ffi/poll.ts";
import { missingPrivilege, Pair } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;
const PATIENCE_MS = 10_000;
const HOST = {
  4: Uint8Array.of(10, 77, 0, 2),
  6: Uint8Array.of(0xfd, 0x77, ...Array(13).fill(0), 2),
};

function answer(socket: EchoSocket): number | undefined {
  const poll = new PollSet([{ fd: socket.fd, events: POLLIN }]);
  assert.equal(poll.wait(PATIENCE_MS), 1, "an answer comes");
  return socket.answeredMs();
}

for (const family of [4, 6] as const) {
  Deno.test(
    { name: `IPv${family}: a host answers, and the answer tells which question it is for`, ignore },
    () => {
      using pair = new Pair();
      using socket = pair.a.within(() => EchoSocket.open(HOST[family]));
      assert.equal(socket.answeredMs(), undefined);
      for (const nowMs of [100, 200, 300]) {
        assert.ok(socket.ask(nowMs));
        assert.equal(answer(socket), nowMs);
      }
    },
  );

  Deno.test({ name: `IPv${family}: answers to others are not let through`, ignore }, () => {
    using pair = new Pair();
    using mine = pair.a.within(() => EchoSocket.open(HOST[family]));
    using other = pair.a.within(() => EchoSocket.open(HOST[family]));
    assert.ok(other.ask(1));
    assert.equal(answer(other), 1);
    assert.equal(new PollSet([{ fd: mine.fd, events: POLLIN }]).wait(0), 0);
    assert.equal(mine.answeredMs(), undefined);
  });
}

Deno.test({ name: "a host that is not there gives no answer and no failure", ignore }, () => {
  using pair = new Pair();
  using socket = pair.a.within(() => EchoSocket.open(Uint8Array.of(10, 77, 0, 99)));
  socket.ask(1);
  // The neighbour is looked for in vain, which the kernel may report as an error of the socket.
  new PollSet([{ fd: socket.fd, events: POLLIN }]).wait(1_500);
  assert.equal(socket.answeredMs(), undefined);
});
