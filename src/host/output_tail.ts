/** The last lines of what a program prints, in fixed room: a program may print gigabytes. Pure. */

/** Lines kept: what an administrator needs to see of a failure, and an event can carry. */
export const LINES_KEPT_MAX = 20;
/** Longest line kept; more of it is cut, and marked. */
export const LINE_LENGTH_MAX = 240;

/** Everything that a terminal would not show as a character. */
// deno-lint-ignore no-control-regex
const CONTROL = /\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Takes bytes in any portions, of one stream. */
export class OutputTail {
  readonly #decoder = new TextDecoder();
  readonly #lines: string[];
  #open = "";
  #cut = false;

  /** Streams that share `lines` stand in one list, in the order in which their lines ended. */
  constructor(lines: string[] = []) {
    this.#lines = lines;
  }

  push(bytes: Uint8Array): void {
    const parts = this.#decoder.decode(bytes, { stream: true }).split("\n");
    for (let i = 0; i < parts.length; i++) {
      this.#append(parts[i]);
      if (i < parts.length - 1) this.#endLine();
    }
  }

  /** The stream has ended: what stands in the last line counts too. */
  end(): void {
    this.#append(this.#decoder.decode());
    if (this.#open !== "") this.#endLine();
  }

  #append(text: string): void {
    const room = LINE_LENGTH_MAX - this.#open.length;
    if (text.length > room) this.#cut = true;
    this.#open += text.slice(0, Math.max(0, room));
  }

  #endLine(): void {
    const line = this.#open.replace(CONTROL, "").trimEnd();
    if (line !== "") this.#lines.push(this.#cut ? `${line}…` : line);
    if (this.#lines.length > LINES_KEPT_MAX) this.#lines.shift();
    this.#open = "";
    this.#cut = false;
  }
}
