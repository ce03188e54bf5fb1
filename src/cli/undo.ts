/** `vipfarm run --undo`: gives the host back the settings that a daemon left changed. */
import { RuntimeLock } from "../host/lock.ts";
import { undoLeftovers } from "../host/undo.ts";
import { type Output } from "./output.ts";

/** @throws VipfarmError if a daemon is running there, or the directory may not be used */
export async function undo(runtimeDir: string, output: Output): Promise<void> {
  const lock = await RuntimeLock.acquire(runtimeDir);
  try {
    const { undone, left, dropped } = undoLeftovers(runtimeDir);
    for (const { path, former } of undone) output.answer(`undone: ${path} is ${former} again`);
    for (const { path, why } of left) output.answer(`left:   ${path}: ${why}`);
    if (dropped !== undefined) output.answer(`The notes of the last run were dropped: ${dropped}.`);
    else if (undone.length + left.length === 0) output.answer("There was nothing to undo.");
  } finally {
    await lock.release();
  }
}
