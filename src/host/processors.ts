/** The processors that this kernel may use (Documentation/admin-guide/cputopology.rst). */

/** All processors' numbers are below this, hot-plugged ones included; Infinity where sysfs does not say. */
export function processorsPossible(): number {
  try {
    return endOfList(Deno.readTextFileSync("/sys/devices/system/cpu/possible"));
  } catch {
    return Infinity;
  }
}

/** One more than the last number of a list in the kernel's format, as `0-3,8-11`. */
export function endOfList(text: string): number {
  return Number(text.trim().split(/[-,]/).at(-1)) + 1;
}
