/** Frames written over a dirty buffer, against the golden bytes of Linux and scapy. */

import assert from "node:assert/strict";
import { parseAddress } from "../../../src/core/address.ts";
import { ARP_FRAME_BYTES, writeArp, writeArpReply } from "../../../src/wire/arp.ts";
import { writeTransportChecksum } from "../../../src/wire/checksum.ts";
import { ETHER_TYPE, parseMac, virtualMac, writeEthernetHeader } from "../../../src/wire/ethernet.ts";
import { writeIpv6Header } from "../../../src/wire/ipv6.ts";
import { writeNeighbourAdvertisement, writeNeighbourSolicitation } from "../../../src/wire/ndp.ts";
import { PacketKind, PacketView, parseEthernet } from "../../../src/wire/packet.ts";
import vectors from "../../vectors/packets.json" with { type: "json" };
import { CLIENT_MAC, type FrameContent, NODE_MAC, writePacket } from "./frames.ts";

const ip = (text: string) => parseAddress(text)!;
const golden = (name: string) => Uint8Array.fromHex(vectors.find((vector) => vector.name === name)!.hex);

const four = { source: ip("198.51.100.7"), destination: ip("192.0.2.100"), ttl: 57 };
const six = { source: ip("2001:db8:1::7"), destination: ip("2001:db8::100"), ttl: 57 };
const syn = { sourcePort: 40_000, destinationPort: 443, sequence: 0x89abcdef, flags: 2, window: 64_240 };
const data = Uint8Array.from({ length: 64 }, (_, i) => i);
const query = { sourcePort: 50_000, destinationPort: 53, payload: data };
const echo = { rest: 0x0007_0001, body: data };

const contents: Record<string, FrameContent> = {
  "tcp6 SYN": { ...six, tcp: syn },
  "udp6": { ...six, udp: query },
  "udp6 atomic fragment": {
    ...six,
    fragment: { id: 5, fragmentOffset: 0, moreFragments: false },
    udp: query,
  },
  "icmp6 echo request": { ...six, icmp: { type: 128, ...echo } },
  "udp6 later fragment behind hop-by-hop": {
    ...six,
    extensions: [{ type: 0, body: new Uint8Array() }],
    fragment: { id: 5, fragmentOffset: 80, moreFragments: true },
    raw: { protocol: 17, payload: data },
  },
};
for (const [name, content] of Object.entries(contents)) {
  Deno.test(`written byte for byte: ${name}`, () => assertWritten(name, content));
}

/** scapy was told id 0x1234 for these. */
const contents4: Record<string, FrameContent> = {
  "udp4": { ...four, udp: query },
  "icmp4 echo request": { ...four, icmp: { type: 8, ...echo } },
  "tcp4 padded to 60 bytes by Ethernet": { ...four, tcp: syn },
};
for (const [name, content] of Object.entries(contents4)) {
  Deno.test(`written byte for byte: ${name}`, () => {
    // An identification without being a fragment.
    assertWritten(name, { ...content, fragment: { id: 0x1234, fragmentOffset: 0, moreFragments: false } });
  });
}

function assertWritten(name: string, content: FrameContent): void {
  const expected = golden(name);
  const out = new Uint8Array(300).fill(0xdd);
  const length = writePacket(out, 7, content);
  assert.deepEqual(out.slice(7, 7 + length), expected.slice(14, 14 + length));
  assert.ok(out.subarray(0, 7).every((byte) => byte === 0xdd));
  assert.ok(out.subarray(7 + length).every((byte) => byte === 0xdd));
}

function parsed(bytes: Uint8Array, kind: PacketKind): PacketView {
  const view = new PacketView();
  assert.equal(parseEthernet(bytes, 0, bytes.length, view), kind);
  return view;
}

Deno.test("an ARP reply is, but for the virtual MAC, the one that Linux gives", () => {
  const request = golden("linux arp request");
  const view = parsed(request, PacketKind.arpRequest);
  const out = new Uint8Array(100).fill(0xdd);
  assert.equal(writeArpReply(out, request, view, NODE_MAC, NODE_MAC), ARP_FRAME_BYTES);
  assert.deepEqual(out.slice(0, ARP_FRAME_BYTES), golden("linux arp reply"));
  assert.ok(out.subarray(ARP_FRAME_BYTES).every((byte) => byte === 0xdd));

  const shared = virtualMac(ip("192.0.2.100"), "multicast");
  writeArpReply(out, request, view, NODE_MAC, shared);
  assert.deepEqual(out.slice(6, 12), NODE_MAC, "the virtual MAC is never an Ethernet source");
  assert.deepEqual(out.slice(22, 28), shared);
});

