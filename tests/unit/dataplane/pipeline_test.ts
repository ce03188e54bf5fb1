/** Every verdict of the packet path, by a frame that earns it. */

import assert from "node:assert/strict";
import { parseAddress } from "../../../src/core/address.ts";
import { CLAIM, CONTESTED, FRESH, ORPHANED, RETAINED } from "../../../src/dataplane/shared.ts";
import { VIRTIO_HEADER_BYTES } from "../../../src/dataplane/virtio.ts";
import { ARP_OPERATION, writeArp } from "../../../src/wire/arp.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { EXTENSION } from "../../../src/wire/extension_headers.ts";
import { ND_SOLICIT, writeNeighbourSolicitation } from "../../../src/wire/ndp.ts";
import { TCP_FLAG } from "../../../src/wire/tcp.ts";
import { CLIENT_MAC, type FrameContent, NODE_MAC, writePacket } from "../wire/frames.ts";
import { CLIENT4, CLIENT6, FRAME_OFFSET, Rig, SERVICE, TABLES, VIP4, VIP6 } from "./rig.ts";

const SYN = TCP_FLAG.syn;
const ACK = TCP_FLAG.ack;

function tcp(flags: number, destinationPort = 80, sourcePort = 40_000): FrameContent {
  return { source: CLIENT4, destination: VIP4, tcp: { sourcePort, destinationPort, flags } };
}

function udp(destinationPort: number, sourcePort = 40_000): FrameContent {
  return {
    source: CLIENT4,
    destination: VIP4,
    udp: { sourcePort, destinationPort, payload: new Uint8Array(16) },
  };
}

Deno.test("a claimed bucket is accepted, any other left to its owner, in both families", () => {
  for (const [source, destination] of [[CLIENT4, VIP4], [CLIENT6, VIP6]]) {
    const content: FrameContent = {
      source,
      destination,
      tcp: { sourcePort: 1, destinationPort: 8050, flags: SYN },
    };
    const rig = new Rig();
    assert.equal(rig.decide(content), "not_owner");
    rig.setAll(SERVICE.web, CLAIM);
    assert.equal(rig.decide(content), "accepted");
    assert.equal(rig.injected.length, 1);
    assert.equal(rig.counters.read().new_flows, 1);
    assert.equal(
      rig.decide({ ...content, tcp: { sourcePort: 1, destinationPort: 8050, flags: ACK } }),
      "accepted",
    );
    assert.equal(rig.counters.read().new_flows, 1);
  }
});

Deno.test("only the bucket of the flow counts: half of the buckets accept half of the ports", () => {
  const rig = new Rig();
  const accepted = new Set<string>();
  rig.claims.tables[SERVICE.web].fill(CLAIM, 0, 32_768);
  for (let port = 1024; port < 3024; port++) {
    if (rig.decide(tcp(SYN, 80, port)) === "accepted") accepted.add(`${port}`);
  }
  // Half of the buckets: 1,000 of 2,000 with a standard deviation of 22; six of them.
  assert.ok(Math.abs(accepted.size - 1000) < 134, `${accepted.size} of 2000`);
});

Deno.test("the injected packet has its virtio header moved by 14 bytes, and no Ethernet padding", () => {
  const rig = new Rig();
  rig.claimAll();
  // Little-endian: flags NEEDS_CSUM, TCPV4, hdr_len 54, gso_size 1448, csum_start 34, csum_offset 16.
  const header = [1, 1, 54, 0, 0xa8, 0x05, 34, 0, 16, 0];
  const content = tcp(ACK);
  assert.equal(rig.decide(content, header), "accepted");
  const expected = new Uint8Array(2000);
  const length = writePacket(expected, 10, content);
  expected.set([1, 1, 40, 0, 0xa8, 0x05, 20, 0, 16, 0]);
  assert.deepEqual(rig.injected[0], expected.slice(0, 10 + length));

  // A frame without offload has a header of zeroes, and stays so.
  const padded = tcp(ACK);
  assert.equal(rig.decide(padded), "accepted");
  assert.deepEqual(rig.injected[1].slice(0, 10), new Uint8Array(10));
  assert.equal(rig.injected[1].length, 10 + length);
});

