/**
 * Ordinary traffic through a farm of three real nodes: each connection and each datagram has one node, it is the one
 * that every node names, and the wires show nothing else.
 */

import assert from "node:assert/strict";
import { formatMac, virtualMac } from "../../src/wire/ethernet.ts";
import { parseAddress } from "../../src/core/address.ts";
import { type Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import type { Answer } from "../../src/lab/client_protocol.ts";
import { ACK, RST, type SeenFrame, type SeenPacket, SYN, TCP, UDP } from "./farm_frames.ts";
import {
  type Counters,
  counters,
  farmUnavailable,
  type Flow,
  owners,
  ownMac,
  since,
  startFarm,
  tally,
} from "./farm_support.ts";
import { Tap } from "./farm_tap.ts";

if (farmUnavailable !== undefined) console.log(`skipped: ${farmUnavailable}`);

const FLOWS = 1000;
const CLIENT_ADDRESSES = 40;
/**
 * Flows at once. If a node gets no processor for a while, all of these end up waiting for it; what the others have
 * done until then, some 50 flows of 9 frames, still fits into its ring.
 */
const IN_FLIGHT = 8;
const FARMS: ReadonlyArray<{ mode: "multicast" | "unicast"; weights: Record<string, number> }> = [
  { mode: "multicast", weights: { n1: 100, n2: 200, n3: 100 } },
  { mode: "unicast", weights: { n1: 300, n2: 100, n3: 200 } },
];

for (const { mode, weights } of FARMS) {
  const name = `traffic with a ${mode} virtual MAC and weights ${Object.values(weights).join(", ")}`;
  Deno.test({ name, ignore: farmUnavailable !== undefined }, async (t) => {
    await using lab = await startFarm({
      nodes: 3,
      mode,
      addressesPerClient: CLIENT_ADDRESSES,
      config: {
        nodes: Object.fromEntries(Object.entries(weights).map(([node, weight]) => [node, { weight }])),
      },
    });
    await lab.clients[0].start();
    const watch = await Watch.start(lab);
    const answered: Array<{ protocol: "tcp" | "udp"; answer: Answer }> = [];
    let combination = 0;
    for (const protocol of ["tcp", "udp"] as const) {
      for (const family of ["ipv4", "ipv6"] as const) {
        const flows = flowsFrom(lab.clients[0].station[family], combination++);
        await t.step(
          `${FLOWS} flows of ${protocol} over ${family}: all answered, by whom all name`,
          async () => {
            const service = protocol === "tcp" ? "http" : "echo";
            const answers = await lab.clients[0].request({
              protocol,
              address: lab.virtualIps[family][0],
              port: LAB_PORTS[service],
              count: FLOWS,
              sources: flows,
              concurrency: IN_FLIGHT,
              timeoutMs: 10_000,
              settleMs: 10,
            });
            answered.push(...answers.map((answer) => ({ protocol, answer })));
            const named = await owners(lab, service, flows);
            assert.deepEqual(answers.map(({ node, error }) => node ?? error), named);
          },
        );
      }
    }

    await t.step("shares are within 3 percentage points of the weights", () => {
      const counts = tally(answered.map(({ answer }) => answer.node));
      const sum = Object.values(weights).reduce((a, b) => a + b);
      for (const [node, weight] of Object.entries(weights)) {
        const share = (counts.get(node) ?? 0) / answered.length;
        const text = `${node} has ${(share * 100).toFixed(1)}%, wanted ${(weight / sum * 100).toFixed(1)}%`;
        assert.ok(Math.abs(share - weight / sum) < 0.03, text);
      }
    });

    await t.step("with affinity client, one client always meets one node", async () => {
      const met: string[] = [];
      for (const family of ["ipv4", "ipv6"] as const) {
        const addresses = lab.clients[0].station[`${family}All`];
        const sources = addresses.flatMap((address) =>
          Array.from({ length: 5 }, (_, i) => ({ address, port: 61_000 + i * 17 }))
        );
        const answers = await lab.clients[0].request({
          protocol: "tcp",
          address: lab.virtualIps[family][0],
          port: LAB_PORTS.sticky,
          count: sources.length,
          sources,
          concurrency: IN_FLIGHT,
          timeoutMs: 10_000,
        });
        const named = await owners(lab, "sticky", sources);
        assert.deepEqual(answers.map(({ node, error }) => node ?? error), named);
        const nodes = tally(answers.map(({ address, node }) => `${address} ${node}`));
        assert.deepEqual([...nodes.values()], addresses.map(() => 5), "five connections, one node");
        met.push(...named);
      }
      assert.equal(new Set(met).size, 3, "each node has clients");
    });

    const seen = await watch.stop();

    await t.step("each SYN gets one SYN-ACK in the whole farm, and no reset goes anywhere", () => {
      const syns = tally(seen.client.filter(isSyn).map((frame) => flowOf(frame.packet!, "source")));
      assert.equal(syns.size, 2 * FLOWS + 2 * CLIENT_ADDRESSES * 5);
      const synAcks = tally(seen.client.filter(isSynAck).map(({ packet }) => flowOf(packet!, "destination")));
      assert.deepEqual(synAcks, syns);
      const sent = [...seen.wires.values()].flat().filter(isSynAck);
      assert.deepEqual(tally(sent.map(({ packet }) => flowOf(packet!, "destination"))), syns);
      for (const [where, frames] of [["client", seen.client] as const, ...seen.wires, ...seen.tuns]) {
        assert.equal(frames.filter(({ packet }) => packet && (packet.tcpFlags & RST) !== 0).length, 0, where);
      }
    });

    await t.step("each UDP datagram reaches one server, and each has one answer", () => {
      const sent = tally(seen.client.filter(isQuery).map(({ packet }) => flowOf(packet!, "source")));
      assert.equal(sent.size, 2 * FLOWS);
      assert.deepEqual([...new Set(sent.values())], [1]);
      const arrived = [...seen.tuns.values()].flat().filter(isQuery);
      assert.deepEqual(tally(arrived.map(({ packet }) => flowOf(packet!, "source"))), sent);
      const replies = seen.client.filter(({ packet }) =>
        packet?.protocol === UDP && packet.sourcePort === LAB_PORTS.echo
      );
      assert.deepEqual(tally(replies.map(({ packet }) => flowOf(packet!, "destination"))), sent);
    });

    await t.step("all packets of a flow go to one node, and to the one that answered", () => {
      const nodes = new Map<string, Set<string>>();
      for (const { protocol, answer: { address, port, node } } of answered) {
        nodes.set(`${protocol === "tcp" ? TCP : UDP} ${address} ${port}`, new Set([node!]));
      }
      for (const [node, frames] of seen.tuns) {
        for (const { packet } of frames) {
          if (packet?.protocol !== TCP && packet?.protocol !== UDP) continue;
          const flow = flowOf(packet, "source");
          nodes.set(flow, (nodes.get(flow) ?? new Set()).add(node));
        }
      }
      assert.equal(nodes.size, 4 * FLOWS + 2 * CLIENT_ADDRESSES * 5);
      for (const [flow, where] of nodes) assert.equal(where.size, 1, `${flow} at ${[...where].join(", ")}`);
    });

    await t.step("every frame for the virtual IPs is captured on every node and accepted by one", () => {
      const forFarm = seen.client.filter((frame) =>
        frame.sourceMac === seen.clientMac && concernsFarm(lab, frame)
      );
      let accepted = 0;
      let answered = 0;
      for (const [node, counted] of seen.counted) {
        const sum = Object.values(counted.verdicts).reduce((a, b) => a + b);
        assert.equal(counted.captured, sum, `${node}: captured is the sum of the verdicts`);
        assert.equal(counted.captured, forFarm.length, `${node} captured what the client sent`);
        assert.equal(counted.ringDrops, 0, `${node} dropped nothing`);
        const { accepted: mine, accepted_held: held, neighbour_answered: told, ...others } = counted.verdicts;
        assert.equal(
          seen.tuns.get(node)!.length,
          mine + held,
          `${node}: accepted frames are on the TUN device`,
        );
        accepted += mine + held;
        answered += told;
        for (const [verdict, count] of Object.entries(others)) {
          if (!["not_owner", "neighbour_not_owner"].includes(verdict)) {
            assert.equal(count, 0, `${node} ${verdict}`);
          }
        }
      }
      assert.equal(answered, forFarm.filter(({ claim }) => claim !== undefined).length);
      assert.equal(accepted + answered, forFarm.length);
    });

    await t.step("the virtual MAC is never where a frame comes from", () => {
      const virtual = virtualMacs(lab);
      for (const frames of [seen.client, ...seen.wires.values()]) {
        assert.ok(frames.every(({ sourceMac }) => !virtual.has(sourceMac)));
      }
    });
  });
}

interface Seen {
  readonly clientMac: string;
  readonly client: SeenFrame[];
  /** Frames that each node sent out of its interface. */
  readonly wires: ReadonlyMap<string, SeenFrame[]>;
  /** Packets that each node's daemon handed to its kernel. */
  readonly tuns: ReadonlyMap<string, SeenFrame[]>;
  readonly counted: ReadonlyMap<string, Counters>;
}

/** Captures and counters of the whole farm. */
class Watch {
  readonly #before = new Map<string, Counters>();
  readonly #wires = new Map<string, Tap>();
  readonly #tuns = new Map<string, Tap>();

  private constructor(readonly lab: Lab, readonly client: Tap) {}

  static async start(lab: Lab): Promise<Watch> {
    const hosts = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6].map((address) => `host ${address}`);
    const filter = [...hosts, "arp", "icmp6"].join(" or ");
    const watch = new Watch(lab, await Tap.start(lab, "c1", "eth0", filter));
    await Promise.all(lab.nodes.map(async (node) => {
      watch.#wires.set(node.name, await Tap.start(lab, node.name, "eth0", filter));
      watch.#tuns.set(node.name, await Tap.start(lab, node.name, "vipfarm0", "ip or ip6"));
      watch.#before.set(node.name, await counters(node));
    }));
    return watch;
  }

  /** Ends the captures after every node has decided on every frame that the client sent, and on no other. */
  async stop(): Promise<Seen> {
    const clientMac = await ownMac(this.lab, "c1");
    const counted = new Map<string, Counters>();
    let client: SeenFrame[] = [];
    // The client may look for its neighbours again at any time, so frames and counters are read until they agree.
    await this.lab.waitFor(
      async () => {
        client = await this.client.sync();
        const sent = client.filter((frame) => frame.sourceMac === clientMac && concernsFarm(this.lab, frame));
        for (const node of this.lab.nodes) {
          const now = since(this.#before.get(node.name)!, await counters(node));
          assert.equal(
            now.captured,
            sent.length,
            `${node.name} captured what the client sent: ${JSON.stringify(now)}`,
          );
          counted.set(node.name, now);
        }
        return true;
      },
      20_000,
      "every node to have decided on every frame that the client sent",
    );
    const wires = new Map<string, SeenFrame[]>();
    const tuns = new Map<string, SeenFrame[]>();
    await Promise.all(this.lab.nodes.map(async (node) => {
      const mac = await ownMac(this.lab, node.name);
      const wire = await this.#wires.get(node.name)!.stop();
      wires.set(node.name, wire.filter(({ sourceMac }) => sourceMac === mac));
      tuns.set(node.name, await this.#tuns.get(node.name)!.stop());
    }));
    return { clientMac, client, wires, tuns, counted };
  }
}

/** Ports all over the range, none twice; other combinations of protocol and family use others. */
function flowsFrom(address: string, combination: number): Flow[] {
  return Array.from({ length: FLOWS }, (_, i) => ({
    address,
    port: 10_000 + (i * 4 + combination) * 53 % 50_000,
  }));
}

function virtualMacs(lab: Lab): Set<string> {
  const addresses = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
  return new Set(addresses.map((address) => formatMac(virtualMac(parseAddress(address)!, lab.mode))));
}

/** Sent to a virtual IP, or a question for one. */
function concernsFarm(lab: Lab, { packet, claim }: SeenFrame): boolean {
  const address = claim === undefined ? packet?.destination : claim.asked;
  return address !== undefined && [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6].includes(address);
}

function flowOf(packet: SeenPacket, client: "source" | "destination"): string {
  const port = client === "source" ? packet.sourcePort : packet.destinationPort;
  return `${packet.protocol} ${packet[client]} ${port}`;
}

function isSyn({ packet }: SeenFrame): boolean {
  return packet !== undefined && (packet.tcpFlags & (SYN | ACK)) === SYN;
}

function isSynAck({ packet }: SeenFrame): boolean {
  return packet !== undefined && (packet.tcpFlags & (SYN | ACK)) === (SYN | ACK);
}

function isQuery({ packet }: SeenFrame): boolean {
  return packet?.protocol === UDP && packet.destinationPort === LAB_PORTS.echo;
}
