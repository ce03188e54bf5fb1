/** `vipfarm run --undo`: gives the host back the settings that a daemon left changed. */
import { RuntimeLock } from "../host/lock.ts";
import { undoLeftovers } from "../host/undo.ts";
import { type Output } from "./output.ts";

/** @throws VipfarmError if a daemon is running there, or the directory may not be used */
export async function undo(runtimeDir: string, output: Output): Promise<void> {
  const nothing = `There was nothing to undo in ${runtimeDir}.\n` +
    "A node that ran with another --runtime-dir has left its notes there.";
  // To look, no directory is made. What else is wrong with it, the lock says.
  const isMissing = await Deno.stat(runtimeDir).then(() => false, (e) => e instanceof Deno.errors.NotFound);
  if (isMissing) return output.answer(nothing);
  const lock = await RuntimeLock.acquire(runtimeDir);
  try {
    const { undone, left, dropped } = undoLeftovers(runtimeDir);
    for (const { path, former } of undone) output.answer(`undone: ${path} is ${former} again`);
    for (const { path, why } of left) output.answer(`left:   ${path}: ${why}`);
    if (dropped !== undefined) output.answer(`The notes of the last run were dropped: ${dropped}.`);
    else if (undone.length + left.length === 0) output.answer(nothing);
  } finally {
    await lock.release();
  }
}
