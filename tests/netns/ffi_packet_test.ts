/** The packet socket's ring against the real kernel, over a veth pair. */

import assert from "node:assert/strict";
import { BPF_REJECT_ALL, BpfAssembler } from "../../ffi/bpf.ts";
import {
  FRAME_BYTES_ORDINARY,
  PacketSocket,
  type RingOptions,
  TP2_LEN,
  TP2_MAC,
  TP2_NET,
  TP2_SNAPLEN,
  TP_STATUS_COPY,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
  VIRTIO,
  VIRTIO_HEADER_BYTES,
} from "../../ffi/packet_socket.ts";
import { PollSet } from "../../ffi/poll.ts";
import { POLLIN, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 } from "../../ffi/layout/constants.ts";
import { SystemError } from "../../ffi/errors.ts";
import { missingPrivilege, type Namespace, Pair, run } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;
const MULTICAST_MAC = Uint8Array.of(0x03, 0x76, 10, 77, 0, 2);
const UNICAST_MAC = Uint8Array.of(0x02, 0x76, 10, 77, 0, 2);
/** Longer than anything here takes; only a failing test waits for it. */
const PATIENCE_MS = 20_000;

/** IPv4 packets to 10.77.0.2, and ARP. */
const TO_RECEIVER = new BpfAssembler().load(12, 2).jumpIfEqual(0x0806, "pass").jumpUnlessEqual(0x0800, "drop")
  .load(30, 4).jumpUnlessEqual(0x0a4d0002, "drop").label("pass").accept().label("drop").reject().assemble();

function indexOf(namespace: Namespace, device: string): number {
  return namespace.within(() => Number(/^(\d+):/.exec(namespace.ip("-o", "link", "show", device))![1]));
}

function open(namespace: Namespace, device: string, options: Partial<RingOptions> = {}): PacketSocket {
  return namespace.within(() =>
    PacketSocket.open({
      interfaceIndex: indexOf(namespace, device),
      frameCount: 64,
      frameBytes: FRAME_BYTES_ORDINARY,
      longBytes: 8 << 20,
      filter: TO_RECEIVER,
      memberships: [],
      ...options,
    })
  );
}

/** A pair whose packets may be longer than a frame. */
function jumboPair(): Pair {
  const pair = new Pair();
  pair.a.ip("link", "set", "va", "mtu", "9000");
  pair.b.ip("link", "set", "vb", "mtu", "9000");
  return pair;
}

interface Frame {
  length: number;
  captured: number;
  isLong: boolean;
  network: number;
  virtio: DataView;
  bytes: Uint8Array;
}

/** The frames that arrive until `enough` says so, in order, each copied and given back to the kernel. */
function* frames(socket: PacketSocket): Generator<Frame> {
  const poll = new PollSet([{ fd: socket.fd, events: POLLIN }]);
  const view = new DataView(socket.ring.buffer);
  const deadline = performance.now() + PATIENCE_MS;
  for (let index = 0;; index = (index + 1) % socket.frameCount) {
    const start = index * socket.frameStride;
    while ((Atomics.load(socket.status, start / 4) & TP_STATUS_USER) === 0) {
      if (poll.wait(deadline - performance.now()) === 0) throw new Error("no packet came");
    }
    const length = view.getUint32(start + TP2_LEN, true), mac = view.getUint16(start + TP2_MAC, true);
    const isLong = (Atomics.load(socket.status, start / 4) & TP_STATUS_COPY) !== 0;
    if (isLong) assert.equal(socket.takeLong(), length);
    const captured = isLong ? length : view.getUint32(start + TP2_SNAPLEN, true);
    const at = (isLong ? socket.longOffset : start + mac) - VIRTIO_HEADER_BYTES;
    const copy = socket.ring.slice(at, at + VIRTIO_HEADER_BYTES + captured);
    Atomics.store(socket.status, start / 4, TP_STATUS_KERNEL);
    yield {
      length,
      captured,
      isLong,
      network: view.getUint16(start + TP2_NET, true) - mac,
      virtio: new DataView(copy.buffer, 0, VIRTIO_HEADER_BYTES),
      bytes: copy.subarray(VIRTIO_HEADER_BYTES),
    };
  }
}

