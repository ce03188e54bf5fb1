/** Golden frames, read: tests/vectors/packets.json, made by Linux and by scapy (see packets.py beside it). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { addressFromBytes, parseAddress } from "../../../src/core/address.ts";
import { formatMac } from "../../../src/wire/ethernet.ts";
import {
  PACKET_KIND_NAMES,
  PacketKind,
  PacketView,
  parseEthernet,
  parseIp,
  PROTOCOL,
} from "../../../src/wire/packet.ts";
import vectors from "../../vectors/packets.json" with { type: "json" };
import { type FrameContent, guarded, writeFrame } from "./frames.ts";

/** An unaligned place in the middle of a buffer. */
const AT = 1001;

function place(hex: string, fill: number): { bytes: Uint8Array; length: number } {
  const frame = Uint8Array.fromHex(hex);
  const bytes = new Uint8Array(AT + frame.length + 1000).fill(fill);
  bytes.set(frame, AT);
  return { bytes, length: frame.length };
}

/** A view in which every field that parsing does not set would be noticed. */
function dirtyView(): PacketView {
  const view = new PacketView();
  const fields = view as unknown as Record<string, number | boolean>;
  for (const [name, value] of Object.entries(fields)) {
    fields[name] = typeof value === "boolean"
      ? true
      : name === "family" || name === "quotedFamily"
      ? 6
      : 23_456;
  }
  return view;
}

/** The view in the words of packets.py. */
function described(bytes: Uint8Array, view: PacketView): Record<string, unknown> {
  const { kind } = view;
  const address = (at: number, family: number) =>
    addressFromBytes(bytes.slice(at, at + (family === 4 ? 4 : 16))).text;
  if (kind === PacketKind.arpRequest || kind === PacketKind.arpOther) {
    assert.equal(view.family, 0);
    return {
      operation: view.arpOperation,
      senderMac: formatMac(bytes, view.arpSenderMacOffset),
      senderIp: address(view.arpSenderIpOffset, 4),
      targetIp: address(view.arpTargetIpOffset, 4),
    };
  }
  assert.equal(view.ipOffset, AT + 14);
  const fields: Record<string, unknown> = {
    family: view.family,
    source: address(view.sourceOffset, view.family),
    destination: address(view.destinationOffset, view.family),
    totalLength: view.totalLength,
    ttl: view.ttl,
    protocol: view.protocol,
    transportOffset: view.transportOffset - AT,
    fragment: null,
  };
  if (view.isFragment) {
    fields.fragment = { id: view.fragmentId >>> 0, offset: view.fragmentOffset, more: view.moreFragments };
    assert.equal(view.fragmentProtocol, view.family === 4 ? view.protocol : 0);
  } else {
    assert.deepEqual([view.fragmentId, view.fragmentOffset, view.moreFragments], [0, 0, false]);
  }
  if (kind === PacketKind.tcp || kind === PacketKind.udp) {
    fields.sourcePort = view.sourcePort;
    fields.destinationPort = view.destinationPort;
  } else {
    assert.deepEqual([view.sourcePort, view.destinationPort], [0, 0]);
  }
  if (kind === PacketKind.tcp) fields.tcpFlags = view.tcpFlags;
  else assert.equal(view.tcpFlags, 0);
  if (kind === PacketKind.icmpEcho || kind === PacketKind.icmpError) {
    fields.icmpType = view.icmpType;
    fields.icmpCode = view.icmpCode;
  }
  if (kind === PacketKind.icmpError) {
    assert.equal(view.quotedFamily, view.family);
    fields.quoted = {
      source: address(view.quotedSourceOffset, view.family),
      destination: address(view.quotedDestinationOffset, view.family),
      protocol: view.quotedProtocol,
      ports: view.quotedHasPorts ? [view.quotedSourcePort, view.quotedDestinationPort] : null,
    };
  }
  if (kind === PacketKind.ndSolicit) {
    fields.target = address(view.ndTargetOffset, 6);
    fields.sourceLink = view.ndSourceLinkOffset < 0 ? null : formatMac(bytes, view.ndSourceLinkOffset);
    fields.duplicateDetection = view.ndDuplicateDetection;
  }
  return fields;
}

