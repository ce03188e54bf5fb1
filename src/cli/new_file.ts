/** Writing a file that must not take the place of another, unless that was asked for. */
import { EXIT, VipfarmError } from "../core/errors.ts";

/** How to write. */
export interface NewFileOptions {
  /** Exactly this mode, whatever the umask. */
  readonly mode: number;
  /** Take the place of a file of that name, in one step. */
  readonly replace?: boolean;
  /** What to do about a file of that name. */
  readonly remedy?: string;
  /** Who shall have it; default: who writes it. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Writes a new file and flushes it to disk.
 * @throws VipfarmError if there is such a file, its directory is missing or may not be written
 */
export async function writeNewFile(path: string, text: string, options: NewFileOptions): Promise<void> {
  const refused = (problem: string, remedy: string, exitCode: number, cause: unknown) =>
    new VipfarmError({ operation: "write file", problem, value: path, remedy, exitCode, cause });
  const { mode, replace, owner, remedy } = options;
  const target = replace ? `${path}.${crypto.randomUUID()}` : path;
  let isOurs = false;
  try {
    // `createNew` is O_EXCL: no race with another writer, and no symbolic link is followed.
    using file = await Deno.open(target, { write: true, createNew: true, mode });
    isOurs = true;
    await Deno.chmod(target, mode);
    if (owner !== undefined) await Deno.chown(target, owner.uid, owner.gid);
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
    if (target !== path) await Deno.rename(target, path);
  } catch (cause) {
    if (isOurs) await Deno.remove(target).catch(() => {}); // half a file is none
    if (cause instanceof Deno.errors.AlreadyExists) {
      throw refused(
        "there is such a file already",
        remedy ?? "Choose another name, or move the old file away.",
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
