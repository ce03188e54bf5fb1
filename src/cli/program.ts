/** All verbs of the command line with their options and help: also what shell completions are made from. */
import { Command } from "commander";
import { registerLiveVerbs } from "./verbs_live.ts";
import { registerFarmVerbs } from "./verbs_farm.ts";
import { registerFileVerbs } from "./verbs_file.ts";
import { registerImportVerb } from "./verbs_import.ts";
import { registerSetupVerbs } from "./verbs_setup.ts";
import { registerProgramVerbs } from "./verbs_program.ts";
import { VERSION } from "../version.ts";
import { type Output } from "./output.ts";

const EPILOGUE = `
A first farm:
  vipfarm demo                                  a whole farm on this one machine, in network namespaces
  vipfarm init                                  the farm's file and secret, the same on every node
  vipfarm preflight -c /etc/vipfarm/vipfarm.yaml    is this host ready?
  vipfarm run -c /etc/vipfarm/vipfarm.yaml      this node joins the farm
  vipfarm invite -c /etc/vipfarm/vipfarm.yaml   file and secret, encrypted, for the other nodes
  vipfarm join                                  and there: takes them

Exit codes: 0 done, 1 the answer is no, 2 usage, 3 the daemon could not be reached, 4 missing privilege.`;

/** The command line, ready to parse. Errors in it are thrown after they were told. */
export function buildProgram(output: Output): Command {
  const program = new Command("vipfarm")
    .description(
      "Several Linux servers behind one virtual IP, without a load balancer in front and without a master.",
    )
    .usage("VERB [options]")
    .helpCommand(false) // its own takes an unknown verb for none
    .addHelpText("after", EPILOGUE)
    .version(`vipfarm ${VERSION}`, "-V, --version", "the version; `vipfarm version` says more")
    .showSuggestionAfterError()
    .exitOverride();
  program.commandsGroup("This host:");
  registerFarmVerbs(program, output);
  program.commandsGroup("The configuration:");
  registerSetupVerbs(program, output);
  registerFileVerbs(program, output);
  registerImportVerb(program, output);
  program.commandsGroup("The running farm, from any node:");
  registerLiveVerbs(program);
  program.commandsGroup("The program:");
  registerProgramVerbs(program, output);
  for (const verb of program.commands) {
    verb.exitOverride().showHelpAfterError(`(\`vipfarm help ${verb.name()}\` says more)`);
  }
  program.showHelpAfterError("(`vipfarm help` lists the verbs)");
  return program;
}