/** An Ethernet frame with an IPv4 header (protocol 253, for experiments) and nothing else that matters. */
function ipv4Frame(destinationMac: Uint8Array, destination: number[], mark: number, length = 60): Uint8Array {
  const frame = new Uint8Array(length).fill(mark);
  frame.set(destinationMac, 0);
  frame.set([2, 0, 0, 0, 0, 9], 6);
  frame.set([8, 0, 0x45, 0, 0, 46, 0, mark, 0, 0, 64, 253, 0, 0, 10, 77, 0, 1, ...destination], 12);
  return frame;
}

/** Sends a frame of each length, marked with its place, and gives them. */
function sendEach(sender: PacketSocket, lengths: readonly number[]): Uint8Array[] {
  const all = lengths.map((length, mark) => ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], mark, length));
  for (const frame of all) sender.send(frame);
  return all;
}

Deno.test({
  name: "a GSO packet over veth passes whole, with its unfinished checksum marked",
  ignore,
  async fn() {
    using pair = new Pair();
    using socket = open(pair.b, "vb");
    await using server = pair.b.script(`
      const listener = Deno.listen({ hostname: "10.77.0.2", port: 7000 });
      console.log("ready");
      const connection = await listener.accept();
      for await (const _ of connection.readable);
    `);
    assert.equal(await server.line(), "ready");
    await using _client = pair.a.script(`
      const connection = await Deno.connect({ hostname: "10.77.0.2", port: 7000 });
      const chunk = new Uint8Array(1 << 20);
      for (let i = 0; i < 8; i++) for (let sent = 0; sent < chunk.length;) sent += await connection.write(chunk.subarray(sent));
      await new Promise(() => {});
    `);
    let longest: Frame | undefined;
    for (const frame of frames(socket)) {
      assert.equal(frame.captured, frame.length, "no frame is cut");
      assert.equal(frame.network, 14);
      if (frame.length > (longest?.length ?? 0)) longest = frame;
      if (longest !== undefined && longest.length > 30_000) break;
    }
    assert.ok(longest !== undefined && longest.length > 1514);
    assert.ok(longest.isLong);
    assert.equal(longest.virtio.getUint8(VIRTIO.gso_type), VIRTIO_NET_HDR_GSO_TCPV4);
    assert.equal(
      longest.virtio.getUint8(VIRTIO.flags) & VIRTIO_NET_HDR_F_NEEDS_CSUM,
      VIRTIO_NET_HDR_F_NEEDS_CSUM,
    );
    assert.equal(longest.virtio.getUint16(VIRTIO.csum_start, true), 14 + 20);
    assert.equal(longest.virtio.getUint16(VIRTIO.csum_offset, true), 16);
    assert.ok(longest.virtio.getUint16(VIRTIO.gso_size, true) <= 1460);
    const { packets, drops } = socket.statistics();
    assert.equal(drops, 0);
    assert.ok(packets > 0);
  },
});

Deno.test({
  name: "the filter lets the virtual IP pass and nothing else, and frames sent are received",
  ignore,
  fn() {
    using pair = new Pair();
    using sender = open(pair.a, "va", { filter: BPF_REJECT_ALL });
    using receiver = open(pair.b, "vb");
    sender.send(ipv4Frame(MULTICAST_MAC, [10, 77, 0, 3], 1));
    sender.send(ipv4Frame(MULTICAST_MAC, [10, 77, 0, 2], 2));
    sender.send(ipv4Frame(UNICAST_MAC, [192, 0, 2, 1], 3));
    sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], 4));
    const marks: number[] = [];
    for (const frame of frames(receiver)) {
      marks.push(frame.bytes[19]);
      assert.equal(frame.length, 60);
      if (marks.length === 2) break;
    }
    assert.deepEqual(marks, [2, 4]);
    assert.deepEqual(receiver.statistics(), { packets: 2, drops: 0 });
    assert.deepEqual(sender.statistics(), { packets: 0, drops: 0 });
    // Counters go on from what was read before.
    sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], 5));
    assert.deepEqual(receiver.statistics(), { packets: 3, drops: 0 });
    // The next filter replaces this one.
    receiver.setFilter(BPF_REJECT_ALL);
    sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], 6));
    assert.deepEqual(receiver.statistics(), { packets: 3, drops: 0 });
  },
});

