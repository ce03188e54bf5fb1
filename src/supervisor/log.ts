/** The daemon's log: one line per event on stderr; in the journal, where stderr goes there, with fields. */
import { configure, getLogger, type LogLevel, type LogRecord } from "@logtape/logtape";
import { type FarmEvent } from "../core/events.ts";
import { type Journal, journalOfStderr } from "./journal.ts";

/** Priorities of syslog(3). */
const PRIORITIES: Record<LogLevel, number> = { trace: 7, debug: 7, info: 6, warning: 4, error: 3, fatal: 2 };

const encoder = new TextEncoder();

function line({ timestamp, level, message, properties }: LogRecord): string {
  const kind = typeof properties.kind === "string" ? ` [${properties.kind}]` : "";
  return `${new Date(timestamp).toISOString()} ${level.padEnd(7)} ${message.join("")}${kind}\n`;
}

/** What the journal keeps of a record; it knows time and process by itself. */
function fields({ level, message, properties }: LogRecord): Record<string, string> {
  return {
    MESSAGE: message.join(""),
    PRIORITY: String(PRIORITIES[level]),
    SYSLOG_IDENTIFIER: "vipfarm",
    ...(typeof properties.kind === "string" && { VIPFARM_EVENT: properties.kind }),
    ...(typeof properties.node === "string" && { VIPFARM_NODE: properties.node }),
  };
}

function write(journal: Journal | undefined, record: LogRecord): void {
  if (journal?.write(fields(record))) return;
  Deno.stderr.writeSync(encoder.encode(line(record)));
}

/** Begins the log. Written at once, so that nothing is lost when the process ends. */
export async function startLog(): Promise<void> {
  const journal = journalOfStderr();
  await configure({
    reset: true,
    sinks: { stderr: (record) => write(journal, record) },
    loggers: [
      { category: ["vipfarm"], sinks: ["stderr"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
  });
}

/** Writes an event to the log. */
export function logEvent(
  { severity, kind, message, node }: Pick<FarmEvent, "severity" | "kind" | "message" | "node">,
): void {
  // As a property, so that braces in a message are not taken for placeholders.
  getLogger("vipfarm")[severity]("{text}", { text: new Plain(message), kind, node });
}

/** Text that the logger shows as it is, without quotes. */
class Plain {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}
