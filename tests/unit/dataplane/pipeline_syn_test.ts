/** What follows a SYN that was let in while several kernels may have connections in its bucket. */
import assert from "node:assert/strict";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { TCP_FLAG } from "../../../src/wire/tcp.ts";
import type { FrameContent } from "../wire/frames.ts";
import { CLIENT4, Rig, SERVICE, VIP4 } from "./rig.ts";

const SYN = TCP_FLAG.syn;
const ACK = TCP_FLAG.ack;

/** A segment with this sequence number. */
function numbered(flags: number, sequence: number, port = 40_000): FrameContent {
  return {
    source: CLIENT4,
    destination: VIP4,
    tcp: { sourcePort: port, destinationPort: 80, flags, sequence },
  };
}

Deno.test("in a contested bucket a packet without a connection is let in after its own SYN: it may bring back a cookie", () => {
  for (const isn of [1_000, 2 ** 32 - 1]) {
    const rig = new Rig();
    rig.setAll(SERVICE.web, CLAIM | CONTESTED);
    assert.equal(rig.decide(numbered(ACK, isn + 1 >>> 0)), "not_held", "no SYN came");
    assert.equal(rig.decide(numbered(SYN, isn)), "accepted");
    assert.equal(rig.decide(numbered(ACK, isn + 1 >>> 0)), "accepted");
    assert.equal(
      rig.decide(numbered(ACK, isn + 14_601 >>> 0)),
      "accepted",
      "data after a lost acknowledgement",
    );
    assert.equal(rig.decide(numbered(ACK, isn)), "not_held");
    assert.equal(rig.decide(numbered(ACK, isn + 2 ** 20 >>> 0)), "not_held");
    assert.equal(rig.decide(numbered(ACK, isn + 1 >>> 0, 40_001)), "not_held", "another flow");
    rig.setAll(SERVICE.web, RETAINED | CONTESTED);
    assert.equal(rig.decide(numbered(ACK, isn + 1 >>> 0)), "not_held", "the claimant's");
    rig.setAll(SERVICE.web, CLAIM | CONTESTED);
    rig.nowMs32 += 65_000;
    rig.renewLease();
    assert.equal(rig.decide(numbered(ACK, isn + 1 >>> 0)), "not_held", "too late");
  }
});

Deno.test("what a forged SYN made half-open gets nothing of the connection that another kernel has", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM | CONTESTED);
  assert.equal(rig.decide(numbered(SYN, 5_000)), "accepted");
  rig.halfOpen.add("40000");
  assert.equal(rig.decide(numbered(ACK, 4_000_000)), "not_held", "the client's challenge acknowledgement");
  assert.equal(rig.decide(numbered(TCP_FLAG.rst, 4_000_000)), "accepted_held", "it ends what is half-open");
  assert.equal(rig.decide(numbered(ACK, 5_001)), "accepted_held", "the handshake's end");
  rig.halfOpen.add("40001");
  assert.equal(rig.decide(numbered(ACK, 7, 40_001)), "accepted_held", "of whose SYN nothing is known");
});

Deno.test("SYNs forged for many ports of a client are all remembered", () => {
  const rig = new Rig();
  rig.setAll(SERVICE.web, CLAIM | CONTESTED);
  const ports = Array.from({ length: 16_384 }, (_, i) => 1_024 + 3 * i % 64_000);
  for (const port of ports) assert.equal(rig.decide(numbered(SYN, port, port)), "accepted");
  for (const port of ports) rig.halfOpen.add(`${port}`);
  const reset = ports.filter((port) => rig.decide(numbered(ACK, 4_000_000, port)) !== "not_held");
  assert.deepEqual(reset, []);
});
