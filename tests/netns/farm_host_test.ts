/** What a real daemon does to its host: all of it undone, and silence when it is gone without a word. */

import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import { vipfarmArgv } from "../../src/lab/program.ts";
import { bridgeCommands, stationCommands } from "../../src/lab/topology.ts";
import { eventsOf, hasEvent, ignore, metric, waitForDeath } from "./farm_failure_support.ts";
import { http, ownMac, runArgv, startFarm } from "./farm_support.ts";

/** A look every second, then new starts in growing distances: all of it is over well before this. */
const NOTICED_MS = 30_000;
/** Where every probe has to be answered, a loaded machine gets its time. */
const PATIENCE = 5;

/** Everything of a node's network namespace that a daemon might change. */
async function snapshot(lab: Lab, node = "n1"): Promise<string> {
  const commands = [
    "ip -o -d link",
    "ip -o address",
    "ip maddress",
    // Sockets: without the kernel's addresses and inode numbers.
    "cut -d' ' -f2-7 /proc/net/packet",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule",
    "ip -6 rule",
    "nft list ruleset",
    "sysctl -a -r '^net[.]ipv[46][.]' | grep -v -e random -e entropy -e '[.]stable_secret' | sort",
  ];
  const script = commands.map((command) => `echo "# ${command}"; ${command}`).join("; ");
  return (await lab.run(node, ["sh", "-c", script])).replaceAll(/ (valid_lft|preferred_lft) \S+/g, "");
}

/** A lab of one node and one client, with its service. */
async function oneNode(): Promise<Lab> {
  const lab = await Lab.create({ nodes: 1, clients: 1 });
  try {
    await lab.startServices();
    return lab;
  } catch (error) {
    await lab.dispose();
    throw error;
  }
}

/**
 * Requests by every protocol that a node answers on a virtual IP; which of them were answered. `patience`: how many times
 * as long as usual to wait for that.
 */
async function probe(lab: Lab, patience = 1): Promise<string[]> {
  const answered: string[] = [];
  for (const [family, vip] of [["IPv4", lab.virtualIps.ipv4[0]], ["IPv6", lab.virtualIps.ipv6[0]]]) {
    const host = family === "IPv6" ? `[${vip}]` : vip;
    const commands: Record<string, string[]> = {
      // Known neighbours are asked again: ARP and neighbour discovery first.
      echo: ["ping", "-n", "-c", "2", "-i", "0.2", "-W", `${patience}`, vip],
      tcp: ["curl", "-sg", "-m", `${2 * patience}`, `http://${host}:${LAB_PORTS.http}/`],
    };
    await lab.exec("c1", ["ip", "neigh", "flush", "dev", "eth0"]);
    for (const [what, argv] of Object.entries(commands)) {
      if ((await lab.exec("c1", argv)).code === 0) answered.push(`${what} ${family}`);
    }
    const [{ node }] = await lab.clients[0].request({
      protocol: "udp",
      address: vip,
      port: LAB_PORTS.echo,
      count: 1,
      timeoutMs: 500 * patience,
    });
    if (node !== undefined) answered.push(`udp ${family}`);
  }
  return answered;
}

/** Lets the client know for good at which MAC an address is. */
async function isAt(lab: Lab, address: string, mac: string): Promise<void> {
  const neighbour = [address, "lladdr", mac, "nud", "permanent", "dev", "eth0"];
  await lab.run("c1", ["ip", "neigh", "replace", ...neighbour]);
}

const ALL_PROBES = ["echo IPv4", "tcp IPv4", "udp IPv4", "echo IPv6", "tcp IPv6", "udp IPv6"];

Deno.test(
  { name: "a clean stop leaves the host as it was, also after one that was killed", ignore },
  async () => {
    await using lab = await oneNode();
    const node = lab.node(1);
    const before = await snapshot(lab);

    await lab.startNode(1);
    assert.notEqual(await snapshot(lab), before);
    assert.deepEqual(await probe(lab, PATIENCE), ALL_PROBES);
    await node.stopDaemon();
    assert.equal(await snapshot(lab), before, "after a clean stop");

    await lab.startNode(1);
    await node.killDaemon();
    assert.notEqual(await snapshot(lab), before, "settings of a killed daemon wait for their undo");
    await lab.startNode(1);
    assert.match(await node.log(), /\[host\.leftovers_undone\]/);
    assert.deepEqual(await probe(lab, PATIENCE), ALL_PROBES);
    await node.stopDaemon();
    assert.equal(await snapshot(lab), before, "after a kill, a start and a clean stop");
  },
);

