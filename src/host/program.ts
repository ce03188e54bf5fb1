/** How this program is started again: from a checkout with `deno run`, packed as the file that its user started. */
import { fileURLToPath } from "node:url";
import { entryPoint, isPacked } from "../entry_points.ts";

/**
 * Set by the shell script that starts a packed program, to the script's own path. What is there later may be another
 * version, which brings its own program along: packaging/launcher.sh.
 */
const EXECUTABLE_VARIABLE = "VIPFARM_EXECUTABLE";

/** The argument vector that starts vipfarm, as it is on disk then, with these arguments. */
export function vipfarmArgv(...args: string[]): string[] {
  // The kernel marks the name of an executable that was replaced on disk: proc_pid_exe(5).
  const runtime = Deno.execPath().replace(/ \(deleted\)$/, "");
  if (Deno.build.standalone) return [runtime, ...args];
  // A checkout does not believe the variable: whoever was started by a packed program has it too.
  const executable = isPacked() ? Deno.env.get(EXECUTABLE_VARIABLE) : undefined;
  if (executable !== undefined) return [executable, ...args];
  return [runtime, "run", "-A", "--quiet", fileURLToPath(entryPoint("main")), ...args];
}
