/** Reading a file that stands on the command line. */
import { EXIT, VipfarmError } from "../core/errors.ts";

/**
 * The text of the file.
 * @throws VipfarmError if it cannot be read. `operation` says what it was needed for, `remedy` where it may be found.
 */
export async function readText(operation: string, path: string, remedy?: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new VipfarmError({
      operation,
      problem: cause instanceof Deno.errors.NotFound
        ? "there is no such file"
        : cause instanceof Deno.errors.PermissionDenied
        ? "this user may not read it"
        : cause instanceof Error
        ? cause.message
        : String(cause),
      value: path,
      remedy: cause instanceof Deno.errors.NotFound ? remedy : undefined,
      exitCode: cause instanceof Deno.errors.PermissionDenied ? EXIT.privilege : EXIT.no,
      cause,
    });
  }
}
