/** The farm in one sentence, who serves the new clients, and what needs attention, worst first. */

import { serves, shareOf } from "./consequence.ts";
import { percent, plural } from "./format.ts";
import { Icon, type Shape, type Tone } from "./icons.tsx";
import { insightsOf, loadShares } from "./insights.ts";
import { colorOf } from "./palette.ts";
import { farm, history, link } from "./store.ts";

/** How bad it is. */
export function toneOf(states: readonly string[], serving: number): Tone {
  if (serving === 0 || states.some((state) => state === "dead" || state === "silent")) return "bad";
  return states.every((state) => state === "up") ? "good" : "warn";
}

const SHAPES: Record<Tone, Shape> = { good: "disc", warn: "triangle", bad: "cross", calm: "ring" };

export function Health() {
  const status = farm.value!;
  const tone = link.value === "live"
    ? toneOf(status.members.map(({ state }) => state), status.members.filter(serves).length)
    : "calm";
  return (
    <section id="health" class={`panel ${tone}`} aria-labelledby="health-title">
      <h2 id="health-title" class="hidden">Health</h2>
      <div class="sentence">
        <Icon shape={SHAPES[tone]} />
        <p role="status">{status.health}</p>
      </div>
      <p class="soft facts">
        {plural(status.services.length, "service")} on{" "}
        {status.virtual_ips.map(({ address }) => address).join(", ")}
      </p>
      <Shares />
      <Attention />
    </section>
  );
}

/** Two bars: whom new clients are meant for, and where new connections really go. */
function Shares() {
  const { members } = farm.value!;
  const wanted = members.map((member) => [member.name, shareOf(member)] as const);
  const loads = loadShares(farm.value!, history.value);
  return (
    <div class="shares">
      <Bar label="New clients belong to" parts={wanted} empty="nobody" />
      <Bar
        label="New connections, last 30 s"
        parts={[...(loads ?? [])]}
        empty="too few to compare"
      />
    </div>
  );
}

function Bar(
  { label, parts, empty }: { label: string; parts: ReadonlyArray<readonly [string, number]>; empty: string },
) {
  const shown = parts.filter(([, share]) => share > 0);
  return (
    <div class="share-line">
      <span class="soft">{label}</span>
      {shown.length === 0 ? <span class="soft none">{empty}</span> : (
        <ul class="stacked">
          {shown.map(([name, share]) => (
            <li key={name} style={{ flexGrow: String(share), backgroundColor: colorOf(name) }}>
              <span>{name} {percent(share)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Attention() {
  const found = [...farm.value!.warnings, ...insightsOf(farm.value!, history.value)];
  if (found.length === 0) return null;
  return (
    <ul class="attention" aria-label="Needs attention">
      {found.map(({ message, remedy }) => (
        <li key={message}>
          <Icon shape="triangle" />
          <div>
            <strong>{message}</strong> <span>{remedy}</span>
          </div>
        </li>
      ))}
    </ul>
  );
}
