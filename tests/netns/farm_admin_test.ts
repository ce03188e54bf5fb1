/** The admin endpoint of a real farm: every node tells of all, steers all, and says no where it should. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type {
  BucketsAnswer,
  ConfigAnswer,
  FlowsAnswer,
  HistoryAnswer,
} from "../../src/admin/detail_schemas.ts";
import type { EventListAnswer, FailureAnswer, FarmStatus } from "../../src/admin/schemas.ts";
import { BUCKETS } from "../../src/core/limits.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { measureLoad } from "../bench/admin_load.ts";
import { eventsOf, hasEvent } from "./farm_failure_support.ts";
import { farmUnavailable, http, startFarm } from "./farm_support.ts";
import { workerOf } from "./ops_threads.ts";

/** A loaded machine gets its time. */
const WAIT_MS = 30_000;
const CONNECTIONS = 30;

const farmOf = (node: LabNode) => node.api<FarmStatus>("GET", "/api/v1/farm");
const memberOf = async (node: LabNode, name: string) =>
  (await farmOf(node)).members.find((member) => member.name === name)!;

async function everyNodeTellsOfAll(lab: Lab): Promise<void> {
  await lab.waitFor(
    async () => {
      const farms = await Promise.all(lab.nodes.map(farmOf));
      return farms.every(({ members }) =>
        members.length === 3 &&
        members.every(({ claimed, digest, lateness_ms: lateness, connections }) =>
          digest !== undefined && lateness !== undefined && connections !== undefined &&
          Object.values(claimed ?? {}).every((share) => share > 0.2 && share < 0.5)
        )
      );
    },
    WAIT_MS,
    "every node to know what all report",
  );
  const { nodes, config } = await lab.nodes[2].api<ConfigAnswer>("GET", "/api/v1/config");
  assert.ok(nodes.every(({ same }) => same), "all run the same configuration");
  assert.equal(config.farm, (await farmOf(lab.nodes[0])).farm);
}

/** The three maps agree on the owners, and what the nodes claim is exactly what they own. */
async function mapsFit(lab: Lab): Promise<void> {
  const maps = await Promise.all(
    lab.nodes.map((node) => node.api<BucketsAnswer>("GET", "/api/v1/buckets?service=http")),
  );
  const owners = maps.map(({ nodes, owners }) =>
    Array.from(Buffer.from(owners, "base64"), (index) => nodes[index])
  );
  assert.deepEqual(owners[1], owners[0]);
  assert.deepEqual(owners[2], owners[0]);
  const claimed = maps.map((map) => Buffer.from(map.claimed!, "base64"));
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const by = lab.nodes.filter((_, i) => claimed[i][bucket >> 3] & (1 << (bucket & 7))).map(({ name }) =>
      name
    );
    if (by.length !== 1 || by[0] !== owners[0][bucket]) {
      assert.fail(`bucket ${bucket}: ${by}, ${owners[0][bucket]}`);
    }
  }
  const { bucket, owner } = await lab.nodes[0].explain("10.1.2.3", 4711, "http");
  assert.equal(owners[0][bucket], owner);
}

/** Open connections stay on a drained node, are told by every node, and are gone when they end. */
async function drainShowsWhatStays(lab: Lab): Promise<void> {
  const [client] = lab.clients;
  const [n1, n2] = lab.nodes;
  const answers = await client.open({ ...http(lab), count: CONNECTIONS });
  const here = answers.filter(({ node }) => node === n2.name).length;
  assert.ok(here > 0);
  await lab.waitFor(
    async () => (await memberOf(n1, n2.name)).connections === here,
    WAIT_MS,
    "n1 to know them",
  );
  await n1.api("POST", `/api/v1/nodes/${n2.name}/drain`);
  await lab.waitFor(
    async () => (await memberOf(n1, n2.name)).retained === here,
    WAIT_MS,
    "n1 to know what stays",
  );
  const flows = await n2.api<FlowsAnswer>("GET", "/api/v1/flows?limit=1000");
  assert.equal(flows.total, here);
  assert.ok(
    flows.flows.every(({ place, owner }) => place === "retained" && owner !== n2.name && owner !== null),
  );
  await client.closeAll();
  await lab.waitFor(
    async () => (await memberOf(n1, n2.name)).retained === 0,
    WAIT_MS,
    "the count to go down",
  );
}

const refusal = async (node: LabNode, method: string, path: string) => {
  const { status, body } = await node.ask(method, path);
  return `${status} ${(body as Partial<FailureAnswer>).error?.code}`;
};

