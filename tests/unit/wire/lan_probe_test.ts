import assert from "node:assert/strict";
import { addressFromBytes, parseAddress } from "../../../src/core/address.ts";
import { planProbes } from "../../../src/control/plan.ts";
import { addToSum, checksum, finishSum, pseudoHeaderSum } from "../../../src/wire/checksum.ts";
import { ETHERNET_HEADER_BYTES, formatMac, virtualMac } from "../../../src/wire/ethernet.ts";
import { isLanProbe, lanProbeFrame } from "../../../src/wire/lan_probe.ts";
import { PacketView, parseEthernet, PROTOCOL } from "../../../src/wire/packet.ts";
import { type FrameContent, NODE_MAC, writeFrame } from "./frames.ts";

const address = (text: string) => parseAddress(text)!;
const PORT = 4886;
const VIRTUAL_IPS = ["192.0.2.100", "2001:db8::100"].map(address);
const SOURCES = ["192.0.2.1", "2001:db8::1"].map(address);

function probeTo(index: number): Uint8Array<ArrayBuffer> {
  return lanProbeFrame({
    virtualIp: VIRTUAL_IPS[index].bytes,
    virtualMac: virtualMac(VIRTUAL_IPS[index], "multicast"),
    source: SOURCES[index].bytes,
    sourceMac: NODE_MAC,
    port: PORT,
  });
}

for (const [index, family] of [4, 6].entries()) {
  Deno.test(`a probe for an IPv${family} virtual IP is a whole frame with right checksums`, () => {
    const frame = probeTo(index);
    assert.equal(formatMac(frame), formatMac(virtualMac(VIRTUAL_IPS[index], "multicast")));
    assert.equal(formatMac(frame, 6), formatMac(NODE_MAC));
    const view = new PacketView();
    parseEthernet(frame, 0, frame.length, view);
    assert.equal(view.ttl, 1);
    assert.equal(view.totalLength, frame.length - ETHERNET_HEADER_BYTES);
    const end = (at: number) => addressFromBytes(frame.slice(at, at + (family === 4 ? 4 : 16))).text;
    assert.equal(end(view.sourceOffset), SOURCES[index].text);
    assert.equal(end(view.destinationOffset), VIRTUAL_IPS[index].text);
    if (family === 4) assert.equal(checksum(frame, ETHERNET_HEADER_BYTES, 20), 0);
    const length = frame.length - view.transportOffset;
    const pseudo = pseudoHeaderSum(frame, view.sourceOffset, family as 4 | 6, PROTOCOL.udp, length);
    assert.equal(finishSum(addToSum(pseudo, frame, view.transportOffset, length)), 0);
    assert.ok(isLanProbe(frame, view, PORT));
    assert.ok(!isLanProbe(frame, view, PORT + 1));
  });
}

Deno.test("nothing else is a probe: other ports, other words, less than the mark, fragments, TCP", () => {
  const bytes = new Uint8Array(256);
  const isProbe = (content: Partial<FrameContent>) => {
    const view = new PacketView();
    const ends = { source: SOURCES[0], destination: VIRTUAL_IPS[0] };
    parseEthernet(bytes, 0, writeFrame(bytes, 0, { ...ends, ...content }), view);
    return isLanProbe(bytes, view, PORT);
  };
  const payload = new TextEncoder().encode("vipf");
  const udp = { sourcePort: PORT, destinationPort: PORT, payload };
  assert.equal(isProbe({ udp }), true);
  assert.equal(isProbe({ udp: { ...udp, sourcePort: 40_000 } }), false);
  assert.equal(isProbe({ udp: { ...udp, destinationPort: 53 } }), false);
  assert.equal(isProbe({ udp: { ...udp, payload: new TextEncoder().encode("VF\x03\x00") } }), false);
  // What lies behind the datagram is that of the one before.
  assert.equal(isProbe({ udp: { ...udp, payload: payload.subarray(0, 3) } }), false);
  assert.equal(isProbe({ udp, fragment: { id: 1, fragmentOffset: 0, moreFragments: true } }), false);
  assert.equal(isProbe({ tcp: { sourcePort: PORT, destinationPort: PORT, flags: 0x18, payload } }), false);
});

Deno.test("the source is the interface's address in the virtual IP's network, or one of its family", () => {
  const vips = VIRTUAL_IPS.map((vip) => ({
    address: vip.bytes,
    mac: virtualMac(vip, "unicast"),
    macIsMulticast: false,
  }));
  const own = (text: string, prefixLength: number) => ({ address: address(text).bytes, prefixLength });
  const sources = (...addresses: ReturnType<typeof own>[]) =>
    planProbes(vips, PORT, NODE_MAC, addresses).map((frame) => {
      const view = new PacketView();
      parseEthernet(frame, 0, frame.length, view);
      const bytes = view.family === 4 ? 4 : 16;
      return addressFromBytes(frame.slice(view.sourceOffset, view.sourceOffset + bytes)).text;
    });
  assert.deepEqual(
    sources(own("10.0.0.1", 8), own("192.0.2.1", 24), own("fe80::1", 64), own("2001:db8::1", 64)),
    ["192.0.2.1", "2001:db8::1"],
  );
  assert.deepEqual(sources(own("10.0.0.1", 8), own("fe80::1", 64)), ["10.0.0.1", "fe80::1"]);
  assert.deepEqual(sources(own("fe80::1", 64)), ["0.0.0.0", "fe80::1"]);
  assert.deepEqual(sources(), ["0.0.0.0", "::"]);
});