Deno.test({ name: "`run --undo` puts back what a killed daemon left", ignore }, async () => {
  await using lab = await oneNode();
  const node = lab.node(1);
  const before = await snapshot(lab);
  await lab.startNode(1);
  const undo = vipfarmArgv("run", "--undo", "--runtime-dir", node.runtimeDirectory);
  const refused = await lab.exec("n1", undo);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /running there already/);

  await node.killDaemon();
  const { code, stdout } = await lab.exec("n1", undo);
  assert.equal(code, 0);
  assert.match(stdout, /undone: net\/ipv4\/conf\/eth0\/arp_ignore is 0 again/);
  assert.equal(await snapshot(lab), before);
  const again = await lab.exec("n1", undo);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /^There was nothing to undo in /);
});

Deno.test({ name: "a node whose daemon was killed is silent on the virtual IPs", ignore }, async () => {
  await using lab = await oneNode();
  const node = lab.node(1);
  await lab.startNode(1);
  const [client] = lab.clients;
  // Connections that are open when it happens: the kernel of the node still has them afterwards.
  for (const address of [lab.virtualIps.ipv4[0], lab.virtualIps.ipv6[0]]) {
    const opened = await client.open({ protocol: "tcp", address, port: LAB_PORTS.http, count: 5 });
    assert.ok(opened.every((answer) => answer.node === "n1"));
  }
  const { members } = await node.farm();
  assert.equal(members.length, 1);
  const virtual =
    (await node.api<{ virtual_ips: Array<{ address: string; mac: string }> }>("GET", "/api/v1/farm"))
      .virtual_ips;
  await node.killDaemon();

  // A router, as a namespace of a host that is one, would look for the virtual IP on the LAN and pass packets on.
  await lab.run("n1", ["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
  const mac = await ownMac(lab, "n1");
  // Whatever the node sends, but for looking for its neighbours with its own addresses, and group reports.
  const capture = await lab.capture(
    "n1",
    "eth0",
    `ether src ${mac} and not (arp and not host ${lab.virtualIps.ipv4[0]}) and not igmp and ` +
      `not (ip6 and not host ${lab.virtualIps.ipv6[0]} and icmp6 and ` +
      "(ip6[40] == 135 or ip6[40] == 136 or ip6[40] == 143)) and not (ip6 and ip6[6] == 0)",
  );
  assert.deepEqual(await probe(lab), [], "with neighbours unknown");
  for (const { address, mac } of virtual) await isAt(lab, address, mac);
  const asked = await client.ask(1_000);
  assert.ok(asked.every(({ error }) => error === "timeout"), JSON.stringify(asked.map(({ error }) => error)));
  assert.deepEqual(await probe(lab), [], "with frames to the virtual MAC");
  // Sent to the node's own MAC, as by somebody who has it from a broken switch.
  for (const { address } of virtual) await isAt(lab, address, mac);
  assert.deepEqual(await probe(lab), [], "with frames to the node's own MAC");
  await capture.stop();
  assert.deepEqual(await capture.lines(), []);
});

Deno.test(
  { name: "a second daemon in one runtime directory is refused and disturbs nothing", ignore },
  async () => {
    await using lab = await oneNode();
    const node = lab.node(1);
    await lab.startNode(1);
    const during = await snapshot(lab);
    const second = await lab.exec("n1", runArgv(node));
    assert.equal(second.code, 1);
    assert.match(second.stderr, /a daemon is running there already .*process \d+/);
    assert.match(second.stderr, /--runtime-dir/);
    assert.equal(await snapshot(lab), during);
    assert.deepEqual(await probe(lab, PATIENCE), ALL_PROBES);
    await node.stopDaemon();
  },
);

Deno.test({
  name: "a daemon without the privilege ends with code 4, says which, and leaves no trace",
  ignore,
}, async () => {
  await using lab = await oneNode();
  const node = lab.node(1);
  await lab.startNode(1);
  await node.stopDaemon();
  const before = await snapshot(lab);
  for (const capability of ["net_admin", "net_raw"]) {
    // Root gets only what the bounding set leaves it (capabilities(7)).
    const without = ["setpriv", "--bounding-set", `-${capability}`, "--inh-caps", `-${capability}`, "--"];
    const { code, stderr } = await lab.exec("n1", [...without, ...runArgv(node)]);
    assert.equal(code, 4, `without ${capability}: ${stderr}`);
    assert.match(stderr, new RegExp(`cap_${capability}`, "i"), "the remedy names the capability");
    assert.equal(await snapshot(lab), before, `without ${capability}`);
  }
});

Deno.test({
  name: "an interface that was removed is told of, and one of its name used when it comes",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 2, clients: 1 });
  const node = lab.node(1);
  const settings = ["net.ipv4.conf.eth0.arp_ignore", "net.ipv6.conf.eth0.drop_unicast_in_l2_multicast"];
  const before = await lab.run("n1", ["sysctl", ...settings]);
  await lab.run("n1", ["ip", "link", "delete", "eth0"]);
  const told = /n1 stops: interface eth0 is gone.*\[node\.failed\]/;
  await lab.waitFor(
    async () => told.test(await node.log()),
    NOTICED_MS,
    "n1 to tell that its interface is gone",
  );
  await waitForDeath(lab, "n1");

  const cable = bridgeCommands([{ name: "n1", holderPid: lab.namespace("n1").holder.pid }]);
  // Its first two commands make the bridge, which is there.
  await lab.namespace("bridge").ip(cable.slice(2));
  await lab.namespace("n1").ip(stationCommands(node.station));
  await lab.waitForMembers(["n1", "n2"], NOTICED_MS);
  assert.equal(await lab.run("n1", ["sysctl", ...settings]), before);
  const answers = await lab.clients[0].request({ ...http(lab), count: 100 });
  assert.deepEqual(new Set(answers.map(({ node, error }) => node ?? error)), new Set(["n1", "n2"]));
  await node.stopDaemon();
  assert.doesNotMatch(await lab.run("n1", ["ip", "-o", "link"]), /vipfarm/, "the TUN device is still there");
});

