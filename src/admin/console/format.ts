/** Numbers and times as people read them. Pure. */

/** `34%`, `0.4%`, `<0.1%`: as many digits as matter. */
export function percent(fraction: number): string {
  const value = 100 * fraction;
  if (value === 0 || value === 100) return `${value}%`;
  if (value < 0.1) return "<0.1%";
  if (value > 99.9) return ">99.9%";
  return `${value < 10 || value > 99 ? value.toFixed(1) : value.toFixed(0)}%`;
}

/** `7`, `1,204`, `38.2 k`, `1.3 M`. */
export function count(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 1e5) return `${(value / 1e3).toFixed(0)} k`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  const whole = value >= 10 || Number.isInteger(value) ? Math.round(value) : value;
  return whole.toLocaleString("en", { maximumFractionDigits: 1 });
}

/** A length of time in its largest unit: `40 ms`, `12 s`, `3 min`, `2 h`, `4 d`. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;
const DATE = { month: "short", day: "numeric" } as const;

/** The time of day, with the date if it is not today's. */
export function timeText(at: Date, now = new Date()): string {
  const time = at.toLocaleTimeString("en-GB", TIME);
  return at.toDateString() === now.toDateString() ? time : `${at.toLocaleDateString("en-GB", DATE)} ${time}`;
}

/** `1 node`, `3 nodes`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `n1`, `n1 and n2`, `n1, n2 and n3`. */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
}

/** `80, 8000–8100`. */
export function portsText(ports: ReadonlyArray<{ from: number; to: number }>): string {
  return ports.map(({ from, to }) => from === to ? `${from}` : `${from}–${to}`).join(", ");
}
