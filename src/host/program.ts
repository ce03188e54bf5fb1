/** How this program is started again: from a checkout with `deno run`, from a compiled executable as that executable. */
import { fileURLToPath } from "node:url";

/** The argument vector that starts vipfarm, as it is on disk then, with these arguments. */
export function vipfarmArgv(...args: string[]): string[] {
  // The kernel marks the name of an executable that was replaced on disk: proc_pid_exe(5).
  const executable = Deno.execPath().replace(/ \(deleted\)$/, "");
  if (Deno.build.standalone) return [executable, ...args];
  return [
    executable,
    "run",
    "-A",
    "--quiet",
    fileURLToPath(new URL("../main.ts", import.meta.url)),
    ...args,
  ];
}
