/** Heartbeats over more than one network, by unicast peers, and over IPv6 alone: real daemons on real bridges. */

import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { waitFor } from "../../src/lab/wait.ts";
import { errorKinds } from "../../src/lab/spread.ts";
import { AnswerCaptures, doublyAnswered } from "./farm_answers.ts";
import { eventsOf, hasEvent, ignore, metric } from "./farm_failure_support.ts";
import { bringUp, http, startFarm } from "./farm_support.ts";
import { addSecondNetwork, cutNodesApart } from "./second_network.ts";

/** The loss of a network is reported after one second, looked at once a second; a loaded machine gets its time. */
const REPORT_MS = 20_000;

/** What status tells about heartbeat networks. */
interface NetworksView {
  readonly warnings: ReadonlyArray<{ readonly kind: string; readonly message: string }>;
  readonly heartbeat_networks: ReadonlyArray<{
    readonly network: string;
    readonly members: ReadonlyArray<{ readonly name: string; readonly last_heard_ms: number | null }>;
  }>;
}

/** Status with every network reported on: that happens once a second. */
async function networksOf(node: LabNode, others: number): Promise<NetworksView> {
  return await waitFor(
    async () => {
      const view = await node.api<NetworksView>("GET", "/api/v1/farm");
      const networks = view.heartbeat_networks;
      return networks.length > 0 && networks.every(({ members }) => members.length === others) && view;
    },
    REPORT_MS,
    `${node.name} to report on every network`,
  );
}

const warned = async (node: LabNode) =>
  (await node.api<NetworksView>("GET", "/api/v1/farm")).warnings.map(({ kind }) => kind);

/** Sums a counter of the membership over all nodes. */
async function total(lab: Lab, name: string): Promise<number> {
  return (await Promise.all(lab.nodes.map((node) => metric(node, name)))).reduce((a, b) => a + b);
}

/** Requests while `during` runs: each is answered, and by one node. */
async function withRequests(lab: Lab, during: () => Promise<void>): Promise<void> {
  const captures = await AnswerCaptures.start(lab);
  const [answers] = await Promise.all([
    lab.clients[0].request({ ...http(lab), count: 600, everyMs: 10, timeoutMs: 5_000 }),
    during(),
  ]);
  assert.deepEqual(doublyAnswered(await captures.stop()), [], "no SYN is answered twice");
  assert.equal(errorKinds(answers), "", "every request is answered");
}

/** A farm whose heartbeats go over two networks. */
const ON_TWO = { nodes: 3, clients: 1, config: { heartbeat: { interfaces: ["eth0", "eth1"] } } };

Deno.test(
  {
    name:
      "two heartbeat networks: the first is cut and mended under requests; no view changes, one node answers",
    ignore,
  },
  async () => {
    await using lab = await Lab.create(ON_TWO);
    await addSecondNetwork(lab);
    await bringUp(lab);
    for (const node of lab.nodes) {
      const { heartbeat_networks: networks, warnings } = await networksOf(node, 2);
      assert.deepEqual(networks.map(({ network }) => network), [
        "eth0 (multicast 239.255.86.70)",
        "eth1 (multicast 239.255.86.70)",
      ]);
      assert.deepEqual(warnings, []);
    }
    const troubles = ["vipfarm_suspicions_total", "vipfarm_silences_total", "vipfarm_rejoins_total"];
    const before = await Promise.all(troubles.map((name) => total(lab, name)));
    await withRequests(lab, async () => {
      await cutNodesApart(lab);
      await Promise.all(lab.nodes.map((node) =>
        lab.waitFor(
          async () => (await warned(node)).includes("heartbeat.network_lost"),
          REPORT_MS,
          `${node.name} to report the loss of eth0`,
        )
      ));
      await lab.waitForMembers(["n1", "n2", "n3"]);
      await lab.heal();
      await Promise.all(
        lab.nodes.map((node) =>
          lab.waitFor(async () => (await warned(node)).length === 0, REPORT_MS, `${node.name} to be content`)
        ),
      );
    });
    assert.deepEqual(await Promise.all(troubles.map((name) => total(lab, name))), before);
    for (const node of lab.nodes) {
      const kinds = (await eventsOf(node)).map(({ kind }) => kind).filter((kind) =>
        kind.startsWith("heartbeat.")
      );
      assert.deepEqual(kinds, ["heartbeat.network_lost", "heartbeat.network_back"]);
      const duplicates = await metric(node, "vipfarm_heartbeats_refused_total", 'reason="duplicate"');
      assert.ok(duplicates > 10, `the second copies are known as such: ${duplicates}`);
    }
  },
);

