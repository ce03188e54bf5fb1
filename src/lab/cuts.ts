/**
 * Broken cables, as an nftables ruleset for the bridge's namespace: pure text from the list of cuts.
 * Frames are dropped between two ports of the bridge, so the stations themselves notice nothing but silence.
 */

/** Frames from one station to another are lost; an absent side means every station. */
export interface Cut {
  readonly from?: string;
  readonly to?: string;
}

/** Which frames of a station a cut takes: those it sends, those sent to it, or both. */
export type CutDirection = "out" | "in" | "both";

/** The cuts that a direction stands for. */
export function cutsOf(name: string, direction: CutDirection): Cut[] {
  const cuts: Cut[] = [];
  if (direction !== "in") cuts.push({ from: name });
  if (direction !== "out") cuts.push({ to: name });
  return cuts;
}

/** A script for `nft -f -` that puts exactly these cuts in place, in one step. */
export function cutRuleset(cuts: readonly Cut[]): string {
  const rules = cuts.map(({ from, to }) => {
    const words = [];
    if (from !== undefined) words.push(`iifname "${from}"`);
    if (to !== undefined) words.push(`oifname "${to}"`);
    return `    ${words.join(" ")} drop`;
  });
  return [
    // Naming the table first makes deleting it possible also when it was not there yet.
    "table bridge lab_cuts",
    "delete table bridge lab_cuts",
    "table bridge lab_cuts {",
    "  chain forward {",
    "    type filter hook forward priority 0; policy accept;",
    ...rules,
    "  }",
    "}",
    "",
  ].join("\n");
}
