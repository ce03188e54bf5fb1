/** The small programs that run inside the lab's namespaces, and how to start them: as a hidden verb of vipfarm. */

import { EXIT, VipfarmError } from "../core/errors.ts";
import { vipfarmArgv } from "../host/program.ts";
import { runClientProgram } from "./client_program.ts";
import { runService } from "./service.ts";

export { vipfarmArgv } from "../host/program.ts";

/** Hidden verb of the command line that is {@link runLabProgram}. */
const LAB_PROGRAM_VERB = "lab-program";

/**
 * Runs a lab program in this process until it ends: `service JSON` or `client`.
 * @returns the exit code
 */
export async function runLabProgram(args: readonly string[]): Promise<number> {
  const [name, setting] = args;
  if (name === "service") await runService(JSON.parse(setting));
  else if (name === "client") await runClientProgram();
  else {
    throw new VipfarmError({
      operation: "run a lab program",
      problem: "there is no such program",
      value: String(name),
      remedy: "Use service or client.",
      exitCode: EXIT.usage,
    });
  }
  return EXIT.done;
}

/** The argument vector that starts a lab program. */
export function labProgramArgv(name: "service" | "client", ...args: string[]): string[] {
  return vipfarmArgv(LAB_PROGRAM_VERB, name, ...args);
}
