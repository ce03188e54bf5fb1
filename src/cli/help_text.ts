/** What the command line says of itself, for what is made from it: man page and reference. */
import { type Command } from "commander";

/** A verb as its help shows it. */
export interface VerbHelp {
  readonly name: string;
  /** `run [options]`, `weight [options] <NODE> <N>`. */
  readonly usage: string;
  readonly description: string;
  readonly arguments: ReadonlyArray<{ readonly name: string; readonly description: string }>;
  readonly options: ReadonlyArray<{ readonly flags: string; readonly description: string }>;
  /** What follows the options: notes and examples. */
  readonly notes: string;
}

/** The verbs that help lists, in its order. */
export function verbHelps(program: Command): VerbHelp[] {
  const help = program.createHelp();
  return help.visibleCommands(program).map((verb) => ({
    name: verb.name(),
    usage: `${verb.name()} ${verb.usage()}`,
    description: verb.description(),
    arguments: help.visibleArguments(verb).map((each) => ({
      name: help.argumentTerm(each),
      description: help.argumentDescription(each),
    })),
    options: help.visibleOptions(verb).map((each) => ({
      flags: help.optionTerm(each),
      description: help.optionDescription(each),
    })),
    notes: notesOf(verb),
  }));
}

/** A description as a sentence of its own. */
export function sentence(text: string): string {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** What follows a command's own help, by `addHelpText`: said only when help is written out. */
export function notesOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => text += part,
    getOutHelpWidth: () => 80,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.slice(command.helpInformation().length).trim();
}
