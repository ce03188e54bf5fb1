import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";
import { datapathCounters, probesSeen, vipFramesSeen } from "../../../src/control/datapath_counters.ts";
import { parseReport } from "../../../src/control/report.ts";
import { type ReportParts, Reports } from "../../../src/control/reports.ts";
import { EXTRA, SharedCounters } from "../../../src/dataplane/shared.ts";
import { VERDICT } from "../../../src/dataplane/verdicts.ts";
import { type MemberView } from "../../../src/membership/types.ts";

const { config } = parseConfig(
  `
farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, protocol: tcp, ports: [80] }, { name: dns, protocol: udp, ports: [53] }]
`,
  "farm.yaml",
);
assert.ok(config);

const parts: ReportParts = {
  config: () => config,
  connections: { count: 7, look: () => [] },
  retained: () => 3,
  claimedShare: (table) => table / 4,
  checks: () => [],
  application: () => ({ configured: true, state: "up", reason: "started" }),
  latenessMs: () => 1.5,
  nowMs: () => 1_000,
};

const member = (name: string, report?: string, self = false) => ({ name, report, self }) as MemberView;

Deno.test("a node's own report is made of its parts, and travels as it is shown", () => {
  const reports = new Reports(parts);
  assert.equal(reports.own().connections, undefined, "not counted yet");
  reports.sample([]);
  const own = reports.of(member("n1", undefined, true));
  assert.deepEqual([own?.claimed, own?.connections, own?.retained, own?.state], [[0.25, 0.5], 7, 3, "up"]);
  assert.equal(own?.digest, config.digest.slice(0, 16));
  const travelled = parseReport(reports.text());
  assert.deepEqual([travelled?.claimed, travelled?.digest], [own?.claimed, own?.digest]);
});

Deno.test("what other members report is shown until they report something else, or are gone", () => {
  const reports = new Reports(parts);
  const n2 = member("n2", reports.text());
  assert.equal(reports.of(n2), undefined, "not heard");
  reports.hear([n2, member("n3", "{"), member("n4")]);
  assert.equal(reports.of(n2)?.retained, 3);
  assert.equal(reports.of(member("n3")), undefined);
  assert.equal(reports.of(member("n4")), undefined);
  const first = reports.of(n2);
  reports.hear([n2]);
  assert.equal(reports.of(n2), first, "not read again");
  reports.hear([]);
  assert.equal(reports.of(n2), undefined);
});

Deno.test("frames for the virtual IPs are all that were captured, but those that come to every node anyway", () => {
  const counters = SharedCounters.create();
  counters.slots[EXTRA.captured] = 100;
  counters.slots[EXTRA.ring_drops] = 5;
  counters.slots[VERDICT.foreign] = 20;
  counters.slots[VERDICT.neighbour_answered] = 1;
  counters.slots[VERDICT.lan_probe] = 3;
  counters.slots[EXTRA.captured] += 3;
  counters.slots[VERDICT.not_owner] = 60;
  const kernel = { dropped: 1_000, fast: 400, taken: 400, newFlows: 3, bytes: 0 };
  const prefilter = { descriptor: -1, isFast: true, counts: () => kernel };
  assert.equal(vipFramesSeen(datapathCounters([{ interface: "eth0", counters }])), 84);
  const both = datapathCounters([{ interface: "eth0", counters, prefilter }, {
    interface: "eth1",
    counters,
  }]);
  assert.equal(vipFramesSeen(both), 84 + 1_400 + 84);
  assert.deepEqual([both[0].filtered, both[0].fastPath, both[0].newFlows], [1_000, 400, 3]);
  assert.equal(both[1].filtered, undefined);
});

Deno.test("probes are counted for each virtual IP, whichever interface it is on", () => {
  const eth0 = SharedCounters.create(), eth1 = SharedCounters.create();
  eth0.probes.set([5, 7]);
  eth1.probes[0] = 9;
  const virtualIps = ["eth0", "eth1", "eth0", "eth2"].map((name) => ({ interface: name }));
  const dataplanes = [{ interface: "eth0", counters: eth0 }, { interface: "eth1", counters: eth1 }];
  assert.deepEqual(probesSeen(virtualIps, dataplanes), [5, 9, 7, 0]);
});
