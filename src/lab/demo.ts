/** `vipfarm demo`: a real farm on this machine, to look at (until Ctrl-C) or to be shown around (`--once`). */

import { EXIT, VipfarmError } from "../core/errors.ts";
import { Lab, LAB_PORTS } from "./lab.ts";
import { requireTun, runInUserNamespaceIfNeeded } from "./privilege.ts";
import { vipfarmArgv } from "./program.ts";
import { Relay } from "./relay.ts";
import { Report } from "./report.ts";
import { spreadOf } from "./spread.ts";
import { killProcessesOf } from "./sweep.ts";
import { runTour, seconds, TOUR_CLIENT_ADDRESSES } from "./tour.ts";

/** What the command line asks for. */
export interface DemoOptions {
  readonly nodes: number;
  /** Tour and exit, in place of staying. */
  readonly once: boolean;
}

/** Weight of most nodes, and of the last one, which shows what a weight does. */
const WEIGHT = 100;
const WEIGHT_OF_LAST = 200;
/** First port tried for the consoles, that of a real daemon. */
const CONSOLE_PORT = 9010;
/** The live picture: one round of requests, then the next. */
const ROUND_MS = 1000;
const ROUND_REQUESTS = 40;
const BAR_WIDTH = 40;
/** Exit code of a process that Ctrl-C ended, as shells give it. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs the demo to its end. `args` are the command line's arguments, for running it again in a user namespace.
 * @returns the exit code: 0, 1 if a check failed, 130 if a tour was interrupted.
 * @throws VipfarmError with exit code 4 if namespaces cannot be made here.
 */
export async function runDemo(options: DemoOptions, args: readonly string[] = Deno.args): Promise<number> {
  const elsewhere = await runInUserNamespaceIfNeeded(args);
  if (elsewhere !== undefined) return elsewhere;
  requireTun();
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  try {
    return await demo(options, interrupted.signal);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
  }
}

async function demo(options: DemoOptions, interrupted: AbortSignal): Promise<number> {
  const report = new Report();
  const beganMs = performance.now();
  const before = hostTrace();
  report.line(report.paint("bold", `vipfarm demo: a farm of ${options.nodes} nodes on this one machine`));
  const lab = await Lab.create({
    nodes: options.nodes,
    clients: 1,
    addressesPerClient: TOUR_CLIENT_ADDRESSES,
    handleSignals: false,
    config: { nodes: nodeWeights(options.nodes) },
  });
  // What runs in the lab fails the moment that Ctrl-C is pressed and the lab goes: that failure is no finding.
  const stopped = new Promise<"interrupted">((resolve) => {
    if (interrupted.aborted) resolve("interrupted");
    interrupted.addEventListener("abort", () => resolve("interrupted"), { once: true });
  });
  let outcome: "done" | "interrupted";
  try {
    const work = (async (): Promise<"done"> => {
      await start(lab, report);
      if (options.once) await runTour({ lab, report, weights: weightsOf(lab) });
      else await live(lab, report, interrupted);
      return "done";
    })();
    work.catch(() => {});
    outcome = await Promise.race([work, stopped]);
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    report.check(false, error.message);
    if (error.remedy !== undefined) report.line(`     ${error.remedy}`);
    outcome = "done";
  } finally {
    if (interrupted.aborted) report.line("\nStopping: ending the farm and removing every trace of it.");
    await lab.dispose();
  }
  const traces = await tracesOf(lab, before);
  if (outcome === "interrupted") {
    report.line(traces === "" ? "Done, nothing is left." : `Left behind: ${traces}.`);
    return options.once ? EXIT_INTERRUPTED : EXIT.done;
  }
  if (!options.once) return report.failures === 0 ? EXIT.done : EXIT.no;

  report.step(
    "Nothing is left",
    "The farm lived in network namespaces of its own; with its last process they are gone.",
  );
  report.check(
    traces === "",
    traces === "" ? "no process, no file, no network interface" : `left behind: ${traces}`,
  );
  report.line();
  const tookMs = performance.now() - beganMs;
  report.line(
    report.failures === 0
      ? report.paint("green", `All ${report.checks} checks held (${seconds(tookMs)}).`)
      : report.paint(
        "red",
        `${report.failures} of ${report.checks} checks did not hold (${seconds(tookMs)}).`,
      ),
  );
  return report.failures === 0 ? EXIT.done : EXIT.no;
}

async function start(lab: Lab, report: Report): Promise<void> {
  const names = lab.nodes.map((node) => node.name);
  const vips = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6].join(" and ");
  report.step(
    "Start the farm",
    `${names.length} servers (${
      names.join(", ")
    }) and a client (c1), each a network namespace with its own network ` +
      `card on one switch (a bridge). Every server runs a small web service that answers with the server's name, and ` +
      `the vipfarm daemon. All of them hold the same virtual IPs, ${vips}. There is no load balancer and no master.`,
  );
  const beganMs = performance.now();
  await Promise.all([lab.startServices(), lab.clients[0].start(), lab.startNodes()]);
  report.check(
    true,
    `${names.join(", ")} see each other and take requests, after ${seconds(performance.now() - beganMs)}`,
  );
}

