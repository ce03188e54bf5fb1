/** The administrator's program says how things are, by its exit status: 0 is good. */
import { type CheckTarget } from "../../config/checks_config.ts";
import { runProgram } from "../../host/run_program.ts";
import { type User, userByName } from "../../host/user.ts";
import { type Checker, type CheckerParts, type Run } from "../checker.ts";
import { type Finding } from "../damping.ts";

/** Between SIGTERM and SIGKILL. */
const KILL_AFTER_MS = 500;
/** Exit statuses from here on mean success with a weight, as in keepalived (MISC_CHECK with misc_dynamic). */
const WEIGHT_STATUS = 2;
/** Room for what it printed, in characters. */
const OUTPUT_MAX = 4_096;

export function execChecker(
  { command, user, weightByExit }: Extract<CheckTarget, { kind: "exec" }>,
  { node, check }: CheckerParts,
): Checker {
  const calledOff = new AbortController();
  let known: User | undefined;
  return {
    async run({ timeoutMs }: Run): Promise<Finding> {
      if (user !== undefined) known ??= await userByName(user);
      const { outcome, code, how, output } = await runProgram({
        argv: command as [string, ...string[]],
        env: { VIPFARM_NODE: node, VIPFARM_CHECK: check },
        timeoutMs,
        killAfterMs: KILL_AFTER_MS,
        user: known,
        leftBehind: "kill",
      }, calledOff.signal);
      const printed = output.join("\n").slice(-OUTPUT_MAX);
      const weight = weightByExit && outcome === "exited" && code !== undefined && code >= WEIGHT_STATUS
        ? code - WEIGHT_STATUS
        : undefined;
      const last = output.at(-1);
      const isGood = code === 0 || weight !== undefined;
      return {
        good: isGood,
        reason: weight !== undefined
          ? `${command[0]} gave weight ${weight}`
          : `${command[0]} ${how}${isGood || last === undefined ? "" : `: ${last}`}`,
        ...(weight !== undefined && { weight }),
        ...(printed !== "" && { output: printed }),
      };
    },
    close: () => calledOff.abort(),
  };
}
