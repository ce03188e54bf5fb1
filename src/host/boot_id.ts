/** Which boot of this host it is: what is of another one, times and settings, is over. */
export function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}
