/** The packet path of UDP services whose flows stay. */

import assert from "node:assert/strict";
import { FlowTable } from "../../../src/dataplane/flow_table.ts";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { AFFINITY } from "../../../src/ownership/flow_hash.ts";
import { type FrameContent } from "../wire/frames.ts";
import { CLIENT4, Rig, SERVICE, VIP4 } from "./rig.ts";

function udp(destinationPort: number, sourcePort = 40_000): FrameContent {
  return {
    source: CLIENT4,
    destination: VIP4,
    udp: { sourcePort, destinationPort, payload: new Uint8Array(16) },
  };
}

/** A rig whose UDP service keeps flows. */
function flowRig(): { rig: Rig; flows: FlowTable; kept: () => number } {
  const timeoutsMs = [0, 0, 30_000];
  const flows = FlowTable.create(timeoutsMs);
  const rig = new Rig({
    services: [
      { protocol: "tcp", ports: [{ from: 80, to: 80 }], affinity: AFFINITY.connection, vips: [0, 1] },
      {
        protocol: "udp",
        ports: [{ from: 53, to: 53 }],
        affinity: AFFINITY.connection,
        vips: [0, 1],
        flowTimeoutMs: 30_000,
      },
    ],
    flows: flows.buffer,
  });
  const kept = () => {
    let count = 0;
    flows.each(rig.nowMs32, () => count++);
    return count;
  };
  return { rig, flows, kept };
}

Deno.test("UDP flows that stay: a contested bucket is served by who retains it, known flows or not", () => {
  const { rig, kept } = flowRig();
  rig.setAll(SERVICE.dns, CLAIM);
  assert.equal(rig.decide(udp(53)), "accepted");
  assert.equal(kept(), 1);
  rig.setAll(SERVICE.dns, CLAIM | CONTESTED);
  assert.equal(rig.decide(udp(53)), "not_held");
  rig.setAll(SERVICE.dns, RETAINED);
  assert.equal(rig.decide(udp(53)), "accepted_held");
  assert.equal(rig.decide(udp(53, 41_000)), "accepted_held", "no flow that another node would serve");
  assert.equal(kept(), 1, "but the new one is not remembered");
  rig.setAll(SERVICE.dns, CLAIM | RETAINED);
  assert.equal(rig.decide(udp(53, 41_000)), "accepted_held");
  assert.equal(kept(), 2);
  rig.setAll(SERVICE.dns, 0);
  assert.equal(rig.decide(udp(53)), "not_owner");
});

Deno.test("UDP flows that are retained need the lease: no kernel says that nobody else serves them", () => {
  const { rig } = flowRig();
  rig.setAll(SERVICE.dns, RETAINED);
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(udp(53)), "no_lease");
});

Deno.test("a packet that is not accepted makes no flow, and a service that keeps none has none", () => {
  const { rig, kept } = flowRig();
  rig.setAll(SERVICE.dns, CLAIM);
  rig.claims.silence(rig.nowMs32);
  assert.equal(rig.decide(udp(53)), "no_lease");
  assert.equal(kept(), 0);
});