Deno.test(
  { name: "admin: any node tells of all and steers all", ignore: farmUnavailable !== undefined },
  async (t) => {
    const lab = await startFarm({ nodes: 3 });
    try {
      const [n1, n2, n3] = lab.nodes;
      await t.step("every node tells what all report", () => everyNodeTellsOfAll(lab));
      await t.step("bucket maps are the same everywhere, and what is claimed", () => mapsFit(lab));
      await t.step("a drain shows what stays, and its count going down", () => drainShowsWhatStays(lab));
      await t.step("the last serving node is not drained, stopped or weighted away by accident", async () => {
        await n1.api("POST", `/api/v1/nodes/${n3.name}/drain`);
        const alone = async () =>
          (await farmOf(n2)).members.every(({ name, shares }) => name === n1.name || shares.http === 0);
        await lab.waitFor(alone, WAIT_MS, "n1 to serve alone");
        for (const verb of ["drain", "stop", "restart"]) {
          assert.equal(
            await refusal(n2, "POST", `/api/v1/nodes/${n1.name}/${verb}`),
            "409 last_serving_node",
          );
        }
        for (const node of [n2, n3]) await n1.api("POST", `/api/v1/nodes/${node.name}/resume`);
      });
      await t.step("a reload is carried to another node", async () => {
        await n1.api("POST", `/api/v1/nodes/${n3.name}/reload`);
      });
      await t.step("what was done is written down where it was asked", async () => {
        const { events } = await n1.api<EventListAnswer>(
          "GET",
          "/api/v1/events?format=json&kind=admin.action",
        );
        assert.deepEqual(events.map(({ details }) => details?.verb), [
          "drain",
          "drain",
          "resume",
          "resume",
          "reload",
        ]);
        assert.ok(events.every(({ details }) => String(details?.who).startsWith("local")));
      });
      await t.step("streams and requests in plenty are all answered", async () => {
        const { streams, answered, failed } = await measureLoad(n1, {
          streams: 20,
          perSecond: 200,
          durationMs: 2_000,
        });
        assert.deepEqual([streams, failed], [20, 0]);
        assert.ok(answered >= 100, `${answered} requests`);
      });
      await t.step("the history has every node", async () => {
        const { at_ms: at, nodes } = await n1.api<HistoryAnswer>("GET", "/api/v1/history");
        assert.ok(at.length >= 3);
        assert.deepEqual(Object.keys(nodes), lab.nodes.map(({ name }) => name));
      });
      await t.step("a node that died is answered for at once", async () => {
        await n3.killDaemon();
        await lab.waitFor(
          async () => (await memberOf(n1, n3.name)).state === "dead",
          WAIT_MS,
          "n3 to be dead",
        );
        assert.equal(await refusal(n1, "POST", `/api/v1/nodes/${n3.name}/drain`), "409 node_gone");
        const metrics = await n1.api<string>("GET", "/metrics");
        assert.match(metrics, /^vipfarm_takeover_seconds_count 1$/m);
      });
    } finally {
      await lab.dispose();
    }
  },
);

Deno.test(
  {
    name: "admin: broken tokens take no node out, but a start is refused",
    ignore: farmUnavailable !== undefined,
  },
  async () => {
    const tokensFile = await Deno.makeTempFile();
    const writeTokens = (text: string) => Deno.writeTextFile(tokensFile, text);
    const tokens = `monitor somebody ${"0".repeat(64)}\n`;
    await writeTokens(tokens);
    const lab = await startFarm({
      nodes: 2,
      config: { admin: { listen: "127.0.0.1:9010", tokens_file: tokensFile } },
    });
    try {
      const [n1, n2] = lab.nodes;
      const worker = workerOf(n1);
      await writeTokens("broken\n");
      Deno.kill(n1.daemon!.pid, "SIGUSR2");
      await lab.waitFor(hasEvent(n1, "program.not_replaced"), WAIT_MS, "the new program to be refused");
      assert.equal(workerOf(n1), worker);
      const refused = (await eventsOf(n1)).find(({ kind }) => kind === "program.not_replaced")!;
      assert.match(refused.message, /read tokens file: a line has three words/);

      Deno.kill(worker, "SIGKILL");
      await lab.waitFor(hasEvent(n1, "admin.not_opened"), WAIT_MS, "n1 to go on with its socket alone");
      await lab.waitForMembers(["n1", "n2"], WAIT_MS);
      const ends = (await eventsOf(n1)).filter(({ kind }) => kind === "program.ended");
      assert.deepEqual(
        ends.map(({ message }) => /SIGKILL/.test(message)),
        [true],
        "it crashed no second time",
      );
      await writeTokens(tokens);
      await lab.waitFor(hasEvent(n1, "admin.opened"), WAIT_MS, "the endpoint to be open again");

      await n2.stopDaemon();
      await writeTokens("broken\n");
      await assert.rejects(lab.startNode(n2.name), /read tokens file: a line has three words/);
    } finally {
      await lab.dispose();
      await Deno.remove(tokensFile);
    }
  },
);
