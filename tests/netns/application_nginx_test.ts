/**
 * Real nginx on three nodes under steady load, started and looked after by vipfarm with the script that comes with it:
 * what a node does when its application dies, when it cannot start, when its cable is pulled, and when a check fails
 * everywhere.
 */
import assert from "node:assert/strict";
import { Lab } from "../../src/lab/lab.ts";
import { type LabNode } from "../../src/lab/node.ts";
import { afterMs, eventOf, Load, PATIENCE_MS, runs, SCRIPTS } from "./application_support.ts";
import { eventsOf } from "./farm_failure_support.ts";
import { farmUnavailable } from "./farm_support.ts";

const nginxMissing = (() => {
  try {
    return Deno.statSync("/usr/sbin/nginx").isFile ? undefined : "nginx is no file";
  } catch {
    return "nginx is not installed";
  }
})();
const unavailable = farmUnavailable ?? nginxMissing;
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);

const KEEP_PORT = 8088, DROP_PORT = 8089;
/** Requests of the client: 50 a second. */
const EVERY_MS = 20;
/** Default interval, and the silence after which a node is replaced, with room for the round that finds out. */
const DEATH_MS = 700;

/** A request that took this long got its answer by a retransmission: the first SYN of a connection waits 1 s for it. */
const RETRANSMITTED_MS = 900;

const names = (nodes: readonly LabNode[]) => nodes.map(({ name }) => name);

function nginxConfig(node: LabNode, more = ""): string {
  return `${more}
pid ${node.directory}/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  server { listen ${KEEP_PORT}; listen ${DROP_PORT}; location / { return 200 "${node.name}\\n"; } }
}
`;
}

/** Keys of a node's file: nginx, and checks of a file that means sickness. */
function config(lab: Lab, node: LabNode): Record<string, unknown> {
  const conf = `${node.directory}/nginx.conf`;
  const sick = { command: ["/usr/bin/test", "!", "-e", `${lab.directory}/sick`] };
  return {
    services: [{ name: "keep", ports: [KEEP_PORT] }, { name: "drop", ports: [DROP_PORT] }],
    application: {
      start: [`${SCRIPTS}/nginx.sh`, "start", conf],
      stop: [`${SCRIPTS}/nginx.sh`, "stop", conf],
      recovery: { restarts: 2, within: "10m", backoff: "200ms" },
    },
    checks: [
      { name: "nginx", process: { pid_file: `${node.directory}/nginx.pid` }, on_failure: "restart" },
      { name: "cable", interface: {} },
      { name: "sick_keep", exec: sick, services: ["keep"] },
      { name: "sick_drop", exec: sick, services: ["drop"], last_resort: "drop" },
    ],
  };
}

/** SIGKILL to the whole of nginx; gives the moment. */
function killNginx(node: LabNode): number {
  const pid = Number(Deno.readTextFileSync(`${node.directory}/nginx.pid`));
  const atMs = Date.now();
  Deno.kill(-pid, "SIGKILL");
  return atMs;
}

