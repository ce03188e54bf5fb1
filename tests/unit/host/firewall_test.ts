import assert from "node:assert/strict";
import { forNode, parseConfig } from "../../../src/config/load.ts";
import { expectedPackets, firewallFindings, type FirewallRules } from "../../../src/host/firewall.ts";
import type { IncomingPacket } from "../../../src/host/firewall_model.ts";

const HEARTBEAT: IncomingPacket = {
  what: "heartbeats",
  family: 4,
  interface: "eth0",
  protocol: "udp",
  destination: "239.255.86.70",
  port: 4886,
  isForService: false,
  fromTun: false,
};
const REQUEST: IncomingPacket = {
  what: "packets of the service http to 192.0.2.100",
  family: 4,
  interface: "vipfarm0",
  protocol: "tcp",
  destination: "192.0.2.100",
  port: 80,
  isForService: true,
  fromTun: true,
};
const BOTH = [HEARTBEAT, REQUEST];

/** What is dropped, in short. */
function dropped(rules: Partial<FirewallRules>, packets = BOTH): string[] {
  const findings = firewallFindings({ nft: undefined, iptables: new Map(), ...rules }, packets);
  for (const { ok, remedy } of findings) assert.ok(ok === true || remedy !== undefined);
  return findings.filter(({ ok }) => ok !== true).map(({ what }) => what.replace(/^.* drops (\w+).*$/, "$1"));
}

const chain = (name: string, hook?: string, policy?: string) => ({
  chain: { family: "inet", table: "filter", name, type: "filter", hook, policy },
});
const rule = (...expr: unknown[]) => ({ rule: { family: "inet", table: "filter", chain: "input", expr } });
const match = (left: unknown, right: unknown, op = "==") => ({ match: { op, left, right } });
const dport = (protocol: string, right: unknown) => match({ payload: { protocol, field: "dport" } }, right);
const iifname = (right: unknown, op?: string) => match({ meta: { key: "iifname" } }, right, op);
const ACCEPT = { accept: null }, DROP = { drop: null };
const nft = (...nftables: unknown[]) => ({ nft: JSON.stringify({ nftables }) });
const CLOSED = chain("input", "input", "drop");

Deno.test("no rules, or chains that accept, are fine", () => {
  assert.deepEqual(dropped({}), []);
  assert.deepEqual(dropped(nft(chain("input", "input", "accept"), rule(dport("tcp", 22), DROP))), []);
});

Deno.test("a closed chain drops what no rule accepts, and the remedy is a rule", () => {
  assert.deepEqual(dropped(nft(CLOSED, rule(dport("tcp", 22), ACCEPT))), ["heartbeats", "packets"]);
  const [finding] = firewallFindings({ ...nft(CLOSED), iptables: new Map() }, BOTH);
  assert.equal(
    finding.remedy,
    'Accept it: nft insert rule inet filter input iifname "eth0" udp dport 4886 accept',
  );
  assert.deepEqual(
    dropped(nft(chain("input", "input", "accept"), rule({ counter: null }, { reject: null }))),
    [
      "heartbeats",
      "packets",
    ],
  );
});

Deno.test("a rule for the port, alone, in a set or in a range, is enough", () => {
  for (
    const right of [4886, { set: [22, 4886] }, { range: [4800, 4900] }, { set: [{ range: [4886, 4887] }] }]
  ) {
    assert.deepEqual(dropped(nft(CLOSED, rule(dport("udp", right), ACCEPT))), ["packets"]);
  }
  assert.deepEqual(dropped(nft(CLOSED, rule(dport("udp", { range: [1, 1024] }), ACCEPT)), [HEARTBEAT]), [
    "heartbeats",
  ]);
});

Deno.test("services that are accepted on the interface of the clients only, are dropped on the TUN device", () => {
  const accepted = (on: unknown) => nft(CLOSED, rule(iifname(on), dport("tcp", { set: [80, 443] }), ACCEPT));
  assert.deepEqual(dropped(accepted("eth0"), [REQUEST]), ["packets"]);
  assert.deepEqual(dropped(accepted("vipfarm*"), [REQUEST]), []);
  assert.deepEqual(dropped(nft(CLOSED, rule(iifname("eth1", "!="), ACCEPT))), []);
});