Deno.test("a port or protocol that no service covers is dropped, or goes to the client's owner", () => {
  const other: FrameContent = {
    source: CLIENT4,
    destination: VIP4,
    raw: { protocol: 50, payload: new Uint8Array(24) },
  };
  const strict = new Rig();
  strict.claimAll();
  for (const content of [tcp(SYN, 81), udp(80), other]) assert.equal(strict.decide(content), "uncovered");
  const open = new Rig({ uncovered: "owner" });
  open.claimAll();
  for (const content of [tcp(SYN, 81), udp(80), other]) assert.equal(open.decide(content), "accepted");
  open.setAll(0, 0);
  assert.equal(open.decide(other), "not_owner");
});

Deno.test("without a lease nothing is accepted and nothing answered", () => {
  const rig = new Rig();
  rig.claimAll();
  rig.nowMs32 += 400;
  assert.equal(rig.decide(tcp(SYN)), "no_lease");
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "no_lease");
  assert.deepEqual([rig.injected.length, rig.replies.length], [0, 0]);
  rig.renewLease();
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(tcp(SYN)), "no_lease");
});

Deno.test("the lease holds across the wrap of the millisecond counter", () => {
  const rig = new Rig();
  rig.claimAll();
  rig.nowMs32 = 0x7fff_ffff;
  rig.renewLease();
  rig.nowMs32 = (rig.nowMs32 + 100) | 0;
  assert.ok(rig.nowMs32 < 0);
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  rig.nowMs32 = (rig.nowMs32 + 400) | 0;
  assert.equal(rig.decide(tcp(SYN)), "no_lease");
});

Deno.test("in a contested bucket a SYN goes to the claimant, the rest to whose kernel has the connection", () => {
  const claimant = new Rig();
  claimant.setAll(SERVICE.web, CLAIM | CONTESTED);
  assert.equal(claimant.decide(tcp(SYN)), "accepted");
  assert.equal(claimant.decide(tcp(ACK)), "not_held");
  claimant.connections.add("40000");
  assert.equal(claimant.decide(tcp(ACK)), "accepted_held");

  const loser = new Rig();
  loser.setAll(SERVICE.web, RETAINED);
  loser.connections.add("40000");
  assert.equal(loser.decide(tcp(SYN)), "not_owner");
  assert.equal(loser.decide(tcp(ACK)), "accepted_held");
  assert.equal(loser.decide(tcp(SYN | ACK)), "accepted_held");
  loser.connections.clear();
  assert.equal(loser.decide(tcp(ACK)), "not_held");
});

Deno.test("a retained connection needs no lease, a claim does", () => {
  const rig = new Rig();
  rig.connections.add("40000");
  rig.setAll(SERVICE.web, RETAINED);
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(tcp(ACK)), "accepted_held");
  assert.equal(rig.decide(tcp(SYN)), "not_owner");
  rig.setAll(SERVICE.web, RETAINED | CONTESTED);
  assert.equal(rig.decide(tcp(ACK)), "accepted_held");
  rig.setAll(SERVICE.web, CLAIM | CONTESTED);
  assert.equal(rig.decide(tcp(ACK)), "no_lease");
});

Deno.test("a client that asks again in a bucket that has moved away is the claimant's: what is half-open here is abandoned", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, RETAINED | CONTESTED);
  assert.equal(rig.decide(tcp(ACK)), "not_held");
  assert.deepEqual(rig.abandoned, []);
  assert.equal(rig.decide(tcp(SYN)), "not_owner");
  assert.deepEqual(rig.abandoned, ["40000"]);
  for (const flags of [CLAIM | RETAINED, CLAIM | CONTESTED, CLAIM, CONTESTED, 0]) {
    rig.setAll(SERVICE.web, flags);
    rig.decide(tcp(SYN));
  }
  assert.deepEqual(
    rig.abandoned,
    ["40000"],
    "of no bucket that is claimed, or where this node holds nothing",
  );
});

