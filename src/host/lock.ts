/**
 * One daemon for each runtime directory. The lock is flock(2) on the pid file: the kernel drops it when the process
 * ends, however it ends, so a stale file is never in the way.
 */

import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";

/** Name of the pid file in the runtime directory. */
export const PID_FILE = "daemon.pid";
const OPERATION = "take the runtime directory";

/** The held lock. */
export class RuntimeLock {
  readonly path: string;
  readonly #file: Deno.FsFile;
  #held = true;

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  /**
   * Makes the directory (mode 0700) if needed, takes the lock and writes this process's id.
   * @throws VipfarmError naming the process that holds it.
   */
  static async acquire(runtimeDirectory: string): Promise<RuntimeLock> {
    const path = `${runtimeDirectory}/${PID_FILE}`;
    while (true) {
      const file = await lockedFile(runtimeDirectory, path);
      // Its former holder may have removed it since it was opened: a lock on it would lock nobody out.
      if (await isFileAt(path, file)) {
        try {
          await file.truncate();
          await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
        } catch (cause) {
          file.close();
          throw unusable(path, cause);
        }
        return new RuntimeLock(path, file);
      }
      file.close();
    }
  }

  /** Removes the pid file and gives the lock back. */
  async release(): Promise<void> {
    if (!this.#held) return;
    this.#held = false;
    if (await isFileAt(this.path, this.#file)) await Deno.remove(this.path);
    this.#file.close();
  }
}

/** @throws VipfarmError if something else is there. What is missing is made. */
export async function refuseNoDirectory(runtimeDirectory: string): Promise<void> {
  const isOther = await Deno.stat(runtimeDirectory).then(
    ({ isDirectory }) => !isDirectory,
    (error) => error instanceof Deno.errors.NotADirectory,
  );
  if (!isOther) return;
  throw new VipfarmError({
    operation: OPERATION,
    problem: "this is no directory",
    value: runtimeDirectory,
    remedy: "Choose a directory with --runtime-dir; one that is not there yet is made.",
    exitCode: EXIT.usage,
  });
}

function unusable(value: string, cause: unknown): VipfarmError {
  const isForbidden = cause instanceof Deno.errors.PermissionDenied;
  return new VipfarmError({
    operation: OPERATION,
    problem: messageOf(cause),
    value,
    remedy: isForbidden
      ? "Run as root, or choose a directory that you may write to with --runtime-dir."
      : "Mend that, or choose another directory with --runtime-dir.",
    exitCode: isForbidden ? EXIT.privilege : EXIT.no,
    cause,
  });
}

/** The pid file, opened and locked. @throws VipfarmError if that cannot be. */
async function lockedFile(runtimeDirectory: string, path: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(runtimeDirectory, { recursive: true, mode: 0o700 });
    file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o644 });
  } catch (cause) {
    await refuseNoDirectory(runtimeDirectory);
    throw unusable(runtimeDirectory, cause);
  }
  if (await file.tryLock(true)) return file;
  file.close();
  const holder = await readPid(path);
  throw new VipfarmError({
    operation: OPERATION,
    problem: "a daemon is running there already",
    value: holder === "" ? runtimeDirectory : `${runtimeDirectory}, process ${holder}`,
    remedy: "Stop that daemon, or give this one another --runtime-dir.",
  });
}

async function isFileAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const there = await Deno.stat(path).catch(unlessNotFound);
  const { dev, ino } = await file.stat();
  return there !== undefined && there.dev === dev && there.ino === ino;
}

/** What stands in the pid file; nothing if it was removed meanwhile. */
async function readPid(path: string): Promise<string> {
  return (await Deno.readTextFile(path).catch(unlessNotFound) ?? "").trim();
}

function unlessNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Id of the daemon that runs in this directory; `undefined` if none does. */
export async function runningDaemon(runtimeDirectory: string): Promise<number | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(`${runtimeDirectory}/${PID_FILE}`, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  try {
    // Shared: two that only look do not see each other as the daemon.
    if (await file.tryLock(false)) return undefined;
    const pid = Number(await readPid(`${runtimeDirectory}/${PID_FILE}`));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } finally {
    file.close();
  }
}
