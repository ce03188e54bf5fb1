/** Forgets the first entry of a Map, which keeps the order of insertion, if there are more than `max`. */
export function dropOldest(map: Map<string, unknown>, max: number): void {
  if (map.size > max) map.delete(map.keys().next().value!);
}
