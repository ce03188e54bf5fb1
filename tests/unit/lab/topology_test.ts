import assert from "node:assert/strict";
import fc from "fast-check";
import { inNetwork, parseAddress } from "../../../src/core/address.ts";
import {
  bridgeCommands,
  CLIENTS_MAX,
  DEFAULT_VIRTUAL_IPS,
  NETWORK4,
  NETWORK6,
  planTopology,
  splitVirtualIps,
  stationCommands,
} from "../../../src/lab/topology.ts";

Deno.test("addresses are unique, inside the lab's networks, and none is a default virtual IP", () => {
  const network4 = parseAddress(`${NETWORK4.prefix}.0`)!;
  const network6 = parseAddress(`${NETWORK6.prefix}:`)!;
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 32 }),
    fc.integer({ min: 1, max: CLIENTS_MAX }),
    fc.integer({ min: 1, max: 8 }),
    (nodes, clients, each) => {
      const plan = planTopology(nodes, clients, each);
      const stations = [...plan.nodes, ...plan.clients];
      const all = stations.flatMap((station) => [...station.ipv4All, ...station.ipv6All]);
      const addresses = all.map((text) => parseAddress(text)!);
      const texts = addresses.map((address) => address.text);
      assert.equal(new Set([...texts, ...DEFAULT_VIRTUAL_IPS]).size, all.length + DEFAULT_VIRTUAL_IPS.length);
      for (const address of addresses) {
        assert.ok(
          address.family === 4
            ? inNetwork(address, network4, NETWORK4.length)
            : inNetwork(address, network6, NETWORK6.length),
        );
      }
      assert.equal(all.length, 2 * (nodes + clients * each));
    },
  ));
});

Deno.test("a lab that does not fit is refused with the bound", () => {
  assert.throws(() => planTopology(0, 1), /nodes must be 1 to 32 \(0\)/);
  assert.throws(() => planTopology(33, 1), /nodes must be 1 to 32 \(33\)/);
  assert.throws(() => planTopology(3, 17), /clients must be 1 to 16/);
  assert.throws(() => planTopology(3, 16, 20), /addresses of each client must be 1 to 9 \(20\)/);
});

Deno.test("commands for ip(8) name each station's port after it", () => {
  assert.deepEqual(bridgeCommands([{ name: "n1", holderPid: 42 }]).slice(2), [
    "link add n1 type veth peer name eth0 netns 42",
    "link set n1 master br0 up",
  ]);
  assert.deepEqual(stationCommands(planTopology(1, 1).nodes[0]), [
    "link set eth0 up",
    "addr add 10.86.70.1/24 brd 10.86.70.255 dev eth0",
    "addr add fd86:70::1/64 dev eth0 nodad",
  ]);
});

Deno.test("virtual IPs are split by family in canonical form", () => {
  assert.deepEqual(splitVirtualIps(["10.86.70.9", "FD86:0070::0009"]), {
    ipv4: ["10.86.70.9"],
    ipv6: ["fd86:70::9"],
  });
  assert.throws(() => splitVirtualIps(["10.86.70.256"]), /not an IP address \(10\.86\.70\.256\)/);
});
