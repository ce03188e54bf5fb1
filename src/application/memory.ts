/** Small facts in files, written whole or not at all, and read with suspicion: a damaged file is told and left out. */
import { dirname } from "node:path";
import { messageOf } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { writeDurably } from "../host/durable_file.ts";

/** No file of ours is longer; something else may be. */
const FILE_BYTES_MAX = 65_536;

/** A JSON file. */
export class MemoryFile<T> {
  /**
   * @param what for sentences: `what n1 was asked for`
   * @param read the value in what was read, or undefined if it is none
   */
  constructor(
    readonly path: string,
    readonly what: string,
    readonly read: (value: unknown) => T | undefined,
    readonly record: (event: FarmEventInit) => void,
  ) {}

  /** What was saved; undefined if nothing was, or nothing that can be read. */
  load(): T | undefined {
    let text: string;
    try {
      if (Deno.statSync(this.path).size > FILE_BYTES_MAX) return this.#damaged("it is too long");
      text = Deno.readTextFileSync(this.path);
    } catch (error) {
      return error instanceof Deno.errors.NotFound ? undefined : this.#damaged(messageOf(error));
    }
    try {
      const value = this.read(JSON.parse(text));
      return value === undefined ? this.#damaged("it holds something else") : value;
    } catch (error) {
      return this.#damaged(messageOf(error));
    }
  }

  /** Puts the value in the place of what was there, so that a crash or a loss of power leaves either. Returns whether it could. */
  save(value: T): boolean {
    try {
      Deno.mkdirSync(dirname(this.path), { recursive: true, mode: 0o750 });
      writeDurably(this.path, JSON.stringify(value) + "\n");
      return true;
    } catch (error) {
      this.record({
        severity: "warning",
        kind: "memory.not_saved",
        message: `${this.path} could not be written (${
          messageOf(error)
        }): ${this.what} will not survive a restart.`,
      });
      return false;
    }
  }

  /** Forgets it. */
  remove(): void {
    try {
      Deno.removeSync(this.path);
    } catch {
      // There was none.
    }
  }

  #damaged(why: string): undefined {
    this.record({
      severity: "warning",
      kind: "memory.damaged",
      message:
        `${this.path} cannot be used (${why}): ${this.what} is not known, and taken as never asked for.`,
    });
    return undefined;
  }
}
