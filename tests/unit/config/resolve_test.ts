import assert from "node:assert/strict";
import { forNode, parseConfig, weightsOf } from "../../../src/config/load.ts";
import { VipfarmError } from "../../../src/core/errors.ts";

const TEXT = `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }, { address: 2001:db8::100, interface: eth1 }]
services: [{ name: http, ports: [80] }, { name: dns, ports: [53], protocol: udp, weight: 7 }]
heartbeat: { interfaces: [eth0, eth2] }
nodes:
  n1: { weight: 200, interface: ens3, services: { dns: { weight: 0 } } }
  n2: { weight: 20 }
`;

function config(text = TEXT) {
  const { config, problems } = parseConfig(text, "farm.yaml");
  assert.deepEqual(problems, []);
  assert.ok(config);
  return config;
}

Deno.test("a node's own interface name takes the place of the farm's, and of no other", () => {
  const node = forNode(config(), "n1");
  assert.equal(node.interface, "ens3");
  assert.deepEqual(node.virtualIps.map((each) => each.interface), ["ens3", "eth1"]);
  assert.deepEqual(node.heartbeatInterfaces, ["ens3", "eth2"]);
  assert.deepEqual(forNode(config(), "n2").heartbeatInterfaces, ["eth0", "eth2"]);
});

Deno.test("weights: the node's service, else the node, else the service; presence first", () => {
  assert.deepEqual(forNode(config(), "n1").weights, [1, 200, 0]);
  assert.deepEqual(forNode(config(), "n2").weights, [1, 20, 20]);
  assert.deepEqual(forNode(config(), "n3").weights, [1, 100, 7]);
  assert.deepEqual(forNode(config(), "constructor").weights, [1, 100, 7]);
});

Deno.test("a weight given at run time takes the place of the node's", () => {
  assert.deepEqual(weightsOf(config(), "n1", 5), [1, 5, 0]);
  assert.deepEqual(weightsOf(config(), "n3", 0), [1, 0, 0]);
});

Deno.test("a name that no node can have is refused", () => {
  assert.throws(
    () => forNode(config(), "a b"),
    (error) => error instanceof VipfarmError && error.exitCode === 2,
  );
});

Deno.test("the digest follows meaning, not spelling or places of files", () => {
  const { digest } = config();
  const same = [
    TEXT.replace("secret_file: secret", "secret_file: /other/secret"),
    TEXT.replace("2001:db8::100", "2001:0DB8::0100"),
    TEXT.replace("[80]", '["80-80"]'),
    `# comment\n${TEXT}datapath: tun\n`,
  ];
  for (const text of same) assert.equal(config(text).digest, digest, text);
  assert.notEqual(config(TEXT.replace("weight: 20 ", "weight: 21 ")).digest, digest);
});

Deno.test("the services' digest covers what all nodes must agree on, and nothing else", () => {
  const { servicesDigest } = config();
  const agreed = [
    ["weight: 7", "weight: 8"],
    ["interface: eth0", "interface: eth9"],
    ["weight: 200", "weight: 1"],
    ["[eth0, eth2]", "[eth0]"],
  ];
  for (const [from, to] of agreed) {
    assert.equal(config(TEXT.replace(from, to)).servicesDigest, servicesDigest, to);
  }
  const disputed = [
    ["[80]", "[81]"],
    ["protocol: udp", "protocol: tcp"],
    ["ports: [80]", "ports: [80], affinity: client"],
    ["192.0.2.100", "192.0.2.101"],
    ["192.0.2.100 }", "192.0.2.100, mode: unicast }"],
  ];
  for (const [from, to] of disputed) {
    assert.notEqual(config(TEXT.replace(from, to)).servicesDigest, servicesDigest, to);
  }
});

Deno.test("a quorum is off unless asked for; its digest counts, what nodes must agree on does not", () => {
  const majority = config(`${TEXT}quorum: majority\n`.replace("n2: {", "n3: {}\n  n2: {"));
  assert.deepEqual(config().quorum, { kind: "off" });
  assert.deepEqual(majority.quorum, { kind: "majority" });
  assert.equal(majority.servicesDigest, config().servicesDigest);
  assert.notEqual(majority.digest, config().digest);
  const { quorum } = config(`${TEXT}quorum: { witness: "2001:DB8::1" }\n`);
  assert.equal(quorum.kind === "witness" && quorum.address.text, "2001:db8::1");
});

Deno.test("a majority of two nodes is allowed, with a warning", () => {
  const { config, problems } = parseConfig(`${TEXT}quorum: majority\n`, "farm.yaml");
  assert.ok(config);
  assert.deepEqual(problems.map(({ severity, path }) => [severity, path]), [["warning", "quorum"]]);
});
