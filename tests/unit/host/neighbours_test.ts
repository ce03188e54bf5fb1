import assert from "node:assert/strict";
import { groupInUse, type Heard, judgeHeard } from "../../../src/host/neighbours.ts";
import { config, NOW_MS } from "./farm.ts";
import type { Heartbeat } from "../../../src/wire/heartbeat.ts";

function heartbeat(change: Partial<Heartbeat> = {}): Heartbeat {
  return {
    sender: "n2",
    incarnation: 1,
    sequence: 1,
    intervalMs: 100,
    state: "up",
    binding: true,
    settingsVersion: 1,
    weights: [1, 100],
    servicesDigest: config.servicesDigest,
    wallClockMs: NOW_MS,
    vipFramesSeen: 0,
    vipReach: { reached: 0, unreached: 0 },
    holdMs: 0,
    heard: [],
    retained: [],
    holds: [],
    orders: [],
    answers: [],
    ...change,
  };
}

function judge(...messages: Array<Heard["message"]>): string[] {
  const heard = messages.map((message) => ({ from: "192.0.2.2", message, atMs: NOW_MS }));
  const findings = judgeHeard(config, "n1", { where: "joined", heard });
  assert.equal(findings[0].ok, true);
  assert.ok(findings.every(({ ok, remedy }) => ok === true || remedy !== undefined));
  return findings.map(({ ok, what }) => `${ok} ${what}`);
}

Deno.test("who is heard is named; silence is no fault", () => {
  assert.deepEqual(judge(), ["true joined; no other node is heard (there may be none yet)"]);
  const three = [heartbeat(), heartbeat({ sender: "n3" }), heartbeat()];
  assert.deepEqual(judge(...three), ["true joined; heard: n2, n3"]);
});

Deno.test("of two groups only the one in use is listened to: IPv6 where the interface has no IPv4", () => {
  const { groups } = config.heartbeat;
  assert.equal(groupInUse(groups, new Set([4, 6])), groups.ipv4);
  assert.equal(groupInUse(groups, new Set([6])), groups.ipv6);
  assert.equal(groupInUse({ ...groups, ipv4: undefined }, new Set([4, 6])), groups.ipv6);
});

Deno.test("clocks may differ by less than two seconds", () => {
  assert.equal(judge(heartbeat({ wallClockMs: NOW_MS - 1_900 })).length, 1);
  assert.match(
    judge(heartbeat({ wallClockMs: NOW_MS + 3_600_000 }))[1],
    /^warning the clock of n2 is 3600 s ahead of this/,
  );
  assert.match(
    judge(heartbeat({ wallClockMs: NOW_MS - 5_000 }))[1],
    /^warning the clock of n2 is 5 s behind this/,
  );
});

Deno.test("a node of this name, another file, another farm and another version are told", () => {
  assert.match(
    judge(heartbeat({ sender: "n1" }))[1],
    /^false another host \(192\.0\.2\.2\) is the node n1 already/,
  );
  assert.match(judge(heartbeat({ servicesDigest: 1 }))[1], /^warning n2 has other virtual IPs or services/);
  assert.match(judge("foreignFarm", "foreignFarm")[1], /^warning another farm .*: 192\.0\.2\.2$/);
  assert.match(judge("version")[1], /^warning a version of vipfarm that this one does not understand/);
});
