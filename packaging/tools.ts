/** Programs that packaging runs, and where the checkout is. */
import { fileURLToPath } from "node:url";

/** Path of the checkout, with a slash at its end. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/**
 * Runs a program to its end.
 * @returns what it wrote to stdout
 * @throws Error with all that it wrote, if it does not end with 0
 */
export async function run(
  argv: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const [program, ...args] = argv;
  const { success, code, stdout, stderr } = await new Deno.Command(program, {
    args,
    ...options,
    stdin: "null",
  }).output();
  const out = new TextDecoder().decode(stdout);
  if (!success) {
    throw new Error(`${argv.join(" ")} ended with ${code}:\n${out}${new TextDecoder().decode(stderr)}`);
  }
  return out;
}

/** What git says of the checkout. */
export async function gitOutput(...args: string[]): Promise<string> {
  return (await run(["git", "-C", ROOT, ...args])).trim();
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(digest).toHex();
}

/** The arguments of tar that make an archive depend on nothing but names and contents: reproducible-builds.org. */
export function tarOptions(commitTime: number): string[] {
  return [
    "--sort=name",
    `--mtime=@${commitTime}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u+rwX,go-w,go+rX",
    "--format=gnu",
  ];
}
