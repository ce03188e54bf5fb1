/** Files that are there after a crash and a loss of power, whole. */

/** The file is whole and on disk, under its name, when this returns: write aside, fsync, rename, fsync the directory. */
export function writeDurably(path: string, text: string): void {
  const aside = `${path}.new`;
  const file = Deno.openSync(aside, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
    file.syncSync();
  } finally {
    file.close();
  }
  Deno.renameSync(aside, path);
  const directory = Deno.openSync(path.slice(0, path.lastIndexOf("/") + 1) || ".");
  try {
    directory.syncSync();
  } finally {
    directory.close();
  }
}
