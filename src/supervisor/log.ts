/** The daemon's log: one line per event on stderr, for people and for the journal. */
import { configure, getLogger, type LogRecord } from "@logtape/logtape";
import { type FarmEvent } from "../core/events.ts";

const encoder = new TextEncoder();

function line({ timestamp, level, message, properties }: LogRecord): string {
  const kind = typeof properties.kind === "string" ? ` [${properties.kind}]` : "";
  return `${new Date(timestamp).toISOString()} ${level.padEnd(7)} ${message.join("")}${kind}\n`;
}

/** Sends the log to stderr. Written at once, so that nothing is lost when the process ends. */
export async function startLog(): Promise<void> {
  await configure({
    reset: true,
    sinks: { stderr: (record) => void Deno.stderr.writeSync(encoder.encode(line(record))) },
    loggers: [
      { category: ["vipfarm"], sinks: ["stderr"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
  });
}

/** Writes an event to the log. */
export function logEvent(
  { severity, kind, message }: Pick<FarmEvent, "severity" | "kind" | "message">,
): void {
  // As a property, so that braces in a message are not taken for placeholders.
  getLogger("vipfarm")[severity]("{text}", { text: new Plain(message), kind });
}

/** Text that the logger shows as it is, without quotes. */
class Plain {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}
