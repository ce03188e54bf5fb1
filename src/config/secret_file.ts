/** Reading files that hold secrets: nobody but their owner and group may read them, only their owner may write. */

import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";

/**
 * The text of the file.
 * @throws VipfarmError if it cannot be read, or is open to others. `key` is what the configuration calls it.
 */
export async function readSecretFile(operation: string, file: string, key: string): Promise<string> {
  let text: string;
  let mode: number;
  try {
    const found = await Deno.stat(file);
    if (!found.isFile) throw new Error("this is no regular file"); // a named pipe would be waited for
    mode = found.mode ?? 0;
    text = await Deno.readTextFile(file);
  } catch (cause) {
    throw new VipfarmError({
      operation,
      problem: messageOf(cause),
      value: file,
      remedy: `Check ${key} and the permissions of the file.`,
      exitCode: EXIT.usage,
      cause,
    });
  }
  if ((mode & 0o027) === 0) return text;
  throw new VipfarmError({
    operation,
    problem: "others may read it, or more than its owner may write it",
    value: `${file}, mode ${(mode & 0o777).toString(8)}`,
    remedy: `chmod 600 ${file}`,
    exitCode: EXIT.usage,
  });
}
