import assert from "node:assert/strict";
import { type HostInterface, planNetworks } from "../../../src/control/heartbeat_networks.ts";
import { addressFromBytes, parseAddress } from "../../../src/core/address.ts";
import { VipfarmError } from "../../../src/core/errors.ts";

const ip = (text: string) => {
  const address = parseAddress(text);
  assert.ok(address, text);
  return address;
};
const GROUPS = { ipv4: ip("239.255.86.70"), ipv6: ip("ff02::5646") };

function host(name: string, index: number, ...networks: string[]): HostInterface {
  const addresses = networks.map((text) => {
    const [address, length] = text.split("/");
    return { address: ip(address).bytes, prefixLength: Number(length) };
  });
  return { name, index, addresses };
}

function plan(
  interfaces: HostInterface[],
  heartbeat: { peers?: string[]; groups?: Partial<typeof GROUPS> } = {},
) {
  const groups = { ipv4: undefined, ...(heartbeat.groups ?? GROUPS) } as typeof GROUPS;
  const own = interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  const { networks, warnings } = planNetworks(
    { groups, peers: (heartbeat.peers ?? []).map(ip) },
    interfaces,
    own,
  );
  const text = (bytes: Uint8Array) => addressFromBytes(bytes).text;
  return {
    warnings,
    networks: networks.map(({ interfaceName, localAddress, targets, group }) =>
      [
        interfaceName,
        group === undefined ? `at ${text(localAddress!)}` : `joins ${text(group)}`,
        `to ${targets.map(text).join(" ")}`,
      ].join(" ")
    ),
  };
}

Deno.test("multicast: IPv4 where the interface has an IPv4 address, else IPv6", () => {
  const interfaces = [host("eth0", 2, "10.0.0.1/24", "fe80::1/64"), host("eth1", 3, "fe80::2/64")];
  assert.deepEqual(plan(interfaces), {
    networks: ["eth0 joins 239.255.86.70 to 239.255.86.70", "eth1 joins ff02::5646 to ff02::5646"],
    warnings: [],
  });
});

Deno.test("with a group for IPv6 only, no interface uses IPv4", () => {
  const { networks } = plan([host("eth0", 2, "10.0.0.1/24")], { groups: { ipv6: ip("ff02::77") } });
  assert.deepEqual(networks, ["eth0 joins ff02::77 to ff02::77"]);
});

Deno.test("peers: a node's own addresses are left out, each network gets the peers that are on it", () => {
  const interfaces = [host("eth0", 2, "10.0.0.1/24"), host("eth1", 3, "10.0.1.1/24", "fd00::1/64")];
  const peers = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "fd00::1", "fd00::2"];
  assert.deepEqual(plan(interfaces, { peers }), {
    networks: ["eth0 at 10.0.0.1 to 10.0.0.2", "eth1 at 10.0.1.1 to 10.0.1.2", "eth1 at fd00::1 to fd00::2"],
    warnings: [],
  });
});

Deno.test("a peer behind a router goes out once, by the first interface of its family", () => {
  const interfaces = [host("eth0", 2, "10.0.0.1/24"), host("eth1", 3, "10.0.1.1/24")];
  assert.deepEqual(plan(interfaces, { peers: ["10.0.0.1", "192.0.2.9", "10.0.1.2"] }).networks, [
    "eth0 at 10.0.0.1 to 192.0.2.9",
    "eth1 at 0.0.0.0 to 10.0.1.2",
  ]);
});

Deno.test("link-local peers go out wherever there is a link", () => {
  const interfaces = [host("eth0", 2, "fe80::1/64"), host("eth1", 3, "fe80::2/64")];
  assert.deepEqual(plan(interfaces, { peers: ["fe80::1", "fe80::9"] }).networks, [
    "eth0 at fe80::1 to fe80::9",
    "eth1 at :: to fe80::9",
  ]);
});

Deno.test("an interface without a peer, and a node that is no peer, are told", () => {
  const { warnings } = plan([host("eth0", 2, "10.0.0.1/24"), host("eth1", 3)], { peers: ["10.0.0.2"] });
  assert.equal(warnings.length, 2);
  assert.match(warnings[0], /eth1/);
  assert.match(warnings[1], /No address of this node/);
});

Deno.test("nobody to send to is an error with a remedy", () => {
  assert.throws(
    () => plan([host("eth0", 2, "10.0.0.1/24")], { peers: ["10.0.0.1"] }),
    (error) => error instanceof VipfarmError && error.remedy !== undefined,
  );
});