Deno.test({ name: "an interface that was down for a while is used again", ignore }, async () => {
  await using lab = await startFarm({ nodes: 2, clients: 1 });
  await lab.run("n1", ["ip", "link", "set", "eth0", "down"]);
  await lab.waitFor(
    async () => (await lab.node(2).farm()).members.find(({ name }) => name === "n1")?.state === "dead",
    NOTICED_MS,
    "n2 to replace n1",
  );
  const request = { ...http(lab), count: 100 };
  const alone = await lab.clients[0].request(request);
  assert.ok(alone.every(({ node }) => node === "n2"));
  await lab.run("n1", ["ip", "link", "set", "eth0", "up"]);
  await lab.waitForMembers(["n1", "n2"], NOTICED_MS);
  const both = await lab.clients[0].request(request);
  assert.deepEqual(new Set(both.map(({ node, error }) => node ?? error)), new Set(["n1", "n2"]));
});

Deno.test(
  { name: "virtual IPs that are taken off the TUN device, or go with it, come back", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 2, clients: 1 });
    const [n1] = lab.nodes;
    const [virtualIp] = lab.virtualIps.ipv4;
    const isThere = async () => (await lab.exec("n1", ["ip", "-br", "address"])).stdout.includes(virtualIp);
    const allAnswer = async () => {
      const answers = await lab.clients[0].request({ ...http(lab), count: 40, timeoutMs: 1_000 });
      return answers.every(({ error }) => error === undefined) &&
        new Set(answers.map(({ node }) => node)).size === 2;
    };

    await lab.run("n1", ["ip", "address", "del", `${virtualIp}/32`, "dev", "vipfarm0"]);
    await lab.waitFor(hasEvent(n1, "host.virtual_ip_mended"), NOTICED_MS, "the address to be missed");
    assert.ok(await isThere());
    await lab.waitFor(allAnswer, NOTICED_MS, "both nodes to answer again");

    await lab.run("n1", ["sysctl", "-qw", "net.ipv4.conf.vipfarm0.rp_filter=1"]);
    await lab.waitFor(hasEvent(n1, "host.setting_mended"), NOTICED_MS, "the setting to be missed");
    assert.equal((await lab.run("n1", ["sysctl", "-n", "net.ipv4.conf.vipfarm0.rp_filter"])).trim(), "2");

    await lab.run("n1", ["ip", "link", "set", "vipfarm0", "down"]);
    await lab.waitFor(allAnswer, NOTICED_MS, "both nodes to answer with the device up again");

    await lab.run("n1", ["ip", "link", "del", "vipfarm0"]);
    await lab.waitFor(hasEvent(n1, "program.ended"), NOTICED_MS, "the device to be missed");
    await lab.waitFor(isThere, NOTICED_MS, "another device");
    await lab.waitForMembers(["n1", "n2"], NOTICED_MS);
    await lab.waitFor(allAnswer, NOTICED_MS, "both nodes to answer by the new device");
    const told = (await eventsOf(n1)).find(({ kind }) => kind === "program.ended");
    assert.match(told!.message, /the TUN device vipfarm0 was deleted/);
    await n1.stopDaemon();
    assert.ok(!await isThere());
  },
);

