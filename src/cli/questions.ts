/** Questions to a person at a terminal. They go to stderr, so that an answer on stdout can be sent to a file. */
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";

/** Asks, and gives the answer without blanks around it; an empty one stands for `suggestion`. */
export type Ask = (question: string, suggestion?: string) => Promise<string>;

/** Whether somebody is there to answer. */
export function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

/** Runs `conversation` with a person. */
export async function withPerson<T>(conversation: (ask: Ask) => Promise<T>): Promise<T> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new AbortController();
  terminal.on("close", () => gone.abort());
  terminal.on("SIGINT", () => terminal.close());
  try {
    return await conversation(async (question, suggestion) => {
      const shown = suggestion === undefined ? `${question}: ` : `${question} [${suggestion}]: `;
      const answer = (await terminal.question(shown, { signal: gone.signal })).trim();
      return answer === "" ? suggestion ?? "" : answer;
    });
  } catch (cause) {
    if (!gone.signal.aborted) throw cause;
    throw new VipfarmError({
      operation: "ask",
      problem: "there was no answer, and nothing was written",
      exitCode: EXIT.usage,
      cause,
    });
  } finally {
    terminal.close();
  }
}

/** Asks until the answer can be read; `read` throws an Error that says what is expected. */
export async function askFor<T>(
  ask: Ask,
  say: (text: string) => void,
  question: string,
  suggestion: string | undefined,
  read: (answer: string) => T,
): Promise<T> {
  for (;;) {
    const answer = await ask(question, suggestion);
    try {
      return read(answer);
    } catch (error) {
      say(`  ${messageOf(error)}`);
    }
  }
}