Deno.test({
  name: "nginx that dies, that cannot start, that loses its cable, and a check that fails everywhere",
  ignore: unavailable !== undefined,
}, async (t) => {
  await using lab = await Lab.create({ nodes: 3 });
  try {
    for (const node of lab.nodes) {
      await Deno.mkdir(node.directory, { recursive: true });
      await Deno.writeTextFile(`${node.directory}/nginx.conf`, nginxConfig(node));
    }
    await Promise.all(lab.nodes.map((node) => lab.startNode(node.name, { config: config(lab, node) })));
    const all = names(lab.nodes);
    const [n1, n2] = lab.nodes;
    const others = (node: LabNode) => all.filter((name) => name !== node.name);
    const [vip] = lab.virtualIps.ipv4;
    const load = Load.start(lab, vip, KEEP_PORT, EVERY_MS);
    await load.good(100, all, 0);

    await t.step(
      "killed: noticed within 200 ms, no client finds it after 1.5 s, and the script brings it back",
      async () => {
        const killedMs = killNginx(n1);
        const down = await eventOf(lab, n1, "check.down", killedMs);
        const up = await eventOf(lab, n1, "state.up", killedMs);
        await load.good(100, all, killedMs);
        const failures = load.since(killedMs - 100).filter(({ answer }) => answer === undefined);
        const lastMs = Math.max(0, ...failures.map(({ endMs }) => endMs - killedMs));
        console.log(
          `noticed after ${
            afterMs(down, killedMs)
          } ms, ${failures.length} requests failed, the last after ${lastMs} ms, ` +
            `up again after ${afterMs(up, killedMs)} ms`,
        );
        assert.match(down.message, /^Check nginx is down on n1/);
        assert.ok(afterMs(down, killedMs) <= 200);
        assert.ok(lastMs < 1_500);
        const states = (await eventsOf(n1, killedMs)).filter(({ kind }) => kind.startsWith("state."));
        assert.deepEqual(states.map(({ kind }) => kind).slice(0, 2), ["state.stopping", "state.starting"]);
      },
    );

    await t.step(
      "a configuration that nginx refuses: failed after two restarts, in nginx's own words",
      async () => {
        await Deno.writeTextFile(`${n1.directory}/nginx.conf`, nginxConfig(n1, "nonsense;"));
        const killedMs = killNginx(n1);
        const failed = await eventOf(lab, n1, "state.failed", killedMs);
        assert.match(
          failed.message,
          /^n1 is failed: start exited with status 1: .*unknown directive "nonsense"/,
        );
        assert.match(failed.message, /after 2 restarts within 600 s\.$/);
        const failedMs = Date.parse(failed.at);
        await load.good(50, others(n1), failedMs + 1_000);
        assert.deepEqual(load.since(failedMs + 1_000).filter(({ answer }) => answer === undefined), []);
        await lab.waitFor(
          async () =>
            (await n2.api<{ members: Array<{ name: string; application?: { state: string } }> }>(
              "GET",
              "/api/v1/farm",
            ))
              .members.find(({ name }) => name === "n1")?.application?.state === "failed",
          PATIENCE_MS,
          "n2 to know that n1 has failed",
        );
      },
    );

    await t.step("repaired and started by order from another node: it serves again", async () => {
      await Deno.writeTextFile(`${n1.directory}/nginx.conf`, nginxConfig(n1));
      const orderedMs = Date.now();
      await n2.api("POST", "/api/v1/nodes/n1/start");
      await load.good(100, all, orderedMs);
    });

    await t.step("carrier lost: others have taken over in time, and the node knows why at once", async () => {
      const cutMs = Date.now();
      await lab.run("bridge", ["ip", "link", "set", "n2", "down"]);
      const down = await eventOf(lab, n2, "check.down", cutMs);
      await load.good(50, others(n2), cutMs);
      // Each request has ended by then: it gives up after 2 s.
      await lab.waitFor(() => load.since(cutMs + 3_000).length > 0, PATIENCE_MS, "what was under way to end");
      const lost = load.since(cutMs).filter(({ answer, startMs, endMs }) =>
        answer === undefined || endMs - startMs > RETRANSMITTED_MS
      );
      const lastStartMs = Math.max(0, ...lost.map(({ startMs }) => startMs - cutMs));
      console.log(
        `known after ${
          afterMs(down, cutMs)
        } ms; ${lost.length} requests lost a packet, the last of them begun after ${lastStartMs} ms`,
      );
      assert.match(down.message, /^Check cable is down on n2: .*carrier/);
      assert.ok(afterMs(down, cutMs) <= 100);
      assert.ok(lastStartMs <= DEATH_MS);
      await lab.run("bridge", ["ip", "link", "set", "n2", "up"]);
      await load.good(100, all, Date.now());
    });

    await t.step("a check that fails everywhere: keep serves on and says so, drop does not", async () => {
      const other = Load.start(lab, vip, DROP_PORT, EVERY_MS);
      await other.good(50, all, 0);
      const sickMs = Date.now();
      await Deno.writeTextFile(`${lab.directory}/sick`, "");
      for (const node of lab.nodes) {
        const told = await eventOf(lab, node, "service.last_resort", sickMs);
        assert.match(told.message, /^No node passes its checks for keep/);
        // A check of its own, which runs at its own moments.
        await eventOf(lab, node, "check.down", sickMs, /^Check sick_drop is down/);
      }
      const { members } = await n1.api<{ members: Array<{ last_resort: string[] }> }>("GET", "/api/v1/farm");
      assert.deepEqual(members.map(({ last_resort }) => last_resort), [["keep"], ["keep"], ["keep"]]);
      const toldMs = Date.now();
      await load.good(100, all, toldMs);
      assert.deepEqual(load.since(sickMs).filter(({ answer }) => answer === undefined), []);
      await lab.waitFor(
        () => {
          const late = other.since(toldMs + 500);
          return late.length >= 20 && late.every(({ answer }) => answer === undefined);
        },
        PATIENCE_MS,
        "requests to the dropped service to fail",
      );
      await Deno.remove(`${lab.directory}/sick`);
      await other.good(50, all, Date.now());
      await eventOf(lab, n1, "service.healthy", toldMs);
    });

    await t.step("a node that leaves stops its nginx", async () => {
      const pid = Number(await Deno.readTextFile(`${n1.directory}/nginx.pid`));
      await n1.stopDaemon(PATIENCE_MS);
      assert.equal(runs(pid), false);
    });
  } catch (error) {
    for (const node of lab.nodes) console.log(`log of ${node.name}:\n${await node.log()}`);
    throw error;
  }
});
