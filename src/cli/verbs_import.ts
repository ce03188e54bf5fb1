/** `vipfarm import`: the configuration of another system as a vipfarm file. */
import { Argument, type Command } from "commander";
import { type Output } from "./output.ts";
import { readText } from "./read_text.ts";

interface ImportCommandOptions {
  readonly farm: string;
  readonly interface: string;
  readonly secretFile: string;
  readonly scripts: string;
  readonly output?: string;
}

/** Adds the verb to the program. */
export function registerImportVerb(program: Command, output: Output): void {
  program.command("import")
    .addArgument(new Argument("<SYSTEM>", "the system that the file is of").choices(["safekit"]))
    .argument("<FILE>", "its configuration, such as userconfig.xml")
    .description("the configuration of another system as a vipfarm file, and what could not be translated")
    .option("--farm <NAME>", "name of the farm", "web")
    .option("--interface <NAME>", "where clients reach the virtual IPs", "eth0")
    .option("--secret-file <FILE>", "the farm secret", "/etc/vipfarm/secret")
    .option("--scripts <DIR>", "where the application's scripts are on the nodes", "/etc/vipfarm/scripts")
    .option("-o, --output <FILE>", "write it there, if there is no such file yet (default: stdout)")
    .addHelpText(
      "after",
      `
What could not be translated goes to stderr as file:line: what it is, what to do, and into the file as comments.

Example:
  vipfarm import safekit userconfig.xml --interface ens3 --output vipfarm.yaml`,
    )
    .action(async (_system: "safekit", path: string, options: ImportCommandOptions) => {
      const { importSafekit } = await import("../import/safekit.ts");
      const remedy = "Name the file userconfig.xml of a farm module; it is in the module's directory `conf`.";
      const text = await readText("import a configuration", path, remedy);
      const { yaml, notes } = importSafekit(text, options);
      if (options.output === undefined) output.answer(yaml);
      else await (await import("./new_file.ts")).writeNewFile(options.output, yaml, { mode: 0o644 });
      for (const { line, kind, text } of notes) output.note(`${path}:${line}: ${kind}: ${text}`);
      const left = notes.filter(({ kind }) => kind === "untranslated").length;
      output.note(
        `${left === 0 ? "Nothing is left" : `${left} left`} untranslated. Then: vipfarm check -c ${
          options.output ?? "FILE"
        }`,
      );
    });
}
