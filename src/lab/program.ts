/**
 * The small programs that run inside the lab's namespaces, and how to start them and the daemon: from a checkout
 * with `deno run`, from a compiled executable as that executable.
 */

import { fileURLToPath } from "node:url";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { runClientProgram } from "./client_program.ts";
import { runService } from "./service.ts";

export { vipfarmArgv } from "../host/program.ts";

/** Hidden verb of the command line by which a compiled executable reaches {@link runLabProgram}. */
export const LAB_PROGRAM_VERB = "lab-program";

/**
 * Runs a lab program in this process until it ends: `service JSON` or `client`.
 * @returns the exit code.
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
  if (Deno.build.standalone) return [Deno.execPath(), LAB_PROGRAM_VERB, name, ...args];
  return [Deno.execPath(), "run", "-A", "--quiet", fileURLToPath(import.meta.url), name, ...args];
}

if (import.meta.main) Deno.exit(await runLabProgram(Deno.args));
