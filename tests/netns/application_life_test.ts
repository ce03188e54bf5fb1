/**
 * The life of an application beside that of the daemon: what starts and stops it, what leaves it alone, and what
 * survives. The application is a shell that sleeps, the scripts write down that they ran.
 */
import assert from "node:assert/strict";
import { Lab } from "../../src/lab/lab.ts";
import { type LabNode } from "../../src/lab/node.ts";
import { eventOf, PATIENCE_MS, runs } from "./application_support.ts";
import { eventsOf } from "./farm_failure_support.ts";
import { farmUnavailable } from "./farm_support.ts";

interface Farm {
  members: Array<{ name: string; state: string; application?: { state: string; reason: string } }>;
}

/** A script with this body. */
async function script(path: string, body: string): Promise<string> {
  await Deno.writeTextFile(path, `#!/bin/sh\nset -eu\n${body}\n`, { mode: 0o755 });
  return path;
}

/** Makes the scripts of a node, and gives the keys of its file. */
async function application(node: LabNode): Promise<Record<string, unknown>> {
  const { directory } = node;
  await Deno.mkdir(directory, { recursive: true });
  const note = `echo "$VIPFARM_SCRIPT $VIPFARM_STATE $VIPFARM_NEXT_STATE" >> ${directory}/ran`;
  return {
    drain_on_stop: "1s",
    maintenance_file: `${directory}/maintenance`,
    application: {
      prestart: await script(`${directory}/prestart`, note),
      start: await script(
        `${directory}/start`,
        `${note}\n[ ! -e ${directory}/pid ] || exit 0\nsetsid sleep 1000 </dev/null >/dev/null 2>&1 &\necho $! > ${directory}/pid`,
      ),
      stop: await script(
        `${directory}/stop`,
        `${note}\n[ "$VIPFARM_STOP" = forced ] || [ ! -e ${directory}/deaf ] || sleep 1000\n` +
          `kill -KILL "$(cat ${directory}/pid)"\nrm ${directory}/pid`,
      ),
      poststop: await script(`${directory}/poststop`, note),
      transition: await script(`${directory}/transition`, note),
      timeout: "1s",
    },
    notify: {
      script: await script(`${directory}/notify`, `echo "$VIPFARM_EVENT" >> ${directory}/told`),
      events: ["state", "member", "program", "node"],
    },
  };
}

const read = (path: string) => {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
};
const pidOf = (node: LabNode) => Number(read(`${node.directory}/pid`));

