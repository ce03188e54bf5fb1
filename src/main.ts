/** The command line. Loads only what the verb at hand needs: `version` and `check` touch neither FFI nor network. */
import { runCommandLine } from "./cli/run_command_line.ts";

if (import.meta.main) Deno.exit(await runCommandLine(Deno.args));