Deno.test("jumps, verdict maps and states are followed", () => {
  const services = { ...rule(dport("tcp", 80), ACCEPT) };
  services.rule = { ...services.rule, chain: "services" };
  const jump = rule(match({ meta: { key: "l4proto" } }, "tcp"), { jump: { target: "services" } });
  assert.deepEqual(dropped(nft(CLOSED, chain("services"), jump, services)), ["heartbeats"]);
  const map = rule({
    vmap: {
      key: { meta: { key: "iifname" } },
      data: { set: [["lo", ACCEPT], ["vipfarm0", { jump: { target: "services" } }], ["eth0", ACCEPT]] },
    },
  });
  assert.deepEqual(dropped(nft(CLOSED, chain("services"), map, services)), []);
  const state = match({ ct: { key: "state" } }, ["established", "related"], "in");
  assert.deepEqual(dropped(nft(CLOSED, rule(state, ACCEPT)), [REQUEST]), ["packets"]);
});

Deno.test("a check of the way back drops what comes by the TUN device", () => {
  const missing = match({ fib: { result: "oif", flags: ["saddr", "iif"] } }, false);
  assert.deepEqual(dropped(nft(chain("input", "prerouting", "accept"), rule(missing, DROP))), ["packets"]);
  const raw = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m rpfilter --invert -j DROP\nCOMMIT\n";
  assert.deepEqual(dropped({ iptables: new Map([["iptables", raw]]) }), ["packets"]);
});

Deno.test("what cannot be judged is no warning, and is said", () => {
  const senders = match({ payload: { protocol: "ip", field: "saddr" } }, "192.0.2.1");
  const rules = nft(CLOSED, rule(senders, ACCEPT));
  assert.deepEqual(dropped(rules), []);
  const [finding] = firewallFindings({ ...rules, iptables: new Map() }, BOTH);
  assert.match(finding.what, /as far as its rules can be judged/);
  assert.deepEqual(dropped({ nft: "nonsense" }), ["the firewall rules could not be read"]);
});

Deno.test("other families and hooks do not count", () => {
  assert.deepEqual(dropped(nft({ chain: { ...CLOSED.chain, family: "netdev" } })), []);
  assert.deepEqual(dropped(nft({ chain: { ...CLOSED.chain, hook: "forward" } })), []);
  assert.deepEqual(dropped(nft({ chain: { ...CLOSED.chain, family: "ip6" } })), []);
});

Deno.test("iptables: policies, ports, interfaces, states, chains and negations", () => {
  const saved = (...rules: string[]) => ({
    iptables: new Map([[
      "iptables",
      `*filter\n:INPUT DROP [0:0]\n:web - [0:0]\n${rules.join("\n")}\nCOMMIT\n`,
    ]]),
  });
  assert.deepEqual(dropped(saved()), ["heartbeats", "packets"]);
  assert.deepEqual(dropped(saved("-A INPUT -p udp -m udp --dport 4886 -j ACCEPT")), ["packets"]);
  assert.deepEqual(
    dropped(saved(
      '-A INPUT -p udp -m udp --dport 4000:5000 -m comment --comment "a -j DROP" -j ACCEPT',
      "-A INPUT -i vipfarm+ -p tcp -m multiport --dports 443,80 -j web",
      "-A web -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
    )),
    [],
  );
  assert.deepEqual(dropped(saved("-A INPUT ! -i eth0 -j ACCEPT", "-A INPUT -d 224.0.0.0/4 -j ACCEPT")), []);
  assert.deepEqual(dropped(saved("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"), [REQUEST]), [
    "packets",
  ]);
  assert.deepEqual(dropped(saved("-A INPUT -s 192.0.2.0/24 -j ACCEPT")), [], "depends on the sender");
  const [finding] = firewallFindings({ nft: undefined, ...saved() }, BOTH);
  assert.equal(finding.remedy, "Accept it: iptables -I INPUT -i eth0 -p udp --dport 4886 -j ACCEPT");
});