Deno.test({
  name: "connections of the node's own programs to the virtual IP are not counted as clients'",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 1, clients: 1 });
  const [n1] = lab.nodes, { address, port } = http(lab);
  const hold = (where: string) => {
    const script = `exec 3<>/dev/tcp/${address}/${port} && echo open && exec sleep 600`;
    return lab.spawn(where, ["bash", "-c", script], { stdout: "piped" });
  };
  for (const where of ["n1", "n1", "c1"]) {
    assert.equal((await lines(hold(where).child.stdout).next()).value, "open");
  }
  const connections = () => metric(n1, "vipfarm_connections");
  await lab.waitFor(async () => await connections() > 0, NOTICED_MS, "the client's connection to be counted");
  assert.equal(await connections(), 1);
});

Deno.test({
  name:
    "a second network card in the clients' LAN neither answers for the virtual IP nor takes its datagrams",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 2, clients: 1 });
  const [virtualIp] = lab.virtualIps.ipv4;
  const setting = async (node: string) =>
    (await lab.run(node, ["sysctl", "-n", "net.ipv4.conf.all.arp_ignore"])).trim();
  for (const { name } of lab.nodes) {
    assert.equal(await setting(name), "0", "one card needs no setting for all");
    const { pid } = lab.namespace(name).holder;
    await lab.run("bridge", [
      "sh",
      "-c",
      `
      ip link add ${name}b type veth peer name eth1 netns ${pid}
      ip link set ${name}b master br0 up
    `,
    ]);
    await lab.run(name, ["ip", "link", "set", "eth1", "up"]);
  }
  for (const { name } of lab.nodes) {
    await lab.waitFor(async () => await setting(name) === "1", NOTICED_MS, `${name} to see its second card`);
  }
  for (let i = 0; i < 5; i++) {
    await lab.run("c1", ["ip", "neigh", "flush", "all"]);
    await lab.run("c1", ["ping", "-c", "1", "-W", "5", virtualIp]);
    assert.match(await lab.run("c1", ["ip", "neigh", "show", virtualIp]), / 03:76:/);
  }
  const echo = { protocol: "udp", address: virtualIp, port: LAB_PORTS.echo, count: 40 } as const;
  const answers = await lab.clients[0].request(echo);
  assert.ok(answers.every(({ nodes }) => nodes?.length === 1), JSON.stringify(answers));
  for (const node of lab.nodes) {
    await node.stopDaemon();
    assert.equal(await setting(node.name), "0");
  }
});

Deno.test({ name: "a heartbeat port that another program has is told with its remedy", ignore }, async () => {
  await using lab = await Lab.create({
    nodes: 2,
    config: { heartbeat: { peers: ["10.86.70.1", "10.86.70.2"] } },
  });
  const script = "(await import('node:dgram')).createSocket('udp4').bind(4886, '0.0.0.0'); " +
    "console.log('taken'); setInterval(() => {}, 1e6)";
  const taker = lab.spawn("n1", [Deno.execPath(), "eval", script], { stdout: "piped" });
  assert.equal((await lines(taker.child.stdout).next()).value, "taken");
  const node = await lab.startNode(1, { wait: false });
  assert.equal((await node.daemon!.ended(NOTICED_MS)).code, 1);
  const said = await node.log();
  assert.match(said, /bind heartbeat socket: .*\n.*another program uses this address and port/);
  assert.doesNotMatch(said, /\.ts:\d+/, "no trace");
});
