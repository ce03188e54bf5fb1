/** Writing a file that must not take the place of another, unless that was asked for. */
import { dirname } from "node:path";
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";

/** How to write. */
export interface NewFileOptions {
  /** Exactly this mode, whatever the umask. */
  readonly mode: number;
  /** Take the place of a file of that name, in one step. */
  readonly replace?: boolean;
  /** Make its directory first, where that is missing. */
  readonly makeDirectory?: boolean;
  /** What to do about a file of that name. */
  readonly remedy?: string;
  /** Who shall have it; default: who writes it. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Writes a new file and flushes it to disk.
 * @throws VipfarmError if there is such a file, its directory is missing or may not be written, or the disk is full
 */
export async function writeNewFile(path: string, text: string, options: NewFileOptions): Promise<void> {
  const { mode, replace, makeDirectory, owner } = options;
  const target = replace ? `${path}.${crypto.randomUUID()}` : path;
  let isOurs = false;
  try {
    if (makeDirectory) await Deno.mkdir(dirname(path), { recursive: true });
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
    const isDirectory = await Deno.lstat(path).then((found) => found.isDirectory, () => false);
    throw new VipfarmError({
      operation: "write file",
      value: path,
      exitCode: cause instanceof Deno.errors.PermissionDenied ? EXIT.privilege : EXIT.no,
      cause,
      ...isDirectory
        ? { problem: "this is a directory", remedy: "Name a file in it, or another place." }
        : whyNot(cause, options.remedy),
    });
  }
}

function whyNot(cause: unknown, ofSuchAFile = "Choose another name, or move the old file away.") {
  if (cause instanceof Deno.errors.AlreadyExists) {
    return { problem: "there is such a file already", remedy: ofSuchAFile };
  }
  if (cause instanceof Deno.errors.NotFound) {
    return { problem: "its directory does not exist", remedy: "Make the directory first." };
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return { problem: "this user may not write there", remedy: "Run it as root, or write elsewhere." };
  }
  return { problem: messageOf(cause), remedy: "Mend that, or write elsewhere." };
}
