/** Which events a reader wants. */

import type { FarmEvent, Severity } from "../core/events.ts";

const ORDER: readonly Severity[] = ["info", "warning", "error"];

/** What a reader may ask for; everything absent means everything. */
export interface EventFilter {
  /** This severe, or worse. */
  readonly severity?: Severity;
  /** This kind, or kinds that begin with it and a dot. */
  readonly kind?: string;
  /** About this node. */
  readonly node?: string;
}

/** Whether the reader wants this event. */
export function wants({ severity, kind, node }: EventFilter, event: FarmEvent): boolean {
  return (severity === undefined || ORDER.indexOf(event.severity) >= ORDER.indexOf(severity)) &&
    (kind === undefined || event.kind === kind || event.kind.startsWith(`${kind}.`)) &&
    (node === undefined || event.node === node);
}
