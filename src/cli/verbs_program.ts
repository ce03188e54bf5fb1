/** Verbs about the program itself: completions, version, help. */
import { Argument, type Command } from "commander";
import { suggest } from "../config/suggest.ts";
import { completionScript, SHELLS } from "./completions.ts";
import { type Output } from "./output.ts";

/** Adds the verbs to the program. */
export function registerProgramVerbs(program: Command, output: Output): void {
  program.command("completions")
    .addArgument(new Argument("<SHELL>", "the shell to complete in").choices(SHELLS))
    .description("shell completions")
    .addHelpText(
      "after",
      `
Examples:
  source <(vipfarm completions bash)
  vipfarm completions zsh > "\${fpath[1]}/_vipfarm"
  vipfarm completions fish > ~/.config/fish/completions/vipfarm.fish`,
    )
    .action((shell: (typeof SHELLS)[number]) => output.answer(completionScript(program, shell)));

  program.command("version")
    .description("version and build")
    .option("--json", "as JSON")
    .action(async (options: { json?: true }) => {
      const { build, formatBuild } = await import("../version.ts");
      output.answer(options.json ? JSON.stringify(build()) : `vipfarm ${formatBuild(build())}`);
    });

  program.command("help [VERB]")
    .description("explain a verb")
    .helpOption(false)
    .action((name?: string) => {
      if (name === undefined) return program.help();
      const verb = program.commands.find((each) => each.name() === name);
      if (verb !== undefined) return verb.help();
      const meant = suggest(name, program.createHelp().visibleCommands(program).map((each) => each.name()));
      program.error(
        `error: unknown verb '${name}'${meant === undefined ? "" : `\n(Did you mean ${meant}?)`}`,
      );
    });
}
