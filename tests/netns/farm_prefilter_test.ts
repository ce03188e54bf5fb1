/**
 * A farm whose kernels drop other nodes' packets beside a node that has no prefilter: they serve alike, what one kernel
 * filters the other node captures and drops itself, and claims that move take effect at once.
 */

import assert from "node:assert/strict";
import { LAB_PORTS } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { bpfUnavailable } from "../unit/ffi/ebpf_support.ts";
import {
  type Counters,
  counters,
  farmUnavailable,
  ofClients,
  since,
  startFarm,
  tally,
} from "./farm_support.ts";

const reason = farmUnavailable ?? bpfUnavailable;
if (reason !== undefined) console.log(`skipped: ${reason}`);

/** Requests of one burst, and how many of them are under way at once. */
const REQUESTS = 600;
const CONCURRENCY = 16;
/** Counters and members settle well within this. */
const SETTLE_MS = 20_000;
const OFF = { VIPFARM_PREFILTER: "off" };

Deno.test({ name: "nodes with and without the prefilter", ignore: reason !== undefined }, async (t) => {
  await using lab = await startFarm({ nodes: 3 });
  const [first, second, without] = lab.nodes;
  await without.stopDaemon();
  await lab.startNode(without.name, { env: OFF });
  await lab.waitForMembers(lab.nodes.map(({ name }) => name));
  const [client] = lab.clients;
  const burst = (protocol: "tcp" | "udp", family: "ipv4" | "ipv6") =>
    client.request({
      protocol,
      address: lab.virtualIps[family][0],
      port: protocol === "tcp" ? LAB_PORTS.http : LAB_PORTS.echo,
      count: REQUESTS,
      concurrency: CONCURRENCY,
    });
  const all = () => Promise.all(lab.nodes.map(counters));

  await t.step("the one without says so once, and has no such counter", async () => {
    const off = (log: string) => log.split("\n").filter((line) => line.includes("VIPFARM_PREFILTER=off"));
    assert.equal(off(await without.log()).length, 1);
    for (const node of [first, second]) assert.equal(off(await node.log()).length, 0, node.name);
    const has = async (node: LabNode) =>
      /^vipfarm_packets_filtered_total\{/m.test(await node.api<string>("GET", "/metrics"));
    assert.deepEqual(await Promise.all(lab.nodes.map(has)), [true, true, false]);
  });

  for (const protocol of ["tcp", "udp"] as const) {
    for (const family of ["ipv4", "ipv6"] as const) {
      await t.step(
        `${protocol} over ${family}: every request is answered, every frame counted once`,
        async () => {
          const before = await all();
          const answers = await burst(protocol, family);
          const met = tally(answers.map(({ node, error }) => node ?? error!));
          assert.deepEqual(
            [...met.keys()].sort(),
            lab.nodes.map(({ name }) => name),
            "nobody failed, all serve",
          );
          // Every node gets every frame. The last ones of a connection may still be under way.
          let deltas: Counters[] = [];
          await lab.waitFor(
            async () => {
              const now = await all();
              deltas = now.map((each, i) => since(before[i], each));
              const seen = deltas.map(ofClients);
              assert.deepEqual(seen, [seen[0], seen[0], seen[0]]);
              return seen[0] >= REQUESTS;
            },
            SETTLE_MS,
            "the nodes to have counted the same",
          );
          for (const [i, { captured, filtered, verdicts }] of deltas.entries()) {
            assert.equal(captured, Object.values(verdicts).reduce((a, b) => a + b), "sum of the verdicts");
            if (lab.nodes[i] === without) assert.equal(filtered, 0);
            else assert.equal(verdicts.not_owner, 0, "the kernel left nothing that is another node's");
          }
          const others = deltas.map(({ filtered, verdicts }) => filtered + verdicts.not_owner);
          const accepted = deltas.map(({ fast, verdicts }) =>
            fast + verdicts.accepted + verdicts.accepted_held
          );
          assert.equal(others[0], accepted[1] + accepted[2], "filtered is what the others accepted");
        },
      );
    }
  }

  await t.step("a drain under traffic: no request fails, and the kernel turns with the claims", async () => {
    const traffic = burst("tcp", "ipv4");
    await second.api("POST", `/api/v1/nodes/${first.name}/drain`);
    const answers = await traffic;
    assert.deepEqual(answers.filter(({ error }) => error !== undefined), []);
    await lab.waitFor(
      async () =>
        (await second.farm()).members.some(({ name, state }) => name === first.name && state === "draining"),
      SETTLE_MS,
      "the node to drain",
    );
    const before = await counters(first);
    const met = tally((await burst("tcp", "ipv4")).map(({ node, error }) => node ?? error!));
    assert.deepEqual([...met.keys()].sort(), [second.name, without.name]);
    const { filtered, fast, verdicts } = since(before, await counters(first));
    assert.equal(verdicts.accepted + fast, 0);
    assert.ok(filtered >= REQUESTS, `${filtered} filtered`);

    const back = burst("tcp", "ipv6");
    await without.api("POST", `/api/v1/nodes/${first.name}/resume`);
    assert.deepEqual((await back).filter(({ error }) => error !== undefined), []);
    await lab.waitForMembers(lab.nodes.map(({ name }) => name));
    await lab.waitFor(
      async () => (await burst("tcp", "ipv6")).some(({ node }) => node === first.name),
      SETTLE_MS,
      "the node to serve again",
    );
  });
});
