/** Heartbeat sockets against the real kernel, between two namespaces. */

import assert from "node:assert/strict";
import { SystemError } from "../../ffi/errors.ts";
import { POLLIN } from "../../ffi/layout/constants.ts";
import { PollSet } from "../../ffi/poll.ts";
import { BATCH_MAX, UdpSocket } from "../../ffi/udp_socket.ts";
import { HEARTBEAT_BYTES_MAX } from "../../src/core/limits.ts";
import { missingPrivilege, type Namespace, Pair } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;
const GROUP = {
  4: Uint8Array.of(239, 255, 86, 70),
  6: Uint8Array.of(0xff, 2, ...Array(12).fill(0), 0x86, 0x70),
};
const HOST = {
  4: (number: number) => Uint8Array.of(10, 77, 0, number),
  6: (number: number) => Uint8Array.of(0xfd, 0x77, ...Array(13).fill(0), number),
};
const PATIENCE_MS = 10_000;

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (socket: UdpSocket, index: number) => new TextDecoder().decode(socket.message(index));

function indexOf(namespace: Namespace, device: string): number {
  return Number(/^(\d+):/.exec(namespace.ip("-o", "link", "show", device))![1]);
}

function multicast(namespace: Namespace, device: string, family: 4 | 6, port = 4886): UdpSocket {
  const interfaceIndex = indexOf(namespace, device);
  return namespace.within(() =>
    UdpSocket.openMulticast({ interfaceIndex, interfaceName: device, group: GROUP[family], port })
  );
}

function unicast(namespace: Namespace, device: string, localAddress: Uint8Array, port: number): UdpSocket {
  const interfaceIndex = indexOf(namespace, device);
  return namespace.within(() =>
    UdpSocket.openUnicast({ interfaceIndex, interfaceName: device, localAddress, port })
  );
}

/** Waits for the next batch. */
function receive(socket: UdpSocket): number {
  const poll = new PollSet([{ fd: socket.fd, events: POLLIN }]);
  assert.equal(poll.wait(PATIENCE_MS), 1, "a datagram comes");
  return socket.receiveBatch();
}

/** Sends once it can: an IPv6 source address becomes usable only after duplicate address detection. */
function send(socket: UdpSocket, message: string, to: Uint8Array, port = 4886): void {
  const deadline = performance.now() + PATIENCE_MS;
  const nothing = new PollSet([]);
  while (!socket.sendTo(bytes(message), to, port)) {
    assert.ok(performance.now() < deadline, `sending fails with errno ${socket.lastSendErrno}`);
    nothing.wait(5);
  }
}

for (const family of [4, 6] as const) {
  Deno.test({
    name: `IPv${family} multicast: every farm's socket on the other host gets its own copy, the sender none`,
    ignore,
    fn() {
      using pair = new Pair();
      using sender = multicast(pair.a, "va", family);
      using first = multicast(pair.b, "vb", family);
      using second = multicast(pair.b, "vb", family);
      send(sender, "beat 1", GROUP[family]);
      send(sender, "beat 2", GROUP[family]);
      for (const socket of [first, second]) {
        const texts: string[] = [];
        while (texts.length < 2) {
          const count = receive(socket);
          for (let index = 0; index < count; index++) {
            texts.push(text(socket, index));
            assert.equal(socket.sourcePort(index), 4886);
            assert.equal(socket.truncated(index), false);
            const source = socket.sourceAddress(index);
            if (family === 4) {
              assert.deepEqual([...source], [10, 77, 0, 1]);
            } else {
              // Link-local, but a global address while duplicate address detection still runs for the other.
              assert.ok(source[0] === 0xfe || source[0] === 0xfd, `from ${[...source]}`);
            }
          }
        }
        assert.deepEqual(texts, ["beat 1", "beat 2"]);
      }
      assert.equal(sender.receiveBatch(), 0);
    },
  });

  Deno.test({
    name: `IPv${family} unicast: beside multicast on one port, refused to a second farm`,
    ignore,
    fn() {
      using pair = new Pair();
      using _group = multicast(pair.b, "vb", family);
      using here = unicast(pair.a, "va", HOST[family](1), 4886);
      using there = unicast(pair.b, "vb", HOST[family](2), 4886);
      assert.throws(
        () => unicast(pair.b, "vb", HOST[family](2), 4886),
        (error: unknown) =>
          error instanceof SystemError && error.is("EADDRINUSE") && error.message.includes("port 4886"),
      );
      send(here, "to you", HOST[family](2));
      assert.equal(receive(there), 1);
      assert.equal(text(there, 0), "to you");
      assert.deepEqual([...there.sourceAddress(0)], [...HOST[family](1)]);
      send(there, "back", HOST[family](1));
      assert.equal(receive(here), 1);
      assert.equal(text(here, 0), "back");
    },
  });
}

Deno.test({
  name: "batches are bounded, keep order, and mark a datagram that is too long",
  ignore,
  fn() {
    using pair = new Pair();
    using here = unicast(pair.a, "va", HOST[4](1), 4886);
    using there = unicast(pair.b, "vb", HOST[4](2), 4886);
    const sent = BATCH_MAX + 10;
    for (let index = 0; index < sent; index++) send(here, `beat ${index}`, HOST[4](2));
    const texts: string[] = [];
    assert.equal(there.receiveBatch(5), 5);
    for (let index = 0; index < 5; index++) texts.push(text(there, index));
    for (let count = there.receiveBatch(); count > 0; count = there.receiveBatch()) {
      assert.ok(count <= BATCH_MAX);
      for (let index = 0; index < count; index++) texts.push(text(there, index));
    }
    assert.deepEqual(texts, Array.from({ length: sent }, (_, index) => `beat ${index}`));
    assert.ok(here.sendTo(new Uint8Array(HEARTBEAT_BYTES_MAX), HOST[4](2), 4886));
    assert.ok(here.sendTo(new Uint8Array(HEARTBEAT_BYTES_MAX + 1), HOST[4](2), 4886));
    const lengths: Array<[number, boolean]> = [];
    while (lengths.length < 2) {
      const count = receive(there);
      for (let index = 0; index < count; index++) {
        lengths.push([there.message(index).length, there.truncated(index)]);
      }
    }
    assert.deepEqual(lengths, [[HEARTBEAT_BYTES_MAX, false], [HEARTBEAT_BYTES_MAX, true]]);
  },
});

Deno.test({
  name: "sending into the void returns false with the reason, and a closed socket refuses",
  ignore,
  fn() {
    using pair = new Pair();
    const socket = unicast(pair.a, "va", HOST[4](1), 4886);
    assert.equal(socket.sendTo(new Uint8Array(70_000), HOST[4](2), 4886), false);
    assert.equal(socket.lastSendErrno, 90, "EMSGSIZE");
    pair.a.ip("link", "set", "va", "down");
    assert.equal(socket.sendTo(bytes("x"), HOST[4](2), 4886), false);
    assert.equal(socket.lastSendErrno, 101, "ENETUNREACH");
    socket.close();
    socket.close();
    assert.throws(() => socket.sendTo(bytes("x"), HOST[4](2), 4886), /it is closed/);
    assert.throws(() => socket.receiveBatch(), /it is closed/);
    assert.throws(
      () =>
        UdpSocket.openMulticast({
          interfaceIndex: 1,
          interfaceName: "vft-none",
          group: GROUP[4],
          port: 4886,
        }),
      (error: unknown) => error instanceof SystemError && error.is("ENODEV") && error.value === "vft-none",
    );
  },
});