async function live(lab: Lab, report: Report, interrupted: AbortSignal): Promise<void> {
  await using consoles = new AsyncDisposableStack();
  const relays = lab.nodes.map((node, i) =>
    consoles.use(new Relay(`${node.runtimeDirectory}/admin.sock`, CONSOLE_PORT + i))
  );
  const [first, second = first] = lab.nodes;
  const client = lab.namespace("c1");
  report.step(
    "Look at it",
    "The consoles, for a browser on this machine, each as its node sees the farm. " +
      '"Try an example" tells which node serves a client, and why; "Drain" says what will happen before it does it.',
  );
  for (const [i, node] of lab.nodes.entries()) {
    report.line(`     ${node.name}  ${report.paint("cyan", relays[i].url)}`);
  }
  report.step(
    "Try it, in another terminal",
    "Who answers, what the nodes know, and what happens when one goes:",
  );
  const show = (lines: readonly string[]) => {
    for (const line of lines) report.line(`     ${report.paint("cyan", line)}`);
  };
  // One word in each variable: not every shell splits them. No comments: not every shell knows them at its prompt.
  show([
    `alias vipfarm="${vipfarmArgv().join(" ")}"`,
    `run=${first.runtimeDirectory}`,
    `nsenter --net=${client.path} curl -s http://${lab.virtualIps.ipv4[0]}:${LAB_PORTS.http}/`,
    'vipfarm status --runtime-dir "$run"',
    `vipfarm explain ${lab.clients[0].station.ipv4}:5000 --service http --runtime-dir "$run"`,
    `vipfarm drain ${second.name} --runtime-dir "$run"`,
    `vipfarm resume ${second.name} --runtime-dir "$run"`,
  ]);
  report.line(`   ${second.name} dies:`);
  show([`kill -KILL ${second.daemon?.pid}`]);
  report.line("   and comes back, until Ctrl-C here or there:");
  show([
    `nsenter --net=${second.namespace.path} ${vipfarmArgv().join(" ")} run -c ${second.configPath} ` +
    `--node ${second.name} --runtime-dir ${second.runtimeDirectory}`,
  ]);
  report.step(
    "What the client sees",
    `${ROUND_REQUESTS} requests a second, and which node answered them. Ctrl-C ends the farm.`,
  );
  const terminal = Deno.stdout.isTerminal();
  let drawn = 0;
  while (!interrupted.aborted) {
    const answers = await lab.clients[0].request({
      protocol: "tcp",
      address: lab.virtualIps.ipv4[0],
      port: LAB_PORTS.http,
      count: ROUND_REQUESTS,
      everyMs: ROUND_MS / ROUND_REQUESTS,
      timeoutMs: ROUND_MS,
    });
    const states = await statesSeen(lab);
    if (interrupted.aborted) return;
    const { shares, answered } = spreadOf(answers, weightsOf(lab));
    const lines = shares.map(({ name, count, seen }) =>
      `   ${name.padEnd(4)} ${(states.get(name) ?? "?").padEnd(9)} ${String(count).padStart(4)}  ` +
      report.paint("green", "█".repeat(Math.round(seen * BAR_WIDTH)))
    );
    const lost = answers.length - answered;
    lines.push(
      `   ${"lost".padEnd(14)} ${String(lost).padStart(4)}  ${report.paint("red", "█".repeat(lost))}`,
    );
    if (terminal) {
      if (drawn > 0) report.line(`\x1b[${drawn + 1}A`);
      for (const line of lines) report.line(`\x1b[2K${line}`);
      drawn = lines.length;
    } else {
      const counts = shares.map(({ name, count }) => `${name} (${states.get(name) ?? "?"}) ${count}`);
      report.line(`   ${counts.join("   ")}   lost ${lost}`);
    }
  }
}

/** Each member's state, as the first daemon that answers sees it; a node whose daemon does not answer is `off`. */
async function statesSeen(lab: Lab): Promise<Map<string, string>> {
  const views = await Promise.all(lab.nodes.map((node) => node.farm().catch(() => undefined)));
  const members = views.find((view) => view !== undefined)?.members ?? [];
  const states = new Map(members.map(({ name, state }) => [name, state]));
  for (const [i, { name }] of lab.nodes.entries()) if (views[i] === undefined) states.set(name, "off");
  return states;
}

/** What is left of a lab that has ended, for people; empty: nothing. */
async function tracesOf(lab: Lab, hostBefore: string): Promise<string> {
  const processes = await killProcessesOf(lab.id);
  const directory = await Deno.lstat(lab.directory).then(() => true, () => false);
  return [
    ...(processes.length > 0 ? [`processes ${processes.join(" ")}`] : []),
    ...(directory ? [lab.directory] : []),
    ...(hostTrace() === hostBefore ? [] : ["other network interfaces than before"]),
  ].join(", ");
}

function nodeWeights(nodes: number): Record<string, { weight: number }> {
  return Object.fromEntries(
    Array.from({ length: nodes }, (_, i) => [`n${i + 1}`, { weight: weightOf(i, nodes) }]),
  );
}

function weightsOf(lab: Lab): Map<string, number> {
  return new Map(lab.nodes.map((node, i) => [node.name, weightOf(i, lab.nodes.length)]));
}

function weightOf(index: number, nodes: number): number {
  return nodes > 2 && index === nodes - 1 ? WEIGHT_OF_LAST : WEIGHT;
}

/** What a farm could leave in the host's own network: the names of its interfaces. */
function hostTrace(): string {
  return Deno.readTextFileSync("/proc/net/dev").split("\n").slice(2).map((line) => line.split(":")[0].trim())
    .sort()
    .join(" ");
}
