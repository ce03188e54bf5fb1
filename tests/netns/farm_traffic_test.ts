/**
 * Ordinary traffic through a farm of three real nodes: each connection and each datagram has one node, it is the one
 * that every node names, and the wires show nothing else.
 */

import assert from "node:assert/strict";
import { LAB_PORTS } from "../../src/lab/lab.ts";
import type { Answer } from "../../src/lab/client_protocol.ts";
import { bpfUnavailable } from "../unit/ffi/ebpf_support.ts";
import { ACK, FIN, RST, type SeenFrame, type SeenPacket, SYN, TCP, UDP } from "./farm_frames.ts";
import { farmUnavailable, owners, startFarm, tally } from "./farm_support.ts";
import { assertAccounted, Watch } from "./farm_watch.ts";

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
    const watch = await Watch.start(lab);
    const virtual = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
    const answered: Array<{ protocol: "tcp" | "udp"; answer: Answer }> = [];
    const seen = await watch.record(async () => {
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
    });

    await t.step("shares are within 3 percentage points of the weights", () => {
      const counts = tally(answered.map(({ answer }) => answer.node));
      const sum = Object.values(weights).reduce((a, b) => a + b);
      for (const [node, weight] of Object.entries(weights)) {
        const share = (counts.get(node) ?? 0) / answered.length;
        const text = `${node} has ${(share * 100).toFixed(1)}%, wanted ${(weight / sum * 100).toFixed(1)}%`;
        assert.ok(Math.abs(share - weight / sum) < 0.03, text);
      }
    });

    await t.step("each SYN gets one SYN-ACK in the whole farm, and no reset goes anywhere", () => {
      const syns = tally(seen.clients.filter(isSyn).map((frame) => flowOf(frame.packet!, "source")));
      assert.equal(syns.size, 2 * FLOWS + 2 * CLIENT_ADDRESSES * 5);
      const synAcks = tally(
        seen.clients.filter(isSynAck).map(({ packet }) => flowOf(packet!, "destination")),
      );
      assert.deepEqual(synAcks, syns);
      const sent = [...seen.wires.values()].flat().filter(isSynAck);
      assert.deepEqual(tally(sent.map(({ packet }) => flowOf(packet!, "destination"))), syns);
      assert.deepEqual(strayResets(seen.clients), []);
      const sentResets = [...seen.wires.values()].flat().filter(({ packet }) =>
        packet && (packet.tcpFlags & RST) !== 0
      );
      const gotResets = seen.clients.filter(({ packet }) =>
        packet?.protocol === TCP && (packet.tcpFlags & RST) !== 0 && virtual.includes(packet.source)
      );
      assert.equal(sentResets.length, gotResets.length, "no reset goes anywhere else");
    });

    await t.step("each UDP datagram reaches one server, and each has one answer", () => {
      const sent = tally(seen.clients.filter(isQuery).map(({ packet }) => flowOf(packet!, "source")));
      assert.equal(sent.size, 2 * FLOWS);
      assert.deepEqual([...new Set(sent.values())], [1]);
      for (const frames of [[...seen.wires.values()].flat(), seen.clients]) {
        const replies = frames.filter(({ packet }) =>
          packet?.protocol === UDP && packet.sourcePort === LAB_PORTS.echo
        );
        assert.deepEqual(tally(replies.map(({ packet }) => flowOf(packet!, "destination"))), sent);
      }
    });

    await t.step("all packets of a flow come from one node, the one that answered", () => {
      const nodes = new Map<string, Set<string>>();
      for (const { protocol, answer: { address, port, node } } of answered) {
        nodes.set(`${protocol === "tcp" ? TCP : UDP} ${address} ${port}`, new Set([node!]));
      }
      for (const [node, frames] of seen.wires) {
        for (const { packet } of frames) {
          if (packet?.protocol !== TCP && packet?.protocol !== UDP) continue;
          if (!virtual.includes(packet.source)) continue;
          const flow = flowOf(packet, "destination");
          nodes.set(flow, (nodes.get(flow) ?? new Set()).add(node));
        }
      }
      assert.equal(nodes.size, 4 * FLOWS + 2 * CLIENT_ADDRESSES * 5);
      for (const [flow, where] of nodes) assert.equal(where.size, 1, `${flow} at ${[...where].join(", ")}`);
    });

    await t.step("every frame for the virtual IPs is counted on every node and taken by one", () => {
      assertAccounted(seen);
      const fast = [...seen.counted.values()].reduce((sum, each) => sum + each.fast, 0);
      if (bpfUnavailable === undefined) {
        // Not what came within a second of the start, when buckets are gained.
        assert.ok(fast > 0.5 * seen.forFarm.length, `${fast} of ${seen.forFarm.length} went the fast path`);
      }
    });

    await t.step(
      "no frame comes from the virtual MAC, and nobody says otherwise where a virtual IP is",
      async () => {
        await watch.stop();
      },
    );
  });
}

/** Ports all over the range, none twice; other combinations of protocol and family use others. */
function flowsFrom(address: string, combination: number): Array<{ address: string; port: number }> {
  return Array.from({ length: FLOWS }, (_, i) => ({
    address,
    port: 10_000 + (i * 4 + combination) * 53 % 50_000,
  }));
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

/**
 * Each reset of a connection that lives, with what was seen of it. One that was closed by both sides before may get
 * a late one: if a busy machine acknowledges the last FIN twice, the second acknowledgement finds no connection any
 * more (RFC 9293 section 3.10.7.1).
 */
function strayResets(frames: readonly SeenFrame[]): string[] {
  const packets = frames.flatMap(({ packet }) => packet?.protocol === TCP ? [packet] : []);
  return packets.flatMap((reset, i) => {
    if ((reset.tcpFlags & RST) === 0) return [];
    const ends = [`${reset.source} ${reset.sourcePort}`, `${reset.destination} ${reset.destinationPort}`];
    const story = packets.slice(0, i + 1).filter((packet) =>
      ends.includes(`${packet.source} ${packet.sourcePort}`) &&
      ends.includes(`${packet.destination} ${packet.destinationPort}`)
    );
    const closedBy = new Set(
      story.filter(({ tcpFlags }) => (tcpFlags & FIN) !== 0).map(({ source }) => source),
    );
    if (closedBy.size === 2) return [];
    const lines = story.map((packet) =>
      `${packet.source} flags ${packet.tcpFlags} seq ${packet.sequence} ack ${packet.acknowledgement}`
    );
    return [`a reset between ${ends.join(" and ")}: ${lines.join("; ")}`];
  });
}

function isQuery({ packet }: SeenFrame): boolean {
  return packet?.protocol === UDP && packet.destinationPort === LAB_PORTS.echo;
}
