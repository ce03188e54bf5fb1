/** What happened, newest first, with filters. */

import { computed, signal } from "@preact/signals";
import { timeText } from "./format.ts";
import { Icon, type Shape } from "./icons.tsx";
import { events, farm, type LoggedEvent } from "./store.ts";

type Severity = LoggedEvent["severity"];
const SEVERITIES: readonly Severity[] = ["info", "warning", "error"];
const SHAPES: Record<Severity, Shape> = { info: "info", warning: "triangle", error: "cross" };
/** Lines drawn: more are found with a filter. */
const SHOWN_MAX = 200;

const least = signal<Severity>("info");
const node = signal("");
const text = signal("");

/** Whether an event passes the filters: at least this severe, of this node, with this text. */
export function passes(event: LoggedEvent, least: Severity, node: string, text: string): boolean {
  return SEVERITIES.indexOf(event.severity) >= SEVERITIES.indexOf(least) &&
    (node === "" || event.node === node) &&
    (text === "" || `${event.message} ${event.kind}`.toLowerCase().includes(text.toLowerCase()));
}

const found = computed(() =>
  events.value.filter((event) => passes(event, least.value, node.value, text.value.trim()))
);

export function Events() {
  const shown = found.value.slice(0, SHOWN_MAX);
  return (
    <section id="events" class="panel" aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      <div class="filters">
        <label>
          <span>Severity</span>
          <select
            value={least.value}
            onChange={(event) => least.value = event.currentTarget.value as Severity}
          >
            <option value="info">all</option>
            <option value="warning">warnings and errors</option>
            <option value="error">errors</option>
          </select>
        </label>
        <label>
          <span>Node</span>
          <select value={node.value} onChange={(event) => node.value = event.currentTarget.value}>
            <option value="">all</option>
            {farm.value!.members.map(({ name }) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
        <label class="wide">
          <span>Text</span>
          <input
            type="search"
            value={text.value}
            onInput={(event) => text.value = event.currentTarget.value}
          />
        </label>
        <span class="soft">{found.value.length} of {events.value.length}</span>
      </div>
      <div class="scroll log" tabindex={0} role="group" aria-label="Events, newest first">
        <ol class="plain">{shown.map((event) => <Event key={event.key} event={event} />)}</ol>
        {shown.length === 0 && <p class="soft">No event passes the filters.</p>}
      </div>
    </section>
  );
}

function Event({ event }: { event: LoggedEvent }) {
  const at = new Date(event.at);
  return (
    <li data-severity={event.severity}>
      <time dateTime={event.at} title={event.at}>{timeText(at)}</time>
      <Icon shape={SHAPES[event.severity]} />
      <span class="node-name">{event.node ?? ""}</span>
      <span>
        {event.severity !== "info" && <span class="hidden">{event.severity}:</span>}
        {event.message} <small>{event.kind}</small>
      </span>
    </li>
  );
}