Deno.test("a frame that was captured before its bucket was gained is left to the former claimant", () => {
  const rig = new Rig();
  rig.claimAll();
  rig.claims.noteGain(1_000);
  rig.capturedUs = 999;
  assert.equal(rig.decide(tcp(SYN)), "accepted", "claimed for long");
  for (let table = 0; table < TABLES; table++) rig.setAll(table, CLAIM | FRESH);
  assert.equal(rig.decide(tcp(SYN)), "not_owner");
  assert.equal(rig.decide(tcp(ACK)), "not_owner");
  assert.equal(rig.decide(udp(53)), "not_owner");
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "neighbour_not_owner");
  rig.setAll(SERVICE.web, CLAIM | FRESH | CONTESTED);
  rig.connections.add("40000");
  assert.equal(rig.decide(tcp(SYN)), "not_owner");
  assert.equal(rig.decide(tcp(ACK)), "accepted_held", "its own connection of an earlier claim");
  rig.capturedUs = 1_000;
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  assert.equal(rig.decide(udp(53)), "accepted");
});

Deno.test("a frame that was captured while claims did not hold is left to whoever took over, also if they hold now", () => {
  const rig = new Rig();
  rig.claimAll();
  rig.connections.add("40000");
  rig.claims.silence(rig.nowMs32);
  rig.capturedUs = 999;
  const renew = () => {
    rig.claims.noteHold(1_000);
    rig.claims.renewLease(2_000);
  };
  // Between the look at the claim and the one at the lease.
  Object.defineProperty(rig, "nowMs32", { get: () => (renew(), 1_000) });
  assert.equal(rig.decide(tcp(SYN)), "no_lease");
  assert.equal(rig.decide(udp(53)), "no_lease");
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "no_lease");
  rig.setAll(SERVICE.web, CLAIM | ORPHANED);
  assert.equal(rig.decide(tcp(ACK, 80, 40_001)), "no_lease");
  rig.setAll(SERVICE.web, CLAIM | RETAINED);
  assert.equal(rig.decide(tcp(ACK)), "accepted_held", "its own connection needs no lease");
  rig.capturedUs = 1_000;
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "neighbour_answered");
});

Deno.test("a bucket that is claimed again goes on with its connections before the claim holds", () => {
  const rig = new Rig();
  rig.connections.add("40000");
  rig.claims.noteGain(1_000);
  rig.capturedUs = 999;
  rig.setAll(SERVICE.web, CLAIM | FRESH | RETAINED);
  assert.equal(rig.decide(tcp(ACK)), "accepted_held", "captured before the claim");
  assert.equal(rig.decide(tcp(SYN)), "not_owner");
  rig.capturedUs = 1_000;
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(tcp(ACK)), "accepted_held", "no lease yet");
  assert.equal(rig.decide(tcp(SYN)), "no_lease");
  rig.renewLease();
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  rig.connections.clear();
  assert.equal(rig.decide(tcp(ACK)), "orphan", "what it does not know it resets, as a claimant does");
});

Deno.test("orphans of a dead node are answered at a bounded rate, connections are not bounded", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM | ORPHANED);
  rig.connections.add("40000");
  const answered = () => {
    let count = 0;
    for (let port = 10_000; port < 13_000; port++) if (rig.decide(tcp(ACK, 80, port)) === "orphan") count++;
    return count;
  };
  assert.equal(answered(), 1_000);
  assert.equal(rig.decide(tcp(ACK, 80, 10_000)), "orphan_limited");
  assert.equal(rig.decide(tcp(ACK)), "accepted_held");
  assert.equal(rig.decide(tcp(SYN)), "accepted");
  assert.equal(rig.decide(tcp(TCP_FLAG.rst, 80, 10_000)), "not_held", "nobody answers a reset");
  rig.nowMs32 += 100;
  assert.equal(answered(), 100);
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(tcp(ACK, 80, 10_000)), "no_lease");
  rig.setAll(SERVICE.web, CLAIM | ORPHANED | CONTESTED);
  assert.equal(rig.decide(tcp(ACK, 80, 10_000)), "not_held", "another kernel may have it");
});

