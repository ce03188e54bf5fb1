/** TCP diagnosis against real connections: established, half-open, of sockets for both families, and gone. */

import assert from "node:assert/strict";
import { VIRTIO_HEADER_BYTES } from "../../ffi/packet_socket.ts";
import { interfaceByName } from "../../ffi/interface.ts";
import { addAddress, setLink } from "../../ffi/rtnetlink.ts";
import { SockDiag, TCP_STATE } from "../../ffi/sock_diag.ts";
import { TunDevice } from "../../ffi/tun.ts";
import { missingPrivilege, Namespace, Pair } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;
const HOST = {
  4: (number: number) => Uint8Array.of(10, 77, 0, number),
  6: (number: number) => Uint8Array.of(0xfd, 0x77, ...Array(13).fill(0), number),
};

/** Listens, prints "ready", and closes each connection when a line comes in. */
function server(hostname: string): string {
  return `
    const listener = Deno.listen({ hostname: "${hostname}", port: 7000 });
    console.log("ready");
    for await (const connection of listener) console.log("accepted");
  `;
}

/** Connects and prints its own port. */
function client(hostname: string): string {
  return `
    const connection = await Deno.connect({ hostname: "${hostname}", port: 7000 });
    console.log(connection.localAddr.port);
    await new Promise(() => setInterval(() => {}, 1 << 30));
  `;
}

function dump(diag: SockDiag, family: 4 | 6): string[] {
  const found: string[] = [];
  diag.dumpTcp(family, (local, localPort, remote, remotePort, state) => {
    found.push(`${[...local]} ${localPort} ${[...remote]} ${remotePort} ${state}`);
  });
  return found;
}

for (const family of [4, 6] as const) {
  const hostname = family === 4 ? "10.77.0.2" : "fd77::2";
  for (const listen of [hostname, "::"]) {
    Deno.test({
      name:
        `an IPv${family} connection to a listener on ${listen} is found from both sides, the listener is not`,
      ignore,
      async fn() {
        using pair = new Pair();
        await using serving = pair.b.script(server(listen));
        assert.equal(await serving.line(), "ready");
        using here = pair.b.within(() => SockDiag.open());
        using there = pair.a.within(() => SockDiag.open());
        const [us, them] = [HOST[family](2), HOST[family](1)];
        assert.equal(here.hasTcp(family, us, 7000, them, 50_000), false, "only a listener fits");
        assert.deepEqual(dump(here, family), []);
        await using connected = pair.a.script(client(hostname));
        const port = Number(await connected.line());
        assert.equal(await serving.line(), "accepted");
        assert.equal(here.hasTcp(family, us, 7000, them, port), true);
        assert.equal(there.hasTcp(family, them, port, us, 7000), true);
        assert.equal(here.hasTcp(family, us, 7000, them, port ^ 1), false);
        assert.equal(here.hasTcp(family, them, 7000, us, port), false);
        assert.deepEqual(dump(here, family), [
          `${[...us]} 7000 ${[...them]} ${port} ${TCP_STATE.established}`,
        ]);
        assert.deepEqual(dump(here, family === 4 ? 6 : 4), []);
        // The allocation-free form reads addresses where they stand in a packet.
        const packet = new Uint8Array(100);
        packet.set(them, 30);
        packet.set(us, 60);
        assert.equal(here.tcpState(family, packet, 60, 7000, 30, port), TCP_STATE.established);
        assert.equal(here.tcpState(family, packet, 60, 7000, 30, port ^ 1), TCP_STATE.none);
        assert.equal(here.abandonHalfOpen(family, packet, 60, 7000, 30, port), false, "it is not half-open");
        assert.equal(here.hasTcp(family, us, 7000, them, port), true);
      },
    });

    Deno.test({
      name: `a half-open IPv${family} connection to a listener on ${listen} is found`,
      ignore,
      async fn() {
        using namespace = new Namespace("diag");
        using tun = namespace.within(() => {
          const device = TunDevice.open("vft-tun");
          const { index } = interfaceByName(device.name);
          setLink({ index, up: true });
          addAddress({ index, address: HOST[family](2), prefixLength: family === 4 ? 24 : 64, noDad: true });
          return device;
        });
        await using serving = namespace.script(server(listen));
        assert.equal(await serving.line(), "ready");
        using diag = namespace.within(() => SockDiag.open());
        const [us, them] = [HOST[family](2), HOST[family](9)];
        const packet = syn(family, them, 50_000, us, 7000);
        assert.equal(tun.write(packet, packet.length), packet.length);
        assert.equal(diag.hasTcp(family, us, 7000, them, 50_000), true);
        assert.equal(diag.hasTcp(family, us, 7000, them, 50_001), false);
        assert.deepEqual(dump(diag, family), [`${[...us]} 7000 ${[...them]} 50000 ${TCP_STATE.synReceived}`]);
        const ends = Uint8Array.of(...us, ...them);
        const abandon = (port: number) => diag.abandonHalfOpen(family, ends, 0, 7000, us.length, port);
        assert.equal(abandon(50_001), false, "nothing there");
        assert.equal(abandon(50_000), true);
        assert.equal(diag.hasTcp(family, us, 7000, them, 50_000), false);
        assert.deepEqual(dump(diag, family), []);
        assert.equal(abandon(50_000), false, "gone already");
      },
    });
  }
}

