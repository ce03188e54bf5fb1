/** A process that ends with the one that started it: PR_SET_PDEATHSIG(2const). */

import { VipfarmError } from "../src/core/errors.ts";
import { PR_SET_PDEATHSIG } from "./layout/constants.ts";
import { check, libc } from "./libc.ts";

/** signal(7): cannot be caught, so nothing of this process acts after its parent. */
const SIGKILL = 9;

/**
 * Has the kernel kill this process as soon as the thread that started it ends. `parent` is the process that is meant to
 * be it. Throws {@link VipfarmError} if that has ended already: then nobody would tell.
 */
export function dieWithParent(parent: number): void {
  check(libc.prctl(PR_SET_PDEATHSIG, BigInt(SIGKILL), 0n, 0n, 0n), "ask for a signal at the parent's end");
  if (Deno.ppid === parent) return;
  throw new VipfarmError({
    operation: "watch the parent process",
    problem: "it has ended",
    value: `process ${parent}`,
  });
}
