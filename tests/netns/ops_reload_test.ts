/** A configuration that is read again by the running farm: by order from any node, by SIGHUP, all of it or nothing. */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { vipfarmArgv } from "../../src/host/program.ts";
import type { Lab } from "../../src/lab/lab.ts";
import type { LabNode } from "../../src/lab/node.ts";
import { eventsOf, hasEvent, ignore } from "./farm_failure_support.ts";
import { startFarm } from "./farm_support.ts";
import { workerOf } from "./ops_threads.ts";

type File = Record<string, unknown>;

/** All of it happens within a second or two; a loaded machine gets its time. */
const WAIT_MS = 30_000;

/** Runs a verb on a node's daemon. */
async function vipfarm(lab: Lab, node: LabNode, ...args: string[]): Promise<{ code: number; said: string }> {
  const argv = vipfarmArgv(...args, "--runtime-dir", node.runtimeDirectory);
  const { code, stdout, stderr } = await lab.exec(node.name, argv);
  return { code, said: stdout + stderr };
}

async function change(node: LabNode, edit: (file: File) => void): Promise<void> {
  const file = parse(await Deno.readTextFile(node.configPath));
  edit(file);
  await Deno.writeTextFile(node.configPath, stringify(file));
}

async function weightOf(seenBy: LabNode, name: string): Promise<number | undefined> {
  return (await seenBy.farm()).members.find((member) => member.name === name)?.weight;
}

async function warningsOf(node: LabNode): Promise<string[]> {
  const { warnings } = await node.api<{ warnings: Array<{ message: string }> }>("GET", "/api/v1/farm");
  return warnings.map(({ message }) => message);
}

Deno.test({
  name: "reload: whole or not at all, says what changed, refuses by name, warns of other files",
  ignore,
}, async () => {
  await using lab = await startFarm({ nodes: 2 });
  const [n1, n2] = lab.nodes;
  assert.deepEqual(await warningsOf(n1), []);

  // A change that can be taken up: by order, on the node itself.
  const heavier = (file: File) => {
    file.nodes = { n1: { weight: 200 }, n2: {} };
    file.drain_on_stop = "1s";
  };
  await change(n1, heavier);
  const done = await vipfarm(lab, n1, "reload");
  assert.equal(done.code, 0, done.said);
  assert.match(done.said, /n1: changed: drain_on_stop, nodes\.n1/);
  await lab.waitFor(async () => await weightOf(n2, "n1") === 200, WAIT_MS, "n2 to see the weight");
  await lab.waitFor(
    async () =>
      (await warningsOf(n2)).some((text) => text === "n1 runs another configuration than this node."),
    WAIT_MS,
    "a warning that the files differ",
  );

  // The other node, from here; then the files are the same again.
  await change(n2, heavier);
  const other = await vipfarm(lab, n1, "reload", "n2");
  assert.equal(other.code, 0, other.said);
  await lab.waitFor(async () => (await warningsOf(n2)).length === 0, WAIT_MS, "the warning to go");
  assert.match((await vipfarm(lab, n1, "reload")).said, /nothing has changed/);

  // Something that needs a restart: refused by name, and the rest of the file is not taken up either.
  await change(n1, (file) => {
    (file.nodes as Record<string, unknown>).n1 = { weight: 300 };
    (file.heartbeat as unknown) = { interval: "150ms" };
    file.uncovered = "owner";
  });
  const refused = await vipfarm(lab, n1, "reload");
  assert.equal(refused.code, 1, refused.said);
  assert.match(refused.said, /needs a restart: uncovered, heartbeat/);
  assert.equal(await weightOf(n1, "n1"), 200);

  // A file with errors; by the signal.
  await Deno.writeTextFile(n1.configPath, "farm: [");
  Deno.kill(n1.daemon!.pid, "SIGHUP");
  await lab.waitFor(
    async () => (await eventsOf(n1)).filter(({ kind }) => kind === "config.not_reloaded").length === 2,
    WAIT_MS,
    "the event of the refusal",
  );
  const told = (await eventsOf(n1)).filter(({ kind }) => kind.startsWith("config."));
  assert.deepEqual(told.map(({ kind }) => kind), [
    "config.reloaded",
    "config.reloaded",
    "config.not_reloaded",
    "config.not_reloaded",
  ]);
  assert.match(told[3].message, /has errors/);
  assert.deepEqual((told[0].details as { changed: string[] }).changed.slice(0, 1), ["drain_on_stop"]);
  assert.match(await n1.log(), /farm\.yaml:1:\d+: /);
  assert.equal(await weightOf(n2, "n1"), 200);
});

/** Whether a program has read its file: it opens its TUN device afterwards. */
async function isBeyondItsFile(pid: number): Promise<boolean> {
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    if (target === "/dev/net/tun") return true;
  }
  return false;
}

Deno.test(
  { name: "reload during a replacement of the program: the new one takes it up too", ignore },
  async () => {
    await using lab = await startFarm({ nodes: 2 });
    const [n1, n2] = lab.nodes;
    const supervisor = n1.daemon!.pid;
    const candidate = async () =>
      (await Deno.readTextFile(`/proc/${supervisor}/task/${supervisor}/children`)).trim().split(" ").map(
        Number,
      )
        .find((pid) => pid !== workerOf(n1));
    Deno.kill(supervisor, "SIGUSR2");
    await lab.waitFor(async () => await candidate() !== undefined, WAIT_MS, "the new program to start");
    const next = (await candidate())!;
    await lab.waitFor(() => isBeyondItsFile(next), WAIT_MS, "the new program to have read its file");
    Deno.kill(next, "SIGSTOP");
    assert.notEqual(workerOf(n1), next, "it was held in time");
    await change(n1, (file) => file.nodes = { n1: { weight: 40 }, n2: {} });
    const done = await vipfarm(lab, n1, "reload");
    assert.equal(done.code, 0, done.said);
    await lab.waitFor(async () => await weightOf(n2, "n1") === 40, WAIT_MS, "n2 to see the weight");
    Deno.kill(next, "SIGCONT");

    await lab.waitFor(hasEvent(n1, "program.replaced"), WAIT_MS, "the program to be replaced");
    assert.equal(workerOf(n1), next);
    await lab.waitFor(hasEvent(n1, "config.reloaded"), WAIT_MS, "the new program to take the file up");
    for (const node of lab.nodes) {
      await lab.waitFor(
        async () => await weightOf(node, "n1") === 40,
        WAIT_MS,
        `${node.name} to see the weight`,
      );
    }
  },
);
