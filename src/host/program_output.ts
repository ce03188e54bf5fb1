/** What a program of the host prints, for whoever only wants to know. */

/** A program that takes longer says nothing. */
const TIMEOUT_MS = 3000;

/** Standard output of a program; `undefined` if it is not there, fails, or takes too long. */
export async function programOutput(program: string, args: string[]): Promise<string | undefined> {
  try {
    const PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const { success, stdout } = await new Deno.Command(program, {
      args,
      env: { PATH },
      stdin: "null",
      stderr: "null",
      signal,
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined;
  }
}
