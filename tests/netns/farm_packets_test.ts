/**
 * Packets that a farm of three real nodes must get right beside ordinary connections: neighbour discovery, pings,
 * 64 KB segments, options, fragments, errors from routers, other VLANs. Each reaches the one right node.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { LAB_PORTS } from "../../src/lab/lab.ts";
import { TCP_FLAG } from "../../src/wire/tcp.ts";
import { bpfUnavailable } from "../unit/ffi/ebpf_support.ts";
import { ACK, type SeenFrame, TCP, UDP } from "./farm_frames.ts";
import {
  answersIn,
  countByNode,
  Farm,
  isIcmp,
  pathMtu,
  PORT,
  programArgv,
  startServers,
  synAcksIn,
} from "./farm_packets.ts";
import { fragmentsOf, ip, orders, tooBig } from "./farm_raw.ts";
import { counters, farmUnavailable, owners, startFarm, tally } from "./farm_support.ts";
import { assertAccounted, virtualMacs } from "./farm_watch.ts";

if (farmUnavailable !== undefined) console.log(`skipped: ${farmUnavailable}`);

const CLIENT_ADDRESSES = 12;
const FAMILIES = ["ipv4", "ipv6"] as const;
const DATAGRAM_BYTES = 3000;
const PINGS = 2;
/** Whether plain packets go the fast path where it is not switched off. */
const PERMITTED = bpfUnavailable === undefined;
const UPLOAD_BYTES = 16 << 20;

