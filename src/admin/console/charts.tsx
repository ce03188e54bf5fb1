/** Live charts over the last five minutes: one line for each node, and the figures of now beside its name. */

import { useState } from "preact/hooks";
import { count, duration, timeText } from "./format.ts";
import { type History, latest, type Measure, SHOWN_MS } from "./history.ts";
import { colorOf } from "./palette.ts";
import { linePath } from "./sparkline.tsx";
import { history } from "./store.ts";

interface ChartKind {
  readonly measure: Measure;
  readonly title: string;
  readonly text: (value: number) => string;
  /** The axis reaches at least this far: a quiet farm is not blown up to look busy. */
  readonly topMin: number;
}

const perSecond = (value: number) => `${count(value)}/s`;
const CHARTS: readonly ChartKind[] = [
  { measure: "flows_per_s", title: "New connections", text: perSecond, topMin: 10 },
  { measure: "packets_per_s", title: "Packets accepted", text: perSecond, topMin: 100 },
  { measure: "retained", title: "Retained connections", text: count, topMin: 10 },
  { measure: "lateness_ms", title: "Heartbeats late by", text: duration, topMin: 10 },
];

/** The next of 1, 2, 5, 10, 20, 50… */
export function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value)!;
}

const WIDTH = 300;
const HEIGHT = 100;

export function Charts() {
  const shown = history.value;
  return (
    <section class="panel" aria-labelledby="charts-title">
      <h2 id="charts-title">Last five minutes</h2>
      {shown === undefined ? <p class="soft">This node keeps no history.</p> : (
        <div class="charts">
          {CHARTS.map((kind) => <Chart key={kind.measure} kind={kind} history={shown} />)}
        </div>
      )}
    </section>
  );
}

function Chart({ kind, history }: { kind: ChartKind; history: History }) {
  const [at, setAt] = useState<number | undefined>(undefined);
  const names = Object.keys(history.nodes).sort();
  const known = names.flatMap((name) => history.nodes[name][kind.measure]).filter((value) => value !== null);
  const top = niceTop(Math.max(kind.topMin, ...known));
  const slots = Math.round(SHOWN_MS / 1000) + 1;
  const index = at === undefined ? undefined : history.atMs.length - slots + at;
  const value = (name: string) => {
    const series = history.nodes[name][kind.measure];
    return index === undefined ? latest(series) : series[index] ?? undefined;
  };
  const moment = index === undefined || history.atMs[index] === undefined
    ? "now"
    : timeText(new Date(history.atMs[index]));
  const point = (event: PointerEvent & { currentTarget: Element }) => {
    const box = event.currentTarget.getBoundingClientRect();
    setAt(Math.round(((event.clientX - box.left) / box.width) * (slots - 1)));
  };
  return (
    <figure class="chart">
      <figcaption>
        <h3>{kind.title}</h3> <span class="soft">{moment}</span>
      </figcaption>
      <div class="plot" onPointerMove={point} onPointerLeave={() => setAt(undefined)}>
        <svg viewBox={`0 -2 ${WIDTH} ${HEIGHT + 4}`} preserveAspectRatio="none" aria-hidden="true">
          {[0, 0.5, 1].map((part) => (
            <line key={part} class="grid" x1="0" x2={WIDTH} y1={HEIGHT * part} y2={HEIGHT * part} />
          ))}
          {names.map((name) => (
            <path
              key={name}
              d={linePath(history.nodes[name][kind.measure], top, WIDTH, HEIGHT, slots)}
              stroke={colorOf(name)}
            />
          ))}
          {at !== undefined && (
            <line
              class="cursor"
              x1={(at / (slots - 1)) * WIDTH}
              x2={(at / (slots - 1)) * WIDTH}
              y1="0"
              y2={HEIGHT}
            />
          )}
        </svg>
        <span class="top">{kind.text(top)}</span>
        <span class="middle">{kind.text(top / 2)}</span>
      </div>
      <div class="axis soft" aria-hidden="true">
        <span>5 min ago</span>
        <span>now</span>
      </div>
      <ul class="legend">
        {names.map((name) => {
          const shown = value(name);
          return (
            <li key={name}>
              <i class="swatch" style={{ backgroundColor: colorOf(name) }} />
              {name} <b>{shown === undefined ? "–" : kind.text(shown)}</b>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}
