/**
 * Processes of a lab. Each one carries the lab's name in its environment and asks the kernel to be killed when the
 * thread that started it ends (`setpriv --pdeathsig`, prctl(2) PR_SET_PDEATHSIG), so that nothing outlives a lab,
 * not even one that was SIGKILLed. setsid, setpriv and nsenter replace themselves by exec(2): the process id that
 * `Deno.Command` gives is that of the program itself, and signals reach it directly.
 */

import { VipfarmError } from "../core/errors.ts";

/** Environment variable by which the processes of a lab, and their children, are known. */
export const LAB_VARIABLE = "VIPFARM_LAB";

/** Longest time a helper command (ip, nft, sysctl) may take before it is killed and reported. */
const COMMAND_TIMEOUT_MS = 15_000;

/** What a command that ended gave. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a command. */
export interface CommandOptions {
  /** Text for standard input; none means /dev/null. */
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Puts a command into a network namespace (nsenter(1)); nsenter leaves /sys alone, `ip netns exec` does not. */
export function inNamespace(namespacePath: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=${namespacePath}`, "--", ...argv];
}

/** Runs a command to its end. It is killed at the time limit, and with this process. */
export async function runCommand(
  labId: string,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
  const child = command(labId, argv, {
    env: options.env,
    cwd: options.cwd,
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killQuietly(child);
  }, timeoutMs);
  try {
    if (options.input !== undefined) await writeInput(child, options.input);
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder();
    if (late) {
      throw new VipfarmError({
        operation: `run ${argv.join(" ")}`,
        problem: "did not end in time",
        value: `${timeoutMs} ms; ${text.decode(stderr).trim()}`,
      });
    }
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** Like {@link runCommand}, but a non-zero exit code is an error that quotes what the command said. */
export async function runChecked(
  labId: string,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await runCommand(labId, argv, options);
  if (result.code !== 0) {
    throw new VipfarmError({
      operation: `run ${argv.join(" ")}`,
      problem: (result.stderr || result.stdout).trim() || "failed",
      value: `exit code ${result.code}`,
    });
  }
  return result;
}

/** How to start a process that stays. */
export interface SpawnOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly stdin?: "piped" | "null";
  readonly stdout?: "piped" | "null" | "inherit";
  readonly stderr?: "piped" | "null" | "inherit";
  /** Appends both outputs to this file: the process then never waits for a reader. */
  readonly logFile?: string;
}

/** A running process of the lab. */
export class LabProcess {
  readonly pid: number;
  readonly child: Deno.ChildProcess;
  readonly argv: readonly string[];
  /** Exit status, once it ended. */
  status: Deno.CommandStatus | undefined;
  readonly #ended: Promise<Deno.CommandStatus>;

  constructor(child: Deno.ChildProcess, argv: readonly string[]) {
    this.child = child;
    this.pid = child.pid;
    this.argv = argv;
    this.#ended = child.status.then((status) => this.status = status);
  }

  get running(): boolean {
    return this.status === undefined;
  }

  /** Sends a signal; a process that has ended already is fine. */
  signal(name: Deno.Signal): void {
    if (this.running) {
      try {
        this.child.kill(name);
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
  }

  /** Waits for its end. @throws VipfarmError after `timeoutMs`. */
  async ended(timeoutMs: number): Promise<Deno.CommandStatus> {
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), timeoutMs);
    try {
      const status = await Promise.race([this.#ended, late.promise]);
      if (status !== undefined) return status;
    } finally {
      clearTimeout(timer);
    }
    throw new VipfarmError({
      operation: `wait for the end of ${this.argv.join(" ")}`,
      problem: "is still running",
      value: `process ${this.pid} after ${timeoutMs} ms`,
    });
  }

  /** SIGKILL, and wait until it is gone. Also releases its pipes. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#ended;
    await this.#releasePipes();
  }

  async #releasePipes(): Promise<void> {
    // A stream of the child that nobody read or closed keeps its descriptor open.
    for (const name of ["stdin", "stdout", "stderr"] as const) {
      try {
        const stream = this.child[name];
        if (stream instanceof WritableStream) await stream.close();
        else await stream.cancel();
      } catch {
        // Not piped, or locked or closed by its reader: then it is not ours to close.
      }
    }
  }
}

/** Starts a process that stays until it ends or the lab kills it. */
export function spawnProcess(labId: string, argv: readonly string[], options: SpawnOptions = {}): LabProcess {
  const { logFile, ...rest } = options;
  const full = logFile === undefined ? argv : ["sh", "-c", 'exec "$@" >>"$0" 2>&1', logFile, ...argv];
  const child = command(labId, full, {
    stdin: "null",
    stdout: logFile === undefined ? "null" : "inherit",
    stderr: "inherit",
    ...rest,
  });
  return new LabProcess(child, argv);
}

/** Whether this error says that the process has ended already. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof TypeError && error.message.includes("terminated"));
}

function command(
  labId: string,
  argv: readonly string[],
  options: Omit<Deno.CommandOptions, "args">,
): Deno.ChildProcess {
  // In a session of its own, so that Ctrl-C on the terminal reaches only the lab's owner, who ends things in order.
  return new Deno.Command("setsid", {
    ...options,
    args: ["setpriv", "--pdeathsig", "KILL", "--", ...argv],
    env: { PATH: searchPath(), ...options.env, [LAB_VARIABLE]: labId },
  }).spawn();
}

/** PATH with the system directories, which ordinary users often lack. */
export function searchPath(): string {
  return `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`;
}

async function writeInput(child: Deno.ChildProcess, input: string): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  } catch {
    // It ended before it read everything; its exit code and messages tell why.
  }
}

function killQuietly(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