Deno.test("writeArp makes the request and the reply that Linux makes", () => {
  const [client, vip] = [ip("192.0.2.7").bytes, ip("192.0.2.100").bytes];
  const out = new Uint8Array(50).fill(0xdd);
  const request = {
    operation: 1,
    destinationMac: parseMac("ff:ff:ff:ff:ff:ff")!,
    sourceMac: CLIENT_MAC,
    senderMac: CLIENT_MAC,
    senderIp: client,
    targetMac: new Uint8Array(6),
    targetIp: vip,
  };
  assert.equal(writeArp(out, 3, request), ARP_FRAME_BYTES);
  assert.deepEqual(out.slice(3, 3 + ARP_FRAME_BYTES), golden("linux arp request"));
});

Deno.test("a neighbour advertisement is, but for the virtual MAC, the one that Linux gives", () => {
  const solicitation = golden("linux neighbour solicitation");
  const view = parsed(solicitation, PacketKind.ndSolicit);
  const out = new Uint8Array(100).fill(0xdd);
  const expected = golden("linux neighbour advertisement");
  assert.equal(writeNeighbourAdvertisement(out, solicitation, view, NODE_MAC, NODE_MAC), expected.length);
  assert.deepEqual(out.slice(0, expected.length), expected);
  assert.ok(out.subarray(expected.length).every((byte) => byte === 0xdd));

  const shared = virtualMac(ip("2001:db8::100"), "unicast");
  writeNeighbourAdvertisement(out, solicitation, view, NODE_MAC, shared);
  assert.deepEqual(out.slice(6, 12), NODE_MAC, "the virtual MAC is never an Ethernet source");
  assert.deepEqual(out.slice(80, 86), shared);
  assertChecksum(out.slice(0, expected.length));
});

Deno.test("duplicate address detection is answered to all nodes, not Solicited", () => {
  const solicitation = golden("linux duplicate address detection");
  const view = parsed(solicitation, PacketKind.ndSolicit);
  assert.equal(view.ndDuplicateDetection, true);
  const out = new Uint8Array(86).fill(0xdd);
  const shared = virtualMac(ip("2001:db8::100"), "multicast");
  assert.equal(writeNeighbourAdvertisement(out, solicitation, view, NODE_MAC, shared), 86);
  assert.deepEqual(out.slice(0, 6), parseMac("33:33:00:00:00:01"));
  assert.deepEqual(out.slice(22, 38), ip("2001:db8::100").bytes);
  assert.deepEqual(out.slice(38, 54), ip("ff02::1").bytes);
  assert.equal(out[58], 0x20);
  assertChecksum(out);
});

Deno.test("a solicitation without the option is answered to the frame's source, never to a group MAC", () => {
  const solicitation = golden("neighbour solicitation, unicast, no option");
  const out = new Uint8Array(86).fill(0xdd);
  let view = parsed(solicitation, PacketKind.ndSolicit);
  writeNeighbourAdvertisement(out, solicitation, view, NODE_MAC, NODE_MAC);
  assert.deepEqual(out.slice(0, 6), CLIENT_MAC);

  const untouched = new Uint8Array(86).fill(0xdd);
  solicitation[6] |= 1;
  view = parsed(solicitation, PacketKind.ndSolicit);
  assert.equal(writeNeighbourAdvertisement(untouched, solicitation, view, NODE_MAC, NODE_MAC), 0);
  assert.ok(untouched.every((byte) => byte === 0xdd));
});

Deno.test("writeNeighbourSolicitation makes the one that Linux makes", () => {
  const out = new Uint8Array(86).fill(0xdd);
  const [source, target] = [ip("2001:db8::7"), ip("2001:db8::100")];
  const destination = ip("ff02::1:ff00:100");
  writeEthernetHeader(out, 0, parseMac("33:33:ff:00:01:00")!, CLIENT_MAC, ETHER_TYPE.ipv6);
  const at = writeIpv6Header(out, 14, {
    source,
    destination,
    nextHeader: 58,
    payloadLength: 32,
    hopLimit: 255,
  });
  assert.equal(writeNeighbourSolicitation(out, 14, at, target.bytes, CLIENT_MAC), 32);
  assert.deepEqual(out, golden("linux neighbour solicitation"));
});

function assertChecksum(frame: Uint8Array): void {
  const again = frame.slice();
  writeTransportChecksum(again, 22, 6, 58, 54, frame.length - 54, 56);
  assert.deepEqual(again, frame);
}
