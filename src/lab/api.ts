/** HTTP over a daemon's Unix socket: the lab speaks the same API as everybody. */

import { EXIT, VipfarmError } from "../core/errors.ts";

/** A daemon that takes longer than this for one answer is stuck. */
const ANSWER_TIMEOUT_MS = 5000;

/** One answer of a daemon. */
export interface ApiAnswer {
  readonly status: number;
  /** Parsed, if it is JSON; else the text. */
  readonly body: unknown;
}

/**
 * Asks a daemon by its socket.
 * @throws VipfarmError with exit code 3 if there is no answer.
 */
export async function askDaemon(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<ApiAnswer> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
  try {
    const response = await fetch(`http://localhost${path}`, {
      client,
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, body: isJson ? JSON.parse(text) : text };
  } catch (cause) {
    throw new VipfarmError({
      operation: `${method} ${path}`,
      problem: "the daemon did not answer",
      value: socketPath,
      remedy: "Read its log; it may not have started.",
      exitCode: EXIT.unreachable,
      cause,
    });
  } finally {
    client.close();
  }
}