Deno.test({
  name: "a dump that its visitor gives up leaves the socket usable",
  ignore,
  async fn() {
    using pair = new Pair();
    await using serving = pair.b.script(server("::"));
    assert.equal(await serving.line(), "ready");
    await using many = pair.a.script(`
      const connections = [];
      for (let i = 0; i < 600; i++) connections.push(await Deno.connect({ hostname: "10.77.0.2", port: 7000 }));
      console.log(connections[599].localAddr.port);
      await new Promise(() => setInterval(() => {}, 1 << 30));
    `);
    const port = Number(await many.line());
    using diag = pair.a.within(() => SockDiag.open());
    assert.throws(() => diag.dumpTcp(4, () => assert.fail("given up")), /given up/);
    assert.equal(diag.hasTcp(4, HOST[4](1), port, HOST[4](2), 7000), true);
    assert.equal(diag.hasTcp(4, HOST[4](1), port, HOST[4](2), 7001), false);
    // More than one datagram of the kernel's answer.
    assert.equal(new Set(dump(diag, 4)).size, 600);
  },
});

Deno.test({
  name: "a closed handle refuses, and closing again does nothing",
  ignore,
  fn() {
    const diag = SockDiag.open();
    diag.close();
    diag.close();
    assert.throws(() => diag.hasTcp(4, HOST[4](1), 1, HOST[4](2), 2), /it is closed/);
    assert.throws(() => diag.dumpTcp(4, () => {}), /it is closed/);
  },
});

/** A virtio header and a SYN with correct checksums. */
function syn(
  family: 4 | 6,
  source: Uint8Array,
  sourcePort: number,
  destination: Uint8Array,
  port: number,
): Uint8Array<ArrayBuffer> {
  const ipBytes = family === 4 ? 20 : 40;
  const packet = new Uint8Array(VIRTIO_HEADER_BYTES + ipBytes + 20);
  const ip = packet.subarray(VIRTIO_HEADER_BYTES);
  const view = new DataView(packet.buffer, VIRTIO_HEADER_BYTES);
  if (family === 4) {
    ip.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6]);
    ip.set(source, 12);
    ip.set(destination, 16);
    view.setUint16(10, ~sum(ip.subarray(0, 20)) & 0xffff);
  } else {
    ip.set([0x60, 0, 0, 0, 0, 20, 6, 64]);
    ip.set(source, 8);
    ip.set(destination, 24);
  }
  view.setUint16(ipBytes, sourcePort);
  view.setUint16(ipBytes + 2, port);
  view.setUint32(ipBytes + 4, 1000);
  view.setUint8(ipBytes + 12, 5 << 4);
  view.setUint8(ipBytes + 13, 2);
  view.setUint16(ipBytes + 14, 65_535);
  const pseudoHeader = sum(Uint8Array.of(...source, ...destination, 0, 6, 0, 20));
  view.setUint16(ipBytes + 16, ~sum(ip.subarray(ipBytes), pseudoHeader) & 0xffff);
  return packet;
}

/** The ones' complement sum of big-endian 16-bit words, folded, not complemented. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let index = 0; index < bytes.length; index += 2) total += (bytes[index] << 8) | bytes[index + 1];
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
