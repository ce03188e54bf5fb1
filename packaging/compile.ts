/**
 * `deno task compile`: one executable file by `deno compile`, of the same packed program as everything else. It
 * downloads Deno's runtime stub (`denort`) once; where that cannot be had, `deno task single-file` makes a file of its own.
 */
import { DENO_RUN_OPTIONS, MAIN_FILE, packProgram } from "./program.ts";
import { ROOT } from "./tools.ts";

/** What only a running Deno understands: a compiled program has no cache to ask. */
const NOT_FOR_COMPILE = ["--no-code-cache", "--quiet"];

/** The arguments of Deno that compile the program in `directory` to `path`. */
export async function compileArguments(directory: string, path: string): Promise<string[]> {
  const options = DENO_RUN_OPTIONS.filter((option) => !NOT_FOR_COMPILE.includes(option));
  const included: string[] = [];
  for await (const { name } of Deno.readDir(directory)) {
    if (name !== MAIN_FILE) included.push("--include", `${directory}/${name}`);
  }
  return ["compile", ...options, "--output", path, ...included.sort(), `${directory}/${MAIN_FILE}`];
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ prefix: "vipfarm-compile-" });
  try {
    const program = await packProgram(directory);
    const path = `${ROOT}dist/vipfarm`;
    // What another way made may not be overwritten by Deno.
    await Deno.remove(path).catch(() => {});
    const args = await compileArguments(program.directory, path);
    const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
    if (code !== 0) console.error("deno compile did not end well; deno task single-file needs no download");
    Deno.exitCode = code;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
