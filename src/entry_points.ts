/**
 * The modules that a process or a thread of vipfarm starts with. Everything else is imported by one of them, so what
 * is packed into one executable file (packaging/) is these and what they import.
 */

/** Names without extension: the program, then each Worker. They lie beside this file. */
export const ENTRY_POINTS = ["main", "membership.worker", "dataplane.worker", "watch.worker"] as const;

export type EntryPoint = (typeof ENTRY_POINTS)[number];

/**
 * Where an entry point is: beside this module, and with its extension. In a checkout that is TypeScript; in a packed
 * program this module is part of `main.js`, and the entry points are JavaScript files in one place.
 */
export function entryPoint(name: EntryPoint): URL {
  return new URL(`./${name}${isPacked() ? ".js" : ".ts"}`, import.meta.url);
}

/** Whether this is a packed program, and no checkout. */
export function isPacked(): boolean {
  return import.meta.url.endsWith(".js");
}
