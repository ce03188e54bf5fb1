/** Heartbeats that are not: forged, replayed, cut, of another farm, random, and all of them in a flood. */

import assert from "node:assert/strict";
import { deriveKeys } from "../../src/core/keys.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { eventsOf, ignore, keysOf, metric, waitForDeath } from "./farm_failure_support.ts";
import {
  altered,
  type Datagrams,
  forged,
  ofLaterVersion,
  random,
  record,
  send,
} from "./farm_heartbeat_forger.ts";
import { startFarm } from "./farm_support.ts";

Deno.test({ name: "heartbeats that are not genuine change nothing but a counter", ignore }, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const recorded = await record(lab);
  const keys = await keysOf(lab);
  const [genuine] = recorded;
  const lengths = Array.from({ length: genuine.length }, (_, length) => length);

  await changesNothing(lab, "random bytes", "magic", lengths.slice(60).map((length) => random(length)));
  await changesNothing(
    lab,
    "random after the magic",
    "version",
    lengths.slice(60).map((length) => {
      const bytes = random(length);
      bytes.set([0x56, 0x46, 0xff]);
      return bytes;
    }),
  );
  const cut = lengths.map((length) => genuine.slice(0, length));
  await changesNothing(lab, "cut short of a header", "short", cut.filter(({ length }) => length < 56));
  await changesNothing(lab, "cut", "length", cut.filter(({ length }) => length >= 56));
  await changesNothing(
    lab,
    "of another farm",
    "foreignFarm",
    forged(recorded, keys, deriveKeys(random(32), "other")),
  );
  // The tag goes over the wire in the clear, so a forger has it; the header key needs the secret.
  await changesNothing(
    lab,
    "forged without the secret",
    "headerCheck",
    forged(recorded, keys, { ...deriveKeys(random(32), "lab"), farmTag: keys.farmTag }),
  );
  await changesNothing(
    lab,
    "forged with half of the keys",
    "hmac",
    forged(recorded, keys, { ...keys, heartbeatKey: random(32) }),
  );
  await changesNothing(lab, "genuine with one bit changed", "hmac", altered(recorded, keys));
  await changesNothing(lab, "replayed", "replayed", recorded);
  await changesNothing(lab, "replayed in the other order", "replayed", recorded.toReversed());
});

Deno.test(
  { name: "recorded heartbeats change nothing after a stop, a start and a crash", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 3, clients: 1 });
    const recorded = await record(lab);
    const [n1, n2, n3] = lab.nodes;
    const all = ["n1", "n2", "n3"];

    await n3.stopDaemon();
    await changesNothing(lab, "replayed after one of three has left", "replayed", recorded);
    await lab.startNode("n3");
    await lab.waitForMembers(all);
    await changesNothing(lab, "replayed after it came back", "replayed", recorded);

    await n2.killDaemon();
    await waitForDeath(lab, "n2");
    // n3 has started after the recording and has heard the later n2 only.
    await changesNothing(lab, "replayed after a crash", "replayed", recorded);
    await lab.startNode("n2");
    await lab.waitForMembers(all);
    await n1.stopDaemon();
    await lab.startNode("n1");
    await lab.waitForMembers(all);
    await changesNothing(lab, "replayed to nodes that all have started anew", "replayed", recorded);
  },
);

Deno.test(
  { name: "a node does not serve beside one that speaks another protocol version", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 2, clients: 1 });
    const recorded = await record(lab);
    const [n1, n2] = lab.nodes;
    await n2.stopDaemon();
    await lab.waitForMembers(["n1"]);
    const self = async () => (await n1.farm()).members.find(({ self }) => self)!;
    const told = async () => (await eventsOf(n1)).filter(({ kind }) => kind === "member.other_version");
    // As n2 would be heard with the program of a later version: up, for fifteen seconds.
    const sending = send(lab, ofLaterVersion(recorded, await keysOf(lab), "n2", 150), { perSecond: 10 });
    await lab.waitFor(async () => (await told()).length > 0, 10_000, "n1 to tell of the other version");
    assert.equal((await self()).state, "up", "who is up goes on");
    await n1.stopDaemon();
    await lab.startNode("n1", { wait: false });
    await lab.waitFor(
      async () => /^n2 speaks protocol \d+, this node \d+$/.test((await self()).reason ?? ""),
      10_000,
      "n1 to wait for that reason",
    );
    assert.equal((await self()).state, "joining");
    assert.match((await told())[0].message, /^n2 speaks protocol .* Run one version on all nodes\.$/);
    await sending;
    await lab.waitForMembers(["n1"]);
    assert.equal((await told()).length, 1);
  },
);

