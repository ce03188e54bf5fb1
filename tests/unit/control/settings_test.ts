import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";
import { type Announcement, Settings } from "../../../src/control/settings.ts";
import { asLastResort } from "../../../src/core/weight.ts";

const { config } = parseConfig(
  `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }, { name: dns, ports: [53], protocol: udp, weight: 50 }]
nodes: { n1: { weight: 200 } }
`,
  "farm.yaml",
);
assert.ok(config);

function settings() {
  const told: Announcement[] = [];
  const settings = new Settings(config!, "n1", (announcement) => told.push(announcement));
  return { settings, told };
}

const demand = (demand: "none" | "leave" | "fail", lastResort = false, weight?: number) => ({
  demand,
  lastResort,
  reason: "",
  ...(weight !== undefined && { weight }),
});

Deno.test("weights follow the file, an order, the application and the checks", () => {
  const { settings: it } = settings();
  const weights = () => it.announcement.weights;
  assert.deepEqual(weights(), [1, 200, 200]);
  it.setWeight(30);
  assert.deepEqual(weights(), [1, 30, 30]);
  it.allow({ running: false, draining: false, services: {} });
  assert.deepEqual(weights(), [1, 0, 0]);
  it.allow({ running: true, draining: true, services: { http: demand("leave"), dns: demand("fail", true) } });
  assert.deepEqual(it.announcement, {
    draining: true,
    weights: [1, 0, asLastResort(30)],
    retain: [true, true, false],
  });
  it.allow({
    running: true,
    draining: false,
    services: { http: demand("none", false, 7), dns: demand("none") },
  });
  assert.deepEqual(it.announcement, { draining: false, weights: [1, 7, 30], retain: [true, true, true] });
});

Deno.test("only news is announced, and nothing before the membership thread is there", () => {
  const { settings: it, told } = settings();
  it.setWeight(30);
  it.begin();
  it.setWeight(30);
  assert.deepEqual(told, []);
  it.setWeight(31);
  it.allow({ running: true, draining: false, services: { http: demand("none") } });
  assert.deepEqual(told.map(({ weights }) => weights), [[1, 31, 31]]);
  assert.deepEqual(it.setWeight(1001).code, "refused");
});
