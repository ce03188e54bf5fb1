/**
 * Cleaning up by name: every process of a lab, and every child of one, has the lab's name in its environment, or at
 * least lives in one of its network namespaces; and every lab has one directory. Processes are ended by id, and only
 * those that carry the name or live there.
 */

import { LAB_VARIABLE } from "./process.ts";

/** Identity of the process that made a lab; process ids alone are reused. */
export interface Creator {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks from boot to its start. */
  readonly startTicks: string;
  readonly bootId: string;
  /** /proc/self/ns/pid: ids mean nothing in another PID namespace. */
  readonly pidNamespace: string;
}

/** File in a lab's directory that holds its {@link Creator}. */
export const CREATOR_FILE = "lab.json";

const LAB_NAME = /^vf-\d+-[0-9a-z]{8}$/;

/** A name for a lab of this process, different for each lab. */
export function newLabId(): string {
  return `vf-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Who this process is. */
export async function thisCreator(): Promise<Creator> {
  return {
    pid: Deno.pid,
    startTicks: await startTicks(Deno.pid) ?? "",
    bootId: (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim(),
    pidNamespace: await Deno.readLink("/proc/self/ns/pid"),
  };
}

/** SIGKILLs every process, other than this one, that carries the lab's name in its environment. */
export function killProcessesOf(labId: string): Promise<number[]> {
  const mark = `${LAB_VARIABLE}=${labId}`;
  return killEvery(async (pid) => {
    const environment = await Deno.readTextFile(`/proc/${pid}/environ`);
    return environment.split("\0").includes(mark);
  });
}

/**
 * SIGKILLs every process that lives in the network namespace of `holder`, but for the holder itself: also one that
 * left its parent and its environment behind. The holder keeps the namespace, whose number would else be given to
 * another one; the namespace of this process is never touched.
 */
export async function killProcessesBeside(holder: number): Promise<number[]> {
  const namespace = networkNamespace(holder);
  if (namespace === undefined || namespace === networkNamespace(Deno.pid)) return [];
  return await killEvery((pid) => pid !== holder && networkNamespace(pid) === namespace);
}

/** SIGKILLs every process, other than this one, of which `isMeant` is true. */
async function killEvery(isMeant: (pid: number) => boolean | Promise<boolean>): Promise<number[]> {
  const killed: number[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    const pid = Number(entry.name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    try {
      if (!await isMeant(pid)) continue;
      Deno.kill(pid, "SIGKILL");
      killed.push(pid);
    } catch {
      // It has ended, or belongs to somebody else and cannot be read: then it is not of this lab.
    }
  }
  return killed;
}

/** Undefined: the process has ended, or belongs to somebody else. */
function networkNamespace(pid: number): string | undefined {
  try {
    return Deno.readLinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/**
 * Removes what labs left behind whose creator is dead: their processes, then their directories.
 * Directories of other users, PID namespaces and running labs are left alone.
 * @returns the names of the labs that were removed.
 */
export async function sweepStaleLabs(temporaryDirectory: string): Promise<string[]> {
  const self = await thisCreator();
  const removed: string[] = [];
  for await (const entry of Deno.readDir(temporaryDirectory)) {
    if (!entry.isDirectory || !LAB_NAME.test(entry.name)) continue;
    const directory = `${temporaryDirectory}/${entry.name}`;
    try {
      if ((await Deno.lstat(directory)).uid !== Deno.uid()) continue;
      const creator = JSON.parse(await Deno.readTextFile(`${directory}/${CREATOR_FILE}`)) as Creator;
      if (!await isDead(creator, self)) continue;
      if (creator.bootId === self.bootId) await killProcessesOf(entry.name);
      await Deno.remove(directory, { recursive: true });
      removed.push(entry.name);
    } catch {
      // Being made or removed by somebody else at this moment: not stale.
    }
  }
  return removed;
}

async function isDead(creator: Creator, self: Creator): Promise<boolean> {
  if (creator.bootId !== self.bootId) return true;
  if (creator.pidNamespace !== self.pidNamespace) return false;
  return await startTicks(creator.pid) !== creator.startTicks;
}

async function startTicks(pid: number): Promise<string | undefined> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    // The second field is the command in parentheses and may itself hold spaces and parentheses.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
