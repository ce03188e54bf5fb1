/** Runs the model checker spin over `handover.pml`: translate, compile, search everything. */

const MODEL = new URL("./handover.pml", import.meta.url).pathname;

/** A search that needs more is ended: nothing of the long form does. */
const MEMORY_MB_MAX = 4_000;
/** Longer than any path of the long form. A search that comes to its end has not seen everything. */
const DEPTH_MAX = 2_000_000;

/** One search. */
export interface Search {
  readonly name: string;
  /** `-D` definitions for the model, without the `-D`: see its head. */
  readonly defines: readonly string[];
  /** The number of moments is bounded: the end of time is no dead end. */
  readonly bounded?: boolean;
  /** Whether the properties hold in every state; if not, a counterexample must be found. */
  readonly holds: boolean;
  /** Only in the long form. */
  readonly long?: boolean;
}

/** What a search found. */
export interface Finding {
  readonly states: number;
  readonly depth: number;
  readonly seconds: number;
  readonly memoryMb: number;
  /** What was violated; undefined if nothing. */
  readonly violation: string | undefined;
  /** Why the search did not see everything; undefined if it did. */
  readonly incomplete: string | undefined;
  /** The way to the violation, in words. */
  readonly story: readonly string[];
}

/** Why nothing can be searched here, or undefined. */
export function whyNot(): string | undefined {
  for (const program of ["spin", "gcc"]) {
    try {
      new Deno.Command(program, { args: ["--version"], stdin: "null", stdout: "null", stderr: "null" })
        .outputSync();
    } catch {
      return `${program} is not installed (Debian package ${program})`;
    }
  }
  return undefined;
}

/** Runs a program in a directory; gives what it printed. */
async function run(directory: string, program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd: directory,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${said}`);
  return said;
}

function numberIn(text: string, pattern: RegExp): number {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`the search ended without ${pattern}:\n${text}`);
  return Number(match[1]);
}

/** Carries out one search. */
export async function search({ defines, bounded, long }: Search): Promise<Finding> {
  const directory = await Deno.makeTempDir({ prefix: "model-" });
  const definitions = defines.map((define) => `-D${define}`);
  try {
    await run(directory, "spin", "-a", ...definitions, MODEL);
    // -O0: compiling would take longer than most searches save. -DSAFETY: no cycles are looked for, progress is bounded in time. -DNOREDUCE: every step touches all.
    const options = [long ? "-O2" : "-O0", "-w", "-DSAFETY", "-DNOREDUCE", `-DMEMLIM=${MEMORY_MB_MAX}`];
    await run(directory, "gcc", ...options, "-o", "pan", "pan.c");
    const said = await run(directory, "./pan", `-m${DEPTH_MAX}`, ...(bounded ? ["-E"] : []));
    const violation = /pan:\d*:? (assertion violated.*|invalid end state.*)/.exec(said)?.[1];
    return {
      states: numberIn(said, /([\d.e+]+) states, stored/),
      depth: numberIn(said, /depth reached (\d+)/),
      seconds: numberIn(said, /elapsed time ([\d.]+)/),
      memoryMb: Math.round(numberIn(said, /([\d.]+)\s+total actual memory/)),
      violation,
      incomplete: /max search depth too small|out of memory|reached -DMEMLIM/.exec(said)?.[0],
      story: violation === undefined ? [] : await tell(directory, definitions),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function tell(directory: string, definitions: string[]): Promise<string[]> {
  await Deno.rename(`${directory}/handover.pml.trail`, `${directory}/trail`);
  const replay = await run(directory, "spin", "-k", "trail", "-T", ...definitions, MODEL).catch(String);
  return replay.split("\n").filter((line) => /^(\d|time|what)\b.*[a-z]$/.test(line));
}
