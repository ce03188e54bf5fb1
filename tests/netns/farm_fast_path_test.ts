/**
 * The fast path where it has to hand over: the program is replaced under load, a node is killed, rp_filter changes. Each datagram has at
 * most one answer, and after the change the kernel takes the packets again. That it serves ordinary traffic is in
 * farm_traffic_test.ts, that a node which stops keeps quiet in farm_failure_test.ts.
 */

import assert from "node:assert/strict";
import { SNAP_BYTES_HEADERS } from "../../src/lab/capture.ts";
import { LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { bpfUnavailable } from "../unit/ffi/ebpf_support.ts";
import { counters, farmUnavailable, startFarm, tally } from "./farm_support.ts";

const reason = farmUnavailable ?? bpfUnavailable;
if (reason !== undefined) console.log(`skipped: ${reason}`);

const DATAGRAMS = 1_500;
const EVERY_MS = 2;
/** In a replacement, a datagram may come while neither program has a ring to put it in; a handful at this rate. */
const LOST_MAX = 15;
const SETTLE_MS = 30_000;

Deno.test(
  { name: "fast path: replacement under load, takeover, rp_filter", ignore: reason !== undefined },
  async (t) => {
    await using lab = await startFarm({ nodes: 2 });
    const [n1, n2] = lab.nodes;
    const [client] = lab.clients;
    const stream = (family: "ipv4" | "ipv6") =>
      client.request({
        protocol: "udp",
        address: lab.virtualIps[family][0],
        port: LAB_PORTS.echo,
        count: DATAGRAMS,
        everyMs: EVERY_MS,
        timeoutMs: 2_000,
      });
    const fast = async (node: LabNode) => (await counters(node)).fast;
    /** Until the kernel takes most of what this node gets. */
    const isFastAgain = async (node: LabNode, family: "ipv4" | "ipv6") => {
      const before = await counters(node);
      const answers = await client.request({
        protocol: "udp",
        address: lab.virtualIps[family][0],
        port: LAB_PORTS.echo,
        count: 50,
        timeoutMs: 2_000,
      });
      const mine = answers.filter((answer) => answer.node === node.name).length;
      return mine > 0 && (await fast(node)) - before.fast >= mine;
    };

    for (const family of ["ipv4", "ipv6"] as const) {
      await lab.waitFor(() => isFastAgain(n1, family), SETTLE_MS, `${family} to go the fast path`);

      await t.step(`a program is replaced under load, ${family}: no datagram is answered twice`, async () => {
        const capture = await lab.capture("c1", "eth0", `udp port ${LAB_PORTS.echo}`, SNAP_BYTES_HEADERS);
        const replaced = async () => (await n1.log()).split("The program was replaced").length;
        const already = await replaced();
        const answering = stream(family);
        Deno.kill(n1.daemon!.pid, "SIGUSR2");
        const answers = await answering;
        await lab.waitFor(
          async () => (await replaced()) !== already,
          SETTLE_MS,
          "the program to be replaced",
        );
        await capture.stop();
        // Without "UDP": tcpdump takes some client ports, such as 49152, for a protocol and prints that.
        const ports = (pattern: RegExp) =>
          tally(lines.flatMap((line) => pattern.exec(line)?.slice(1, 2) ?? []));
        const lines = await capture.lines();
        const asked = ports(new RegExp(`\\.(\\d+) > \\S+\\.${LAB_PORTS.echo}: `));
        const told = ports(new RegExp(`\\.${LAB_PORTS.echo} > \\S+\\.(\\d+): `));
        assert.ok(asked.size >= DATAGRAMS / 2, `${asked.size} flows seen`);
        for (const [port, count] of told) {
          assert.ok(
            count <= (asked.get(port) ?? 0),
            `port ${port}: ${asked.get(port)} sent, ${count} answers`,
          );
        }
        const lost = answers.filter(({ error }) => error !== undefined);
        assert.ok(lost.length <= LOST_MAX, `${lost.length} of ${DATAGRAMS} had no answer`);
      });
    }

    await t.step("the IP stack of a node sees its own packets, not the others'", async () => {
      const received = async (node: LabNode) => {
        const [names, values] = (await lab.run(node.name, ["cat", "/proc/net/snmp"])).split("\n");
        return Number(values.split(" ")[names.split(" ").indexOf("InReceives")]);
      };
      const all = () => Promise.all(lab.nodes.map(async (node) => [await received(node), await fast(node)]));
      await lab.waitFor(
        async () => (await isFastAgain(n1, "ipv4")) && (await isFastAgain(n2, "ipv4")),
        SETTLE_MS,
        "both",
      );
      const before = await all();
      await stream("ipv4");
      const deltas = (await all()).map((after, i) => after.map((count, j) => count - before[i][j]));
      for (const [seen, taken] of deltas) {
        // Beside them heartbeats, and answers of its own talk: far fewer than the other node's share.
        assert.ok(taken > DATAGRAMS / 4 && seen < taken + DATAGRAMS / 4, JSON.stringify(deltas));
      }
    });

    await t.step("a node is killed: the other's kernel takes its share", async () => {
      const pid = n2.daemon!.pid;
      Deno.kill(pid, "SIGKILL");
      await lab.waitFor(
        async () =>
          (await n1.farm()).members.every(({ name, state }) => name === n1.name || state === "dead"),
        SETTLE_MS,
        "the node to be dead",
      );
      await lab.waitFor(
        async () => {
          const before = await counters(n1);
          const answers = await stream("ipv4");
          assert.deepEqual([...tally(answers.map(({ node, error }) => node ?? error))], [[
            n1.name,
            DATAGRAMS,
          ]]);
          return (await fast(n1)) - before.fast >= DATAGRAMS;
        },
        SETTLE_MS,
        "everything to go the fast path",
      );
    });

    await t.step("rp_filter becomes strict: the daemon takes the packets again, and says why", async () => {
      await lab.run(n1.name, ["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"]);
      await lab.waitFor(
        async () => /eth0\.rp_filter is strict/.test(await n1.log()),
        SETTLE_MS,
        "an event",
      );
      const before = await fast(n1);
      const answers = await stream("ipv4");
      assert.deepEqual([...tally(answers.map(({ node, error }) => node ?? error))], [[n1.name, DATAGRAMS]]);
      assert.equal(await fast(n1), before);
    });
  },
);
