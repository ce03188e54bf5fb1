/** Light or dark: as the system says, until somebody chooses. */

import { computed, effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const KEY = "vipfarm-theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (event) => systemIsDark.value = event.matches);

const kept = localStorage.getItem(KEY);
export const theme = signal<Theme>(kept === "light" || kept === "dark" ? kept : "auto");
/** What is shown. */
export const dark = computed(() => theme.value === "auto" ? systemIsDark.value : theme.value === "dark");

effect(() => {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  if (theme.value === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme.value);
});
