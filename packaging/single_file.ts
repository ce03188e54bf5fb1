/**
 * `deno task single-file`: one executable file without `deno compile`, whose runtime stub is a download of its own: a
 * shell script (single_file.sh) with Deno's executable and the packed program behind it. The machine that it runs on
 * needs what every Debian has: sh, coreutils, tar, gzip.
 */
import { DENO_RUN_OPTIONS, MAIN_FILE, type PackedProgram, packProgram } from "./program.ts";
import { ROOT, run, sha256OfFile, tarOptions } from "./tools.ts";

/** Makes the file at `path`; `directory` is for what comes in between. */
export async function makeSingleFile(program: PackedProgram, directory: string, path: string): Promise<void> {
  const contents = `${directory}/contents`;
  await Deno.mkdir(contents);
  await run(["cp", "-r", `${program.directory}/.`, contents]);
  await run(["cp", Deno.execPath(), `${contents}/deno`]);
  await run(["tar", "-cf", "../payload.tar", ...tarOptions(program.commitTime), "."], { cwd: contents });
  await run(["gzip", "--no-name", "-6", `${directory}/payload.tar`]);
  const payload = `${directory}/payload.tar.gz`;
  const script = await launcher({ VERSION: program.version, HASH: await sha256OfFile(payload) });
  await Deno.writeFile(path, script, { mode: 0o755 });
  await Deno.writeFile(path, await Deno.readFile(payload), { append: true });
  await Deno.chmod(path, 0o755);
}

/** The script, with the place where it ends written into it: a number of fixed width, so that this changes nothing. */
async function launcher(values: { VERSION: string; HASH: string }): Promise<Uint8Array> {
  const template = await Deno.readTextFile(new URL("./single_file.sh", import.meta.url));
  const fill = (offset: string) => {
    const all = { ...values, OFFSET: offset, DENO_RUN_OPTIONS: DENO_RUN_OPTIONS.join(" "), MAIN_FILE };
    const text = template.replaceAll(/@([A-Z_]+)@/g, (_, name: keyof typeof all) => all[name]);
    return new TextEncoder().encode(text);
  };
  const length = fill("00000").length;
  // tail counts from 1; a leading zero would do no harm, but a number that does not fit would.
  if (length > 99_998) throw new Error(`single_file.sh has become too long: ${length} bytes`);
  return fill(String(length + 1).padStart(5, "0"));
}

if (import.meta.main) {
  const directory = await Deno.makeTempDir({ prefix: "vipfarm-single-file-" });
  try {
    await Deno.mkdir(`${ROOT}dist`, { recursive: true });
    const path = `${ROOT}dist/vipfarm`;
    await makeSingleFile(await packProgram(directory), directory, path);
    console.log(`dist/vipfarm: ${((await Deno.stat(path)).size / 1e6).toFixed(1)} MB`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