for (const { name, kind, hex, expect } of vectors) {
  Deno.test(`golden frame: ${name} is ${kind}`, () => {
    for (const fill of [0x00, 0xff]) {
      const { bytes, length } = place(hex, fill);
      const view = dirtyView();
      const result = parseEthernet(guarded(bytes, AT, length), AT, length, view);
      assert.equal(PACKET_KIND_NAMES[result], kind);
      assert.equal(view.kind, result);
      assert.equal(view.linkOffset, AT);
      if (expect !== undefined) assert.deepEqual(described(bytes, view), expect);
    }
  });
}

Deno.test("parseIp reads the same from the IP header on", () => {
  for (const { name, kind, hex, expect } of vectors) {
    if (expect === undefined || !("family" in expect)) continue;
    const { bytes, length } = place(hex, 0xff);
    const view = dirtyView();
    const result = parseIp(guarded(bytes, AT + 14, length - 14), AT + 14, length - 14, view);
    assert.equal(PACKET_KIND_NAMES[result], kind, name);
    assert.equal(view.linkOffset, -1);
    assert.deepEqual(described(bytes, view), expect, name);
  }
});

Deno.test("every golden frame cut anywhere is read within its length, and never taken for a whole one", () => {
  const view = new PacketView();
  for (const { name, kind, hex, expect } of vectors) {
    const { bytes, length } = place(hex, 0xff);
    // What Ethernet padding adds may be cut off without harm.
    const needed = expect !== undefined && "totalLength" in expect ? 14 + expect.totalLength! : length;
    for (let cut = 0; cut < length; cut++) {
      const result = parseEthernet(guarded(bytes, AT, cut), AT, cut, view);
      const whole = cut >= needed || kind === "other" && cut >= 14 || kind.startsWith("arp") && cut >= 42;
      if (!whole) assert.equal(PACKET_KIND_NAMES[result], "malformed", `${name} cut to ${cut}`);
    }
  }
});

Deno.test("a packet may begin at the very start of the buffer and fill it", () => {
  const view = new PacketView();
  for (const { kind, hex, expect } of vectors) {
    if (expect === undefined || !("family" in expect)) continue;
    const frame = Uint8Array.fromHex(hex);
    assert.equal(PACKET_KIND_NAMES[parseEthernet(frame, 0, frame.length, view)], kind);
    const packet = frame.slice(14);
    assert.equal(PACKET_KIND_NAMES[parseIp(packet, 0, packet.length, view)], kind);
  }
});

Deno.test("a frame outside the buffer is malformed and reads nothing", () => {
  const bytes = new Uint8Array(100);
  const view = new PacketView();
  for (const [offset, length] of [[0, 101], [90, 14], [-1, 60], [100, 0], [101, 0], [200, 60], [0, -5]]) {
    assert.equal(parseEthernet(guarded(bytes, 0, 100), offset, length, view), PacketKind.malformed);
    assert.equal(parseIp(guarded(bytes, 0, 100), offset, length, view), PacketKind.malformed);
  }
});

Deno.test("GSO super-packets up to the largest length are read whole", () => {
  const buffer = new Uint8Array(70_000);
  const view = new PacketView();
  const tcp = (payloadBytes: number) => ({
    sourcePort: 40_000,
    destinationPort: 443,
    flags: 0x10,
    payload: new Uint8Array(payloadBytes),
  });
  const four = { source: parseAddress("198.51.100.7")!, destination: parseAddress("192.0.2.100")! };
  const six = { source: parseAddress("2001:db8::7")!, destination: parseAddress("2001:db8::100")! };
  for (const [ends, payloadBytes, total] of [[four, 65_495, 65_535], [six, 65_515, 65_575]] as const) {
    const length = writeFrame(buffer, 0, { ...ends, tcp: tcp(payloadBytes) });
    assert.equal(length, 14 + total);
    assert.equal(parseEthernet(guarded(buffer, 0, length), 0, length, view), PacketKind.tcp);
    assert.equal(view.totalLength, total);
    assert.equal(parseEthernet(buffer, 0, length - 1, view), PacketKind.malformed);
  }
});

const port = fc.integer({ min: 0, max: 65_535 });
const body = fc.uint8Array({ maxLength: 100 });
const extension = fc.record({
  type: fc.constantFrom(43, 60),
  body: fc.uint8Array({ minLength: 6, maxLength: 40 }),
})
  // A routing header without stops left is one that a host passes over.
  .map(({ type, body }) => type === 43 ? { type, body: body.with(1, 0) } : { type, body });
