/**
 * What the decision on one packet costs: parse, service, hash, look-up, verdict. The write to the TUN device, which
 * only accepted packets see, is not in it. Each iteration decides on PACKETS packets: divide by it.
 *
 *     deno bench -A tests/bench/decision_bench.ts
 */

import { parseAddress } from "../../src/core/address.ts";
import { TCP_FLAG } from "../../src/wire/tcp.ts";
import { CLIENT4, CLIENT6, FRAME_OFFSET, Rig, VIP4, VIP6 } from "../unit/dataplane/rig.ts";
import { type FrameContent, writeFrame } from "../unit/wire/frames.ts";

const PACKETS = 1000;

const contents: Record<string, FrameContent> = {
  "TCP over IPv4, affinity connection": {
    source: CLIENT4,
    destination: VIP4,
    tcp: { sourcePort: 40_000, destinationPort: 80, flags: TCP_FLAG.ack },
  },
  "TCP over IPv4, affinity client": {
    source: CLIENT4,
    destination: VIP4,
    tcp: { sourcePort: 40_000, destinationPort: 443, flags: TCP_FLAG.ack },
  },
  "UDP over IPv4, affinity connection": {
    source: CLIENT4,
    destination: VIP4,
    udp: { sourcePort: 40_000, destinationPort: 53 },
  },
  "TCP over IPv6, affinity connection": {
    source: CLIENT6,
    destination: VIP6,
    tcp: { sourcePort: 40_000, destinationPort: 80, flags: TCP_FLAG.ack },
  },
  "ping over IPv4": { source: parseAddress("198.51.100.9")!, destination: VIP4, icmp: { type: 8 } },
};

/** What of the client varies, from packet to packet; it repeats itself only after more packets than a processor remembers. */
const noise = crypto.getRandomValues(new Uint8Array(65_536));
const NOISE_STEP = 20;
let position = 0;

for (const [name, content] of Object.entries(contents)) {
  const rig = new Rig();
  const length = writeFrame(rig.bytes, FRAME_OFFSET, content);
  // The client's port and the end of its address vary, and with them the bucket: caches see what they see in use.
  const isV4 = content.source.family === 4;
  const port = FRAME_OFFSET + 14 + (isV4 ? 20 : 40);
  const address = FRAME_OFFSET + 14 + (isV4 ? 12 + 2 : 8 + 14);
  const hasPort = content.icmp === undefined;
  const { pipeline, bytes } = rig;
  Deno.bench({
    name: `decide ${name} x ${PACKETS}`,
    fn() {
      for (let i = 0; i < PACKETS; i++) {
        position = (position + NOISE_STEP) & 0xfffc;
        bytes[address] = noise[position];
        bytes[address + 1] = noise[position + 1];
        if (hasPort) {
          bytes[port] = noise[position + 2];
          bytes[port + 1] = noise[position + 3];
        }
        pipeline.process(FRAME_OFFSET, length);
      }
    },
  });
}
