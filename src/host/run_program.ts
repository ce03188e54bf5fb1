/**
 * Runs an administrator's program (script, check, notification) in a process group of its own, for a bounded time,
 * with bounded output.
 *
 *   started -> ended by itself
 *           -> out of time, or called off -> SIGTERM to the group -> after a moment SIGKILL to the group
 *
 * A daemon that a script leaves running outlives it, and this process: only a program that does not end in time takes
 * its group along.
 */
import { type Readable } from "node:stream";
import { messageOf } from "../core/errors.ts";
import { type Child, startChild } from "./child.ts";
import { LINES_KEPT_MAX, OutputTail } from "./output_tail.ts";
import { type User } from "./user.ts";

/** What to run, and how long. */
export interface Program {
  /** Program and arguments; no shell is between. */
  readonly argv: readonly [string, ...string[]];
  /** Beside the daemon's own environment (see `child.ts`). */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly killAfterMs?: number;
  /** Who runs it; default: the daemon's user. */
  readonly user?: User;
  /** Processes of its group that are left when it has ended: leave them, or kill them. */
  readonly leftBehind: "leave" | "kill";
  /** Written to its standard input. */
  readonly input?: string;
}

/** How it ended. */
export interface ProgramResult {
  readonly outcome: "exited" | "killed" | "timed_out" | "called_off" | "not_started";
  /** Exit status; absent if it did not exit by itself. */
  readonly code?: number;
  /** In a few words, to stand behind the program's name: `exited with status 1`. */
  readonly how: string;
  /** The last lines that it printed, standard output and error together. */
  readonly output: readonly string[];
  readonly durationMs: number;
}

const KILL_AFTER_MS_DEFAULT = 2_000;
/** How often a group that was asked to end is looked at. */
const GROUP_LOOK_MS = 20;
/** After the end: what the program wrote last is in the pipe already, and comes at once. */
const LAST_WORDS_MS_MAX = 100;
/** After a failure, which they tell the cause of; on a busy machine too. */
const LAST_WORDS_OF_FAILURE_MS_MAX = 500;

/** Runs the program to its end. Never throws: what cannot be started is a result too. */
export async function runProgram(program: Program, calledOff?: AbortSignal): Promise<ProgramResult> {
  const startedMs = performance.now();
  const output: string[] = [];
  const result = (outcome: ProgramResult["outcome"], how: string, code?: number): ProgramResult => ({
    outcome,
    how,
    ...(code !== undefined && { code }),
    output: output.slice(-LINES_KEPT_MAX),
    durationMs: performance.now() - startedMs,
  });
  if (calledOff?.aborted) return result("called_off", "was called off");
  let child: Child;
  try {
    child = await startChild({
      ...program,
      hasInput: program.input !== undefined,
      outlivesUs: program.leftBehind === "leave",
    });
  } catch (error) {
    return result("not_started", `could not be started: ${reasonOf(error, program.user)}`);
  }
  const reading = Promise.all(child.outputs.map((stream) => read(stream, output)));
  const writing = write(child, program.input);
  const ending = Promise.withResolvers<"timed_out" | "called_off">();
  const timer = setTimeout(() => ending.resolve("timed_out"), program.timeoutMs);
  const callOff = () => ending.resolve("called_off");
  calledOff?.addEventListener("abort", callOff);
  if (calledOff?.aborted) callOff(); // while it was started
  const early = await Promise.race([ending.promise, child.ended.then(() => undefined)]);
  clearTimeout(timer);
  calledOff?.removeEventListener("abort", callOff);
  if (early !== undefined) await endGroup(child, program.killAfterMs ?? KILL_AFTER_MS_DEFAULT);
  else if (program.leftBehind === "kill") signalGroup(child.pid, "SIGKILL");
  const { code, signal } = await child.ended;
  const patienceMs = code === 0 ? LAST_WORDS_MS_MAX : LAST_WORDS_OF_FAILURE_MS_MAX;
  // A process that was left behind may hold the pipes open for ever: they are read on, and kept from nothing.
  await Promise.race([Promise.all([reading, writing]), elapsed(patienceMs)]);
  if (early === "timed_out") {
    return result(early, `did not end within ${seconds(program.timeoutMs)} and was killed`);
  }
  if (early === "called_off") return result(early, "was called off");
  if (signal !== null) return result("killed", `was killed by ${signal}`);
  return result("exited", code === 0 ? "succeeded" : `exited with status ${code}`, code ?? undefined);
}

async function read(stream: Readable, lines: string[]): Promise<void> {
  const tail = new OutputTail(lines);
  try {
    for await (const bytes of stream) tail.push(bytes);
  } catch {
    // The pipe broke: what came before stands.
  }
  tail.end();
}

function write({ input: stdin }: Child, text: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stdin === null || text === undefined) return resolve();
    // It may end without reading everything.
    stdin.once("error", () => resolve());
    stdin.end(text, resolve);
  });
}

async function endGroup(child: Child, killAfterMs: number): Promise<void> {
  const killMs = performance.now() + killAfterMs;
  signalGroup(child.pid, "SIGTERM");
  while (performance.now() < killMs && signalGroup(child.pid, "SIGCONT")) await elapsed(GROUP_LOOK_MS);
  signalGroup(child.pid, "SIGKILL");
}

/** Whether there is a process in the group, still: a number is not given to another while there is. */
function signalGroup(group: number, signal: Deno.Signal): boolean {
  try {
    Deno.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

function reasonOf(error: unknown, user: User | undefined): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file, or not the interpreter of its first line";
  if (code === "EACCES") return "permission denied; is it executable (chmod +x)?";
  if (code === "EPERM" && user !== undefined) {
    return `it may not be run as ${user.name}: give the service CAP_SETUID and CAP_SETGID, and CAP_KILL to end it`;
  }
  return messageOf(error);
}
