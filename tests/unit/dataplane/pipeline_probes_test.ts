/** Probes of the LAN in the packet path, beside clients of the same port. */

import assert from "node:assert/strict";
import { type PlannedService } from "../../../src/dataplane/plan.ts";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { virtualMac } from "../../../src/wire/ethernet.ts";
import { lanProbeFrame } from "../../../src/wire/lan_probe.ts";
import { CLIENT_MAC } from "../wire/frames.ts";
import { CLIENT4, CLIENT6, FRAME_OFFSET, PROBE_PORT, Rig, VIP4, VIP6 } from "./rig.ts";

const EVERY_PORT: PlannedService[] = [
  { protocol: "udp", ports: [{ from: 1, to: 65_535 }], affinity: 0, vips: [0, 1] },
];

Deno.test("a probe of the LAN is counted for its virtual IP, and goes nowhere, whoever owns what", () => {
  for (const changes of [{}, { uncovered: "owner" as const }, { services: EVERY_PORT }]) {
    for (const flags of [0, CLAIM, CONTESTED, RETAINED]) {
      const rig = new Rig(changes);
      for (let table = 0; table < rig.claims.tables.length; table++) rig.setAll(table, flags);
      for (const [vip, source, count] of [[VIP4, CLIENT4, 2], [VIP6, CLIENT6, 1]] as const) {
        const probe = lanProbeFrame({
          virtualIp: vip.bytes,
          virtualMac: virtualMac(vip, "multicast"),
          source: source.bytes,
          sourceMac: CLIENT_MAC,
          port: PROBE_PORT,
        });
        for (let i = 0; i < count; i++) {
          rig.bytes.set(probe, FRAME_OFFSET);
          assert.equal(rig.decideBytes(probe.length), "lan_probe");
        }
      }
      assert.deepEqual([...rig.counters.probes.subarray(0, 3)], [2, 1, 0]);
      assert.deepEqual(rig.injected, []);
      assert.equal(rig.sums().captured, rig.sums().verdicts);
    }
  }
});

Deno.test("a client of a service that has the probes' port is served", () => {
  const rig = new Rig({ services: EVERY_PORT });
  rig.setAll(1, CLAIM);
  for (const sourcePort of [40_000, PROBE_PORT]) {
    const datagram = { sourcePort, destinationPort: PROBE_PORT, payload: new Uint8Array(16) };
    assert.equal(rig.decide({ source: CLIENT4, destination: VIP4, udp: datagram }), "accepted");
  }
});
