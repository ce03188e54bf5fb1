/** From arguments to an exit code: parses, runs the verb, and turns whatever went wrong into words and a code. */
import { CommanderError } from "commander";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { terminal } from "./output.ts";
import { buildProgram } from "./program.ts";

/**
 * Runs `vipfarm ARGS`. Verbs say how they ended by setting `Deno.exitCode` or by throwing a `VipfarmError`.
 * @returns the exit code, one of `EXIT`
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const output = terminal();
  try {
    await buildProgram(output).parseAsync(args, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage; // said already
    output.error(error);
    if (error instanceof VipfarmError) return error.exitCode;
    return error instanceof Deno.errors.PermissionDenied ? EXIT.privilege : EXIT.no;
  }
}
