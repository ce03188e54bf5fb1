/** The 65,536 buckets of a service as a picture, with its legend in words: who owns what, and what is moving. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { arrange, type BucketMap, BUCKETS, NOBODY, paint, type Rgb, SIDE, tally } from "./buckets.ts";
import { count, percent } from "./format.ts";
import { showBucketsOf } from "./live.ts";
import { colorOf, NOBODY_COLOR } from "./palette.ts";
import { buckets, bucketService, farm } from "./store.ts";
import { dark } from "./theme.ts";
import { askedBucket } from "./who.tsx";

const grouped = signal(true);
const pointed = signal<number | undefined>(undefined);

export function Buckets() {
  const map = buckets.value;
  const { services } = farm.value!;
  return (
    <section id="buckets" class="panel" aria-labelledby="buckets-title">
      <h2 id="buckets-title">Buckets</h2>
      <div class="filters">
        <label>
          <span>Service</span>
          <select
            value={bucketService.value}
            onChange={(event) => showBucketsOf(event.currentTarget.value)}
          >
            {services.map(({ name }) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
        <label>
          <span>Order</span>
          <select
            value={grouped.value ? "node" : "number"}
            onChange={(event) => grouped.value = event.currentTarget.value === "node"}
          >
            <option value="node">by node</option>
            <option value="number">by number</option>
          </select>
        </label>
      </div>
      {map === undefined ? <p class="soft">The node has not told them yet.</p> : <Picture map={map} />}
    </section>
  );
}

/** Any CSS colour as numbers: painted, and read back. */
function rgbOf(color: string, context: OffscreenCanvasRenderingContext2D): Rgb {
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

function Picture({ map }: { map: BucketMap }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const nowMs = performance.now();
  const places = arrange(map, grouped.value, nowMs);
  const rows = tally(map, nowMs);
  const moving = rows.reduce((sum, row) => sum + row.moving, 0);
  const isDark = dark.value;
  useEffect(() => {
    const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
    const ink = rgbOf(isDark ? "#ffffff" : "#11161d", probe);
    const color = (owner: number) =>
      rgbOf(owner === NOBODY ? NOBODY_COLOR.peek() : colorOf(map.names[owner]), probe);
    const context = canvas.current!.getContext("2d")!;
    context.putImageData(new ImageData(paint(map, places, color, ink, nowMs), SIDE, SIDE), 0, 0);
  });
  const point = (event: PointerEvent & { currentTarget: Element }) => {
    const box = event.currentTarget.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * SIDE);
    const row = Math.floor(((event.clientY - box.top) / box.height) * SIDE);
    pointed.value = places[Math.min(BUCKETS - 1, Math.max(0, row * SIDE + column))];
  };
  const marked = askedBucket.value;
  return (
    <div class="picture">
      <div class="frame" onPointerMove={point} onPointerLeave={() => pointed.value = undefined}>
        <canvas ref={canvas} width={SIDE} height={SIDE} role="img" aria-label={textOf(rows, moving)} />
        {marked !== undefined && <Mark place={places.indexOf(marked)} />}
      </div>
      <div>
        <table class="tally">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Owns</th>
              <th scope="col">Moving</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, owned, moving }) => (
              <tr key={name}>
                <th scope="row">
                  <i class="swatch" style={{ backgroundColor: colorOf(name) }} />
                  {name ?? "nobody"}
                </th>
                <td>
                  {count(owned)} <span class="soft">{percent(owned / BUCKETS)}</span>
                </td>
                <td class={moving > 0 ? "warn" : "soft"}>{count(moving)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p class="soft small">
          {pointed.value !== undefined
            ? `Bucket ${pointed.value}: ${map.names[map.owners[pointed.value]] ?? "nobody"}.`
            : marked !== undefined
            ? `The circle is bucket ${marked}, asked about beside.`
            : "Each dot is one of 65,536 buckets of clients; a client's address chooses it."}{" "}
          <Moving map={map} moving={moving} />
        </p>
      </div>
    </div>
  );
}

function Moving({ map, moving }: { map: BucketMap; moving: number }) {
  const parts = [
    map.awaited > 0 && `${count(map.awaited)} wait until the others let go`,
    map.contested > 0 && `in ${count(map.contested)} another node keeps connections`,
    map.retained > 0 && `in ${count(map.retained)} that moved away ${map.node} keeps connections`,
  ].filter((part) => part !== false);
  if (parts.length === 0 && moving > 0) return <>{count(moving)} changed hands a moment ago.</>;
  return <>{parts.length === 0 ? "Nothing is moving." : `On ${map.node}: ${parts.join("; ")}.`}</>;
}

function Mark({ place }: { place: number }) {
  const left = `${(100 * ((place % SIDE) + 0.5)) / SIDE}%`;
  const top = `${(100 * (Math.floor(place / SIDE) + 0.5)) / SIDE}%`;
  return <i class="mark" style={{ left, top }} />;
}

function textOf(rows: ReturnType<typeof tally>, moving: number): string {
  const owners = rows.map(({ name, owned }) => `${name ?? "nobody"} ${percent(owned / BUCKETS)}`).join(", ");
  return `Owners of the buckets: ${owners}. ${
    moving === 0 ? "Nothing is moving." : `${count(moving)} are moving.`
  }`;
}
