/** A node that would break a farm that serves does not take part: it says why, and the others notice nothing. */

import assert from "node:assert/strict";
import { newSecret } from "../../src/config/secret.ts";
import type { Lab, StartOptions } from "../../src/lab/lab.ts";
import { eventsOf, ignore } from "./farm_failure_support.ts";
import { http, startFarm } from "./farm_support.ts";

const START_MS = 60_000;

/** Starts n3, which must end by itself; gives what it said. */
async function refused(lab: Lab, options: StartOptions): Promise<string> {
  const node = await lab.startNode(3, { ...options, wait: false });
  const { code } = await node.daemon!.ended(START_MS);
  assert.equal(code, 1);
  return await Deno.readTextFile(node.logPath);
}

Deno.test({ name: "newcomers that cannot be of this farm stay out of it", ignore }, async (t) => {
  await using lab = await startFarm({ nodes: 3, clients: 1 });
  await lab.node(3).stopDaemon();
  await lab.waitForMembers(["n1", "n2"]);
  const before = (await eventsOf(lab.node(1))).length;

  await t.step("behind a firewall that drops heartbeats", async () => {
    await lab.run("n3", [
      "nft",
      "add table inet wall; add chain inet wall input { type filter hook input priority 0; }; " +
      "add rule inet wall input udp dport 4886 drop",
    ]);
    assert.match(
      await refused(lab, {}),
      /a farm answers for .*, but none of its nodes is heard .*UDP port 4886/s,
    );
    await lab.run("n3", ["nft", "delete", "table", "inet", "wall"]);
  });
  await t.step("with another secret", async () => {
    const secret = `${lab.directory}/other-secret`;
    await Deno.writeTextFile(secret, newSecret(), { mode: 0o600 });
    const said = await refused(lab, { config: { secret_file: secret } });
    assert.match(said, /a farm with another name or secret answers for .*vipfarm invite/s);
  });
  await t.step("under a name that is taken", async () => {
    assert.match(
      await refused(lab, { args: ["--node", "n1"] }),
      /another host \(.*\) is the node n1 already/,
    );
  });
  await t.step("nobody has noticed, and a right one is welcome", async () => {
    const later = (await eventsOf(lab.node(1))).slice(before).map(({ kind }) => kind);
    assert.deepEqual(later.filter((kind) => kind.startsWith("self.") || kind.startsWith("member.")), []);
    const answers = await lab.clients[0].request({ ...http(lab), count: 50 });
    assert.ok(answers.every(({ error }) => error === undefined), JSON.stringify(answers));
    await lab.startNode(3);
    await lab.waitForMembers(["n1", "n2", "n3"]);
  });
});
