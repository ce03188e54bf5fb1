/** Verbs about the configuration file: check, explain. */
import { type Command } from "commander";
import { EXIT } from "../core/errors.ts";
import {
  type ClientArgument,
  clientArgument,
  ownNodeName,
  withConfig,
  withNode,
  withRuntimeDir,
} from "./arguments.ts";
import { type ExplainOptions } from "./explain.ts";
import { type Output } from "./output.ts";

/** Adds the verbs to the program. */
export function registerFileVerbs(program: Command, output: Output): void {
  withNode(withConfig(program.command("check")))
    .description(
      "validate the configuration, without privileges; every problem on a line, with line and column",
    )
    .addHelpText(
      "after",
      `
Problems go to stderr as file:line:column: what is wrong, what was expected. Exit code 0, or 1 if there is an error.
Virtual IPs are checked against this host's networks if it has the interface; if not, that is a warning.

Examples:
  vipfarm check -c /etc/vipfarm/vipfarm.yaml
  vipfarm check -c farm.yaml --node n2`,
    )
    .action(async (options: { config: string; node?: string }) => {
      const { readFarm, tellUnlisted } = await import("./read_farm.ts");
      const config = await readFarm(options.config, ownNodeName(options.node), output, "warning");
      if (!config) {
        Deno.exitCode = EXIT.no;
        return;
      }
      if (options.node !== undefined) tellUnlisted(config, options.node, output);
      const nodes = Object.keys(config.nodes).length;
      output.answer(
        `${options.config}: ok: farm ${config.farm}, virtual IPs ${config.virtualIps.length}, ` +
          `services ${config.services.length}, nodes ${nodes === 0 ? "not listed" : nodes}`,
      );
    });

  withRuntimeDir(
    program.command("explain").argument(
      "<CLIENT[:PORT]>",
      "the client's address, and the port it calls from",
      clientArgument,
    ),
  )
    .description("which node answers a client, and why: from the daemon, or from the file")
    .option("-c, --config <FILE>", "the farm's configuration, for an answer without a daemon")
    .option("--service <NAME>", "the service that the client calls (default: every one)")
    .option(
      "--admin <URL>",
      "ask the daemon at this address, such as http://127.0.0.1:9010; token in VIPFARM_TOKEN, an authority of your own in VIPFARM_CA",
    )
    .option("--offline", "do not ask a daemon: all nodes of the file, all alive")
    .option("--json", "the answer as JSON")
    .addHelpText(
      "after",
      `
With affinity connection the client's port decides too. The offline answer takes every node that the file lists to be
alive; a node that is away, drained or weighted by hand is known only to the daemon.

Examples:
  vipfarm explain 203.0.113.7:51000 -c /etc/vipfarm/vipfarm.yaml
  vipfarm explain '[2001:db8::7]:51000' --service http -c /etc/vipfarm/vipfarm.yaml --json`,
    )
    .action(
      async (client: ClientArgument, options: Omit<ExplainOptions, "runtimeDirIsGiven">, verb: Command) => {
        const { explain } = await import("./explain.ts");
        const runtimeDirIsGiven = verb.getOptionValueSource("runtimeDir") === "cli";
        Deno.exitCode = await explain(client, { ...options, runtimeDirIsGiven }, output);
      },
    );
}