Deno.test(
  { name: "an application's life beside the daemon's", ignore: farmUnavailable !== undefined },
  async (t) => {
    await using lab = await Lab.create({ nodes: 2 });
    const [n1, n2] = lab.nodes;
    const ran = () =>
      read(`${n1.directory}/ran`).trimEnd().split("\n").filter((line) => !line.startsWith("transition"));
    const state = async (node: LabNode, name: string) =>
      (await node.api<Farm>("GET", "/api/v1/farm")).members.find((member) => member.name === name)
        ?.application?.state;
    const becomes = (node: LabNode, name: string, wanted: string) =>
      lab.waitFor(
        async () => (await state(node, name)) === wanted,
        PATIENCE_MS,
        `${node.name} to see ${name} ${wanted}`,
      );
    // Each step goes on where the one before has stopped.
    const story = async (name: string, tell: () => void | Promise<void>) =>
      assert.ok(await t.step(name, tell), name);
    const order = (verb: string) => n2.api("POST", `/api/v1/nodes/n1/${verb}`);
    try {
      for (const node of lab.nodes) await lab.startNode(node.name, { config: await application(node) });
      await lab.waitForMembers(["n1", "n2"]);

      await story("started with the node, in order", () => {
        assert.deepEqual(ran(), ["prestart starting up", "start starting up"]);
        assert.ok(runs(pidOf(n1)));
      });

      await story("neither a crash of the program nor its replacement touches it", async () => {
        const pid = pidOf(n1);
        const worker = () => Number(read(`${n1.runtimeDirectory}/worker.pid`));
        for (
          const disturb of [
            () => Deno.kill(worker(), "SIGKILL"),
            () => n1.daemon!.signal("SIGUSR2"),
          ]
        ) {
          const before = worker();
          disturb();
          await lab.waitFor(() => worker() !== before, PATIENCE_MS, "another worker");
          await n1.ready();
          assert.equal(await state(n1, "n1"), "up");
        }
        assert.equal(pidOf(n1), pid);
        assert.equal(ran().length, 2);
      });

      await story("stop and start by order from another node; a stop that hangs is forced", async () => {
        const pid = pidOf(n1);
        await Deno.writeTextFile(`${n1.directory}/deaf`, "");
        const orderedMs = Date.now();
        await order("stop");
        await becomes(n2, "n1", "stopped");
        assert.equal(runs(pid), false);
        assert.deepEqual(ran().slice(2), [
          "stop stopping stopped",
          "stop stopping stopped",
          "poststop stopping stopped",
        ]);
        const states = (await eventsOf(n1, orderedMs)).map(({ kind }) => kind).filter((kind) =>
          kind.startsWith("state.")
        );
        assert.deepEqual(states, ["state.draining", "state.stopping", "state.stopped"]);
        await Deno.remove(`${n1.directory}/deaf`);
        await order("start");
        await becomes(n2, "n1", "up");
        assert.ok(runs(pidOf(n1)) && pidOf(n1) !== pid);
      });

      await story("restart by order: stopped, and started anew", async () => {
        const pid = pidOf(n1);
        const orderedMs = Date.now();
        await order("restart");
        await eventOf(lab, n1, "state.stopping", orderedMs);
        await becomes(n2, "n1", "up");
        assert.ok(!runs(pid) && runs(pidOf(n1)));
      });

      await story("the maintenance file drains while it is there", async () => {
        await Deno.writeTextFile(`${n1.directory}/maintenance`, "");
        await becomes(n2, "n1", "draining");
        await lab.waitFor(
          async () => (await n2.farm()).members.find(({ name }) => name === "n1")?.shares.http === 0,
          PATIENCE_MS,
          "n1 to take nothing",
        );
        await Deno.remove(`${n1.directory}/maintenance`);
        await becomes(n2, "n1", "up");
      });

      await story("a drain survives the daemon, a damaged memory is told and forgotten", async () => {
        await order("drain");
        await becomes(n2, "n1", "draining");
        const pid = pidOf(n1);
        await n1.stopDaemon(PATIENCE_MS);
        assert.equal(runs(pid), false);
        await lab.startNode("n1", { config: await application(n1), wait: false });
        await becomes(n2, "n1", "draining");
        await n1.stopDaemon(PATIENCE_MS);
        await Deno.writeTextFile(`${n1.directory}/state/lab.n1.json`, "{");
        const startedMs = Date.now();
        await lab.startNode("n1", { config: await application(n1) });
        await eventOf(lab, n1, "memory.damaged", startedMs);
        await becomes(n2, "n1", "up");
      });

      await story(
        "scripts of a file that was read again are the next to run; nothing else happens",
        async () => {
          const pid = pidOf(n1);
          const next = await application(n1);
          const stop = await script(
            `${n1.directory}/other_stop`,
            `echo other >> ${n1.directory}/ran\nexec ${n1.directory}/stop`,
          );
          Object.assign(next.application as Record<string, unknown>, { stop });
          await Deno.writeTextFile(n1.configPath, lab.configText(next));
          const reloadedMs = Date.now();
          n1.daemon!.signal("SIGHUP");
          const reloaded = await eventOf(lab, n1, "config.reloaded", reloadedMs);
          assert.match(reloaded.message, /application/);
          assert.deepEqual(
            (await eventsOf(n1, reloadedMs)).filter(({ kind }) => kind.startsWith("state.")),
            [],
          );
          assert.equal(pidOf(n1), pid);
          await order("stop");
          await becomes(n2, "n1", "stopped");
          assert.equal(ran().at(-3), "other");
        },
      );

      await story("the notification script was told of all of it", async () => {
        await lab.waitFor(
          () =>
            ["state.stopped", "state.draining", "member.joined", "program.ended", "program.replaced"].every((
              kind,
            ) => read(`${n1.directory}/told`).includes(kind)),
          PATIENCE_MS,
          "the notifications",
        );
        await n1.stopDaemon(PATIENCE_MS);
        assert.equal(read(`${n1.directory}/told`).trimEnd().split("\n").at(-1), "node.stopped");
      });
    } catch (error) {
      for (const node of lab.nodes) console.log(`log of ${node.name}:\n${await node.log()}`);
      throw error;
    }
  },
);