const SERVICES = [
  { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
  { name: "upload", protocol: "tcp", ports: [PORT] },
  { name: "datagrams", protocol: "udp", ports: [PORT] },
];

/** The way of the packets: plain ones straight into the kernel, or all of them through the daemon. */
const FARMS = [
  { mode: "multicast", env: undefined },
  { mode: "unicast", env: { VIPFARM_FASTPATH: "off" } },
] as const;

for (const { mode, env } of FARMS) {
  Deno.test(
    {
      name: `packets with a ${mode} virtual MAC${env === undefined ? "" : ", all through the daemon"}`,
      ignore: farmUnavailable !== undefined,
    },
    async (t) => {
      await using lab = await startFarm({
        nodes: 3,
        clients: 2,
        mode,
        addressesPerClient: CLIENT_ADDRESSES,
        config: { services: SERVICES },
      }, { env });
      await startServers(lab);
      const isFast = env === undefined && PERMITTED;
      const farm = await Farm.of(lab);
      using raw = farm.raw;
      using router = farm.router;
      const { watch, client } = farm;

      await t.step(
        "arping gets one reply for each request, with the virtual MAC, from one node",
        async () => {
          const vip = lab.virtualIps.ipv4[0];
          const seen = await watch.record(async () => {
            await Promise.all(client.ipv4All.map(async (address, i) => {
              const broadcast = i % 2 === 0 ? ["-b"] : [];
              const argv = ["arping", ...broadcast, "-c", "2", "-w", "10", "-I", "eth0", "-s", address, vip];
              const output = await lab.run("c1", argv);
              assert.match(output, /Sent 2 probes[\s\S]*Received 2 response/, output);
              const macs = [...output.matchAll(/reply from \S+ \[([^\]]+)\]/g)].map(([, mac]) =>
                mac.toLowerCase()
              );
              assert.deepEqual(macs, [virtualMacs(lab).get(vip), virtualMacs(lab).get(vip)]);
            }));
          });
          assertAccounted(seen);
          const replies = seen.clients.filter(({ claim }) =>
            claim?.kind === "arp reply" && claim.address === vip
          );
          const asked = seen.forFarm.filter(({ claim }) => claim?.kind === "arp request");
          assert.equal(replies.length, asked.length);
          const named = await owners(lab, undefined, client.ipv4All.map((address) => ({ address })));
          for (const [i, address] of client.ipv4All.entries()) {
            const nodes = replies.filter(({ claim }) => claim!.toward === address)
              .map(({ sourceMac }) => farm.nodeOf.get(sourceMac));
            assert.deepEqual(nodes, [named[i], named[i]], `who answered ${address}`);
          }
        },
      );

      await t.step("a ping gets one reply, small and in fragments, over IPv4 and IPv6", async () => {
        for (const family of FAMILIES) {
          const vip = lab.virtualIps[family][0];
          const addresses = client[`${family}All`];
          const named = await owners(lab, undefined, addresses.map((address) => ({ address })));
          assert.ok(new Set(named).size > 1, "more than one node has to answer");
          for (const bytes of [56, 3000]) {
            const seen = await watch.record(() =>
              Promise.all(addresses.map(async (address) => {
                const size = ["-s", `${bytes}`, "-I", address];
                // ping waits for the last reply, and for duplicates, as long as between two requests.
                const argv = ["ping", "-n", "-c", `${PINGS}`, "-i", "1", "-W", "10", ...size, vip];
                const output = await lab.run("c1", argv);
                const text = `${PINGS} packets transmitted, ${PINGS} received, 0% packet loss`;
                assert.ok(output.includes(text), output);
                assert.doesNotMatch(output, /DUP!/);
              })).then(() => {})
            );
            const [request, reply] = family === "ipv4" ? [8, 0] : [128, 129];
            const ofType = (frames: readonly SeenFrame[], type: number) =>
              frames.filter(({ packet }) => isIcmp(packet?.protocol) && packet?.icmpType === type);
            assert.equal(ofType(seen.clients, request).length, PINGS * addresses.length);
            assert.equal(ofType(seen.clients, reply).length, PINGS * addresses.length);
            const parts = bytes > 1500 ? 3 : 1;
            for (const [i, address] of addresses.entries()) {
              assert.deepEqual(countByNode(seen, (frame) => frame.packet?.source === address), {
                [named[i]]: PINGS * parts,
              }, `${bytes} bytes from ${address}`);
            }
            if (parts === 1) assertAccounted(seen);
          }
        }
      });

      await t.step(
        "a node that looks for its client, or talks from the virtual IP, keeps its MAC to itself",
        async () => {
          const seen = await watch.record(async () => {
            await Promise.all(lab.nodes.map(({ name }) => lab.run(name, ["ip", "neigh", "flush", "all"])));
            await Promise.all(["c1", "c2"].map((name) => lab.run(name, ["ip", "neigh", "flush", "all"])));
            for (const family of FAMILIES) {
              const answers = await lab.clients[0].request({
                protocol: "tcp",
                address: lab.virtualIps[family][0],
                port: LAB_PORTS.http,
                count: 2 * CLIENT_ADDRESSES,
                sources: client[`${family}All`].map((address) => ({ address })),
                timeoutMs: 10_000,
              });
              assert.deepEqual(answers.filter(({ node }) => node === undefined), []);
            }
            await Promise.all(lab.nodes.flatMap(({ name }) => {
              return FAMILIES.map(async (family) => {
                const argv = ["ping", "-n", "-c", "1", "-W", "1", "-I", lab.virtualIps[family][0]];
                // Its reply goes to the node that owns the client, which is another one as a rule.
                await lab.exec(name, [...argv, lab.clients[1].station[family]]);
              });
            }));
          });
          assertAccounted(seen);
          for (const [node, frames] of seen.wires) {
            for (const kind of ["arp request", "solicitation"] as const) {
              const asked = frames.filter(({ claim }) => claim?.kind === kind);
              assert.ok(asked.length > 0, `${node} sent no ${kind}: nothing was tried`);
            }
            const pings = frames.filter(({ packet }) => packet?.icmpType === 8 || packet?.icmpType === 128);
            assert.equal(pings.length, 2, `${node} talked from the virtual IPs`);
          }
        },
      );

      await t.step("uploads arrive whole, and their segments of up to 64 KB pass in one piece", async () => {
        for (const family of FAMILIES) {
          for (const from of client[`${family}All`].slice(0, 3)) {
            const seen = await watch.record(async () => {
              const target = [lab.virtualIps[family][0], `${PORT}`, `${UPLOAD_BYTES}`, from];
              const output = await lab.run("c1", programArgv("upload", ...target), { timeoutMs: 60_000 });
              const [, bytes, got, wanted] = output.trim().split(" ");
              assert.equal(Number(bytes), UPLOAD_BYTES);
              assert.equal(got, wanted, "what arrived is what was sent");
            });
            assertAccounted(seen);
            const arrived = [...seen.tuns.values()].flat().filter(({ packet }) => packet!.protocol === TCP);
            const fast = [...seen.counted.values()].reduce((sum, each) => sum + each.fast, 0);
            const packets = arrived.length + fast;
            assert.ok(packets > 0 && packets < UPLOAD_BYTES / 1500, `${packets} packets`);
            if (!isFast) {
              const largest = Math.max(...arrived.map(({ packet }) => packet!.length));
              assert.ok(largest > 60_000, `the largest packet on a TUN device has ${largest} bytes`);
            }
            assert.equal(fast > 0, isFast, `${fast} packets went the fast path`);
          }
        }
      });

      await t.step("packets with IP options, or IPv6 extension headers, reach their owner", async () => {
        const options = {
          nothing: [1, 1, 1, 0],
          recordRoute: [7, 39, 4, ...new Array(36).fill(0), 0],
          timestamp: [68, 36, 5, 0, ...new Array(32).fill(0)],
          routerAlert: [148, 4, 0, 0],
        };
        // Destination options with one for experiments, to be skipped by who does not know it (RFC 4727 section 4).
        const extensions = [{ type: 60, body: Uint8Array.of(0x1e, 12, ...new Array(12).fill(0)) }];
        const variants = [
          ...Object.values(options).map((bytes) =>
            ({ family: "ipv4", options: Uint8Array.from(bytes) }) as const
          ),
          { family: "ipv6", extensions } as const,
        ];
        let port = 30_000;
        const sent = variants.flatMap((variant) =>
          Array.from({ length: 8 }, () => ({ ...variant, port: port++ }))
        );
        const seen = await watch.record(
          () => {
            for (const { family, port, ...headers } of sent) {
              const ends = {
                source: ip(client[family]),
                destination: ip(lab.virtualIps[family][0]),
                ...headers,
              };
              raw.send({
                ...ends,
                udp: { sourcePort: port, destinationPort: PORT, payload: Uint8Array.of(port) },
              });
              raw.send({
                ...ends,
                tcp: { sourcePort: port, destinationPort: LAB_PORTS.http, flags: TCP_FLAG.syn },
              });
            }
          },
          (clients) => answersIn(clients).length === sent.length && synAcksIn(clients).length >= sent.length,
        );
        assertAccounted(seen);
        for (const family of FAMILIES) {
          const flows = sent.filter((flow) => flow.family === family).map(({ port }) => ({
            address: client[family],
            port,
          }));
          const named = await owners(lab, "datagrams", flows);
          for (const [i, { address, port }] of flows.entries()) {
            const answers = answersIn(seen.clients).filter((a) => a.address === address && a.port === port);
            assert.deepEqual(answers.map(({ node }) => node), [named[i]], `UDP from port ${port}`);
            const synAcks = synAcksIn(seen.clients).filter(({ packet }) =>
              packet!.destination === address && packet!.destinationPort === port
            );
            assert.deepEqual(
              synAcks.map(({ sourceMac }) => farm.nodeOf.get(sourceMac)),
              [named[i]],
              `TCP, ${port}`,
            );
          }
        }
      });

      await t.step(
        "a datagram's fragments reach its owner together, in whatever order they come",
        async () => {
          for (const family of FAMILIES) {
            const payload = crypto.getRandomValues(new Uint8Array(DATAGRAM_BYTES));
            const digest = createHash("sha256").update(payload).digest("hex");
            const sent: Array<{ address: string; port: number }> = [];
            const seen = await watch.record(() => {
              for (let round = 0; round < 4; round++) {
                for (const order of orders([0, 1, 2])) {
                  const flow = { address: client[family], port: 40_000 + sent.length };
                  const fragments = fragmentsOf({
                    source: ip(flow.address),
                    destination: ip(lab.virtualIps[family][0]),
                    udp: { sourcePort: flow.port, destinationPort: PORT, payload },
                  }, 0x7000 + sent.length);
                  assert.equal(fragments.length, 3);
                  for (const i of order) raw.send(fragments[i]);
                  sent.push(flow);
                }
              }
            }, (clients) => answersIn(clients).length >= sent.length);
            const named = await owners(lab, "datagrams", sent);
            const answers = answersIn(seen.clients).sort((a, b) => a.port - b.port);
            const expected = sent.map((flow, i) => ({
              ...flow,
              node: named[i],
              bytes: DATAGRAM_BYTES,
              digest,
            }));
            assert.deepEqual(answers, expected);
            const each = Object.fromEntries([...tally(named)].map(([node, count]) => [node, 3 * count]));
            assert.deepEqual(
              countByNode(seen, ({ packet }) => packet!.isFragment),
              each,
              "nobody else gets fragments",
            );
            assert.equal(Object.keys(each).length, 3, "each node has datagrams");
          }
        },
      );

      await t.step(
        'a router\'s "too big" reaches the node that has the connection, and only it',
        async () => {
          const mtu = { ipv4: 1300, ipv6: 1380 } as const;
          const flows: Array<{ family: "ipv4" | "ipv6"; address: string; port: number; node: string }> = [];
          const opened = await watch.record(async () => {
            for (const family of FAMILIES) {
              const sources = client[`${family}All`].map((address, i) => ({ address, port: 50_000 + i }));
              const answers = await lab.clients[0].open({
                protocol: "tcp",
                address: lab.virtualIps[family][0],
                port: LAB_PORTS.http,
                count: sources.length,
                sources,
                timeoutMs: 10_000,
              });
              const named = await owners(lab, "http", sources);
              assert.deepEqual(answers.map(({ node, error }) => node ?? error), named);
              flows.push(...sources.map((source, i) => ({ family, ...source, node: named[i] })));
            }
          });
          const seen = await watch.record(() => {
            for (const { family, address, port } of flows) {
              const acknowledged = opened.forFarm.findLast(({ packet }) =>
                packet?.source === address && packet.sourcePort === port && (packet.tcpFlags & ACK) !== 0
              );
              const flow = {
                vip: ip(lab.virtualIps[family][0]),
                port: LAB_PORTS.http,
                client: ip(address),
                clientPort: port,
                sequence: acknowledged!.packet!.acknowledgement,
              };
              router.send(tooBig(ip(lab.clients[1].station[family]), flow, mtu[family]));
            }
          });
          assertAccounted(seen);
          for (const { family, address, port, node } of flows) {
            await lab.waitFor(
              async () => (await pathMtu(lab, node, family, address)) === mtu[family],
              10_000,
              `${node} to learn the path MTU to ${address}`,
            );
            for (const other of lab.nodes.filter(({ name }) => name !== node)) {
              assert.equal(
                await pathMtu(lab, other.name, family, address),
                undefined,
                `${other.name}, ${address}`,
              );
            }
            const socket = await lab.run(node, [
              "ss",
              "-tinH",
              "state",
              "established",
              "dport",
              `= :${port}`,
            ]);
            assert.match(socket, new RegExp(`pmtu:${mtu[family]}\\b`), `${node} ${address}`);
          }
          assert.equal(new Set(flows.map(({ node }) => node)).size, 3, "each node has connections");
          const again = await lab.clients[0].ask(10_000);
          const named = new Map(flows.map(({ address, port, node }) => [`${address} ${port}`, node]));
          assert.equal(again.length, flows.length);
          for (const { address, port, node, error } of again) {
            assert.equal(node ?? error, named.get(`${address} ${port}`), `${address} ${port}`);
          }
          await lab.clients[0].closeAll();
        },
      );

      await t.step("a frame of another VLAN is not accepted; one with a priority only is", async () => {
        for (const family of FAMILIES) {
          const ends = { source: ip(client[family]), destination: ip(lab.virtualIps[family][0]) };
          const udp = (sourcePort: number) => ({
            ...ends,
            udp: { sourcePort, destinationPort: PORT, payload: Uint8Array.of(1) },
          });
          const seen = await watch.record(() => {
            for (let i = 0; i < 6; i++) {
              raw.send(udp(31_000 + i), { protocol: 0x8100, tci: 5 });
              raw.send(udp(31_100 + i), { protocol: 0x88a8, tci: 0x6005 });
              raw.send(udp(31_200 + i), { protocol: 0x8100, tci: 0xa000 });
            }
            raw.send(udp(31_300));
          }, (clients) => answersIn(clients).some(({ port }) => port === 31_300));
          assert.equal(
            seen.clients.filter(({ vlan }) => (vlan ?? 0) !== 0).length,
            12,
            "tagged frames were sent",
          );
          const ports = [...seen.tuns.values()].flat().filter(({ packet }) => packet?.protocol === UDP)
            .map(({ packet }) => packet!.sourcePort).sort((a, b) => a - b);
          const plain = isFast ? [] : [31_300];
          assert.deepEqual(ports, [...Array.from({ length: 6 }, (_, i) => 31_200 + i), ...plain]);
          assertAccounted(seen);
        }
      });

      await t.step(
        "the counters add up, no frame comes from the virtual MAC, and nobody says otherwise",
        async () => {
          for (const node of lab.nodes) {
            const { captured, verdicts } = await counters(node);
            assert.equal(captured, Object.values(verdicts).reduce((a, b) => a + b), node.name);
          }
          const talk = await watch.stop();
          for (const [node, { told, asked }] of talk) assert.ok(told > 0 && asked > 0, `${node} was silent`);
        },
      );
    },
  );
}