Deno.test(
  { name: "two heartbeat networks, both lost: then, and only then, a node is replaced", ignore },
  async () => {
    await using lab = await Lab.create(ON_TWO);
    await addSecondNetwork(lab);
    await bringUp(lab);
    await lab.cut("n3b");
    await lab.waitFor(
      async () => (await warned(lab.node(1))).includes("heartbeat.network_partial"),
      REPORT_MS,
      "n1 to report that n3 is not heard on eth1",
    );
    await lab.waitForMembers(["n1", "n2", "n3"]);
    const lost = () => metric(lab.node(3), "vipfarm_heartbeats_lost_total", 'member="n1"');
    const before = await lost();
    assert.ok(before < 5, `what one network brings is not lost: ${before}`);
    await lab.cut("n3");
    await lab.waitFor(
      async () => (await lab.node(1).farm()).members.find(({ name }) => name === "n3")?.state === "dead",
      REPORT_MS,
      "n1 to take n3 for dead",
    );
    await lab.heal();
    await lab.waitForMembers(["n1", "n2", "n3"]);
    await lab.waitFor(async () => await lost() >= before + 5, REPORT_MS, "n3 to have counted what it missed");
  },
);

/** Frames to any multicast address of heartbeats are dropped by the switch. */
async function dropMulticast(lab: Lab): Promise<void> {
  const ruleset = `table bridge no_multicast {
    chain forward {
      type filter hook forward priority -10; policy accept;
      udp dport 4886 ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 counter drop
    }
  }`;
  await lab.run("bridge", ["nft", "-f", "-"], { input: ruleset });
}

for (
  const [name, peers] of [
    ["IPv4", ["10.86.70.1", "10.86.70.2", "10.86.70.3"]],
    ["IPv6", ["fd86:70::1", "fd86:70::2", "fd86:70::3"]],
  ] as const
) {
  Deno.test({ name: `peers over ${name}: a farm on a network that drops multicast`, ignore }, async () => {
    await using lab = await Lab.create({ nodes: 3, clients: 1, config: { heartbeat: { peers } } });
    await dropMulticast(lab);
    await bringUp(lab);
    for (const node of lab.nodes) {
      const { heartbeat_networks: networks } = await networksOf(node, 2);
      assert.deepEqual(networks.map(({ network }) => network), [`eth0 (peers over ${name})`]);
    }
    // The next program has to come by the same port.
    const n1 = lab.node(1);
    await withRequests(lab, async () => {
      Deno.kill(n1.daemon!.pid, "SIGUSR2");
      await lab.waitFor(hasEvent(n1, "program.replaced"), 30_000, "the program to be replaced");
    });
    await lab.node(2).stopDaemon();
    await lab.waitForMembers(["n1", "n3"]);
  });
}

Deno.test({ name: "a farm on IPv6 alone: no node has an IPv4 address", ignore }, async () => {
  await using lab = await Lab.create({ nodes: 3, clients: 1, virtualIps: ["fd86:70::100"] });
  for (const { namespace, station } of lab.nodes) {
    await namespace.ip([`addr del ${station.ipv4}/24 dev eth0`]);
  }
  await bringUp(lab);
  const { heartbeat_networks: [{ network }] } = await networksOf(lab.node(1), 2);
  assert.equal(network, "eth0 (multicast ff02::5646)");
  const answers = await lab.clients[0].request({
    protocol: "tcp",
    address: "fd86:70::100",
    port: LAB_PORTS.http,
    count: 60,
  });
  assert.equal(errorKinds(answers), "");
  assert.equal(new Set(answers.map(({ node }) => node)).size, 3, "all nodes take part");
});

Deno.test(
  { name: "a group for IPv6 alone: heartbeats use it although there are IPv4 addresses", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 2, config: { heartbeat: { group: "ff02::77" } } });
    const { heartbeat_networks: [{ network, members }] } = await networksOf(lab.node(1), 1);
    assert.equal(network, "eth0 (multicast ff02::77)");
    assert.equal(members[0].name, "n2");
  },
);
