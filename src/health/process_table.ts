/** The processes of this host, from /proc (proc(5)), read once for all checks that run at about the same time. */

/** Checks that run within this time share one reading, unless they know of a change since: a reading takes milliseconds. */
const READING_AGE_MS_MAX = 500;
/** The kernel cuts a process' name here (TASK_COMM_LEN of linux/sched.h, less its zero byte). */
const NAME_BYTES = 15;
/** Field of /proc/PID/stat, counted behind the name in parentheses, from 0: when the process started, in ticks. */
const START_FIELD = 19;

/** One living process. A number that is used again has another start. */
export interface ProcessEntry {
  readonly pid: number;
  /** Name of the program's file, cut by the kernel. */
  readonly name: string;
  readonly start: string;
}

export class ProcessTable {
  #entries: readonly ProcessEntry[] = [];
  #readMs = -Infinity;
  #commands = new Map<ProcessEntry, string>();
  #groups = new Map<ProcessEntry, string>();

  constructor(readonly nowMs: () => number) {}

  /** Processes with this program name, read at `changedMs` or later. Longer names than the kernel keeps are looked up in the command line. */
  named(name: string, changedMs: number): ProcessEntry[] {
    const bytes = new TextEncoder().encode(name);
    const kept = new TextDecoder().decode(bytes.subarray(0, NAME_BYTES));
    const found = this.#read(changedMs).filter((entry) => entry.name === kept);
    if (bytes.length <= NAME_BYTES) return found;
    return found.filter((entry) => this.command(entry).split(" ")[0].split("/").at(-1) === name);
  }

  all(changedMs: number): readonly ProcessEntry[] {
    return this.#read(changedMs);
  }

  /** Processes of a systemd unit: those in its control group (cgroups(7)) or below. */
  ofUnit(unit: string, changedMs: number): ProcessEntry[] {
    return this.#read(changedMs).filter((entry) =>
      this.#fact(this.#groups, entry, "cgroup").split("\n").some((line) =>
        line.split(":").slice(2).join(":").split("/").includes(unit)
      )
    );
  }

  /** The process with this number, looked up now. */
  byNumber(pid: number): ProcessEntry | undefined {
    return readProcess(pid);
  }

  /** The command line, arguments with a space between; empty for a thread of the kernel. */
  command(entry: ProcessEntry): string {
    return this.#fact(this.#commands, entry, "cmdline").replaceAll("\0", " ").trimEnd();
  }

  #read(changedMs: number): readonly ProcessEntry[] {
    const nowMs = this.nowMs();
    if (this.#readMs >= changedMs && nowMs - this.#readMs <= READING_AGE_MS_MAX) return this.#entries;
    const entries: ProcessEntry[] = [];
    for (const { name } of Deno.readDirSync("/proc")) {
      const entry = /^\d+$/.test(name) ? readProcess(Number(name)) : undefined;
      if (entry !== undefined) entries.push(entry);
    }
    this.#entries = entries;
    this.#readMs = nowMs;
    this.#commands = new Map();
    this.#groups = new Map();
    return entries;
  }

  #fact(known: Map<ProcessEntry, string>, entry: ProcessEntry, file: string): string {
    let fact = known.get(entry);
    if (fact === undefined) known.set(entry, fact = readFile(`/proc/${entry.pid}/${file}`) ?? "");
    return fact;
  }
}

/** A process looked up now; undefined for one that has ended, also while nobody has asked for its exit status. */
export function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readFile(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name may hold parentheses and spaces itself: the last one closes it.
  const close = stat.lastIndexOf(")");
  const name = stat.slice(stat.indexOf("(") + 1, close);
  const fields = stat.slice(close + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : { pid, name, start: fields[START_FIELD] };
}

function readFile(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