Deno.test({
  name: "a full ring counts what it loses and goes on once it is read",
  ignore,
  fn() {
    using pair = new Pair();
    using sender = open(pair.a, "va", { filter: BPF_REJECT_ALL });
    using receiver = open(pair.b, "vb", { frameCount: 4 });
    assert.equal(receiver.frameCount, 4);
    for (let mark = 0; mark < 6; mark++) sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], mark));
    assert.deepEqual(receiver.statistics(), { packets: 6, drops: 2 });
    const marks: number[] = [];
    for (const frame of frames(receiver)) {
      marks.push(frame.bytes[19]);
      if (marks.length === 4) sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], 9));
      if (marks.length === 5) break;
    }
    assert.deepEqual(marks, [0, 1, 2, 3, 9]);
  },
});

Deno.test({
  name:
    "packets longer than a frame wait whole, in the order of the frames; without memory for them they are cut",
  ignore,
  fn() {
    using pair = jumboPair();
    using sender = open(pair.a, "va", { filter: BPF_REJECT_ALL });
    using receiver = open(pair.b, "vb");
    using forgetful = open(pair.b, "vb", { longBytes: undefined });
    using narrow = open(pair.b, "vb", { longBytes: 1 });
    // The longest that fits a frame, and the first that does not: 90 bytes before the IP header.
    const fits = FRAME_BYTES_ORDINARY - 90 + 14;
    const lengths = [60, 9_000, fits, fits + 1, 9_014, 1_514, 5_000];
    const sent = sendEach(sender, lengths);
    const take = (socket: PacketSocket) => {
      const all: Frame[] = [];
      for (const frame of frames(socket)) if (all.push(frame) === lengths.length) break;
      return all;
    };
    const whole = take(receiver);
    assert.deepEqual(whole.map(({ isLong }) => isLong), [false, true, false, true, true, false, true]);
    for (const [mark, { bytes, length, network }] of whole.entries()) {
      assert.equal(length, lengths[mark]);
      assert.equal(network, 14);
      assert.deepEqual(bytes, sent[mark]);
    }
    assert.equal(receiver.takeLong(), 0, "none is left");
    const cut = take(forgetful);
    assert.deepEqual(cut.map(({ length }) => length), lengths);
    assert.deepEqual(cut.map(({ captured }) => captured), lengths.map((length) => Math.min(length, fits)));
    assert.deepEqual(cut.map(({ bytes }) => bytes[19]), [0, 1, 2, 3, 4, 5, 6]);
    // The kernel gives every socket some memory: enough for the first, and not for all.
    const some = take(narrow);
    assert.deepEqual(some.map(({ length }) => length), lengths);
    assert.equal(some[1].captured, 9_000);
    assert.equal(some.at(-1)!.captured, fits);
    assert.equal(narrow.takeLong(), 0);
  },
});

