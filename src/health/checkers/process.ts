/**
 * As many processes run as should. Those found are watched: when one ends, the kernel tells, and the check runs again
 * at once. What comes in their place is found by the next reading of the process table.
 */
import { ProcessHandle } from "../../../ffi/pidfd.ts";
import { type CheckTarget } from "../../config/checks_config.ts";
import { bad, type Checker, type CheckerParts, good } from "../checker.ts";
import { type ProcessEntry, type ProcessTable } from "../process_table.ts";

type Target = Extract<CheckTarget, { kind: "process" }>;

/** Processes watched for one check; the end of others is seen by the next run. */
const WATCHED_MAX = 64;

export function processChecker(target: Target, parts: CheckerParts): Checker {
  const watched = new Map<string, () => void>();
  const pattern = target.arguments === undefined ? undefined : new RegExp(target.arguments, "u");
  /** When something was last known to change. */
  let changedMs = -Infinity;

  const watch = (entry: ProcessEntry) => {
    const handle = ProcessHandle.open(entry.pid);
    if (handle === undefined) return;
    const key = keyOf(entry);
    const takeBack = parts.watcher.once(handle.fd, () => {
      watched.delete(key);
      handle.close();
      changedMs = parts.nowMs();
      parts.poke();
    });
    watched.set(key, () => {
      takeBack();
      handle.close();
    });
  };

  return {
    run() {
      const found = find(target, pattern, parts.processes, changedMs);
      const keys = new Set(found.map(keyOf));
      for (const [key, end] of watched) {
        if (keys.has(key)) continue;
        end();
        watched.delete(key);
      }
      for (const entry of found) {
        if (watched.size < WATCHED_MAX && !watched.has(keyOf(entry))) watch(entry);
      }
      const count = `${found.length} ${found.length === 1 ? "process" : "processes"} of ${describe(target)}`;
      if (found.length < target.atLeast) {
        return bad(
          found.length === 0
            ? `no process of ${describe(target)}`
            : `${count}, expected at least ${target.atLeast}`,
        );
      }
      if (target.atMost !== undefined && found.length > target.atMost) {
        return bad(`${count}, expected at most ${target.atMost}`);
      }
      return good(count);
    },
    close() {
      for (const end of watched.values()) end();
      watched.clear();
    },
  };
}

function find(
  target: Target,
  pattern: RegExp | undefined,
  processes: ProcessTable,
  changedMs: number,
): readonly ProcessEntry[] {
  if (target.pidFile !== undefined) {
    const pid = readPid(target.pidFile);
    const entry = pid === undefined ? undefined : processes.byNumber(pid);
    return entry === undefined ? [] : [entry];
  }
  if (target.systemdUnit !== undefined) return processes.ofUnit(target.systemdUnit, changedMs);
  const named = target.name === undefined
    ? processes.all(changedMs)
    : processes.named(target.name, changedMs);
  // The daemon's own command line may hold the pattern.
  return pattern === undefined
    ? named
    : named.filter((entry) => entry.pid !== Deno.pid && pattern.test(processes.command(entry)));
}

function readPid(path: string): number | undefined {
  try {
    const text = /^\s*(\d{1,10})\s/.exec(`${Deno.readTextFileSync(path)}\n`);
    return text === null ? undefined : Number(text[1]);
  } catch {
    return undefined;
  }
}

function keyOf({ pid, start }: ProcessEntry): string {
  return `${pid} ${start}`;
}

function describe({ name, arguments: pattern, pidFile, systemdUnit }: Target): string {
  return name ?? pidFile ?? systemdUnit ?? `command line ${pattern}`;
}
