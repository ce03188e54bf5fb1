/**
 * Cost of reading one packet, at varying and unaligned offsets of a buffer as large as a packet ring.
 * Each iteration parses FRAMES frames: divide by it. `deno bench -A tests/bench/parse_bench.ts`
 */

import { parseAddress } from "../../src/core/address.ts";
import { PacketKind, PacketView, parseEthernet } from "../../src/wire/packet.ts";
import { type FrameContent, writeFrame } from "../unit/wire/frames.ts";

const FRAMES = 1000;
const STRIDE = 2048;
const client4 = parseAddress("198.51.100.7")!;
const vip4 = parseAddress("192.0.2.100")!;
const client6 = parseAddress("2001:db8::7")!;
const vip6 = parseAddress("2001:db8::100")!;

const contents: Record<string, { kind: number; content: FrameContent }> = {
  "TCP over IPv4": {
    kind: PacketKind.tcp,
    content: {
      source: client4,
      destination: vip4,
      tcp: { sourcePort: 40_000, destinationPort: 80, flags: 2 },
    },
  },
  "UDP over IPv4": {
    kind: PacketKind.udp,
    content: { source: client4, destination: vip4, udp: { sourcePort: 40_000, destinationPort: 53 } },
  },
  "TCP over IPv6": {
    kind: PacketKind.tcp,
    content: {
      source: client6,
      destination: vip6,
      tcp: { sourcePort: 40_000, destinationPort: 80, flags: 2 },
    },
  },
  "UDP over IPv6, two extension headers": {
    kind: PacketKind.udp,
    content: {
      source: client6,
      destination: vip6,
      extensions: [{ type: 0, body: new Uint8Array(6) }, { type: 60, body: new Uint8Array(14) }],
      udp: { sourcePort: 40_000, destinationPort: 53 },
    },
  },
  "UDP over IPv4, first fragment": {
    kind: PacketKind.udp,
    content: {
      source: client4,
      destination: vip4,
      fragment: { id: 7, fragmentOffset: 0, moreFragments: true },
      udp: { sourcePort: 40_000, destinationPort: 53 },
    },
  },
};

for (const [name, { kind, content }] of Object.entries(contents)) {
  // One byte more than a multiple of 4 between frames, so that fields lie at every alignment.
  const ring = new Uint8Array(FRAMES * (STRIDE + 1));
  const lengths = new Int32Array(FRAMES);
  for (let i = 0; i < FRAMES; i++) lengths[i] = writeFrame(ring, i * (STRIDE + 1), content);
  const view = new PacketView();
  Deno.bench({
    name: `parse ${name} x ${FRAMES}`,
    fn() {
      let ports = 0;
      for (let i = 0; i < FRAMES; i++) {
        if (parseEthernet(ring, i * (STRIDE + 1), lengths[i], view) !== kind) throw new Error("wrong kind");
        ports += view.sourcePort;
      }
      if (ports !== FRAMES * 40_000) throw new Error("wrong port");
    },
  });
}