const fragment = fc.record({ id: port, fragmentOffset: fc.constant(0), moreFragments: fc.boolean() });
const content = fc.oneof(
  fc.record({ source: fc.constant(4), options: fc.integer({ min: 0, max: 10 }) }),
  fc.record({ source: fc.constant(6), extensions: fc.array(extension, { maxLength: 7 }) }),
).chain((ip) => {
  const bytes = fc.uint8Array({ minLength: ip.source === 4 ? 4 : 16, maxLength: ip.source === 4 ? 4 : 16 });
  return fc.record({
    source: bytes.map(addressFromBytes),
    destination: bytes.map(addressFromBytes),
    ttl: fc.integer({ min: 0, max: 255 }),
    options: fc.constant("options" in ip ? new Uint8Array(ip.options * 4).fill(1) : undefined),
    extensions: fc.constant("extensions" in ip ? ip.extensions : undefined),
    fragment: fc.option(fragment, { nil: undefined }),
    transport: fc.oneof(
      fc.record({
        tcp: fc.record({
          sourcePort: port,
          destinationPort: port,
          flags: fc.integer({ min: 0, max: 255 }),
          options: fc.integer({ min: 0, max: 10 }).map((words) => new Uint8Array(words * 4).fill(1)),
          payload: body,
        }),
      }),
      fc.record({ udp: fc.record({ sourcePort: port, destinationPort: port, payload: body }) }),
    ),
  });
}).map(({ transport, ...ip }): FrameContent => ({ ...ip, ...transport }));

Deno.test("property: what is written over a dirty buffer at any offset is read back", () => {
  fc.assert(
    fc.property(content, fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 255 }), (c, at, fill) => {
      const bytes = new Uint8Array(2000).fill(fill);
      const length = writeFrame(bytes, at, c);
      for (let i = 0; i < at; i++) assert.equal(bytes[i], fill);
      for (let i = at + length; i < bytes.length; i++) assert.equal(bytes[i], fill);
      const view = dirtyView();
      const result = parseEthernet(guarded(bytes, at, length), at, length, view);
      const ports = (c.tcp ?? c.udp)!;
      const size = c.source.bytes.length;
      assert.equal(result, c.tcp === undefined ? PacketKind.udp : PacketKind.tcp);
      assert.equal(view.family, c.source.family);
      assert.deepEqual(bytes.slice(view.sourceOffset, view.sourceOffset + size), c.source.bytes);
      assert.deepEqual(
        bytes.slice(view.destinationOffset, view.destinationOffset + size),
        c.destination.bytes,
      );
      assert.deepEqual([view.sourcePort, view.destinationPort], [ports.sourcePort, ports.destinationPort]);
      assert.equal(view.tcpFlags, c.tcp?.flags ?? 0);
      assert.equal(view.protocol, c.tcp === undefined ? PROTOCOL.udp : PROTOCOL.tcp);
      assert.equal(view.ttl, c.ttl);
      assert.equal(view.totalLength, length - 14);
      assert.equal(view.isFragment, c.fragment?.moreFragments ?? false);
      if (view.isFragment) assert.equal(view.fragmentId, c.fragment!.id);
    }),
  );
});

Deno.test("parsing allocates nothing", () => {
  const frames = vectors.map(({ hex }) => place(hex, 0));
  const view = new PacketView();
  const round = () => {
    for (let i = 0; i < 1000; i++) {
      for (const { bytes, length } of frames) parseEthernet(bytes, AT, length, view);
    }
  };
  for (let i = 0; i < 5; i++) round();
  const growth: number[] = [];
  for (let i = 0; i < 15; i++) {
    const before = Deno.memoryUsage().heapUsed;
    round();
    growth.push(Deno.memoryUsage().heapUsed - before);
  }
  // The median, because a collection may shrink the heap and the engine may compile in any one round. The
  // smallest object has 12 bytes: half of that for each packet is more than the engine needs for itself.
  growth.sort((a, b) => a - b);
  const packets = frames.length * 1000;
  assert.ok(growth[7] < 6 * packets, `${growth[7]} bytes for ${packets} packets`);
});
