/** Checks of a real farm with their default settings: out in time, back again, and taken up from a changed file. */

import assert from "node:assert/strict";
import { Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { afterMs, eventOf, Load, PATIENCE_MS } from "./application_support.ts";
import { eventsOf } from "./farm_failure_support.ts";
import { farmUnavailable } from "./farm_support.ts";
import { workerOf } from "./ops_threads.ts";

/** Requests of the client: 50 a second. */
const EVERY_MS = 20;
const WEB = { name: "web", http: { port: LAB_PORTS.http } };
/** The last requests that the dead server could get; what was measured stands in the output. */
const OUT_MS_MAX = 1_500;

interface Checks {
  readonly checks: ReadonlyArray<
    { name: string; state: string; reason: string; since: string; action: string }
  >;
}

interface Claims {
  readonly members: ReadonlyArray<{ readonly claimed?: Readonly<Record<string, number>> }>;
}

Deno.test({
  name: "a check that the kernel wakes while the node starts has a verdict all the same",
  ignore: farmUnavailable !== undefined,
}, async () => {
  await using lab = await Lab.create({ nodes: 1, config: { checks: [{ name: "uplink", interface: {} }] } });
  await lab.startServices();
  await lab.startNodes();
  const [n1] = lab.nodes;
  await lab.waitFor(
    async () => (await n1.ask("GET", "/readyz")).status === 200,
    PATIENCE_MS,
    "n1 to be ready",
  );
  const { members } = await n1.api<
    { members: Array<{ application?: { state: string }; last_resort: string[] }> }
  >(
    "GET",
    "/api/v1/farm",
  );
  assert.deepEqual(members.map((member) => [member.application?.state, member.last_resort]), [["up", []]]);
});

Deno.test({
  name: "a check at default settings, and a reload of checks",
  ignore: farmUnavailable !== undefined,
}, async (t) => {
  await using lab = await Lab.create({ nodes: 2, config: { checks: [WEB] } });
  try {
    await lab.startServices();
    await lab.startNodes();
    const [n1, n2] = lab.nodes;
    const [vip] = lab.virtualIps.ipv4;
    const load = Load.start(lab, vip, LAB_PORTS.http, EVERY_MS);
    await load.good(50, ["n1", "n2"], 0);

    await t.step(
      "a server that is gone gets no new connection after 1.5 s, and takes flows again when it is back",
      async () => {
        const killedMs = Date.now();
        await n1.stopService();
        const down = await eventOf(lab, n1, "check.down", killedMs);
        assert.match(down.message, /^Check web is down on n1: connection refused\. .*no new flows here/);
        await load.good(50, ["n2"], killedMs);
        const failures = load.since(killedMs - 100).filter(({ answer }) => answer === undefined);
        const lastMs = Math.max(0, ...failures.map(({ endMs }) => endMs - killedMs));
        console.log(
          `known after ${
            afterMs(down, killedMs)
          } ms, ${failures.length} requests failed, the last after ${lastMs} ms`,
        );
        assert.ok(lastMs < OUT_MS_MAX, `${lastMs} ms`);
        const { checks } = await n1.api<Checks>("GET", "/api/v1/checks");
        assert.deepEqual(checks.map(({ name, state }) => [name, state]), [["web", "down"]]);
        const startedMs = Date.now();
        await lab.startService("n1");
        await eventOf(lab, n1, "check.up", startedMs);
        await load.good(50, ["n1", "n2"], startedMs);
        assert.equal(
          (await eventsOf(n2, killedMs)).filter(({ kind }) => kind.startsWith("check.")).length,
          0,
        );
      },
    );

    await t.step("changed checks are taken up, and no request is lost", async () => {
      const before = (await n1.api<Checks>("GET", "/api/v1/checks")).checks[0];
      const changedMs = Date.now();
      const text = lab.configText({
        checks: [{ ...WEB, on_failure: "fail" }, { name: "cable", interface: {} }],
        rules: [{ name: "alone", when: "check.cable.up && farm.members < 1", do: "leave" }],
      });
      await Deno.writeTextFile(n1.configPath, text);
      n1.daemon!.signal("SIGHUP");
      await eventOf(lab, n1, "config.reloaded", changedMs);
      let now: Checks["checks"] = [];
      await lab.waitFor(
        async () => {
          now = (await n1.api<Checks>("GET", "/api/v1/checks")).checks;
          return now.length === 2 && now.every(({ state }) => state === "up");
        },
        PATIENCE_MS,
        "both checks to be up",
      );
      assert.deepEqual([now[0].since, now[0].action], [before.since, "fail"], "what was known stays known");
      await load.good(50, ["n1", "n2"], changedMs);
      assert.deepEqual(load.since(changedMs).filter(({ answer }) => answer === undefined), []);
    });

    await t.step("a file with a rule that names no check is refused, and the checks go on", async () => {
      const changedMs = Date.now();
      const text = lab.configText({ checks: [WEB], rules: [{ when: "check.wbe.down", do: "leave" }] });
      await Deno.writeTextFile(n1.configPath, text);
      n1.daemon!.signal("SIGHUP");
      await eventOf(lab, n1, "config.not_reloaded", changedMs);
      assert.match(await n1.log(), /there is no `wbe`.*did you mean `web`\?/);
      assert.equal((await n1.api<Checks>("GET", "/api/v1/checks")).checks.length, 2);
    });
  } catch (error) {
    for (const node of lab.nodes) console.log(`log of ${node.name}:\n${await node.log()}`);
    throw error;
  }
});

Deno.test({
  name: "a check that is down stays down when the program is replaced, and when it crashes",
  ignore: farmUnavailable !== undefined,
}, async () => {
  const gone = {
    name: "gone",
    tcp: { port: 1 },
    services: ["http"],
    on_failure: "fail",
    last_resort: "drop",
  };
  await using lab = await Lab.create({ nodes: 1, config: { checks: [gone] } });
  await lab.startNodes();
  const [n1] = lab.nodes;
  const now = async () => {
    const { checks } = await n1.api<Checks>("GET", "/api/v1/checks");
    const { members: [{ claimed }] } = await n1.api<Claims>("GET", "/api/v1/farm");
    return [checks[0].state, claimed?.http];
  };
  const startedMs = Date.now();
  await eventOf(lab, n1, "check.down", 0);
  // From here on it does not run any more.
  await Deno.writeTextFile(n1.configPath, lab.configText({ checks: [{ ...gone, start_delay: "1h" }] }));
  n1.daemon!.signal("SIGHUP");
  await eventOf(lab, n1, "config.reloaded", startedMs);
  for (const end of [() => n1.daemon!.signal("SIGUSR2"), () => Deno.kill(workerOf(n1), "SIGKILL")]) {
    const former = workerOf(n1);
    end();
    await lab.waitFor(() => workerOf(n1) !== former, PATIENCE_MS, "the next program");
    await lab.waitForMembers(["n1"], PATIENCE_MS);
    assert.deepEqual(await now(), ["down", 0]);
  }
});