/** As Docker writes them for `-p 80:8080`, with what it has of its own beside. */
const DOCKER = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A INPUT -p udp -m udp --dport 4886 -j ACCEPT
COMMIT
`;

Deno.test("a port that is published by translation is told once, whichever way its packets come in, and not as dropped", () => {
  const packets = [HEARTBEAT, REQUEST, { ...REQUEST, interface: "eth0", fromTun: false }];
  const findings = firewallFindings({ nft: undefined, iptables: new Map([["iptables", DOCKER]]) }, packets);
  assert.deepEqual(findings.map(({ ok }) => ok), [true, "warning"]);
  assert.match(
    findings[1].what,
    /^the firewall chain iptables nat PREROUTING translates packets of the service http/,
  );
  assert.match(findings[1].remedy ?? "", /--network host/);
  const other = { ...REQUEST, port: 81 };
  assert.deepEqual(dropped({ iptables: new Map([["iptables", DOCKER]]) }, [other]), ["packets"]);
});

Deno.test("translation by nftables is told, that of UDP and of what this host sends is not", () => {
  const nat = (hook: string) => ({
    chain: { family: "inet", table: "filter", name: "input", type: "nat", hook, policy: "accept" },
  });
  const redirect = rule(dport("tcp", 80), { redirect: { port: 8080 } });
  const whats = (rules: ReturnType<typeof nft>) =>
    firewallFindings({ ...rules, iptables: new Map() }, BOTH).slice(1).map(({ what }) => what);
  assert.match(
    whats(nft(nat("prerouting"), redirect)).join(),
    /filter input translates packets of the service http/,
  );
  assert.deepEqual(whats(nft(nat("output"), redirect)), []);
  assert.deepEqual(
    whats(nft(nat("prerouting"), rule(dport("udp", 4886), { dnat: { addr: "10.0.0.1" } }))),
    [],
  );
});

Deno.test("what only marks packets hides no translation, nor does an order of chains, and local is understood", () => {
  // As CNI's portmap writes it for a hostPort.
  const portmap = `*nat
:PREROUTING ACCEPT [0:0]
:MARKS - [0:0]
:HOSTPORTS - [0:0]
:ONE - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j HOSTPORTS
-A HOSTPORTS -p tcp -m comment --comment "dnat name" -m multiport --dports 80 -j ONE
-A ONE -s 10.85.0.0/16 -p tcp -m tcp --dport 80 -j MARKS
-A ONE -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.85.0.9:8080
-A MARKS -j MARK --set-xmark 0x2000/0x2000
COMMIT
`;
  const told = (rules: Partial<FirewallRules>) =>
    firewallFindings({ nft: undefined, iptables: new Map(), ...rules }, [REQUEST]).map(({ what }) => what)
      .join("\n");
  assert.match(
    told({ iptables: new Map([["iptables", portmap]]) }),
    /translates packets of the service http/,
  );
  const nat = {
    chain: {
      family: "inet",
      table: "filter",
      name: "nat",
      type: "nat",
      hook: "prerouting",
      policy: "accept",
    },
  };
  const isLocal = match({ fib: { result: "type", flags: ["daddr"] } }, "local");
  const dnat = rule(isLocal, dport("tcp", 80), { dnat: { addr: "10.0.0.1", port: 8080 } });
  const rules = nft(CLOSED, nat, { rule: { ...dnat.rule, chain: "nat" } });
  assert.match(told(rules), /translates packets of the service http/);
  assert.doesNotMatch(told(rules), /drops packets/);
});

Deno.test("what is dropped before it could be translated is told, and each port of a range is asked about", () => {
  const raw = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j DROP\nCOMMIT\n";
  assert.deepEqual(dropped({ iptables: new Map([["iptables", DOCKER + raw]]) }, [REQUEST]), [
    "packets",
    "the firewall chain iptables nat PREROUTING translates packets of the service http to 192.0.2.100: " +
    "open connections are reset when their share moves",
  ]);
  const { config, problems } = parseConfig(
    `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [78-82, 1000-60000] }]`,
    "farm.yaml",
  );
  assert.ok(config, JSON.stringify(problems));
  const packets = expectedPackets(config, forNode(config, "n1"));
  assert.deepEqual(
    packets.filter((packet) => packet.isForService && packet.interface === "eth0").map(({ port }) => port),
    [78, 79, 80, 81, 82, 1000, 60_000],
  );
  const findings = firewallFindings({ nft: undefined, iptables: new Map([["iptables", DOCKER]]) }, packets);
  assert.equal(findings.filter(({ what }) => what.includes("translates")).length, 1);
});
