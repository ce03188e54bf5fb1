/** Verbs that make a farm: init, keygen, invite, join. */
import { type Command, Option } from "commander";
import { ROLES } from "../admin/roles.ts";
import { collect, ownNodeName, serviceArgument, vipArgument, withConfig, withNode } from "./arguments.ts";
import { FARM_FILE } from "./farm_files.ts";
import { type InitOptions } from "./init.ts";
import { type InviteOptions, type JoinOptions } from "./invite.ts";
import { type Output } from "./output.ts";
import { type TokenOptions } from "./token.ts";

/** Adds the verbs to the program. */
export function registerSetupVerbs(program: Command, output: Output): void {
  program.command("init")
    .description(
      "a commented configuration to start from, and a secret; asks, where somebody is there to answer",
    )
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
    .option("--farm <NAME>", "name of the farm (default: web)")
    .option("--secret-file <FILE>", "the farm secret (default: secret, beside the file)")
    .option("-o, --output <FILE>", "write it there, with a new secret if there is none (default: stdout)")
    .option("--force", "take the place of another file; a secret stays in any case")
    .option("--no-ask", "ask nothing: guess what no option says")
    .addHelpText(
      "after",
      `
On a terminal, without --vip, it asks for what is missing.

Examples:
  vipfarm init
  vipfarm init --interface eth0 --vip 192.0.2.100 --output ${FARM_FILE}
  vipfarm init --vip 192.0.2.100 --vip 2001:db8::100 --service http=80,443 --service dns=53/udp > farm.yaml`,
    )
    .action(async (options: InitOptions) => {
      const { init } = await import("./init.ts");
      await init(options, output);
    });

  program.command("token")
    .argument("<NAME>", "whose token it is: what the trace of an action says")
    .description("a new token for the admin endpoint")
    .addOption(
      new Option("--role <ROLE>", "monitor sees, control steers, admin also changes daemons").choices(ROLES)
        .default("control"),
    )
    .option("-o, --output <FILE>", "add its hash to this tokens file (default: show the line to add)")
    .addHelpText(
      "after",
      `
The token is shown once; the file keeps its SHA-256. Clients send it as \`Authorization: Bearer TOKEN\`,
the vipfarm command takes it from VIPFARM_TOKEN. To take it back, delete its line.

Examples:
  vipfarm token prometheus --role monitor --output /etc/vipfarm/tokens
  VIPFARM_TOKEN=… vipfarm drain n2 --admin https://192.0.2.1:9010`,
    )
    .action(async (name: string, options: TokenOptions) => {
      const { token } = await import("./token.ts");
      await token(name, options, output);
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
      const [{ newSecret }, { writeSecret }] = await Promise.all([
        import("../config/secret.ts"),
        import("./farm_files.ts"),
      ]);
      if (options.output === undefined) return output.answer(newSecret());
      await writeSecret(options.output, newSecret(), false);
      output.note(
        `Wrote ${options.output}. Copy it to every node, mode 0600; whoever has it can join the farm.`,
      );
    });

  withConfig(program.command("invite"))
    .description("this farm's file and secret as one encrypted text, for `vipfarm join` on the next node")
    .option("--passphrase-file <FILE>", "encrypt it under what stands there (default: a new one is shown)")
    .addHelpText(
      "after",
      `
Send the text and the passphrase by different ways. Files that the configuration names (scripts, certificates, tokens)
are not in it.

Examples:
  vipfarm invite -c ${FARM_FILE}
  vipfarm invite -c ${FARM_FILE} > web.invitation`,
    )
    .action(async (options: InviteOptions) => {
      const { invite } = await import("./invite.ts");
      Deno.exitCode = await invite(options, output);
    });

  withNode(
    program.command("join").argument("[FILE]", "the text that `vipfarm invite` printed (default: stdin)"),
  )
    .description("write the farm's file and secret from an invitation")
    .option("-o, --output <FILE>", "where the configuration goes", FARM_FILE)
    .option("--passphrase-file <FILE>", "where the passphrase stands (default: it is asked for)")
    .option(
      "--secret-file <FILE>",
      "where the configuration may put the secret (default: only beside the configuration)",
    )
    .option("--force", "take the place of other files")
    .addHelpText("after", "\nExamples:\n  vipfarm join\n  vipfarm join web.invitation")
    .action(async (file: string | undefined, options: Omit<JoinOptions, "node"> & { node?: string }) => {
      const { join } = await import("./invite.ts");
      Deno.exitCode = await join(file, { ...options, node: ownNodeName(options.node) }, output);
    });
}
