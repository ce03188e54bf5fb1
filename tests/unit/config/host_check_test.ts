import assert from "node:assert/strict";
import { checkAgainstHost, type HostInterface } from "../../../src/config/host_check.ts";
import { hostInterfaces } from "../../../src/config/host_interfaces.ts";
import { formatProblem, parseConfig } from "../../../src/config/load.ts";

const TEXT = `farm: web
secret_file: secret
interface: eth0
virtual_ips:
  - address: 192.0.2.100
  - address: 2001:db8::100
services: [{ name: http, ports: [80] }]
nodes:
  n2: { interface: ens3 }
`;

function host(addresses: Record<string, string[]>): HostInterface[] {
  return Object.entries({ lo: ["127.0.0.1/8", "::1/128"], ...addresses }).map(([name, list]) => ({
    name,
    addresses: list.map((text) => {
      const [address, length] = text.split("/");
      return { address, prefixLength: Number(length) };
    }),
  }));
}

function messages(
  text: string,
  node: string,
  addresses: Record<string, string[]>,
  absent?: "error",
): string[] {
  const { config, placement } = parseConfig(text, "f");
  const subject = config ?? placement;
  assert.ok(subject);
  return checkAgainstHost(subject, node, host(addresses), absent).map(formatProblem);
}

const ETH0 = ["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"];

Deno.test("virtual IPs inside the interface's networks are fine", () => {
  assert.deepEqual(messages(TEXT, "n1", { eth0: ETH0 }), []);
  assert.deepEqual(messages(TEXT, "n2", { ens3: ETH0 }), []);
});

Deno.test("a virtual IP in no network of the host is an error with the remedy", () => {
  assert.deepEqual(messages(TEXT, "n1", { eth0: ["198.51.100.7/24"], eth1: ["2001:db8:1::1/64"] }), [
    "f:5:14: the virtual IP 192.0.2.100 is in no network of this host, expected a free address in " +
    "198.51.100.0/24, or an address of its network on eth0",
    "f:6:14: the virtual IP 2001:db8::100 is in no network of this host, expected a network around it on eth0; " +
    "give eth0 an address of the same network",
  ]);
});

Deno.test("no link-local network is offered for a virtual IP", () => {
  const [message] = messages(TEXT, "n1", { eth0: ["192.0.2.1/24", "fd00::1/64", "fe80::1/64"] });
  assert.match(message, /expected a free address in fd00::\/64, or an address of its network on eth0$/);
});

Deno.test("a virtual IP in another interface's network is a warning", () => {
  assert.deepEqual(messages(TEXT, "n1", { eth0: ["2001:db8::1/64"], eth1: ["192.0.2.1/24"] }), [
    "f:5:14: warning: the virtual IP 192.0.2.100 is in the network of eth1, not of eth0, expected interface: eth1, " +
    "or an address of that network on eth0",
  ]);
});

Deno.test("a virtual IP that the host has already is an error", () => {
  for (const eth0 of [[...ETH0, "192.0.2.100/24"], [...ETH0, "192.0.2.100/32"]]) {
    const [message, ...rest] = messages(TEXT, "n1", { eth0 });
    assert.match(
      message,
      /^f:5:14: the virtual IP 192\.0\.2\.100 is already an address of eth0 .*expected another address, .*needs it no longer, first: ip address del 192/,
    );
    assert.deepEqual(rest, []);
  }
});

Deno.test("the farm's own device, with the virtual IP alone on it, is no obstacle", () => {
  assert.deepEqual(messages(TEXT, "n1", { eth0: ETH0, vf0: ["192.0.2.100/32", "2001:db8::100/128"] }), []);
});

Deno.test("network and broadcast addresses cannot be virtual IPs", () => {
  for (const edge of ["192.0.2.0", "192.0.2.255"]) {
    const [message] = messages(TEXT.replace("192.0.2.100", edge), "n1", { eth0: ETH0 });
    assert.match(message, /is the network or broadcast address of 192\.0\.2\.0\/24/);
  }
  assert.deepEqual(
    messages(TEXT.replace("192.0.2.100", "192.0.2.0"), "n1", { eth0: ["192.0.2.1/31", ETH0[1]] }),
    [],
  );
});

Deno.test("an absent interface is a warning for a reader and an error for the node, at the place that names it", () => {
  const absent = { eth7: ["198.51.100.1/24"] };
  assert.deepEqual(messages(TEXT, "n1", absent), [
    "f:3:12: warning: this host has no interface eth0, expected one of lo, eth7; where one node differs, set " +
    "nodes.n1.interface",
  ]);
  assert.match(messages(TEXT, "n2", absent)[0], /^f:9:20: warning: this host has no interface ens3/);
  assert.match(messages(TEXT, "n1", absent, "error")[0], /^f:3:12: this host/);
});

Deno.test("heartbeat interfaces must be there too", () => {
  const text = TEXT + "heartbeat: { interfaces: [eth0, eth1] }\n";
  assert.match(messages(text, "n1", { eth0: ETH0 })[0], /^f:10:33: warning: this host has no interface eth1/);
});

Deno.test("a file with mistakes elsewhere is checked too, as far as its values go", () => {
  const text = TEXT.replace("2001:db8::100", "nonsense").replace("farm: web", "farm: a b");
  const found = messages(text, "n1", { eth0: ["198.51.100.1/24"] });
  assert.equal(found.length, 1);
  assert.match(found[0], /^f:5:14: the virtual IP 192/);
});

Deno.test("this host's interfaces are listed with their prefix lengths", () => {
  const loopback = hostInterfaces().find(({ name }) => name === "lo");
  assert.ok(loopback);
  for (const { prefixLength } of loopback.addresses) assert.ok(prefixLength > 0);
});