Deno.test({ name: "100,000 false heartbeats a second eject nobody", ignore }, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  const recorded = await record(lab);
  const keys = await keysOf(lab);
  const mixed = [
    ...recorded.slice(0, 64),
    ...forged(recorded, keys, { ...deriveKeys(random(32), "lab"), farmTag: keys.farmTag }).slice(0, 64),
    ...forged(recorded, keys, deriveKeys(random(32), "other")).slice(0, 64),
    ...Array.from({ length: 64 }, () => recorded[0].slice(0, 100)),
    ...Array.from({ length: 64 }, () => random(300)),
  ];
  const before = await snapshot(lab);
  const refusedBefore = await Promise.all(lab.nodes.map(refusedBy));
  const sent = await send(lab, mixed, { flood: { durationMs: 5_000, perSecond: 100_000 } });
  const after = await snapshot(lab);
  const refused = await Promise.all(
    lab.nodes.map(async (node, i) => total(await refusedBy(node)) - total(refusedBefore[i])),
  );
  console.log(
    `  ${sent.count} false heartbeats in ${(sent.durationMs / 1000).toFixed(2)} s, ` +
      `${Math.round(sent.count / sent.durationMs)} thousand a second; refused by ${
        lab.nodes.map(({ name }, i) => `${name}: ${(refused[i] / sent.count * 100).toFixed(1)} %`).join(", ")
      } of them`,
  );
  assert.deepEqual(after, before);
  // Less than that is no flood, whatever else this machine was doing.
  assert.ok(sent.count / sent.durationMs > 20, "the flood was too slow to show anything");
  for (const count of refused) assert.ok(count > 0);
  const { code, stdout } = await lab.exec("c1", [
    "curl",
    "-sS",
    "-m",
    "5",
    `http://${lab.virtualIps.ipv4[0]}:8080/`,
  ]);
  assert.equal(code, 0);
  assert.match(stdout, /^n[123]\n$/);
});

/** Sends datagrams that every node refuses for one reason, and nothing comes of it but that many counts. */
async function changesNothing(lab: Lab, what: string, reason: string, datagrams: Datagrams): Promise<void> {
  const nodes = lab.nodes.filter((node) => node.daemon?.running);
  const before = await snapshot(lab);
  const refusedBefore = await Promise.all(nodes.map(refusedBy));
  const { count } = await send(lab, datagrams);
  assert.equal(count, datagrams.length);
  for (const [i, node] of nodes.entries()) {
    await lab.waitFor(
      async () => {
        const refused = await refusedBy(node);
        const grown = total(refused) - total(refusedBefore[i]);
        if (grown !== count) throw new Error(`${grown} of ${count}`);
        const by = (refused.get(reason) ?? 0) - (refusedBefore[i].get(reason) ?? 0);
        assert.equal(by, count, `${node.name} refused ${by} of ${count} as ${reason}`);
        return true;
      },
      10_000,
      `${node.name} to count ${count} heartbeats, ${what}, as ${reason}`,
    );
  }
  assert.deepEqual(await snapshot(lab), before, what);
}

/** What changes of a member only when its state does; rates and lateness are reported anew each second. */
const LASTING = ["name", "state", "reason", "incarnation", "weights", "shares"];

/** What false heartbeats must leave alone: the view of every running node, and its list of events. */
async function snapshot(lab: Lab): Promise<unknown> {
  return await Promise.all(
    lab.nodes.filter((node) => node.daemon?.running).map(async (node) => {
      const { members: told, health } = await node.farm();
      const members = told.map((member) =>
        Object.fromEntries(Object.entries(member).filter(([key]) => LASTING.includes(key)))
      );
      const events = (await eventsOf(node)).map(({ kind, message }) => `${kind}: ${message}`);
      return { node: node.name, health, members, events };
    }),
  );
}

/**
 * `vipfarm_heartbeats_refused_total` by reason. As `replayed` count also a sender's last message once more
 * (`duplicate`) and what a node hears of itself, which it finds genuine and has a counter of its own for.
 */
async function refusedBy(node: LabNode): Promise<Map<string, number>> {
  const text = await node.api<string>("GET", "/metrics");
  const lines = text.matchAll(/^vipfarm_heartbeats_refused_total\{reason="(\w+)"\} (\d+)$/gm);
  const refused = new Map([...lines].map(([, reason, count]) => [reason, Number(count)]));
  const own = await metric(node, "vipfarm_recordings_total");
  const replayed = (refused.get("replayed") ?? 0) + (refused.get("duplicate") ?? 0) + own;
  refused.delete("duplicate");
  return refused.set("replayed", replayed);
}

function total(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
