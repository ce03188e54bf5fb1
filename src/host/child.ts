/**
 * Starts a program in a session of its own, with what it prints as streams. What a program that is to be left alone
 * writes goes through a tee(1) that outlives this process: a pipe that nobody reads any more would kill the writer.
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { type Readable, type Writable } from "node:stream";
import { closeOnExec } from "../../ffi/close_on_exec.ts";
import { type User } from "./user.ts";

/** What to start. */
export interface ChildInit {
  readonly argv: readonly [string, ...string[]];
  /** Beside this process's own environment, of which what is for vipfarm alone is left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: User;
  readonly hasInput: boolean;
  /** What it leaves running may write for as long as it likes. */
  readonly outlivesUs: boolean;
}

/** A program that runs; its process group has its number. */
export interface Child {
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly outputs: readonly Readable[];
  readonly input: Writable | null;
}

/**
 * Set by systemd or by the packed program's launcher for this process: whoever believed them would notify our service
 * manager, or find no cache.
 */
const OURS = /^(NOTIFY_SOCKET|WATCHDOG_(PID|USEC)|VIPFARM_(UNIT|EXECUTABLE)|DENO_(DIR|NO_UPDATE_CHECK))$/;
/** -p: the end of its reader is no reason to end. /dev/null stays when that is gone. */
const RELAY = ["tee", "-p", "/dev/null"] as const;

/** The environment of the administrator's programs. Pure. */
export function environmentFor(
  own: Readonly<Record<string, string>>,
  user: User | undefined,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(own).filter(([name]) => !OURS.test(name))),
    ...(user && { HOME: user.home, USER: user.name, LOGNAME: user.name }),
    ...more,
  };
}

/** @throws Error with a `code` such as ENOENT if it cannot be started. */
export async function startChild({ argv, env, user, hasInput, outlivesUs }: ChildInit): Promise<Child> {
  const stdin = hasInput ? "pipe" : "ignore";
  const own = Deno.env.toObject();
  const options: SpawnOptions = {
    env: environmentFor(own, user, env),
    ...(user && { uid: user.uid, gid: user.gid }),
  };
  if (!outlivesUs) {
    const child = start(argv, { ...options, stdio: [stdin, "pipe", "pipe"] });
    const { pid, ended } = await started(child);
    return { pid, ended, outputs: [child.stdout!, child.stderr!], input: child.stdin };
  }
  const relay = start(RELAY, { env: environmentFor(own, undefined), stdio: ["pipe", "pipe", "ignore"] });
  try {
    await started(relay);
    const child = start(argv, { ...options, stdio: [stdin, relay.stdin!, relay.stdin!] });
    const { pid, ended } = await started(child);
    return { pid, ended, outputs: [relay.stdout!], input: child.stdin };
  } finally {
    // The program has it now: the relay ends when nobody holds it any more.
    relay.stdin?.destroy();
  }
}

function start([file, ...args]: readonly [string, ...string[]], options: SpawnOptions): ChildProcess {
  closeOnExec();
  return spawn(file, args, { ...options, cwd: "/", detached: true });
}

async function started(child: ChildProcess): Promise<Pick<Child, "pid" | "ended">> {
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal }))
  );
  await once(child, "spawn");
  return { pid: child.pid!, ended };
}
