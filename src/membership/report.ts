/**
 * What a node reports of itself beyond the protocol: text that heartbeats carry and membership does not read. It is for
 * people, who want to see every node on any node's console.
 */

/** How often it goes out. With every heartbeat of a short interval it would be most of the traffic. */
export const REPORT_INTERVAL_MS = 1_000;

/** News of reports are shown after this time at the latest, all that came meanwhile at once. */
export const REPORTS_SHOWN_MS = 500;

/** This node's own report. */
export class OwnReport {
  #text = "";
  #dueMs = -Infinity;
  /** It has been told that a report was too long: the next one comes in a second, and will hardly be shorter. */
  tooLongTold = false;

  get text(): string {
    return this.#text;
  }

  /** Says something else from now on; at once if it is `urgent`. */
  set(text: string, urgent: boolean): void {
    this.#text = text;
    if (urgent) this.#dueMs = -Infinity;
  }

  /** For the heartbeat that goes out now, if it is time. */
  take(nowMs: number): string | undefined {
    if (this.#text === "" || nowMs < this.#dueMs) return undefined;
    this.#dueMs = nowMs + REPORT_INTERVAL_MS;
    return this.#text;
  }
}
