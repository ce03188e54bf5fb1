/** The TUN device against the real kernel: packets written to it reach sockets on its address. */

import assert from "node:assert/strict";
import { SystemError } from "../../ffi/errors.ts";
import { VIRTIO_NET_HDR_F_NEEDS_CSUM } from "../../ffi/layout/constants.ts";
import { addressOf } from "../../ffi/libc.ts";
import { VIRTIO, VIRTIO_HEADER_BYTES } from "../../ffi/packet_socket.ts";
import { TunDevice } from "../../ffi/tun.ts";
import { UdpSocket } from "../../ffi/udp_socket.ts";
import { missingPrivilege, Namespace } from "./ffi_support.ts";

const ignore = missingPrivilege !== undefined;

interface Rig {
  namespace: Namespace;
  tun: TunDevice;
  index: number;
  [Symbol.dispose](): void;
}

/** A namespace with a TUN device that holds 192.0.2.100 and 2001:db8::100, up. */
function rig(): Rig {
  const namespace = new Namespace("tun");
  try {
    const tun = namespace.within(() => TunDevice.open("vft-tun%d"));
    namespace.ip("address", "add", "192.0.2.100/32", "dev", tun.name);
    namespace.ip("address", "add", "2001:db8::100/128", "dev", tun.name, "nodad");
    namespace.ip("link", "set", tun.name, "up");
    const index = Number(/^(\d+):/.exec(namespace.ip("-o", "link", "show", tun.name))![1]);
    return {
      namespace,
      tun,
      index,
      [Symbol.dispose]() {
        tun.close();
        namespace[Symbol.dispose]();
      },
    };
  } catch (error) {
    namespace[Symbol.dispose]();
    throw error;
  }
}

/** The ones' complement sum of big-endian 16-bit words, folded, not complemented. */
function sum(bytes: Uint8Array, start = 0): number {
  let total = start;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** A virtio header and a UDP datagram whose checksum is left for the kernel to finish. */
function datagram(family: 4 | 6, port: number, text: string): Uint8Array<ArrayBuffer> {
  const payload = new TextEncoder().encode(text);
  const ipBytes = family === 4 ? 20 : 40;
  const packet = new Uint8Array(VIRTIO_HEADER_BYTES + ipBytes + 8 + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint8(VIRTIO.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
  view.setUint16(VIRTIO.csum_start, ipBytes, true);
  view.setUint16(VIRTIO.csum_offset, 6, true);
  const ip = packet.subarray(VIRTIO_HEADER_BYTES);
  const ipView = new DataView(packet.buffer, VIRTIO_HEADER_BYTES);
  let addresses: Uint8Array;
  if (family === 4) {
    ip.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 1, 192, 0, 2, 100]);
    ipView.setUint16(2, ip.length);
    ipView.setUint16(10, ~sum(ip.subarray(0, 20)) & 0xffff);
    addresses = ip.subarray(12, 20);
  } else {
    ip.set([0x60, 0, 0, 0, 0, 0, 17, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 1]);
    ip.set([1], 23);
    ip.set([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], 24);
    ipView.setUint16(4, ip.length - 40);
    addresses = ip.subarray(8, 40);
  }
  const udp = new DataView(packet.buffer, VIRTIO_HEADER_BYTES + ipBytes);
  udp.setUint16(0, 4321);
  udp.setUint16(2, port);
  udp.setUint16(4, 8 + payload.length);
  // What a sender leaves to its network card: the sum of the pseudo-header.
  udp.setUint16(6, sum(addresses, 17 + 8 + payload.length));
  packet.set(payload, VIRTIO_HEADER_BYTES + ipBytes + 8);
  return packet;
}

for (const family of [4, 6] as const) {
  Deno.test({
    name: `an IPv${family} packet written from memory reaches a socket on the device's address`,
    ignore,
    fn() {
      using it = rig();
      const { namespace, tun } = it;
      const localAddress = family === 4
        ? Uint8Array.of(192, 0, 2, 100)
        : Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0);
      using socket = namespace.within(() =>
        UdpSocket.openUnicast({ interfaceIndex: it.index, interfaceName: tun.name, localAddress, port: 0 })
      );
      // The packet starts in the middle of a larger buffer, as it does in a ring.
      const memory = new Uint8Array(4096);
      const packet = datagram(family, socket.port, "to the virtual IP");
      memory.set(packet, 1001);
      assert.equal(tun.writeAt(Number(addressOf(memory)) + 1001, packet.length), packet.length);
      assert.equal(tun.write(packet, packet.length), packet.length);
      assert.equal(socket.receiveBatch(), 2);
      for (const index of [0, 1]) {
        assert.equal(new TextDecoder().decode(socket.message(index)), "to the virtual IP");
        assert.equal(socket.sourcePort(index), 4321);
        assert.deepEqual([...socket.sourceAddress(index)], [
          ...packet.subarray(VIRTIO_HEADER_BYTES + (family === 4 ? 12 : 8)).subarray(
            0,
            family === 4 ? 4 : 16,
          ),
        ]);
      }
      assert.equal(socket.receiveBatch(), 0);
    },
  });
}

Deno.test({
  name: "a write that the device refuses returns the negative errno",
  ignore,
  fn() {
    using it = rig();
    const packet = datagram(4, 9, "x");
    const address = Number(addressOf(packet));
    assert.equal(it.tun.writeAt(address, 5), -22, "shorter than a virtio header: EINVAL");
    it.namespace.ip("link", "set", it.tun.name, "down");
    assert.equal(it.tun.writeAt(address, packet.length), -5, "device down: EIO");
    assert.equal(it.tun.write(packet, packet.length), -5);
  },
});

Deno.test({
  name: "a TUN name is held by one process at a time and the device goes with its handle",
  ignore,
  fn() {
    using namespace = new Namespace("tun");
    const first = namespace.within(() => TunDevice.open("vft-held"));
    assert.throws(
      () => namespace.within(() => TunDevice.open("vft-held")),
      (error: unknown) => error instanceof SystemError && error.is("EBUSY") && error.value === "vft-held",
    );
    const adopted = TunDevice.adopt(first.fd, first.name);
    adopted.close();
    assert.match(namespace.ip("-o", "link", "show"), /vft-held/, "an adopted handle does not own the device");
    first.close();
    first.close();
    assert.doesNotMatch(namespace.ip("-o", "link", "show"), /vft-held/);
    assert.throws(() => first.fd, /it is closed/);
    assert.throws(() => first.writeAt(0, 0), /it is closed/);
    assert.throws(() => TunDevice.open("a-name-that-is-too-long"), /at most 15 bytes/);
  },
});
