/** Writing a file that must not take the place of another. */
import { EXIT, VipfarmError } from "../core/errors.ts";

/**
 * Writes a new file with exactly this mode, whatever the umask, and flushes it to disk.
 * @throws VipfarmError if there is such a file, its directory is missing or may not be written
 */
export async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  const refused = (problem: string, remedy: string, exitCode: number, cause: unknown) =>
    new VipfarmError({ operation: "write file", problem, value: path, remedy, exitCode, cause });
  try {
    // `createNew` is O_EXCL: no race with another writer, and no symbolic link is followed.
    using file = await Deno.open(path, { write: true, createNew: true, mode });
    await Deno.chmod(path, mode);
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw refused(
        "there is such a file already",
        "Choose another name, or move the old file away.",
        EXIT.no,
        cause,
      );
    }
    if (cause instanceof Deno.errors.NotFound) {
      throw refused("its directory does not exist", "Make the directory first.", EXIT.no, cause);
    }
    if (cause instanceof Deno.errors.PermissionDenied) {
      throw refused(
        "this user may not write there",
        "Run it as root, or write elsewhere.",
        EXIT.privilege,
        cause,
      );
    }
    throw cause;
  }
}
