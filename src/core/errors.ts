/**
 * The one error type of the project and the exit codes of the command line.
 *
 * An error says what was tried, what went wrong, with which value, and what to do about it. Text for people is
 * made from these fields in one place, so that a log line, an API answer and a message on a terminal agree.
 */

/** Exit codes of every verb. */
export const EXIT = {
  /** Done, or the answer is yes. */
  done: 0,
  /** It worked, and the answer is no (a check found problems). */
  no: 1,
  /** The command line or the configuration cannot be used as given. */
  usage: 2,
  /** The daemon could not be reached. */
  unreachable: 3,
  /** A privilege is missing. */
  privilege: 4,
} as const;

/** One of the values of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a {@link VipfarmError} is made of. */
export interface VipfarmErrorInit {
  /** What was tried, as a verb phrase: `open packet socket`. */
  readonly operation: string;
  /** What went wrong, without the value: `no such interface`. */
  readonly problem: string;
  /** The value that it went wrong with. Never a secret. */
  readonly value?: string;
  /** What the reader can do about it, as one sentence. */
  readonly remedy?: string;
  /** How the process should end if nobody handles the error; `EXIT.no` unless told. */
  readonly exitCode?: number;
  /** The error underneath. */
  readonly cause?: unknown;
}

/** An expected failure: `operation: problem (value)`, with a remedy where one is known. */
export class VipfarmError extends Error {
  readonly operation: string;
  readonly problem: string;
  readonly value?: string;
  readonly remedy?: string;
  readonly exitCode: number;

  constructor(init: VipfarmErrorInit) {
    const value = init.value === undefined ? "" : ` (${init.value})`;
    super(
      `${init.operation}: ${init.problem}${value}`,
      init.cause === undefined ? undefined : { cause: init.cause },
    );
    this.name = "VipfarmError";
    this.operation = init.operation;
    this.problem = init.problem;
    this.value = init.value;
    this.remedy = init.remedy;
    this.exitCode = init.exitCode ?? EXIT.no;
  }
}

/** What was thrown, in words: an error's message, anything else as text. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