Deno.test("UDP in a contested bucket stays with the claimant", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.dns, CLAIM | CONTESTED);
  assert.equal(rig.decide(udp(53)), "accepted");
  rig.setAll(SERVICE.dns, RETAINED);
  assert.equal(rig.decide(udp(53)), "not_owner");
});

Deno.test("a ping goes by the client's address", () => {
  const rig = new Rig();
  const ping = (source: typeof CLIENT4): FrameContent => ({
    source,
    destination: VIP4,
    icmp: { type: 8, code: 0 },
  });
  assert.equal(rig.decide(ping(CLIENT4)), "not_owner");
  rig.setAll(0, CLAIM);
  assert.equal(rig.decide(ping(CLIENT4)), "accepted");
  rig.claims.tables[0].fill(0, 0, 32_768);
  const kept = Array.from({ length: 200 }, (_, i) => parseAddress(`198.51.100.${i}`)!)
    .filter((source) => rig.decide(ping(source)) === "accepted");
  assert.ok(kept.length > 50 && kept.length < 150, `${kept.length} of 200 clients`);
});

/** An ICMP error from a router about a packet that the virtual IP sent to the client. */
function icmpError(quotedSource: typeof VIP4, sourcePort: number, clientPort: number): FrameContent {
  const quoted = new Uint8Array(64);
  const length = writePacket(quoted, 0, {
    source: quotedSource,
    destination: CLIENT4,
    tcp: { sourcePort, destinationPort: clientPort, flags: ACK },
  });
  return {
    source: parseAddress("203.0.113.1")!,
    destination: VIP4,
    icmp: { type: 3, code: 4, body: quoted.slice(0, length) },
  };
}

Deno.test("an ICMP error goes to the node of the flow that it quotes", () => {
  const rig = new Rig();
  for (let port = 40_000; port < 40_200; port++) {
    // Claims exactly the bucket of this client port, found by trying.
    const table = rig.claims.tables[SERVICE.web];
    rig.setAll(SERVICE.web, CLAIM);
    table.fill(0, 0, 32_768);
    const owns = rig.decide(tcp(ACK, 80, port)) === "accepted";
    assert.equal(rig.decide(icmpError(VIP4, 80, port)), owns ? "accepted" : "not_owner", `port ${port}`);
  }
});

Deno.test("an ICMP error about a contested flow goes to whose kernel has the connection", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, RETAINED);
  assert.equal(rig.decide(icmpError(VIP4, 80, 40_000)), "not_held");
  rig.connections.add("40000");
  assert.equal(rig.decide(icmpError(VIP4, 80, 40_000)), "accepted_held");
});

Deno.test("an ICMP error that quotes somebody else's packet is nobody's flow: by its sender", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM);
  assert.equal(rig.decide(icmpError(CLIENT4, 80, 40_000)), "not_owner");
  rig.setAll(0, CLAIM);
  assert.equal(rig.decide(icmpError(CLIENT4, 80, 40_000)), "accepted");
});

function fragment(id: number, fragmentOffset: number, moreFragments: boolean): FrameContent {
  const rest = fragmentOffset > 0;
  return {
    source: CLIENT4,
    destination: VIP4,
    fragment: { id, fragmentOffset, moreFragments },
    ...(rest
      ? { raw: { protocol: 17, payload: new Uint8Array(1480).fill(fragmentOffset / 8) } }
      : { udp: { sourcePort: 40_000, destinationPort: 53, payload: new Uint8Array(1472) } }),
  };
}

