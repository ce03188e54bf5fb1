/**
 * `deno task bench:peers`: vipfarm beside its peers, in one go and one topology (topology.ts).
 *
 *     deno task bench:peers [--rounds N] [--settle N] [--seconds N] [--only NAME,NAME] [--out FILE]
 *
 * The rig runs in network, mount and process namespaces of its own, with its own /run: whatever way it ends,
 * a kill included, the kernel takes everything with it, and nothing that it does is seen outside.
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { runChecked } from "../../../src/lab/process.ts";
import { installMissing } from "../../setup.ts";
import type { Contender } from "./contender.ts";
import { haproxy } from "./haproxy.ts";
import { answeringNodes, type Endpoint, type Figures, measure } from "./measure.ts";
import { COLUMNS, type ContenderRounds, figureTable, ratioTable, report } from "./report.ts";
import { Topology } from "./topology.ts";
import { FARM_CONFIG, vipfarm, vipfarmWithoutFastPath } from "./vipfarm.ts";
import { xtCluster } from "./xt_cluster.ts";

const CONTENDERS: readonly Contender[] = [xtCluster, haproxy, vipfarm, vipfarmWithoutFastPath];

/** Marks the second start of this file, the one in its own namespaces. */
const INSIDE = "--inside";

const { values: options } = parseArgs({
  args: Deno.args.filter((argument) => argument !== INSIDE),
  options: {
    rounds: { type: "string", default: "3" },
    settle: { type: "string", default: "120" },
    seconds: { type: "string", default: "2" },
    only: { type: "string" },
    out: { type: "string" },
  },
});

/** A positive whole number of the command line. Throws with the option's name. */
function count(name: "rounds" | "settle" | "seconds"): number {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`--${name} ${options[name]}: give a whole number from 1`);
  }
  return value;
}

function chosenContenders(): readonly Contender[] {
  const names = options.only?.split(",");
  const unknown = names?.filter((name) => !CONTENDERS.some((contender) => contender.name === name)) ?? [];
  if (unknown.length > 0) {
    throw new Error(
      `--only ${unknown}: there are ${CONTENDERS.map((contender) => contender.name).join(", ")}`,
    );
  }
  return CONTENDERS.filter(({ name }) => names?.includes(name) ?? true);
}

/** Runs this file again where nothing can leak, and returns its exit code. */
async function runInside(): Promise<number> {
  const child = new Deno.Command("setpriv", {
    args: [
      ...["--pdeathsig", "KILL", "--", "unshare", "--mount", "--net", "--pid", "--mount-proc"],
      ...["--fork", "--kill-child", Deno.execPath(), "run", "-A", "--quiet", import.meta.filename!],
      ...[...Deno.args, INSIDE],
    ],
    stdin: "null",
  }).spawn();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // unshare takes the inner process with it, and a process namespace ends with its first process.
    Deno.addSignalListener(signal, () => child.kill("SIGKILL"));
  }
  return (await child.status).code;
}

/** That the contender serves, and spreads as it must, before any figure of it is taken. */
async function assertServes(contender: Contender, topology: Topology, endpoint: Endpoint): Promise<void> {
  const answers = await answeringNodes(topology.clients, endpoint);
  const names = topology.nodes.map(({ name }) => name);
  if (!answers.every((answer) => names.includes(answer))) {
    throw new Error(`${contender.name} answers with ${JSON.stringify(answers)}`);
  }
  if (contender.spreadsClients && new Set(answers).size !== topology.clients.length) {
    throw new Error(`${contender.name} must spread the clients over the nodes, but they meet ${answers}`);
  }
}

function tell(name: string, figures: Figures): void {
  const texts = COLUMNS.map(({ title, key, format }) => `${title}: ${format(figures[key])}`);
  console.error(`  ${name} · ${texts.join(" · ")}`);
}

async function rig(): Promise<void> {
  const rounds = count("rounds");
  const settle = count("settle");
  const seconds = count("seconds");
  const chosen = chosenContenders();
  await runChecked("bench-peers", ["mount", "-t", "tmpfs", "tmpfs", "/run"]);
  Deno.env.set("TMPDIR", "/run");
  const topology = await Topology.build(FARM_CONFIG);
  const results: ContenderRounds[] = chosen.map(({ name, setup }) => ({ name, setup, rounds: [] }));
  for (const [i, contender] of chosen.entries()) {
    const endpoint = await contender.start(topology);
    await assertServes(contender, topology, endpoint);
    // Servers run for months, and a program that is compiled as it runs is busy with that at first.
    await new Promise((resolve) => setTimeout(resolve, settle * 1_000));
    for (let number = 1; number <= rounds; number++) {
      console.error(`${contender.name}, round ${number} of ${rounds}`);
      const round = await measure(contender, topology, endpoint, seconds);
      tell(contender.name, round.figures);
      tell("straight", round.straight);
      results[i].rounds.push(round);
    }
    await contender.stop(topology);
  }
  await topology.stop();

  console.log(`ratios, straight = 100 (latency: less is better)\n\n${ratioTable(results)}\n`);
  console.log(`medians\n\n${figureTable(results)}`);
  if (options.out !== undefined) {
    const [kernel] = Deno.osRelease().match(/^\d+\.\d+/) ?? [Deno.osRelease()];
    const conditions = { rounds, settle, seconds, cores: navigator.hardwareConcurrency, kernel };
    await Deno.writeTextFile(options.out, report(results, conditions));
    // Like every file of the repository, so that writing it anew changes the figures only.
    await runChecked("bench-peers", [Deno.execPath(), "fmt", "--quiet", "--ext=md", options.out]);
    console.log(`\nwritten to ${options.out}`);
  }
}

if (Deno.args.includes(INSIDE)) {
  await rig();
} else {
  chosenContenders();
  await installMissing();
  process.exitCode = await runInside();
}
