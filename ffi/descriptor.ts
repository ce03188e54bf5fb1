/** An owned file descriptor that closes once: the base of every handle in `ffi/`. */

import { VipfarmError } from "../src/core/errors.ts";
import { libc } from "./libc.ts";

/**
 * Holds one open descriptor. The second `close()` does nothing; asking a closed one for its number throws, so that
 * a number which the kernel has given to somebody else meanwhile is never used.
 */
export class Descriptor {
  #fd: number;
  readonly #what: string;
  readonly #owned: boolean;

  /** Takes over `fd`. With `owned` false another handle (perhaps of another thread) closes it. */
  constructor(fd: number, what: string, owned = true) {
    this.#fd = fd;
    this.#what = what;
    this.#owned = owned;
  }

  /** The descriptor's number. Throws {@link VipfarmError} after `close()`. */
  get fd(): number {
    if (this.#fd < 0) this.#refuse();
    return this.#fd;
  }

  /** Whether `close()` was called. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Closes the descriptor; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    // Whatever close(2) returns, the descriptor is gone on Linux: repeating it after EINTR could close another's.
    if (this.#owned) libc.close(fd);
  }

  #refuse(): never {
    throw new VipfarmError({
      operation: `use ${this.#what}`,
      problem: "it is closed",
      remedy: "open a new one; a handle ends with its close()",
    });
  }
}