Deno.test("later fragments follow the decision of the first", () => {
  const rig = new Rig();
  assert.equal(rig.decide(fragment(1, 0, true)), "not_owner");
  assert.equal(rig.decide(fragment(1, 1480, false)), "not_owner");
  rig.setAll(SERVICE.dns, CLAIM);
  assert.equal(rig.decide(fragment(2, 0, true)), "accepted");
  assert.equal(rig.decide(fragment(2, 1480, false)), "accepted");
  // The first datagram's decision stands although the claim came since.
  assert.equal(rig.decide(fragment(1, 2960, false)), "not_owner");
});

Deno.test("fragments that come before their first are held, then released whole and in the order they came", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.dns, CLAIM);
  assert.equal(rig.decide(fragment(3, 2960, false)), "fragment_held");
  assert.equal(rig.decide(fragment(3, 1480, true)), "fragment_held");
  assert.equal(rig.injected.length, 0);
  assert.equal(rig.decide(fragment(3, 0, true)), "accepted");
  assert.equal(rig.injected.length, 3);
  assert.equal(rig.counters.read().fragments_released, 2);
  const writtenBytes = rig.injected.reduce((sum, { length }) => sum + length - VIRTIO_HEADER_BYTES, 0);
  assert.equal(rig.counters.read().injected_bytes, writtenBytes);
  const payloadOf = (packet: Uint8Array) => packet[packet.length - 1];
  assert.deepEqual(rig.injected.slice(1).map(payloadOf).sort(), [1480 / 8, (2960 / 8) & 0xff].sort());
});

Deno.test("fragments whose first is another node's are forgotten, and those whose first never comes given up", () => {
  const rig = new Rig();
  assert.equal(rig.decide(fragment(4, 1480, false)), "fragment_held");
  assert.equal(rig.decide(fragment(4, 0, true)), "not_owner");
  assert.equal(rig.injected.length, 0);
  assert.equal(rig.pipeline.fragments.takeExpired(), 1);
  assert.equal(rig.decide(fragment(5, 1480, false)), "fragment_held");
  rig.pipeline.fragments.expire(rig.nowMs32 + 1_001);
  assert.equal(rig.pipeline.fragments.heldCount, 0);
  assert.equal(rig.pipeline.fragments.takeExpired(), 1);
});

Deno.test("held fragments are bounded, and what has no room is counted", () => {
  const rig = new Rig();
  const verdicts = Array.from({ length: 70 }, (_, id) => rig.decide(fragment(1000 + id, 1480, false)));
  assert.equal(verdicts.filter((verdict) => verdict === "fragment_held").length, 64);
  assert.equal(verdicts.at(-1), "fragment_dropped");
});

Deno.test("a whole packet is decided while the fragment table is full", () => {
  const rig = new Rig();
  rig.claimAll();
  for (let id = 0; id < 5000; id++) rig.decide(fragment(id, 0, true));
  assert.equal(rig.decide(tcp(SYN)), "accepted");
});

function arpRequest(rig: Rig, senderIp: Uint8Array, operation: number = ARP_OPERATION.request): number {
  return writeArp(rig.bytes, FRAME_OFFSET, {
    operation,
    destinationMac: new Uint8Array(6).fill(0xff),
    sourceMac: CLIENT_MAC,
    senderMac: CLIENT_MAC,
    senderIp,
    targetMac: new Uint8Array(6),
    targetIp: VIP4.bytes,
  });
}

Deno.test("ARP is answered with the virtual MAC in the message and the node's own on the frame", () => {
  const rig = new Rig();
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "neighbour_not_owner");
  rig.setAll(0, CLAIM);
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes)), "neighbour_answered");
  const [reply] = rig.replies;
  assert.deepEqual(reply.slice(0, 6), CLIENT_MAC);
  assert.deepEqual(reply.slice(6, 12), NODE_MAC);
  assert.deepEqual(reply.slice(22, 28), virtualMac(VIP4, "multicast"));
  assert.deepEqual(reply.slice(28, 32), VIP4.bytes);
});

