/** The self-test of the LAN on a real bridge that does not flood, has learned what it must not learn, or snoops multicast. */

import assert from "node:assert/strict";
import { Lab } from "../../src/lab/lab.ts";
import { eventsOf, ignore, metric } from "./farm_failure_support.ts";
import { bringUp, http, startFarm } from "./farm_support.ts";

/** Ten seconds are compared, three times in a row; a loaded machine gets its time. */
const REPORT_MS = 45_000;

interface Warned {
  readonly warnings: ReadonlyArray<
    { readonly kind: string; readonly message: string; readonly remedy: string }
  >;
  readonly virtual_ips: ReadonlyArray<{ readonly address: string; readonly mac: string }>;
}

const status = (lab: Lab, name: string) => lab.node(name).api<Warned>("GET", "/api/v1/farm");

/** Sends requests, answered or not, until `over` says so. */
async function traffic(lab: Lab, over: () => boolean): Promise<void> {
  while (!over()) {
    await lab.clients[0].request({ ...http(lab), count: 100, everyMs: 20, timeoutMs: 500 });
  }
}

/** Waits until every node reports this, or nothing. */
async function allReport(lab: Lab, kind: string | undefined, message: RegExp): Promise<void> {
  await Promise.all(lab.nodes.map(({ name }) =>
    lab.waitFor(
      async () => {
        const { warnings } = await status(lab, name);
        if (kind === undefined) return warnings.length === 0;
        return warnings.some((each) =>
          each.kind === kind && message.test(each.message) && each.remedy !== ""
        );
      },
      REPORT_MS,
      `${name} to report ${kind ?? "nothing"}`,
    )
  ));
}

/** Lets the bridge snoop multicast as a switch with a querier does, or flood it. */
async function snoop(lab: Lab, on: boolean): Promise<void> {
  const [snooping, querier] = ["mcast_snooping", "mcast_querier"].map((name) => [name, on ? "1" : "0"]);
  await lab.run("bridge", ["ip", "link", "set", "br0", "type", "bridge", ...snooping, ...querier]);
}

Deno.test({
  name: "a switch that does not flood to one node, then one that has learned: all nodes say so",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 3, clients: 1, mode: "unicast" });
  const { virtual_ips: vips } = await status(lab, "n1");
  const mac = vips.find(({ address }) => address === lab.virtualIps.ipv4[0])!.mac;
  let over = false;
  const sending = traffic(lab, () => over);
  // It is waited for below.
  sending.catch(() => {});
  try {
    // What a node sees while all is well, so that the counts are known to be real.
    await lab.waitFor(
      async () => await metric(lab.node(1), "vipfarm_member_vip_frames_total", 'member="n3"') > 100,
      REPORT_MS,
      "frames to be counted",
    );
    await allReport(lab, undefined, /./);

    await lab.run("bridge", ["bridge", "link", "set", "dev", "n3", "flood", "off"]);
    await allReport(lab, "lan.deaf", /^n3 gets none .* n1, n2 do/);
    await lab.run("bridge", ["bridge", "link", "set", "dev", "n3", "flood", "on"]);
    await allReport(lab, undefined, /./);

    await lab.run("bridge", ["bridge", "fdb", "add", mac, "dev", "n2", "master", "static"]);
    await allReport(lab, "lan.single", /reach only n2; n1, n3 get none/);
    await lab.run("bridge", ["bridge", "fdb", "del", mac, "dev", "n2", "master"]);
    await allReport(lab, undefined, /./);
  } finally {
    over = true;
    await sending;
  }
  for (const node of lab.nodes) {
    const kinds = (await eventsOf(node)).map(({ kind }) => kind).filter((kind) => kind.startsWith("lan."));
    assert.equal(kinds.filter((kind) => kind === "lan.ok").length, 2, `${node.name}: ${kinds.join(", ")}`);
    assert.ok(
      kinds.includes("lan.deaf") && kinds.includes("lan.single"),
      `${node.name}: ${kinds.join(", ")}`,
    );
  }
});

Deno.test(
  { name: "a switch that snoops MLD delivers solicitations for an IPv6 virtual IP", ignore },
  async () => {
    const peers = ["10.86.70.1", "10.86.70.2"];
    await using lab = await Lab.create({
      nodes: 2,
      clients: 1,
      mode: "unicast",
      config: { heartbeat: { peers } },
    });
    const [virtualIp] = lab.virtualIps.ipv6;
    assert.ok(virtualIp.endsWith("::100"));
    // Before the nodes join: it need not ask them then.
    await snoop(lab, true);
    await bringUp(lab);
    const members = async () => {
      const table = await lab.run("bridge", ["bridge", "mdb", "show"]);
      return table.split("\n").filter((line) => line.includes("grp ff02::1:ff00:100 ")).length;
    };
    await lab.waitFor(async () => await members() === 2, REPORT_MS, "both nodes to have joined the group");
    await lab.run("c1", ["ip", "neigh", "flush", "all"]);
    await lab.run("c1", ["ping", "-6", "-c", "1", "-W", "5", virtualIp]);
  },
);

Deno.test({
  name:
    "a switch that snoops delivers frames for a multicast MAC to nobody: all nodes say so, without a client",
  ignore,
}, async () => {
  // Unlike the group, they need nothing of a switch that has just begun to snoop.
  const peers = ["10.86.70.1", "10.86.70.2", "10.86.70.3"];
  await using lab = await startFarm({
    nodes: 3,
    clients: 1,
    mode: "multicast",
    config: { heartbeat: { peers } },
  });
  await allReport(lab, undefined, /./);
  const probes = () => metric(lab.node(1), "vipfarm_packets_total", 'interface="eth0",verdict="lan_probe"');
  await lab.waitFor(async () => await probes() > 20, REPORT_MS, "probes to be counted");

  await snoop(lab, true);
  const both = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6].map((each) => each.replaceAll(".", "\\."));
  await allReport(lab, "lan.none", new RegExp(`^Frames for ${both.join(", ")} reach no node`));
  const { warnings } = await status(lab, "n1");
  assert.match(warnings.find(({ kind }) => kind === "lan.none")!.remedy, /mode: unicast.* snooping off/);
  await snoop(lab, false);
  await allReport(lab, undefined, /./);
  for (const node of lab.nodes) {
    const told = (await eventsOf(node)).map(({ kind }) => kind).filter((kind) => kind.startsWith("lan."));
    assert.deepEqual(told, ["lan.none", "lan.ok"], node.name);
  }
});
