/** A real farm goes through what hurts it, and its traces are held to the rule that the simulator checks at each step. */

import assert from "node:assert/strict";
import { BUCKETS } from "../../src/core/limits.ts";
import type { TraceLine } from "../../src/dataplane/claims_trace.ts";
import { Lab } from "../../src/lab/lab.ts";
import { column } from "../../src/ownership/rendezvous.ts";
import { checkTraces } from "../simulation/trace_check.ts";
import { ignore, keysOf, signalDaemon, waitForDeath } from "./farm_failure_support.ts";

/** Table of the first service. */
const TABLE = 1;

async function tracesOf(lab: Lab): Promise<Map<string, TraceLine[]>> {
  const read = lab.nodes.map(async ({ name }) => {
    const text = await Deno.readTextFile(`${lab.directory}/${name}.trace`);
    return [name, text.trimEnd().split("\n").map((line) => JSON.parse(line) as TraceLine)] as const;
  });
  return new Map(await Promise.all(read));
}

Deno.test(
  { name: "traces of a real run: no bucket is claimed by two nodes at one time", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 3 });
    const names = lab.nodes.map(({ name }) => name);
    const start = (name: string) =>
      lab.startNode(name, { env: { VIPFARM_TRACE: `${lab.directory}/${name}.trace` } });
    await Promise.all(names.map(start));
    await lab.waitForMembers(names);
    const [n1, n2, n3] = lab.nodes;

    await Promise.all(["n2", "n3"].map((name) => n1.api("POST", `/api/v1/nodes/${name}/drain`)));
    await Promise.all(["n2", "n3"].map((name) => n1.api("POST", `/api/v1/nodes/${name}/resume`)));
    await Promise.all(
      lab.nodes.map((node, i) => node.api("PUT", `/api/v1/nodes/n${i + 1}/weight`, { weight: 40 * (i + 1) })),
    );
    await n2.stopDaemon();
    await start("n2");
    await lab.waitForMembers(names);
    await n3.killDaemon();
    await waitForDeath(lab, "n3");
    await start("n3");
    await lab.waitForMembers(names);
    await signalDaemon(n1, "SIGSTOP");
    await waitForDeath(lab, "n1");
    await signalDaemon(n1, "SIGCONT");
    await lab.waitForMembers(names);
    await lab.cutBetween("n1", "n2");
    await lab.waitFor(
      async () => (await n2.farm()).members.find(({ name }) => name === "n1")?.state !== "up",
      20_000,
      "n2 to miss n1",
    );
    await lab.heal();
    await lab.waitForMembers(names);

    const { rendezvousKey } = await keysOf(lab);
    const columns = new Map(names.map((name) => [name, column(rendezvousKey, name)]));
    const traces = await tracesOf(lab);
    const found = checkTraces(traces, (name) => columns.get(name)!, TABLE);
    console.log(`  ${found.publications} publications of claims, ${found.leases} renewals of leases`);
    assert.deepEqual(found.overlaps, []);
    assert.ok(found.publications > 20);
    assert.equal(found.claimedAtEnd, BUCKETS, "everything has an owner at the end");

    // The check can fail: a node that takes no notice of the others would be found.
    const alone = traces.get("n1")!.map((line): TraceLine =>
      line.kind === "claims" ? { ...line, basis: { ...line.basis, members: [] } } : line
    );
    const broken = checkTraces(new Map(traces).set("n1", alone), (name) => columns.get(name)!, TABLE);
    assert.notDeepEqual(broken.overlaps, []);
  },
);
