/** One colour for each node, the same in bars, charts and the picture of the buckets. Red and green mean states. */

import { computed } from "@preact/signals";
import { farm } from "./store.ts";
import { dark } from "./theme.ts";

/** Told apart also by people who see red and green alike; at least 3:1 against the panel. */
const LIGHT = ["#2b66c8", "#b25400", "#0a7b78", "#8250c4", "#b73a78", "#6f6e13", "#7b5237", "#4d6378"];
const DARK = ["#6aa5ff", "#ffa657", "#45cfc6", "#bd9bff", "#ff8fbf", "#d8d25f", "#d7a47f", "#a5b9cd"];

/** The colour at a place in the order of names. Beyond the hand-made ones, hues a golden angle apart. */
export function colorAt(index: number, isDark: boolean): string {
  const made = isDark ? DARK : LIGHT;
  if (index < made.length) return made[index];
  return `oklch(${isDark ? 0.78 : 0.55} 0.12 ${Math.round((index * 137.5) % 360)})`;
}

/** Node → colour. Names keep their colours while the farm's list stays the same. */
export const colors = computed(() => {
  const names = (farm.value?.members ?? []).map(({ name }) => name).sort();
  return new Map(names.map((name, index) => [name, colorAt(index, dark.value)]));
});

export const NOBODY_COLOR = computed(() => dark.value ? "#39424f" : "#c9d0d9");

export function colorOf(name: string | null | undefined): string {
  return (name != null ? colors.value.get(name) : undefined) ?? NOBODY_COLOR.value;
}
