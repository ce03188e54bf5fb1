/** Verbs about the configuration file: check, explain, init, keygen. */
import { type Command } from "commander";
import { EXIT } from "../core/errors.ts";
import {
  type ClientArgument,
  clientArgument,
  collect,
  ownNodeName,
  serviceArgument,
  vipArgument,
  withConfig,
  withNode,
  withRuntimeDir,
} from "./arguments.ts";
import { type InitOptions } from "./init.ts";
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
  vipfarm check -c /etc/vipfarm.yaml
  vipfarm check -c farm.yaml --node n2`,
    )
    .action(async (options: { config: string; node?: string }) => {
      const { readFarm } = await import("./read_farm.ts");
      const config = await readFarm(options.config, ownNodeName(options.node), output, "warning");
      if (!config) {
        Deno.exitCode = EXIT.no;
        return;
      }
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
    .option("--admin <URL>", "ask the daemon at this address, such as http://127.0.0.1:9010")
    .option("--offline", "do not ask a daemon: all nodes of the file, all alive")
    .option("--json", "the answer as JSON")
    .addHelpText(
      "after",
      `
With affinity connection the client's port decides too. The offline answer takes every node that the file lists to be
alive; a node that is away, drained or weighted by hand is known only to the daemon.

Examples:
  vipfarm explain 203.0.113.7:51000 -c /etc/vipfarm.yaml
  vipfarm explain '[2001:db8::7]:51000' --service http -c /etc/vipfarm.yaml --json`,
    )
    .action(
      async (client: ClientArgument, options: Omit<ExplainOptions, "runtimeDirIsGiven">, verb: Command) => {
        const { explain } = await import("./explain.ts");
        const runtimeDirIsGiven = verb.getOptionValueSource("runtimeDir") === "cli";
        Deno.exitCode = await explain(client, { ...options, runtimeDirIsGiven }, output);
      },
    );

  program.command("init")
    .description("a commented configuration to start from")
    .option(
      "--interface <NAME>",
      "where clients reach the virtual IPs (default: the one with the default route)",
    )
    .option("--vip <ADDRESS>", "a virtual IP; may be repeated", collect(vipArgument))
    .option(
      "--service <NAME=PORTS[/PROTOCOL]>",
      "a service; may be repeated (default: http=80,443)",
      collect(serviceArgument),
    )
    .option("--farm <NAME>", "name of the farm", "web")
    .option("--secret-file <FILE>", "the farm secret", "/etc/vipfarm/secret")
    .option("-o, --output <FILE>", "write it there, if there is no such file yet (default: stdout)")
    .addHelpText(
      "after",
      `
Examples:
  vipfarm init --interface eth0 --vip 192.0.2.100 --output /etc/vipfarm.yaml
  vipfarm init --vip 192.0.2.100 --vip 2001:db8::100 --service http=80,443 --service dns=53/udp > farm.yaml`,
    )
    .action(async (options: InitOptions) => {
      const { init } = await import("./init.ts");
      await init(options, output);
    });

  program.command("keygen")
    .description("a new farm secret: random bytes in base64")
    .option(
      "-o, --output <FILE>",
      "write it there with mode 0600, if there is no such file yet (default: stdout)",
    )
    .addHelpText(
      "after",
      `
Every node of the farm gets the same file; nobody else may read it.

Examples:
  vipfarm keygen --output /etc/vipfarm/secret
  (umask 077; vipfarm keygen > secret)`,
    )
    .action(async (options: { output?: string }) => {
      const [{ newSecret }, { writeNewFile }] = await Promise.all([
        import("../config/secret.ts"),
        import("./new_file.ts"),
      ]);
      if (options.output === undefined) return output.answer(newSecret());
      await writeNewFile(options.output, newSecret(), 0o600);
      output.note(
        `Wrote ${options.output}. Copy it to every node, mode 0600; whoever has it can join the farm.`,
      );
    });
}
