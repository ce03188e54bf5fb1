/** The last minutes of one measure as a small line: decoration beside the figure. */

const WIDTH = 100;
const HEIGHT = 24;

/** The line through the known values; a gap where none is known. `max` stands at the top. */
export function linePath(
  series: ReadonlyArray<number | null>,
  max: number,
  width: number,
  height: number,
  slots = series.length,
): string {
  const step = width / Math.max(1, slots - 1);
  const shift = slots - series.length;
  let path = "";
  let pen = "M";
  series.forEach((value, i) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${((i + shift) * step).toFixed(1)} ${(height - (value / max) * height).toFixed(1)}`;
    pen = "L";
  });
  return path;
}

export function Sparkline({ series = [], color }: { series?: ReadonlyArray<number | null>; color: string }) {
  const recent = series.slice(-120);
  const max = Math.max(1, ...recent.map((value) => value ?? 0));
  const path = linePath(recent, max, WIDTH, HEIGHT - 2, 120);
  return (
    <svg class="sparkline" viewBox={`0 -1 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} fill="none" stroke={color} stroke-width="1.5" vector-effect="non-scaling-stroke" />
    </svg>
  );
}
