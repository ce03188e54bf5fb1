/** Verbs that act on this host or on a whole farm: run, preflight, demo. Each loads its machinery only when called. */
import { type Command, Option } from "commander";
import { EXIT } from "../core/errors.ts";
import { MEMBERS_MAX } from "../core/limits.ts";
import { integerBetween, ownNodeName, withConfig, withNode, withRuntimeDir } from "./arguments.ts";
import { type Output } from "./output.ts";

/** How the supervisor starts a worker: see supervisor/supervisor.ts. */
const WORKER_STARTS = ["start", "take-over"];

interface RunOptions {
  config?: string;
  node?: string;
  runtimeDir: string;
  undo?: true;
  worker?: string;
}

/** Adds the verbs to the program. */
export function registerFarmVerbs(program: Command, output: Output): void {
  const run = program.command("run")
    .description("run this node's daemon in the foreground, with its log on stderr")
    .option("-c, --config <FILE>", "the farm's configuration (not needed with --undo)");
  withRuntimeDir(withNode(run))
    .option("--undo", "only undo what a daemon that did not end cleanly left behind, and exit")
    .addOption(new Option("--worker <HOW>", "started by the supervisor").choices(WORKER_STARTS).hideHelp())
    .addHelpText(
      "after",
      `
Signals: SIGTERM and SIGINT leave the farm cleanly, SIGHUP reads the file again, SIGUSR2 puts the program now on
disk in the place of the running one without breaking a connection.

Examples:
  vipfarm run -c /etc/vipfarm/vipfarm.yaml
  vipfarm run -c farm.yaml --node n2 --runtime-dir /run/vipfarm-n2
  vipfarm run --undo`,
    )
    .action(
      async (options: RunOptions, verb: Command) => {
        if (options.undo) {
          const { undo } = await import("./undo.ts");
          return await undo(options.runtimeDir, output);
        }
        if (options.config === undefined) {
          verb.error("error: required option '-c, --config <FILE>' not specified");
        }
        const node = ownNodeName(options.node);
        const { config, runtimeDir, worker } = options;
        if (worker !== undefined) {
          const { runWorker } = await import("./run_worker.ts");
          Deno.exitCode = await runWorker({
            file: config!,
            node,
            runtimeDir,
            takeOver: worker === "take-over",
          }, output);
          return;
        }
        // Before anything looks for its notes there.
        const { refuseNoDirectory } = await import("../host/lock.ts");
        await refuseNoDirectory(runtimeDir);
        const { supervise } = await import("../supervisor/supervisor.ts");
        const { vipfarmArgv } = await import("../host/program.ts");
        Deno.exitCode = await supervise({
          runtimeDir,
          workerArgv: (how) =>
            vipfarmArgv("run", "-c", config!, "--node", node, "--runtime-dir", runtimeDir, "--worker", how),
        });
      },
    );

  withNode(withConfig(program.command("preflight")))
    .description(
      "is this host ready: capabilities, kernel, interface, sysctls, firewall, clock; each with its remedy",
    )
    .addHelpText("after", "\nExample:\n  vipfarm preflight -c /etc/vipfarm/vipfarm.yaml")
    .action(async (options: { config: string; node?: string }) => {
      const node = ownNodeName(options.node);
      const { readFarm } = await import("./read_farm.ts");
      const config = await readFarm(options.config, node, output, "not asked");
      if (!config) {
        Deno.exitCode = EXIT.no;
        return;
      }
      // What speaks against this host is among the findings.
      const { preflight } = await import("../host/preflight.ts");
      const findings = await preflight(config, node);
      for (const { ok, what, remedy } of findings) {
        const mark = ok === true ? "ok     " : ok === "warning" ? "warning" : "FAILED ";
        output.answer(`${mark} ${what}${ok !== true && remedy !== undefined ? `\n        ${remedy}` : ""}`);
      }
      const failed = findings.filter(({ ok }) => ok === false).length;
      const warned = findings.filter(({ ok }) => ok === "warning").length;
      const summary = failed > 0 ? `is not ready: ${count(failed, "finding")} to mend` : "is ready";
      output.answer(`${node} ${summary}${warned > 0 ? `, ${count(warned, "warning")}` : ""}`);
      Deno.exitCode = failed > 0 ? EXIT.no : EXIT.done;
    });

  program.command("demo")
    .description(
      "a real farm of several nodes on this one machine, in network namespaces; Ctrl-C ends it without a trace",
    )
    .option("--nodes <N>", "how many nodes", integerBetween(2, MEMBERS_MAX), 3)
    .option("--once", "tour it (requests, kill, recovery, drain), check each claim, and exit 0 or 1")
    .addHelpText("after", "\nExamples:\n  vipfarm demo\n  vipfarm demo --nodes 5 --once")
    .action(async (options: { nodes: number; once?: true }) => {
      const { runDemo } = await import("../lab/demo.ts");
      Deno.exitCode = await runDemo({ nodes: options.nodes, once: options.once ?? false });
    });

  program.command("lab-program <NAME> [SETTING]", { hidden: true })
    .description("a program inside the demo's namespaces; started by the lab")
    .action(async (name: string, setting?: string) => {
      const { runLabProgram } = await import("../lab/program.ts");
      Deno.exitCode = await runLabProgram(setting === undefined ? [name] : [name, setting]);
    });
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
