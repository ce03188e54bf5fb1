/**
 * One daemon for each runtime directory. The lock is flock(2) on the pid file: the kernel drops it when the process
 * ends, however it ends, so a stale file is never in the way.
 */

import { VipfarmError } from "../core/errors.ts";

/** Name of the pid file in the runtime directory. */
export const PID_FILE = "daemon.pid";

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
    const operation = "take the runtime directory";
    let file: Deno.FsFile;
    try {
      await Deno.mkdir(runtimeDirectory, { recursive: true, mode: 0o700 });
      file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o644 });
    } catch (cause) {
      throw new VipfarmError({
        operation,
        problem: cause instanceof Error ? cause.message : String(cause),
        value: runtimeDirectory,
        remedy: "Run as root, or choose a directory that you may write to with --runtime-dir.",
        cause,
      });
    }
    try {
      if (!await file.tryLock(true)) {
        const holder = (await Deno.readTextFile(path)).trim();
        throw new VipfarmError({
          operation,
          problem: "a daemon is running there already",
          value: holder === "" ? runtimeDirectory : `${runtimeDirectory}, process ${holder}`,
          remedy: "Stop that daemon, or give this one another --runtime-dir.",
        });
      }
      await file.truncate();
      await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    } catch (error) {
      file.close();
      throw error;
    }
    return new RuntimeLock(path, file);
  }

  /** Empties the pid file and gives the lock back. The file stays: removing it would let two hold "the" lock. */
  async release(): Promise<void> {
    if (!this.#held) return;
    this.#held = false;
    await this.#file.truncate();
    this.#file.close();
  }
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
    const pid = Number((await Deno.readTextFile(`${runtimeDirectory}/${PID_FILE}`)).trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } finally {
    file.close();
  }
}
