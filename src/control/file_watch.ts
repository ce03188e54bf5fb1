/** Notices that files were replaced or rewritten, by looking at them now and then: it works on every file system. */

/** How often files are looked at. */
const LOOK_INTERVAL_MS = 5_000;

/** Calls `changed` after one of `paths` has become another. Close it at the end. */
export class FileWatch {
  readonly #timer: ReturnType<typeof setInterval>;
  #seen: string;

  constructor(readonly paths: readonly string[], changed: () => void, intervalMs = LOOK_INTERVAL_MS) {
    this.#seen = this.#look();
    this.#timer = setInterval(() => {
      const now = this.#look();
      if (now === this.#seen) return;
      this.#seen = now;
      changed();
    }, intervalMs);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): string {
    return this.paths.map((path) => {
      try {
        const { mtime, size, ino } = Deno.statSync(path);
        return `${mtime?.getTime()} ${size} ${ino}`;
      } catch {
        return "absent";
      }
    }).join();
  }
}
