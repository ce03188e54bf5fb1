/** What goes to the log, changeable while the daemon runs. */
import { getLogger } from "@logtape/logtape";
import { LOG_LEVELS, type LogLevel } from "../admin/detail_schemas.ts";
import { type FarmEventInit } from "../core/events.ts";
import { logEvent } from "../supervisor/log.ts";

export class LogSwitch {
  /** The least severe that is written. */
  level: LogLevel = "info";

  event(event: FarmEventInit): void {
    if (LOG_LEVELS.indexOf(event.severity) >= LOG_LEVELS.indexOf(this.level)) logEvent(event);
  }

  /** What only somebody who looks for a fault wants to read. */
  debug(text: string): void {
    if (this.level === "debug") {
      getLogger("vipfarm").info("debug: {text}", { text: { toString: () => text } });
    }
  }
}