Deno.test("an announcement and a reply ask nothing", () => {
  const rig = new Rig();
  rig.claimAll();
  assert.equal(rig.decideBytes(arpRequest(rig, VIP4.bytes)), "neighbour_ignored");
  assert.equal(rig.decideBytes(arpRequest(rig, CLIENT4.bytes, ARP_OPERATION.reply)), "neighbour_ignored");
  assert.equal(rig.replies.length, 0);
});

Deno.test("a neighbour solicitation is answered by the owner of its asker, also duplicate address detection", () => {
  for (const asker of [CLIENT6, parseAddress("::")!]) {
    const rig = new Rig();
    const length = solicitation(rig, asker);
    assert.equal(rig.decideBytes(length), "neighbour_not_owner");
    rig.setAll(0, CLAIM);
    assert.equal(rig.decideBytes(length), "neighbour_answered");
    const [advertisement] = rig.replies;
    assert.deepEqual(advertisement.slice(6, 12), NODE_MAC);
    assert.deepEqual(advertisement.slice(-6), virtualMac(VIP6, "multicast"));
  }
});

function solicitation(rig: Rig, asker: typeof CLIENT6): number {
  const group = parseAddress("ff02::1:ff00:100")!;
  const content: FrameContent = {
    source: asker,
    destination: group,
    ttl: 255,
    icmp: { type: ND_SOLICIT, code: 0, body: new Uint8Array(asker.text === "::" ? 16 : 24) },
  };
  rig.decide(content);
  const ip = FRAME_OFFSET + 14;
  const bytes = writeNeighbourSolicitation(
    rig.bytes,
    ip,
    ip + 40,
    VIP6.bytes,
    asker.text === "::" ? undefined : CLIENT_MAC,
  );
  return 14 + 40 + bytes;
}

Deno.test("what is not whole, not ours or broken has its own verdict", () => {
  const rig = new Rig();
  rig.claimAll();
  assert.equal(rig.decide({ ...tcp(SYN), destination: parseAddress("192.0.2.101")! }), "foreign");
  rig.bytes.fill(0, FRAME_OFFSET, FRAME_OFFSET + 60);
  assert.equal(rig.decideBytes(60), "foreign");
  assert.equal(rig.decideBytes(10), "malformed");
  rig.setAll(SERVICE.web, 0); // an injected frame has its Ethernet header written over
  rig.decide(tcp(SYN));
  assert.equal(rig.decideBytes(14 + 20 + 10), "malformed");
  rig.claimAll();
  rig.pipeline.countTruncated();
  assert.equal(rig.counters.read().truncated, 1);
  rig.tunUp = false;
  assert.equal(rig.decide(tcp(SYN)), "inject_failed");
});

Deno.test("extension headers and IPv4 options do not hide the ports", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM);
  const content = { tcp: { sourcePort: 40_000, destinationPort: 80, flags: SYN } };
  assert.equal(
    rig.decide({ ...content, source: CLIENT4, destination: VIP4, options: new Uint8Array(8).fill(1) }),
    "accepted",
  );
  assert.equal(
    rig.decide({
      ...content,
      source: CLIENT6,
      destination: VIP6,
      extensions: [{ type: EXTENSION.destinationOptions, body: new Uint8Array(6) }],
    }),
    "accepted",
  );
});

Deno.test("captured frames equal the sum of the verdicts after any mixture", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM);
  for (let round = 0; round < 200; round++) {
    rig.decide(tcp(round % 2 === 0 ? SYN : ACK, 75 + (round % 10)));
    rig.decide(udp(50 + (round % 5)));
    rig.decide(fragment(round, round % 3 === 0 ? 0 : 1480, true));
    rig.decideBytes(round);
    if (round % 7 === 0) rig.pipeline.countTruncated();
  }
  const { captured, verdicts } = rig.sums();
  assert.equal(captured, verdicts);
  assert.equal(captured, 200 * 4 + 29);
});