Deno.test({
  name: "where not so many long packets may wait, there are fewer frames, for the longest",
  ignore,
  fn() {
    using pair = jumboPair();
    using sender = open(pair.a, "va", { filter: BPF_REJECT_ALL });
    // More than a receive buffer can be, for root too (net/core/sock.c, __sock_set_rcvbuf).
    using receiver = open(pair.b, "vb", { longBytes: 1 << 30 });
    assert.equal(receiver.frameCount, 4, "of 64 ordinary ones");
    assert.ok(receiver.frameStride > 65_535 + 90);
    for (const mark of [1, 2, 3, 4]) sender.send(ipv4Frame(UNICAST_MAC, [10, 77, 0, 2], mark, 9_000));
    const marks: number[] = [];
    for (const { captured, isLong, bytes } of frames(receiver)) {
      assert.equal(captured, 9_000);
      assert.ok(!isLong);
      if (marks.push(bytes[19]) === 4) break;
    }
    assert.deepEqual(marks, [1, 2, 3, 4]);
  },
});

Deno.test({
  name: "the error of an interface that went down is no packet: long ones stay with their frames",
  ignore,
  fn() {
    using pair = jumboPair();
    using sender = open(pair.a, "va", { filter: BPF_REJECT_ALL });
    using receiver = open(pair.b, "vb");
    const lengths = [9_000, 60, 5_000];
    const sent = sendEach(sender, lengths);
    pair.b.ip("link", "set", "vb", "down");
    const taken: Uint8Array[] = [];
    for (const { bytes } of frames(receiver)) if (taken.push(bytes) === lengths.length) break;
    assert.deepEqual(taken, sent);
  },
});

Deno.test({
  name: "memberships program the interface while the socket is open",
  ignore,
  fn() {
    using pair = new Pair();
    const socket = open(pair.b, "vb", {
      memberships: [{ kind: "multicast", mac: MULTICAST_MAC }, { kind: "unicast", mac: UNICAST_MAC }],
    });
    try {
      assert.match(pair.b.ip("maddress", "show", "dev", "vb"), /link\s+03:76:0a:4d:00:02/);
      // `bridge` shows the addresses that the card receives besides its own.
      assert.match(run("bridge", "-n", pair.b.name, "fdb", "show", "dev", "vb"), /02:76:0a:4d:00:02 self/);
      const open = pair.b.within(() => Deno.readTextFileSync("/proc/thread-self/net/packet"));
      assert.match(open, /\s3\s+0003\s/, "a raw packet socket for every protocol");
    } finally {
      socket.close();
    }
    assert.doesNotMatch(pair.b.ip("maddress", "show", "dev", "vb"), /03:76:0a:4d:00:02/);
    assert.doesNotMatch(run("bridge", "-n", pair.b.name, "fdb", "show", "dev", "vb"), /02:76:0a:4d:00:02/);
  },
});

Deno.test({
  name: "a closed packet socket is inert: close again does nothing, its ring is empty, use throws",
  ignore,
  fn() {
    using pair = new Pair();
    const socket = open(pair.b, "vb");
    const { ring, status } = socket;
    const view = new DataView(ring.buffer);
    socket.close();
    socket.close();
    assert.equal(ring.length, 0);
    assert.equal(status.length, 0);
    assert.throws(() => view.getUint8(0), TypeError);
    assert.throws(() => Atomics.load(status, 0));
    assert.throws(() => socket.fd, /it is closed/);
    assert.throws(() => socket.send(new Uint8Array(60)), /it is closed/);
    assert.throws(() => socket.statistics(), /it is closed/);
  },
});

Deno.test({
  name: "opening on an interface that is not there says so and leaves no descriptor behind",
  ignore,
  fn() {
    const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
    using pair = new Pair();
    open(pair.b, "vb").close();
    const before = count();
    for (const memberships of [[], [{ kind: "multicast", mac: MULTICAST_MAC } as const]]) {
      assert.throws(
        () => open(pair.b, "vb", { interfaceIndex: 99_999, memberships }),
        (error: unknown) =>
          error instanceof SystemError && error.errnoName === "ENODEV" && error.remedy !== undefined,
      );
    }
    assert.throws(() => open(pair.b, "vb", { frameCount: 0 }), /1 to 16384 frames/);
    assert.equal(count(), before);
  },
});
